//! `lora-edit models`: the base models found, what a file is, and fetching what is missing.

mod check;
mod download;
mod fetch;
mod hub;
mod list;
mod words;

use std::path::{Path, PathBuf};

use lora_edit_shot::base;

pub use check::check;
pub use fetch::fetch;
pub use list::list;

/// Where models are looked for, in order: `--model-dir`, LORA_EDIT_MODELS, the bundle, the Hugging Face cache.
fn roots(model_dir: Option<&Path>) -> Vec<PathBuf> {
    let mut roots = base::roots(model_dir, program_dir().as_deref());
    roots.extend(hub::cached_repositories());
    roots
}

fn program_dir() -> Option<PathBuf> {
    std::env::current_exe().ok()?.parent().map(Path::to_path_buf)
}
