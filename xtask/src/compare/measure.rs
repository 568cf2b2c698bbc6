//! A result against the shot's truth, at the frames that no variant was given.

use std::fmt;

use anyhow::{Context, Result};
use lora_edit_shot::colour::to_display;
use lora_edit_shot::image_io::read_frame;
use lora_edit_shot::metrics::{SquaredError, max_abs_diff};
use lora_edit_shot::{ColourSpace, Pattern};

use crate::demo::shot::DemoShot;

/// Peak signal-to-noise ratios in display values inside the mask, in dB.
pub struct Figures {
    /// All frames but the painted ones.
    pub all: f64,
    /// Those of the last quarter, where drift shows.
    pub last_quarter: f64,
    /// Greatest difference from the plate where the mask is 0.
    pub outside: f32,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} dB in the mask, {:.2} in the last quarter", self.all, self.last_quarter)
    }
}

/// Measures the frames at `output`; those `painted` in any variant are left out for all.
pub fn figures(shot: &DemoShot, output: &str, painted: &[i32]) -> Result<Figures> {
    let pattern = Pattern::parse(output)?;
    let (mut all, mut last_quarter) = (SquaredError::default(), SquaredError::default());
    let mut outside = 0f32;
    for number in shot.numbers() {
        let result = read_frame(&pattern.path(number)).with_context(|| format!("frame {number}"))?.to_rgb();
        let mask = shot.picture("mask", number)?;
        outside = outside.max(max_abs_diff(&result, &shot.picture("source", number)?, Some(&mask))?);
        if painted.contains(&number) {
            continue;
        }
        let truth = to_display(&shot.picture("truth", number)?, ColourSpace::Linear);
        let error = SquaredError::of(&to_display(&result, ColourSpace::Linear), &truth, Some(&mask))?;
        all = all.joined(error);
        if number > shot.last() - shot.frames as i32 / 4 {
            last_quarter = last_quarter.joined(error);
        }
    }
    Ok(Figures { all: all.psnr(), last_quarter: last_quarter.psnr(), outside })
}
