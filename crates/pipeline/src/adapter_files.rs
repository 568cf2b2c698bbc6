//! A trained adapter in the store: its weights, what is known of it, the loss of each step.

use std::fs;
use std::path::{Path, PathBuf};

use lora_edit_adapt::{Adapter, HeldBack, Precision, TrainState};
pub use lora_edit_adapt::{AdapterContents, Provenance};
use lora_edit_model::guidance::Expert;
use lora_edit_shot::AdapterId;
use lora_edit_shot::image_io::write_png8;
use lora_edit_shot::job::{BaseRef, FailureKind, Job, Recipe};
use lora_edit_shot::package::ShotInfo;
use lora_edit_shot::sheet::ContactSheet;
use lora_edit_store::{Store, files};
use serde::{Deserialize, Serialize};

use crate::failure::JobError;
use crate::losses;

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
    /// The step whose adapter was taken: the last, unless the training came apart after an earlier one.
    #[serde(default)]
    pub step: usize,
    /// The held-back losses, as step and loss.
    #[serde(default)]
    pub held_back: Vec<(usize, f32)>,
    /// Mean wall time of a step in the run that finished it.
    pub seconds_per_step: f64,
    /// Mean loss of the last tenth of the steps up to the one taken.
    pub final_loss: f32,
}

impl AdapterSummary {
    /// The held-back losses.
    pub fn measured(&self) -> Vec<HeldBack> {
        self.held_back.iter().map(|&(step, loss)| HeldBack { step, loss }).collect()
    }
}

/// Where an adapter's files are in the store.
#[derive(Debug, Clone)]
pub struct AdapterFiles {
    root: PathBuf,
    id: AdapterId,
    expert: Option<Expert>,
}

impl AdapterFiles {
    /// The files of this adapter.
    pub fn of(store: &Store, id: &AdapterId) -> Self {
        Self { root: store.root().to_path_buf(), id: id.clone(), expert: None }
    }

    /// Those of one expert, of a base with two: each has files of its own, as ComfyUI and diffusers
    /// (`load_into_transformer_2`) read them. The high-noise expert's bear the plain name; they are trained last and
    /// say that the adapter is there.
    pub fn of_expert(&self, expert: Option<Expert>) -> Self {
        Self { expert, ..self.clone() }
    }

    /// The weights; what is there is whole.
    pub fn weights(&self) -> PathBuf {
        self.root.join(self.relative("safetensors"))
    }

    /// Where a training stands that is not done.
    pub fn checkpoint(&self) -> PathBuf {
        self.root.join("checkpoints").join(self.name("safetensors"))
    }

    /// The best adapter so far of a training that is not done: an adapter file in full precision.
    pub fn best(&self) -> PathBuf {
        self.root.join("checkpoints").join(self.name("best.safetensors"))
    }

    /// What an adapter in training makes of its shot so far.
    pub fn preview(&self) -> PathBuf {
        self.root.join(self.relative_preview())
    }

    /// The curve of the losses, within the store.
    pub fn loss_picture(&self) -> PathBuf {
        self.relative("loss.png").into()
    }

    /// Whether the adapter is trained.
    pub fn exist(&self) -> bool {
        self.weights().is_file()
    }

    /// The summary and the loss of each step; an adapter put here by hand has neither.
    pub fn summary(&self) -> Option<(AdapterSummary, Vec<f32>)> {
        let summary = fs::read(self.root.join(self.relative("json"))).ok()?;
        let losses = fs::read_to_string(self.root.join(self.relative("loss.csv"))).ok()?;
        Some((serde_json::from_slice(&summary).ok()?, losses::parse(&losses)))
    }

    /// Writes what is known of the losses, `adapters/ID.loss.csv` and `.loss.png`; the picture's path within the store.
    pub(crate) fn write_losses(&self, losses: &[f32], held_back: &[HeldBack]) -> Result<PathBuf, JobError> {
        files::write_whole(
            &self.root.join(self.relative("loss.csv")),
            losses::csv(losses, held_back).as_bytes(),
        )?;
        let picture = self.loss_picture();
        files::fill_whole(&self.root.join(&picture), |path| {
            write_png8(path, &losses::picture(losses, held_back)).map_err(JobError::from)
        })?;
        Ok(picture)
    }

