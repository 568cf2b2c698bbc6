//! The noise levels of a run and the times the network is told, as Wan's and diffusers' schedulers make them.

use serde::{Deserialize, Serialize};

use crate::flow::{shifted, timestep};
use crate::sample::Sampler;

/// The highest noise level UniPC works with: at 1 its logarithmic signal-to-noise ratio is infinite.
pub(crate) const HIGHEST_SIGMA: f64 = 1.0 - 1e-6;
/// The lowest noise level networks are trained at, which is also one minus where Wan's UniPC starts.
const LOWEST_SIGMA: f64 = 0.001;

/// Whose schedule: they differ by up to some thousandths, enough to tell two programs' results apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Convention {
    /// [`Sampler::sigmas`] in full precision, and times that are not rounded.
    #[default]
    Exact,
    /// The published code of Wan 2.1 and 2.2, `FlowUniPCMultistepScheduler` and `FlowDPMSolverMultistepScheduler`:
    /// times truncated to whole numbers. Wan has no Euler: for that, its DPM++ schedule.
    Wan,
    /// Diffusers' `UniPCMultistepScheduler` and `DPMSolverMultistepScheduler` with `use_flow_sigmas` and `flow_shift`,
    /// times truncated; `FlowMatchEulerDiscreteScheduler` with `shift`, which it applies twice.
    Diffusers,
}

/// Noise levels that fall from noise to clean, and what the network is told at each.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    sigmas: Vec<f64>,
    times: Vec<f64>,
}

impl Schedule {
    /// The schedule of `steps` steps, at which `sampler` is used under `convention`.
    pub fn new(convention: Convention, sampler: Sampler, steps: usize, shift: f64) -> Self {
        match convention {
            Convention::Exact => Self::exact(sampler.sigmas(steps, shift)),
            Convention::Wan => Self::truncated(wan(sampler, steps, shift)),
            Convention::Diffusers => match sampler {
                Sampler::Euler => Self::in_f32(diffusers_euler(steps, shift)),
                Sampler::UniPc => Self::truncated(diffusers_unipc(steps, shift)),
                Sampler::DpmPp => Self::truncated(diffusers_dpm(steps, shift)),
            },
        }
    }

    /// Noise levels as they are, the last of them the end, with times that are not rounded.
    pub fn exact(sigmas: Vec<f64>) -> Self {
        let steps = sigmas.len().saturating_sub(1);
        Self { times: sigmas[..steps].iter().map(|&sigma| timestep(sigma)).collect(), sigmas }
    }

    /// Whole times, and levels as the schedulers keep them, in f32.
    fn truncated(sigmas: Vec<f64>) -> Self {
        let times = sigmas.iter().map(|&sigma| timestep(sigma).trunc()).collect();
        Self { times, sigmas: ending_in_zero(&sigmas) }
    }

    /// Times in f32 from levels in f32.
    fn in_f32(sigmas: Vec<f64>) -> Self {
        let times = sigmas.iter().map(|&sigma| f64::from(sigma as f32 * 1000.0)).collect();
        Self { times, sigmas: ending_in_zero(&sigmas) }
    }

    /// The levels, one more than there are steps.
    pub fn sigmas(&self) -> &[f64] {
        &self.sigmas
    }

    /// What the network is told at each step, about 1000 times the level.
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// How many steps.
    pub fn steps(&self) -> usize {
        self.times.len()
    }
}

/// `linspace(from, to, count)`, rounded as numpy rounds it: truncated times depend on the last bit.
fn linspace(from: f64, to: f64, count: usize) -> impl DoubleEndedIterator<Item = f64> + ExactSizeIterator {
    let step = (to - from) / count.saturating_sub(1).max(1) as f64;
    (0..count).map(move |i| if i > 0 && i + 1 == count { to } else { i as f64 * step + from })
}

/// `get_sampling_sigmas` and both `set_timesteps` of `wan/utils`.
fn wan(sampler: Sampler, steps: usize, shift: f64) -> Vec<f64> {
    // The scheduler holds its highest level in f32.
    let start = if sampler == Sampler::UniPc { f64::from((1.0 - LOWEST_SIGMA) as f32) } else { 1.0 };
    linspace(start, 0.0, steps + 1).take(steps).map(|sigma| shifted(sigma, shift)).collect()
}

/// `UniPCMultistepScheduler.set_timesteps`
fn diffusers_unipc(steps: usize, shift: f64) -> Vec<f64> {
    let base = linspace(1.0, LOWEST_SIGMA, steps + 1).take(steps);
    let below_one = |sigma: f64| if (sigma - 1.0).abs() < 1e-6 { HIGHEST_SIGMA } else { sigma };
    base.map(|sigma| below_one(shifted(sigma, shift))).collect()
}

/// `DPMSolverMultistepScheduler.set_timesteps`
fn diffusers_dpm(steps: usize, shift: f64) -> Vec<f64> {
    let base = linspace(1.0, LOWEST_SIGMA, steps + 1).rev().take(steps);
    base.map(|clean| shifted(1.0 - clean, shift)).collect()
}

/// `FlowMatchEulerDiscreteScheduler.set_timesteps`, without levels given: from levels shifted at its construction.
fn diffusers_euler(steps: usize, shift: f64) -> Vec<f64> {
    // There in f32.
    let (sigma, factor) = (LOWEST_SIGMA as f32, shift as f32);
    let lowest = f64::from(factor * sigma / (1.0 + (factor - 1.0) * sigma));
    let base = linspace(1000.0, lowest * 1000.0, steps);
    base.map(|time| shifted(time / 1000.0, shift)).collect()
}

fn ending_in_zero(sigmas: &[f64]) -> Vec<f64> {
    sigmas.iter().map(|&sigma| f64::from(sigma as f32)).chain([0.0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_equal_wans() {
        // Wan 2.1's code, 6 steps, shift 3, as the times it feeds to the network.
        let times = |sampler| Schedule::new(Convention::Wan, sampler, 6, 3.0).times().to_vec();
        assert_eq!(times(Sampler::UniPc), [999.0, 937.0, 856.0, 749.0, 599.0, 374.0]);
        assert_eq!(times(Sampler::DpmPp), [1000.0, 937.0, 857.0, 750.0, 600.0, 375.0]);
    }

    #[test]
    fn every_schedule_falls_to_zero() {
        for convention in [Convention::Exact, Convention::Wan, Convention::Diffusers] {
            for sampler in [Sampler::Euler, Sampler::UniPc, Sampler::DpmPp] {
                for steps in [1, 2, 30] {
                    let schedule = Schedule::new(convention, sampler, steps, 5.0);
                    assert_eq!((schedule.steps(), schedule.sigmas().len()), (steps, steps + 1));
                    assert!(schedule.sigmas().windows(2).all(|pair| pair[0] > pair[1]));
                    assert_eq!(schedule.sigmas()[steps], 0.0);
                    let off = |(sigma, time): (&f64, &f64)| (1000.0 * sigma - time).abs();
                    // A level in f32 may lie just above the whole number its time was truncated below.
                    assert!(schedule.sigmas().iter().zip(schedule.times()).map(off).all(|off| off < 1.001));
                }
            }
        }
    }

    #[test]
    fn no_steps_are_no_times() {
        assert_eq!(Schedule::exact(vec![0.0]).steps(), 0);
        assert_eq!(Schedule::new(Convention::Diffusers, Sampler::Euler, 0, 3.0).sigmas(), [0.0]);
    }
}
