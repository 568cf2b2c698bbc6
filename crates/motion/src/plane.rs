//! One channel of a picture, and the few filters that motion needs.

use lora_edit_shot::Frame;
use rayon::prelude::*;

use crate::lanes::{LINES, Lanes};

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

/// About a display's code value of light.
pub(crate) fn root(light: f32) -> f32 {
    light.max(0.0).sqrt()
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
        let rows = plane.data.par_chunks_mut(width.max(1)).with_min_len(LINES).enumerate();
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
        Lanes::from_fn(self.width, self.height, |i, _, _| [self.data[i]]).blurred(sigma).plane(0)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: usize, height: usize) -> Plane {
        Plane::from_fn(width, height, |x, y| 2.0 * x as f32 - 3.0 * y as f32)
    }

    #[test]
    fn a_ramp_halved_and_doubled_is_the_ramp() {
        let (ramp, half) = (ramp(20, 14), ramp(20, 14).halved());
        // Pixel x of the half lies at 2x + 0.5.
        assert!((half.at(4, 3) - (2.0 * 8.5 - 3.0 * 6.5)).abs() < 1e-5);
        let back = half.doubled(20, 14);
        for (x, y) in [(1, 1), (9, 7), (18, 12)] {
            assert!((back.at(x, y) - ramp.at(x, y)).abs() < 1e-4, "{x} {y}: {}", back.at(x, y));
        }
        assert_eq!(ramp.bilinear(-5.0, 3.5), 0.5 * (ramp.at(0, 3) + ramp.at(0, 4)));
    }

    #[test]
    fn a_constant_stays_one_away_from_the_border_and_a_point_spreads_as_far_as_stated() {
        for sigma in [1.5f32, 2.0, 3.0, 4.0, 8.0] {
            let constant = Plane::filled(80, 70, 0.7).blurred(sigma);
            assert!((constant.at(40, 35) - 0.7).abs() < 1e-6);
            let point = Plane::from_fn(80, 70, |x, y| f32::from(x == 40 && y == 35)).blurred(sigma);
            let moment = |of: fn(f32, f32) -> f32| {
                let each =
                    (0..80 * 70).map(|i| point.data[i] * of((i % 80) as f32 - 40.0, (i / 80) as f32 - 35.0));
                each.sum::<f32>()
            };
            let found = [moment(|x, _| x * x).sqrt(), moment(|_, y| y * y).sqrt()];
            assert!((moment(|_, _| 1.0) - 1.0).abs() < 1e-3);
            // Boxes are whole pixels wide.
            assert!(found.iter().all(|found| (found - sigma).abs() < 0.5), "{found:?}, {sigma} wanted");
        }
    }

    /// Sums in f32 leave 1e-8 of a bright part in the dark one beside it, of either sign.
    #[test]
    fn what_is_bright_leaves_nothing_in_the_dark() {
        let plane = Plane::from_fn(90, 20, |x, y| if x < 40 { 1.0 + 0.37 * (x * y) as f32 } else { 0.0 });
        let blurred = plane.blurred(2.0);
        assert!((60..90).all(|x| blurred.at(x, 10) == 0.0));
        assert!(blurred.data.iter().all(|v| *v >= 0.0));
    }

    #[test]
    fn what_is_known_stays_and_the_rest_is_within_its_range() {
        let weight = Plane::from_fn(37, 23, |x, y| f32::from(x > 5 && x < 12 && y > 3));
        let plane = Plane::from_fn(37, 23, |x, y| if x < 12 { 0.2 + 0.02 * y as f32 } else { 99.0 });
        let spread = plane.spread(&weight);
        for i in 0..plane.data.len() {
            let (found, known) = (spread.data[i], weight.data[i] > 0.0);
            assert!((0.28 - 1e-5..=0.64 + 1e-5).contains(&found), "{found}");
            assert!(!known || found == plane.data[i]);
        }
    }

    #[test]
    fn nothing_known_and_single_lines_are_filled_with_numbers() {
        for (width, height) in [(1, 1), (1, 9), (9, 1), (2, 2), (7, 5), (64, 3)] {
            let plane = Plane::filled(width, height, 5.0);
            assert!(plane.spread(&Plane::filled(width, height, 0.0)).data.iter().all(|v| *v == 0.0));
            let one = Plane::from_fn(width, height, |x, y| f32::from(x + y == 0));
            assert!(plane.spread(&one).data.iter().all(|v| (*v - 5.0).abs() < 1e-5), "{width} {height}");
            assert!(plane.blurred(3.0).data.iter().all(|v| v.is_finite()));
        }
    }
}
