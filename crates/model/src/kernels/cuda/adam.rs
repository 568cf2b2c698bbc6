//! The optimiser's step where the adapter lies, without a word to the host.

use candle_core::Result;

use super::call::{Arg, Gpu, Launch, Type, Values};
use crate::kernels::adam::Rates;

/// Threads of the kernels that work in one block.
const ONE_BLOCK: usize = 1024;

/// `clip` (2): the norm of all gradients, each given with its length, and what shortens them to `limit`.
pub(crate) fn clip(gpu: &dyn Gpu, gradients: &[(Values, usize)], clip: Values, limit: f32) -> Result<()> {
    let sums = gpu.scratch(gradients.len(), Type::F32)?;
    for (slot, &(gradient, count)) in gradients.iter().enumerate() {
        let args = vec![gradient.into(), sums.values.into(), Arg::long(count), Arg::int(slot)?];
        gpu.launch(&Launch::new("sum_of_squares".into(), [1, 1], ONE_BLOCK, args)?)?;
    }
    let args = vec![sums.values.into(), clip.into(), Arg::int(gradients.len())?, limit.into()];
    gpu.launch(&Launch::new("clip_factor".into(), [1, 1], ONE_BLOCK, args)?)
}

/// Moves `moments` (2, count) towards `gradient` as shortened by `clip`.
pub(crate) fn update_moments(
    gpu: &dyn Gpu,
    count: usize,
    moments: Values,
    gradient: Values,
    clip: Values,
    rates: &Rates,
) -> Result<()> {
    let rates = [rates.towards_first, rates.keep_second, rates.towards_second].map(Arg::Float);
    let args = [moments.into(), gradient.into(), clip.into(), Arg::long(count)].into_iter().chain(rates);
    launch_elements(gpu, "adam_moments", count, args.collect())
}

/// Moves `values` by their `moments`.
pub(crate) fn step(
    gpu: &dyn Gpu,
    count: usize,
    values: Values,
    moments: Values,
    clip: Values,
    rates: &Rates,
) -> Result<()> {
    let rates = [rates.keep, rates.step_size, rates.root_second, rates.epsilon].map(Arg::Float);
    let args = [values.into(), moments.into(), clip.into(), Arg::long(count)].into_iter().chain(rates);
    launch_elements(gpu, "adam_step", count, args.collect())
}

/// These kernels are for f32 alone and say no type.
fn launch_elements(gpu: &dyn Gpu, kernel: &str, count: usize, args: Vec<Arg>) -> Result<()> {
    let Launch { grid: [x, y], threads, .. } = Launch::elements(kernel, Type::F32, count, Vec::new())?;
    gpu.launch(&Launch::new(kernel.into(), [x as usize, y as usize], threads as usize, args)?)
}

#[cfg(test)]
#[cfg(feature = "emulate")]
mod tests {
    use candle_core::{Device, Tensor};

    use super::super::emulated::{Buffer, Emulated, close, random};
    use super::*;
    use crate::kernels::adam;

    const RATES: Rates = Rates {
        keep: 0.99,
        towards_first: 0.1,
        keep_second: 0.999,
        towards_second: 0.001,
        step_size: 0.01,
        root_second: 0.0316,
        epsilon: 1e-8,
    };

    /// The CPU's and the emulated device's (clip, moments, value) after one step.
    fn both(gradients: &[Tensor], limit: f64, gpu: &Emulated) -> [[Tensor; 3]; 2] {
        let count = gradients[0].elem_count();
        let (value, moments) =
            (random(7, &[count], Type::F32), random(8, &[2, count], Type::F32).abs().unwrap());
        let buffers: Vec<Buffer> = gradients.iter().map(|g| Buffer::of(g, Type::F32)).collect();
        let all: Vec<_> = buffers.iter().zip(gradients).map(|(b, g)| (b.values(), g.elem_count())).collect();
        let found = [
            Buffer::undefined(&[2], Type::F32),
            Buffer::of(&moments, Type::F32),
            Buffer::of(&value, Type::F32),
        ];
        let [clip_at, moments_at, value_at] = found.each_ref().map(Buffer::values);
        clip(gpu, &all, clip_at, limit as f32).unwrap();
        update_moments(gpu, count, moments_at, all[0].0, clip_at, &RATES).unwrap();
        step(gpu, count, value_at, moments_at, clip_at, &RATES).unwrap();

        let clip = adam::clip(gradients, limit).unwrap();
        adam::step(&value, &moments, &gradients[0], &clip, RATES).unwrap();
        [[clip, moments, value], found.map(|buffer| buffer.tensor())]
    }

    #[test]
    fn a_step_equals_the_cpus_clipped_or_not() {
        let gradients =
            [random(1, &[300], Type::F32), random(2, &[7], Type::F32), random(3, &[1], Type::F32)];
        for backwards in [false, true] {
            for limit in [1.0, 100.0] {
                let gpu = Emulated { backwards: backwards.into() };
                let [expected, found] = both(&gradients, limit, &gpu);
                for (what, (expected, found)) in
                    ["clip", "moments", "value"].iter().zip(expected.iter().zip(found))
                {
                    close(what, &Buffer::of(&found, Type::F32), expected, Type::F32);
                }
            }
        }
    }

    #[test]
    fn a_gradient_that_is_not_finite_changes_nothing() {
        for bad in [f32::NAN, f32::INFINITY] {
            let gradients = [Tensor::new(&[1.0, bad, 2.0], &Device::Cpu).unwrap()];
            for [clip, moments, value] in both(&gradients, 1.0, &Emulated::default()) {
                let clip = clip.to_vec1::<f32>().unwrap();
                assert!(!clip[0].is_finite() && clip[1].is_nan(), "{clip:?}");
                let untouched = random(8, &[2, 3], Type::F32).abs().unwrap();
                assert_eq!(moments.to_vec2::<f32>().unwrap(), untouched.to_vec2::<f32>().unwrap());
                assert_eq!(
                    value.to_vec1::<f32>().unwrap(),
                    random(7, &[3], Type::F32).to_vec1::<f32>().unwrap()
                );
            }
        }
    }
}
