//! Attention with its gradient, a block of queries at a time: the scores are never held whole.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::matrix::{Matrix, Write, multiply};
use super::reference;
use super::simd::{exp, max, sum, sum2, vectorised};
use super::slices::{on_cpu, output, tensor_like, values, with_values};

/// Queries whose scores are held at a time.
const BLOCK: usize = 64;

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
    q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, Attention)
}

struct Attention;

/// Tokens and channels of one call.
#[derive(Clone, Copy)]
struct Sizes {
    queries: usize,
    keys: usize,
    heads: usize,
    channels: usize,
}

impl Sizes {
    fn new(q: &[usize], k: &[usize]) -> Self {
        Self { queries: q[1], keys: k[1], heads: q[2], channels: q[3] }
    }

    /// Values from one token to the next.
    fn token(&self) -> usize {
        self.heads * self.channels
    }

    fn scale(&self) -> f32 {
        1.0 / (self.channels as f32).sqrt()
    }

    /// One head's part of `tokens` tokens.
    fn head<'a>(&self, values: &'a [f32], tokens: usize, head: usize) -> Matrix<'a> {
        Matrix::new(&values[head * self.channels..], tokens, self.channels, self.token())
    }

    /// The weights (queries, keys) that `q`, some of the queries, give to all keys of one head.
    fn weights(&self, q: Matrix<'_>, queries: usize, k: Matrix<'_>, weights: &mut Vec<f32>) {
        weights.resize(queries * self.keys, 0.0);
        multiply(weights, self.keys, Write::Replace, self.scale(), q, k.transposed());
        vectorised(|| weights.chunks_exact_mut(self.keys).for_each(softmax));
    }
}

