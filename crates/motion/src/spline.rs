//! Sampling between pixels by cubic B-splines: sharper than Catmull-Rom, since the coefficients undo the spline's own blur.
//!
//! Unser, Aldroubi, Eden, *B-Spline Signal Processing* (1993): the prefilter is one causal and one anticausal pass with the
//! pole sqrt(3) - 2.

use rayon::prelude::*;

use crate::plane::Plane;

const POLE: f32 = -0.267_949_2;

/// Up to four channels, sampled together.
#[derive(Debug, Clone)]
pub struct Spline {
    width: usize,
    height: usize,
    /// Coefficients, four to a pixel.
    data: Vec<[f32; 4]>,
}

impl Spline {
    /// Of up to four planes of one size.
    pub fn of(planes: &[&Plane]) -> Self {
        let (width, height) = (planes[0].width, planes[0].height);
        let mut data = vec![[0.0; 4]; width * height];
        for (channel, plane) in planes.iter().enumerate() {
            data.iter_mut().zip(&plane.data).for_each(|(pixel, v)| pixel[channel] = *v);
        }
        data.par_chunks_mut(width).for_each(|row| filter(row, 1, width));
        for x in 0..width {
            filter(&mut data[x..], width, height);
        }
        Self { width, height, data }
    }

    /// The value at `x`, `y`; the border goes on outside.
    pub fn at(&self, x: f32, y: f32) -> [f32; 4] {
        let x = x.clamp(0.0, (self.width - 1) as f32);
        let y = y.clamp(0.0, (self.height - 1) as f32);
        // Never below 0, so that the integer part is the floor, which older processors' instructions lack.
        let (left, top) = (x as i32 as isize, y as i32 as isize);
        let (across, down) = (weights(x - left as f32), weights(y - top as f32));
        let mirrored = |v: isize, length: usize| {
            let last = length as isize - 1;
            (if v < 0 {
                -v
            } else if v > last {
                2 * last - v
            } else {
                v
            })
            .clamp(0, last) as usize
        };
        let rows = [0, 1, 2, 3].map(|j| mirrored(top + j - 1, self.height) * self.width);
        let inside = left > 0 && left + 2 < self.width as isize;
        mix(
            &down,
            rows.map(|row| match inside {
                true => {
                    let from = row + left as usize - 1;
                    let line = &self.data[from..from + 4];
                    mix(&across, [line[0], line[1], line[2], line[3]])
                }
                false => {
                    mix(&across, [0, 1, 2, 3].map(|i| self.data[row + mirrored(left + i - 1, self.width)]))
                }
            }),
        )
    }
}

#[inline]
fn mix(weights: &[f32; 4], pixels: [[f32; 4]; 4]) -> [f32; 4] {
    let mut sum = [0.0; 4];
    for (weight, pixel) in weights.iter().zip(&pixels) {
        for c in 0..4 {
            sum[c] += weight * pixel[c];
        }
    }
    sum
}

fn weights(t: f32) -> [f32; 4] {
    let s = 1.0 - t;
    [
        s * s * s / 6.0,
        (4.0 - 6.0 * t * t + 3.0 * t * t * t) / 6.0,
        (4.0 - 6.0 * s * s + 3.0 * s * s * s) / 6.0,
        t * t * t / 6.0,
    ]
}

/// Values to coefficients along one line of `length` pixels, each `step` after the one before.
fn filter(line: &mut [[f32; 4]], step: usize, length: usize) {
    if length < 2 {
        return;
    }
    for c in 0..4 {
        // Mirrored at the border; 12 terms of 0.27 are below f32's last bit.
        let mut first = 0.0;
        let mut power = 1.0;
        for i in 0..length.min(12) {
            first += power * line[i * step][c];
            power *= POLE;
        }
        let mut before = 6.0 * first;
        line[0][c] = before;
        for i in 1..length {
            before = 6.0 * line[i * step][c] + POLE * before;
            line[i * step][c] = before;
        }
        let last = (length - 1) * step;
        let mut after = POLE / (POLE * POLE - 1.0) * (line[last][c] + POLE * line[last - step][c]);
        line[last][c] = after;
        for i in (0..length - 1).rev() {
            after = POLE * (after - line[i * step][c]);
            line[i * step][c] = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_come_back_and_smooth_pictures_between_them() {
        let wave = |x: f32, y: f32| (0.9 * x).sin() * (0.7 * y).cos();
        let plane = Plane::from_fn(24, 20, |x, y| wave(x as f32, y as f32));
        let spline = Spline::of(&[&plane]);
        for (x, y) in [(3usize, 4usize), (0, 0), (23, 19), (10, 0)] {
            assert!((spline.at(x as f32, y as f32)[0] - plane.at(x, y)).abs() < 1e-5, "{x} {y}");
        }
        let (between, linear) = (spline.at(10.5, 8.5)[0], plane.bilinear(10.5, 8.5));
        let wanted = wave(10.5, 8.5);
        assert!((between - wanted).abs() < 4e-3, "{between} {wanted}");
        assert!((between - wanted).abs() < 0.1 * (linear - wanted).abs(), "{between} {linear} {wanted}");
    }
}
