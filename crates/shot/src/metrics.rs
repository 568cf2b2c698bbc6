//! Figures about pictures: error, PSNR, SSIM, and what changed where nothing may change.

mod edited;

use crate::frame::{Frame, FrameError};
pub use edited::{flicker, mean_difference, seam, ssim_within, warp_error, weighted_mse};

/// A sum of squared errors over colour values, to be joined over frames before it becomes a figure.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SquaredError {
    /// Sum of squared differences.
    pub sum: f64,
    /// How many values were compared.
    pub values: u64,
}

impl SquaredError {
    /// Compares the colours of two frames of one size (alpha is not compared); with a mask only
    /// where it is above 0.5.
    pub fn of(a: &Frame, b: &Frame, mask: Option<&Frame>) -> Result<Self, FrameError> {
        comparable(a, b, mask)?;
        let mut error = Self::default();
        for (index, (a, b)) in pixels(a, b).enumerate() {
            if mask.is_none_or(|mask| mask.data[index] > 0.5) {
                error.sum += a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
                error.values += a.len() as u64;
            }
        }
        Ok(error)
    }

    /// Both together.
    pub fn joined(self, other: Self) -> Self {
        Self { sum: self.sum + other.sum, values: self.values + other.values }
    }

    /// Mean squared error; 0 when nothing was compared.
    pub fn mse(&self) -> f64 {
        if self.values == 0 { 0.0 } else { self.sum / self.values as f64 }
    }

    /// Peak signal to noise ratio in dB for values up to 1; infinite when equal.
    pub fn psnr(&self) -> f64 {
        -10.0 * self.mse().log10()
    }
}

/// Mean squared error over the colours, within the mask if one is given.
pub fn mse(a: &Frame, b: &Frame, mask: Option<&Frame>) -> Result<f64, FrameError> {
    Ok(SquaredError::of(a, b, mask)?.mse())
}

/// Peak signal to noise ratio in dB for display values in 0..1, within the mask if one is given.
pub fn psnr(a: &Frame, b: &Frame, mask: Option<&Frame>) -> Result<f64, FrameError> {
    Ok(SquaredError::of(a, b, mask)?.psnr())
}

/// The largest difference of any channel (alpha too) where the mask is exactly 0; everywhere without
/// a mask. Equal bits count as equal, so a NaN that stayed is no difference; one that came is infinite.
pub fn max_abs_diff(a: &Frame, b: &Frame, mask: Option<&Frame>) -> Result<f32, FrameError> {
    comparable(a, b, mask)?;
    let channels = a.channels;
    let outside = |index: usize| mask.is_none_or(|mask| mask.data[index / channels] == 0.0);
    let values = a.data.iter().zip(&b.data).enumerate();
    Ok(values.filter(|(index, _)| outside(*index)).fold(0.0, |most, (_, (a, b))| most.max(distance(*a, *b))))
}

/// How many values are NaN.
pub fn nan_count(frame: &Frame) -> usize {
    frame.data.iter().filter(|value| value.is_nan()).count()
}

/// How many colour values are above 1.
pub fn above_one(frame: &Frame) -> usize {
    let colours = frame.channels.min(3);
    frame.data.chunks_exact(frame.channels).flat_map(|p| &p[..colours]).filter(|v| **v > 1.0).count()
}

/// Structural similarity of the luma of two display pictures: mean over 8x8 windows at every second
/// pixel, with the published constants (Wang et al. 2004). 1 when equal.
pub fn ssim(a: &Frame, b: &Frame) -> Result<f64, FrameError> {
    comparable(a, b, None)?;
    Ok(ssim_mean(a, b, |_| 1.0).unwrap_or(0.0))
}

/// A square of pixels that similarity is computed over.
#[derive(Clone, Copy)]
struct SsimWindow {
    x: usize,
    y: usize,
    side: usize,
}

/// The weighted mean over windows at every second pixel; none where all weights are 0.
fn ssim_mean(a: &Frame, b: &Frame, weight: impl Fn(SsimWindow) -> f64) -> Option<f64> {
    let (a, b) = (luma(a), luma(b));
    let side = 8.min(a.width).min(a.height);
    let positions = |length: usize| (0..=length - side).step_by(2);
    let (mut sum, mut total) = (0.0, 0.0);
    for y in positions(a.height) {
        for x in positions(a.width) {
            let weight = weight(SsimWindow { x, y, side });
            if weight > 0.0 {
                sum += weight * window_ssim(&a, &b, x, y, side);
                total += weight;
            }
        }
    }
    (total > 0.0).then_some(sum / total)
}

