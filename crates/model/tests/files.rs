//! Every kind of weights file that people have, and what is said of those that cannot be read.
#![allow(clippy::unwrap_used)] // a test may stop where it stands

use std::path::Path;

use lora_edit_model::{ModelError, Weights};

#[path = "support/files.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod files;
use files::{Part, fixture, floats, part, write_safetensors, zeros};

fn values(weights: &Weights, name: &str, shape: &[usize]) -> Vec<f32> {
    weights.tensor(name, shape).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// What `make_files.py` calls a ramp: multiples of 1/8.
fn ramp(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i % 15) as f32 / 8.0 - 0.875).collect()
}

fn message<T>(result: Result<T, ModelError>) -> String {
    let message = result.err().expect("no error").to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

fn opened(parts: &[Part], metadata: &[(&str, &str)]) -> (tempfile::TempDir, Weights) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    write_safetensors(&path, parts, metadata);
    let weights = Weights::open(&path).unwrap();
    (folder, weights)
}

// safetensors

#[test]
fn plain_types_become_f32() {
    let numbers = [1.0f32, -2.5, 0.15625, 65504.0];
    let parts = [
        floats("f32", &[4], &numbers),
        part("f64", "F64", &[4], numbers.iter().flat_map(|&v| f64::from(v).to_le_bytes()).collect()),
        part(
            "f16",
            "F16",
            &[4],
            numbers.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect(),
        ),
        part(
            "bf16",
            "BF16",
            &[3],
            numbers[..3].iter().flat_map(|&v| half::bf16::from_f32(v).to_le_bytes()).collect(),
        ),
        part("e5m2", "F8_E5M2", &[3], vec![0x3c, 0xc1, 0x31]),
        part("e4m3", "F8_E4M3", &[3], vec![0x38, 0xc2, 0x22]),
    ];
    let (_folder, weights) = opened(&parts, &[]);
    for name in ["f32", "f64", "f16"] {
        assert_eq!(values(&weights, name, &[4]), numbers, "{name}");
    }
    for name in ["bf16", "e5m2", "e4m3"] {
        assert_eq!(values(&weights, name, &[3]), numbers[..3], "{name}");
    }
}

#[test]
fn rows_of_a_stored_matrix_are_those_of_the_tensor() {
    let numbers: Vec<f32> = (0..6000).map(|i| (i as f32 - 2999.0) / 64.0).collect();
    let halves = |bits: fn(f32) -> [u8; 2]| numbers.iter().flat_map(|&v| bits(v)).collect::<Vec<u8>>();
    let parts = [
        floats("f32", &[10, 600], &numbers),
        part("f16", "F16", &[10, 600], halves(|v| half::f16::from_f32(v).to_le_bytes())),
        part("bf16", "BF16", &[10, 600], halves(|v| half::bf16::from_f32(v).to_le_bytes())),
        part("fp8_e4m3", "F8_E4M3", &[10, 600], (0..6000).map(|i| (i % 0x7f) as u8).collect()),
    ];
    let (_folder, weights) = opened(&parts, &[]);
    for name in ["f32", "f16", "bf16", "fp8_e4m3"] {
        let stored = weights.stored(name, [10, 600]).unwrap();
        assert_eq!((stored.format(), stored.shape()), (name, [10, 600]));
        let all = values(&weights, name, &[10, 600]);
        let mut rows = vec![0.0; 3 * 600];
        stored.widen(4..7, &mut rows);
        assert_eq!(rows, all[4 * 600..7 * 600], "{name}");
    }
    assert_eq!(weights.stored("bf16", [10, 600]).unwrap().bytes(), 12_000);
}

#[test]
fn prefixes_of_repackaged_checkpoints_are_dropped() {
    for prefix in ["model.diffusion_model.", "diffusion_model.", "first_stage_model.", "model.", ""] {
        let parts = [
            floats(&format!("{prefix}head.bias"), &[1], &[3.0]),
            floats(&format!("{prefix}x"), &[1], &[4.0]),
        ];
        let (_folder, weights) = opened(&parts, &[]);
        assert_eq!(values(&weights, "head.bias", &[1]), [3.0], "{prefix}");
    }
    let parts = [floats("model.x", &[1], &[3.0]), floats("other", &[1], &[4.0])];
    assert!(opened(&parts, &[]).1.contains("model.x"), "a prefix that only some names have is part of them");
}

// fp8 with scales

