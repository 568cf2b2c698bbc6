//! Which tensors a network has, by official name, to say what a file lacks.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use super::kinds::{Network, Variant, takes_image};
use crate::config::{VaeConfig, read_json};
use crate::encoder_names::{has_vision_prefix, official_clip_name, official_umt5_name};
use crate::names::{
    BLOCK_LINEARS, GroupSizes, IMAGE_LINEARS, StageKind, VaeStage, decoder_stages, encoder_stages,
    official_transformer_name, official_vae_name,
};
use crate::weights::{TensorInfo, Weights};

/// Tensors that such a network has and this one lacks; `path` is where it lies.
pub(super) fn missing(
    network: Network,
    weights: &Weights,
    tensors: &[TensorInfo<'_>],
    path: &Path,
) -> Vec<String> {
    let names = || tensors.iter().map(|tensor| tensor.name);
    match network {
        Network::Transformer(variant) => {
            let with_image = takes_image(&weights.renamed(official_transformer_name));
            lacking(transformer(variant, with_image), names().map(official_transformer_name))
        }
        Network::Vae21 | Network::Vae22 | Network::VaeOther => {
            let config = vae_config(network, path);
            lacking(vae(&config), names().map(|name| official_vae_name(name, &config)))
        }
        Network::Umt5 => lacking(umt5(), names().map(official_umt5_name)),
        Network::Clip => {
            let prefixed = has_vision_prefix(names());
            let fused = !names().any(|name| name.ends_with(".q_proj.weight"));
            lacking(clip(fused), names().map(|name| official_clip_name(name, prefixed)))
        }
        Network::Lora(_) | Network::Unknown => Vec::new(),
    }
}

fn lacking(expected: Vec<String>, found: impl Iterator<Item = String>) -> Vec<String> {
    let found: BTreeSet<String> = found.collect();
    expected.into_iter().filter(|name| !found.contains(name)).collect()
}

fn with_bias(name: &str) -> [String; 2] {
    [format!("{name}.weight"), format!("{name}.bias")]
}

fn transformer(variant: Variant, with_image: bool) -> Vec<String> {
    let norms = [
        "self_attn.norm_q.weight",
        "self_attn.norm_k.weight",
        "cross_attn.norm_q.weight",
        "cross_attn.norm_k.weight",
        "modulation",
    ];
    let affine = BLOCK_LINEARS.into_iter().chain(["norm3"]);
    let mut block: Vec<String> = affine.flat_map(with_bias).collect();
    block.extend(norms.map(String::from));
    let ends = [
        "patch_embedding",
        "text_embedding.0",
        "text_embedding.2",
        "time_embedding.0",
        "time_embedding.2",
        "time_projection.1",
        "head.head",
    ];
    let mut names: Vec<String> = ends.iter().flat_map(|name| with_bias(name)).collect();
    names.push("head.modulation".into());
    if with_image {
        block.extend(IMAGE_LINEARS.iter().flat_map(|name| with_bias(name)));
        block.push("cross_attn.norm_k_img.weight".into());
        names.extend([0, 1, 3, 4].iter().flat_map(|i| with_bias(&format!("img_emb.proj.{i}"))));
    }
    names.extend((variant == Variant::Flf2v14b).then(|| "img_emb.emb_pos".to_owned()));
    for i in 0..variant.layers() {
        names.extend(block.iter().map(|name| format!("blocks.{i}.{name}")));
    }
    names
}

/// The parts outside the stages, which both VAEs share.
fn vae_ends() -> Vec<String> {
    let ends = ["conv1", "conv2", "encoder.conv1", "decoder.conv1", "encoder.head.2", "decoder.head.2"];
    let mut names: Vec<String> = ends.iter().flat_map(|name| with_bias(name)).collect();
    for side in ["encoder", "decoder"] {
        names.push(format!("{side}.head.0.gamma"));
        names.extend([0, 2].iter().flat_map(|i| residual(&format!("{side}.middle.{i}"), false)));
        let attention = format!("{side}.middle.1");
        names.push(format!("{attention}.norm.gamma"));
        names.extend(["to_qkv", "proj"].iter().flat_map(|part| with_bias(&format!("{attention}.{part}"))));
    }
    names
}

fn residual(at: &str, shortcut: bool) -> Vec<String> {
    let mut names = vec![format!("{at}.residual.0.gamma"), format!("{at}.residual.3.gamma")];
    names.extend([2, 6].iter().flat_map(|i| with_bias(&format!("{at}.residual.{i}"))));
    names.extend(shortcut.then(|| with_bias(&format!("{at}.shortcut"))).into_iter().flatten());
    names
}

fn resample(at: &str, frames: bool) -> Vec<String> {
    let mut names = with_bias(&format!("{at}.resample.1")).to_vec();
    names.extend(frames.then(|| with_bias(&format!("{at}.time_conv"))).into_iter().flatten());
    names
}

/// What the `config.json` beside a video autoencoder says, or the published sizes of its layout.
fn vae_config(network: Network, path: &Path) -> VaeConfig {
    #[derive(Deserialize)]
    struct Class {
        #[serde(rename = "_class_name")]
        name: String,
    }
    let published = if network == Network::Vae22 { VaeConfig::wan_22() } else { VaeConfig::default() };
    let folder = if path.is_dir() { Some(path) } else { path.parent() };
    let own = folder.filter(|folder| {
        // In an official folder it is the transformer's.
        read_json::<Class>(folder).is_ok_and(|(_, class)| class.name == "AutoencoderKLWan")
    });
    let read = own.and_then(|folder| VaeConfig::read(folder).ok());
    read.filter(|read| read.is_residual == published.is_residual).unwrap_or(published)
}

/// 194 tensors in Wan 2.1's `vae.py`, 196 in Wan 2.2's `vae2_2.py`.
fn vae(config: &VaeConfig) -> Vec<String> {
    let stages = encoder_stages(config).into_iter().chain(decoder_stages(config));
    let tensors = |stage: VaeStage| match stage.kind {
        StageKind::Residual { inputs, outputs } => residual(&stage.official, inputs != outputs),
        StageKind::Down { frames, .. } | StageKind::Up { frames, .. } => resample(&stage.official, frames),
        StageKind::Group(sizes) => group(&stage.official, &sizes),
    };
    vae_ends().into_iter().chain(stages.flat_map(tensors)).collect()
}

fn group(at: &str, sizes: &GroupSizes) -> Vec<String> {
    let part = |i: usize| format!("{at}.{}.{i}", sizes.inner());
    let mut names: Vec<String> =
        (0..sizes.blocks).flat_map(|i| residual(&part(i), i == 0 && sizes.inputs != sizes.outputs)).collect();
    names.extend(sizes.resize.map(|frames| resample(&part(sizes.blocks), frames)).into_iter().flatten());
    names
}

/// 242 tensors: the encoder of Wan 2.1's `t5.py` with 24 layers, each with a table of positions of its own.
fn umt5() -> Vec<String> {
    let parts = [
        "norm1",
        "attn.q",
        "attn.k",
        "attn.v",
        "attn.o",
        "pos_embedding.embedding",
        "norm2",
        "ffn.gate.0",
        "ffn.fc1",
        "ffn.fc2",
    ];
    let block = |i: usize| parts.iter().map(move |part| format!("blocks.{i}.{part}.weight"));
    let ends = ["token_embedding.weight", "norm.weight"].map(String::from);
    ends.into_iter().chain((0..24).flat_map(block)).collect()
}

/// What the image encoder needs of Wan 2.1's `clip.py`: of 32 blocks the last is not used and may have been left out,
/// with all that follows it. Queries, keys and values are one tensor in official and OpenCLIP's files.
fn clip(fused: bool) -> Vec<String> {
    let attention: &[&str] =
        if fused { &["attn.to_qkv"] } else { &["attn.q_proj", "attn.k_proj", "attn.v_proj"] };
    let parts: Vec<&str> = [attention, &["norm1", "attn.proj", "norm2", "mlp.0", "mlp.2"]].concat();
    let block =
        |i: usize| parts.iter().flat_map(move |part| with_bias(&format!("visual.transformer.{i}.{part}")));
    let mut names = ["cls_embedding", "pos_embedding", "patch_embedding.weight"]
        .map(|name| format!("visual.{name}"))
        .to_vec();
    names.extend(with_bias("visual.pre_norm"));
    names.extend((0..31).flat_map(block));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts of the published networks.
    #[test]
    fn every_network_has_as_many_tensors_as_published() {
        assert_eq!(transformer(Variant::I2v14b, true).len(), 1303);
        assert_eq!(transformer(Variant::Flf2v14b, true).len(), 1304);
        assert_eq!(transformer(Variant::FunInp1_3b, true).len(), 983);
        assert_eq!(transformer(Variant::I2vA14b(None), false).len(), 1095);
        assert_eq!(transformer(Variant::Ti2v5b, false).len(), 825);
        assert_eq!(vae(&VaeConfig::default()).len(), 194);
        assert_eq!(vae(&VaeConfig::wan_22()).len(), 196);
        assert_eq!(umt5().len(), 242);
    }
}
