//! The sizes of the networks, read from diffusers' `config.json` or from the tensors themselves.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Loaded, ModelError};
use crate::names::{self, StageKind, decoder_stages, encoder_stages};
use crate::weights::Weights;

/// The sizes of a Wan transformer, under diffusers' names.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct TransformerConfig {
    /// Latent cells per token: frames, rows, columns.
    pub patch_size: [usize; 3],
    /// Heads of each attention.
    pub num_attention_heads: usize,
    /// Channels of each head.
    pub attention_head_dim: usize,
    /// Channels in: 16 noise + 4 mask + 16 condition for the image-to-video models.
    pub in_channels: usize,
    /// Channels out: those of the latent.
    pub out_channels: usize,
    /// Channels of the text states.
    pub text_dim: usize,
    /// Tokens that callers pad the text to with zeros. Diffusers' files do not say it: published models mean 512.
    pub text_len: usize,
    /// Size of the sinusoidal time embedding.
    pub freq_dim: usize,
    /// Inner size of the feed-forward layers.
    pub ffn_dim: usize,
    /// Number of blocks.
    pub num_layers: usize,
    /// Whether the cross attention's input is normalised; always so in published models.
    pub cross_attn_norm: bool,
    /// `rms_norm_across_heads` in every published model.
    pub qk_norm: Option<String>,
    /// Added under the root of every normalisation.
    pub eps: f64,
    /// Channels of the CLIP image tokens, where the model takes them (2.1 image-to-video).
    pub image_dim: Option<usize>,
    /// Inputs of `k_img` and `v_img`; equal to the model's width where present.
    pub added_kv_proj_dim: Option<usize>,
    /// Number of image tokens with a learnt position (first-and-last-frame models).
    pub pos_embed_seq_len: Option<usize>,
}

impl Default for TransformerConfig {
    /// Wan 2.1 image-to-video 14B without CLIP, which is one expert of Wan 2.2 A14B.
    fn default() -> Self {
        Self {
            patch_size: [1, 2, 2],
            num_attention_heads: 40,
            attention_head_dim: 128,
            in_channels: 36,
            out_channels: 16,
            text_dim: 4096,
            text_len: 512,
            freq_dim: 256,
            ffn_dim: 13824,
            num_layers: 40,
            cross_attn_norm: true,
            qk_norm: Some("rms_norm_across_heads".into()),
            eps: 1e-6,
            image_dim: None,
            added_kv_proj_dim: None,
            pos_embed_seq_len: None,
        }
    }
}

impl TransformerConfig {
    /// Reads a `config.json`, or the one in a folder.
    ///
    /// # Errors
    /// When it cannot be read or describes a network that is not supported.
    pub fn read(path: &Path) -> Loaded<Self> {
        let (path, config) = read_json::<Self>(path)?;
        match config.unsupported() {
            Some(reason) => Err(ModelError::config(&path, reason)),
            None => Ok(config),
        }
    }

    /// Works the sizes out from the tensors, in either spelling; heads are taken to have 128 channels, as in
    /// every published model.
    ///
    /// # Errors
    /// When a tensor that tells a size is missing.
    pub fn detect(weights: &Weights) -> Loaded<Self> {
        let weights = &weights.renamed(names::official_transformer_name);
        let dims = |name: &str| {
            let missing = || ModelError::MissingTensor { name: name.into(), file: weights.source().into() };
            weights.shape(name).filter(|shape| !shape.is_empty()).map(<[usize]>::to_vec).ok_or_else(missing)
        };
        let patch = dims("patch_embedding.weight")?;
        let [dim, in_channels, patch @ ..] = patch.as_slice() else { return Err(not_a_patch(weights)) };
        let patch_size = <[usize; 3]>::try_from(patch).map_err(|_| not_a_patch(weights))?;
        let is_block = |i: &usize| weights.contains(&format!("blocks.{i}.self_attn.q.weight"));
        let image_dim = weights.shape("img_emb.proj.1.weight").map(|shape| shape[0]);
        let pos_embed_seq_len = weights.shape("img_emb.emb_pos").and_then(|shape| shape.get(1).copied());
        Ok(Self {
            patch_size,
            num_attention_heads: dim / 128,
            in_channels: *in_channels,
            out_channels: dims("head.head.weight")?[0] / patch_size.iter().product::<usize>(),
            text_dim: last(&dims("text_embedding.0.weight")?),
            freq_dim: last(&dims("time_embedding.0.weight")?),
            ffn_dim: dims("blocks.0.ffn.0.weight")?[0],
            num_layers: (0..).take_while(is_block).count(),
            image_dim,
            added_kv_proj_dim: image_dim.map(|_| *dim),
            pos_embed_seq_len,
            ..Self::default()
        })
    }

    /// The width of the network.
    pub fn dim(&self) -> usize {
        self.num_attention_heads * self.attention_head_dim
    }

