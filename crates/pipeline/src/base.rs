//! A base model in memory: its networks, the words and the picture it is told, and the condition made with its own VAE.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use lora_edit_model::guidance::{Expert, Inputs, StepCaches};
use lora_edit_model::residency::Memory;
use lora_edit_model::{Placement, Tiling, WanTransformer, WanVae, Weights};
use lora_edit_shot::Frame;
use lora_edit_shot::job::FailureKind;

use crate::clip::Clip;
use crate::condition::{packed_mask, shown_frames};
use crate::failure::JobError;
use crate::parts::{Parts, transformer_config, vae_config};
use crate::pixels::video_from_frames;
use crate::stack::Stack;
use crate::told::{Picture, Told};

/// The networks of a base model, on one device. Of two experts one is in memory at a time.
pub struct Base {
    /// The video autoencoder.
    pub vae: WanVae,
    /// What the text branch is given, (1, L, text_dim).
    pub text: Tensor,
    /// CLIP's states, (1, tokens, image_dim), of the pictures it was told of, of a model that takes them.
    images: BTreeMap<Picture, Tensor>,
    negative: Option<Tensor>,
    /// None only while another expert is read.
    transformer: Option<WanTransformer>,
    expert: Option<Expert>,
    stack: Stack,
    parts: Parts,
    load: Load,
}

/// Where the networks are put: the one place where memory is shared out.
#[derive(Clone, Debug)]
pub struct Load {
    /// The transformer's place.
    pub transformer: Placement,
    /// The video autoencoder's.
    pub vae: Placement,
    /// Where the transformer's blocks are, and whether training computes them again.
    pub memory: Memory,
    /// How the autoencoder cuts pictures; none takes them whole.
    pub tiling: Option<Tiling>,
}

impl Load {
    /// All on `device`.
    pub fn on(device: &Device) -> Self {
        let (transformer, vae) = (Placement::of_transformer(device), Placement::of_vae(device));
        Self { transformer, vae, memory: Memory::default(), tiling: None }
    }

    fn transformer(&self, parts: &Parts, expert: Option<Expert>) -> Result<WanTransformer, JobError> {
        let path = parts.transformer_of(expert);
        let weights = Weights::open(path)?;
        let config = transformer_config(path, &weights)?;
        Ok(WanTransformer::load_with(&weights.placed(&self.transformer), config, &self.memory)?)
    }

    fn vae(&self, parts: &Parts) -> Result<WanVae, JobError> {
        let weights = Weights::open(&parts.vae)?;
        let config = vae_config(&parts.vae, &weights)?;
        Ok(WanVae::load(&weights.placed(&self.vae), config)?.with_tiling(self.tiling))
    }
}

impl Base {
    /// Loads the autoencoder, and the transformer of `expert`, where there are several. It is told nothing yet.
    ///
    /// # Errors
    /// When files are missing, broken, or of a network that this method cannot use.
    pub fn open(parts: &Parts, load: &Load, expert: Option<Expert>) -> Result<Self, JobError> {
        let transformer = load.transformer(parts, expert)?;
        let text = null_text(transformer.config().text_dim, &load.transformer.device)?;
        Ok(Self {
            vae: load.vae(parts)?,
            text,
            images: BTreeMap::new(),
            negative: None,
            transformer: Some(transformer),
            expert,
            stack: Stack::default(),
            parts: parts.clone(),
            load: load.clone(),
        })
    }

    /// The transformer in memory.
    ///
    /// # Errors
    /// After an expert could not be read.
    pub fn transformer(&self) -> Result<&WanTransformer, JobError> {
        self.transformer.as_ref().ok_or_else(without_transformer)
    }

    /// The same, to hang adapters on.
    ///
    /// # Errors
    /// As there.
    pub fn transformer_mut(&mut self) -> Result<&mut WanTransformer, JobError> {
        self.transformer.as_mut().ok_or_else(without_transformer)
    }

    /// The expert in memory, of a model with two.
    pub fn expert(&self) -> Option<Expert> {
        self.expert
    }

