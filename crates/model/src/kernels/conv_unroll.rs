//! What a convolution reads: its sizes, and tiles of input unrolled for the product with the weight.

use std::ops::Range;

use candle_core::{Result, Tensor, bail};

use super::conv::{Geometry, Kind, Sizes};

/// Most unrolled input values of a tile at a time; they stay in the second-level cache.
const UNROLLED: usize = 1 << 16;

impl Kind {
    pub fn sizes(&self, x: &Tensor, lead: usize) -> Result<Sizes> {
        let (frames_in, inputs, rows_in, columns_in) = x.dims4()?;
        let g = &self.geometry;
        let padded = |size: usize| (size << usize::from(g.doubled)) + g.before + g.after;
        let fits = padded(rows_in).min(padded(columns_in)) >= self.side && frames_in + lead >= self.frames;
        if inputs != self.inputs || !fits {
            bail!("convolution of {} channels got frames of shape {:?}", self.inputs, x.dims());
        }
        let out = |size: usize| (padded(size) - self.side) / g.stride + 1;
        let frames_out = (frames_in + lead - self.frames) / g.frame_stride + 1;
        let (rows, columns) = (out(rows_in), out(columns_in));
        Ok(Sizes { frames_in, lead, frames_out, rows_in, columns_in, rows, columns })
    }

    /// The output frame that tap `tap` of the kernel adds input frame `frame` to, if there is one.
    pub fn frame_seen(&self, sizes: &Sizes, frame: usize, tap: usize) -> Option<usize> {
        let start = (frame + sizes.lead).checked_sub(tap)?;
        let out = start / self.geometry.frame_stride;
        (start % self.geometry.frame_stride == 0 && out < sizes.frames_out).then_some(out)
    }

    /// Channels whose unrolled tile of `span` positions fits the cache.
    pub fn block(&self, span: usize) -> usize {
        (UNROLLED / (self.side * self.side * span.max(1))).clamp(1, self.inputs)
    }

    /// Whether the input is its own unrolling.
    pub fn is_pointwise(&self) -> bool {
        self.side == 1
            && self.geometry == Geometry { frame_stride: self.geometry.frame_stride, ..Geometry::same(1) }
    }

    /// Fills `unrolled` (channels * side * side, span) from `x` (channels, rows, columns).
    pub fn unroll(&self, x: &[f32], sizes: &Sizes, span: &Range<usize>, unrolled: &mut [f32]) {
        let mut lines = unrolled.chunks_exact_mut(span.len());
        for plane in x.chunks_exact(sizes.rows_in * sizes.columns_in) {
            for dy in 0..self.side {
                for dx in 0..self.side {
                    if let Some(line) = lines.next() {
                        self.unroll_line(plane, sizes, span.start, (dy, dx), line);
                    }
                }
            }
        }
    }

    /// What one tap of the kernel reads for the output positions from `from` on.
    fn unroll_line(
        &self,
        plane: &[f32],
        sizes: &Sizes,
        from: usize,
        (dy, dx): (usize, usize),
        line: &mut [f32],
    ) {
        let (g, shift) = (&self.geometry, u32::from(self.geometry.doubled));
        let (mut row, mut column) = (from / sizes.columns, from % sizes.columns);
        let mut rest = line;
        while !rest.is_empty() {
            let (part, after) = rest.split_at_mut(rest.len().min(sizes.columns - column));
            rest = after;
            match (row * g.stride + dy).checked_sub(g.before).map(|y| y >> shift) {
                Some(y) if y < sizes.rows_in => {
                    let source = &plane[y * sizes.columns_in..(y + 1) * sizes.columns_in];
                    self.read_row(source, column, dx, part);
                }
                _ => part.fill(0.0),
            }
            (row, column) = (row + 1, 0);
        }
    }

    /// Input columns under output columns `column..`, zero outside the row.
    fn read_row(&self, source: &[f32], column: usize, dx: usize, part: &mut [f32]) {
        let g = &self.geometry;
        if g.stride == 1 && !g.doubled {
            // One run, clipped at both ends.
            let zeros = g.before.saturating_sub(column + dx).min(part.len());
            part[..zeros].fill(0.0);
            let start = (column + zeros + dx).saturating_sub(g.before).min(source.len());
            let run = (part.len() - zeros).min(source.len() - start);
            part[zeros..zeros + run].copy_from_slice(&source[start..start + run]);
            part[zeros + run..].fill(0.0);
            return;
        }
        let shift = u32::from(g.doubled);
        for (i, value) in part.iter_mut().enumerate() {
            let at = ((column + i) * g.stride + dx).checked_sub(g.before).map(|x| x >> shift);
            *value = at.and_then(|x| source.get(x)).copied().unwrap_or(0.0);
        }
    }
}
