//! Resampling: area average when shrinking, cubic or linear when enlarging; separable.

use crate::frame::Frame;
use rayon::prelude::*;

/// How enlarged pixels are interpolated. Shrinking always averages areas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Never leaves the range of its neighbours: for masks.
    Bilinear,
    /// Catmull-Rom: sharper, held within the range of the four neighbours it comes from. Without that
    /// a highlight of 50 beside black would ring far below 0.
    Cubic,
}

/// Resamples a frame; pixel areas of both grids cover the same picture, so centres stay aligned.
/// A side of equal length is copied exactly.
pub fn resize(frame: &Frame, width: usize, height: usize, filter: Filter) -> Frame {
    let wide = resize_rows(frame, width, filter);
    resize_columns(&wide, height, filter)
}

/// One output sample: weights over the inputs from `first` on.
struct Tap {
    first: usize,
    weights: Vec<f32>,
}

impl Tap {
    /// The weighted sum, within the range of the inputs. NaN among them makes NaN.
    fn sum(&self, inputs: impl Iterator<Item = f32>) -> f32 {
        let (mut sum, mut low, mut high) = (0.0, f32::INFINITY, f32::NEG_INFINITY);
        for (value, weight) in inputs.zip(&self.weights) {
            sum += weight * value;
            (low, high) = (low.min(value), high.max(value));
        }
        if sum < low {
            low
        } else if sum > high {
            high
        } else {
            sum
        }
    }
}

fn taps(from: usize, to: usize, filter: Filter) -> Vec<Tap> {
    let step = from as f64 / to as f64;
    (0..to)
        .map(|i| match filter {
            _ if to < from => area_tap(i as f64 * step, (i + 1) as f64 * step, from),
            Filter::Bilinear => point_tap((i as f64 + 0.5) * step - 0.5, from, 1, triangle),
            Filter::Cubic => point_tap((i as f64 + 0.5) * step - 0.5, from, 2, catmull_rom),
        })
        .collect()
}

/// The average over `start..end`, in input pixels.
fn area_tap(start: f64, end: f64, length: usize) -> Tap {
    let first = (start.floor() as usize).min(length - 1);
    let last = (end.ceil() as usize).clamp(first + 1, length);
    let covered = |i: usize| (end.min(i as f64 + 1.0) - start.max(i as f64)).max(0.0);
    normalised(first, (first..last).map(covered).collect())
}

/// The value at `position` (0 is the centre of the first pixel); beyond the edge the edge goes on.
fn point_tap(position: f64, length: usize, reach: i64, kernel: fn(f64) -> f64) -> Tap {
    let (base, last) = (position.floor() as i64, length as i64 - 1);
    let inputs = base - reach + 1..=base + reach;
    let first = (*inputs.start()).clamp(0, last);
    let mut weights = vec![0.0; ((*inputs.end()).clamp(0, last) - first + 1) as usize];
    for i in inputs {
        weights[(i.clamp(0, last) - first) as usize] += kernel(position - i as f64);
    }
    normalised(first as usize, weights)
}

