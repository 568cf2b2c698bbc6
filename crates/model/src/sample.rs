//! From noise to a latent: the sampling loop.

use std::ops::ControlFlow;

use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

use crate::flow::{sigmas, sigmas_unipc};
use crate::schedule::Schedule;
use crate::solver::Solver;

/// How a step is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Sampler {
    /// Straight along the velocity.
    Euler,
    /// UniPC, B2(h), order 2: predictor and corrector, one evaluation per step.
    UniPc,
    /// DPM-Solver++(2M), midpoint.
    DpmPp,
}

impl Sampler {
    /// The noise levels this sampler is used with in Wan's code, not rounded; `steps + 1` values ending in 0.
    pub fn sigmas(self, steps: usize, shift: f64) -> Vec<f64> {
        match self {
            Self::Euler | Self::DpmPp => sigmas(steps, shift),
            Self::UniPc => sigmas_unipc(steps, shift),
        }
    }
}

/// How sampling ended.
#[derive(Clone, Debug)]
pub enum Denoised {
    /// The clean latent.
    Finished(Tensor),
    /// The caller asked to stop after this many steps.
    Stopped(usize),
}

/// One way from noise to clean.
#[derive(Clone, Copy, Debug)]
pub struct Denoise<'a> {
    /// How steps are taken.
    pub sampler: Sampler,
    /// Where they lead.
    pub schedule: &'a Schedule,
    /// (B, C, F0, h, w): first latent frames that are known; put back before the first step and after every one,
    /// as the published code of TI2V 5B does.
    pub known: Option<&'a Tensor>,
}

impl Denoise<'_> {
    /// Follows `velocity(x, t)` from the noise `x` (B, C, F, h, w) at the schedule's first level to its last.
    ///
    /// `on_step` hears the number of finished steps and may stop the loop.
    ///
    /// # Errors
    /// Those of `velocity`, and when the known frames do not fit.
    pub fn run(
        &self,
        x: Tensor,
        mut velocity: impl FnMut(&Tensor, f64) -> Result<Tensor>,
        mut on_step: impl FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Denoised> {
        let mut solver = Solver::new(self.sampler, self.schedule.sigmas());
        let mut x = self.with_known(x)?;
        for (step, &t) in self.schedule.times().iter().enumerate() {
            // Detached: a velocity from a network with trainable adapters would chain all steps together.
            let v = velocity(&x, t)?.detach();
            x = self.with_known(solver.step(step, &x, &v)?)?;
            if on_step(step + 1).is_break() {
                return Ok(Denoised::Stopped(step + 1));
            }
        }
        Ok(Denoised::Finished(x))
    }

    fn with_known(&self, x: Tensor) -> Result<Tensor> {
        let Some(known) = self.known else { return Ok(x) };
        let (frames, known_frames) = (x.dim(2)?, known.dim(2)?);
        Tensor::cat(&[known, &x.narrow(2, known_frames, frames - known_frames)?], 2)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn start() -> Tensor {
        Tensor::new(&[1f64, -2.0, 0.5], &Device::Cpu).unwrap()
    }

    #[test]
    fn the_callback_stops_the_loop() {
        let mut evaluations = 0;
        let velocity = |x: &Tensor, _| {
            evaluations += 1;
            Ok(x.clone())
        };
        let stop_after_two =
            |step| if step == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let schedule = &Schedule::exact(Sampler::UniPc.sigmas(5, 3.0));
        let way = Denoise { sampler: Sampler::UniPc, schedule, known: None };
        let ended = way.run(start(), velocity, stop_after_two).unwrap();
        assert!(matches!(ended, Denoised::Stopped(2)));
        assert_eq!(evaluations, 2);
    }

    #[test]
    fn a_straight_flow_is_followed_exactly_by_all() {
        // All velocities point from one clean point: every sampler must arrive there in any number of steps.
        let clean = Tensor::new(&[0.25f64, 4.0, -1.0], &Device::Cpu).unwrap();
        for sampler in [Sampler::Euler, Sampler::UniPc, Sampler::DpmPp] {
            for steps in [1, 2, 7] {
                let velocity = |x: &Tensor, t: f64| (x - &clean)? * (1000.0 / t);
                let schedule = &Schedule::exact(sampler.sigmas(steps, 5.0));
                let way = Denoise { sampler, schedule, known: None };
                let ended = way.run(start(), velocity, |_| ControlFlow::Continue(()));
                let Denoised::Finished(x) = ended.unwrap() else { panic!("stopped") };
                let off: f64 = (x - &clean).unwrap().abs().unwrap().max(0).unwrap().to_scalar().unwrap();
                assert!(off < 1e-9, "{sampler:?} {steps} steps: {off}");
            }
        }
    }
}