    /// Whether the model takes CLIP image tokens.
    pub fn takes_image(&self) -> bool {
        self.image_dim.is_some()
    }

    fn unsupported(&self) -> Option<&'static str> {
        let across_heads = self.qk_norm.as_deref() == Some("rms_norm_across_heads");
        let rotary = self.attention_head_dim.is_multiple_of(2) && self.attention_head_dim >= 6;
        let same_width = self.added_kv_proj_dim.is_none_or(|dim| dim == self.dim());
        let positive = self.patch_size.iter().chain([&self.num_attention_heads]).all(|&size| size > 0);
        [
            (across_heads, "only qk_norm rms_norm_across_heads is supported"),
            (self.cross_attn_norm, "only cross_attn_norm true is supported"),
            (rotary, "attention_head_dim must be even and at least 6"),
            (same_width, "added_kv_proj_dim must equal the model's width"),
            (self.takes_image() == self.added_kv_proj_dim.is_some(), "image_dim needs added_kv_proj_dim"),
            (self.takes_image() || self.pos_embed_seq_len.is_none(), "pos_embed_seq_len needs image_dim"),
            (positive, "patch_size and num_attention_heads must be positive"),
        ]
        .into_iter()
        .find_map(|(fine, reason)| (!fine).then_some(reason))
    }
}

/// The sizes of a Wan VAE, under diffusers' names.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct VaeConfig {
    /// Channels of the encoder's first stage.
    pub base_dim: usize,
    /// Channels of the decoder's last stage; the encoder's where absent.
    pub decoder_base_dim: Option<usize>,
    /// Channels of the latent.
    pub z_dim: usize,
    /// Channels of each stage, as multiples of the base.
    pub dim_mult: Vec<usize>,
    /// Residual blocks of each encoder stage; the decoder has one more.
    pub num_res_blocks: usize,
    /// Scales with attention; none in any published model.
    pub attn_scales: Vec<f64>,
    /// Which of the encoder's reductions also halve the frames.
    pub temperal_downsample: Vec<bool>,
    /// Mean of each latent channel over natural video.
    pub latents_mean: Vec<f32>,
    /// Deviation of each latent channel over natural video.
    pub latents_std: Vec<f32>,
    /// Whether this is the 2.2 layout: every stage beside a shortcut without weights.
    pub is_residual: bool,
    /// Channels into the encoder: 3 times the patch's area.
    pub in_channels: usize,
    /// Channels out of the decoder: 3 times the patch's area.
    pub out_channels: usize,
    /// Side of the pixel patches folded into channels.
    pub patch_size: Option<usize>,
}

/// Wan 2.1's latent statistics, from its published code.
const WAN_MEAN: [f32; 16] = [
    -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508, 0.4134, -0.0715, 0.5517, -0.3632,
    -0.1922, -0.9497, 0.2503, -0.2921,
];
const WAN_STD: [f32; 16] = [
    2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743, 3.2687, 2.1526, 2.8652, 1.5579, 1.6382,
    1.1253, 2.8251, 1.9160,
];

/// Wan 2.2's latent statistics, from its published code.
const WAN_22_MEAN: [f32; 48] = [
    -0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557, -0.1382, 0.0542, 0.2813, 0.0891,
    0.1570, -0.0098, 0.0375, -0.1825, -0.2246, -0.1207, -0.0698, 0.5109, 0.2665, -0.2108, -0.2158, 0.2502,
    -0.2055, -0.0322, 0.1109, 0.1567, -0.0729, 0.0899, -0.2799, -0.1230, -0.0313, -0.1649, 0.0117, 0.0723,
    -0.2839, -0.2083, -0.0520, 0.3748, 0.0152, 0.1957, 0.1433, -0.2944, 0.3573, -0.0548, -0.1681, -0.0667,
];
const WAN_22_STD: [f32; 48] = [
    0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.4990, 0.4818, 0.5013, 0.8158, 1.0344, 0.5894, 1.0901, 0.6885,
    0.6165, 0.8454, 0.4978, 0.5759, 0.3523, 0.7135, 0.6804, 0.5833, 1.4146, 0.8986, 0.5659, 0.7069, 0.5338,
    0.4889, 0.4917, 0.4069, 0.4999, 0.6866, 0.4093, 0.5709, 0.6065, 0.6415, 0.4944, 0.5726, 1.2042, 0.5458,
    1.6887, 0.3971, 1.0600, 0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744,
];

impl Default for VaeConfig {
    /// The Wan 2.1 VAE.
    fn default() -> Self {
        Self {
            base_dim: 96,
            decoder_base_dim: None,
            z_dim: 16,
            dim_mult: vec![1, 2, 4, 4],
            num_res_blocks: 2,
            attn_scales: Vec::new(),
            temperal_downsample: vec![false, true, true],
            latents_mean: WAN_MEAN.to_vec(),
            latents_std: WAN_STD.to_vec(),
            is_residual: false,
            in_channels: 3,
            out_channels: 3,
            patch_size: None,
        }
    }
}

