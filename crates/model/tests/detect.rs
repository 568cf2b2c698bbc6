//! What files are, told by their headers alone. The files are made sparse: headers of published sizes, no data.
#![allow(clippy::unwrap_used)] // a test may stop where it stands
#![cfg(unix)] // Files of up to 33 GB that take no room on disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lora_edit_model::detect::{Expert, Found, Network, Variant, detect};

#[path = "support/files.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod files;
use files::sparse;

struct Sizes {
    dim: usize,
    ffn: usize,
    layers: usize,
    inputs: usize,
    outputs: usize,
    image: bool,
}

const I2V_14B: Sizes = Sizes { dim: 5120, ffn: 13824, layers: 40, inputs: 36, outputs: 16, image: true };
const A14B: Sizes = Sizes { image: false, ..I2V_14B };
const FUN: Sizes = Sizes { dim: 1536, ffn: 8960, layers: 30, ..I2V_14B };
const TI2V: Sizes = Sizes { dim: 3072, ffn: 14336, layers: 30, inputs: 48, outputs: 48, image: false };

/// The shapes of a transformer, under official names (Wan 2.1 `model.py`).
fn transformer(s: &Sizes) -> Vec<(String, Vec<usize>)> {
    let d = s.dim;
    let mut all = Vec::new();
    let mut linear = |name: String, out: usize, entering: usize| {
        all.push((format!("{name}.weight"), vec![out, entering]));
        all.push((format!("{name}.bias"), vec![out]));
    };
    for (name, out, entering) in [
        ("text_embedding.0", d, 4096),
        ("text_embedding.2", d, d),
        ("time_embedding.0", d, 256),
        ("time_embedding.2", d, d),
        ("time_projection.1", 6 * d, d),
        ("head.head", 4 * s.outputs, d),
    ] {
        linear(name.into(), out, entering);
    }
    for i in 0..s.layers {
        for part in [
            "self_attn.q",
            "self_attn.k",
            "self_attn.v",
            "self_attn.o",
            "cross_attn.q",
            "cross_attn.k",
            "cross_attn.v",
            "cross_attn.o",
        ] {
            linear(format!("blocks.{i}.{part}"), d, d);
        }
        linear(format!("blocks.{i}.ffn.0"), s.ffn, d);
        linear(format!("blocks.{i}.ffn.2"), d, s.ffn);
        if s.image {
            linear(format!("blocks.{i}.cross_attn.k_img"), d, d);
            linear(format!("blocks.{i}.cross_attn.v_img"), d, d);
        }
    }
    if s.image {
        linear("img_emb.proj.1".into(), 1280, 1280);
        linear("img_emb.proj.3".into(), d, 1280);
    }
    let mut vector = |name: String, shape: &[usize]| all.push((name, shape.to_vec()));
    vector("patch_embedding.weight".into(), &[d, s.inputs, 1, 2, 2]);
    vector("patch_embedding.bias".into(), &[d]);
    vector("head.modulation".into(), &[1, 2, d]);
    for i in 0..s.layers {
        let mut names = vec![
            "self_attn.norm_q.weight",
            "self_attn.norm_k.weight",
            "cross_attn.norm_q.weight",
            "cross_attn.norm_k.weight",
            "norm3.weight",
            "norm3.bias",
        ];
        names.extend(s.image.then_some("cross_attn.norm_k_img.weight"));
        names.into_iter().for_each(|name| vector(format!("blocks.{i}.{name}"), &[d]));
        vector(format!("blocks.{i}.modulation"), &[1, 6, d]);
    }
    if s.image {
        for (name, size) in [("0.weight", 1280), ("0.bias", 1280), ("4.weight", d), ("4.bias", d)] {
            vector(format!("img_emb.proj.{name}"), &[size]);
        }
    }
    all
}

