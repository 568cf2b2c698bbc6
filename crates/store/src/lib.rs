//! A content-addressed folder: put, find, lock, lease, evict.
//!
//! Everything is written under a temporary hidden name and renamed, so readers need no lock and
//! only ever see whole entries. Writers that must not work twice hold a [`Lease`].
#![forbid(unsafe_code)]

mod evict;
pub mod files;
mod hasher;
mod lease;
mod process;
mod store;

pub use evict::{EvictPolicy, Evicted};
pub use hasher::Hasher;
pub use lease::{Held, Lease, LeaseError, LeaseTiming};
pub use process::{Liveness, Process, host_name};
pub use store::{Store, StoreError, default_root};