#[inline(always)]
fn softmax(row: &mut [f32]) {
    let peak = max(row);
    row.iter_mut().for_each(|x| *x = exp(*x - peak));
    let inverse = 1.0 / sum(row, |x| x);
    row.iter_mut().for_each(|x| *x *= inverse);
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
        Ok(output(forward(sizes, q, k, v), q_layout.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let sizes = Sizes::new(q.dims(), k.dims());
        let all = |q: &[f32], k: &[f32], v: &[f32], g: &[f32]| Ok(backward(sizes, q, k, v, g));
        let [dq, dk, dv] = with_values(q, |q| {
            with_values(k, |k| with_values(v, |v| with_values(gradient, |g| all(q, k, v, g))))
        })?;
        Ok((Some(tensor_like(dq, q)?), Some(tensor_like(dk, k)?), Some(tensor_like(dv, v)?)))
    }
}

fn forward(sizes: Sizes, q: &[f32], k: &[f32], v: &[f32]) -> Vec<f32> {
    let mut out = vec![0f32; q.len()];
    let (clip, keys) = (sizes.queries * sizes.token(), sizes.keys * sizes.token());
    let clips =
        out.par_chunks_mut(clip).zip(q.par_chunks(clip)).zip(k.par_chunks(keys).zip(v.par_chunks(keys)));
    clips.for_each(|((out, q), (k, v))| {
        let block = BLOCK * sizes.token();
        out.par_chunks_mut(block).zip(q.par_chunks(block)).for_each(|(out, q)| look(sizes, out, q, k, v));
    });
    out
}

/// A block of queries, all heads.
fn look(sizes: Sizes, out: &mut [f32], q: &[f32], k: &[f32], v: &[f32]) {
    let queries = q.len() / sizes.token();
    let mut weights = Vec::new();
    for head in 0..sizes.heads {
        let k = sizes.head(k, sizes.keys, head);
        sizes.weights(sizes.head(q, queries, head), queries, k, &mut weights);
        let weights = Matrix::new(&weights, queries, sizes.keys, sizes.keys);
        let out = &mut out[head * sizes.channels..];
        multiply(out, sizes.token(), Write::Replace, 1.0, weights, sizes.head(v, sizes.keys, head));
    }
}

/// Gradients of queries, keys and values.
fn backward(sizes: Sizes, q: &[f32], k: &[f32], v: &[f32], g: &[f32]) -> [Vec<f32>; 3] {
    let (clip, keys) = (sizes.queries * sizes.token(), sizes.keys * sizes.token());
    let of_head = |i: usize| {
        let (b, head) = (i / sizes.heads, i % sizes.heads);
        let (q, g) = (&q[b * clip..(b + 1) * clip], &g[b * clip..(b + 1) * clip]);
        let (k, v) = (&k[b * keys..(b + 1) * keys], &v[b * keys..(b + 1) * keys]);
        head_backward(sizes, head, q, k, v, g)
    };
    let heads = (0..q.len() / clip * sizes.heads).into_par_iter().map(of_head).collect::<Vec<_>>();
    let lengths = [q.len(), k.len(), v.len()];
    [0, 1, 2].map(|which| interleave(sizes, lengths[which], heads.iter().map(|head| &head[which])))
}

/// Gradients of one head of one clip, each (tokens, channels).
fn head_backward(sizes: Sizes, head: usize, q: &[f32], k: &[f32], v: &[f32], g: &[f32]) -> [Vec<f32>; 3] {
    let Sizes { queries, keys, channels, .. } = sizes;
    let [mut dq, mut dk, mut dv] = [queries, keys, keys].map(|tokens| vec![0f32; tokens * channels]);
    let (k, v) = (sizes.head(k, keys, head), sizes.head(v, keys, head));
    let (mut weights, mut slopes) = (Vec::new(), Vec::new());
    let block = BLOCK * sizes.token();
    for ((q, g), dq) in q.chunks(block).zip(g.chunks(block)).zip(dq.chunks_mut(BLOCK * channels)) {
        let count = q.len() / sizes.token();
        let (q, g) = (sizes.head(q, count, head), sizes.head(g, count, head));
        sizes.weights(q, count, k, &mut weights);
        multiply(
            &mut dv,
            channels,
            Write::Add,
            1.0,
            Matrix::new(&weights, count, keys, keys).transposed(),
            g,
        );
        slopes.resize(count * keys, 0.0);
        multiply(&mut slopes, keys, Write::Replace, 1.0, g, v.transposed());
        vectorised(|| through_softmax(&mut slopes, &weights, keys, sizes.scale()));
        let slopes = Matrix::new(&slopes, count, keys, keys);
        multiply(dq, channels, Write::Replace, 1.0, slopes, k);
        multiply(&mut dk, channels, Write::Add, 1.0, slopes.transposed(), q);
    }
    [dq, dk, dv]
}

/// Gradients of the weights to gradients of the scores before scaling.
#[inline(always)]
fn through_softmax(slopes: &mut [f32], weights: &[f32], keys: usize, scale: f32) {
    for (slopes, weights) in slopes.chunks_exact_mut(keys).zip(weights.chunks_exact(keys)) {
        let mean = sum2(slopes, weights, |slope, weight| slope * weight);
        slopes.iter_mut().zip(weights).for_each(|(slope, weight)| *slope = (*slope - mean) * weight * scale);
    }
}

/// Heads (tokens, channels), clip by clip, to (B, tokens, heads, channels).
fn interleave<'a>(sizes: Sizes, length: usize, heads: impl Iterator<Item = &'a Vec<f32>>) -> Vec<f32> {
    let mut out = vec![0f32; length];
    for (i, head) in heads.enumerate() {
        let (clip, first) = (i / sizes.heads * head.len() * sizes.heads, i % sizes.heads * sizes.channels);
        let places = out[clip + first..].chunks_mut(sizes.token());
        places.zip(head.chunks_exact(sizes.channels)).for_each(|(place, token)| {
            place[..sizes.channels].copy_from_slice(token);
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::check::{Case, equals_reference};
    use super::*;

    #[test]
    fn values_and_gradients_equal_the_reference() {
        // Queries past one block, other keys than queries, two clips; a single key; one pixel.
        for (q, k) in
            [([2, 130, 3, 4], [2, 37, 3, 4]), ([1, 5, 2, 8], [1, 1, 2, 8]), ([3, 1, 1, 6], [3, 9, 1, 6])]
        {
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
