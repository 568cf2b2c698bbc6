//! The loss at noise that no training step draws: it falls while the adapter learns the shot and rises when it comes
//! apart, free of the chance that makes the loss of single steps jump.

use std::mem;

use candle_core::{Result, Tensor};
use lora_edit_model::flow::NoiseStream;
use lora_edit_model::{LowRank, WanTransformer};

use crate::loss::{TrainInput, flow_loss};
use crate::recipe::Recipe;
use crate::train::seed_of_step;

/// Forward passes per evaluation: the middles of as many equal parts of what the training draws its noise levels from.
pub const PROBES: usize = 3;

/// The held-back loss after some step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldBack {
    /// Steps done.
    pub step: usize,
    /// Mean over [`PROBES`] noise levels.
    pub loss: f32,
}

/// The mean loss of `input` over [`PROBES`] noise levels, each with its noise, both always the same for a recipe. No
/// gradient is prepared, so this takes less memory than a training step.
///
/// # Errors
/// When the input does not fit the model.
pub fn held_back_loss(model: &mut WanTransformer, input: &TrainInput, recipe: &Recipe) -> Result<f32> {
    without_gradients(model, |model| {
        let losses = (0..PROBES).map(|probe| probed(model, input, recipe, probe)?.to_vec0::<f32>());
        losses.sum::<Result<f32>>().map(|sum| sum / PROBES as f32)
    })
}

fn probed(model: &WanTransformer, input: &TrainInput, recipe: &Recipe, probe: usize) -> Result<Tensor> {
    // Counted from the end of the numbers, which no training reaches.
    let mut dice = NoiseStream::new(seed_of_step(recipe.seed, usize::MAX - 1 - probe));
    let sigma = recipe.noise_level((probe as f64 + 0.5) / PROBES as f64);
    let noise = dice.normal(input.latents.shape())?.to_device(input.latents.device())?;
    flow_loss(model, input, &noise, sigma, recipe.mask_loss_weight)
}

/// `work` on `model` while its low-rank pairs, though the same numbers in the same memory, ask for no gradient.
pub fn without_gradients<T>(model: &mut WanTransformer, work: impl FnOnce(&WanTransformer) -> T) -> T {
    let detached = |pair: &LowRank| LowRank { a: pair.a.detach(), b: pair.b.detach(), scale: pair.scale };
    let swap = |(_, linear): (_, &mut lora_edit_model::Linear)| {
        let plain = linear.low_rank.iter().map(detached).collect();
        mem::replace(&mut linear.low_rank, plain)
    };
    let trained: Vec<_> = model.linears_mut().into_iter().map(swap).collect();
    let done = work(model);
    for ((_, linear), pairs) in model.linears_mut().into_iter().zip(trained) {
        linear.low_rank = pairs;
    }
    done
}
