//! The training run of one adapter: from its last checkpoint to its last step.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use lora_edit_adapt::{
    Adapter, AdapterConfig, Schedule, StepReport, TrainInput, TrainOutcome, TrainState, checkpoint, train,
};
use lora_edit_shot::job::Recipe;

use crate::adapter_files::AdapterFiles;
use crate::base::Base;
use crate::failure::JobError;
use crate::progress::Progress;

/// A checkpoint is written after this many steps.
const CHECKPOINT_EVERY: usize = 10;

/// The state to start from: the checkpoint's, or a fresh one.
pub(crate) fn begin(
    path: &Path,
    adapter: &Adapter,
    recipe: &lora_edit_adapt::Recipe,
) -> Result<TrainState, JobError> {
    if path.is_file() {
        match checkpoint::resume(path, adapter, recipe) {
            Ok(state) => {
                log::info!("going on after step {}", state.steps_done());
                return Ok(state);
            }
            Err(error) => log::warn!("training starts anew: {error}"),
        }
    }
    Ok(TrainState::new(adapter, recipe)?)
}

pub(crate) fn run(
    base: &Base,
    adapter: &Adapter,
    recipe: &lora_edit_adapt::Recipe,
    state: &mut TrainState,
    sample: impl Fn(usize) -> TrainInput,
    files: &AdapterFiles,
    progress: &mut Progress<'_>,
) -> Result<TrainOutcome, JobError> {
    let mut failed = None;
    let on_step = |report: &StepReport<'_>| {
        let stop = progress.step(report.step, report.of, Some(report.loss), report.seconds_left);
        let last = report.step == report.of;
        if !last && (stop || report.step.is_multiple_of(CHECKPOINT_EVERY)) {
            failed = save_checkpoint(&files.checkpoint(), adapter, recipe, report.state).err();
        }
        if failed.is_some() || (stop && !last) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let outcome = train(&base.transformer, adapter, recipe, state, |step| Ok(sample(step)), on_step)?;
    failed.map_or(Ok(outcome), Err)
}

fn save_checkpoint(
    path: &Path,
    adapter: &Adapter,
    recipe: &lora_edit_adapt::Recipe,
    state: &TrainState,
) -> Result<(), JobError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(checkpoint::save(path, adapter, recipe, state)?)
}

pub(crate) fn adapt_recipe(recipe: &Recipe) -> lora_edit_adapt::Recipe {
    lora_edit_adapt::Recipe {
        adapter: AdapterConfig { rank: recipe.rank, alpha: recipe.alpha, ..AdapterConfig::default() },
        steps: recipe.steps,
        learning_rate: recipe.learning_rate,
        schedule: if recipe.cosine { Schedule::Cosine } else { Schedule::Constant },
        timestep_shift: recipe.timestep_shift,
        seed: recipe.seed,
        mask_loss_weight: recipe.mask_loss_weight,
        ..lora_edit_adapt::Recipe::default()
    }
}