fn normalised(first: usize, weights: Vec<f64>) -> Tap {
    let sum: f64 = weights.iter().sum();
    Tap { first, weights: weights.into_iter().map(|weight| (weight / sum) as f32).collect() }
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

fn catmull_rom(x: f64) -> f64 {
    match x.abs() {
        x if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        x if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
        _ => 0.0,
    }
}

fn resize_rows(frame: &Frame, width: usize, filter: Filter) -> Frame {
    if width == frame.width || frame.data.is_empty() {
        return frame.clone();
    }
    let (taps, channels) = (taps(frame.width, width, filter), frame.channels);
    let mut wide = Frame::new(width, frame.height, channels);
    let rows = frame.data.par_chunks_exact(frame.stride());
    wide.data.par_chunks_exact_mut((width * channels).max(1)).zip(rows).for_each(|(to, from)| {
        for (pixel, tap) in to.chunks_exact_mut(channels).zip(&taps) {
            for (channel, value) in pixel.iter_mut().enumerate() {
                let inputs = from[tap.first * channels + channel..].iter().step_by(channels);
                *value = tap.sum(inputs.copied());
            }
        }
    });
    wide
}

fn resize_columns(frame: &Frame, height: usize, filter: Filter) -> Frame {
    if height == frame.height || frame.data.is_empty() {
        return frame.clone();
    }
    let taps = taps(frame.height, height, filter);
    let mut tall = Frame::new(frame.width, height, frame.channels);
    tall.data.par_chunks_exact_mut(frame.stride()).zip(&taps).for_each(|(to, tap)| {
        for (x, value) in to.iter_mut().enumerate() {
            let inputs = frame.data[tap.first * frame.stride() + x..].iter().step_by(frame.stride());
            *value = tap.sum(inputs.copied());
        }
    });
    tall
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: usize, height: usize) -> Frame {
        Frame::from_fn(width, height, 3, |x, y, p| {
            let (u, v) = ((x as f32 + 0.5) / width as f32, (y as f32 + 0.5) / height as f32);
            p.copy_from_slice(&[u, v, 0.25]);
        })
    }

    #[test]
    fn equal_size_is_the_same_bits() {
        let frame = ramp(17, 9);
        assert_eq!(resize(&frame, 17, 9, Filter::Cubic), frame);
    }

    /// Errors of a resampled ramp in pixels of the coarser grid: the largest, and the mean.
    fn ramp_errors(from: (usize, usize), to: (usize, usize), filter: Filter) -> (f32, f32) {
        let (got, want) = (resize(&ramp(from.0, from.1), to.0, to.1, filter), ramp(to.0, to.1));
        // Two pixels at each edge see the picture's end.
        let inside = |i: usize, from: usize, to: usize| {
            let (margin, u) = (2.5 / from.min(to) as f32, (i as f32 + 0.5) / to as f32);
            u > margin && u < 1.0 - margin
        };
        let (mut worst, mut sum, mut count) = (0f32, 0f32, 0f32);
        for y in (0..to.1).filter(|&y| inside(y, from.1, to.1)) {
            for x in (0..to.0).filter(|&x| inside(x, from.0, to.0)) {
                let (got, want) = (got.pixel(x, y), want.pixel(x, y));
                let errors = [(got[0] - want[0]) * from.0 as f32, (got[1] - want[1]) * from.1 as f32];
                worst = errors.iter().fold(worst, |worst, error| worst.max(error.abs()));
                sum += errors[0] + errors[1];
                count += 2.0;
            }
        }
        (worst, sum / count.max(1.0))
    }

    #[test]
    fn a_ramp_stays_where_it_is_in_every_size() {
        let sizes = [(16, 12), (7, 5), (31, 23), (13, 40), (64, 3), (5, 5)];
        for (from, to) in sizes.into_iter().flat_map(|from| sizes.map(|to| (from, to))) {
            for filter in [Filter::Bilinear, Filter::Cubic] {
                let (worst, mean) = ramp_errors(from, to, filter);
                // Areas of a staircase differ from the ramp by up to an eighth of a step.
                let limit = if to.0 >= from.0 && to.1 >= from.1 { 1e-4 } else { 0.13 };
                assert!(worst < limit && mean.abs() < 1e-3, "{from:?} to {to:?}: {worst}, mean {mean}");
            }
        }
    }

    #[test]
    fn shrinking_keeps_the_mean() {
        let frame = Frame::from_fn(30, 21, 1, |x, y, p| p[0] = ((x * 31 + y * 17) % 29) as f32);
        let mean = |f: &Frame| f.data.iter().map(|&v| f64::from(v)).sum::<f64>() / f.data.len() as f64;
        for (w, h) in [(7, 5), (29, 20), (1, 1), (11, 21)] {
            let small = resize(&frame, w, h, Filter::Cubic);
            assert!((mean(&small) - mean(&frame)).abs() < 1e-4, "{w}x{h}");
        }
    }

    #[test]
    fn no_filter_leaves_the_range_and_cubic_is_sharper() {
        let step = Frame::from_fn(8, 8, 1, |x, _, p| p[0] = if x > 3 { 50.0 } else { 0.01 });
        let steepest = |filter| {
            let big = resize(&step, 50, 41, filter);
            assert!(big.data.iter().all(|value| (0.01..=50.0).contains(value)), "{filter:?}");
            big.row(20).windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f32::max)
        };
        assert!(steepest(Filter::Cubic) > 1.2 * steepest(Filter::Bilinear));
    }

    #[test]
    fn a_nan_stays_a_nan_near_by_and_harms_nothing_far_away() {
        let mut frame = ramp(9, 9);
        frame.pixel_mut(0, 0)[0] = f32::NAN;
        for (w, h) in [(4, 4), (20, 20)] {
            let other = resize(&frame, w, h, Filter::Cubic);
            assert!(other.pixel(0, 0)[0].is_nan());
            assert!(other.pixel(w - 1, h - 1).iter().all(|value| value.is_finite()));
        }
    }
}
