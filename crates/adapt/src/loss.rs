//! What a training step learns from, and how far the model is from it.

use candle_core::{Device, Result, Tensor};
use lora_edit_model::{WanTransformer, flow};

/// What one step learns from; batch size 1 as published, larger ones work.
#[derive(Clone, Debug)]
pub struct TrainInput {
    /// (B, out_channels, F, h, w), normalised: the clip to be learnt.
    pub latents: Tensor,
    /// (B, 4 + z, F, h, w): mask (1 = keep), then the latent of what is shown; (B, 0, F, h, w) for a base without them.
    pub condition: Tensor,
    /// (B, L, text_dim)
    pub text: Tensor,
    /// (B, tokens, image_dim), exactly where the base takes CLIP states.
    pub image: Option<Tensor>,
    /// (B, 1, F, h, w) instead of the weights that follow from the mask and the recipe.
    pub loss_weight: Option<Tensor>,
}

/// Rectified flow: the mean square of (predicted - true) velocity at noise level `sigma`, a scalar.
///
/// Cells that the mask tells to generate count `mask_loss_weight` times; the mean is a weighted one.
///
/// # Errors
/// When the shapes do not fit the model.
pub fn flow_loss(
    model: &WanTransformer,
    input: &TrainInput,
    noise: &Tensor,
    sigma: f64,
    mask_loss_weight: f64,
) -> Result<Tensor> {
    let (x, t) = asked(input, noise, sigma)?;
    let velocity = model.forward(&x, &t, &input.text, input.image.as_ref())?;
    loss_of(&velocity, input, noise, mask_loss_weight)
}

/// What the model is shown at noise level `sigma`, and the time (B,) that goes with it.
pub(crate) fn asked(input: &TrainInput, noise: &Tensor, sigma: f64) -> Result<(Tensor, Tensor)> {
    let noisy = flow::interpolate(&input.latents, noise, sigma)?;
    // TI2V 5B takes no channels beside the clip's.
    let x = if input.condition.dim(1)? == 0 { noisy } else { Tensor::cat(&[&noisy, &input.condition], 1)? };
    let t = Tensor::full(flow::timestep(sigma) as f32, x.dim(0)?, &Device::Cpu)?;
    Ok((x, t))
}

/// [`flow_loss`] of a velocity.
pub(crate) fn loss_of(
    velocity: &Tensor,
    input: &TrainInput,
    noise: &Tensor,
    mask_loss_weight: f64,
) -> Result<Tensor> {
    let error = (velocity - flow::target(&input.latents, noise)?)?.sqr()?;
    let weight = match &input.loss_weight {
        Some(weight) => weight.clone(),
        None if mask_loss_weight == 1.0 => return error.mean_all(),
        None => weight_of_mask(&input.condition, mask_loss_weight)?,
    };
    let channels = error.dim(1)? as f64;
    error.broadcast_mul(&weight)?.sum_all()? / (weight.sum_all()? * channels)?
}

/// (B, 1, F, h, w): `weight` where any frame of the latent cell is to be generated, 1 elsewhere.
fn weight_of_mask(condition: &Tensor, weight: f64) -> Result<Tensor> {
    condition.narrow(1, 0, 4)?.min_keepdim(1)?.affine(1.0 - weight, weight)
}
