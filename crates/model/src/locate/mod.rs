//! Where the parts of a model lie: in an official folder, a diffusers folder, a ComfyUI tree or a Hugging Face cache.
//!
//! Folders are searched for weight files, and each file's header says what it is; names matter only where tensors do
//! not tell (480P and 720P, the two experts).

mod published;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::detect::{Found, detect_weights};
use crate::weights::Weights;
pub use published::{PUBLISHED, Published, Role};

/// How far below a root files are looked for: a Hugging Face cache needs four.
const DEPTH: usize = 5;
/// After so many folders the search ends: somebody named a whole disk.
const MOST_FOLDERS: usize = 5_000;
/// Folders that hold no models, or the same files again.
const SKIPPED: [&str; 7] =
    ["blobs", "venv", "node_modules", "custom_nodes", "output", "input", "__pycache__"];
/// What a tokeniser's file is called.
const TOKENIZERS: [&str; 2] = ["spiece.model", "tokenizer.json"];
/// The tokeniser's model as ComfyUI keeps it in the text encoder's file.
const IN_TEXT_ENCODER: &str = "spiece_model";

/// A weights file, or a folder whose shards are one network, with what is in it.
#[derive(Clone, Debug)]
pub struct Unit {
    /// The file or folder, as `Weights::open` takes it.
    pub path: PathBuf,
    /// The networks in it; the reason where it cannot be read.
    pub networks: Result<Vec<Found>, String>,
    /// Whether the text encoder's tokeniser is in it.
    pub has_tokenizer: bool,
}

/// All that some folders hold.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Weights, in the order of the roots.
    pub units: Vec<Unit>,
    /// Folders that hold umT5's tokeniser.
    pub tokenizers: Vec<PathBuf>,
}

/// A part of a model that was found.
#[derive(Clone, Debug)]
pub struct Part {
    /// What it is for.
    pub role: Role,
    /// The file or folder.
    pub path: PathBuf,
    /// What is in it; nothing for a tokeniser's folder.
    pub found: Option<Found>,
}

/// Which parts of a model are there.
#[derive(Clone, Debug, Default)]
pub struct Located {
    /// Parts that are there, complete or not.
    pub parts: Vec<Part>,
    /// Parts that are not there at all.
    pub missing: Vec<Role>,
}

impl Located {
    /// Parts that must be fetched: those not there, and those that lack tensors.
    pub fn wanting(&self) -> Vec<Role> {
        let broken = |part: &&Part| part.found.as_ref().is_some_and(|found| !found.is_complete());
        let broken = self.parts.iter().filter(broken).map(|part| part.role);
        self.missing.iter().copied().chain(broken).collect()
    }
}

impl Inventory {
    /// Looks through folders, or at single files, reading headers only.
    pub fn of(roots: &[PathBuf]) -> Self {
        let mut inventory = Self::default();
        let mut seen = BTreeSet::new();
        for root in roots {
            match root.is_file() {
                true => inventory.units.push(Unit::open(root)),
                false => inventory.search(root, DEPTH, &mut seen),
            }
        }
        inventory
    }

    /// The parts of a model: of several that fit, the first that is complete.
    pub fn locate(&self, model: &Published) -> Located {
        let mut located = Located::default();
        for (role, _) in model.parts {
            match self.part(model, *role) {
                Some(part) => located.parts.push(part),
                None => located.missing.push(*role),
            }
        }
        located
    }

    fn part(&self, model: &Published, role: Role) -> Option<Part> {
        if role == Role::Tokenizer {
            let own = self.tokenizers.first();
            let path = own.or_else(|| Some(&self.units.iter().find(|unit| unit.has_tokenizer)?.path));
            return path.map(|path| Part { role, path: path.clone(), found: None });
        }
        let fitting = || {
            let networks = |unit: &Unit| unit.networks.clone().unwrap_or_default().into_iter();
            let units =
                self.units.iter().flat_map(move |unit| networks(unit).map(move |found| (&unit.path, found)));
            units.filter(|(path, found)| model.takes(role, found.network, path))
        };
        let best = fitting().find(|(_, found)| found.is_complete()).or_else(|| fitting().next());
        best.map(|(path, found)| Part { role, path: path.clone(), found: Some(found) })
    }

    fn search(&mut self, folder: &Path, depth: usize, seen: &mut BTreeSet<PathBuf>) {
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        if seen.len() >= MOST_FOLDERS || !seen.insert(real) {
            return;
        }
        let (folders, files) = entries(folder);
        let shards = files.iter().any(|file| is_shard(file));
        if shards {
            self.units.push(Unit::open(folder));
        }
        let single = files.iter().filter(|file| is_weights(file) && !is_shard(file));
        self.units.extend(single.map(|file| Unit::open(file)));
        if files.iter().any(|file| TOKENIZERS.iter().any(|name| file.ends_with(name))) && speaks_umt5(folder)
        {
            self.tokenizers.push(folder.to_owned());
        }
        if depth > 0 {
            folders.iter().for_each(|inner| self.search(inner, depth - 1, seen));
        }
    }
}

impl Unit {
    fn open(path: &Path) -> Self {
        let weights = Weights::open(path).map_err(|error| error.to_string());
        let has_tokenizer = weights.as_ref().is_ok_and(|weights| weights.contains(IN_TEXT_ENCODER));
        let networks = weights.map(|weights| detect_weights(&weights, path));
        Self { path: path.to_owned(), networks, has_tokenizer }
    }
}

/// Folders and files, each sorted; what is hidden or cannot be read is left out.
fn entries(folder: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let wanted = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !name.starts_with('.') && !SKIPPED.contains(&&*name)
    };
    let (mut folders, mut files): (Vec<_>, Vec<_>) = entries.filter(wanted).partition(|path| path.is_dir());
    folders.sort();
    files.sort();
    (folders, files)
}

fn is_weights(file: &Path) -> bool {
    let extension = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
    matches!(extension, "safetensors" | "sft" | "gguf" | "pth" | "pt" | "bin")
}

/// `name-00001-of-00007.safetensors`, or an index that may name such files.
fn is_shard(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let numbered = name.contains("-of-0") && is_weights(file);
    numbered || name.ends_with(".safetensors.index.json")
}

/// Official folders have `google/umt5-xxl` for text and `xlm-roberta-large` for CLIP; diffusers has `tokenizer`.
fn speaks_umt5(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.contains("umt5") || name == "tokenizer"
}
