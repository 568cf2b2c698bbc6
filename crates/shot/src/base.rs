//! Base models on disk: where they may be, and the fingerprint that tells two apart.

use lora_edit_store::Hasher;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Weight files up to this size are hashed whole, larger ones by samples.
const WHOLE_UP_TO: u64 = 256 << 20;
/// Samples of a large weight file, spread evenly, the first at its header.
const SAMPLES: u64 = 256;
/// Bytes per sample.
const SAMPLE_BYTES: u64 = 64 << 10;

/// Why a base model cannot be used.
#[derive(Debug, Error)]
pub enum BaseError {
    /// No folder of that name holds weights.
    #[error("model '{name}' not found in {}", shown(searched))]
    Missing {
        /// The model's name.
        name: String,
        /// Folders that were looked at, in order.
        searched: Vec<PathBuf>,
    },
    /// A file of the model cannot be read.
    #[error("file {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        why: io::Error,
    },
}

/// A base model that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BaseModel {
    /// Its name, such as "nano".
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Hash of its configuration and weights; the same on every machine.
    pub fingerprint: String,
}

/// Finds a model for the running program: in `model_dir`, in `LORA_EDIT_MODELS`, then where
/// [`roots`] says for the folder of this executable.
pub fn find(name: &str, model_dir: Option<&Path>) -> Result<BaseModel, BaseError> {
    let program = std::env::current_exe().ok();
    find_beside(name, model_dir, program.as_deref().and_then(Path::parent))
}

/// As [`find`] when the program is in another folder: a plug-in lives in its host's process, so it
/// names the folder that its own library and the engine are in.
pub fn find_beside(
    name: &str,
    model_dir: Option<&Path>,
    program_dir: Option<&Path>,
) -> Result<BaseModel, BaseError> {
    let searched = candidates(name, model_dir, program_dir);
    match searched.iter().find(|folder| has_weights(folder)) {
        Some(folder) => open(name, folder),
        None => Err(BaseError::Missing { name: name.to_string(), searched }),
    }
}

/// The model in this very folder.
pub fn open(name: &str, folder: &Path) -> Result<BaseModel, BaseError> {
    let fingerprint = fingerprint(folder)?;
    Ok(BaseModel { name: name.to_string(), folder: folder.to_path_buf(), fingerprint })
}

/// All models there are, as name and folder, each name once, first found first.
pub fn list(model_dir: Option<&Path>, program_dir: Option<&Path>) -> Vec<(String, PathBuf)> {
    let mut found: Vec<(String, PathBuf)> = Vec::new();
    for root in roots(model_dir, program_dir) {
        for folder in folders_in(&root) {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if has_weights(&folder) && found.iter().all(|(other, _)| *other != name) {
                found.push((name, folder));
            }
        }
    }
    found
}

/// Folders that hold models by name, in order of search: `model_dir`, `LORA_EDIT_MODELS`, the
/// bundle's `Resources/models` beside the program's folder, and `bundle/models` in the development
/// tree above it.
pub fn roots(model_dir: Option<&Path>, program_dir: Option<&Path>) -> Vec<PathBuf> {
    let named = model_dir.filter(|dir| !dir.as_os_str().is_empty()).map(Path::to_path_buf);
    let from_environment =
        std::env::var_os("LORA_EDIT_MODELS").filter(|value| !value.is_empty()).map(PathBuf::from);
    let in_bundle = program_dir.and_then(Path::parent).map(|contents| contents.join("Resources/models"));
    let ancestors = program_dir.map(Path::ancestors).into_iter().flatten();
    let in_tree = ancestors.map(|dir| dir.join("bundle/models")).find(|dir| dir.is_dir());
    [named, from_environment, in_bundle, in_tree].into_iter().flatten().collect()
}

