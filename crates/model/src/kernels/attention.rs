//! Attention with its gradient, a tile of queries and keys at a time: the scores are never held whole.
//!
//! The forward pass keeps one number per query and head, the logarithm of the sum of its exponentials; the backward
//! pass computes the weights again from it (FlashAttention, arXiv 2205.14135, algorithms 1 and 4).

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::attention_backward::backward;
use super::matrix::{Matrix, Write, multiply};
use super::reference;
use super::simd::{exp, map_sum, max, vectorised};
use super::slices::{on_cpu, output, tensor_like, values, with_all};

/// Queries of a tile. The matrix product packs the keys anew for every tile, which fewer queries would pay for.
pub(super) const QUERIES: usize = 192;
/// Keys of a tile; its scores stay in the second-level cache.
pub(super) const KEYS: usize = 384;

/// Each query of `q` (B, S, H, D) averages the values `v` (B, L, H, D) by `softmax(q·k / sqrt(D))` over the keys `k`
/// (B, L, H, D), each head for itself; gives (B, S, H, D).
///
/// # Errors
/// When shapes do not fit together.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if super::cuda::takes(q) {
        return super::cuda::attention(q, k, v);
    }
    if !on_cpu(&[q, k, v]) {
        return reference::attention(q, k, v);
    }
    let (batch, _, heads, channels) = q.dims4()?;
    let (of_keys, keys, head_keys, key_channels) = k.dims4()?;
    if k.dims() != v.dims() || (of_keys, head_keys, key_channels) != (batch, heads, channels) || keys == 0 {
        bail!("attention of {:?} over {:?} and {:?}", q.dims(), k.dims(), v.dims());
    }
    q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, Attention::default())
}

#[derive(Default)]
struct Attention {
    /// (B, H, S): the logarithm of each query's sum of exponentials, from the forward pass.
    logarithms: OnceLock<Vec<f32>>,
}

/// Tokens and channels of one call.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub queries: usize,
    pub keys: usize,
    pub heads: usize,
    pub channels: usize,
}

impl Sizes {
    fn new(q: &[usize], k: &[usize]) -> Self {
        Self { queries: q[1], keys: k[1], heads: q[2], channels: q[3] }
    }

    /// Values from one token to the next.
    pub fn token(&self) -> usize {
        self.heads * self.channels
    }

    pub fn scale(&self) -> f32 {
        1.0 / (self.channels as f32).sqrt()
    }

    /// One head's part of `tokens` tokens, the first of which begins `values`.
    pub fn head<'a>(&self, values: &'a [f32], tokens: usize, head: usize) -> Matrix<'a> {
        Matrix::new(&values[head * self.channels..], tokens, self.channels, self.token())
    }

    /// One head's part of the tile of keys, or of their values, that begins with key `first`.
    pub fn tile<'a>(&self, values: &'a [f32], first: usize, head: usize) -> Matrix<'a> {
        self.head(&values[first * self.token()..], KEYS.min(self.keys - first), head)
    }

    /// `parts` in the order of clips, heads and tokens, each (`at_once` tokens or what is left of `tokens`,
    /// channels), to (B, tokens, heads, channels).
    pub fn gather(&self, tokens: usize, at_once: usize, parts: &[&[f32]]) -> Vec<f32> {
        let per_head = tokens.div_ceil(at_once.max(1));
        let clips = parts.len() / (per_head * self.heads).max(1);
        let mut out = vec![0f32; clips * tokens * self.token()];
        out.par_chunks_mut(self.token()).enumerate().for_each(|(i, out)| {
            let (clip, token) = (i / tokens, i % tokens);
            for (head, out) in out.chunks_exact_mut(self.channels).enumerate() {
                let part = parts[(clip * self.heads + head) * per_head + token / at_once];
                out.copy_from_slice(&part[token % at_once * self.channels..][..self.channels]);
            }
        });
        out
    }
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::new(q_layout.dims(), k_layout.dims());
        let (q, k, v) = (values(q, q_layout)?, values(k, k_layout)?, values(v, v_layout)?);
        let (out, logarithms) = forward(sizes, q, k, v);
        self.logarithms.get_or_init(|| logarithms);
        Ok(output(out, q_layout.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        y: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let sizes = Sizes::new(q.dims(), k.dims());
        let Some(logarithms) = self.logarithms.get() else { bail!("attention went backward before forward") };
        let [dq, dk, dv] =
            with_all([q, k, v, y, gradient], |operands| Ok(backward(sizes, operands, logarithms)))?;
        Ok((Some(tensor_like(dq, q)?), Some(tensor_like(dk, k)?), Some(tensor_like(dv, v)?)))
    }
}