#[test]
fn old_scaled_fp8_is_multiplied_by_its_scale() {
    let parts = [
        zeros("diffusion_model.scaled_fp8", "F8_E4M3", 1, &[2]),
        part("diffusion_model.ffn.0.weight", "F8_E4M3", &[2, 2], vec![0x38, 0xc2, 0x22, 0x00]),
        floats("diffusion_model.ffn.0.scale_weight", &[], &[0.5]),
        floats("diffusion_model.ffn.0.scale_input", &[], &[7.0]),
        floats("diffusion_model.ffn.0.bias", &[2], &[1.0, 2.0]),
    ];
    let (_folder, weights) = opened(&parts, &[]);
    assert_eq!(values(&weights, "ffn.0.weight", &[2, 2]), [0.5, -1.25, 0.078125, 0.0]);
    assert_eq!(values(&weights, "ffn.0.bias", &[2]), [1.0, 2.0]);
    assert_eq!(weights.tensor_names().collect::<Vec<_>>(), ["ffn.0.bias", "ffn.0.weight"]);
    let stored = weights.stored("ffn.0.weight", [2, 2]).unwrap();
    let mut row = [0.0; 2];
    stored.widen(1..2, &mut row);
    assert_eq!((stored.format(), row), ("fp8_e4m3 scaled", [0.078125, 0.0]));
}

#[test]
fn new_scaled_fp8_is_read_from_tensors_and_from_the_header() {
    let weight = || part("ffn.0.weight", "F8_E5M2", &[2, 2], vec![0x3c, 0xc1, 0x31, 0x00]);
    let by_row = || floats("ffn.0.weight_scale", &[2, 1], &[2.0, 4.0]);
    let json = br#"{"format": "float8_e5m2"}"#.to_vec();
    let in_tensor = part("ffn.0.comfy_quant", "U8", &[json.len()], json);
    let layers = r#"{"format_version": "1.0", "layers": {"ffn.0": {"format": "float8_e5m2"}}}"#;
    let made = [
        opened(&[weight(), by_row(), in_tensor], &[]),
        opened(&[weight(), by_row()], &[("_quantization_metadata", layers)]),
    ];
    for (_folder, weights) in made {
        assert_eq!(values(&weights, "ffn.0.weight", &[2, 2]), [2.0, -5.0, 0.625, 0.0]);
        assert_eq!(weights.stored("ffn.0.weight", [2, 2]).unwrap().format(), "fp8_e5m2 scaled");
    }
}

#[test]
fn fp8_without_its_scale_is_refused() {
    let weight = || part("ffn.0.weight", "F8_E4M3", &[1, 2], vec![0x38, 0x38]);
    let old = [zeros("scaled_fp8", "F8_E4M3", 1, &[0]), weight()];
    let json = br#"{"format": "float8_e4m3fn"}"#.to_vec();
    let new = [part("ffn.0.comfy_quant", "U8", &[json.len()], json), weight()];
    for parts in [old, new] {
        let (_folder, weights) = opened(&parts, &[]);
        let error = message(weights.tensor("ffn.0.weight", &[1, 2]));
        assert!(
            error.contains("model.safetensors: tensor ffn.0.weight: fp8_e4m3 without its scale"),
            "{error}"
        );
        assert_eq!(message(weights.stored("ffn.0.weight", [1, 2])), error);
    }
}