/// `model_dir` may also be the model's own folder.
fn candidates(name: &str, model_dir: Option<&Path>, program_dir: Option<&Path>) -> Vec<PathBuf> {
    let own = model_dir.filter(|dir| dir.file_name().is_some_and(|last| last == name));
    let under = roots(model_dir, program_dir).into_iter().map(|root| root.join(name));
    own.map(Path::to_path_buf).into_iter().chain(under).collect()
}

fn shown(searched: &[PathBuf]) -> String {
    let folders: Vec<String> = searched.iter().map(|path| path.display().to_string()).collect();
    if folders.is_empty() { "any folder: none is known".to_string() } else { folders.join(", ") }
}

fn folders_in(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn has_weights(folder: &Path) -> bool {
    files(folder).is_ok_and(|files| files.iter().any(|(_, path)| is_weights(path)))
}

fn is_weights(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    matches!(extension, "safetensors" | "gguf" | "pth")
}

/// What a model's output depends on: weights, `config.json` and weight indexes.
fn is_part(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    is_weights(path) || name == "config.json" || name.ends_with(".index.json")
}

/// The model's files below a folder, as relative name and path, sorted by name.
fn files(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    collect(folder, "", &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            collect(&path, &format!("{prefix}{name}/"), found)?;
        } else if is_part(&path) {
            found.push((format!("{prefix}{name}"), path));
        }
    }
    Ok(())
}

fn fingerprint(folder: &Path) -> Result<String, BaseError> {
    let mut hasher = Hasher::new("base model");
    for (name, path) in files(folder).map_err(unreadable(folder))? {
        content_hash(&mut hasher, &name, &path)?;
    }
    Ok(hasher.finish())
}

/// The fingerprint of a model whose parts lie apart: each part's purpose and its files or folders. Weights count by
/// their content alone, so that the same files in another layout are the same model; a folder's go in order of name.
///
/// # Errors
/// When a file cannot be read; names it.
pub fn fingerprint_of_parts(parts: &[(&str, &Path)]) -> Result<String, BaseError> {
    let mut hasher = Hasher::new("base model in parts");
    for (purpose, path) in parts {
        hasher.field("part", purpose);
        for file in part_files(path)? {
            content_hash(&mut hasher, "file", &file)?;
        }
    }
    Ok(hasher.finish())
}

/// The file itself, or those in a folder that hold content: weights and tokenisers. Where there are numbered shards,
/// these alone: official folders keep encoders beside them.
fn part_files(path: &Path) -> Result<Vec<PathBuf>, BaseError> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_content = |path: &PathBuf| {
        let is_tokenizer = ["tokenizer.json", "spiece.model"].contains(&name(path).as_str());
        path.is_file() && (is_weights(path) || is_tokenizer)
    };
    let entries = std::fs::read_dir(path).map_err(unreadable(path))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_content).collect();
    let is_shard = |path: &PathBuf| name(path).contains("-of-0");
    if files.iter().any(is_shard) {
        files.retain(is_shard);
    }
    files.sort();
    Ok(files)
}

/// Adds a file's length and content, of a large file by samples.
///
/// # Errors
/// When it cannot be read; names it.
pub fn content_hash(hasher: &mut Hasher, label: &str, path: &Path) -> Result<(), BaseError> {
    hash_file(hasher, label, path).map_err(unreadable(path))
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> BaseError + use<> {
    let path = path.to_path_buf();
    move |why| BaseError::Unreadable { path, why }
}

fn hash_file(hasher: &mut Hasher, name: &str, path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    hasher.number(name, length as i64);
    let (step, bytes) = match length {
        0..=WHOLE_UP_TO => (1 << 20, 1 << 20),
        _ => (length / SAMPLES, SAMPLE_BYTES),
    };
    let mut block = Vec::new();
    for at in (0..length).step_by(step as usize) {
        block.clear();
        file.seek(SeekFrom::Start(at))?;
        file.by_ref().take(bytes).read_to_end(&mut block)?;
        hasher.field("block", &block);
    }
    Ok(())
}
