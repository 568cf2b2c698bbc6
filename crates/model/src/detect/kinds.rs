//! The networks that can be told apart, and by which tensors.

use std::fmt;
use std::path::Path;

use crate::config::VaeConfig;
use crate::names::official_transformer_name;
use crate::weights::Weights;

/// A kind of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// A diffusion transformer.
    Transformer(Variant),
    /// The video autoencoder of Wan 2.1, which 2.2 A14B uses too.
    Vae21,
    /// The video autoencoder of Wan 2.2 TI2V 5B.
    Vae22,
    /// A video autoencoder of Wan 2.1's layout and other sizes, such as the embedded model's.
    VaeOther,
    /// The text encoder umT5 XXL.
    Umt5,
    /// The image encoder CLIP ViT-H/14.
    Clip,
    /// A LoRA adapter of this rank.
    Lora(usize),
    /// Something else.
    Unknown,
}

/// Which of the published transformers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Wan 2.1 I2V 14B; 480P and 720P have the same tensors.
    I2v14b,
    /// Wan 2.1 FLF2V 14B, first and last frame.
    Flf2v14b,
    /// Wan 2.1 Fun 1.3B InP.
    FunInp1_3b,
    /// Wan 2.1 T2V 1.3B.
    T2v1_3b,
    /// Wan 2.1 T2V 14B or an expert of 2.2 T2V A14B.
    T2v14b,
    /// An expert of Wan 2.2 I2V A14B, where the path says which.
    I2vA14b(Option<Expert>),
    /// Wan 2.2 TI2V 5B.
    Ti2v5b,
    /// A Wan transformer of other sizes: width, layers, channels in.
    Other {
        /// Channels of a token.
        width: usize,
        /// Blocks.
        layers: usize,
        /// Channels in.
        inputs: usize,
    },
}

/// Which of the two experts of Wan 2.2 A14B. Their tensors have the same names and shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expert {
    /// For high noise levels, the first steps.
    High,
    /// For low noise levels.
    Low,
}

impl Expert {
    /// The expert that a file's or folder's name says.
    pub fn of_path(path: &Path) -> Option<Self> {
        let says = |part: &str, word: &str| {
            let plain: String = part.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
            plain.contains(&format!("{word}noise"))
        };
        // The nearest name counts: a file of one expert may lie in a folder named after both.
        let named = path.iter().rev().take(3).find_map(|part| {
            let part = part.to_string_lossy();
            match (says(&part, "high"), says(&part, "low")) {
                (true, false) => Some(Self::High),
                (false, true) => Some(Self::Low),
                _ => None,
            }
        });
        named.or_else(|| path.ancestors().take(2).find_map(Self::of_diffusers_folder))
    }

    /// Diffusers' pipeline has the high-noise expert in `transformer` and the low-noise one in `transformer_2`.
    fn of_diffusers_folder(folder: &Path) -> Option<Self> {
        match folder.file_name()?.to_str()? {
            "transformer_2" => Some(Self::Low),
            "transformer" if folder.with_file_name("transformer_2").is_dir() => Some(Self::High),
            _ => None,
        }
    }
}

