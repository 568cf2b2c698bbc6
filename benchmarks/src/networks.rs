//! The networks whole, with random weights: transformer, one training step of an adapter, VAE.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use lora_edit_adapt::{Adapter, Recipe, TrainInput, TrainState, train};
use lora_edit_model::{
    Memory, Placement, Residency, TransformerConfig, VaeConfig, WanTransformer, WanVae, Weights,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cases::{Case, Run};
use crate::place::Place;
use crate::{gpu, streamed};

type Build = fn(&Network, &Device) -> Result<Run>;

const KEPT: Memory = Memory { residency: Residency::Resident, recompute: false };
const RECOMPUTED: Memory = Memory { residency: Residency::Resident, recompute: true };

/// A transformer and its VAE at the size of one clip.
#[derive(Clone, Deserialize)]
pub struct Network {
    name: String,
    transformer: Described<TransformerConfig>,
    vae: Described<VaeConfig>,
    frames: usize,
    rows: usize,
    columns: usize,
    text_tokens: usize,
    /// CLIP tokens, where the transformer takes them.
    #[serde(default)]
    image_tokens: usize,
    /// What is measured of it; everything where nothing is said.
    #[serde(default)]
    steps: Vec<String>,
}

/// A configuration, or the path of one in the repository.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Described<C> {
    Path(String),
    Here(C),
}

impl<C: DeserializeOwned + Clone> Described<C> {
    fn config(&self) -> Result<C> {
        match self {
            Self::Here(config) => Ok(config.clone()),
            Self::Path(path) => {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
                let json = std::fs::read(&path).with_context(|| path.display().to_string())?;
                serde_json::from_slice(&json).with_context(|| path.display().to_string())
            }
        }
    }
}

impl Network {
    /// `NAME/transformer-forward`, `NAME/lora-train-step`, the same `-recomputed` and `-streamed`, `NAME/vae-encode` and
    /// `NAME/vae-decode`, or those that it asks for.
    pub fn cases(self) -> Vec<Case> {
        let builds: [(&str, Build); 6] = [
            ("transformer-forward", Self::transformer_forward),
            ("lora-train-step", |network, on| network.lora_train_step(network.load_transformer(KEPT, on)?)),
            ("lora-train-step-recomputed", |network, on| {
                network.lora_train_step(network.load_transformer(RECOMPUTED, on)?)
            }),
            ("lora-train-step-streamed", |network, on| {
                network.lora_train_step(streamed::transformer(&network.transformer.config()?, on)?)
            }),
            ("vae-encode", Self::vae_encode),
            ("vae-decode", Self::vae_decode),
        ];
        let case = |(what, build): (&str, Build)| {
            let network = self.clone();
            Case::new(format!("{}/{what}", self.name), move |on| build(&network, on))
        };
        let asked =
            |(what, _): &(&str, Build)| self.steps.is_empty() || self.steps.iter().any(|step| step == what);
        builds.into_iter().filter(asked).map(case).collect()
    }

    fn transformer_forward(&self, device: &Device) -> Result<Run> {
        let (model, input) = (self.load_transformer(KEPT, device)?, self.input(device)?);
        let x = Tensor::cat(&[&input.latents, &input.condition], 1)?;
        let t = Tensor::new(&[500f32], &Device::Cpu)?;
        Ok(Box::new(move || {
            std::hint::black_box(model.forward(&x, &t, &input.text, input.image.as_ref())?);
            Ok(())
        }))
    }

    /// Forward, loss, backward, clipping and AdamW, by the very loop that the engine runs.
    fn lora_train_step(&self, mut model: WanTransformer) -> Result<Run> {
        let input = self.input(model.device())?;
        let mut recipe = Recipe::default();
        let adapter = Adapter::create(&mut model, &recipe.adapter, 1)?;
        let mut state = TrainState::new(&adapter, &recipe)?;
        Ok(Box::new(move || {
            recipe.steps = state.steps_done() + 1;
            let sample = |_| Ok(input.clone());
            train(&model, &adapter, &recipe, &mut state, sample, |_| ControlFlow::Continue(()))?;
            Ok(())
        }))
    }

    fn vae_encode(&self, device: &Device) -> Result<Run> {
        let vae = self.load_vae(device)?;
        let video = Place::exact_on(device, 2).normal((1, 3, self.frames, self.rows, self.columns))?;
        Ok(Box::new(move || {
            std::hint::black_box(vae.encode(&video)?);
            Ok(())
        }))
    }

    fn vae_decode(&self, device: &Device) -> Result<Run> {
        let vae = self.load_vae(device)?;
        let latent = Place::exact_on(device, 2).normal(self.latent_shape(vae.config().z_dim)?.as_slice())?;
        Ok(Box::new(move || {
            std::hint::black_box(vae.decode(&latent)?);
            Ok(())
        }))
    }

    fn load_transformer(&self, memory: Memory, device: &Device) -> Result<WanTransformer> {
        let config = self.transformer.config()?;
        let weights = match device {
            Device::Cpu => Weights::random(1),
            gpu => gpu::weights(&config, gpu)?.placed(&Placement::of_transformer(gpu)),
        };
        Ok(WanTransformer::load_with(&weights, config, &memory)?)
    }

    fn load_vae(&self, device: &Device) -> Result<WanVae> {
        let weights = Weights::random(1).placed(&Placement::of_vae(device));
        Ok(WanVae::load(&weights, self.vae.config()?)?)
    }

    /// (B, channels, F, h, w)
    fn latent_shape(&self, channels: usize) -> Result<[usize; 5]> {
        let vae = self.vae.config()?;
        let (side, frames) = (vae.spatial_factor(), vae.latent_frames(self.frames));
        Ok([1, channels, frames, self.rows / side, self.columns / side])
    }

    fn input(&self, device: &Device) -> Result<TrainInput> {
        let config = self.transformer.config()?;
        let mut random = Place::exact_on(device, 3);
        let mut latent =
            |channels| -> Result<Tensor> { Ok(random.normal(self.latent_shape(channels)?.as_slice())?) };
        let (latents, condition) =
            (latent(config.out_channels)?, latent(config.in_channels - config.out_channels)?);
        let image = config.image_dim.map(|dim| random.normal((1, self.image_tokens, dim))).transpose()?;
        let text = Tensor::zeros((1, self.text_tokens, config.text_dim), DType::F32, device)?;
        Ok(TrainInput { latents, condition, text, image, loss_weight: None })
    }
}
