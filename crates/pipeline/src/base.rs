//! A base model in memory: its networks, the text it is given, and the condition made with its own VAE.

use candle_core::{DType, Device, Result, Tensor};
use lora_edit_adapt::Adapter;
use lora_edit_model::{Placement, WanTransformer, WanVae};
use lora_edit_shot::Frame;
use lora_edit_shot::base::BaseModel;

use crate::clip::Clip;
use crate::condition::{packed_mask, shown_frames};
use crate::failure::JobError;
use crate::pixels::video_from_frames;

/// The networks of a base model, on one device.
pub struct Base {
    /// The transformer; adapters attach to it.
    pub transformer: WanTransformer,
    /// The video autoencoder.
    pub vae: WanVae,
    /// What the text branch is given, (1, L, text_dim).
    pub text: Tensor,
    device: Device,
}

impl Base {
    /// Loads the networks from the model's folder (`vae/`, `transformer/`) onto `device`.
    ///
    /// # Errors
    /// When files are missing, broken, or of a network that takes more than this version gives (CLIP states).
    pub fn open(model: &BaseModel, device: &Device) -> std::result::Result<Self, JobError> {
        let folder = |name: &str| model.folder.join(name);
        let transformer =
            WanTransformer::open_on(&folder("transformer"), &Placement::of_transformer(device))?;
        let vae = WanVae::open_on(&folder("vae"), &Placement::of_vae(device))?;
        let text = null_text(transformer.config().text_dim, device)?;
        Ok(Self { transformer, vae, text, device: device.clone() })
    }

    /// Working frames (4n+1) -> normalised latents (1, z, F', h, w).
    pub fn encode(&self, frames: &[Frame]) -> Result<Tensor> {
        let video = video_from_frames(frames, &Placement::of_vae(&self.device).device)?;
        self.vae.normalise(&self.vae.encode(&video)?)?.to_device(&self.device)
    }

    /// Normalised latents (1, z, F', h, w) -> video (1, 3, T, H, W) in [-1, 1].
    pub fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        let latents = latents.to_device(&Placement::of_vae(&self.device).device)?;
        self.vae.decode(&self.vae.denormalise(&latents)?)
    }

    /// What the transformer sees beside the noise, (1, 4 + z, F', h, w): the packed mask, then the latents of the
    /// clip as it is shown: held frames whole, grey where the others are to be generated.
    pub fn condition(&self, clip: &Clip) -> Result<Tensor> {
        let mask = packed_mask(clip, self.vae.config().spatial_factor(), &self.device)?;
        let shown = self.encode(&shown_frames(clip))?;
        Tensor::cat(&[&mask, &shown], 1)
    }

    /// The transformer's velocity at noisy latents `x` (1, z, F', h, w) and timestep `t` in 0..1000.
    pub fn velocity(&self, x: &Tensor, t: f64, condition: &Tensor) -> Result<Tensor> {
        let t = Tensor::full(t as f32, 1, &Device::Cpu)?;
        self.transformer.forward(&Tensor::cat(&[x, condition], 1)?, &t, &self.text, None)
    }

    /// Folds `adapter` into the transformer's weights: for sampling, where nothing is trained any more.
    pub fn fold(&mut self, adapter: &Adapter) -> std::result::Result<(), JobError> {
        adapter.attach(&mut self.transformer, 1.0)?;
        for (_, linear) in self.transformer.linears_mut() {
            *linear = linear.merged()?;
        }
        Ok(())
    }
}

/// The text of a model trained without text: one zero token.
fn null_text(text_dim: usize, device: &Device) -> Result<Tensor> {
    Tensor::zeros((1, 1, text_dim), DType::F32, device)
}
