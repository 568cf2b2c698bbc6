//! What an answer is worth beside the truth.

use anyhow::Result;
use lora_edit_shot::Frame;
use lora_edit_shot::metrics::{
    SquaredError, flicker, max_abs_diff, mean_difference, seam, ssim_within, warp_error, weighted_mse,
};
use serde::Serialize;

use super::answer::display;
use super::shot::Shot;

/// Figures of one answer to one shot. All but `max_diff_outside` are of display code values (sRGB, 0..1) and of frames
/// 2 to the last: the first frame is the painted one, which is given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// In dB: the squared error of each frame, weighted by the mask, then the mean over the frames.
    pub psnr: f64,
    /// The same over the last quarter of the frames, where drift shows.
    pub psnr_last_quarter: f64,
    /// Structural similarity within the mask, mean over the frames.
    pub ssim: f64,
    /// The same over the last quarter.
    pub ssim_last_quarter: f64,
    /// Root mean square error of slopes along the mask's edge, in 8-bit code values.
    pub seam: f64,
    /// Root mean square change of surface points from each frame to the next, in 8-bit code values. The truth has some
    /// too, since light changes.
    pub warp_error: f64,
    /// Root mean square jump of the mean colour error from frame to frame, the painted frame among them, in 8-bit code
    /// values.
    pub flicker: f64,
    /// Greatest difference from the plate where the mask is exactly 0, over all frames, in linear light.
    pub max_diff_outside: f32,
}

impl Figures {
    /// Scores an answer.
    pub fn of(shot: &Shot, answer: &[Frame], truth: &[Frame]) -> Result<Self> {
        let shown: Vec<Frame> = answer.iter().map(display).collect();
        let later = 1..shot.format.frames;
        let last_quarter = last_quarter(shot.format.frames);
        let squares = each(later.clone(), |i| weighted_mse(&shown[i], &truth[i], &shot.mask[i]))?;
        let similar = each(later.clone(), |i| ssim_within(&shown[i], &truth[i], &shot.mask[i]))?;
        let seams = each(later.clone(), |i| seam(&shown[i], &truth[i], &shot.mask[i]))?;
        let warps = each(later.clone(), |i| warp_error(&shown[i], &shown[i - 1], &shot.motion[i]))?;
        let means = each(0..shot.format.frames, |i| mean_difference(&shown[i], &truth[i], &shot.mask[i]))?;
        let outside =
            each(0..shot.format.frames, |i| max_abs_diff(&answer[i], &shot.source[i], Some(&shot.mask[i])))?;
        let late = |values: &[f64]| mean(&values[values.len() - last_quarter..]);
        Ok(Self {
            psnr: decibels(mean(&squares)),
            psnr_last_quarter: decibels(late(&squares)),
            ssim: mean(&similar),
            ssim_last_quarter: late(&similar),
            seam: root(seams),
            warp_error: root(warps),
            flicker: 255.0 * flicker(&means),
            max_diff_outside: outside.into_iter().fold(0.0, f32::max),
        })
    }
}

/// How many frames the last quarter has; never the painted one.
fn last_quarter(frames: usize) -> usize {
    frames.div_ceil(4).min(frames - 1)
}

fn each<T, E: Into<anyhow::Error>>(
    frames: std::ops::Range<usize>,
    figure: impl Fn(usize) -> Result<T, E>,
) -> Result<Vec<T>> {
    frames.map(|index| figure(index).map_err(Into::into)).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Errors are kept below 99 dB, so that an exact answer has a mean.
fn decibels(mse: f64) -> f64 {
    (-10.0 * mse.log10()).min(99.0)
}

fn root(errors: Vec<SquaredError>) -> f64 {
    255.0 * errors.into_iter().fold(SquaredError::default(), SquaredError::joined).mse().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::answer::simple;
    use crate::eval::scene::Kind;
    use crate::eval::seeds::Split;
    use crate::eval::shot::Format;

    #[test]
    fn the_truth_scores_best_and_no_edit_badly() {
        let shot = Shot::render(Kind::Plane, Split::Train, 0, Format { size: [96, 56], frames: 5 });
        let truth: Vec<Frame> = shot.truth.iter().map(display).collect();
        let figures = |answer: &[Frame]| Figures::of(&shot, answer, &truth).unwrap();
        let (exact, none) = (figures(&shot.truth), figures(&shot.source));
        assert_eq!((exact.psnr, exact.ssim, exact.seam, exact.flicker), (99.0, 1.0, 0.0, 0.0));
        assert!(none.psnr < 25.0 && none.ssim < 0.99 && none.seam > 1.0, "{none:?}");
        assert_eq!((none.max_diff_outside, exact.max_diff_outside), (0.0, 0.0));
        assert!(exact.warp_error < none.warp_error + 30.0);
        let mut stained = shot.source.clone();
        let outside = shot.mask[4].data.iter().position(|m| *m == 0.0).unwrap();
        stained[4].data[3 * outside] += 0.25;
        assert!((figures(&stained).max_diff_outside - 0.25).abs() < 1e-6);
    }

    #[test]
    fn the_last_quarter_sees_drift() {
        let shot = Shot::render(Kind::Plane, Split::Train, 0, Format { size: [96, 56], frames: 9 });
        let truth: Vec<Frame> = shot.truth.iter().map(display).collect();
        let (_, held) = simple(&shot).into_iter().nth(1).unwrap();
        let held = Figures::of(&shot, &held, &truth).unwrap();
        assert!(held.psnr_last_quarter < held.psnr, "{held:?}");
        assert_eq!((last_quarter(25), last_quarter(9), last_quarter(2)), (7, 3, 1));
    }
}
