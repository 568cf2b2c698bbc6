//! The job protocol between whoever asks for work and the engine that does it.
//!
//! A job is a folder `jobs/ID` in the store: `job.json` says what to do, the engine writes
//! `events.jsonl` and `pid`, and a file `stop` asks it to stop.

mod event;
mod recipe;
mod sampling;
mod shown;
mod status;
mod targets;

pub use event::{EXIT_STOPPED, Event, EventLog, FailureKind};
pub use recipe::Recipe;
pub use sampling::{NoiseExpert, Sampler, Sampling, ScheduleKind, StackedLora};
pub use shown::{NotShown, Shown};
pub use status::{JobState, JobStatus, REMOTE_SILENCE, write_pid};
pub use targets::{NoTargets, Targets};

use crate::ids::{AdapterId, EditId, JobId, ResultId, ShotId};
use lora_edit_store::{Hasher, files};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Version of the files this build writes and reads.
pub const VERSION: u32 = 1;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JobKind {
    /// Tunes the adapter.
    Train,
    /// Makes the result, with the adapter that is there.
    Generate,
}

/// A base model as a job names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BaseRef {
    /// Its name.
    pub name: String,
    /// Hash of its weights; another one is another model.
    pub fingerprint: String,
    /// Where the user said models are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_dir: Option<PathBuf>,
}

/// One piece of work for the engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// [`VERSION`].
    pub version: u32,
    /// What to do.
    pub kind: JobKind,
    /// On which shot.
    pub shot: ShotId,
    /// With which painted frames; a training needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<EditId>,
    /// With which model.
    pub base: BaseRef,
    /// How the adapter is, or was, tuned.
    pub recipe: Recipe,
    /// How the result is sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Sampling>,
    /// The adapter that is made or used.
    pub adapter: AdapterId,
    /// Training steps from one checkpoint to the next; by time without. The adapter does not depend on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<usize>,
    /// Whether what the adapter makes of the shot is shown on the way. The adapter does not depend on it.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub previews: bool,
    /// Bytes that it may hold at most, where whoever does it says nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<u64>,
    /// The adapter of stage 1 that it goes on from, where the edit is learnt from in stage 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_stage: Option<AdapterId>,
    /// The result that is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultId>,
}

/// Why a job cannot be read or written.
#[derive(Debug, Error)]
pub enum JobError {
    /// The file system refused.
    #[error("job file {}: {why}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        why: io::Error,
    },
    /// The file is not what this build writes.
    #[error("job file {}: {why}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// Why an engine could not be started or stopped.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The program is nowhere.
    #[error("engine program {} not found", .0.display())]
    Missing(PathBuf),
    /// The system would not start it.
    #[error("engine {}: {why}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// The system's reason.
        #[source]
        why: io::Error,
    },
    /// The job itself.
    #[error(transparent)]
    Job(#[from] JobError),
}

/// Whoever does jobs: a detached process for the plug-in, this process for the program and tests.
pub trait Engine {
    /// Starts the job that is written in the store at `root`. Does not wait for it.
    fn start(&self, root: &Path, job: &JobId) -> Result<(), EngineError>;
    /// Asks the job to stop after its next step. Does not wait for it.
    fn stop(&self, root: &Path, job: &JobId) -> Result<(), EngineError>;
}

impl Job {
    /// A training of `shot`; its adapter's id follows from the rest.
    pub fn train(shot: ShotId, base: BaseRef, recipe: Recipe) -> Self {
        let adapter = AdapterId::new(&shot, &base.fingerprint, &recipe);
        let kind = JobKind::Train;
        Self {
            version: VERSION,
            kind,
            shot,
            edit: None,
            base,
            recipe,
            sampling: None,
            adapter,
            checkpoint_every: None,
            previews: true,
            memory_limit: None,
            first_stage: None,
            result: None,
        }
    }

    /// A generation from `shot` and `edit`; the ids of adapter and result follow from the rest.
    pub fn generate(shot: ShotId, edit: EditId, base: BaseRef, recipe: Recipe, sampling: Sampling) -> Self {
        let trained = Self::train(shot, base, recipe);
        let result = Some(ResultId::new(&trained.adapter, &edit, &sampling));
        Self { kind: JobKind::Generate, edit: Some(edit), sampling: Some(sampling), result, ..trained }
    }

