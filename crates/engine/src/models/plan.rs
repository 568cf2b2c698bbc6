//! `lora-edit models plan`: what a job would hold in memory.

use std::path::Path;

use lora_edit_model::device;
use lora_edit_model::plan::Machine;
use lora_edit_pipeline::memory::{Extent, Plans, limit};
use lora_edit_pipeline::parts::usable;
use lora_edit_pipeline::{JobError, Resources};
use lora_edit_shot::models::{Defaults, defaults};

use crate::Ending;

/// Prints the plans of a training and of a generation with the model's own recipe.
///
/// # Errors
/// When the model is missing, or nothing fits: says what would.
pub fn plan(
    name: &str,
    model_dir: Option<&Path>,
    frames: usize,
    size: Option<[usize; 2]>,
    resources: &Resources,
) -> Result<Ending, JobError> {
    let found = usable(name, model_dir)?;
    let Defaults { geometry, recipe, sampling } = defaults(name);
    let [width, height] = size.unwrap_or_else(|| wide(geometry.area_px, geometry.multiple));
    let extent = Extent { frames, size: [height, width], most_frames: geometry.most_frames };
    let device = device::choose(resources.device)?;
    let (training, generation) = (extent.training(&recipe), extent.generation(&recipe, &sampling));
    let (machine, limit) = (Machine::of(&device), limit(resources, &device)?);
    let plans = Plans::of(&found.parts, Some(training), Some(generation), machine, limit)?;
    println!("{}", plans.table());
    Ok(Ending::Done)
}

/// A picture of this area with sides in multiples, about as wide as films are.
fn wide(area: usize, multiple: usize) -> [usize; 2] {
    let rounded = |side: f64| ((side / multiple as f64).round() as usize).max(1) * multiple;
    let width = rounded((area as f64 * 16.0 / 9.0).sqrt());
    [width, (area / width / multiple).max(1) * multiple]
}
