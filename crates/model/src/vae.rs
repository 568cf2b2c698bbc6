//! The causal video VAE of Wan 2.1 and of Wan 2.2, in any size: pixels to latents and back, chunk by chunk. Inference only.

use std::path::Path;

use candle_core::{Result, Tensor, bail};

use crate::config::VaeConfig;
use crate::error::Loaded;
use crate::names::{VaeStage, decoder_stages, encoder_stages, official_vae_name};
use crate::vae_blocks::{CausalConv, FrameAttention, History, Norm, Residual, Stage};
use crate::vae_tiles::{Canvas, Tiles, Tiling};
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
    tiling: Option<Tiling>,
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
            tiling: None,
            config,
        })
    }

    /// The same network, working through pictures larger than a tile in tiles; `None` takes every picture whole.
    ///
    /// The result differs a little from the whole picture's: norms and convolutions see no further than the tile, and the
    /// attention in the middle looks at the tile's own pixels only. A picture that fits in one tile gives the same bits.
    pub fn with_tiling(self, tiling: Option<Tiling>) -> Self {
        Self { tiling, ..self }
    }

    /// How pictures are cut into tiles, if they are.
    pub fn tiling(&self) -> Option<Tiling> {
        self.tiling
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
        let tiles = self.tiles([rows / factor, columns / factor]);
        each_clip(video, |clip| match &tiles {
            Some(tiles) => self.encode_tiles(clip, tiles),
            None => {
                let mut means = Vec::new();
                self.encode_chunks(clip, |mean| {
                    means.push(mean);
                    Ok(())
                })?;
                channels_first(&self.latent_mean(&Tensor::cat(&means, 0)?)?)
            }
        })
    }

    /// A latent (B, z, T', h, w) as [`WanVae::encode`] gives it to pixels (B, 3, T, H, W) clamped to [-1, 1].
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn decode(&self, latent: &Tensor) -> Result<Tensor> {
        let (_, _, _, rows, columns) = latent.dims5()?;
        let tiles = self.tiles([rows, columns]);
        each_clip(latent, |clip| match &tiles {
            Some(tiles) => self.decode_tiles(clip, tiles),
            None => {
                let mut chunks = Vec::new();
                self.decode_chunks(clip, |pixels| {
                    chunks.push(pixels);
                    Ok(())
                })?;
                let pixels = Tensor::cat(&chunks, 0)?;
                chunks.clear();
                channels_first(&unfold_patches(&pixels, self.config.patch())?)?.clamp(-1f32, 1f32)
            }
        })
    }

    /// Where the tiles of a picture of so many latent rows and columns lie; none where one tile holds it.
    fn tiles(&self, cells: [usize; 2]) -> Option<Tiles> {
        self.tiling.and_then(|tiling| Tiles::new(cells, tiling, self.config.spatial_factor()))
    }

    /// Each tile runs through time by itself: (C, T, H, W) -> (z, T', h, w)
    fn encode_tiles(&self, clip: &Tensor, tiles: &Tiles) -> Result<Tensor> {
        let frames = self.config.latent_frames(clip.dim(1)?);
        let mut canvas = Canvas::new([self.config.z_dim, frames], tiles, 1);
        for tile in tiles.all() {
            let mut frame = 0;
            self.encode_chunks(&tile.of_pixels(clip, self.config.spatial_factor())?, |mean| {
                canvas.add(&self.latent_mean(&mean)?, frame, &tile)?;
                frame += mean.dim(0)?;
                Ok(())
            })?;
        }
        canvas.into_tensor(clip.device(), None)
    }

    /// (z, T', h, w) -> (C, T, H, W)
    fn decode_tiles(&self, latent: &Tensor, tiles: &Tiles) -> Result<Tensor> {
        let (patch, factor) = (self.config.patch(), self.config.spatial_factor());
        let frames = 1 + (latent.dim(1)? - 1) * self.config.temporal_factor();
        let mut canvas = Canvas::new([self.config.out_channels / (patch * patch), frames], tiles, factor);
        for tile in tiles.all() {
            let mut frame = 0;
            self.decode_chunks(&tile.of_pixels(latent, 1)?, |pixels| {
                canvas.add(&unfold_patches(&pixels, patch)?, frame, &tile)?;
                frame += pixels.dim(0)?;
                Ok(())
            })?;
        }
        canvas.into_tensor(latent.device(), Some([-1.0, 1.0]))
    }

    /// Hands what the encoder says of each chunk of `clip` (C, T, H, W) to `sink`, (1, 2 z, h, w): the first frame
    /// alone, then four by four.
    fn encode_chunks(&self, clip: &Tensor, sink: impl FnMut(Tensor) -> Result<()>) -> Result<()> {
        let chunks = std::iter::once((0, 1)).chain((1..clip.dim(1)?).step_by(4).map(|first| (first, 4)));
        let chunk = |(first, frames)| {
            fold_patches(&frames_first(&clip.narrow(1, first, frames)?)?, self.config.patch())
        };
        self.encoder.run(chunks.map(chunk), sink)
    }

    /// Hands the frames of each chunk of the latent `clip` (z, T', h, w) to `sink`, (1 or 4, 3 p p, H / p, W / p).
    fn decode_chunks(&self, clip: &Tensor, sink: impl FnMut(Tensor) -> Result<()>) -> Result<()> {
        let clip = self.before.on_frames(&frames_first(clip)?)?;
        self.decoder.run((0..clip.dim(0)?).map(|frame| clip.narrow(0, frame, 1)), sink)
    }

    /// The mean out of mean and deviation (T', 2 z, h, w).
    fn latent_mean(&self, encoded: &Tensor) -> Result<Tensor> {
        self.after.on_frames(encoded)?.narrow(1, 0, self.config.z_dim)
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

    /// The chunks (T, C, H, W) of a clip one after the other; `sink` gets what comes of each.
    fn run(
        &self,
        chunks: impl Iterator<Item = Result<Tensor>>,
        mut sink: impl FnMut(Tensor) -> Result<()>,
    ) -> Result<()> {
        let mut history = History::default();
        for chunk in chunks {
            history.rewind();
            sink(self.chunk(chunk?, &mut history)?)?;
        }
        Ok(())
    }

    fn chunk(&self, x: Tensor, history: &mut History) -> Result<Tensor> {
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
        let normed = {
            let x = x;
            self.norm.activated(&x)?
        };
        self.last.forward(normed, history)
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
