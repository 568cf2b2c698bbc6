//! A content-addressed folder: put, find, lock, lease, evict.