fn window_ssim(a: &Frame, b: &Frame, x: usize, y: usize, window: usize) -> f64 {
    const C1: f64 = 0.01 * 0.01;
    const C2: f64 = 0.03 * 0.03;
    let (mut sa, mut sb, mut saa, mut sbb, mut sab) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for row in y..y + window {
        for (&a, &b) in a.row(row)[x..x + window].iter().zip(&b.row(row)[x..x + window]) {
            let (a, b) = (f64::from(a), f64::from(b));
            (sa, sb, saa, sbb, sab) = (sa + a, sb + b, saa + a * a, sbb + b * b, sab + a * b);
        }
    }
    let n = (window * window) as f64;
    let (ma, mb) = (sa / n, sb / n);
    let (va, vb, cov) = (saa / n - ma * ma, sbb / n - mb * mb, sab / n - ma * mb);
    ((2.0 * ma * mb + C1) * (2.0 * cov + C2)) / ((ma * ma + mb * mb + C1) * (va + vb + C2))
}

/// Rec. 709 luma of the values as they are.
fn luma(frame: &Frame) -> Frame {
    let grey = |pixel: &[f32]| match pixel {
        [grey] => *grey,
        pixel => 0.2126 * pixel[0] + 0.7152 * pixel[1] + 0.0722 * pixel[2],
    };
    Frame { channels: 1, data: frame.data.chunks_exact(frame.channels).map(grey).collect(), ..*frame }
}

fn distance(a: f32, b: f32) -> f32 {
    if a.to_bits() == b.to_bits() {
        return 0.0;
    }
    let distance = (a - b).abs();
    if distance.is_nan() { f32::INFINITY } else { distance }
}

fn pixels<'a>(a: &'a Frame, b: &'a Frame) -> impl Iterator<Item = (&'a [f32], &'a [f32])> {
    let colours = a.channels.min(3);
    let colours = move |pixel: &'a [f32]| &pixel[..colours];
    a.data.chunks_exact(a.channels).map(colours).zip(b.data.chunks_exact(b.channels).map(colours))
}

fn comparable(a: &Frame, b: &Frame, mask: Option<&Frame>) -> Result<(), FrameError> {
    b.expect_size(a.size())?;
    if a.channels != b.channels {
        return Err(FrameError::Channels(b.channels));
    }
    mask.map_or(Ok(()), |mask| mask.expect_size(a.size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(width: usize, height: usize, seed: usize) -> Frame {
        Frame::from_fn(width, height, 3, |x, y, p| {
            for (c, value) in p.iter_mut().enumerate() {
                *value = ((x * 37 + y * 101 + c * 53 + seed * 977) * 7919 % 1009) as f32 / 1009.0;
            }
        })
    }

    #[test]
    fn a_known_error_gives_its_known_psnr() {
        let (a, b) = (Frame::filled(4, 4, &[0.5; 3]), Frame::filled(4, 4, &[0.6; 3]));
        assert!((psnr(&a, &b, None).unwrap() - 20.0).abs() < 1e-4);
        assert_eq!(psnr(&a, &a, None).unwrap(), f64::INFINITY);
    }

    #[test]
    fn the_mask_selects() {
        let a = Frame::new(4, 1, 3);
        let mut b = a.clone();
        b.pixel_mut(0, 0)[0] = 1.0;
        let mask = Frame::from_data(4, 1, 1, vec![1.0, 0.6, 0.5, 0.0]).unwrap();
        let error = SquaredError::of(&a, &b, Some(&mask)).unwrap();
        assert_eq!(error, SquaredError { sum: 1.0, values: 6 });
        assert_eq!(error.joined(error).mse(), 1.0 / 6.0);
        assert_eq!(max_abs_diff(&a, &b, Some(&mask)).unwrap(), 0.0);
        assert_eq!(max_abs_diff(&a, &b, None).unwrap(), 1.0);
    }

    #[test]
    fn a_nan_that_stayed_is_no_difference_and_one_that_came_is() {
        let a = Frame::filled(1, 1, &[f32::NAN]);
        assert_eq!(max_abs_diff(&a, &a, None).unwrap(), 0.0);
        assert_eq!(max_abs_diff(&Frame::new(1, 1, 1), &a, None).unwrap(), f32::INFINITY);
        assert_eq!((nan_count(&a), above_one(&Frame::filled(2, 1, &[1.5, 0.0, 2.0, 9.0]))), (1, 4));
    }

    #[test]
    fn ssim_is_one_for_equal_and_falls_with_difference() {
        let (a, b) = (noise(24, 19, 1), noise(24, 19, 2));
        assert!((ssim(&a, &a).unwrap() - 1.0).abs() < 1e-9);
        let mut near = a.clone();
        near.data.iter_mut().zip(&b.data).for_each(|(a, b)| *a += 0.1 * (b - *a));
        let (near, far) = (ssim(&a, &near).unwrap(), ssim(&a, &b).unwrap());
        assert!(near > 0.9 && far < 0.3, "near {near}, far {far}");
    }

    #[test]
    fn frames_that_cannot_be_compared_are_refused() {
        assert!(mse(&Frame::new(2, 2, 3), &Frame::new(2, 3, 3), None).is_err());
        assert!(mse(&Frame::new(2, 2, 3), &Frame::new(2, 2, 4), None).is_err());
    }
}
