//! `lora-edit models fetch`: the files of a published model that are not on this machine.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use lora_edit_model::locate::{Inventory, PUBLISHED, Published, Role};
use lora_edit_pipeline::{JobError, places};
use lora_edit_shot::job::FailureKind;

use super::download::download;
use super::hub::{Hub, RemoteFile, Repository};
use super::words;
use crate::Ending;

const BAR: &str = "{bar:32} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}";

/// Fetches the parts that `models list` calls missing, or all of them.
///
/// Into `--model-dir` or LORA_EDIT_MODELS, as `NAME/`, else into the Hugging Face cache in its own layout.
///
/// # Errors
/// When there is no model of this name, or a file cannot be fetched or is not what the hub says. What came is kept.
pub fn fetch(name: &str, model_dir: Option<&Path>, all: bool) -> Result<Ending, JobError> {
    let model = Published::named(name).ok_or_else(|| unknown(name))?;
    let roles = wanted(model, model_dir, all);
    if roles.is_empty() {
        println!("{name} is complete; `lora-edit models list` says where");
        return Ok(Ending::Done);
    }
    let failed = |message: String| JobError::new(FailureKind::Model, message);
    let hub = Hub::from_environment().map_err(failed)?;
    let repository = hub.repository(model.repo).map_err(failed)?;
    let target = target(model, model_dir, &repository).map_err(failed)?;
    let files = files(model, &roles, &repository).map_err(failed)?;
    let total: u64 = files.iter().filter_map(RemoteFile::bytes).sum();
    println!(
        "{name}: {} files, {}, from {} to {}",
        files.len(),
        words::size(total),
        model.repo,
        target.display()
    );
    for file in &files {
        fetch_file(&hub, model, &repository.sha, file, &target).map_err(failed)?;
    }
    finish_cache(model_dir, &target, &repository.sha);
    Ok(Ending::Done)
}

fn unknown(name: &str) -> JobError {
    let names: Vec<&str> = PUBLISHED.iter().map(|model| model.name).collect();
    JobError::new(FailureKind::Usage, format!("no model '{name}' to fetch; there are {}", names.join(", ")))
}

fn wanted(model: &Published, model_dir: Option<&Path>, all: bool) -> Vec<Role> {
    match all {
        true => model.parts.iter().map(|(role, _)| *role).collect(),
        false => Inventory::of(&places::roots(model_dir)).locate(model).wanting(),
    }
}

/// The repository's files of these roles, and the configuration beside a transformer.
fn files(model: &Published, roles: &[Role], repository: &Repository) -> Result<Vec<RemoteFile>, String> {
    let mut files = Vec::new();
    for (role, start) in model.parts.iter().filter(|(role, _)| roles.contains(role)) {
        let of_role = |file: &&RemoteFile| {
            let is_config = *role == Role::Transformer && file.path == "config.json";
            is_safe(&file.path) && (file.path.starts_with(start) || is_config)
        };
        let found: Vec<RemoteFile> = repository.files.iter().filter(of_role).cloned().collect();
        if found.iter().all(|file| !file.path.starts_with(start)) {
            return Err(format!("{} has no file {start} any more", model.repo));
        }
        files.extend(found);
    }
    Ok(files)
}

/// A path from a server is written to only where it stays below the target.
fn is_safe(path: &str) -> bool {
    Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)))
}

fn target(model: &Published, model_dir: Option<&Path>, repository: &Repository) -> Result<PathBuf, String> {
    if let Some(named) = named_folder(model_dir) {
        return Ok(named.join(model.name));
    }
    if !is_safe(&repository.sha) {
        return Err(format!("{}: the server's commit is no hash", model.repo));
    }
    let cached = places::cached(model.repo).map(|folder| folder.join("snapshots").join(&repository.sha));
    cached.ok_or_else(|| "no folder to fetch to is known; --model-dir names one".into())
}

fn named_folder(model_dir: Option<&Path>) -> Option<PathBuf> {
    let from_environment =
        || std::env::var_os("LORA_EDIT_MODELS").filter(|value| !value.is_empty()).map(PathBuf::from);
    model_dir.map(Path::to_path_buf).or_else(from_environment)
}

fn fetch_file(
    hub: &Hub,
    model: &Published,
    commit: &str,
    file: &RemoteFile,
    folder: &Path,
) -> Result<(), String> {
    let target = folder.join(&file.path);
    // A file gets its name only once it is whole and checked, so a size that fits is enough here.
    if std::fs::metadata(&target).is_ok_and(|there| file.bytes().is_none_or(|bytes| bytes == there.len())) {
        println!("{}\tthere already", file.path);
        return Ok(());
    }
    let bar = ProgressBar::new(file.bytes().unwrap_or(0)).with_message(file.path.clone());
    bar.set_style(ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut open = |from| hub.open(model.repo, commit, &file.path, from);
    let mut resumed = None;
    let mut tell = |bytes| {
        resumed.get_or_insert(bytes);
        bar.set_position(bytes);
    };
    let outcome = download(file, &target, &mut open, &mut tell);
    bar.finish_and_clear();
    outcome?;
    let how = match (resumed, file.sha256()) {
        (Some(from @ 1..), _) => format!("resumed at {}", words::size(from)),
        (_, Some(_)) => "checksum right".into(),
        (_, None) => "size right".into(),
    };
    println!("{}\t{how}", file.path);
    Ok(())
}

/// Other programs find a snapshot in the cache by the branch's name.
fn finish_cache(model_dir: Option<&Path>, target: &Path, commit: &str) {
    let repository = target.parent().and_then(Path::parent).filter(|_| named_folder(model_dir).is_none());
    let Some(refs) = repository.map(|repository| repository.join("refs")) else { return };
    let written = std::fs::create_dir_all(&refs).and_then(|()| std::fs::write(refs.join("main"), commit));
    if let Err(error) = written {
        log::warn!("{}: {error}", refs.display());
    }
}
