//! Generation: the edited first frame and the greyed source in, the shot's edited frames out.

use std::ops::ControlFlow;

use candle_core::Tensor;
use lora_edit_model::flow::noise;
use lora_edit_model::sample::{self, Denoise, Denoised};
use lora_edit_model::schedule::Schedule;
use lora_edit_shot::Frame;
use lora_edit_shot::job::{Sampler, Sampling};

use crate::base::Base;
use crate::clip::Clip;
use crate::failure::JobError;
use crate::pixels::frames_from_video;
use crate::progress::Progress;

/// What came of a generation.
#[derive(Debug)]
pub enum Generation {
    /// The shot's frames in working code values, without the padding; seconds spent sampling and decoding.
    Finished {
        /// One per frame of the shot.
        frames: Vec<Frame>,
        /// Wall time.
        seconds: f64,
    },
    /// Stopped on request after this step; nothing is kept.
    Stopped(usize),
}

/// Generates the clip that begins with `edited` (working code values), from pure noise.
///
/// # Errors
/// When the arithmetic fails.
pub fn generate(
    base: &Base,
    clip: &Clip,
    edited: &Frame,
    sampling: &Sampling,
    progress: &mut Progress<'_>,
) -> Result<Generation, JobError> {
    progress.stage("encode");
    let condition = base.condition(edited, clip)?;
    progress.stage("sample");
    let latents = match sampled(base, &condition, sampling, progress)? {
        Denoised::Finished(latents) => latents,
        Denoised::Stopped(step) => return Ok(Generation::Stopped(step)),
    };
    let sampled_in = progress.seconds();
    progress.stage("decode");
    let mut frames = frames_from_video(&base.decode(&latents)?)?;
    frames.truncate(clip.kept);
    Ok(Generation::Finished { frames, seconds: sampled_in + progress.seconds() })
}

fn sampled(
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
