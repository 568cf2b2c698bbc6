//! Where base models may lie on this machine: named folders, the bundle, the Hugging Face cache.

use std::path::{Path, PathBuf};

use lora_edit_shot::base;

/// Folders that are searched for parts of published models, in order: `model_dir`, LORA_EDIT_MODELS, the bundle of this
/// program, the Hugging Face cache.
pub fn roots(model_dir: Option<&Path>) -> Vec<PathBuf> {
    let mut roots = base::roots(model_dir, program_dir().as_deref());
    roots.extend(cached_repositories());
    roots
}

/// The folder of the running program.
pub fn program_dir() -> Option<PathBuf> {
    std::env::current_exe().ok()?.parent().map(Path::to_path_buf)
}

/// The hub's own folder: HF_HOME, else `huggingface` in the user's cache folder.
pub fn hub_home() -> Option<PathBuf> {
    let cache = || variable("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(user()?.join(".cache")));
    variable("HF_HOME").map(PathBuf::from).or_else(|| Some(cache()?.join("huggingface")))
}

/// The folder of a repository in the cache where the hub's programs keep what they fetched.
pub fn cached(repo: &str) -> Option<PathBuf> {
    Some(cache()?.join(format!("models--{}", repo.replace('/', "--"))))
}

/// Repositories in that cache that may hold a part of a Wan model, by their names.
fn cached_repositories() -> Vec<PathBuf> {
    let entries = cache().and_then(|cache| std::fs::read_dir(cache).ok()).into_iter().flatten().flatten();
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        name.starts_with("models--") && (name.contains("wan") || name.contains("umt5"))
    };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_ours).collect();
    found.sort();
    found
}

fn cache() -> Option<PathBuf> {
    let named = ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"].into_iter().find_map(variable);
    named.map(PathBuf::from).or_else(|| Some(hub_home()?.join("hub")))
}

fn user() -> Option<PathBuf> {
    variable("HOME").or_else(|| variable("USERPROFILE")).map(PathBuf::from)
}

/// A variable of the environment; an empty one counts as none.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
