//! What `detect` says of the published networks at their true sizes, in every spelling, whole and with a tensor lost.
//!
//! Names and shapes are diffusers' and transformers' own (`fixtures/make_tables.py`); the files take no room on disk.
#![allow(clippy::unwrap_used)] // a test may stop where it stands
#![cfg(unix)] // Files of up to 33 GB that take no room on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lora_edit_model::VaeConfig;
use lora_edit_model::detect::{Expert, Found, Network, Variant, detect};
use lora_edit_model::encoder_names::{official_clip_name, official_umt5_name};
use lora_edit_model::names::{official_transformer_name, official_vae_name};
use serde::Deserialize;

#[path = "support/files.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod files;
use files::{sparse, umt5_gguf_name};

type Tensors = Vec<(String, Vec<usize>)>;

/// One network of `published.json`.
#[derive(Deserialize)]
struct Table {
    parameters: u64,
    plain: BTreeMap<String, Vec<usize>>,
    blocks: Blocks,
}

#[derive(Deserialize)]
struct Blocks {
    count: usize,
    tensors: BTreeMap<String, Vec<usize>>,
}

impl Table {
    fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(files::fixture("published.json")).unwrap();
        let mut tables: BTreeMap<String, Self> = serde_json::from_str(&text).unwrap();
        tables.remove(name).unwrap()
    }

    /// Every tensor under its name there.
    fn tensors(&self) -> Tensors {
        let block = |i: usize| {
            let named = move |(name, shape): (&String, &Vec<usize>)| {
                (name.replacen('*', &i.to_string(), 1), shape.clone())
            };
            self.blocks.tensors.iter().map(named)
        };
        let plain = self.plain.iter().map(|(name, shape)| (name.clone(), shape.clone()));
        plain.chain((0..self.blocks.count).flat_map(block)).collect()
    }
}

fn renamed(tensors: &Tensors, rename: impl Fn(&str) -> String) -> Tensors {
    tensors.iter().map(|(name, shape)| (rename(name), shape.clone())).collect()
}

/// Queries, keys and values as one tensor, as official and OpenCLIP's files have them.
fn fused(tensors: &Tensors) -> Tensors {
    let spare = |name: &str| name.contains(".k_proj.") || name.contains(".v_proj.");
    let one = |(name, shape): &(String, Vec<usize>)| {
        let mut shape = shape.clone();
        shape[0] *= if name.contains(".q_proj.") { 3 } else { 1 };
        (name.replace(".q_proj.", ".to_qkv."), shape)
    };
    tensors.iter().filter(|(name, _)| !spare(name)).map(one).collect()
}

/// A network's tensors in every spelling it has, and what it is.
fn spellings(name: &str) -> (Network, u64, Vec<(&'static str, Tensors)>) {
    let table = Table::read(name);
    let theirs = table.tensors();
    let vae = |config: VaeConfig| {
        let official = renamed(&theirs, |name| official_vae_name(name, &config));
        vec![("diffusers", theirs.clone()), ("official", official)]
    };
    let (network, spellings) = match name {
        "vae_21" => (Network::Vae21, vae(VaeConfig::default())),
        "vae_22" => (Network::Vae22, vae(VaeConfig::wan_22())),
        "umt5" => {
            let official = renamed(&theirs, official_umt5_name);
            let comfy = renamed(&theirs, |name| format!("text_encoders.umt5xxl.transformer.{name}"));
            let gguf = renamed(&official, umt5_gguf_name);
            let all = [("transformers", theirs), ("official", official), ("ComfyUI", comfy), ("GGUF", gguf)];
            (Network::Umt5, all.to_vec())
        }
        "clip" => {
            let official = fused(&renamed(&theirs, |name| official_clip_name(name, true)));
            let bare = renamed(&theirs, |name| name.trim_start_matches("vision_model.").to_owned());
            let all = [("transformers", theirs), ("transformers 5", bare), ("official", official)];
            (Network::Clip, all.to_vec())
        }
        _ => {
            let official = renamed(&theirs, official_transformer_name);
            let comfy = renamed(&official, |name| format!("model.diffusion_model.{name}"));
            let all = [("diffusers", theirs), ("official", official), ("ComfyUI", comfy)];
            (Network::Transformer(variant(name)), all.to_vec())
        }
    };
    (network, table.parameters, spellings)
}

fn variant(name: &str) -> Variant {
    match name {
        "i2v_14b" => Variant::I2v14b,
        "flf2v_14b" => Variant::Flf2v14b,
        "i2v_a14b" => Variant::I2vA14b(Some(Expert::High)),
        "fun_1_3b" => Variant::FunInp1_3b,
        _ => Variant::Ti2v5b,
    }
}

fn in_folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("high_noise.safetensors");
    (folder, path)
}

