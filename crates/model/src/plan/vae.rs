//! What the VAE holds while it works: its walk through the stages with sizes instead of numbers.
//!
//! Follows `vae.rs`, `vae_blocks.rs` and `vae_groups.rs` of this crate step by step; a change there is a change here.

use crate::config::VaeConfig;
use crate::names::{StageKind, decoder_stages, encoder_stages};

/// Bytes of a number: the VAE computes in f32 everywhere.
const NUMBER: u64 = 4;
/// Frames of a chunk of a clip, and of the latent.
const CHUNK: [u64; 2] = [4, 1];

/// A tensor (frames, channels, pixels).
#[derive(Clone, Copy)]
struct Size {
    frames: u64,
    channels: u64,
    pixels: u64,
}

impl Size {
    fn bytes(self) -> u64 {
        NUMBER * self.frames * self.channels * self.pixels
    }

    fn channels(self, channels: usize) -> Self {
        Self { channels: channels as u64, ..self }
    }
}

/// What has been passed on the way through one side, at a chunk that is not the first.
#[derive(Default)]
struct Walk {
    /// Remembered by all causal layers.
    history: u64,
    /// The most held at a time beside that.
    peak: u64,
}

impl Walk {
    fn hold(&mut self, bytes: u64) {
        self.peak = self.peak.max(bytes);
    }

    /// A causal convolution of three frames, which frees its input; the caller holds `held` beside it.
    fn causal(&mut self, x: Size, outputs: usize, held: u64) -> Size {
        let past = Size { frames: 2, ..x };
        let joined = Size { frames: x.frames + 2, ..x }.bytes();
        self.history += past.bytes();
        let out = x.channels(outputs);
        self.hold(held + x.bytes() + joined);
        self.hold(held + joined + past.bytes());
        self.hold(held + joined + out.bytes());
        out
    }

    /// `Residual::forward`, with what the caller holds beside `x`.
    fn residual(&mut self, x: Size, outputs: usize, held: u64) -> Size {
        let held = held + x.bytes();
        self.hold(held + x.bytes());
        let y = self.causal(x, outputs, held);
        self.hold(held + 2 * y.bytes());
        let y = self.causal(y, outputs, held);
        let shortcut = if x.channels == y.channels { 0 } else { y.bytes() };
        self.hold(held + 2 * y.bytes() + shortcut);
        y
    }

    /// `FrameAttention::forward`: queries, keys and values together, apart, and the parts of what is seen.
    fn attention(&mut self, x: Size) {
        self.hold(9 * x.bytes());
    }

    fn down(&mut self, x: Size, channels: usize, frames: bool, held: u64) -> Size {
        let mut out = Size { pixels: x.pixels / 4, ..x }.channels(channels);
        self.hold(held + x.bytes() + out.bytes());
        if frames {
            self.history += Size { frames: 1, ..out }.bytes();
            let known = Size { frames: out.frames + 1, ..out }.bytes();
            self.hold(held + x.bytes() + known + out.bytes());
            out.frames = (out.frames / 2).max(1);
        }
        out
    }

    fn up(&mut self, x: Size, outputs: usize, frames: bool, held: u64) -> Size {
        let mut split = x;
        if frames {
            self.history += Size { frames: 2, ..x }.bytes();
            split.frames *= 2;
            let known = Size { frames: x.frames + 2, ..x }.bytes();
            self.hold(held + x.bytes() + known + split.bytes());
        }
        let out = Size { pixels: 4 * split.pixels, ..split }.channels(outputs);
        let split = if frames { split.bytes() } else { 0 };
        self.hold(held + x.bytes() + split + out.bytes());
        out
    }

    fn stage(&mut self, x: Size, kind: &StageKind) -> Size {
        match *kind {
            StageKind::Residual { outputs, .. } => self.residual(x, outputs, 0),
            StageKind::Down { channels, frames } => self.down(x, channels, frames, 0),
            StageKind::Up { channels, frames } => self.up(x, channels / 2, frames, 0),
            StageKind::Group(ref sizes) => {
                let mut y = x;
                for block in 0..sizes.blocks {
                    // The stage's input is the first block's; beside the others it is held for the shortcut.
                    let held = if block == 0 { 0 } else { x.bytes() };
                    y = self.residual(y, sizes.outputs, held);
                }
                y = match sizes.resize {
                    Some(frames) if sizes.encoder => self.down(y, sizes.outputs, frames, x.bytes()),
                    Some(frames) => self.up(y, sizes.outputs, frames, x.bytes()),
                    None => y,
                };
                // The shortcut's two rearranged copies, and the sum.
                let copies = if sizes.encoder { 2 * x.bytes() } else { 2 * y.bytes() };
                self.hold(x.bytes() + 2 * y.bytes() + copies);
                y
            }
        }
    }

    fn middle(&mut self, x: Size) -> Size {
        let channels = x.channels as usize;
        let x = self.residual(x, channels, 0);
        self.attention(x);
        self.residual(x, channels, 0)
    }

    fn head(&mut self, x: Size, outputs: usize) {
        self.hold(2 * x.bytes());
        self.causal(x, outputs, 0);
    }

    fn most(&self) -> u64 {
        self.history + self.peak
    }
}

/// Bytes that encoding a picture, or a tile, of so many rows and columns of pixels holds beside weights and the clip.
pub(super) fn encoding(config: &VaeConfig, [rows, columns]: [usize; 2]) -> u64 {
    let patch = config.patch();
    let pixels = (rows / patch * (columns / patch)) as u64;
    let x = Size { frames: CHUNK[0], channels: config.in_channels as u64, pixels };
    let mut walk = Walk::default();
    let mut x = walk.causal(x, config.base_dim, 2 * x.bytes());
    for stage in encoder_stages(config) {
        x = walk.stage(x, &stage.kind);
    }
    x = walk.middle(x);
    walk.head(x, 2 * config.z_dim);
    walk.most()
}

/// The same for decoding.
pub(super) fn decoding(config: &VaeConfig, [rows, columns]: [usize; 2]) -> u64 {
    let factor = config.spatial_factor();
    let cells = (rows.div_ceil(factor) * columns.div_ceil(factor)) as u64;
    let base = config.decoder_base_dim.unwrap_or(config.base_dim);
    let z = Size { frames: CHUNK[1], channels: config.z_dim as u64, pixels: cells };
    let mut walk = Walk::default();
    let mut x = walk.causal(z, base * config.dim_mult[config.reductions()], 0);
    x = walk.middle(x);
    for stage in decoder_stages(config) {
        x = walk.stage(x, &stage.kind);
    }
    walk.head(x, config.out_channels);
    walk.most()
}