#[test]
fn quantisations_that_are_not_known_are_refused_by_name() {
    for (json, dtype, expected) in [
        (r#"{"format": "nvfp4"}"#, "U8", "quantisation nvfp4 is not supported"),
        (
            r#"{"format": "int8_tensorwise", "convrot": true}"#,
            "I8",
            "quantisation int8_tensorwise is not supported",
        ),
        (r#"{"format": "float8_e4m3fn", "convrot": true}"#, "F8_E4M3", "float8_e4m3fn with convrot"),
        (r#"{"format": "float8_e4m3fn"}"#, "F8_E5M2", "said to be float8_e4m3fn, but stored as fp8_e5m2"),
    ] {
        let parts = [
            part("q.comfy_quant", "U8", &[json.len()], json.as_bytes().to_vec()),
            zeros("q.weight", dtype, 1, &[2, 2]),
            floats("q.weight_scale", &[], &[1.0]),
        ];
        let (_folder, weights) = opened(&parts, &[]);
        let error = message(weights.tensor("q.weight", &[2, 2]));
        assert!(error.contains(expected) && error.contains("tensor q.weight"), "{error}");
        assert!(weights.tensors().any(|tensor| tensor.unreadable.is_some()));
    }
    let parts = [
        part("q.weight", "F8_E4M3", &[4, 4], vec![0x38; 16]),
        floats("q.scale_weight", &[4, 2, 1], &[1.0; 8]),
        zeros("ids", "I64", 8, &[2]),
    ];
    let (_folder, weights) = opened(&parts, &[]);
    let error = message(weights.tensor("q.weight", &[4, 4]));
    assert!(
        error.contains("q.scale_weight of shape [4, 2, 1] for a weight of [4, 4] is not supported"),
        "{error}"
    );
    assert!(message(weights.tensor("ids", &[2])).contains("tensor ids: type I64 is not supported"));
}

// folders

fn shards(folder: &Path) {
    write_safetensors(&folder.join("m-00001-of-00002.safetensors"), &[floats("a", &[1], &[1.0])], &[]);
    write_safetensors(&folder.join("m-00002-of-00002.safetensors"), &[floats("b", &[1], &[2.0])], &[]);
}

#[test]
fn the_index_decides_which_files_belong() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    shards(folder.path());
    write_safetensors(&path("stray.safetensors"), &[floats("a", &[1], &[9.0])], &[]);
    let index = r#"{"metadata": {}, "weight_map": {"a": "m-00001-of-00002.safetensors", "b": "m-00002-of-00002.safetensors"}}"#;
    std::fs::write(path("m.safetensors.index.json"), index).unwrap();
    let weights = Weights::open(folder.path()).unwrap();
    assert_eq!((values(&weights, "a", &[1]), values(&weights, "b", &[1])), (vec![1.0], vec![2.0]));

    std::fs::remove_file(path("m-00002-of-00002.safetensors")).unwrap();
    let expected = format!(
        "{}: missing, but m.safetensors.index.json names it for tensor b",
        path("m-00002-of-00002.safetensors").display()
    );
    assert_eq!(message(Weights::open(folder.path())), expected);

    std::fs::write(path("m.safetensors.index.json"), r#"{"weight_map": {"a": "../secret"}}"#).unwrap();
    assert!(message(Weights::open(folder.path())).contains("names a file outside its folder: ../secret"));
}

#[test]
fn a_missing_shard_is_named_without_an_index_too() {
    let folder = tempfile::tempdir().unwrap();
    shards(folder.path());
    assert_eq!(Weights::open(folder.path()).unwrap().tensor_names().count(), 2);
    std::fs::remove_file(folder.path().join("m-00001-of-00002.safetensors")).unwrap();
    let error = message(Weights::open(folder.path()));
    assert!(
        error.contains("m-00001-of-00002.safetensors: missing, but m-00002-of-00002.safetensors is one of 2"),
        "{error}"
    );
}

#[test]
fn the_variant_without_a_name_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let write =
        |name: &str, value| write_safetensors(&folder.path().join(name), &[floats("a", &[1], &[value])], &[]);
    write("model.fp16.safetensors", 1.0);
    assert_eq!(values(&Weights::open(folder.path()).unwrap(), "a", &[1]), [1.0]);
    write("model.safetensors", 2.0);
    write("model.bf16-00001-of-00001.safetensors", 3.0);
    assert_eq!(values(&Weights::open(folder.path()).unwrap(), "a", &[1]), [2.0]);
    write("other.safetensors", 4.0);
    assert!(message(Weights::open(folder.path())).contains("tensor a is there twice"));
}

#[test]
fn a_file_that_is_cut_short_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["model.safetensors", "blocks.gguf", "plain.pth"] {
        let path = folder.path().join(name);
        let whole = match name {
            "model.safetensors" => {
                write_safetensors(&path, &[floats("a", &[64], &[1.0; 64])], &[]);
                std::fs::read(&path).unwrap()
            }
            name => std::fs::read(fixture(name)).unwrap(),
        };
        for kept in [0, 3, 12, whole.len() / 4, whole.len() / 2, whole.len() - 40] {
            std::fs::write(&path, &whole[..kept]).unwrap();
            let error = message(Weights::open(&path));
            assert!(error.contains(name), "{name} cut to {kept}: {error}");
        }
    }
}

// GGUF

#[test]
fn every_block_format_is_decoded_as_by_the_gguf_package() {
    let weights = Weights::open(&fixture("blocks.gguf")).unwrap();
    let expected = Weights::open(&fixture("blocks.safetensors")).unwrap();
    let mut formats = Vec::new();
    for tensor in expected.tensors() {
        let (ours, theirs) =
            (values(&weights, tensor.name, tensor.shape), values(&expected, tensor.name, tensor.shape));
        let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let largest = theirs.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        assert!(worst <= 1e-6 * largest, "{}: {worst} of {largest}", tensor.name);
        if let [rows, columns] = *tensor.shape {
            let stored = weights.stored(tensor.name, [rows, columns]).unwrap();
            let mut last = vec![0.0; columns];
            stored.widen(rows - 1..rows, &mut last);
            assert_eq!(last, ours[(rows - 1) * columns..], "{}", tensor.name);
            formats.push(stored.format());
        }
    }
    formats.sort_unstable();
    let all = [
        "Q2_K", "Q3_K", "Q4_0", "Q4_1", "Q4_K", "Q5_0", "Q5_1", "Q5_K", "Q6_K", "Q8_0", "bf16", "f16", "f32",
        "f32",
    ];
    assert_eq!(formats, all, "the reshaped tensor is decoded at once");
    assert_eq!(weights.shape("patch_embedding.weight"), Some(&[4, 6, 1, 2, 2][..]));
    assert_eq!(weights.shape("reshaped.weight"), Some(&[16, 48][..]));
}

#[test]
fn a_block_format_that_is_not_known_is_refused_by_name() {
    let weights = Weights::open(&fixture("blocks.gguf")).unwrap();
    let error = message(weights.tensor("unknown.weight", &[1, 256]));
    assert!(error.ends_with("blocks.gguf: tensor unknown.weight: type IQ4_XS is not supported"), "{error}");
}

// .pth

#[test]
fn torch_files_are_read() {
    let weights = Weights::open(&fixture("plain.pth")).unwrap();
    assert_eq!(values(&weights, "f32", &[2, 3]), ramp(6));
    assert_eq!(values(&weights, "f16", &[5]), ramp(5));
    assert_eq!(values(&weights, "bf16", &[4, 4]), ramp(16));
    assert_eq!(values(&weights, "scalar", &[]), [0.5]);
    assert_eq!(values(&weights, "parameter", &[3]), ramp(3));
    assert_eq!(weights.stored("bf16", [4, 4]).unwrap().format(), "bf16");
    assert!(message(weights.tensor("ids", &[4])).contains("type long is not supported"));
    let nested = Weights::open(&fixture("nested.pth")).unwrap();
    assert_eq!(values(&nested, "weight", &[2, 2]), ramp(4));
    let fp8 = Weights::open(&fixture("fp8.pth")).unwrap();
    assert_eq!(values(&fp8, "e4m3", &[2, 3]), ramp(6));
    assert_eq!(values(&fp8, "e5m2", &[3]), [0.5; 3]);
}

#[test]
fn views_of_larger_tensors_are_read() {
    let weights = Weights::open(&fixture("transposed.pth")).unwrap();
    let whole = ramp(24);
    assert_eq!(values(&weights, "whole", &[4, 6]), whole);
    let turned: Vec<f32> = (0..6)
        .flat_map(|row| (0..4).map(move |column| (column, row)))
        .map(|(r, c)| whole[r * 6 + c])
        .collect();
    assert_eq!(values(&weights, "turned", &[6, 4]), turned);
    assert_eq!(
        values(&weights, "part", &[2, 3]),
        [whole[8], whole[9], whole[10], whole[14], whole[15], whole[16]]
    );
    let mut row = [0.0; 4];
    weights.stored("turned", [6, 4]).unwrap().widen(1..2, &mut row);
    assert_eq!(row, turned[4..8]);
}

#[test]
fn a_torch_file_that_holds_code_is_refused() {
    let error = message(Weights::open(&fixture("code.pth")));
    assert!(error.contains("code.pth: refused: it names `posix.system`"), "{error}");
    assert!(!Path::new("executed").exists());
    let error = message(Weights::open(&fixture("legacy.pth")));
    assert!(error.contains("legacy.pth: not a zip archive"), "{error}");
}

/// Wraps a pickle as torch does, without its checksums, which nobody looks at.
fn pth_of(program: &[u8]) -> Vec<u8> {
    let whole = std::fs::read(fixture("nested.pth")).unwrap();
    let name = b"nested/data.pkl";
    let at = whole.windows(name.len()).position(|window| window == name).unwrap();
    // The program lies after the local header and its padding; what is longer than the old one does not fit.
    let start = at + whole[at..].iter().position(|&byte| byte == 0x80).unwrap();
    let mut made = whole;
    made[start..start + program.len()].copy_from_slice(program);
    made
}

#[test]
fn a_pickle_that_nests_or_calls_is_refused_without_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.pth");
    for (program, expected) in [
        (&b"\x80\x02cbuiltins\neval\nX\x01\0\0\x001\x85R."[..], "`builtins.eval`"),
        (b"\x80\x02ctorch.serialization\nload\n.", "`torch.serialization.load`"),
        (b"\x80\x02\x8c\x02os\x8c\x06system\x93.", "`os.system`"),
        (
            b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
            "broken arguments of torch._utils._rebuild_tensor_v2",
        ),
        (b"\x80\x02ctorch\nFloatStorage\n)R.", "refused: it calls torch.FloatStorage"),
        (b"\x80\x02cos\nsystem\n.", "`os.system`"),
        (b"\x80\x02i", "pickle operation 0x69"),
        (b"\x80\x02t.", "a broken pickle"),
        (b"\x80\x02)\x85\x85\x85\x85.", "it holds no dict of tensors"),
    ] {
        std::fs::write(&path, pth_of(program)).unwrap();
        let error = message(Weights::open(&path));
        assert!(error.contains(expected), "{error}");
    }
}