/// The result (B, S, H, D) and the logarithms (B, H, S).
fn forward(sizes: Sizes, q: &[f32], k: &[f32], v: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (clip_size, keys_size) = (sizes.queries * sizes.token(), sizes.keys * sizes.token());
    let tiles = sizes.queries.div_ceil(QUERIES);
    let tasks = q.len() / clip_size.max(1) * sizes.heads * tiles;
    let look = |task: usize| {
        let (tile, head, clip) = (task % tiles, task / tiles % sizes.heads, task / tiles / sizes.heads);
        let (first, end) = (tile * QUERIES, sizes.queries.min((tile + 1) * QUERIES));
        let q = &q[clip * clip_size..][first * sizes.token()..end * sizes.token()];
        look(sizes, head, q, &k[clip * keys_size..][..keys_size], &v[clip * keys_size..][..keys_size])
    };
    let seen = (0..tasks).into_par_iter().map(look).collect::<Vec<_>>();
    let parts: Vec<&[f32]> = seen.iter().map(|seen| &seen.out[..]).collect();
    let logarithms = seen.iter().flat_map(|seen| &seen.logarithms).copied().collect();
    (sizes.gather(sizes.queries, QUERIES, &parts), logarithms)
}

/// What a tile of queries sees with one head.
struct Seen {
    /// (queries, channels)
    out: Vec<f32>,
    /// (queries)
    logarithms: Vec<f32>,
}

/// `q` begins with the tile's first query, `k` and `v` are one clip's.
fn look(sizes: Sizes, head: usize, q: &[f32], k: &[f32], v: &[f32]) -> Seen {
    let (queries, channels) = (q.len() / sizes.token(), sizes.channels);
    let q = sizes.head(q, queries, head);
    let (mut out, mut scores) = (vec![0f32; queries * channels], Vec::new());
    let (mut peaks, mut sums) = (vec![f32::NEG_INFINITY; queries], vec![0f32; queries]);
    for first in (0..sizes.keys).step_by(KEYS) {
        let (k, v) = (sizes.tile(k, first, head), sizes.tile(v, first, head));
        let keys = k.rows();
        scores.resize(queries * keys, 0.0);
        multiply(&mut scores, keys, Write::Replace, sizes.scale(), q, k.transposed());
        exponentiate(&mut scores, &mut out, &mut peaks, &mut sums);
        let weights = Matrix::new(&scores, queries, keys, keys);
        multiply(&mut out, channels, Write::Add, 1.0, weights, v);
    }
    divide(&mut out, &sums);
    let logarithms = peaks.iter().zip(&sums).map(|(peak, total)| peak + total.ln()).collect();
    Seen { out, logarithms }
}

vectorised! {
    /// Scores to exponentials relative to the greatest score so far of their row; what was summed before is made
    /// relative to it too.
    fn exponentiate(scores: &mut [f32], out: &mut [f32], peaks: &mut [f32], sums: &mut [f32]) {
        let (keys, channels) = (scores.len() / peaks.len(), out.len() / peaks.len());
        let rows = scores.chunks_exact_mut(keys).zip(out.chunks_exact_mut(channels));
        for ((scores, out), (peak, total)) in rows.zip(peaks.iter_mut().zip(sums)) {
            let seen = max(scores);
            if seen > *peak {
                let shrink = exp(*peak - seen); // nothing is summed yet at the first tile
                scale(out, shrink);
                *total *= shrink;
                *peak = seen;
            }
            let peak = *peak;
            *total += map_sum(scores, |score| exp(score - peak));
        }
    }

    fn divide(out: &mut [f32], sums: &[f32]) {
        let channels = out.len() / sums.len();
        for (out, total) in out.chunks_exact_mut(channels).zip(sums) {
            scale(out, 1.0 / total);
        }
    }
}

#[inline(always)]
fn scale(values: &mut [f32], by: f32) {
    for x in values {
        *x *= by;
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Case, equals_reference};
    use super::*;

    #[test]
    fn values_and_gradients_equal_the_reference() {
        // Queries and keys past one tile, with a rest; other keys than queries, two clips; a single key; one pixel.
        for (q, k) in [
            ([1, QUERIES + 5, 1, 3], [1, 2 * KEYS + 7, 1, 3]),
            ([2, 130, 3, 4], [2, 37, 3, 4]),
            ([1, 5, 2, 8], [1, 1, 2, 8]),
            ([3, 1, 1, 6], [3, 9, 1, 6]),
        ] {
            let case = Case { shapes: vec![q.to_vec(), k.to_vec(), k.to_vec()], limit: 1e-5 };
            equals_reference(
                &case,
                |x| attention(&x[0], &x[1], &x[2]),
                |x| reference::attention(&x[0], &x[1], &x[2]),
            );
        }
    }

    #[test]
    fn large_scores_do_not_overflow() {
        let big = (Tensor::ones((1, 2, 1, 4), candle_core::DType::F32, &candle_core::Device::Cpu).unwrap()
            * 1e3)
            .unwrap();
        let seen: Vec<f32> = attention(&big, &big, &big).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        assert!(seen.iter().all(|x| (x - 1e3).abs() < 1e-2));
    }

    #[test]
    fn other_shapes_are_refused() {
        let x = |shape: [usize; 4]| {
            Tensor::zeros(&shape, candle_core::DType::F32, &candle_core::Device::Cpu).unwrap()
        };
        let (q, k) = (x([1, 2, 3, 4]), x([1, 5, 2, 4]));
        assert!(attention(&q, &k, &k).unwrap_err().to_string().contains("attention of [1, 2, 3, 4]"));
    }
}
