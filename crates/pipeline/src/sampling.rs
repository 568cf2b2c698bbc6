//! One window's latent out of pure noise.

use std::ops::ControlFlow;

use candle_core::{Tensor, bail};
use lora_edit_model::flow::noise;
use lora_edit_model::guidance::{Expert, StepCaches};
use lora_edit_model::sample::{self, Denoise, Denoised};
use lora_edit_model::schedule::{Convention, Schedule};
use lora_edit_shot::job::{Sampler, Sampling, ScheduleKind};

use crate::base::Base;
use crate::failure::JobError;
use crate::parts::MASK_CHANNELS;
use crate::progress::Progress;
use crate::told::Picture;

/// The noise level down to which the high-noise expert of Wan 2.2 A14B answers.
pub(crate) const BOUNDARY: f64 = 0.9;

/// The clean latent (1, z, F', h, w) that follows from the condition, of a clip that begins with the picture.
pub(crate) fn sampled(
    base: &mut Base,
    (condition, picture): (&Tensor, Picture),
    sampling: &Sampling,
    progress: &mut Progress<'_>,
) -> Result<Denoised, JobError> {
    let (_, channels, frames, h, w) = condition.dims5()?;
    // Drawn on the CPU, so that a seed gives the same noise on every device.
    let start = noise(sampling.seed, (1, channels - MASK_CHANNELS, frames, h, w))?;
    let start = start.to_device(condition.device())?;
    let schedule = &schedule(sampling);
    let on_step = |step| match progress.even_step(step, sampling.steps) && step < sampling.steps {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let way = Denoise { sampler: sampler(sampling.sampler), schedule, known: None };
    let caches = (sampling.step_cache > 0.0).then(|| StepCaches::new(sampling.step_cache));
    let mut asked = Asked { base, condition, picture, sampling, caches, failed: None };
    let ended = way.run(start, |x, t| asked.velocity(x, t), on_step);
    match asked.failed {
        Some(error) => Err(error),
        None => Ok(ended?),
    }
}

/// The network, as the sampling loop asks it.
struct Asked<'a> {
    base: &'a mut Base,
    condition: &'a Tensor,
    picture: Picture,
    sampling: &'a Sampling,
    caches: Option<StepCaches>,
    /// What the loop's own kind of error cannot carry.
    failed: Option<JobError>,
}

impl Asked<'_> {
    fn velocity(&mut self, x: &Tensor, t: f64) -> candle_core::Result<Tensor> {
        match self.guided(x, t) {
            Ok(velocity) => Ok(velocity),
            Err(error) => {
                let message = error.message.clone();
                self.failed = Some(error);
                bail!("{message}")
            }
        }
    }

    fn guided(&mut self, x: &Tensor, t: f64) -> Result<Tensor, JobError> {
        let expert = self.base.expert().map(|_| Expert::at(t, BOUNDARY));
        if self.base.turn_to(expert)? {
            self.caches.iter_mut().for_each(StepCaches::reset);
        }
        let low = self.sampling.guidance_low.filter(|_| expert == Some(Expert::Low));
        let scale = low.unwrap_or(self.sampling.guidance);
        self.base.velocity(x, t, self.condition, self.picture, scale, self.caches.as_mut())
    }
}

pub(crate) fn schedule(sampling: &Sampling) -> Schedule {
    let convention = match sampling.schedule {
        ScheduleKind::Exact => Convention::Exact,
        ScheduleKind::Wan => Convention::Wan,
    };
    Schedule::new(convention, sampler(sampling.sampler), sampling.steps, sampling.shift)
}

pub(crate) fn sampler(sampler: Sampler) -> sample::Sampler {
    match sampler {
        Sampler::Euler => sample::Sampler::Euler,
        Sampler::UniPc => sample::Sampler::UniPc,
        Sampler::DpmPp => sample::Sampler::DpmPp,
    }
}

#[cfg(test)]
mod tests {
    use lora_edit_shot::models::defaults;

    use super::*;

    /// As Wan 2.1's own scheduler gives them for 6 steps and a shift of 3.
    #[test]
    fn published_models_are_sampled_at_wans_whole_times() {
        let sampling = Sampling { steps: 6, ..defaults("wan2.1-i2v-14b-480p").sampling };
        assert_eq!(schedule(&sampling).times(), [999.0, 937.0, 856.0, 749.0, 599.0, 374.0]);
    }

    #[test]
    fn both_experts_are_asked_in_a_published_run() {
        let times = schedule(&defaults("wan2.2-i2v-a14b").sampling).times().to_vec();
        let high = times.iter().filter(|&&t| Expert::at(t, BOUNDARY) == Expert::High).count();
        assert_eq!((times.len(), high), (40, 15));
    }
}