fn one(path: &Path) -> Found {
    let mut found = detect(path).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn in_folder(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    (folder, path)
}

#[test]
fn published_transformers_are_told_apart_and_counted() {
    let a14b = |expert| Network::Transformer(Variant::I2vA14b(expert));
    for (name, sizes, network, parameters) in [
        ("a/wan2.1_i2v_480p.safetensors", &I2V_14B, Network::Transformer(Variant::I2v14b), 16_394_878_784u64),
        ("wan2.2_i2v_high_noise_14B.safetensors", &A14B, a14b(Some(Expert::High)), 14_288_901_184),
        ("high_noise_model/Wan2.2-LowNoise.safetensors", &A14B, a14b(Some(Expert::Low)), 14_288_901_184),
        (
            "low_noise_model/diffusion_pytorch_model.safetensors",
            &A14B,
            a14b(Some(Expert::Low)),
            14_288_901_184,
        ),
        ("wan22.safetensors", &A14B, a14b(None), 14_288_901_184),
        ("fun.safetensors", &FUN, Network::Transformer(Variant::FunInp1_3b), 1_564_428_608),
        ("5b.safetensors", &TI2V, Network::Transformer(Variant::Ti2v5b), 4_999_787_712),
    ] {
        let (_folder, path) = in_folder(name);
        sparse(&path, "BF16", 2, &transformer(sizes));
        let found = one(&path);
        assert_eq!((found.network, found.parameters), (network, parameters), "{name}");
        assert!(found.is_complete(), "{name}: {:?}", found.missing);
        assert_eq!(found.formats, [("bf16".to_owned(), 2 * parameters)]);
    }
}

#[test]
fn diffusers_folders_tell_the_experts_apart() {
    let (_root, folder) = in_folder("wan2.2");
    let file = |part: &str| folder.join(part).join("diffusion_pytorch_model.safetensors");
    let expert = |part: &str| match one(&folder.join(part)).network {
        Network::Transformer(Variant::I2vA14b(expert)) => expert,
        other => panic!("{other}"),
    };
    sparse(&file("transformer"), "BF16", 2, &transformer(&A14B));
    assert_eq!(expert("transformer"), None, "alone it may be either");
    sparse(&file("transformer_2"), "BF16", 2, &transformer(&A14B));
    assert_eq!([expert("transformer"), expert("transformer_2")], [Some(Expert::High), Some(Expert::Low)]);
    assert_eq!(Expert::of_path(&file("transformer_2")), Some(Expert::Low));
}

#[test]
fn what_a_transformer_lacks_is_listed_by_name() {
    let (_folder, path) = in_folder("model.safetensors");
    let mut tensors = transformer(&FUN);
    tensors.retain(|(name, _)| name != "blocks.7.ffn.2.bias" && !name.starts_with("blocks.29."));
    sparse(&path, "F16", 2, &tensors);
    let found = one(&path);
    assert_eq!(found.missing.len(), 1 + 32);
    let missing: BTreeSet<&str> = found.missing.iter().map(String::as_str).collect();
    assert!(
        missing.contains("blocks.7.ffn.2.bias") && missing.contains("blocks.29.cross_attn.norm_k_img.weight")
    );
    assert!(!found.is_complete());
}

#[test]
fn the_embedded_model_and_the_fixtures_are_known() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let nano = root.join("../../bundle/models/nano");
    let found = one(&nano.join("transformer"));
    assert!(matches!(found.network, Network::Transformer(Variant::Other { .. })), "{}", found.network);
    assert!(found.is_complete(), "{:?}", found.missing);
    // Of other sizes than the published one: its configuration lies beside it.
    let vae = one(&nano.join("vae/diffusion_pytorch_model.safetensors"));
    assert_eq!((vae.network, vae.missing), (Network::VaeOther, Vec::<String>::new()));
    let fixture = one(&root.join("tests/fixtures/samplers.safetensors"));
    assert_eq!(fixture.network, Network::Unknown);
}

#[test]
fn adapters_are_known() {
    let (_folder, path) = in_folder("lora.safetensors");
    let lora = ("diffusion_model.blocks.0.self_attn.q.lora_A.weight".to_owned(), vec![16, 64]);
    sparse(&path, "F16", 2, &[lora]);
    assert_eq!(one(&path).network, Network::Lora(16));
}

#[test]
fn a_checkpoint_of_several_networks_is_taken_apart() {
    let (_folder, path) = in_folder("all-in-one.safetensors");
    let mut tensors: Vec<_> = transformer(&FUN)
        .into_iter()
        .map(|(name, shape)| (format!("model.diffusion_model.{name}"), shape))
        .collect();
    tensors.push(("first_stage_model.decoder.conv1.weight".into(), vec![384, 16, 3, 3, 3]));
    tensors.push(("text_encoders.umt5xxl.transformer.shared.weight".into(), vec![256384, 4096]));
    sparse(&path, "F8_E4M3", 1, &tensors);
    let found = detect(&path).unwrap();
    let networks: Vec<Network> = found.iter().map(|part| part.network).collect();
    assert_eq!(networks, [Network::Transformer(Variant::FunInp1_3b), Network::Vae21, Network::Umt5]);
    assert_eq!(found[0].parameters, 1_564_428_608);
    assert_eq!((found[1].tensors, found[1].missing.len()), (1, 193));
    assert_eq!((found[2].tensors, found[2].missing.len()), (1, 241));
}
