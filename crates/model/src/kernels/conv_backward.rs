//! The gradients of a convolution: blocks of input channels in parallel, each tile by tile.
//!
//! Where the input was doubled, every input collects the gradients of its repetitions.

use std::ops::Range;

use rayon::prelude::*;

use super::conv::{Kind, Sizes, TILE};
use super::matrix::{Matrix, Write, multiply};

/// One call and the gradient (frames, outputs, positions) of its result.
pub(super) struct Gradients<'a> {
    pub kind: Kind,
    pub sizes: Sizes,
    pub gradient: &'a [f32],
}

impl Gradients<'_> {
    /// (frames, inputs, plane), from the weight (frames, outputs, inputs * side * side).
    pub fn of_input(&self, weight: &[f32]) -> Vec<f32> {
        let (inputs, plane) = (self.kind.inputs, self.sizes.plane());
        let mut into = vec![0f32; self.sizes.frames_in * inputs * plane];
        let block = self.kind.block(self.tile());
        into.par_chunks_mut(inputs * plane).enumerate().for_each(|(frame, into)| {
            into.par_chunks_mut(block * plane).enumerate().for_each(|(i, into)| {
                let channels = i * block..i * block + into.len() / plane;
                self.tiles().for_each(|span| self.fold_tile(weight, frame, &channels, span, into));
            });
        });
        into
    }

    /// (frames, outputs, inputs * side * side), from the input (frames, inputs, plane).
    pub fn of_weight(&self, x: &[f32]) -> Vec<f32> {
        let Kind { inputs, outputs, frames, side, .. } = self.kind;
        let (area, block) = (side * side, self.kind.block(self.tile()));
        let blocks = (0..inputs.div_ceil(block)).into_par_iter();
        let parts = blocks.map(|i| self.weight_block(x, i * block..inputs.min((i + 1) * block)));
        let mut into = vec![0f32; frames * outputs * inputs * area];
        for (i, part) in parts.collect::<Vec<_>>().iter().enumerate() {
            let width = part.len() / (frames * outputs);
            let rows = into.chunks_exact_mut(inputs * area).zip(part.chunks_exact(width));
            rows.for_each(|(into, part)| into[i * block * area..][..width].copy_from_slice(part));
        }
        into
    }

    /// (outputs)
    pub fn of_bias(&self) -> Vec<f32> {
        let mut sums = vec![0f64; self.kind.outputs];
        for (i, plane) in self.gradient.chunks_exact(self.sizes.positions()).enumerate() {
            sums[i % self.kind.outputs] += plane.iter().map(|&g| f64::from(g)).sum::<f64>();
        }
        sums.into_iter().map(|sum| sum as f32).collect()
    }

    fn tile(&self) -> usize {
        TILE.min(self.sizes.positions())
    }

    fn tiles(&self) -> impl Iterator<Item = Range<usize>> {
        let (positions, tile) = (self.sizes.positions(), self.tile());
        (0..positions).step_by(tile).map(move |first| first..positions.min(first + tile))
    }

    /// The gradient of the positions `span` of output frame `frame`, (outputs, span).
    fn at(&self, frame: usize, span: &Range<usize>) -> Matrix<'_> {
        let positions = self.sizes.positions();
        let first = frame * self.kind.outputs * positions + span.start;
        Matrix::new(&self.gradient[first..], self.kind.outputs, span.len(), positions)
    }

    /// Adds to `into`, some channels of one input frame, what the positions `span` of all output frames ask of them.
    fn fold_tile(
        &self,
        weight: &[f32],
        frame: usize,
        channels: &Range<usize>,
        span: Range<usize>,
        into: &mut [f32],
    ) {
        let Kind { outputs, inputs, frames, side, .. } = self.kind;
        let (area, width) = (side * side, inputs * side * side);
        let mut unrolled = vec![0f32; channels.len() * area * span.len()];
        for tap in 0..frames {
            let Some(out) = self.kind.frame_seen(&self.sizes, frame, tap) else { continue };
            let weight = &weight[tap * outputs * width + channels.start * area..];
            let weight = Matrix::new(weight, outputs, channels.len() * area, width).transposed();
            multiply(&mut unrolled, span.len(), Write::Add, 1.0, weight, self.at(out, &span));
        }
        let mut lines = unrolled.chunks_exact(span.len());
        for plane in into.chunks_exact_mut(self.sizes.plane()) {
            for tap in 0..area {
                if let Some(line) = lines.next() {
                    self.fold_line(plane, span.start, (tap / side, tap % side), line);
                }
            }
        }
    }

    /// Adds what one tap of the kernel read for the output positions from `from` on back to where it read.
    fn fold_line(&self, plane: &mut [f32], from: usize, (dy, dx): (usize, usize), line: &[f32]) {
        let (g, sizes, shift) = (&self.kind.geometry, &self.sizes, u32::from(self.kind.geometry.doubled));
        let (mut row, mut column, mut rest) = (from / sizes.columns, from % sizes.columns, line);
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rest.len().min(sizes.columns - column));
            rest = after;
            let y = (row * g.stride + dy).checked_sub(g.before).map(|y| y >> shift);
            if let Some(y) = y.filter(|&y| y < sizes.rows_in) {
                let target = &mut plane[y * sizes.columns_in..(y + 1) * sizes.columns_in];
                for (i, value) in part.iter().enumerate() {
                    let x = ((column + i) * g.stride + dx).checked_sub(g.before).map(|x| x >> shift);
                    if let Some(into) = x.and_then(|x| target.get_mut(x)) {
                        *into += value;
                    }
                }
            }
            (row, column) = (row + 1, 0);
        }
    }

    /// (frames, outputs, channels * side * side)
    fn weight_block(&self, x: &[f32], channels: Range<usize>) -> Vec<f32> {
        let Kind { outputs, inputs, frames, side, .. } = self.kind;
        let (plane, width) = (self.sizes.plane(), channels.len() * side * side);
        let mut into = vec![0f32; frames * outputs * width];
        let mut unrolled = vec![0f32; width * self.tile()];
        for frame in 0..self.sizes.frames_in {
            let x = &x[(frame * inputs + channels.start) * plane..][..channels.len() * plane];
            for span in self.tiles() {
                let unrolled = &mut unrolled[..width * span.len()];
                self.kind.unroll(x, &self.sizes, &span, unrolled);
                let read = Matrix::new(unrolled, width, span.len(), span.len()).transposed();
                for tap in 0..frames {
                    let Some(out) = self.kind.frame_seen(&self.sizes, frame, tap) else { continue };
                    let into = &mut into[tap * outputs * width..][..outputs * width];
                    multiply(into, width, Write::Add, 1.0, self.at(out, &span), read);
                }
            }
        }
        into
    }
}