impl VaeConfig {
    /// The Wan 2.2 VAE, which TI2V 5B works with.
    pub fn wan_22() -> Self {
        Self {
            base_dim: 160,
            decoder_base_dim: Some(256),
            z_dim: 48,
            latents_mean: WAN_22_MEAN.to_vec(),
            latents_std: WAN_22_STD.to_vec(),
            is_residual: true,
            in_channels: 12,
            out_channels: 12,
            patch_size: Some(2),
            ..Self::default()
        }
    }

    /// The published VAE that these tensors are of, in either spelling, or one of its layout with other widths.
    ///
    /// # Errors
    /// When a tensor that tells a size is missing.
    pub fn detect(weights: &Weights) -> Loaded<Self> {
        let residual = ["decoder.upsamples.0.upsamples.", "decoder.up_blocks.0.upsampler."];
        let published = match weights.tensor_names().any(|name| residual.iter().any(|p| name.starts_with(p)))
        {
            true => Self::wan_22(),
            false => Self::default(),
        };
        let weights = &weights.renamed(|name| names::official_vae_name(name, &published));
        let outputs = |name: &str| {
            let missing = || ModelError::MissingTensor { name: name.into(), file: weights.source().into() };
            weights.shape(name).and_then(|shape| shape.first().copied()).ok_or_else(missing)
        };
        let decoder_base = outputs("decoder.head.0.gamma")?;
        Ok(Self {
            base_dim: outputs("encoder.conv1.weight")?,
            decoder_base_dim: published.decoder_base_dim.map(|_| decoder_base),
            ..published
        })
    }

    /// Reads a `config.json`, or the one in a folder.
    ///
    /// # Errors
    /// When it cannot be read or describes a network that is not supported.
    pub fn read(path: &Path) -> Loaded<Self> {
        let (path, config) = read_json::<Self>(path)?;
        match config.unsupported() {
            Some(reason) => Err(ModelError::config(&path, reason)),
            None => Ok(config),
        }
    }

    /// Pixels per latent cell, in each direction.
    pub fn spatial_factor(&self) -> usize {
        self.patch() << self.reductions()
    }

    /// Frames per latent frame after the first.
    pub fn temporal_factor(&self) -> usize {
        1 << self.temperal_downsample.iter().filter(|&&halves| halves).count()
    }

    /// Latent frames of a clip of `frames`, which is 1 + 4n.
    pub fn latent_frames(&self, frames: usize) -> usize {
        1 + frames.saturating_sub(1) / self.temporal_factor()
    }

    /// Side of the pixel patches folded into channels; 1 where there are none.
    pub(crate) fn patch(&self) -> usize {
        self.patch_size.unwrap_or(1)
    }

    /// How many of the stages end by halving rows and columns.
    pub(crate) fn reductions(&self) -> usize {
        self.dim_mult.len() - 1
    }

    fn unsupported(&self) -> Option<&'static str> {
        let sizes = [self.base_dim, self.z_dim, self.decoder_base_dim.unwrap_or(1), self.patch()];
        let latents = [self.latents_mean.len(), self.latents_std.len()];
        [
            (self.attn_scales.is_empty(), "attention outside the middle block is not supported"),
            (!self.dim_mult.is_empty(), "dim_mult is empty"),
            (sizes.iter().chain(&self.dim_mult).all(|&size| size > 0), "a size is zero"),
            (self.temperal_downsample.len() + 1 >= self.dim_mult.len(), "temperal_downsample is too short"),
            (self.temporal_factor() == 4, "exactly two of temperal_downsample must be true"),
            (latents == [self.z_dim; 2], "latents_mean and latents_std must have z_dim values"),
        ]
        .into_iter()
        .find_map(|(fine, reason)| (!fine).then_some(reason))
        .or_else(|| self.uneven_shortcut().then_some("channels do not divide evenly in a shortcut"))
    }

    fn uneven_shortcut(&self) -> bool {
        let mut stages = encoder_stages(self).into_iter().chain(decoder_stages(self));
        stages.any(|stage| matches!(stage.kind, StageKind::Group(sizes) if !sizes.fits()))
    }
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Loaded<(PathBuf, T)> {
    let path = if path.is_dir() { path.join("config.json") } else { path.to_owned() };
    let text = std::fs::read_to_string(&path)
        .map_err(|source| ModelError::Unreadable { path: path.clone(), source })?;
    let config = serde_json::from_str(&text).map_err(|e| ModelError::config(&path, e))?;
    Ok((path, config))
}

fn last(shape: &[usize]) -> usize {
    shape.last().copied().unwrap_or(1)
}

fn not_a_patch(weights: &Weights) -> ModelError {
    ModelError::weights(weights.source(), "patch_embedding.weight has not five dimensions")
}
