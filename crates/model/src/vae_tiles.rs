//! Pictures in overlapping tiles: where tiles lie, and how what comes of them is joined again.
//!
//! The overlaps are blended linearly, so that no edge of a tile shows. All lies on the grid of latent cells, since a cell
//! cannot be cut.

use std::ops::Range;

use candle_core::{Device, Result, Tensor, bail};
use serde::{Deserialize, Serialize};

use crate::kernels::with_values;

/// The part of an overlap next to a tile's edge that is not used: there the tile's own convolutions saw zeros where the
/// picture goes on.
const EDGE: f64 = 0.25;

/// How pictures are cut into tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tiling {
    /// Most rows and columns of a tile in pixels; rounded down to whole latent cells, at least one.
    pub tile: [usize; 2],
    /// Least pixels that neighbours share; rounded up to whole latent cells, at most half a tile.
    pub overlap: usize,
}

impl Tiling {
    /// Square tiles of `side` pixels that share a quarter of it.
    pub fn square(side: usize) -> Self {
        Self { tile: [side; 2], overlap: side / 4 }
    }

    /// Rows and columns in latent cells of the largest tile of a picture of `cells`.
    pub(crate) fn largest(self, cells: [usize; 2], factor: usize) -> [usize; 2] {
        [0, 1].map(|axis| cells[axis].min((self.tile[axis] / factor).max(1)))
    }
}

/// The tiles of pictures of one size.
pub(crate) struct Tiles {
    /// Rows, columns.
    axes: [Axis; 2],
}

/// The tiles along rows or columns, in latent cells.
struct Axis {
    size: usize,
    spans: Vec<Range<usize>>,
}

/// One tile.
pub(crate) struct Tile<'a> {
    axes: &'a [Axis; 2],
    /// Which span of the rows and of the columns it is.
    at: [usize; 2],
}

impl Tiles {
    /// Tiles over a picture of `cells` (rows, columns); none where one holds it. A cell is `factor` pixels wide.
    pub fn new(cells: [usize; 2], tiling: Tiling, factor: usize) -> Option<Self> {
        let largest = tiling.largest(cells, factor);
        let overlap = tiling.overlap.div_ceil(factor);
        let axes = [0, 1].map(|axis| Axis::new(cells[axis], largest[axis], overlap));
        axes.iter().any(|axis| axis.spans.len() > 1).then_some(Self { axes })
    }

    /// Row after row.
    pub fn all(&self) -> impl Iterator<Item = Tile<'_>> {
        let [rows, columns] = &self.axes;
        let at =
            (0..rows.spans.len()).flat_map(|row| (0..columns.spans.len()).map(move |column| [row, column]));
        at.map(|at| Tile { axes: &self.axes, at })
    }
}

impl Axis {
    /// As few tiles as share `overlap` cells, all of one size, evenly laid.
    fn new(size: usize, tile: usize, overlap: usize) -> Self {
        let overlap = overlap.min(tile / 2);
        let steps = size.saturating_sub(tile).div_ceil((tile - overlap).max(1));
        let start = |i: usize| (i * (size - tile)).checked_div(steps).unwrap_or(0);
        Self { size, spans: (0..=steps).map(|i| start(i)..start(i) + tile).collect() }
    }

    /// What each place of tile `i` counts; those of all tiles at a place sum to one. A cell is `scale` places.
    fn weights(&self, i: usize, scale: usize) -> Vec<f32> {
        let span = &self.spans[i];
        let shared = |range: Range<usize>| range.start.saturating_mul(scale)..range.end.saturating_mul(scale);
        let before = i.checked_sub(1).map(|left| shared(span.start..self.spans[left].end));
        let after = self.spans.get(i + 1).map(|right| shared(right.start..span.end));
        let weight = |place: usize| {
            let rising = before.as_ref().map_or(1.0, |overlap| ramp(place, overlap));
            let falling = after.as_ref().map_or(0.0, |overlap| ramp(place, overlap));
            rising - falling
        };
        (span.start * scale..span.end * scale).map(weight).collect()
    }
}

/// From 0 before the overlap to 1 after it, straight but for its ends.
fn ramp(place: usize, overlap: &Range<usize>) -> f32 {
    if overlap.is_empty() {
        return if place < overlap.start { 0.0 } else { 1.0 };
    }
    let along = (place as f64 + 0.5 - overlap.start as f64) / overlap.len() as f64;
    (((along - EDGE) / (1.0 - 2.0 * EDGE)).clamp(0.0, 1.0)) as f32
}

impl Tile<'_> {
    /// This tile's part of (C, T, H, W), in which a cell is `scale` wide.
    pub fn of_pixels(&self, clip: &Tensor, scale: usize) -> Result<Tensor> {
        let [rows, columns] = self.spans();
        let part = clip.narrow(2, rows.start * scale, rows.len() * scale)?;
        part.narrow(3, columns.start * scale, columns.len() * scale)
    }

    fn spans(&self) -> [&Range<usize>; 2] {
        [0, 1].map(|axis| &self.axes[axis].spans[self.at[axis]])
    }
}

