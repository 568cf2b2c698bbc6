//! Which files of a folder are one network's weights.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Loaded, ModelError};

/// Kinds of weight files in order of preference: where a folder has one kind, the later are not looked at.
const KINDS: [&[&str]; 3] = [&["safetensors", "sft"], &["gguf"], &["pth", "pt", "bin"]];

/// `path` itself, or the files that hold the network in that folder.
///
/// An index (`*.safetensors.index.json`) decides, where there is one; else the numbers of shards (`-00001-of-00014`)
/// must be complete. Of several variants (`model.fp16.safetensors`) the one without a name is taken.
pub(super) fn weight_files(path: &Path) -> Loaded<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let files = files_in(path)?;
    match files.iter().filter(|file| is_index(file)).min_by_key(|file| file.as_os_str().len()) {
        Some(index) => indexed(index),
        None => without_index(path, &files),
    }
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// `model.safetensors.index.json`, or with a variant `model.safetensors.index.fp16.json`.
fn is_index(path: &Path) -> bool {
    let name = file_name(path);
    name.contains(".safetensors.index.") && name.ends_with(".json")
}

fn indexed(index: &Path) -> Loaded<Vec<PathBuf>> {
    let text =
        std::fs::read(index).map_err(|source| ModelError::Unreadable { path: index.to_owned(), source })?;
    let broken = |reason: &dyn std::fmt::Display| ModelError::weights(&index.display().to_string(), reason);
    let read: Index = serde_json::from_slice(&text).map_err(|e| broken(&e))?;
    let names: BTreeSet<&String> = read.weight_map.values().collect();
    if let Some(stray) = names.iter().find(|name| Path::new(name).components().count() != 1) {
        return Err(broken(&format!("names a file outside its folder: {stray}")));
    }
    let is_lost = |name: &&&String| !index.with_file_name(name).is_file();
    match names.iter().find(is_lost) {
        Some(lost) => Err(missing(&index.with_file_name(lost), &read.why_needed(lost, &file_name(index)))),
        None if names.is_empty() => Err(broken(&"names no file")),
        None => Ok(names.iter().map(|name| index.with_file_name(name)).collect()),
    }
}

impl Index {
    /// Which tensors should be in a file.
    fn why_needed(&self, file: &str, index: &str) -> String {
        let tensors: Vec<&String> =
            self.weight_map.iter().filter(|(_, place)| *place == file).map(|(tensor, _)| tensor).collect();
        match tensors.as_slice() {
            [first, rest @ ..] if !rest.is_empty() => {
                format!("{index} names it for tensor {first} and {} more", rest.len())
            }
            all => format!("{index} names it for tensor {}", all.first().map_or("", |name| name)),
        }
    }
}

fn without_index(folder: &Path, files: &[PathBuf]) -> Loaded<Vec<PathBuf>> {
    let of_kind = |kind: &&[&str]| -> Vec<PathBuf> {
        let is_kind = |file: &&PathBuf| {
            file.extension().and_then(|e| e.to_str()).is_some_and(|extension| kind.contains(&extension))
        };
        files.iter().filter(is_kind).cloned().collect()
    };
    let found = KINDS.iter().map(of_kind).find(|files| !files.is_empty());
    let found = without_variants(found.ok_or_else(|| ModelError::NoWeights { path: folder.to_owned() })?);
    for file in &found {
        check_shards(file, &found)?;
    }
    Ok(found)
}

/// Drops `name.fp16.safetensors` where `name.safetensors` is there too, whatever their shards.
fn without_variants(files: Vec<PathBuf>) -> Vec<PathBuf> {
    let named: Vec<(String, PathBuf)> = files.into_iter().map(|file| (network_name(&file), file)).collect();
    let names: BTreeSet<String> = named.iter().map(|(name, _)| name.clone()).collect();
    let is_spare = |name: &str| name.rsplit_once('.').is_some_and(|(plain, _)| names.contains(plain));
    named.into_iter().filter(|(name, _)| !is_spare(name)).map(|(_, file)| file).collect()
}

/// The file's name without its number, as `name` or `name.variant`.
fn network_name(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    match shard(&stem) {
        Some(Shard { name, variant: "", .. }) => name.to_owned(),
        Some(Shard { name, variant, .. }) => format!("{name}.{variant}"),
        None => stem.into_owned(),
    }
}

struct Shard<'a> {
    name: &'a str,
    number: &'a str,
    of: &'a str,
    variant: &'a str,
}

/// Reads `name-00001-of-00014`, with `.variant` after it or not.
fn shard(stem: &str) -> Option<Shard<'_>> {
    let (rest, of) = stem.rsplit_once("-of-")?;
    let (name, number) = rest.rsplit_once('-')?;
    let (of, variant) = of.split_once('.').unwrap_or((of, ""));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(number) && digits(of)).then_some(Shard { name, number, of, variant })
}

fn check_shards(file: &Path, all: &[PathBuf]) -> Loaded<()> {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let Some(Shard { name, number, of, variant }) = shard(stem) else { return Ok(()) };
    let count = of.parse::<usize>().unwrap_or(0);
    let extension = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
    for other in 1..=count.min(10_000) {
        let dot = if variant.is_empty() { "" } else { "." };
        let width = number.len();
        let other = file.with_file_name(format!("{name}-{other:0width$}-of-{of}{dot}{variant}.{extension}"));
        if !all.contains(&other) {
            return Err(missing(&other, &format!("{} is one of {count} shards", file_name(file))));
        }
    }
    Ok(())
}

fn missing(file: &Path, why: &str) -> ModelError {
    ModelError::weights(&file.display().to_string(), format!("missing, but {why}"))
}

fn files_in(folder: &Path) -> Loaded<Vec<PathBuf>> {
    let unreadable = |source| ModelError::Unreadable { path: folder.to_owned(), source };
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    let is_file = |path: &PathBuf| path.is_file() && !file_name(path).starts_with('.');
    let mut files: Vec<_> = paths.map_err(unreadable)?.into_iter().filter(is_file).collect();
    files.sort();
    Ok(files)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