/// A corpus that must not panic: every file kind, with bytes changed by a fixed sequence.
#[test]
fn damaged_files_are_errors_or_numbers_but_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = 1u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    for name in ["blocks.gguf", "plain.pth", "transposed.pth", "fp8.pth", "samplers.safetensors"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        let path = folder.path().join(name);
        let mut refused = 0;
        for _ in 0..200 {
            let mut damaged = whole.clone();
            for _ in 0..1 + random(4) {
                let at = random(damaged.len().min(4000));
                damaged[at] = random(256) as u8;
            }
            std::fs::write(&path, damaged).unwrap();
            match Weights::open(&path) {
                Err(_) => refused += 1,
                Ok(weights) => weights.tensors().for_each(|tensor| {
                    let _ = weights.tensor(tensor.name, tensor.shape);
                }),
            }
        }
        assert!(refused > 0, "{name}: no damage was noticed");
    }
}

// numbers

#[test]
fn numbers_that_are_not_finite_are_an_error_that_names_file_and_tensor() {
    let halves =
        [1.0f32, f32::NAN, 2.0, 3.0].iter().flat_map(|&v| half::bf16::from_f32(v).to_le_bytes()).collect();
    let parts = [
        floats("fine", &[2], &[1.0, 2.0]),
        part("bf16", "BF16", &[2, 2], halves),
        part("e4m3", "F8_E4M3", &[1, 3], vec![0, 0, 0xff]),
        floats("infinite", &[1], &[f32::INFINITY]),
    ];
    let (_folder, weights) = opened(&parts, &[]);
    weights.check_finite("fine").unwrap();
    for (name, shape, at) in [("bf16", &[2, 2][..], 1), ("e4m3", &[1, 3], 2), ("infinite", &[1], 0)] {
        let error = message(weights.tensor(name, shape));
        let expected = format!("model.safetensors: tensor {name}: number {at} is NaN or infinite");
        assert!(error.ends_with(&expected), "{error}");
        assert_eq!(message(weights.check_finite(name)), error);
    }
    assert!(message(weights.verify()).contains("tensor bf16: number 1"));
    assert!(weights.stored("bf16", [2, 2]).is_ok(), "stored matrices are checked by verify alone");
}

#[test]
fn made_up_weights_are_the_same_for_tensors_and_stored_matrices() {
    let weights = Weights::random(3);
    let all = values(&weights, "a", &[4, 16]);
    let mut rows = [0.0; 32];
    weights.stored("a", [4, 16]).unwrap().widen(2..4, &mut rows);
    assert_eq!(rows, all[32..]);
    assert_ne!(values(&weights, "b", &[4, 16]), all);
    let spread = all.iter().map(|v| v * v).sum::<f32>() / 64.0;
    assert!((0.02..0.15).contains(&spread), "{spread} is not near 1/16");
}

#[test]
fn a_wrong_shape_and_a_lost_tensor_are_errors_for_stored_matrices_too() {
    let (_folder, weights) = opened(&[floats("a", &[2, 2], &[0.0; 4])], &[]);
    assert!(message(weights.stored("a", [4, 1])).ends_with("tensor a is [2, 2], expected [4, 1]"));
    assert!(message(weights.stored("b", [4, 1])).ends_with("model.safetensors: no tensor b"));
}
