//! Figures about an edited shot: error and similarity within a soft mask, the mask's seam, and what trembles in time.

use super::{SsimWindow, comparable, luma, pixels, ssim_mean};
use crate::frame::{Frame, FrameError};
use crate::mask;

/// Mean squared error over the colours, each pixel weighted by the soft mask; 0 where the mask is empty.
pub fn weighted_mse(a: &Frame, b: &Frame, weights: &Frame) -> Result<f64, FrameError> {
    comparable(a, b, Some(weights))?;
    let colours = a.channels.min(3) as f64;
    let (mut sum, mut total) = (0.0, 0.0);
    for ((a, b), &weight) in pixels(a, b).zip(&weights.data) {
        let squares: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        sum += f64::from(weight) * squares / colours;
        total += f64::from(weight);
    }
    Ok(if total == 0.0 { 0.0 } else { sum / total })
}

/// As [`super::ssim`], each window weighted by how much of it lies in the soft mask; 1 where the mask is empty.
pub fn ssim_within(a: &Frame, b: &Frame, mask: &Frame) -> Result<f64, FrameError> {
    comparable(a, b, Some(mask))?;
    let covered = |SsimWindow { x, y, side }: SsimWindow| {
        (y..y + side).map(|y| mask.row(y)[x..x + side].iter().map(|&m| f64::from(m)).sum::<f64>()).sum()
    };
    Ok(ssim_mean(a, b, covered).unwrap_or(1.0))
}

/// Sum of squared differences between the slopes (to the right and downwards) of two pictures' luma along the mask's
/// edge, at most two pixels from it, and the number of slopes: what is wrong where edit and plate meet. Inputs are
/// display values.
pub fn seam(a: &Frame, b: &Frame, mask: &Frame) -> Result<super::SquaredError, FrameError> {
    comparable(a, b, Some(mask))?;
    let ring = edge_ring(mask);
    let (a, b) = (luma(a), luma(b));
    let mut error = super::SquaredError::default();
    for y in 0..a.height.saturating_sub(1) {
        for x in 0..a.width.saturating_sub(1) {
            if ring.pixel(x, y)[0] > 0.0 {
                let slope = |frame: &Frame, dx, dy| frame.pixel(x + dx, y + dy)[0] - frame.pixel(x, y)[0];
                for (dx, dy) in [(1, 0), (0, 1)] {
                    error.sum += f64::from(slope(&a, dx, dy) - slope(&b, dx, dy)).powi(2);
                    error.values += 1;
                }
            }
        }
    }
    Ok(error)
}

/// Where both the mask and its outside are within two pixels.
fn edge_ring(mask: &Frame) -> Frame {
    let inside = mask::dilate(&mask::threshold(mask, 0.5), 2);
    let outside = mask::dilate(&mask::invert(&mask::threshold(mask, 0.5)), 2);
    Frame { data: inside.data.iter().zip(&outside.data).map(|(a, b)| a * b).collect(), ..*mask }
}

/// Squared differences between a picture and the picture before, each pixel compared with where its surface point was
/// (`origins`, in pixels, a pixel's middle at half numbers; none where it was not seen): warp error (Lai et al. 2018)
/// with known motion.
pub fn warp_error(
    now: &Frame,
    before: &Frame,
    origins: &[Option<[f32; 2]>],
) -> Result<super::SquaredError, FrameError> {
    comparable(now, before, None)?;
    let mut error = super::SquaredError::default();
    for (index, origin) in origins.iter().enumerate() {
        let Some([x, y]) = origin else { continue };
        let pixel = &now.data[index * now.channels..(index + 1) * now.channels];
        for (channel, &value) in pixel.iter().take(3).enumerate() {
            error.sum += f64::from(value - bilinear(before, x - 0.5, y - 0.5, channel)).powi(2);
            error.values += 1;
        }
    }
    Ok(error)
}

fn bilinear(frame: &Frame, x: f32, y: f32, channel: usize) -> f32 {
    let (x, y) = (x.clamp(0.0, (frame.width - 1) as f32), y.clamp(0.0, (frame.height - 1) as f32));
    let (column, row) = (x as usize, y as usize);
    let (right, below) = ((column + 1).min(frame.width - 1), (row + 1).min(frame.height - 1));
    let (fx, fy) = (x - column as f32, y - row as f32);
    let along = |row: usize| {
        let (a, b) = (frame.pixel(column, row)[channel], frame.pixel(right, row)[channel]);
        a + (b - a) * fx
    };
    let (top, bottom) = (along(row), along(below));
    top + (bottom - top) * fy
}

