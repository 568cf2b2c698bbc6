//! A trained adapter in the store: its weights, what is known of it, the loss of each step.

use std::fs;
use std::path::PathBuf;

use lora_edit_adapt::{Adapter, Precision, Provenance};
use lora_edit_shot::AdapterId;
use lora_edit_shot::job::{Job, Recipe};
use lora_edit_store::Store;
use serde::{Deserialize, Serialize};

use crate::failure::JobError;

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
    /// The adapter of stage 1 that it went on from; none is stage 1 itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_stage: Option<String>,
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

/// The weights come last: they are what says that the adapter is there.
pub(crate) fn write(
    adapter: &Adapter,
    id: &AdapterId,
    job: &Job,
    losses: &[f32],
    seconds_per_step: f64,
    store: &Store,
) -> Result<(), JobError> {
    let summary = summary(id, job, losses, seconds_per_step);
    let files = AdapterFiles::of(store, id);
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

fn summary(id: &AdapterId, job: &Job, losses: &[f32], seconds_per_step: f64) -> AdapterSummary {
    let tail = &losses[losses.len() - losses.len().div_ceil(10)..];
    AdapterSummary {
        base: job.base.name.clone(),
        base_fingerprint: job.base.fingerprint.clone(),
        shot: job.shot.to_string(),
        first_stage: job.first_stage.as_ref().filter(|first| *first != id).map(ToString::to_string),
        recipe: job.recipe.clone(),
        steps: losses.len(),
        seconds_per_step,
        final_loss: tail.iter().sum::<f32>() / tail.len().max(1) as f32,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_survive_the_file() {
        let losses = [0.5, 0.125, 1e-7];
        assert_eq!(parse_losses(&loss_csv(&losses)), losses);
    }
}
