//! The training loop: one optimiser step after the other on what it is handed. No file is opened here.

use std::ops::ControlFlow;
use std::time::Instant;

use candle_core::{Tensor, Var};
use lora_edit_model::WanTransformer;
use lora_edit_model::flow::NoiseStream;
use lora_edit_model::kernels::adam;

use crate::adamw::{AdamW, clip_norm};
use crate::adapter::Adapter;
use crate::error::{AdaptError, Result};
use crate::loss::{TrainInput, flow_loss};
use crate::recipe::Recipe;

/// Where a training stands; with the adapter's tensors all that is needed to go on.
#[derive(Debug)]
pub struct TrainState {
    /// The loss of each step done.
    pub losses: Vec<f32>,
    pub(crate) optimiser: AdamW,
}

/// Told after each step.
#[derive(Debug)]
pub struct StepReport<'a> {
    /// Counted from 1.
    pub step: usize,
    /// How many there are in all.
    pub of: usize,
    /// Of this step, before it changed anything.
    pub loss: f32,
    /// How long this step took.
    pub seconds: f64,
    /// Estimate to the end, from the steps of this run.
    pub seconds_left: f64,
    /// To write a checkpoint from.
    pub state: &'a TrainState,
}

/// How a training ended.
#[derive(Clone, Debug)]
pub struct TrainOutcome {
    /// Whether all steps are done; otherwise the callback stopped it.
    pub finished: bool,
    /// The loss of each step, those before a resume too.
    pub losses: Vec<f32>,
    /// Wall time of this run.
    pub seconds: f64,
}

impl TrainState {
    /// The state before the first step.
    ///
    /// # Errors
    /// When the adapter's device has no room for the optimiser.
    pub fn new(adapter: &Adapter, recipe: &Recipe) -> Result<Self> {
        Ok(Self { losses: Vec::new(), optimiser: AdamW::new(&variables(adapter), recipe)? })
    }

    /// How many steps are done.
    pub fn steps_done(&self) -> usize {
        self.losses.len()
    }
}

/// Trains `adapter`, which must be attached to `model`, from where `state` stands to the recipe's last step.
///
/// `sample` gives what step `n` (from 0) learns from; `on_step` may stop. Both the time and the noise of a step
/// follow from the seed and its number alone, so a resumed training equals an uninterrupted one.
///
/// # Errors
/// When the loss or gradient is not finite (the adapter is as it was before that step), or the arithmetic fails.
pub fn train(
    model: &WanTransformer,
    adapter: &Adapter,
    recipe: &Recipe,
    state: &mut TrainState,
    mut sample: impl FnMut(usize) -> candle_core::Result<TrainInput>,
    mut on_step: impl FnMut(&StepReport<'_>) -> ControlFlow<()>,
) -> Result<TrainOutcome> {
    recipe.check()?;
    let (first, began) = (state.steps_done(), Instant::now());
    let mut flow = ControlFlow::Continue(());
    while state.steps_done() < recipe.steps && flow.is_continue() {
        let step_began = Instant::now();
        let input = sample(state.steps_done())?;
        let loss = step(model, adapter, recipe, state, &input)?;
        let (step, of) = (state.steps_done(), recipe.steps);
        let mean = began.elapsed().as_secs_f64() / (step - first) as f64;
        let (seconds, seconds_left) = (step_began.elapsed().as_secs_f64(), mean * (of - step) as f64);
        flow = on_step(&StepReport { step, of, loss, seconds, seconds_left, state });
    }
    let finished = state.steps_done() >= recipe.steps;
    Ok(TrainOutcome { finished, losses: state.losses.clone(), seconds: began.elapsed().as_secs_f64() })
}

/// On a GPU nothing is read back before all of the step is queued: the loss and the gradients' norm come last, and a
/// gradient that is not finite has moved nothing by then.
fn step(
    model: &WanTransformer,
    adapter: &Adapter,
    recipe: &Recipe,
    state: &mut TrainState,
    input: &TrainInput,
) -> Result<f32> {
    let number = state.steps_done();
    let mut dice = NoiseStream::new(seed_of_step(recipe.seed, number));
    let sigma = recipe.noise_level(dice.uniform());
    let noise = dice.normal(input.latents.shape())?.to_device(input.latents.device())?;
    let loss = flow_loss(model, input, &noise, sigma, recipe.mask_loss_weight)?;
    let gradients = gradients(&loss, adapter)?;
    let loss = loss.detach().to_device(&adam::home(loss.device()))?;
    // Zero times a loss that is not finite is NaN, which makes the step move nothing.
    let clip = clip_norm(&gradients, recipe.clip_norm)?.broadcast_add(&(&loss * 0.0)?)?;
    state.optimiser.step(&variables(adapter), &gradients, &clip)?;
    let told = Tensor::cat(&[loss.reshape(1)?, clip.narrow(0, 0, 1)?], 0)?.to_vec1::<f32>()?;
    let found = finite(told[0], number, "loss").and_then(|()| finite(told[1], number, "gradient"));
    if let Err(error) = found {
        state.optimiser.step -= 1;
        return Err(error);
    }
    state.losses.push(told[0]);
    Ok(told[0])
}

fn gradients(loss: &Tensor, adapter: &Adapter) -> Result<Vec<Tensor>> {
    let mut store = loss.backward()?;
    let gradient = |(name, var): (String, &Var)| {
        let gradient = store.remove(var).ok_or(AdaptError::NoGradient(name))?;
        Ok(gradient.to_device(&adam::home(var.device()))?.contiguous()?)
    };
    adapter.parameters().into_iter().map(gradient).collect()
}

fn variables(adapter: &Adapter) -> Vec<&Var> {
    adapter.parameters().into_iter().map(|(_, var)| var).collect()
}

fn finite(value: f32, step: usize, what: &'static str) -> Result<()> {
    if value.is_finite() { Ok(()) } else { Err(AdaptError::NotFinite { step: step + 1, what }) }
}

/// A seed for each step, far from those of its neighbours (the finaliser of SplitMix64).
fn seed_of_step(seed: u64, step: usize) -> u64 {
    let mut z = seed.wrapping_add((step as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