    /// Brings `expert` into memory, with what is stacked on it; false where it was there.
    ///
    /// # Errors
    /// When its files cannot be read, or what is stacked does not fit.
    pub fn turn_to(&mut self, expert: Option<Expert>) -> Result<bool, JobError> {
        if self.expert == expert && self.transformer.is_some() {
            return Ok(false);
        }
        // Dropped before the other is read: two would not fit.
        self.transformer = None;
        let mut transformer = self.load.transformer(&self.parts, expert)?;
        self.stack.fold_into(&mut transformer, expert)?;
        (self.transformer, self.expert) = (Some(transformer), expert);
        Ok(true)
    }

    /// Hangs adapters on the transformer and on the other expert when its turn comes: for sampling, where nothing is
    /// trained any more.
    ///
    /// # Errors
    /// When one does not fit.
    pub fn stack(&mut self, stack: Stack) -> Result<(), JobError> {
        let expert = self.expert;
        stack.fold_into(self.transformer_mut()?, expert)?;
        self.stack = stack;
        Ok(())
    }

    /// Tells it words and picture for all that follows.
    ///
    /// # Errors
    /// When the text is longer than the model takes, or the device has no room.
    pub fn tell(&mut self, told: &Told) -> Result<(), JobError> {
        let config = self.transformer()?.config().clone();
        let device = self.load.transformer.device.clone();
        let padded = |states: &Tensor| -> candle_core::Result<Tensor> {
            let room = config.text_len.saturating_sub(states.dim(1)?);
            states.pad_with_zeros(1, 0, room)?.to_device(&device)
        };
        self.text = match &told.text {
            Some(states) => padded(states)?,
            None => null_text(config.text_dim, &device)?,
        };
        self.negative = told.negative.as_ref().map(padded).transpose()?;
        let images = told.images.iter().filter(|_| config.takes_image());
        let there = |(picture, states): (&Picture, &Tensor)| Ok((*picture, states.to_device(&device)?));
        self.images = images.map(there).collect::<candle_core::Result<_>>()?;
        Ok(())
    }

    /// CLIP's states of a picture that it was told of; nothing of a model that takes none.
    pub fn image(&self, picture: Picture) -> Option<&Tensor> {
        self.images.get(&picture)
    }

    /// Working frames (4n+1) -> normalised latents (1, z, F', h, w).
    pub fn encode(&self, frames: &[Frame]) -> candle_core::Result<Tensor> {
        let video = video_from_frames(frames, &self.load.vae.device)?;
        self.vae.normalise(&self.vae.encode(&video)?)?.to_device(&self.load.transformer.device)
    }

    /// Normalised latents (1, z, F', h, w) -> video (1, 3, T, H, W) in [-1, 1].
    pub fn decode(&self, latents: &Tensor) -> candle_core::Result<Tensor> {
        let latents = latents.to_device(&self.load.vae.device)?;
        self.vae.decode(&self.vae.denormalise(&latents)?)
    }

    /// What the transformer sees beside the noise, (1, 4 + z, F', h, w): the packed mask, then the latents of the
    /// clip as it is shown: held frames whole, grey where the others are to be generated.
    pub fn condition(&self, clip: &Clip) -> candle_core::Result<Tensor> {
        let device = &self.load.transformer.device;
        let mask = packed_mask(clip, self.vae.config().spatial_factor(), device)?;
        let shown = self.encode(&shown_frames(clip))?;
        Tensor::cat(&[&mask, &shown], 1)
    }

    /// The transformer's velocity at noisy latents `x` (1, z, F', h, w) and timestep `t` in 0..1000, guided to `scale`,
    /// of a clip that begins with `picture`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn velocity(
        &self,
        x: &Tensor,
        t: f64,
        condition: &Tensor,
        picture: Picture,
        scale: f64,
        caches: Option<&mut StepCaches>,
    ) -> Result<Tensor, JobError> {
        let inputs = Inputs {
            condition: Some(condition),
            known_frames: 0,
            text: &self.text,
            negative: self.negative.as_ref(),
            image: self.image(picture),
        };
        Ok(inputs.velocity(self.transformer()?, x, t, scale, caches)?)
    }
}

fn without_transformer() -> JobError {
    JobError::new(FailureKind::Model, "no transformer is in memory")
}

/// The text of a model trained without text: one zero token.
fn null_text(text_dim: usize, device: &Device) -> candle_core::Result<Tensor> {
    Tensor::zeros((1, 1, text_dim), DType::F32, device)
}
