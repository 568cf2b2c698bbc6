//! The flow between noise and video: schedules, noise from a seed, and what the network is trained to predict.
//!
//! A noise level `sigma` runs from 1 (pure noise) to 0 (clean); the network sees it as `1000 sigma` and predicts
//! `noise - clean`. Trainer and sampler both read this file.

use candle_core::{Device, Result, Shape, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// What the network is told for a noise level.
pub fn timestep(sigma: f64) -> f64 {
    1000.0 * sigma
}

/// `(1 - sigma) clean + sigma noise`
///
/// # Errors
/// When the shapes differ.
pub fn interpolate(clean: &Tensor, noise: &Tensor, sigma: f64) -> Result<Tensor> {
    (clean * (1.0 - sigma))? + (noise * sigma)?
}

/// The velocity at every noise level: `noise - clean`.
///
/// # Errors
/// When the shapes differ.
pub fn target(clean: &Tensor, noise: &Tensor) -> Result<Tensor> {
    noise - clean
}

/// Noise levels of `steps` steps from 1 to 0, evenly spaced and then shifted; `steps + 1` values.
///
/// This is the schedule of Wan's DPM++ sampler and of flow-matching Euler with explicit sigmas.
pub fn sigmas(steps: usize, shift: f64) -> Vec<f64> {
    schedule(1.0, steps, shift)
}

/// The schedule of Wan's UniPC sampler: as [`sigmas`], but starting at 0.999, where the solver is defined.
///
/// Wan's code also truncates `1000 sigma` to whole numbers before the network sees it: see [`crate::schedule`].
pub fn sigmas_unipc(steps: usize, shift: f64) -> Vec<f64> {
    schedule(0.999, steps, shift)
}

fn schedule(start: f64, steps: usize, shift: f64) -> Vec<f64> {
    let even = |i: usize| start * (steps - i) as f64 / steps.max(1) as f64;
    (0..=steps).map(even).map(|sigma| shifted(sigma, shift)).collect()
}

/// A noise level in 0..=1 moved towards noise: `s' = shift s / (1 + (shift - 1) s)`; a shift of 1 leaves it.
pub fn shifted(sigma: f64, shift: f64) -> f64 {
    shift * sigma / (1.0 + (shift - 1.0) * sigma)
}

/// Standard normal noise: the same seed and shape give the same bytes on every machine.
///
/// # Errors
/// When the tensor cannot be made.
pub fn noise(seed: u64, shape: impl Into<Shape>) -> Result<Tensor> {
    NoiseStream::new(seed).normal(shape)
}

/// Random numbers from a seed, one after the other (candle's own generator cannot be seeded on the CPU).
#[derive(Clone, Debug)]
pub struct NoiseStream(ChaCha8Rng);

impl NoiseStream {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// The next standard normal numbers, as f32 in row-major order.
    ///
    /// # Errors
    /// When the tensor cannot be made.
    pub fn normal(&mut self, shape: impl Into<Shape>) -> Result<Tensor> {
        let shape = shape.into();
        let values: Vec<f32> = (0..shape.elem_count()).map(|_| self.normal_number() as f32).collect();
        Tensor::from_vec(values, shape, &Device::Cpu)
    }

    /// The next uniform number in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        // The upper 53 bits, which an f64 holds exactly.
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal_number(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(t: &Tensor) -> Vec<f32> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let first = values(&noise(1, (2, 3)).unwrap());
        assert_eq!(first, values(&noise(1, (3, 2)).unwrap()));
        assert_ne!(first, values(&noise(2, (2, 3)).unwrap()));
        // Results are addressed by their seed, so these numbers may never change.
        assert_eq!(first[..3], PINNED);
    }
    const PINNED: [f32; 3] = [-0.23484705, -1.4108177, 0.33302864];

    #[test]
    fn noise_is_standard_normal() {
        let z = values(&noise(3, 40_000).unwrap());
        let moment = |p: i32| z.iter().map(|&v| f64::from(v).powi(p)).sum::<f64>() / z.len() as f64;
        let found = [1, 2, 3, 4].map(moment);
        for (found, expected) in found.into_iter().zip([0.0, 1.0, 0.0, 3.0]) {
            assert!((found - expected).abs() < 0.1, "{found} against {expected}");
        }
    }

    #[test]
    fn uniform_numbers_fill_the_unit_interval() {
        let mut stream = NoiseStream::new(5);
        let numbers: Vec<f64> = (0..10_000).map(|_| stream.uniform()).collect();
        assert!(numbers.iter().all(|u| (0.0..1.0).contains(u)));
        assert!((numbers.iter().sum::<f64>() / 1e4 - 0.5).abs() < 0.01);
    }

    #[test]
    fn schedules_equal_wans() {
        // Wan 2.1's code, 6 steps, shift 3, as the time steps it feeds to the network.
        let whole = |sigmas: Vec<f64>| sigmas.into_iter().map(|s| timestep(s) as i64).collect::<Vec<_>>();
        assert_eq!(whole(sigmas_unipc(6, 3.0)), [999, 937, 856, 749, 599, 374, 0]);
        assert_eq!(whole(sigmas(6, 3.0)), [1000, 937, 857, 750, 600, 375, 0]);
        assert_eq!(sigmas(4, 1.0), [1.0, 0.75, 0.5, 0.25, 0.0]);
        assert_eq!(sigmas(0, 1.0), [0.0]);
    }

    #[test]
    fn following_the_target_leads_from_noise_to_clean() {
        let (clean, z) = (noise(1, 8).unwrap(), noise(2, 8).unwrap());
        let (from, to) = (interpolate(&clean, &z, 0.7).unwrap(), interpolate(&clean, &z, 0.2).unwrap());
        let stepped = (from + (target(&clean, &z).unwrap() * (0.2 - 0.7)).unwrap()).unwrap();
        for (a, b) in values(&stepped).into_iter().zip(values(&to)) {
            assert!((a - b).abs() < 1e-6);
        }
    }
}
