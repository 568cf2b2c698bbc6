//! One channel of a picture, and the few filters that motion needs.

use lora_edit_shot::Frame;
use rayon::prelude::*;

/// One channel: `width * height` values, row 0 on top.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// The values.
    pub data: Vec<f32>,
}

impl Plane {
    /// Every pixel is `value`.
    pub fn filled(width: usize, height: usize, value: f32) -> Self {
        Self { width, height, data: vec![value; width * height] }
    }

    /// One channel of a frame; past the last one it is the last one.
    pub fn of(frame: &Frame, channel: usize) -> Self {
        Self { width: frame.width, height: frame.height, data: frame.channel(channel).data }
    }

    /// Made pixel by pixel from x and y, rows in parallel.
    pub fn from_fn(width: usize, height: usize, value: impl Fn(usize, usize) -> f32 + Sync) -> Self {
        let mut plane = Self::filled(width, height, 0.0);
        let rows = plane.data.par_chunks_mut(width.max(1)).enumerate();
        rows.for_each(|(y, row)| row.iter_mut().enumerate().for_each(|(x, v)| *v = value(x, y)));
        plane
    }

    /// The pixel at `x`, `y`.
    pub fn at(&self, x: usize, y: usize) -> f32 {
        self.data[y * self.width + x]
    }

    /// The pixel at `x`, `y`, or the nearest one at the border.
    pub fn near(&self, x: isize, y: isize) -> f32 {
        let clamped = |v: isize, length: usize| v.clamp(0, length as isize - 1) as usize;
        self.at(clamped(x, self.width), clamped(y, self.height))
    }

    /// Between pixels, bilinear; the border goes on outside.
    pub fn bilinear(&self, x: f32, y: f32) -> f32 {
        let x = x.clamp(0.0, (self.width - 1) as f32);
        let y = y.clamp(0.0, (self.height - 1) as f32);
        let (left, top) = (x as usize, y as usize);
        let (right, bottom) = ((left + 1).min(self.width - 1), (top + 1).min(self.height - 1));
        let (fx, fy) = (x - left as f32, y - top as f32);
        let upper = self.at(left, top) + fx * (self.at(right, top) - self.at(left, top));
        let lower = self.at(left, bottom) + fx * (self.at(right, bottom) - self.at(left, bottom));
        upper + fy * (lower - upper)
    }

    /// Pixel by pixel with another plane of the same size.
    pub fn with(&self, other: &Self, combine: impl Fn(f32, f32) -> f32) -> Self {
        let data = self.data.iter().zip(&other.data).map(|(a, b)| combine(*a, *b)).collect();
        Self { data, ..*self }
    }

    /// Pixel by pixel.
    pub fn mapped(&self, map: impl Fn(f32) -> f32) -> Self {
        Self { data: self.data.iter().map(|v| map(*v)).collect(), ..*self }
    }

    /// Half the size, each pixel the mean of up to four; pixel x of the half lies at 2x + 0.5.
    pub fn halved(&self) -> Self {
        Self::from_fn(self.width.div_ceil(2), self.height.div_ceil(2), |x, y| {
            let (x, y) = (2 * x as isize, 2 * y as isize);
            0.25 * (self.near(x, y) + self.near(x + 1, y) + self.near(x, y + 1) + self.near(x + 1, y + 1))
        })
    }

    /// At twice the size, `width` x `height` of it: the inverse of [`Plane::halved`] as far as there is one.
    pub fn doubled(&self, width: usize, height: usize) -> Self {
        Self::from_fn(width, height, |x, y| self.bilinear(0.5 * x as f32 - 0.25, 0.5 * y as f32 - 0.25))
    }

    /// A weighted sum over about a Gaussian of this standard deviation, as three box filters; 0 outside.
    pub fn blurred(&self, sigma: f32) -> Self {
        // Three boxes of 2r + 1 have a variance of r (r + 1).
        let radius = ((sigma * sigma + 0.25).sqrt() - 0.5).round().max(1.0) as usize;
        let mut plane = self.clone();
        for _ in 0..3 {
            plane.box_rows(radius);
            plane = plane.box_columns(radius);
        }
        plane
    }

    fn box_rows(&mut self, radius: usize) {
        let scale = 1.0 / (2 * radius + 1) as f32;
        self.data.par_chunks_mut(self.width.max(1)).for_each_init(Vec::new, |line: &mut Vec<f32>, row| {
            line.clear();
            line.extend_from_slice(row);
            let mut sum: f32 = line.iter().take(radius).sum();
            for x in 0..line.len() {
                sum += line.get(x + radius).copied().unwrap_or(0.0);
                row[x] = sum * scale;
                sum -= if x >= radius { line[x - radius] } else { 0.0 };
            }
        });
    }

    fn box_columns(&self, radius: usize) -> Self {
        let (width, scale) = (self.width, 1.0 / (2 * radius + 1) as f32);
        let row = |y: usize| &self.data[y * width..(y + 1) * width];
        let mut sums = vec![0.0f32; width];
        (0..radius.min(self.height)).for_each(|y| add(&mut sums, row(y), 1.0));
        let mut out = self.clone();
        for y in 0..self.height {
            if y + radius < self.height {
                add(&mut sums, row(y + radius), 1.0);
            }
            let to = &mut out.data[y * width..(y + 1) * width];
            to.iter_mut().zip(&sums).for_each(|(to, sum)| *to = sum * scale);
            if y >= radius {
                add(&mut sums, row(y - radius), -1.0);
            }
        }
        out
    }

    /// Every pixel of little weight takes the mean of its surroundings of more, near ones first: from coarse to fine.
    pub fn spread(&self, weight: &Self) -> Self {
        if self.width.min(self.height) <= 1 || weight.data.iter().all(|w| *w >= 1.0) {
            let (sum, total) =
                self.data.iter().zip(&weight.data).fold((0.0, 0.0), |(s, t), (v, w)| (s + v * w, t + w));
            let mean = if total > 0.0 { sum / total } else { 0.0 };
            return self.with(weight, |v, w| v * w.min(1.0) + mean * (1.0 - w.min(1.0)));
        }
        let half = weight.halved();
        let mean =
            self.with(weight, |v, w| v * w).halved().with(&half, |v, w| if w > 0.0 { v / w } else { 0.0 });
        let below = mean.spread(&half.mapped(|w| (4.0 * w).min(1.0))).doubled(self.width, self.height);
        let mut out = self.clone();
        for ((v, w), b) in out.data.iter_mut().zip(&weight.data).zip(&below.data) {
            *v = *v * w.min(1.0) + b * (1.0 - w.min(1.0));
        }
        out
    }
}

fn add(sums: &mut [f32], row: &[f32], sign: f32) {
    sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += sign * v);
}
