//! The causal video VAE of Wan 2.1 and of Wan 2.2, in any size: pixels to latents and back, chunk by chunk. Inference only.

use std::path::Path;

use candle_core::{Result, Tensor, bail};

use crate::config::VaeConfig;
use crate::error::Loaded;
use crate::names::{VaeStage, decoder_stages, encoder_stages, official_vae_name};
use crate::vae_blocks::{CausalConv, FrameAttention, History, Norm, Residual, Stage};
use crate::weights::{Placement, Scope, Weights};

/// Encoder and decoder of one VAE.
pub struct WanVae {
    config: VaeConfig,
    encoder: Side,
    decoder: Side,
    /// `conv1`: after the encoder.
    after: CausalConv,
    /// `conv2`: before the decoder.
    before: CausalConv,
}

impl WanVae {
    /// Builds the network from weights under official or diffusers' names.
    ///
    /// # Errors
    /// Names the tensor and the file when one is missing or has another shape than `config` says.
    pub fn load(weights: &Weights, config: VaeConfig) -> Loaded<Self> {
        let weights = weights.renamed(|name| official_vae_name(name, &config));
        let (w, z) = (weights.under(""), config.z_dim);
        let pointwise = |name, channels| CausalConv::load(&w, name, [channels; 2], [1, 1]);
        Ok(Self {
            encoder: Side::load_encoder(&w, &config)?,
            decoder: Side::load_decoder(&w, &config)?,
            after: pointwise("conv1", 2 * z)?,
            before: pointwise("conv2", z)?,
            config,
        })
    }

    /// Builds the network from a folder that holds `config.json` and safetensors.
    ///
    /// # Errors
    /// As [`WanVae::load`], and when the files cannot be read.
    pub fn open(folder: &Path) -> Loaded<Self> {
        Self::open_on(folder, &Placement::default())
    }

    /// [`WanVae::open`], placed elsewhere.
    ///
    /// # Errors
    /// As there, and when the device has no room.
    pub fn open_on(folder: &Path, placement: &Placement) -> Loaded<Self> {
        Self::load(&Weights::open(folder)?.placed(placement), VaeConfig::read(folder)?)
    }

    /// The sizes of the network.
    pub fn config(&self) -> &VaeConfig {
        &self.config
    }

    /// Pixels (B, 3, T, H, W) in [-1, 1] to the mean of the latent (B, z, T', h, w), not normalised.
    ///
    /// T is 1 + 4n and gives T' = 1 + n; H and W are multiples of [`VaeConfig::spatial_factor`].
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn encode(&self, video: &Tensor) -> Result<Tensor> {
        let (_, _, frames, rows, columns) = video.dims5()?;
        let factor = self.config.spatial_factor();
        if frames % 4 != 1 || rows % factor != 0 || columns % factor != 0 {
            bail!(
                "video of {frames} frames, {rows}x{columns}: frames must be 1 + 4n, rows and columns multiples of {factor}"
            );
        }
        each_clip(video, |clip| {
            let clip = fold_patches(&frames_first(clip)?, self.config.patch())?;
            let chunks = std::iter::once((0, 1)).chain((1..frames).step_by(4).map(|first| (first, 4)));
            let means = self.encoder.run(&clip, chunks)?;
            channels_first(&self.after.on_frames(&means)?.narrow(1, 0, self.config.z_dim)?)
        })
    }

    /// A latent (B, z, T', h, w) as [`WanVae::encode`] gives it to pixels (B, 3, T, H, W) clamped to [-1, 1].
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn decode(&self, latent: &Tensor) -> Result<Tensor> {
        let (_, _, frames, _, _) = latent.dims5()?;
        each_clip(latent, |clip| {
            let clip = self.before.on_frames(&frames_first(clip)?)?;
            let pixels = self.decoder.run(&clip, (0..frames).map(|frame| (frame, 1)))?;
            channels_first(&unfold_patches(&pixels, self.config.patch())?)?.clamp(-1f32, 1f32)
        })
    }

    /// A latent as the transformer sees it: each channel less its mean, over its deviation.
    ///
    /// # Errors
    /// When the latent has not z channels.
    pub fn normalise(&self, latent: &Tensor) -> Result<Tensor> {
        latent
            .broadcast_sub(&per_channel(&self.config.latents_mean, latent)?)?
            .broadcast_div(&per_channel(&self.config.latents_std, latent)?)
    }

    /// The inverse of [`WanVae::normalise`].
    ///
    /// # Errors
    /// When the latent has not z channels.
    pub fn denormalise(&self, latent: &Tensor) -> Result<Tensor> {
        latent
            .broadcast_mul(&per_channel(&self.config.latents_std, latent)?)?
            .broadcast_add(&per_channel(&self.config.latents_mean, latent)?)
    }
}

/// Encoder or decoder: both are a convolution, stages, a middle and a head, the middle before or after the stages.
struct Side {
    first: CausalConv,
    stages: Vec<Stage>,
    middle: (Residual, FrameAttention, Residual),
    middle_first: bool,
    norm: Norm,
    last: CausalConv,
}

