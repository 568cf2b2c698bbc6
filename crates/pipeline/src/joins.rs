//! Where two passes meet: how far the colour jumps there, against how much it moves elsewhere.

use lora_edit_shot::Frame;
use lora_edit_shot::package::ShotPackage;
use serde::{Deserialize, Serialize};

use crate::generate::{Generated, MadePass};

/// Two passes meeting, in working code values inside the mask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Join {
    /// The first frame that shows the later pass alone.
    pub frame: i32,
    /// Largest change of the mean colour from one frame to the next across the join, of any channel.
    pub colour_step: Option<f64>,
    /// Root mean square difference of what both passes made of the frames they share; null where they share none.
    pub disagreement: Option<f64>,
}

/// The joins of a generation, and the median colour step everywhere else.
pub fn measure(shot: &ShotPackage, made: &Generated) -> (Vec<Join>, Option<f64>) {
    let means: Vec<_> = shot
        .frames
        .iter()
        .zip(&made.frames)
        .map(|(f, made)| mean_colour(&made.picture, &f.comp_mask))
        .collect();
    // steps[p] leads from position p to p + 1.
    let steps: Vec<Option<f64>> = means.windows(2).map(|pair| Some(step(pair[0]?, pair[1]?))).collect();
    let mut elsewhere = steps.clone();
    let joins = made.passes.iter().skip(1).map(|pass| {
        let (first, last) = extent(pass);
        let within = first.min(steps.len())..last.min(steps.len());
        let colour_step = steps[within.clone()].iter().flatten().copied().reduce(f64::max);
        elsewhere[within].fill(None);
        let frame = shot.frames[pass.pass.window.at(pass.pass.overlap)].number;
        Join { frame, colour_step, disagreement: pass.disagreement }
    });
    let joins = joins.collect();
    (joins, median(elsewhere.into_iter().flatten().collect()))
}

/// The positions between which the picture goes over from earlier passes to this one, in the shot's order.
fn extent(made: &MadePass) -> (usize, usize) {
    let (window, overlap) = (made.pass.window, made.pass.overlap);
    match overlap {
        // It begins at a key, which it shows itself: the frame before belongs to another pass.
        0 => (window.first.saturating_sub(1), window.first),
        _ => {
            let ends = [window.at(0), window.at(overlap)];
            (ends[0].min(ends[1]), ends[0].max(ends[1]))
        }
    }
}

/// The mean of each channel where the mask is above a half; nothing where it is nowhere.
fn mean_colour(frame: &Frame, mask: &Frame) -> Option<[f64; 3]> {
    let (mut sum, mut count) = ([0.0; 3], 0usize);
    for (pixel, _) in frame.data.chunks_exact(frame.channels).zip(&mask.data).filter(|(_, m)| **m > 0.5) {
        (0..3).for_each(|channel| sum[channel] += f64::from(pixel[channel]));
        count += 1;
    }
    (count > 0).then(|| sum.map(|sum| sum / count as f64))
}

fn step(before: [f64; 3], after: [f64; 3]) -> f64 {
    (0..3).map(|channel| (after[channel] - before[channel]).abs()).fold(0.0, f64::max)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::{Pass, Window, generation};
    use lora_edit_shot::package::{ShotFrame, ShotInfo};
    use lora_edit_shot::{ColourSpace, Fit, FrameRange, Rect, WorkingSpace};

    fn shot(frames: i32) -> ShotPackage {
        let fit = Fit { source_size: [4, 4], crop: Rect::new(0, 0, 4, 4), working_size: [4, 4] };
        let frame = |number| ShotFrame {
            number,
            source: Frame::new(4, 4, 3),
            comp_mask: Frame::from_fn(4, 4, 1, |x, _, p| p[0] = f32::from(x > 1)),
            generation_mask: Frame::filled(4, 4, &[1.0]),
        };
        let (input_space, working_space) = (ColourSpace::Srgb, WorkingSpace::Srgb);
        let info =
            ShotInfo { fit, frames: FrameRange::span(1001, 1000 + frames), input_space, working_space };
        ShotPackage { info, frames: (1001..=1000 + frames).map(frame).collect() }
    }

    fn made(levels: &[f32], passes: Vec<Pass>) -> Generated {
        let frame = |level: &f32| Frame::filled(4, 4, &[0.1, *level, 0.3]).into();
        let passes = passes.into_iter().map(|pass| MadePass { pass, disagreement: None }).collect();
        Generated { frames: levels.iter().map(frame).collect(), passes, seconds: 0.0, carried: None }
    }

    #[test]
    fn a_jump_at_a_join_is_found_and_one_elsewhere_is_not_taken_for_it() {
        let mut levels = [0.2f32; 40];
        levels[30..].fill(0.5);
        let passes = generation(40, &[0], 33);
        let second = passes[1];
        let (joins, elsewhere) = measure(&shot(40), &made(&levels, passes));
        assert_eq!(joins.len(), 1);
        assert_eq!(joins[0].frame, 1001 + second.window.at(second.overlap) as i32);
        let inside = (second.window.first..second.window.at(second.overlap)).contains(&29);
        let expected = if inside { 0.3 } else { 0.0 };
        assert!((joins[0].colour_step.unwrap() - expected).abs() < 1e-6, "{joins:?}");
        assert_eq!(elsewhere, Some(0.0));
    }

    #[test]
    fn every_kind_of_join_looks_where_the_passes_meet() {
        let pass = |first, last, overlap| MadePass {
            pass: Pass { window: Window { first, last }, overlap },
            disagreement: None,
        };
        assert_eq!(extent(&pass(24, 52, 5)), (24, 29));
        assert_eq!(extent(&pass(31, 2, 5)), (26, 31));
        assert_eq!(extent(&pass(8, 16, 0)), (7, 8));
    }

    #[test]
    fn a_mask_that_is_empty_gives_no_figure() {
        let mut shot = shot(3);
        shot.frames.iter_mut().for_each(|frame| frame.comp_mask.data.fill(0.0));
        let passes = vec![Pass { window: Window::whole(3), overlap: 0 }];
        assert_eq!(measure(&shot, &made(&[0.1, 0.2, 0.3], passes)), (Vec::new(), None));
    }
}