/// Mean difference of the colours within the soft mask, one value per channel; 0 where the mask is empty.
pub fn mean_difference(a: &Frame, b: &Frame, weights: &Frame) -> Result<[f64; 3], FrameError> {
    comparable(a, b, Some(weights))?;
    let (mut sum, mut total) = ([0.0; 3], 0.0);
    for ((a, b), &weight) in pixels(a, b).zip(&weights.data) {
        for (channel, (a, b)) in a.iter().zip(b).enumerate() {
            sum[channel] += f64::from(weight) * f64::from(a - b);
        }
        total += f64::from(weight);
    }
    Ok(sum.map(|sum| if total == 0.0 { 0.0 } else { sum / total }))
}

/// Flicker: how much the mean colour error jumps from frame to frame, as root mean square over jumps and channels.
/// `errors` are [`mean_difference`] to the truth, one per frame, so that light that truly changes is no flicker.
pub fn flicker(errors: &[[f64; 3]]) -> f64 {
    let jumps = errors.windows(2).flat_map(|pair| (0..3).map(|c| (pair[1][c] - pair[0][c]).powi(2)));
    let (sum, count) = jumps.fold((0.0, 0usize), |(sum, count), square| (sum + square, count + 1));
    (sum / count.max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_half(width: usize, height: usize) -> Frame {
        Frame::from_fn(width, height, 1, |x, _, p| p[0] = f32::from(x < width / 2))
    }

    fn texture(width: usize, height: usize) -> Frame {
        Frame::from_fn(width, height, 3, |x, y, p| {
            p.iter_mut().for_each(|v| *v = ((x * 37 + y * 101) * 7919 % 1009) as f32 / 1009.0);
        })
    }

    #[test]
    fn a_soft_mask_weighs_the_error() {
        let (a, mut b) = (Frame::new(2, 1, 3), Frame::new(2, 1, 3));
        b.pixel_mut(0, 0).fill(0.5);
        let mask = Frame::from_data(2, 1, 1, vec![0.25, 0.75]).unwrap();
        assert!((weighted_mse(&a, &b, &mask).unwrap() - 0.0625).abs() < 1e-9);
        assert_eq!(weighted_mse(&a, &b, &Frame::new(2, 1, 1)).unwrap(), 0.0);
        assert_eq!(mean_difference(&a, &b, &mask).unwrap(), [-0.125; 3]);
    }

    #[test]
    fn similarity_is_asked_within_the_mask_alone() {
        let a = texture(32, 16);
        let mut b = a.clone();
        (0..16).for_each(|y| b.row_mut(y)[24 * 3..].fill(0.5));
        let mask = left_half(32, 16);
        assert!((ssim_within(&a, &b, &mask).unwrap() - 1.0).abs() < 1e-9);
        assert!(ssim_within(&a, &b, &mask::invert(&mask)).unwrap() < 0.7);
        assert!(
            (ssim_within(&a, &b, &Frame::filled(32, 16, &[1.0])).unwrap()
                - super::super::ssim(&a, &b).unwrap())
            .abs()
                < 1e-9
        );
    }

    #[test]
    fn a_step_at_the_edge_is_a_seam_and_one_far_inside_is_none() {
        let (plain, mask) = (Frame::filled(32, 8, &[0.5; 3]), left_half(32, 8));
        let lifted = |columns: std::ops::Range<usize>| {
            let mut frame = plain.clone();
            (0..8).for_each(|y| frame.row_mut(y)[columns.start * 3..columns.end * 3].fill(0.6));
            frame
        };
        assert!(seam(&lifted(0..16), &plain, &mask).unwrap().mse() > 1e-4);
        assert_eq!(seam(&lifted(0..8), &plain, &mask).unwrap().mse(), 0.0);
        assert_eq!(seam(&lifted(0..16), &lifted(0..16), &mask).unwrap().mse(), 0.0);
    }

    #[test]
    fn a_picture_that_moves_as_known_has_no_warp_error() {
        let before = texture(16, 8);
        let now = Frame::from_fn(16, 8, 3, |x, y, p| p.copy_from_slice(before.pixel(x.saturating_sub(1), y)));
        let origin = |by: f32| {
            let of = move |i: usize| {
                (!i.is_multiple_of(16)).then_some([(i % 16) as f32 + 0.5 - by, (i / 16) as f32 + 0.5])
            };
            (0..16 * 8).map(of).collect::<Vec<_>>()
        };
        let error = warp_error(&now, &before, &origin(1.0)).unwrap();
        assert!(error.mse() < 1e-10 && error.values == 15 * 8 * 3, "{error:?}");
        assert!(warp_error(&now, &before, &origin(0.0)).unwrap().mse() > 0.01);
    }

    #[test]
    fn flicker_counts_jumps_and_not_a_constant_error() {
        assert_eq!(flicker(&[[0.3; 3]; 5]), 0.0);
        assert!((flicker(&[[0.0; 3], [0.1; 3], [0.0; 3]]) - 0.1).abs() < 1e-12);
        assert_eq!(flicker(&[]), 0.0);
    }
}
