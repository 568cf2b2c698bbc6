//! What is said of weight files that are broken, in every kind of file: one line that names the file and the tensor.
#![allow(clippy::unwrap_used)] // a test may stop where it stands

use std::path::{Path, PathBuf};

use lora_edit_model::{ModelError, Weights};

#[path = "support/files.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod files;
use files::{Gguf, Part, fixture, floats, part, write_gguf, write_safetensors, zeros};

fn message<T>(result: Result<T, ModelError>) -> String {
    let message = result.err().expect("no error").to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

/// The message on opening `path` is `path: said`.
fn refused(path: &Path, said: &str) {
    assert_eq!(message(Weights::open(path)), format!("{}: {said}", path.display()));
}

/// The message on reading a tensor is `path: said`, whether as a tensor or by a check of the numbers.
fn unsound(path: &Path, name: &str, shape: &[usize], said: &str) {
    let weights = Weights::open(path).unwrap();
    let expected = format!("{}: tensor {name}{said}", path.display());
    assert_eq!(message(weights.tensor(name, shape)), expected);
}

fn folder() -> (tempfile::TempDir, impl Fn(&str) -> PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    (folder, move |name: &str| root.join(name))
}

fn file(parts: &[Part]) -> (tempfile::TempDir, PathBuf) {
    let (folder, path) = folder();
    let path = path("model.safetensors");
    write_safetensors(&path, parts, &[]);
    (folder, path)
}

fn halves(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|&v| half::bf16::from_f32(v).to_le_bytes()).collect()
}

// shards

/// Two shards with their index: three tensors.
fn shards(path: &impl Fn(&str) -> PathBuf) {
    let (one, two) = ("m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors");
    write_safetensors(&path(one), &[floats("a", &[1], &[1.0])], &[]);
    write_safetensors(&path(two), &[floats("b", &[4], &[2.0; 4]), floats("c", &[2], &[3.0; 2])], &[]);
    let index = serde_json::json!({"weight_map": {"a": one, "b": two, "c": two}});
    std::fs::write(path("m.safetensors.index.json"), index.to_string()).unwrap();
}

#[test]
fn a_missing_shard_is_named_with_what_should_be_in_it() {
    let (folder, path) = folder();
    shards(&path);
    let lost = path("m-00002-of-00002.safetensors");
    std::fs::remove_file(&lost).unwrap();
    let expected =
        format!("{}: missing, but m.safetensors.index.json names it for tensor b and 1 more", lost.display());
    assert_eq!(message(Weights::open(folder.path())), expected);
}

#[test]
fn a_truncated_shard_is_named_with_the_first_tensor_that_is_cut() {
    let (folder, path) = folder();
    shards(&path);
    let cut = path("m-00002-of-00002.safetensors");
    let whole = std::fs::read(&cut).unwrap();
    for (less, said) in [
        (3, "cut short: tensor c ends at byte 24 of the tensors, 21 are there"),
        (20, "cut short: tensor b ends at byte 16 of the tensors, 4 are there"),
        (30, "not a safetensors file, or cut short in its header"),
    ] {
        std::fs::write(&cut, &whole[..whole.len() - less]).unwrap();
        let expected = format!("{}: {said}", cut.display());
        assert_eq!(message(Weights::open(folder.path())), expected);
    }
}

#[test]
fn a_shard_that_lacks_what_its_index_promises_is_an_error_where_it_is_read() {
    let (folder, path) = folder();
    shards(&path);
    write_safetensors(&path("m-00002-of-00002.safetensors"), &[floats("b", &[4], &[2.0; 4])], &[]);
    let weights = Weights::open(folder.path()).unwrap();
    assert_eq!(message(weights.tensor("c", &[2])), format!("{}: no tensor c", folder.path().display()));
}

#[test]
fn a_truncated_gguf_file_is_named_with_the_tensor_that_is_cut() {
    let (_folder, path) = folder();
    let path = path("model.gguf");
    let patch = Gguf::floats("patch_embedding.weight", &[2, 3, 1, 2, 2], &[0.5; 24]);
    write_gguf(&path, &[Gguf::floats("a", &[8], &[1.0; 8]), patch]);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 4]).unwrap();
    refused(&path, "cut short: tensor patch_embedding.weight ends after the file");
    std::fs::write(&path, &whole[..60]).unwrap();
    refused(&path, "cut short in its GGUF header");
}

// shapes

#[test]
fn a_wrong_shape_is_named_with_both_shapes_in_every_kind_of_file() {
    let (_folder, path) = file(&[floats("a", &[2, 2], &[0.0; 4])]);
    unsound(&path, "a", &[4, 1], " is [2, 2], expected [4, 1]");
    unsound(&fixture("blocks.gguf"), "Q4_0.weight", &[512, 3], " is [3, 512], expected [512, 3]");
    let patch = "patch_embedding.weight";
    unsound(&fixture("blocks.gguf"), patch, &[4, 24], " is [4, 6, 1, 2, 2], expected [4, 24]");
    unsound(&fixture("plain.pth"), "f32", &[3, 2], " is [2, 3], expected [3, 2]");
}

#[test]
fn a_header_that_contradicts_itself_is_refused_with_the_tensor() {
    let (_folder, path) = file(&[part("a", "F32", &[3], vec![0; 8])]);
    refused(&path, "tensor a, F32 [3], cannot be 8 bytes");
    let (_folder, path) = folder();
    let path = path("model.gguf");
    let nine = Gguf { name: "a".into(), shape: vec![1; 9], kind: 0, bytes: vec![0; 4] };
    write_gguf(&path, &[nine]);
    refused(&path, "tensor a has 9 dimensions");
    let odd = Gguf { name: "a".into(), shape: vec![2, 31], kind: 8, bytes: vec![0; 68] };
    write_gguf(&path, &[odd]);
    refused(&path, "tensor a, Q8_0 [2, 31], is no whole number of blocks");
}

