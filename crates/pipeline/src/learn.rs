//! Stage 1: the adapter learns the shot's motion and background from the unedited source alone.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use lora_edit_adapt::{
    Adapter, AdapterConfig, Precision, Provenance, Schedule, StepReport, TrainInput, TrainOutcome,
    TrainState, checkpoint, train,
};
use lora_edit_shot::AdapterId;
use lora_edit_shot::job::{Job, Recipe};
use lora_edit_store::Store;
use serde::{Deserialize, Serialize};

use crate::base::Base;
use crate::clip::Clip;
use crate::failure::JobError;
use crate::looks::Look;
use crate::progress::Progress;

/// A checkpoint is written after this many steps.
const CHECKPOINT_EVERY: usize = 10;

/// What is known of a trained adapter: `adapters/ID.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdapterSummary {
    /// Name of the base model.
    pub base: String,
    /// Fingerprint of its weights.
    pub base_fingerprint: String,
    /// The shot it was trained on.
    pub shot: String,
    /// How.
    pub recipe: Recipe,
    /// Optimiser steps done.
    pub steps: usize,
    /// Mean wall time of a step in the run that finished it.
    pub seconds_per_step: f64,
    /// Mean loss of the last tenth of the steps.
    pub final_loss: f32,
}

/// Where an adapter's files are in the store.
#[derive(Debug, Clone)]
pub struct AdapterFiles {
    root: PathBuf,
    id: AdapterId,
}

impl AdapterFiles {
    /// The files of this adapter.
    pub fn of(store: &Store, id: &AdapterId) -> Self {
        Self { root: store.root().to_path_buf(), id: id.clone() }
    }

    /// The weights; what is there is whole.
    pub fn weights(&self) -> PathBuf {
        self.root.join(self.relative("safetensors"))
    }

    /// Where a training stands that is not done.
    pub fn checkpoint(&self) -> PathBuf {
        self.root.join("checkpoints").join(format!("{}.safetensors", self.id))
    }

    /// Whether the adapter is trained.
    pub fn exist(&self) -> bool {
        self.weights().is_file()
    }

    /// The summary and the loss of each step; an adapter put here by hand has neither.
    pub fn summary(&self) -> Option<(AdapterSummary, Vec<f32>)> {
        let summary = fs::read(self.root.join(self.relative("json"))).ok()?;
        let losses = fs::read_to_string(self.root.join(self.relative("loss.csv"))).ok()?;
        Some((serde_json::from_slice(&summary).ok()?, parse_losses(&losses)))
    }

    fn relative(&self, extension: &str) -> String {
        format!("adapters/{}.{extension}", self.id)
    }
}

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
    let Some(inputs) = inputs(base, clip, &job.recipe, progress)? else { return Ok(Some(0)) };
    let (files, recipe) = (AdapterFiles::of(store, &job.adapter), adapt_recipe(&job.recipe));
    let adapter = Adapter::create(&mut base.transformer, &recipe.adapter, recipe.seed)?;
    let mut state = begin(&files.checkpoint(), &adapter, &recipe)?;
    let first = state.steps_done();
    progress.stage("train");
    let outcome = run(base, &adapter, &recipe, &mut state, &inputs, &files, progress);
    adapter.detach(&mut base.transformer);
    let outcome = outcome?;
    if !outcome.finished {
        return Ok(Some(outcome.losses.len()));
    }
    let seconds_per_step = outcome.seconds / (outcome.losses.len() - first).max(1) as f64;
    write(&adapter, job, &outcome.losses, seconds_per_step, store)?;
    remove(&files.checkpoint());
    Ok(None)
}

/// The plate and its recoloured variants, encoded once; `None` when stopped meanwhile.
fn inputs(
    base: &Base,
    clip: &Clip,
    recipe: &Recipe,
    progress: &mut Progress<'_>,
) -> Result<Option<Vec<TrainInput>>, JobError> {
    let looks = (0..recipe.look_variants).map(|index| clip.recoloured(&Look::draw(recipe.seed, index)));
    let mut inputs = Vec::with_capacity(recipe.look_variants + 1);
    for clip in std::iter::once(clip.clone()).chain(looks) {
        inputs.push(TrainInput {
            latents: base.encode(&clip.frames)?,
            condition: base.condition(&clip.frames[0], &clip)?,
            text: base.text.clone(),
            image: None,
            loss_weight: None,
        });
        if progress.even_step(inputs.len(), recipe.look_variants + 1) {
            return Ok(None);
        }
    }
    Ok(Some(inputs))
}

/// The state to start from: the checkpoint's, or a fresh one.
fn begin(path: &Path, adapter: &Adapter, recipe: &lora_edit_adapt::Recipe) -> Result<TrainState, JobError> {
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

fn run(
    base: &Base,
    adapter: &Adapter,
    recipe: &lora_edit_adapt::Recipe,
    state: &mut TrainState,
    inputs: &[TrainInput],
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
    let outcome = train(
        &base.transformer,
        adapter,
        recipe,
        state,
        |step| Ok(inputs[step % inputs.len()].clone()),
        on_step,
    )?;
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

/// The weights come last: they are what says that the adapter is there.
fn write(
    adapter: &Adapter,
    job: &Job,
    losses: &[f32],
    seconds_per_step: f64,
    store: &Store,
) -> Result<(), JobError> {
    let summary = summary(job, losses, seconds_per_step);
    let files = AdapterFiles::of(store, &job.adapter);
    store.put_file(files.relative("loss.csv"), loss_csv(losses).as_bytes())?;
    store.put_file(files.relative("json"), &serde_json::to_vec_pretty(&summary)?)?;
    let provenance = Provenance {
        base: summary.base,
        base_fingerprint: summary.base_fingerprint,
        shot: summary.shot,
        recipe: serde_json::to_string(&summary.recipe)?,
        final_loss: summary.final_loss,
        version: env!("CARGO_PKG_VERSION").to_string(),
    };
    store
        .fill_file(files.relative("safetensors"), |path| adapter.save(path, Precision::Bf16, &provenance))?;
    Ok(())
}

fn summary(job: &Job, losses: &[f32], seconds_per_step: f64) -> AdapterSummary {
    let tail = &losses[losses.len() - losses.len().div_ceil(10)..];
    AdapterSummary {
        base: job.base.name.clone(),
        base_fingerprint: job.base.fingerprint.clone(),
        shot: job.shot.to_string(),
        recipe: job.recipe.clone(),
        steps: losses.len(),
        seconds_per_step,
        final_loss: tail.iter().sum::<f32>() / tail.len().max(1) as f32,
    }
}

fn adapt_recipe(recipe: &Recipe) -> lora_edit_adapt::Recipe {
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

/// `step,loss` lines, steps from 1.
pub fn loss_csv(losses: &[f32]) -> String {
    let lines = losses.iter().enumerate().map(|(i, loss)| format!("{},{loss}\n", i + 1));
    std::iter::once("step,loss\n".to_string()).chain(lines).collect()
}

fn parse_losses(csv: &str) -> Vec<f32> {
    csv.lines().skip(1).filter_map(|line| line.split_once(',')?.1.parse().ok()).collect()
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        log::warn!("{}: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_survive_the_file() {
        let losses = [0.5, 0.125, 1e-7];
        assert_eq!(parse_losses(&loss_csv(&losses)), losses);
    }
}
