//! The house's rules (ARCHITECTURE.md), stated where they can fail: which room may use which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

mod metadata;

/// Room -> every room of ours that it may name. What is not listed is forbidden.
const ROOMS: &[(&str, &[&str])] = &[
    ("openfx-sys", &[]),
    ("ofx", &["openfx-sys"]),
    ("ofx-host", &["openfx-sys"]),
    ("lora-edit-store", &[]),
    ("lora-edit-shot", &["lora-edit-store"]),
    ("lora-edit-motion", &["lora-edit-shot"]),
    ("lora-edit-model", &[]),
    ("lora-edit-adapt", &["lora-edit-model"]),
    (
        "lora-edit-pipeline",
        &["lora-edit-adapt", "lora-edit-model", "lora-edit-motion", "lora-edit-shot", "lora-edit-store"],
    ),
    (
        "lora-edit-engine",
        &["lora-edit-pipeline", "lora-edit-adapt", "lora-edit-model", "lora-edit-shot", "lora-edit-store"],
    ),
    ("lora-edit-ofx", &["ofx", "lora-edit-shot", "lora-edit-store"]),
    ("xtask", &["lora-edit-motion", "lora-edit-shot"]),
    ("lora-edit-bench", &["lora-edit-model", "lora-edit-adapt"]),
];

#[test]
fn every_room_uses_only_the_rooms_below_it() {
    let packages = metadata::workspace_packages();
    let ours: BTreeSet<&str> = packages.keys().map(String::as_str).collect();
    let rules: BTreeMap<_, _> = ROOMS.iter().copied().collect();
    for (name, dependencies) in &packages {
        let allowed = rules.get(name.as_str()).unwrap_or_else(|| panic!("{name} has no row in ROOMS"));
        for dependency in dependencies.iter().filter(|d| ours.contains(d.as_str())) {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not use {dependency}");
        }
    }
}

#[test]
fn tensors_stay_in_their_tower() {
    let tensor_tower = ["lora-edit-model", "lora-edit-adapt", "lora-edit-pipeline", "lora-edit-bench"];
    for (name, dependencies) in metadata::workspace_packages() {
        let uses_candle = dependencies.iter().any(|d| d.starts_with("candle"));
        assert!(!uses_candle || tensor_tower.contains(&name.as_str()), "{name} must not know candle");
    }
    let plugin = metadata::transitive("lora-edit-ofx");
    assert!(
        !plugin.iter().any(|d| d.starts_with("candle") || d == "gemm"),
        "the plug-in links tensors: {plugin:?}"
    );
}

#[test]
fn unsafe_is_forbidden_where_it_has_no_business() {
    let forbidden = [
        "crates/shot/src/lib.rs",
        "crates/motion/src/lib.rs",
        "crates/store/src/lib.rs",
        "crates/adapt/src/lib.rs",
        "crates/pipeline/src/lib.rs",
        "crates/engine/src/main.rs",
        "xtask/src/main.rs",
        "benchmarks/src/main.rs",
    ];
    for file in forbidden {
        assert!(source(file).contains("#![forbid(unsafe_code)]"), "{file} must forbid unsafe code");
    }
    for file in ["src/lib.rs", "crates/model/src/lib.rs"] {
        assert!(source(file).contains("#![deny(unsafe_code)]"), "{file} must deny unsafe code");
    }
}

#[test]
fn only_one_file_joins_host_images_and_frames() {
    let naming: Vec<PathBuf> = rust_files(&root().join("src"))
        .into_iter()
        .filter(|file| names_host_image(&std::fs::read_to_string(file).expect("readable source")))
        .collect();
    assert!(
        matches!(&naming[..], [file] if file.ends_with("frames.rs")),
        "host images are named in {naming:?}"
    );
}

/// Whether a line of code (comments left out) has the word `Image` or `ImageMut`.
fn names_host_image(source: &str) -> bool {
    let code = source.lines().map(|line| line.split("//").next().unwrap_or_default());
    let mut words = code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
    words.any(|word| word == "Image" || word == "ImageMut")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn source(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("readable folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}
