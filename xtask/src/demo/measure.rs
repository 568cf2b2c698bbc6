//! The demo's figures: the result and three simpler answers, each against the known truth.

use std::path::Path;

use anyhow::{Context, Result};
use lora_edit_shot::colour::to_display;
use lora_edit_shot::image_io::read_frame;
use lora_edit_shot::metrics::{SquaredError, max_abs_diff};
use lora_edit_shot::{ColourSpace, Frame, Pattern};

use super::shot::{DemoShot, FIRST};

/// One frame of everything that is compared, scene-linear, with the roto of that frame.
pub struct Compared {
    /// Frame number.
    pub number: i32,
    /// The plate.
    pub source: Frame,
    /// The artist's mask, one channel.
    pub mask: Frame,
    /// What the edited shot would have been.
    pub truth: Frame,
    /// What the host rendered.
    pub result: Frame,
    /// The same generation without the shot's adapter.
    pub without_lora: Frame,
}

/// Reads frame after frame of the shot and of both results.
pub fn read(shot: &DemoShot, result: &str, without_lora: &str) -> Result<Vec<Compared>> {
    let read_output = |pattern: &str, number: i32| -> Result<Frame> {
        let path = Pattern::parse(pattern)?.path(number);
        Ok(read_frame(Path::new(&path)).with_context(|| format!("frame {number}"))?.to_rgb())
    };
    let compared = |number| {
        Ok(Compared {
            number,
            source: shot.picture("source", number)?,
            mask: shot.picture("mask", number)?,
            truth: shot.picture("truth", number)?,
            result: read_output(result, number)?,
            without_lora: read_output(without_lora, number)?,
        })
    };
    shot.numbers().map(compared).collect()
}

/// Peak signal-to-noise ratios in display values inside the mask, pooled over all frames, in dB.
pub struct Figures {
    /// The product's result.
    pub result: f64,
    /// The result over the last quarter of the shot, where drift shows.
    pub result_last_quarter: f64,
    /// The plate left as it is.
    pub no_edit: f64,
    /// The painted frame shown at every frame.
    pub first_frame_held: f64,
    /// The base model's generation without the adapter.
    pub without_lora: f64,
    /// Greatest difference from the plate where the mask is exactly 0.
    pub outside: f32,
}

/// Computes every figure of the report.
pub fn figures(frames: &[Compared]) -> Result<Figures> {
    let held = &frames.iter().find(|f| f.number == FIRST).context("the first frame")?.truth;
    let last_quarter = &frames[frames.len() * 3 / 4..];
    Ok(Figures {
        result: psnr(frames, |f| &f.result)?,
        result_last_quarter: psnr(last_quarter, |f| &f.result)?,
        no_edit: psnr(frames, |f| &f.source)?,
        first_frame_held: psnr(frames, |_| held)?,
        without_lora: psnr(frames, |f| &f.without_lora)?,
        outside: outside(frames)?,
    })
}

fn psnr<'a>(frames: &'a [Compared], answer: impl Fn(&'a Compared) -> &'a Frame) -> Result<f64> {
    let mut pooled: Option<SquaredError> = None;
    for frame in frames {
        let shown = to_display(answer(frame), ColourSpace::Linear);
        let truth = to_display(&frame.truth, ColourSpace::Linear);
        let error = SquaredError::of(&shown, &truth, Some(&frame.mask))?;
        pooled = Some(pooled.map_or(error, |sum| sum.joined(error)));
    }
    Ok(pooled.context("a shot has frames")?.psnr())
}

fn outside(frames: &[Compared]) -> Result<f32> {
    let mut worst = 0.0f32;
    for frame in frames {
        worst = worst.max(max_abs_diff(&frame.result, &frame.source, Some(&frame.mask))?);
    }
    Ok(worst)
}