    /// Writes [`AdapterFiles::preview`]; its path within the store.
    pub(crate) fn write_preview(&self, strip: &ContactSheet) -> Result<PathBuf, JobError> {
        files::fill_whole(&self.preview(), |path| strip.write_png(path).map_err(JobError::from))?;
        Ok(self.relative_preview())
    }

    fn relative_preview(&self) -> PathBuf {
        Path::new("checkpoints").join(self.name("preview.png"))
    }

    /// What the adapter's file says of itself, as it is after `step`.
    pub(crate) fn provenance(
        &self,
        job: &Job,
        state: &TrainState,
        step: usize,
    ) -> Result<Provenance, JobError> {
        let shot = self.root.join("shots").join(job.shot.as_str());
        Ok(Provenance {
            base: self.base_name(&job.base.name),
            base_fingerprint: job.base.fingerprint.clone(),
            shot: job.shot.to_string(),
            frames: ShotInfo::read(&shot)?.frames.to_string(),
            recipe: serde_json::to_string(&job.recipe)?,
            step,
            final_loss: final_loss(&state.losses[..step]),
            version: env!("CARGO_PKG_VERSION").to_string(),
        })
    }

    fn relative(&self, extension: &str) -> String {
        format!("adapters/{}", self.name(extension))
    }

    fn name(&self, extension: &str) -> String {
        let expert = if self.expert == Some(Expert::Low) { ".low_noise" } else { "" };
        format!("{}{expert}.{extension}", self.id)
    }

    fn base_name(&self, base: &str) -> String {
        match self.expert {
            None => base.to_owned(),
            Some(Expert::High) => format!("{base}, high-noise expert"),
            Some(Expert::Low) => format!("{base}, low-noise expert"),
        }
    }
}

/// Writes the adapter as it was after `step`. The weights come last: they are what says that the adapter is there.
pub(crate) fn write(
    adapter: &Adapter,
    step: usize,
    job: &Job,
    files: &AdapterFiles,
    state: &TrainState,
    seconds_per_step: f64,
    store: &Store,
) -> Result<(), JobError> {
    let summary = AdapterSummary {
        base: job.base.name.clone(),
        base_fingerprint: job.base.fingerprint.clone(),
        shot: job.shot.to_string(),
        first_stage: job.first_stage.as_ref().filter(|first| **first != files.id).map(ToString::to_string),
        recipe: job.recipe.clone(),
        steps: state.losses.len(),
        step,
        held_back: state.held_back.iter().map(|measured| (measured.step, measured.loss)).collect(),
        seconds_per_step,
        final_loss: final_loss(&state.losses[..step]),
    };
    files.write_losses(&state.losses, &state.held_back)?;
    store.put_file(files.relative("json"), &serde_json::to_vec_pretty(&summary)?)?;
    let provenance = files.provenance(job, state, step)?;
    Ok(adapter.save(&files.weights(), Precision::Bf16, &provenance)?)
}

/// The mean of the last tenth.
fn final_loss(losses: &[f32]) -> f32 {
    let tail = &losses[losses.len() - losses.len().div_ceil(10)..];
    tail.iter().sum::<f32>() / tail.len().max(1) as f32
}

/// Checks that the adapter at `path` is for the base that `named` says, as far as it tells.
///
/// # Errors
/// When the file cannot be read, or was trained on another base.
pub fn check_base(path: &Path, named: &BaseRef) -> Result<(), JobError> {
    match Provenance::read(path)? {
        Some(trained) if trained.base_fingerprint != named.fingerprint => {
            let of = |name: &str, fingerprint: &str| {
                format!("'{name}' ({})", fingerprint.get(..8).unwrap_or(fingerprint))
            };
            let (theirs, ours) =
                (of(&trained.base, &trained.base_fingerprint), of(&named.name, &named.fingerprint));
            let message = format!("{}: trained on base {theirs}, not on {ours}", path.display());
            Err(JobError::new(FailureKind::Missing, message))
        }
        _ => Ok(()),
    }
}
