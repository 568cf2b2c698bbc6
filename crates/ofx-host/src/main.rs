//! The program `ofx-run`.
fn main() {}
