//! One block of the text encoder, and what its attention adds to the scores.

use candle_core::{D, Device, Result, Tensor};

use crate::error::Loaded;
use crate::kernels::{gelu_tanh, rms_norm};
use crate::linear::Linear;
use crate::umt5_config::Umt5Config;
use crate::weights::{Scope, Weights};

/// Self attention, then a gated feed-forward layer, each of the normalised state and added to it.
pub(crate) struct Block {
    eps: f64,
    heads: usize,
    norm1: Tensor,
    /// q, k, v, o
    attn: [Linear; 4],
    /// (buckets, heads): umT5's own, in T5 only the first block has one.
    positions: Tensor,
    norm2: Tensor,
    /// `ffn.gate.0`, `ffn.fc1`, `ffn.fc2`
    ffn: [Linear; 3],
}

impl Block {
    /// The block `blocks.{i}` of weights under official names.
    pub fn load(weights: &Weights, i: usize, config: &Umt5Config) -> Loaded<Self> {
        let w = weights.under(format!("blocks.{i}"));
        let (dim, inner, hidden) = (config.d_model, config.inner(), config.d_ff);
        let (attn, ffn) = (w.under("attn"), w.under("ffn"));
        let table = [config.relative_attention_num_buckets, config.num_heads];
        Ok(Self {
            eps: config.layer_norm_epsilon,
            heads: config.num_heads,
            norm1: w.tensor("norm1.weight", &[dim])?,
            attn: [
                linear(&attn, "q", dim, inner)?,
                linear(&attn, "k", dim, inner)?,
                linear(&attn, "v", dim, inner)?,
                linear(&attn, "o", inner, dim)?,
            ],
            positions: w.tensor("pos_embedding.embedding.weight", &table)?,
            norm2: w.tensor("norm2.weight", &[dim])?,
            ffn: [
                linear(&ffn, "gate.0", dim, hidden)?,
                linear(&ffn, "fc1", dim, hidden)?,
                linear(&ffn, "fc2", hidden, dim)?,
            ],
        })
    }

    /// x (B, L, dim), positions (L·L) buckets, padding (B, 1, 1, L) -> (B, L, dim)
    pub fn forward(&self, x: &Tensor, positions: &Tensor, padding: &Tensor) -> Result<Tensor> {
        let x = (x + self.attention(&rms_norm(x, &self.norm1, self.eps)?, positions, padding)?)?;
        let normed = rms_norm(&x, &self.norm2, self.eps)?;
        let [gate, fc1, fc2] = &self.ffn;
        let hidden = (gelu_tanh(&gate.forward(&normed)?)? * fc1.forward(&normed)?)?;
        x + fc2.forward(&hidden)?
    }

    /// Scores are not divided by the root of the head's size: T5's initialisation makes up for it.
    fn attention(&self, x: &Tensor, positions: &Tensor, padding: &Tensor) -> Result<Tensor> {
        let (batch, tokens, _) = x.dims3()?;
        let [q, k, v, o] = &self.attn;
        let heads = |linear: &Linear| {
            let y = linear.forward(x)?;
            y.reshape((batch, tokens, self.heads, ()))?.transpose(1, 2)?.contiguous() // B H L D
        };
        let scores = heads(q)?.matmul(&heads(k)?.t()?)?; // B H L L
        let scores = scores.broadcast_add(&self.position_bias(positions, tokens)?)?.broadcast_add(padding)?;
        let seen = softmax(&scores)?.matmul(&heads(v)?)?.transpose(1, 2)?; // B L H D
        o.forward(&seen.flatten_from(2)?)
    }

    /// (L·L) buckets -> (1, H, L, L)
    fn position_bias(&self, positions: &Tensor, tokens: usize) -> Result<Tensor> {
        let bias = self.positions.t()?.contiguous()?.index_select(positions, 1)?; // H, L·L
        bias.reshape((1, self.heads, tokens, tokens))
    }
}

fn linear(w: &Scope<'_>, name: &str, inputs: usize, outputs: usize) -> Loaded<Linear> {
    Ok(Linear::new(w.under(name).tensor("weight", &[outputs, inputs])?, None)?)
}

fn softmax(scores: &Tensor) -> Result<Tensor> {
    let weights = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)
}

/// (B, L) -> (B, 1, 1, L): zero, and the least f32 at padding. Not minus infinity: a row of padding alone stays finite.
pub(crate) fn padding_bias(mask: &Tensor) -> Result<Tensor> {
    let mask = mask.ne(0u32)?;
    let least = Tensor::new(f32::MIN, mask.device())?.broadcast_as(mask.shape())?;
    mask.where_cond(&least.zeros_like()?, &least)?.unsqueeze(1)?.unsqueeze(1)
}

/// The table row of each pair of tokens, (L·L), a query's pairs side by side.
pub(crate) fn position_buckets(tokens: usize, config: &Umt5Config) -> Result<Tensor> {
    let row = |query: usize| (0..tokens).map(move |key| bucket(key as i64 - query as i64, config));
    let buckets: Vec<u32> = (0..tokens).flat_map(row).collect();
    Tensor::from_vec(buckets, tokens * tokens, &Device::Cpu)
}

/// The table row of a `distance` in tokens from query to key: half of the rows are for keys that follow; of each half,
/// half stand for one distance each, the rest for ever wider ranges (`_relative_position_bucket` of `t5.py`).
///
/// The logarithm is in f32 as there, for its rounding decides on which side the edges fall.
fn bucket(distance: i64, config: &Umt5Config) -> u32 {
    let half = config.relative_attention_num_buckets as u32 / 2;
    let exact = half / 2;
    let side = if distance > 0 { half } else { 0 };
    let distance = distance.unsigned_abs() as u32;
    if distance < exact {
        return side + distance;
    }
    let range = (config.relative_attention_max_distance as f64 / f64::from(exact)).ln() as f32;
    let wide = (distance as f32 / exact as f32).ln() / range * (half - exact) as f32;
    side + (exact + wide as u32).min(half - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_those_of_transformers() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/umt5.safetensors");
        let expected = &candle_core::safetensors::load(path, &Device::Cpu).unwrap()["buckets"];
        let ours: Vec<i64> = (-200..=200).map(|d| i64::from(bucket(d, &Umt5Config::default()))).collect();
        assert_eq!(ours, expected.to_vec1::<i64>().unwrap());
    }
}