impl Variant {
    /// How many blocks the published network has.
    pub(super) fn layers(self) -> usize {
        match self {
            Self::FunInp1_3b | Self::T2v1_3b | Self::Ti2v5b => 30,
            Self::Other { layers, .. } => layers,
            _ => 40,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transformer(variant) => write!(f, "transformer, {variant}"),
            Self::Vae21 => f.write_str("video autoencoder, Wan 2.1"),
            Self::Vae22 => f.write_str("video autoencoder, Wan 2.2"),
            Self::VaeOther => f.write_str("video autoencoder, Wan of other sizes"),
            Self::Umt5 => f.write_str("text encoder, umT5 XXL"),
            Self::Clip => f.write_str("image encoder, CLIP ViT-H/14"),
            Self::Lora(rank) => write!(f, "LoRA adapter of rank {rank}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::I2v14b => f.write_str("Wan 2.1 I2V 14B (480P or 720P)"),
            Self::Flf2v14b => f.write_str("Wan 2.1 FLF2V 14B"),
            Self::FunInp1_3b => f.write_str("Wan 2.1 Fun 1.3B InP"),
            Self::T2v1_3b => f.write_str("Wan 2.1 T2V 1.3B"),
            Self::T2v14b => f.write_str("Wan 2.1 T2V 14B or 2.2 T2V A14B"),
            Self::I2vA14b(Some(Expert::High)) => f.write_str("Wan 2.2 I2V A14B, high-noise expert"),
            Self::I2vA14b(Some(Expert::Low)) => f.write_str("Wan 2.2 I2V A14B, low-noise expert"),
            Self::I2vA14b(None) => f.write_str("Wan 2.2 I2V A14B, one expert (its name does not say which)"),
            Self::Ti2v5b => f.write_str("Wan 2.2 TI2V 5B"),
            Self::Other { width, layers, inputs } => {
                write!(f, "Wan of other sizes: {width} wide, {layers} layers, {inputs} channels in")
            }
        }
    }
}

/// The networks whose telling tensors are there; [`Network::Unknown`] where there are none.
pub(super) fn networks_in(weights: &Weights, path: &Path) -> Vec<Network> {
    if let Some(rank) = lora_rank(weights) {
        return vec![Network::Lora(rank)];
    }
    let has = |names: &[&str]| names.iter().any(|name| weights.contains(name));
    let begins =
        |starts: &[&str]| weights.tensor_names().any(|name| starts.iter().any(|s| name.starts_with(s)));
    // Stages within stages, of which the 2.1 layout has none.
    let vae_22 = begins(&["decoder.upsamples.0.upsamples.", "decoder.up_blocks.0.upsampler."]);
    let vae = begins(&["decoder.conv1.", "decoder.conv_in.", "decoder.middle.", "decoder.mid_block."]);
    let text =
        has(&["token_embedding.weight", "shared.weight", "encoder.embed_tokens.weight", "token_embd.weight"])
            || begins(&["encoder.block.", "enc.blk.", "blocks.0.pos_embedding."]);
    let image = has(&["embeddings.patch_embedding.weight", "embeddings.class_embedding"])
        || begins(&[
            "visual.transformer.",
            "visual.patch_embedding.",
            "visual.conv1.",
            "vision_model.em",
            "vision_model.en",
        ]);
    let found = [
        transformer(weights, path).map(Network::Transformer),
        vae_22.then_some(Network::Vae22),
        (!vae_22 && vae).then(|| vae_21(weights)),
        text.then_some(Network::Umt5),
        image.then_some(Network::Clip),
    ];
    let found: Vec<Network> = found.into_iter().flatten().collect();
    if found.is_empty() { vec![Network::Unknown] } else { found }
}

/// Told by the width of the decoder's first stage.
fn vae_21(weights: &Weights) -> Network {
    let first =
        ["decoder.conv1.weight", "decoder.conv_in.weight"].into_iter().find_map(|name| weights.shape(name));
    let published = VaeConfig::default();
    let width = published
        .dim_mult
        .last()
        .map(|times| times * published.decoder_base_dim.unwrap_or(published.base_dim));
    match (first, width) {
        (Some([found, ..]), Some(width)) if *found != width => Network::VaeOther,
        _ => Network::Vae21,
    }
}

fn lora_rank(weights: &Weights) -> Option<usize> {
    let is_down = |name: &&str| [".lora_A.weight", ".lora_down.weight"].iter().any(|end| name.ends_with(end));
    let down = weights.tensor_names().find(is_down)?;
    weights.shape(down)?.first().copied()
}

fn transformer(weights: &Weights, path: &Path) -> Option<Variant> {
    let weights = weights.renamed(official_transformer_name);
    let &[width, inputs, 1, _, _] = weights.shape("patch_embedding.weight")? else { return None };
    let block = |name: &str| name.strip_prefix("blocks.")?.split_once('.')?.0.parse::<usize>().ok();
    let layers = weights.tensor_names().filter_map(block).max().map_or(0, |last| last + 1);
    Some(match (width, inputs, takes_image(&weights)) {
        (5120, 36, true) if weights.contains("img_emb.emb_pos") || is_called_flf2v(path) => Variant::Flf2v14b,
        (5120, 36, true) => Variant::I2v14b,
        (5120, 36, false) => Variant::I2vA14b(Expert::of_path(path)),
        (5120, 16, false) => Variant::T2v14b,
        (3072, 48, false) => Variant::Ti2v5b,
        (1536, 36, true) => Variant::FunInp1_3b,
        (1536, 16, false) => Variant::T2v1_3b,
        _ => Variant::Other { width, layers, inputs },
    })
}

/// Whether any part of the branch for the CLIP image is there, under official names: a file that lacks some of it is no
/// network without it.
pub(super) fn takes_image(weights: &Weights) -> bool {
    let is_part = |name: &str| name.starts_with("img_emb.") || name.contains(".cross_attn.k_img.");
    weights.tensor_names().any(is_part)
}

/// Without its learnt positions a first-and-last-frame network looks like any other; its name then tells that they are lost.
fn is_called_flf2v(path: &Path) -> bool {
    path.iter().rev().take(3).any(|part| part.to_string_lossy().to_lowercase().contains("flf2v"))
}

/// What the names of each network begin with, in all spellings, where one file holds several.
const VAE: [&str; 15] = [
    "encoder.conv",
    "encoder.down",
    "encoder.mid",
    "encoder.head",
    "encoder.norm_out",
    "decoder.conv",
    "decoder.up",
    "decoder.mid",
    "decoder.head",
    "decoder.norm_out",
    "conv1.",
    "conv2.",
    "quant_conv.",
    "post_quant_conv.",
    "vae",
];
const TEXT: [&str; 7] =
    ["shared.", "encoder.block.", "encoder.embed", "encoder.final", "token_emb", "enc.", "spiece_model"];
const IMAGE: [&str; 5] = ["visual.", "vision_model.", "embeddings.", "encoder.layers.", "visual_projection."];

impl Network {
    /// Whether a tensor belongs to this network, where several are in one file.
    pub(super) fn owns(self, name: &str) -> bool {
        let begins = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
        match self {
            Self::Vae21 | Self::Vae22 | Self::VaeOther => begins(&VAE),
            Self::Umt5 => begins(&TEXT),
            Self::Clip => begins(&IMAGE),
            Self::Transformer(_) => !begins(&VAE) && !begins(&TEXT) && !begins(&IMAGE),
            Self::Lora(_) | Self::Unknown => false,
        }
    }
}
