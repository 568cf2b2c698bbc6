//! One window's latent out of pure noise.

use std::ops::ControlFlow;

use candle_core::Tensor;
use lora_edit_model::flow::noise;
use lora_edit_model::sample::{self, Denoise, Denoised};
use lora_edit_model::schedule::Schedule;
use lora_edit_shot::job::{Sampler, Sampling};

use crate::base::Base;
use crate::failure::JobError;
use crate::progress::Progress;

/// The clean latent (1, z, F', h, w) that follows from `condition`.
pub(crate) fn sampled(
    base: &Base,
    condition: &Tensor,
    sampling: &Sampling,
    progress: &mut Progress<'_>,
) -> Result<Denoised, JobError> {
    let (_, channels, frames, h, w) = condition.dims5()?;
    // Drawn on the CPU, so that a seed gives the same noise on every device.
    let start = noise(sampling.seed, (1, channels - MASK_CHANNELS, frames, h, w))?;
    let start = start.to_device(condition.device())?;
    let sampler = sampler(sampling.sampler);
    let schedule = &Schedule::exact(sampler.sigmas(sampling.steps, sampling.shift));
    let on_step = |step| match progress.even_step(step, sampling.steps) && step < sampling.steps {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let way = Denoise { sampler, schedule, known: None };
    Ok(way.run(start, |x, t| base.velocity(x, t, condition), on_step)?)
}

/// The condition begins with this many mask channels; the rest are latents, as many as the noise has.
const MASK_CHANNELS: usize = 4;

fn sampler(sampler: Sampler) -> sample::Sampler {
    match sampler {
        Sampler::Euler => sample::Sampler::Euler,
        Sampler::UniPc => sample::Sampler::UniPc,
    }
}