fn found(path: &Path, tensors: &[(String, Vec<usize>)]) -> Found {
    sparse(path, "BF16", 2, tensors);
    let mut found = detect(path).unwrap();
    assert_eq!(found.len(), 1, "{:?}", found.iter().map(|found| found.network).collect::<Vec<_>>());
    found.remove(0)
}

const NETWORKS: [&str; 9] =
    ["i2v_14b", "flf2v_14b", "i2v_a14b", "fun_1_3b", "ti2v_5b", "vae_21", "vae_22", "umt5", "clip"];

#[test]
fn every_published_network_is_known_whole_and_counted_in_every_spelling() {
    let (_folder, path) = in_folder();
    for name in NETWORKS {
        let (network, parameters, spellings) = spellings(name);
        for (spelling, tensors) in spellings {
            let found = found(&path, &tensors);
            assert_eq!((found.network, found.parameters), (network, parameters), "{name}, {spelling}");
            assert!(found.is_complete(), "{name}, {spelling}: lacks {:?}", found.missing);
        }
    }
}

/// Whether the network can do without: the image encoder's last block and what follows, which Wan does not use.
fn is_spare(name: &str) -> bool {
    let ends = ["transformer.31.", "encoder.layers.31.", "post_", "visual_projection"];
    ends.iter().any(|part| name.contains(part))
}

/// The official name of what was taken away.
fn official(network: Network, name: &str) -> String {
    match network {
        Network::Transformer(_) => {
            official_transformer_name(name.trim_start_matches("model.diffusion_model."))
        }
        Network::Vae21 => official_vae_name(name, &VaeConfig::default()),
        Network::Vae22 => official_vae_name(name, &VaeConfig::wan_22()),
        Network::Umt5 => official_umt5_name(name.trim_start_matches("text_encoders.umt5xxl.transformer.")),
        _ => official_clip_name(name, false),
    }
}

/// Every tensor outside the blocks, and every one of block 17, is missed by name when it is lost.
#[test]
fn one_lost_tensor_is_named_in_every_spelling() {
    let folder = tempfile::tempdir().unwrap();
    // The other transformers are these in other sizes.
    for name in ["flf2v_14b", "ti2v_5b", "vae_21", "vae_22", "umt5", "clip"] {
        let (network, _, spellings) = spellings(name);
        // ComfyUI's transformers are the official ones behind a prefix: asked above, and too many to ask again.
        let transformer = matches!(network, Network::Transformer(_));
        for (spelling, tensors) in spellings.into_iter().take(if transformer { 2 } else { 4 }) {
            let lost: Vec<usize> =
                (0..tensors.len()).filter(|&at| is_asked(network, &tensors[at].0)).collect();
            assert!(lost.len() > 10, "{name}, {spelling}: {} tensors asked", lost.len());
            for at in lost {
                let lost = &tensors[at].0;
                // Only by its name is a first-and-last-frame network known that has lost its positions.
                let path = if is_positions(lost) { "flf2v.safetensors" } else { "high_noise.safetensors" };
                let rest = [&tensors[..at], &tensors[at + 1..]].concat();
                let found = found(&folder.path().join(path), &rest);
                assert_eq!(found.network, network, "{name}, {spelling}, without {lost}");
                assert_eq!(found.missing, [official(network, lost)], "{name}, {spelling}");
            }
        }
    }
}

fn is_positions(name: &str) -> bool {
    ["img_emb.emb_pos", "image_embedder.pos_embed"].iter().any(|positions| name.ends_with(positions))
}

fn is_asked(network: Network, name: &str) -> bool {
    let number = name.split('.').find_map(|part| part.parse::<usize>().ok());
    match network {
        // Without it nothing tells its width: such a file is unknown.
        Network::Transformer(_) if name.ends_with("patch_embedding.weight") => false,
        Network::Transformer(_) => !name.starts_with("blocks.") || number == Some(17),
        Network::Umt5 | Network::Clip => !is_spare(name) && number.is_none_or(|number| number == 17),
        _ => true,
    }
}