impl Side {
    fn load_encoder(w: &Scope<'_>, config: &VaeConfig) -> Loaded<Self> {
        let top = config.base_dim * config.dim_mult[config.reductions()];
        let ends = [config.in_channels, config.base_dim, top, top, 2 * config.z_dim];
        Self::load(w, "encoder", &encoder_stages(config), ends, false)
    }

    fn load_decoder(w: &Scope<'_>, config: &VaeConfig) -> Loaded<Self> {
        let base = config.decoder_base_dim.unwrap_or(config.base_dim);
        let (top, bottom) = (base * config.dim_mult[config.reductions()], base * config.dim_mult[0]);
        let ends = [config.z_dim, top, top, bottom, config.out_channels];
        Self::load(w, "decoder", &decoder_stages(config), ends, true)
    }

    /// `ends` counts channels: in, after the first convolution, in the middle, before the head, out.
    fn load(
        w: &Scope<'_>,
        side: &str,
        stages: &[VaeStage],
        ends: [usize; 5],
        middle_first: bool,
    ) -> Loaded<Self> {
        let [inputs, start, middle, end, outputs] = ends;
        let stage = |stage: &VaeStage| Stage::load(&w.under(&stage.official), &stage.kind);
        let w = w.under(side);
        let residual = |name| Residual::load(&w.under(name), middle, middle);
        Ok(Self {
            first: CausalConv::load(&w, "conv1", [inputs, start], [3, 3])?,
            stages: stages.iter().map(stage).collect::<Loaded<_>>()?,
            middle: (
                residual("middle.0")?,
                FrameAttention::load(&w.under("middle.1"), middle)?,
                residual("middle.2")?,
            ),
            middle_first,
            norm: Norm::load(&w, "head.0", &[end, 1, 1, 1])?,
            last: CausalConv::load(&w, "head.2", [end, outputs], [3, 3])?,
        })
    }

    /// The chunks (first frame, frames) of a clip (T, C, H, W) one after the other.
    fn run(&self, clip: &Tensor, chunks: impl Iterator<Item = (usize, usize)>) -> Result<Tensor> {
        let mut history = History::default();
        let chunks = chunks.map(|(first, frames)| {
            history.rewind();
            self.chunk(&clip.narrow(0, first, frames)?, &mut history)
        });
        Tensor::cat(&chunks.collect::<Result<Vec<_>>>()?, 0)
    }

    fn chunk(&self, x: &Tensor, history: &mut History) -> Result<Tensor> {
        let mut x = self.first.forward(x, history)?;
        if self.middle_first {
            x = self.middle(&x, history)?;
        }
        for stage in &self.stages {
            x = stage.forward(&x, history)?;
        }
        if !self.middle_first {
            x = self.middle(&x, history)?;
        }
        self.last.forward(&self.norm.activated(&x)?, history)
    }

    fn middle(&self, x: &Tensor, history: &mut History) -> Result<Tensor> {
        let x = self.middle.0.forward(x, history)?;
        self.middle.2.forward(&self.middle.1.forward(&x)?, history)
    }
}

/// Applies `f` to each clip (C, T, H, W) of a batch.
fn each_clip(batch: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let clips = (0..batch.dim(0)?).map(|i| f(&batch.get(i)?.detach()));
    Tensor::stack(&clips.collect::<Result<Vec<_>>>()?, 0)
}

/// (C, T, H, W) -> (T, C, H, W)
fn frames_first(clip: &Tensor) -> Result<Tensor> {
    clip.transpose(0, 1)?.contiguous()
}

/// (T, C, H, W) -> (C, T, H, W)
fn channels_first(clip: &Tensor) -> Result<Tensor> {
    frames_first(clip)
}

/// (T, C, H, W) -> (T, C p p, H / p, W / p): within a channel the column of the patch counts slower than its row.
fn fold_patches(x: &Tensor, p: usize) -> Result<Tensor> {
    let (frames, channels, rows, columns) = x.dims4()?;
    let x = x.reshape((frames, channels, rows / p, p, columns / p, p))?;
    x.permute((0, 1, 5, 3, 2, 4))?.reshape((frames, channels * p * p, rows / p, columns / p))
}

/// The inverse of [`fold_patches`].
fn unfold_patches(x: &Tensor, p: usize) -> Result<Tensor> {
    let (frames, channels, rows, columns) = x.dims4()?;
    let x = x.reshape((frames, channels / (p * p), p, p, rows, columns))?;
    x.permute((0, 1, 4, 3, 5, 2))?.reshape((frames, channels / (p * p), rows * p, columns * p))
}

/// (1, C, 1, 1, 1), where `latent` is.
fn per_channel(values: &[f32], latent: &Tensor) -> Result<Tensor> {
    Tensor::from_slice(values, (1, values.len(), 1, 1, 1), latent.device())
}
