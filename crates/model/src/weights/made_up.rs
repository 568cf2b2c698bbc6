//! Weights that nobody trained: a network of any size to measure, not to use.

use candle_core::Tensor;

use crate::error::Loaded;
use crate::flow::NoiseStream;

/// Normal numbers over the root of the inputs (all dimensions but the first), the same for the same seed and name.
pub(super) fn make_up(seed: u64, name: &str, shape: &[usize]) -> Loaded<Tensor> {
    // FNV-1a: each name gets numbers of its own, whichever is asked for first.
    let seed = name
        .bytes()
        .fold(seed ^ 0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let inputs = shape.iter().skip(1).product::<usize>().max(1) as f64;
    Ok((NoiseStream::new(seed).normal(shape)? / inputs.sqrt())?)
}
