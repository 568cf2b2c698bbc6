//! `lora-edit models`: the base models found, what a file is, and fetching what is missing.

mod check;
mod download;
mod fetch;
mod hub;
mod list;
mod locate;
mod plan;
mod words;

pub use check::check;
pub use fetch::fetch;
pub use list::list;
pub use locate::locate;
pub use plan::plan;
