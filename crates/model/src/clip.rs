//! The image encoder, CLIP's vision tower: an image in, one state per patch out. Inference only.

use std::path::Path;

use candle_core::{DType, Device, Result, Tensor, bail};

use crate::clip_config::{ClipVisionConfig, official_names};
use crate::error::Loaded;
use crate::kernels::{attention, layer_norm};
use crate::linear::Linear;
use crate::weights::{Scope, Weights};

/// Mean and deviation of the red, green and blue that CLIP was trained on.
const MEAN: [f64; 3] = [0.48145466, 0.4578275, 0.40821073];
const DEVIATION: [f64; 3] = [0.26862954, 0.26130258, 0.27577711];

/// CLIP ViT-H/14 without its last block, which Wan 2.1 does not use, or another size of it.
pub struct ClipVision {
    config: ClipVisionConfig,
    /// (1, 1, dim)
    class: Tensor,
    /// (1, tokens, dim)
    positions: Tensor,
    patches: Linear,
    pre_norm: [Tensor; 2],
    blocks: Vec<Block>,
}

impl ClipVision {
    /// Builds the network from weights under official, transformers' or OpenCLIP's names.
    ///
    /// # Errors
    /// Names the tensor and the file when one is missing or has another shape than `config` says.
    pub fn load(weights: &Weights, config: ClipVisionConfig) -> Loaded<Self> {
        let weights = official_names(weights);
        let (w, dim, patch) = (weights.under("visual"), config.hidden_size, config.patch_size);
        let kernel = w.tensor("patch_embedding.weight", &[dim, 3, patch, patch])?;
        let blocks = (0..config.num_hidden_layers - 1).map(|i| Block::load(&weights, i, &config));
        Ok(Self {
            class: with_leading_ones(&weights, "visual.cls_embedding", &[1, 1, dim])?,
            positions: with_leading_ones(&weights, "visual.pos_embedding", &[1, config.tokens(), dim])?,
            patches: Linear::new(kernel.flatten_from(1)?, None)?,
            pre_norm: norm(&w, "pre_norm", dim)?,
            blocks: blocks.collect::<Loaded<_>>()?,
            config,
        })
    }

    /// Builds the network from a file, or a folder of them; its sizes are in the folder's `config.json`, or told by
    /// the tensors where there is none.
    ///
    /// # Errors
    /// As [`ClipVision::load`], and when the files cannot be read.
    pub fn open(path: &Path) -> Loaded<Self> {
        let weights = Weights::open(path)?;
        Self::load(&weights, ClipVisionConfig::of(path, &weights)?)
    }

    /// The sizes of the network.
    pub fn config(&self) -> &ClipVisionConfig {
        &self.config
    }

    /// Images as Wan's transformer takes them: [`pixel_values`], then [`ClipVision::penultimate`].
    ///
    /// `images` (B, 3, H, W) in [-1, 1] give (B, tokens, hidden_size).
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn encode(&self, images: &Tensor) -> Result<Tensor> {
        self.penultimate(&pixel_values(images, self.config.image_size)?)
    }

    /// The states after all blocks but the last, without the closing norm: transformers' `hidden_states[-2]`.
    ///
    /// `pixel_values` (B, 3, image_size, image_size), as [`pixel_values`] makes them, give (B, tokens, hidden_size),
    /// the class token first.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn penultimate(&self, pixel_values: &Tensor) -> Result<Tensor> {
        let eps = self.config.layer_norm_eps;
        let x = self.embed(pixel_values)?;
        let x = layer_norm(&x, &self.pre_norm[0], &self.pre_norm[1], eps)?;
        self.blocks.iter().try_fold(x, |x, block| block.forward(&x))
    }

    /// (B, 3, side, side) -> (B, tokens, dim)
    fn embed(&self, pixels: &Tensor) -> Result<Tensor> {
        let (batch, channels, rows, columns) = pixels.dims4()?;
        let (side, patch) = (self.config.image_size, self.config.patch_size);
        if (channels, rows, columns) != (3, side, side) {
            bail!("pixel values are {:?}, expected (B, 3, {side}, {side})", pixels.dims());
        }
        let count = side / patch;
        let x = pixels.reshape(&[batch, 3, count, patch, count, patch][..])?;
        let x = x.permute(vec![0, 2, 4, 1, 3, 5])?; // B h w, C ph pw
        let x = self.patches.forward(&x.reshape((batch, count * count, 3 * patch * patch))?)?;
        let class = self.class.broadcast_as((batch, 1, self.config.hidden_size))?;
        Tensor::cat(&[&class, &x], 1)?.broadcast_add(&self.positions)
    }
}

/// Attention, then a feed-forward layer, each of the normalised state and added to it.
struct Block {
    eps: f64,
    heads: usize,
    quick_gelu: bool,
    norm1: [Tensor; 2],
    /// (3 dim, dim): q, k, v
    qkv: Linear,
    proj: Linear,
    norm2: [Tensor; 2],
    mlp: [Linear; 2],
}

impl Block {
    fn load(weights: &Weights, i: usize, config: &ClipVisionConfig) -> Loaded<Self> {
        let path = format!("visual.transformer.{i}");
        let (w, dim, hidden) = (weights.under(path.clone()), config.hidden_size, config.intermediate_size);
        Ok(Self {
            eps: config.layer_norm_eps,
            heads: config.num_attention_heads,
            quick_gelu: config.hidden_act == "quick_gelu",
            norm1: norm(&w, "norm1", dim)?,
            qkv: fused(weights, &format!("{path}.attn"), dim)?,
            proj: w.linear("attn.proj", dim, dim)?,
            norm2: norm(&w, "norm2", dim)?,
            mlp: [w.linear("mlp.0", dim, hidden)?, w.linear("mlp.2", hidden, dim)?],
        })
    }

