//! The whole denoising loop, from given noise and embeddings to a latent as the transformer sees it.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Result, bail};
use candle_core::Tensor;
use lora_edit_model::WanTransformer;
use lora_edit_model::guidance::{Expert, Inputs as Asked, Preset, StepCaches};
use lora_edit_model::sample::{Denoise, Denoised, Sampler};
use lora_edit_model::schedule::{Convention, Schedule};

use super::{Inputs, SamplerName, SamplingFlags, ScheduleName, open_transformer};

/// Samples with the network at `weights`, and below the boundary with the low-noise expert if there is one.
pub fn sample(weights: &Path, inputs: &Inputs, flags: &SamplingFlags) -> Result<Tensor> {
    let mut models = Models::open(weights, flags)?;
    let preset = flags.applied_to(Preset::of(models.current.config()));
    let (sampler, convention) = (flags.sampler.into(), flags.schedule.into());
    let schedule = &Schedule::new(convention, sampler, preset.steps, preset.shift);

    let noise = inputs.float("latents")?;
    let (text, negative) =
        (inputs.float("encoder_hidden_states")?, inputs.optional_float("negative_encoder_hidden_states")?);
    let (image, condition) =
        (inputs.optional_float("encoder_hidden_states_image")?, inputs.optional_float("condition")?);
    // A network with no channels for a condition is shown the first frames themselves.
    let joined = models.current.config().in_channels > noise.dim(1)?;
    let known = condition.as_ref().filter(|_| !joined);
    let asked = Asked {
        condition: condition.as_ref().filter(|_| joined),
        known_frames: known.map_or(Ok(0), |known| known.dim(2))?,
        text: &text,
        negative: negative.as_ref(),
        image: image.as_ref(),
    };

    let mut caches = flags.step_cache.map(StepCaches::new);
    let velocity = |x: &Tensor, t| {
        let expert = models.at(t, preset.boundary, &mut caches)?;
        asked.velocity(&models.current, x, t, preset.guidance_of(expert), caches.as_mut())
    };
    let way = Denoise { sampler, schedule, known };
    match way.run(noise, velocity, |_| ControlFlow::Continue(()))? {
        Denoised::Finished(latent) => Ok(latent),
        Denoised::Stopped(step) => bail!("stopped at step {step}"),
    }
}

/// The one network in memory, and where the other lies.
struct Models<'a> {
    current: WanTransformer,
    low: Option<&'a Path>,
}

impl<'a> Models<'a> {
    fn open(weights: &Path, flags: &'a SamplingFlags) -> Result<Self> {
        Ok(Self { current: open_transformer(weights)?, low: flags.low_weights.as_deref() })
    }

    /// Makes the expert for time `t` the current one. Times only fall: the high-noise expert is not needed again.
    fn at(
        &mut self,
        t: f64,
        boundary: Option<f64>,
        caches: &mut Option<StepCaches>,
    ) -> candle_core::Result<Expert> {
        let expert = boundary.map_or(Expert::High, |boundary| Expert::at(t, boundary));
        if expert == Expert::Low
            && let Some(path) = self.low.take()
        {
            self.current = open_transformer(path).map_err(candle_core::Error::msg)?;
            if let Some(caches) = caches {
                caches.reset();
            }
        }
        Ok(expert)
    }
}

impl SamplingFlags {
    fn applied_to(&self, preset: Preset) -> Preset {
        let two = self.low_weights.is_some();
        let high = self.guidance.unwrap_or(preset.guidance[0]);
        let low = self.low_guidance.or(self.guidance).unwrap_or(preset.guidance[1]);
        Preset {
            steps: self.steps.unwrap_or(preset.steps),
            shift: self.shift.unwrap_or(preset.shift),
            guidance: [high, low],
            boundary: self.boundary.or(preset.boundary).or(Some(0.9)).filter(|_| two),
        }
    }
}

impl From<SamplerName> for Sampler {
    fn from(name: SamplerName) -> Self {
        match name {
            SamplerName::Euler => Self::Euler,
            SamplerName::Unipc => Self::UniPc,
            SamplerName::DpmPp => Self::DpmPp,
        }
    }
}

impl From<ScheduleName> for Convention {
    fn from(name: ScheduleName) -> Self {
        match name {
            ScheduleName::Wan => Self::Wan,
            ScheduleName::Diffusers => Self::Diffusers,
            ScheduleName::Exact => Self::Exact,
        }
    }
}
