//! The gradient of attention: tile by tile, the weights computed again.

use rayon::prelude::*;

use super::attention::{KEYS, QUERIES, Sizes};
use super::matrix::{Matrix, Write, multiply};
use super::simd::{exp, sum2, vectorised};

/// Gradients of queries, keys and values.
///
/// `operands` are queries, keys, values, the result and its gradient; `logarithms` (B, H, S) are the forward pass's.
pub(super) fn backward(sizes: Sizes, operands: [&[f32]; 5], logarithms: &[f32]) -> [Vec<f32>; 3] {
    let heads = logarithms.len() / sizes.queries.max(1);
    // With fewer heads than threads, several threads share a head, each with queries of its own.
    let shares = rayon::current_num_threads().div_ceil(heads.max(1));
    let share = sizes.queries.div_ceil(shares).next_multiple_of(QUERIES).min(sizes.queries.max(1));
    let shares = sizes.queries.div_ceil(share);
    let of_share = |task: usize| {
        let (clip, head) = (task / shares / sizes.heads, task / shares % sizes.heads);
        let queries = task % shares * share..sizes.queries.min((task % shares + 1) * share);
        let logarithms = &logarithms[task / shares * sizes.queries..][queries.clone()];
        let clip = Clip::new(sizes, operands, clip, queries);
        head_backward(sizes, head, &clip, logarithms)
    };
    let mut parts = (0..heads * shares).into_par_iter().map(of_share).collect::<Vec<_>>();
    parts.chunks_mut(shares).for_each(sum_into_first);
    let queries: Vec<&[f32]> = parts.iter().map(|part| &part[0][..]).collect();
    let of_keys =
        |which: usize| -> Vec<&[f32]> { parts.iter().step_by(shares).map(|part| &part[which][..]).collect() };
    [
        sizes.gather(sizes.queries, share, &queries),
        sizes.gather(sizes.keys, sizes.keys, &of_keys(1)),
        sizes.gather(sizes.keys, sizes.keys, &of_keys(2)),
    ]
}

/// Adds the gradients of keys and values that the other shares of a head found to the first's.
fn sum_into_first(shares: &mut [[Vec<f32>; 3]]) {
    let Some((first, others)) = shares.split_first_mut() else { return };
    for other in others {
        for which in [1, 2] {
            first[which].iter_mut().zip(&other[which]).for_each(|(sum, x)| *sum += x);
        }
    }
}

/// Some of a clip's queries, with their results and gradients, and all of its keys and values.
struct Clip<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    y: &'a [f32],
    gradient: &'a [f32],
}

impl<'a> Clip<'a> {
    fn new(sizes: Sizes, operands: [&'a [f32]; 5], clip: usize, queries: std::ops::Range<usize>) -> Self {
        let [q, k, v, y, gradient] = operands;
        let (first, count) = ((clip * sizes.queries + queries.start) * sizes.token(), queries.len());
        let some = |values: &'a [f32]| &values[first..first + count * sizes.token()];
        let (keys, first) = (sizes.keys * sizes.token(), clip * sizes.keys * sizes.token());
        let all = |values: &'a [f32]| &values[first..first + keys];
        Self { q: some(q), k: all(k), v: all(v), y: some(y), gradient: some(gradient) }
    }
}

/// Gradients of one head of one clip, each (tokens, channels): of the given queries, and what these make of the keys'
/// and values'.
fn head_backward(sizes: Sizes, head: usize, clip: &Clip<'_>, logarithms: &[f32]) -> [Vec<f32>; 3] {
    let channels = sizes.channels;
    let [mut dq, mut dk, mut dv] =
        [logarithms.len(), sizes.keys, sizes.keys].map(|tokens| vec![0f32; tokens * channels]);
    let means = mean_slopes(sizes, head, clip);
    let (mut weights, mut slopes) = (Vec::new(), Vec::new());
    let block = QUERIES * sizes.token();
    let tiles = clip.q.chunks(block).zip(clip.gradient.chunks(block)).zip(dq.chunks_mut(QUERIES * channels));
    for (i, ((q, g), dq)) in tiles.enumerate() {
        let queries = q.len() / sizes.token();
        let (q, g) = (sizes.head(q, queries, head), sizes.head(g, queries, head));
        let rows = i * QUERIES..i * QUERIES + queries;
        for first in (0..sizes.keys).step_by(KEYS) {
            let (k, v) = (sizes.tile(clip.k, first, head), sizes.tile(clip.v, first, head));
            let keys = k.rows();
            weights.resize(queries * keys, 0.0);
            slopes.resize(queries * keys, 0.0);
            multiply(&mut weights, keys, Write::Replace, sizes.scale(), q, k.transposed());
            multiply(&mut slopes, keys, Write::Replace, 1.0, g, v.transposed());
            let of_rows = (&logarithms[rows.clone()], &means[rows.clone()]);
            through_softmax(&mut weights, &mut slopes, of_rows, sizes.scale());
            let (dk, dv) = (&mut dk[first * channels..], &mut dv[first * channels..]);
            let weights = Matrix::new(&weights, queries, keys, keys);
            let slopes = Matrix::new(&slopes, queries, keys, keys);
            multiply(dv, channels, Write::Add, 1.0, weights.transposed(), g);
            multiply(dq, channels, Write::Add, 1.0, slopes, k);
            multiply(dk, channels, Write::Add, 1.0, slopes.transposed(), q);
        }
    }
    [dq, dk, dv]
}

/// For each query the mean of its weights' gradients, which is its result times the result's gradient.
fn mean_slopes(sizes: Sizes, head: usize, clip: &Clip<'_>) -> Vec<f32> {
    let of_head = head * sizes.channels..(head + 1) * sizes.channels;
    let rows = clip.y.chunks_exact(sizes.token()).zip(clip.gradient.chunks_exact(sizes.token()));
    let mean = |(y, g): (&[f32], &[f32])| sum2(&y[of_head.clone()], &g[of_head.clone()], |y, g| y * g);
    rows.map(mean).collect()
}

vectorised! {
    /// Scores to weights, and the weights' gradients to those of the scores before scaling.
    fn through_softmax(scores: &mut [f32], slopes: &mut [f32], of_rows: (&[f32], &[f32]), scale: f32) {
        let (logarithms, means) = of_rows;
        let keys = scores.len() / logarithms.len().max(1);
        let rows = scores.chunks_exact_mut(keys).zip(slopes.chunks_exact_mut(keys));
        for ((scores, slopes), (logarithm, mean)) in rows.zip(logarithms.iter().zip(means)) {
            for (score, slope) in scores.iter_mut().zip(slopes) {
                *score = exp(*score - logarithm);
                *slope = (*slope - mean) * *score * scale;
            }
        }
    }
}
