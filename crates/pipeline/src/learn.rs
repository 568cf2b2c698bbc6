//! Stage 1: the adapter learns the shot's motion and background from the unedited source alone.

use lora_edit_adapt::Adapter;
use lora_edit_shot::job::Job;
use lora_edit_store::Store;

use crate::adapter_files::AdapterFiles;
use crate::base::Base;
use crate::clip::Clip;
use crate::failure::JobError;
use crate::progress::Progress;
use crate::samples::samples;
use crate::training::{Trainee, adapt_recipe, begin};

/// Trains the job's adapter on `clip` and writes it; `Ok(Some(step))` when it was stopped there, after a checkpoint.
/// A checkpoint that is there already is gone on from.
///
/// # Errors
/// When the arithmetic fails or files cannot be written.
pub fn learn(
    base: &mut Base,
    clip: &Clip,
    job: &Job,
    store: &Store,
    progress: &mut Progress<'_>,
) -> Result<Option<usize>, JobError> {
    progress.stage("encode");
    let Some(inputs) = samples(base, clip, &job.recipe, progress)? else { return Ok(Some(0)) };
    let (files, recipe) = (
        AdapterFiles::of(store, &job.adapter).of_expert(base.expert()),
        adapt_recipe(&job.recipe, base.expert()),
    );
    let adapter = Adapter::create(base.transformer_mut()?, &recipe.adapter, recipe.seed)?;
    let mut state = begin(&files.checkpoint(), &adapter, &recipe)?;
    let first = state.steps_done();
    progress.stage("train");
    let trainee = Trainee { adapter: &adapter, recipe: &recipe, files: &files, job };
    let outcome = trainee.run(base, &mut state, |step| inputs[step % inputs.len()].clone(), progress);
    adapter.detach(base.transformer_mut()?);
    let outcome = outcome?;
    if !outcome.finished {
        return Ok(Some(outcome.losses.len()));
    }
    let seconds_per_step = outcome.seconds / (outcome.losses.len() - first).max(1) as f64;
    trainee.finish(&state, seconds_per_step, store)?;
    Ok(None)
}
