//! Where base models are found, and what tells two apart.
#![allow(clippy::unwrap_used)] // helpers of tests may panic too

use lora_edit_shot::base::{self, BaseError};
use std::path::{Path, PathBuf};

fn put(root: &Path, relative: &str, bytes: &[u8]) {
    let path = root.join(relative);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn model(root: &Path, folder: &str) -> PathBuf {
    put(root, &format!("{folder}/transformer/config.json"), b"{}");
    put(root, &format!("{folder}/transformer/model.safetensors"), b"weights");
    put(root, &format!("{folder}/vae/config.json"), b"{}");
    root.join(folder)
}

#[test]
fn the_bundle_and_the_development_tree_are_known() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("X.ofx.bundle/Contents/Linux-x86-64");
    std::fs::create_dir_all(&program).unwrap();
    let in_bundle = model(dir.path(), "X.ofx.bundle/Contents/Resources/models/nano");
    let find = |name: &str| base::find_beside(name, None, Some(&program));
    let same = |a: &Path, b: &Path| a.canonicalize().unwrap() == b.canonicalize().unwrap();
    assert!(same(&find("nano").unwrap().folder, &in_bundle));
    let in_tree = model(dir.path(), "bundle/models/micro");
    assert!(same(&find("micro").unwrap().folder, &in_tree));
    let names: Vec<String> = base::list(None, Some(&program)).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["nano", "micro"]);
}

#[test]
fn the_users_folder_goes_first_and_may_be_the_model_itself() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("target/debug");
    model(dir.path(), "bundle/models/nano");
    let own = model(dir.path(), "mine/nano");
    let find = |folder: &Path| base::find_beside("nano", Some(folder), Some(&program)).unwrap().folder;
    assert_eq!(find(&dir.path().join("mine")), own);
    assert_eq!(find(&own), own);
    assert_eq!(find(&dir.path().join("nothing here")), dir.path().join("bundle/models/nano"));
    assert_eq!(find(Path::new("")), dir.path().join("bundle/models/nano"));
}

#[test]
fn a_missing_model_says_where_it_was_sought() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("models/nano/vae")).unwrap();
    let error = base::find_beside("nano", Some(&dir.path().join("models")), None).unwrap_err();
    assert!(matches!(&error, BaseError::Missing { name, .. } if name == "nano"), "a folder without weights");
    let text = error.to_string();
    assert!(text.contains("'nano'") && text.contains("models/nano") && text.lines().count() == 1, "{text}");
}

#[test]
fn the_fingerprint_covers_weights_and_configuration_only() {
    let dir = tempfile::tempdir().unwrap();
    let folder = model(dir.path(), "nano");
    let fingerprint = || base::open("nano", &folder).unwrap().fingerprint;
    let first = fingerprint();
    put(&folder, "README.md", b"card");
    put(&folder, ".cache/x.safetensors", b"hidden");
    assert_eq!(fingerprint(), first);
    let elsewhere = tempfile::tempdir().unwrap();
    assert_eq!(base::open("other name", &model(elsewhere.path(), "b")).unwrap().fingerprint, first);
    put(&folder, "vae/config.json", b"{ }");
    let second = fingerprint();
    assert_ne!(second, first);
    put(&folder, "transformer/model.safetensors", b"weightz");
    assert_ne!(fingerprint(), second);
}

#[test]
fn an_unreadable_folder_is_named() {
    let error = base::open("nano", Path::new("/no/such/model")).unwrap_err();
    assert!(error.to_string().contains("/no/such/model"), "{error}");
}

#[test]
fn parts_are_known_by_their_content_in_any_layout() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    put(one.path(), "diffusion_models/wan-00001-of-00002.safetensors", b"first");
    put(one.path(), "diffusion_models/wan-00002-of-00002.safetensors", b"second");
    put(one.path(), "diffusion_models/Wan2.1_VAE.pth", b"official folders have encoders beside the shards");
    put(one.path(), "vae/wan_2.1_vae.safetensors", b"vae");
    put(other.path(), "transformer/model-00001-of-00002.safetensors", b"first");
    put(other.path(), "transformer/model-00002-of-00002.safetensors", b"second");
    put(other.path(), "transformer/config.json", b"{}");
    put(other.path(), "vae.safetensors", b"vae");
    let fingerprint = |root: &Path, transformer: &str, vae: &str| {
        let (transformer, vae) = (root.join(transformer), root.join(vae));
        base::fingerprint_of_parts(&[("transformer", &transformer), ("vae", &vae)]).unwrap()
    };
    let first = fingerprint(one.path(), "diffusion_models", "vae/wan_2.1_vae.safetensors");
    assert_eq!(fingerprint(other.path(), "transformer", "vae.safetensors"), first);
    put(other.path(), "transformer/model-00002-of-00002.safetensors", b"secund");
    assert_ne!(fingerprint(other.path(), "transformer", "vae.safetensors"), first);
    let absent = base::fingerprint_of_parts(&[("vae", &one.path().join("absent"))]).unwrap_err();
    assert!(absent.to_string().contains("absent"), "{absent}");
}
