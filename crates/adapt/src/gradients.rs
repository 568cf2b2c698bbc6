//! The loss of a training step and its gradient by every tensor of an adapter, in whatever way the model uses memory.

use candle_core::{Tensor, Var};
use lora_edit_model::WanTransformer;
use lora_edit_model::kernels::adam;

use crate::adapter::Adapter;
use crate::error::{AdaptError, Result};
use crate::loss::{TrainInput, asked, loss_of};

/// [`crate::flow_loss`] of `model`, which `adapter` must be attached to, and its gradients in the order of
/// [`Adapter::parameters`]: contiguous, each where [`adam::home`] says for its tensor.
///
/// [`WanTransformer::memory`] says whether blocks are computed twice for it; the numbers are the same. Nothing is read
/// back from a GPU.
///
/// # Errors
/// When the input does not fit the model, or the adapter is not attached.
pub fn loss_and_gradients(
    model: &WanTransformer,
    adapter: &Adapter,
    input: &TrainInput,
    noise: &Tensor,
    sigma: f64,
    mask_loss_weight: f64,
) -> Result<(Tensor, Vec<Tensor>)> {
    let (x, t) = asked(input, noise, sigma)?;
    let loss = |velocity: &Tensor| loss_of(velocity, input, noise, mask_loss_weight);
    let (loss, mut store) = model.gradients(&x, &t, &input.text, input.image.as_ref(), loss)?;
    let gradient = |(name, var): (String, &Var)| {
        let gradient = store.remove(var).ok_or(AdaptError::NoGradient(name))?;
        Ok(gradient.to_device(&adam::home(var.device()))?.contiguous()?)
    };
    Ok((loss, adapter.parameters().into_iter().map(gradient).collect::<Result<_>>()?))
}
