//! Stage 2: which sample each step learns from, and where the adapter starts.
//!
//! METHOD.md section 4: the adapter of stage 1 goes on, on a data set of the shot once and each example nine times.

use std::collections::HashMap;

use lora_edit_adapt::{AdaptError, Adapter};
use lora_edit_model::flow::NoiseStream;

/// How often each example comes in an epoch, against one sample of the shot, so that stage 1 is not forgotten.
const REPEATS: usize = 9;

/// Optimiser steps of `epochs` over `examples`.
pub(crate) fn steps(epochs: usize, examples: usize) -> usize {
    epochs * (1 + REPEATS * examples)
}

/// Another seed than stage 1's: the same noise at the same step would be learnt twice.
pub(crate) fn seed(seed: u64) -> u64 {
    seed ^ 0x5354_4147_4532
}

/// For each step the index of its sample: `replayed` samples of the shot, taken in turn, then `examples`. Each epoch
/// is shuffled by `seed`.
pub(crate) fn order(epochs: usize, replayed: usize, examples: usize, seed: u64) -> Vec<usize> {
    let mut dice = NoiseStream::new(seed);
    let mut order = Vec::with_capacity(steps(epochs, examples));
    for epoch in 0..epochs {
        let repeated = (0..REPEATS).flat_map(|_| replayed..replayed + examples);
        let mut indices: Vec<usize> = std::iter::once(epoch % replayed.max(1)).chain(repeated).collect();
        // Fisher and Yates.
        for last in (1..indices.len()).rev() {
            indices.swap(last, (dice.uniform() * (last + 1) as f64) as usize);
        }
        order.extend(indices);
    }
    order
}

/// Sets `adapter` to the values of `first`.
///
/// # Errors
/// When they are not of the same layers and sizes.
pub(crate) fn take_over(adapter: &Adapter, first: &Adapter) -> Result<(), AdaptError> {
    let from: HashMap<String, _> = first.parameters().into_iter().collect();
    for (name, var) in adapter.parameters() {
        let value = from.get(&name).ok_or_else(|| AdaptError::NoLayer { layer: name.clone() })?;
        var.set(&value.to_device(var.device())?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_epoch_has_the_shot_once_and_each_example_nine_times() {
        let order = order(10, 4, 2, 1);
        assert_eq!(order.len(), steps(10, 2));
        for (epoch, indices) in order.chunks_exact(1 + 2 * REPEATS).enumerate() {
            let count = |index: usize| indices.iter().filter(|found| **found == index).count();
            assert_eq!(count(epoch % 4), 1, "epoch {epoch} replays in turn");
            assert_eq!((count(4), count(5)), (REPEATS, REPEATS));
        }
    }

    #[test]
    fn epochs_are_shuffled_and_repeatable() {
        let one = order(3, 1, 1, 7);
        assert_eq!(one, order(3, 1, 1, 7));
        assert_ne!(one, order(3, 1, 1, 8));
        assert!(one.chunks_exact(10).any(|epoch| epoch[0] != 0), "{one:?}");
    }
}