    /// (B, S, dim) -> (B, S, dim)
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = (x + self.attention(&layer_norm(x, &self.norm1[0], &self.norm1[1], self.eps)?)?)?;
        let hidden = self.mlp[0].forward(&layer_norm(&x, &self.norm2[0], &self.norm2[1], self.eps)?)?;
        let hidden = if self.quick_gelu { quick_gelu(&hidden)? } else { hidden.gelu_erf()? };
        x + self.mlp[1].forward(&hidden)?
    }

    fn attention(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, tokens, dim) = x.dims3()?;
        let qkv = self.qkv.forward(x)?.reshape((batch, tokens, 3, self.heads, dim / self.heads))?;
        let part = |i: usize| qkv.narrow(2, i, 1)?.squeeze(2)?.contiguous(); // B S H D
        self.proj.forward(&attention(&part(0)?, &part(1)?, &part(2)?)?.reshape(x.shape())?)
    }
}

/// Official files keep query, key and value in one layer, transformers in three.
fn fused(weights: &Weights, path: &str, dim: usize) -> Loaded<Linear> {
    let (w, parts) = (weights.under(path), ["q_proj", "k_proj", "v_proj"]);
    if !parts.iter().any(|part| weights.contains(&format!("{path}.{part}.weight"))) {
        return w.linear("to_qkv", dim, 3 * dim);
    }
    let layers = parts.iter().map(|part| w.linear(part, dim, dim)).collect::<Loaded<Vec<_>>>()?;
    let weights = layers.iter().map(|layer| layer.weight.dense()).collect::<Result<Vec<_>>>()?;
    let weight = Tensor::cat(&weights, 0)?;
    let bias = Tensor::cat(&layers.iter().filter_map(|layer| layer.bias.as_ref()).collect::<Vec<_>>(), 0)?;
    Ok(Linear::new(weight, Some(bias))?)
}

fn norm(w: &Scope<'_>, name: &str, dim: usize) -> Loaded<[Tensor; 2]> {
    let w = w.under(name);
    Ok([w.tensor("weight", &[dim])?, w.tensor("bias", &[dim])?])
}

/// A tensor of `shape`, which files may keep without the ones that it begins with.
fn with_leading_ones(weights: &Weights, name: &str, shape: &[usize]) -> Loaded<Tensor> {
    let ones = shape.iter().take_while(|&&size| size == 1).count();
    let short = &shape[ones..];
    let stored = if weights.shape(name) == Some(short) { short } else { shape };
    Ok(weights.tensor(name, stored)?.reshape(shape)?)
}

/// `x / (1 + exp(-1.702 x))`
fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    x / ((x * -1.702)?.exp()? + 1.0)?
}

/// Images (B, 3, H, W) in [-1, 1] to CLIP's input (B, 3, side, side), as Wan's code does it (`CLIPModel.visual` of
/// `clip.py`).
///
/// The image is stretched to the square, not cropped, by bicubic interpolation without antialiasing; values it
/// overshoots to are kept.
///
/// # Errors
/// When the shape does not fit.
pub fn pixel_values(images: &Tensor, side: usize) -> Result<Tensor> {
    let (batch, channels, rows, columns) = images.dims4()?;
    if channels != 3 || rows == 0 || columns == 0 {
        bail!("images are {:?}, expected (B, 3, H, W)", images.dims());
    }
    let device = images.device();
    let across = cubic_weights(columns, side)?.to_device(device)?.t()?;
    let down = cubic_weights(rows, side)?.to_device(device)?.unsqueeze(0)?;
    let x = images.reshape((batch * 3 * rows, columns))?.matmul(&across)?;
    let x = down.broadcast_matmul(&x.reshape((batch * 3, rows, side))?)?;
    let per_channel =
        |values: &[f64; 3]| Tensor::new(values, device)?.to_dtype(DType::F32)?.reshape((1, 3, 1, 1));
    let x = ((x.reshape((batch, 3, side, side))? * 0.5)? + 0.5)?;
    x.broadcast_sub(&per_channel(&MEAN)?)?.broadcast_div(&per_channel(&DEVIATION)?)
}

/// (to, from): what each of `from` samples in a row gives to each of `to`, the row's ends repeated beyond it.
fn cubic_weights(from: usize, to: usize) -> Result<Tensor> {
    let mut weights = vec![0f32; to * from];
    for (i, row) in weights.chunks_exact_mut(from).enumerate() {
        let at = (i as f64 + 0.5) * from as f64 / to as f64 - 0.5;
        let first = at.floor() - 1.0;
        for tap in 0..4 {
            let place = first + f64::from(tap);
            row[place.clamp(0.0, (from - 1) as f64) as usize] += keys_cubic(at - place) as f32;
        }
    }
    Tensor::from_vec(weights, (to, from), &Device::Cpu)
}

/// Keys' cubic kernel with the slope -0.75 that PyTorch uses.
fn keys_cubic(x: f64) -> f64 {
    const SLOPE: f64 = -0.75;
    let x = x.abs();
    if x <= 1.0 {
        ((SLOPE + 2.0) * x - (SLOPE + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((SLOPE * x - 5.0 * SLOPE) * x + 8.0 * SLOPE) * x - 4.0 * SLOPE
    } else {
        0.0
    }
}