    /// The same job with an adapter that goes on to learn `examples` (see [`EditPackage::examples`]) in stage 2, where
    /// the recipe has one.
    ///
    /// [`EditPackage::examples`]: crate::package::EditPackage::examples
    pub fn with_second_stage(self, examples: &str) -> Self {
        if self.recipe.stage2_epochs == 0 || self.first_stage.is_some() {
            return self;
        }
        let adapter = AdapterId::of_second_stage(&self.adapter, examples, &self.recipe);
        let ids = self.edit.as_ref().zip(self.sampling.as_ref());
        let result = ids.map(|(edit, sampling)| ResultId::new(&adapter, edit, sampling));
        Self { first_stage: Some(self.adapter), adapter, result, ..self }
    }

    /// The id: a hash of all fields but for those that say how to go about it.
    pub fn id(&self) -> JobId {
        let mut hasher = Hasher::new("job");
        let plain = Self { checkpoint_every: None, previews: true, memory_limit: None, ..self.clone() };
        JobId::of(hasher.field("job", canonical(&plain)))
    }

    /// Writes `jobs/ID/job.json` under the store's root and returns the id. What an earlier run of the
    /// same job left (events, pid, a stop request) is cleared, unless that run still goes on.
    pub fn write(&self, root: &Path) -> Result<JobId, JobError> {
        let id = self.id();
        if JobStatus::read(root, &id)?.is_over() {
            clear(root, &id, &["events.jsonl", "pid", "stop"])?;
        }
        let path = folder(root, &id).join("job.json");
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        files::write_whole(&path, &text).map_err(|why| JobError::Io { path, why })?;
        Ok(id)
    }

    /// Reads `jobs/ID/job.json` under the store's root.
    pub fn read(root: &Path, id: &JobId) -> Result<Self, JobError> {
        Self::read_file(&folder(root, id).join("job.json"))
    }

    /// Reads a job's file wherever it is.
    pub fn read_file(path: &Path) -> Result<Self, JobError> {
        let malformed = |why| JobError::Malformed { path: path.to_path_buf(), why };
        let text = std::fs::read(path).map_err(|why| JobError::Io { path: path.to_path_buf(), why })?;
        let job: Job = serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))?;
        match job.version {
            VERSION => Ok(job),
            other => Err(malformed(format!("version {other}, this build reads {VERSION}"))),
        }
    }
}

impl AdapterId {
    /// The id of the adapter tuned on `shot` over the base model with this fingerprint.
    pub fn new(shot: &ShotId, base_fingerprint: &str, recipe: &Recipe) -> Self {
        let mut hasher = Hasher::new("adapter");
        hasher.field("shot", shot.as_str()).field("base", base_fingerprint);
        Self::of(hasher.field("recipe", canonical(&recipe.of_first_stage())))
    }

    /// The id of the adapter that goes on from `first` to learn the examples of an edit.
    pub fn of_second_stage(first: &AdapterId, examples: &str, recipe: &Recipe) -> Self {
        let mut hasher = Hasher::new("adapter of stage 2");
        hasher.field("first", first.as_str()).field("examples", examples);
        Self::of(hasher.field("recipe", canonical(recipe)))
    }
}

impl ResultId {
    /// The id of the result of `edit` through `adapter`.
    pub fn new(adapter: &AdapterId, edit: &EditId, sampling: &Sampling) -> Self {
        let mut hasher = Hasher::new("result");
        hasher.field("adapter", adapter.as_str()).field("edit", edit.as_str());
        Self::of(hasher.field("sampling", canonical(&sampling.by_content())))
    }
}

/// The job's folder under the store's root.
pub fn folder(root: &Path, id: &JobId) -> PathBuf {
    root.join("jobs").join(id.as_str())
}

/// Asks the engine to stop: it polls this file at each step.
pub fn request_stop(root: &Path, id: &JobId) -> Result<(), JobError> {
    let path = stop_file(root, id);
    files::write_whole(&path, b"stop\n").map_err(|why| JobError::Io { path, why })
}

/// Whether somebody asked the engine to stop.
pub fn stop_requested(root: &Path, id: &JobId) -> bool {
    stop_file(root, id).exists()
}

/// Takes a stop request back, before a start.
pub fn clear_stop(root: &Path, id: &JobId) -> Result<(), JobError> {
    clear(root, id, &["stop"])
}

fn clear(root: &Path, id: &JobId, names: &[&str]) -> Result<(), JobError> {
    names.iter().try_for_each(|name| {
        let path = folder(root, id).join(name);
        files::remove_any(&path).map_err(|why| JobError::Io { path, why })
    })
}

fn stop_file(root: &Path, id: &JobId) -> PathBuf {
    folder(root, id).join("stop")
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}

/// JSON with the fields in the order of the type: equal values give equal bytes. These types have
/// string keys only and no map, so writing them cannot fail; NaN becomes null.
fn canonical(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