/// A clip (C, T, H, W) that tiles are painted into, on the CPU.
pub(crate) struct Canvas {
    values: Vec<f32>,
    shape: [usize; 4],
    /// Places of a latent cell along rows and columns.
    scale: usize,
}

impl Canvas {
    pub fn new([channels, frames]: [usize; 2], tiles: &Tiles, scale: usize) -> Self {
        let [rows, columns] = [0, 1].map(|axis| tiles.axes[axis].size * scale);
        let shape = [channels, frames, rows, columns];
        Self { values: vec![0.0; shape.iter().product()], shape, scale }
    }

    /// Adds frames (T, C, h, w) of `tile`, the first of which is `frame` of the clip, by their weights.
    pub fn add(&mut self, frames: &Tensor, frame: usize, tile: &Tile<'_>) -> Result<()> {
        let [channels, clip_frames, rows, columns] = self.shape;
        let (count, found, height, width) = frames.dims4()?;
        let spans = tile.spans().map(|span| span.start * self.scale..span.end * self.scale);
        if (found, height, width) != (channels, spans[0].len(), spans[1].len()) || frame + count > clip_frames
        {
            bail!("a tile of {spans:?} got frames of shape {:?}", frames.dims());
        }
        let [of_rows, of_columns] = [0, 1].map(|axis| tile.axes[axis].weights(tile.at[axis], self.scale));
        with_values(&frames.to_device(&Device::Cpu)?, |values| {
            for (i, line) in values.chunks_exact(width).enumerate() {
                let (row, channel, frame) =
                    (i % height, i / height % channels, frame + i / height / channels);
                let plane = channel * clip_frames + frame;
                let start = (plane * rows + spans[0].start + row) * columns + spans[1].start;
                let into = &mut self.values[start..start + width];
                for (into, (value, weight)) in into.iter_mut().zip(line.iter().zip(&of_columns)) {
                    *into += value * weight * of_rows[row];
                }
            }
            Ok(())
        })
    }

    /// (C, T, H, W), kept between `limits` if there are any.
    pub fn into_tensor(mut self, device: &Device, limits: Option<[f32; 2]>) -> Result<Tensor> {
        if let Some([least, most]) = limits {
            self.values.iter_mut().for_each(|value| *value = value.clamp(least, most));
        }
        Tensor::from_vec(self.values, &self.shape, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_picture_and_share_what_was_asked() {
        for (size, tile, overlap) in
            [(20, 20, 4), (21, 20, 4), (60, 16, 4), (61, 16, 8), (7, 3, 1), (5, 1, 9)]
        {
            let axis = Axis::new(size, tile, overlap);
            assert_eq!((axis.spans[0].start, axis.spans.last().unwrap().end), (0, size));
            for pair in axis.spans.windows(2) {
                let shared = pair[0].end.saturating_sub(pair[1].start);
                assert!(pair[1].start <= pair[0].end && shared >= overlap.min(tile / 2), "{:?}", axis.spans);
            }
            assert!(axis.spans.iter().all(|span| span.len() == tile));
        }
    }

    #[test]
    fn weights_of_all_tiles_sum_to_one_everywhere() {
        for (size, tile, overlap, scale) in
            [(60, 16, 4, 8), (61, 16, 8, 1), (7, 3, 1, 16), (9, 5, 2, 3), (4, 1, 0, 8)]
        {
            let axis = Axis::new(size, tile, overlap);
            let mut sums = vec![0f32; size * scale];
            for (i, span) in axis.spans.iter().enumerate() {
                let weights = axis.weights(i, scale);
                sums[span.start * scale..span.end * scale].iter_mut().zip(weights).for_each(|(s, w)| *s += w);
            }
            assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-6), "{size} {tile} {overlap}: {sums:?}");
        }
    }

    #[test]
    fn a_canvas_puts_equal_tiles_together_to_the_picture_they_were_cut_from() {
        let tiles = Tiles::new([9, 6], Tiling { tile: [8, 6], overlap: 2 }, 2).unwrap();
        let values: Vec<f32> = (0..2 * 3 * 18 * 12).map(|i| i as f32 / 100.0).collect();
        let clip = Tensor::from_vec(values, (2, 3, 18, 12), &Device::Cpu).unwrap();
        let mut canvas = Canvas::new([2, 3], &tiles, 2);
        assert_eq!(tiles.all().count(), 3 * 3);
        for tile in tiles.all() {
            let part = tile.of_pixels(&clip, 2).unwrap().transpose(0, 1).unwrap();
            for frame in 0..3 {
                canvas.add(&part.narrow(0, frame, 1).unwrap(), frame, &tile).unwrap();
            }
        }
        let joined = canvas.into_tensor(&Device::Cpu, None).unwrap();
        let off = (joined - clip).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
        assert!(off.to_scalar::<f32>().unwrap() < 1e-5);
    }

    #[test]
    fn a_picture_that_fits_is_not_cut() {
        let tiling = Tiling { tile: [64, 48], overlap: 8 };
        assert!(Tiles::new([8, 6], tiling, 8).is_none());
        assert!(Tiles::new([8, 7], tiling, 8).is_some());
        assert_eq!(Tiling::square(256), Tiling { tile: [256, 256], overlap: 64 });
    }
}