// number formats

#[test]
fn unknown_quantisations_are_refused_by_name() {
    let json = br#"{"format": "nvfp4"}"#.to_vec();
    let parts = [
        part("q.comfy_quant", "U8", &[json.len()], json),
        zeros("q.weight", "U8", 1, &[2, 2]),
        floats("q.weight_scale", &[], &[1.0]),
    ];
    let (_folder, path) = file(&parts);
    unsound(&path, "q.weight", &[2, 2], ": quantisation nvfp4 is not supported");
    let (_folder, path) = file(&[zeros("q.weight", "F8_E8M0", 1, &[2, 2])]);
    unsound(&path, "q.weight", &[2, 2], ": type F8_E8M0 is not supported");
    unsound(&fixture("blocks.gguf"), "unknown.weight", &[1, 256], ": type IQ4_XS is not supported");
    unsound(&fixture("plain.pth"), "ids", &[4], ": type long is not supported");
}

#[test]
fn scaled_fp8_of_both_kinds_and_ages_is_read_or_lacks_its_scale() {
    for (dtype, name, ones) in [("F8_E4M3", "fp8_e4m3", 0x38), ("F8_E5M2", "fp8_e5m2", 0x3c)] {
        let weight = || part("q.weight", dtype, &[2, 3], vec![ones; 6]);
        let marker = || zeros("scaled_fp8", dtype, 1, &[2]);
        let json = format!(
            r#"{{"format": "{}"}}"#,
            if dtype == "F8_E4M3" { "float8_e4m3fn" } else { "float8_e5m2" }
        );
        let layer = || part("q.comfy_quant", "U8", &[json.len()], json.clone().into_bytes());
        let old = [marker(), weight(), floats("q.scale_weight", &[1], &[0.25])];
        let new = [layer(), weight(), floats("q.weight_scale", &[2, 1], &[0.25; 2])];
        for parts in [&old[..], &new] {
            let (_folder, path) = file(parts);
            let tensor = Weights::open(&path).unwrap().tensor("q.weight", &[2, 3]).unwrap();
            assert_eq!(tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [0.25; 6], "{dtype}");
        }
        for parts in [[marker(), weight()], [layer(), weight()]] {
            let (_folder, path) = file(&parts);
            let said = format!(": {name} without its scale (q.scale_weight or weight_scale)");
            unsound(&path, "q.weight", &[2, 3], &said);
        }
        let (_folder, path) = file(&[marker(), weight(), floats("q.scale_weight", &[1], &[f32::NAN])]);
        unsound(&path, "q.weight", &[2, 3], ": q.scale_weight is not finite");
    }
}

// code

#[test]
fn a_torch_file_that_holds_code_is_refused_and_not_executed() {
    refused(
        &fixture("code.pth"),
        "refused: it names `posix.system`, which is no part of a tensor and might run code",
    );
    assert!(!Path::new("executed").exists());
}

// NaN

/// A copy of `plain.pth` with the first number of its f32 tensor replaced.
fn torch_with_nan(path: &Path) {
    let mut bytes = std::fs::read(fixture("plain.pth")).unwrap();
    let numbers: Vec<u8> = [-0.875f32, -0.75, -0.625].iter().flat_map(|v| v.to_le_bytes()).collect();
    let at = bytes.windows(12).position(|window| window == numbers).unwrap();
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn numbers_that_are_not_finite_are_named_in_every_kind_of_file() {
    let said = |at: usize| format!(": number {at} is NaN or infinite");
    for (dtype, width, bytes) in [
        ("F32", 4, [1.0f32, f32::NAN].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()),
        ("BF16", 2, halves(&[1.0, f32::NEG_INFINITY])),
        ("F16", 2, vec![0, 0x3c, 0, 0x7e]),
        ("F8_E4M3", 1, vec![0x38, 0x7f]),
        ("F8_E5M2", 1, vec![0x38, 0x7c]),
    ] {
        assert_eq!(bytes.len(), 2 * width);
        let (_folder, path) = file(&[part("a", dtype, &[2], bytes)]);
        unsound(&path, "a", &[2], &said(1));
        assert!(message(Weights::open(&path).unwrap().verify()).contains("tensor a: number 1"), "{dtype}");
    }
    let (_folder, path) = folder();
    let gguf = path("model.gguf");
    // A block of Q8_0: its scale, a NaN in f16, and 32 numbers.
    let mut block = vec![1u8; 34];
    block[..2].copy_from_slice(&half::f16::NAN.to_le_bytes());
    let sound = [&half::f16::ONE.to_le_bytes()[..], &[1u8; 32]].concat();
    write_gguf(
        &gguf,
        &[
            Gguf { name: "q.weight".into(), shape: vec![2, 32], kind: 8, bytes: [sound, block].concat() },
            Gguf::floats("patch.weight", &[1, 1, 1, 1, 2], &[0.0, f32::INFINITY]),
        ],
    );
    unsound(&gguf, "q.weight", &[2, 32], &said(32));
    unsound(&gguf, "patch.weight", &[1, 1, 1, 1, 2], &said(1));
    let torch = path("nan.pth");
    torch_with_nan(&torch);
    unsound(&torch, "f32", &[2, 3], &said(0));
}
