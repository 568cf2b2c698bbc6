//! The kernels in candle's own operations: what they must equal, and what other devices and types use.

use candle_core::{D, Result, Tensor};

use crate::rope::RopeTable;

/// See [`super::gelu_tanh`].
///
/// # Errors
/// When the type is not a float.
pub fn gelu_tanh(x: &Tensor) -> Result<Tensor> {
    x.gelu()
}

/// See [`super::layer_norm`].
///
/// # Errors
/// When shapes do not fit.
pub fn layer_norm(x: &Tensor, gain: &Tensor, shift: &Tensor, eps: f64) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normed = centred.broadcast_div(&(variance + eps)?.sqrt()?)?;
    normed.broadcast_mul(gain)?.broadcast_add(shift)
}

/// See [`super::rms_norm`].
///
/// # Errors
/// When shapes do not fit.
pub fn rms_norm(x: &Tensor, gain: &Tensor, eps: f64) -> Result<Tensor> {
    let power = x.sqr()?.mean_keepdim(D::Minus1)?;
    x.broadcast_div(&(power + eps)?.sqrt()?)?.broadcast_mul(gain)
}

/// See [`super::rope`].
///
/// # Errors
/// When shapes do not fit.
pub fn rope(x: &Tensor, table: &RopeTable) -> Result<Tensor> {
    let (batch, tokens, heads, channels) = x.dims4()?;
    let pairs = x.reshape((batch, tokens, heads, channels / 2, 2))?;
    let (a, b) = (pairs.narrow(4, 0, 1)?.squeeze(4)?, pairs.narrow(4, 1, 1)?.squeeze(4)?);
    let (cos, sin) = (table.cos.unsqueeze(1)?, table.sin.unsqueeze(1)?); // tokens, 1, pairs
    let turned_a = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
    let turned_b = (a.broadcast_mul(&sin)? + b.broadcast_mul(&cos)?)?;
    Tensor::stack(&[turned_a, turned_b], 4)?.reshape((batch, tokens, heads, channels))
}

/// See [`super::attention`].
///
/// # Errors
/// When shapes do not fit.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    let scale = 1.0 / (q.dim(D::Minus1)? as f64).sqrt();
    let heads_first = |x: &Tensor| x.transpose(1, 2)?.contiguous();
    let (q, k, v) = (heads_first(q)?, heads_first(k)?, heads_first(v)?);
    let scores = (q.matmul(&k.t()?)? * scale)?;
    let peak = scores.detach().max_keepdim(D::Minus1)?;
    let weights = scores.broadcast_sub(&peak)?.exp()?;
    let weights = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
    weights.matmul(&v)?.transpose(1, 2)?.contiguous()
}

/// See [`super::frozen::frozen_linear`]; a weight that is tracked would get a gradient here.
///
/// # Errors
/// When shapes do not fit.
pub fn frozen_linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let y = x.broadcast_matmul(&weight.t()?)?;
    bias.map_or(Ok(y.clone()), |bias| y.broadcast_add(bias))
}

/// See [`super::gated_add`].
///
/// # Errors
/// When shapes do not fit.
pub fn gated_add(x: &Tensor, y: &Tensor, gate: &Tensor) -> Result<Tensor> {
    x + y.broadcast_mul(gate)?
}
