//! The training run of one adapter: from its last checkpoint to its last step.

use std::fs;
use std::path::Path;

use lora_edit_adapt::{Adapter, AdapterConfig, HeldBack, Provenance, Schedule, TrainState, checkpoint};
use lora_edit_model::guidance::Expert;
use lora_edit_model::names::BLOCK_LINEARS;
use lora_edit_shot::job::{Job, Recipe, Targets};
use lora_edit_store::Store;

use crate::adapter_files::{self, AdapterFiles};
use crate::best::clearly_better;
use crate::failure::JobError;
use crate::sampling::BOUNDARY;

/// One adapter in training, attached to its base.
#[derive(Clone, Copy)]
pub(crate) struct Trainee<'a> {
    /// What is trained.
    pub adapter: &'a Adapter,
    /// How.
    pub recipe: &'a lora_edit_adapt::Recipe,
    /// Where it is written.
    pub files: &'a AdapterFiles,
    /// What it is trained for.
    pub job: &'a Job,
}

/// The state to start from: the checkpoint's, or a fresh one.
pub(crate) fn begin(
    path: &Path,
    adapter: &Adapter,
    recipe: &lora_edit_adapt::Recipe,
) -> Result<TrainState, JobError> {
    // The adapter's lease is held: nobody else is writing here.
    checkpoint::remove_leftovers(path);
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

impl Trainee<'_> {
    /// Writes the trained adapter and clears away what the training needed. It is the last one, or where that is
    /// clearly worse and the recipe says so, the best.
    ///
    /// # Errors
    /// When files cannot be written; the checkpoint is kept then.
    pub fn finish(&self, state: &TrainState, seconds_per_step: f64, store: &Store) -> Result<(), JobError> {
        let Self { adapter, files, job, .. } = *self;
        let kept = job.recipe.keep_best.then(|| go_back(files, &state.held_back)).flatten();
        let (adapter, step) = match &kept {
            Some((adapter, step)) => (adapter, *step),
            None => (adapter, state.losses.len()),
        };
        adapter_files::write(adapter, step, job, files, state, seconds_per_step, store)?;
        [files.checkpoint(), files.best(), files.preview()].iter().for_each(|path| remove(path));
        Ok(())
    }
}

/// The earlier adapter to take, with its step.
fn go_back(files: &AdapterFiles, measured: &[HeldBack]) -> Option<(Adapter, usize)> {
    let step = clearly_better(measured)?.step;
    let written = Provenance::read(&files.best()).ok().flatten().map(|provenance| provenance.step);
    let adapter = Adapter::load(&files.best()).ok().filter(|_| written == Some(step));
    let fate = if adapter.is_some() { "is taken" } else { "is lost" };
    log::warn!("the training came apart after step {step}: the adapter of that step {fate}");
    Some((adapter?, step))
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        log::warn!("{}: {error}", path.display());
    }
}

/// The layers of each block that are adapted. Those of the CLIP image never are, as published.
fn layers(targets: &Targets) -> Vec<String> {
    BLOCK_LINEARS.into_iter().filter(|layer| targets.adapt(layer)).map(String::from).collect()
}

/// Each of two experts learns at the noise levels at which it is asked.
pub(crate) fn adapt_recipe(recipe: &Recipe, expert: Option<Expert>) -> lora_edit_adapt::Recipe {
    lora_edit_adapt::Recipe {
        adapter: AdapterConfig { rank: recipe.rank, alpha: recipe.alpha, targets: layers(&recipe.targets) },
        steps: recipe.steps,
        learning_rate: recipe.learning_rate,
        schedule: if recipe.cosine { Schedule::Cosine } else { Schedule::Constant },
        timestep_shift: recipe.timestep_shift,
        noise_range: match expert {
            None => [0.0, 1.0],
            Some(Expert::High) => [BOUNDARY, 1.0],
            Some(Expert::Low) => [0.0, BOUNDARY],
        },
        seed: recipe.seed,
        mask_loss_weight: recipe.mask_loss_weight,
        ..lora_edit_adapt::Recipe::default()
    }
}
