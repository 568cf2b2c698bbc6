//! The result's frames: the generated crop over the plate, written whole or not at all.

use lora_edit_pipeline::JobError;
use lora_edit_shot::composite::Layer;
use lora_edit_shot::image_io::write_exr_float;
use lora_edit_shot::ingest::MaskOptions;
use lora_edit_shot::job::FailureKind;
use lora_edit_shot::result::{ResultError, ResultReader};
use lora_edit_shot::{ColourSpace, metrics};

use crate::inputs::Inputs;

/// How the result is laid over the plate.
#[derive(Debug, Clone, Copy)]
pub struct Layering {
    /// How masks are read.
    pub mask: MaskOptions,
    /// How much of the edit.
    pub mix: f32,
    /// Whether key frames show the painting itself.
    pub hold_keys: bool,
    /// What the painting's numbers mean.
    pub edit_space: ColourSpace,
}

/// Writes all frames as 32-bit EXR; the largest difference from the plate where the mask is 0. `on_frame` hears how
/// many are written.
///
/// # Errors
/// When a frame cannot be read or written.
pub fn write(
    inputs: &Inputs,
    result: &ResultReader,
    layering: &Layering,
    mut on_frame: impl FnMut(usize),
) -> Result<f32, JobError> {
    let mut max_diff = 0f32;
    for (done, frame) in inputs.frames.iter().enumerate() {
        let source = inputs.source_frame(frame)?;
        let mask = inputs.comp_mask(frame, &source, &layering.mask)?;
        let generated = generated(inputs, result, layering, frame)?;
        let out = result.composite(&generated, &source, &mask, layering.mix)?;
        max_diff = max_diff.max(metrics::max_abs_diff(&out, &source, Some(&mask))?);
        write_exr_float(&inputs.output.path(frame), &out)?;
        on_frame(done + 1);
    }
    Ok(max_diff)
}

fn generated(
    inputs: &Inputs,
    result: &ResultReader,
    layering: &Layering,
    frame: i32,
) -> Result<Layer, JobError> {
    if layering.hold_keys && inputs.keys.contains(frame) {
        return Ok(result.painted(&inputs.painted_frame(frame)?, layering.edit_space)?);
    }
    result.frame(frame).map_err(result_error)
}

/// A result that cannot be read.
pub fn result_error(error: ResultError) -> JobError {
    JobError::new(FailureKind::Missing, error)
}
