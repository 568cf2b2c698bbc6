//! Several quantities of each pixel side by side, filtered together: a running sum waits for itself, several do not.

use rayon::prelude::*;

use crate::plane::Plane;

/// `width * height` pixels of `N` quantities.
pub(crate) struct Lanes<const N: usize> {
    width: usize,
    height: usize,
    data: Vec<[f32; N]>,
}

/// Lines that one task takes at least: a task of less costs more than it does.
pub(crate) const LINES: usize = 16;

impl<const N: usize> Lanes<N> {
    /// Made from each pixel's number, column and row; rows in parallel.
    pub(crate) fn from_fn(
        width: usize,
        height: usize,
        value: impl Fn(usize, usize, usize) -> [f32; N] + Sync,
    ) -> Self {
        let mut data = vec![[0.0; N]; width * height];
        let rows = data.par_chunks_mut(width.max(1)).with_min_len(LINES).enumerate();
        rows.for_each(|(y, row)| {
            row.iter_mut().enumerate().for_each(|(x, v)| *v = value(y * width + x, x, y))
        });
        Self { width, height, data }
    }

    /// The quantities of a pixel by its number.
    pub(crate) fn at(&self, i: usize) -> &[f32; N] {
        &self.data[i]
    }

    /// One quantity alone.
    pub(crate) fn plane(&self, lane: usize) -> Plane {
        let data = self.data.iter().map(|pixel| pixel[lane]).collect();
        Plane { width: self.width, height: self.height, data }
    }

    /// Every quantity alone.
    pub(crate) fn planes(&self) -> [Plane; N] {
        std::array::from_fn(|lane| self.plane(lane))
    }

    /// Each a weighted sum over about a Gaussian of this standard deviation, as three box filters; 0 outside.
    pub(crate) fn blurred(mut self, sigma: f32) -> Self {
        // Three boxes of 2r + 1 have a variance of r (r + 1).
        let radius = ((sigma * sigma + 0.25).sqrt() - 0.5).round().max(1.0) as usize;
        self.box_rows(radius);
        let mut turned =
            Self { width: self.height, height: self.width, data: vec![[0.0; N]; self.data.len()] };
        self.turn(&mut turned);
        turned.box_rows(radius);
        turned.turn(&mut self);
        self
    }

    fn box_rows(&mut self, radius: usize) {
        let rows = self.data.par_chunks_mut(self.width.max(1)).with_min_len(LINES);
        rows.for_each_init(Vec::new, |line: &mut Vec<[f32; N]>, row| {
            // Surfaces fill a part of the picture.
            if row.iter().all(|pixel| *pixel == [0.0; N]) {
                return;
            }
            for _ in 0..3 {
                line.clear();
                line.extend_from_slice(row);
                boxed(line, row, radius);
            }
        });
    }

    /// Rows as columns.
    fn turn(&self, to: &mut Self) {
        let (width, height) = (self.width, self.height);
        let columns = to.data.par_chunks_mut(height.max(1)).with_min_len(LINES).enumerate();
        columns.for_each(|(x, column)| {
            column.iter_mut().enumerate().for_each(|(y, pixel)| *pixel = self.data[y * width + x]);
        });
    }
}

/// Means over `2 * radius + 1` pixels. Sums in f64, which leave nothing of what they have passed: in f32 the rounding of
/// a strong pattern covers a weak one beside it, and may leave less than nothing.
fn boxed<const N: usize>(line: &[[f32; N]], out: &mut [[f32; N]], radius: usize) {
    let scale = 1.0 / (2 * radius + 1) as f64;
    let mut sum = [0.0f64; N];
    let ahead = radius.min(line.len());
    line[..ahead].iter().for_each(|pixel| add(&mut sum, pixel, 1.0));
    for x in 0..line.len() {
        if x + radius < line.len() {
            add(&mut sum, &line[x + radius], 1.0);
        }
        let to = &mut out[x];
        for k in 0..N {
            to[k] = (sum[k] * scale) as f32;
        }
        if x >= radius {
            add(&mut sum, &line[x - radius], -1.0);
        }
    }
}

#[inline]
fn add<const N: usize>(sum: &mut [f64; N], pixel: &[f32; N], sign: f64) {
    for k in 0..N {
        sum[k] += sign * f64::from(pixel[k]);
    }
}
