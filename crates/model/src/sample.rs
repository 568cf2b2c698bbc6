//! From noise to a latent: the sampling loop and guidance.

use std::ops::ControlFlow;

use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

use crate::flow::{sigmas, sigmas_unipc, timestep};
use crate::solver::Solver;

/// How a step is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Sampler {
    /// Straight along the velocity.
    Euler,
    /// UniPC, B2(h), order 2: predictor and corrector, one evaluation per step.
    UniPc,
}

impl Sampler {
    /// The noise levels this sampler is used with in Wan's code; `steps + 1` values ending in 0.
    pub fn sigmas(self, steps: usize, shift: f64) -> Vec<f64> {
        match self {
            Self::Euler => sigmas(steps, shift),
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

/// Follows `velocity(x, t)` from the noise `x` at `sigmas[0]` to the last of `sigmas`.
///
/// `sigmas` falls strictly. `on_step` hears the number of finished steps and may stop the loop.
///
/// # Errors
/// Those of `velocity`.
pub fn denoise(
    sampler: Sampler,
    sigmas: &[f64],
    mut x: Tensor,
    mut velocity: impl FnMut(&Tensor, f64) -> Result<Tensor>,
    mut on_step: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Denoised> {
    let mut solver = Solver::new(sampler, sigmas);
    for step in 0..solver.steps() {
        // Detached: a velocity from a network with trainable adapters would chain all steps together.
        let v = velocity(&x, timestep(sigmas[step]))?.detach();
        x = solver.step(step, &x, &v)?;
        if on_step(step + 1).is_break() {
            return Ok(Denoised::Stopped(step + 1));
        }
    }
    Ok(Denoised::Finished(x))
}

/// Classifier-free guidance: away from the unconditional velocity, `scale` times as far as the conditional one.
///
/// # Errors
/// When the shapes differ.
pub fn guide(conditional: &Tensor, unconditional: &Tensor, scale: f64) -> Result<Tensor> {
    unconditional + ((conditional - unconditional)? * scale)?
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
        let sigmas = Sampler::UniPc.sigmas(5, 3.0);
        let ended = denoise(Sampler::UniPc, &sigmas, start(), velocity, stop_after_two).unwrap();
        assert!(matches!(ended, Denoised::Stopped(2)));
        assert_eq!(evaluations, 2);
    }

    #[test]
    fn a_straight_flow_is_followed_exactly_by_both() {
        // All velocities point from one clean point: both samplers must arrive there in any number of steps.
        let clean = Tensor::new(&[0.25f64, 4.0, -1.0], &Device::Cpu).unwrap();
        for sampler in [Sampler::Euler, Sampler::UniPc] {
            for steps in [1, 2, 7] {
                let velocity = |x: &Tensor, t: f64| (x - &clean)? * (1000.0 / t);
                let sigmas = sampler.sigmas(steps, 5.0);
                let ended = denoise(sampler, &sigmas, start(), velocity, |_| ControlFlow::Continue(()));
                let Denoised::Finished(x) = ended.unwrap() else { panic!("stopped") };
                let off: f64 = (x - &clean).unwrap().abs().unwrap().max(0).unwrap().to_scalar().unwrap();
                assert!(off < 1e-9, "{sampler:?} {steps} steps: {off}");
            }
        }
    }

    #[test]
    fn guidance_one_is_the_conditional_velocity() {
        let (c, u) = (start(), (start() * 3.0).unwrap());
        let at = |scale| guide(&c, &u, scale).unwrap().to_vec1::<f64>().unwrap();
        assert_eq!(at(1.0), [1.0, -2.0, 0.5]);
        assert_eq!(at(0.0), [3.0, -6.0, 1.5]);
        assert_eq!(at(2.0), [-1.0, 2.0, -0.5]);
    }
}
