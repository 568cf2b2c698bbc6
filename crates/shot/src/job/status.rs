//! What is known of a job from outside: its events, and whether its process still runs.

use super::event::{Event, FailureKind};
use super::{JobError, folder};
use crate::ids::JobId;
use lora_edit_store::{Liveness, Process, files};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// An engine on another machine that has said nothing for this long counts as dead.
pub const REMOTE_SILENCE: Duration = Duration::from_secs(15 * 60);

/// How a job stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum JobState {
    /// There is no such job.
    Absent,
    /// Written, but no engine has taken it up.
    Waiting,
    /// An engine works on it.
    Running,
    /// Finished.
    Done {
        /// Wall time of the run.
        seconds: f64,
    },
    /// Ended with a failure that it reported.
    Failed {
        /// Whose fault.
        kind: FailureKind,
        /// One line for the user.
        message: String,
    },
    /// Stopped on request; it can go on from there.
    Stopped {
        /// Steps done.
        step: usize,
    },
    /// Its process is gone without a last word: killed or crashed.
    Died,
}

/// A job's state with what its last run told.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobStatus {
    /// How it stands.
    pub state: JobState,
    /// The stage it is or was in.
    pub stage: Option<String>,
    /// Steps of the stage done.
    pub step: usize,
    /// Steps of the stage in all.
    pub of: usize,
    /// The last training loss.
    pub loss: Option<f32>,
    /// The last estimate for the stage.
    pub seconds_left: Option<f32>,
    /// The last picture to look at, relative to the store's root.
    pub preview: Option<PathBuf>,
}

impl JobStatus {
    /// Reads how a job stands. Lines that are no events, such as one torn by a kill, are passed over.
    pub fn read(root: &Path, id: &JobId) -> Result<Self, JobError> {
        let mut status = Self::waiting();
        if !folder(root, id).join("job.json").exists() {
            return Ok(Self { state: JobState::Absent, ..status });
        }
        let path = folder(root, id).join("events.jsonl");
        let text = read_if_there(&path)?.unwrap_or_default();
        for line in text.split(|&byte| byte == b'\n') {
            if let Ok(event) = serde_json::from_slice(line) {
                status.tell(event);
            }
        }
        if let Some(state) = verdict(&status.state, owner(root, id)?.as_ref(), &path) {
            status.state = state;
        }
        Ok(status)
    }

    /// Whether nothing more will come by itself.
    pub fn is_over(&self) -> bool {
        !matches!(self.state, JobState::Waiting | JobState::Running)
    }

    /// One line for a status field.
    pub fn line(&self) -> String {
        match &self.state {
            JobState::Absent => "no job".to_string(),
            JobState::Waiting => "starting".to_string(),
            JobState::Running => self.progress(),
            JobState::Done { seconds } => format!("done in {}", duration(*seconds)),
            JobState::Failed { message, .. } => format!("failed: {message}"),
            JobState::Stopped { step } => format!("stopped after step {step}; start again to go on"),
            JobState::Died => format!("engine was killed or crashed during {}", self.progress()),
        }
    }

    fn progress(&self) -> String {
        let mut line = self.stage.clone().unwrap_or_else(|| "start".to_string());
        if self.of > 0 {
            line += &format!(" {}/{}", self.step, self.of);
        }
        if let Some(loss) = self.loss {
            line += &format!(", loss {loss:.4}");
        }
        if let (Some(left), JobState::Running) = (self.seconds_left, &self.state) {
            line += &format!(", {} left", duration(f64::from(left)));
        }
        line
    }

    fn waiting() -> Self {
        let state = JobState::Waiting;
        Self { state, stage: None, step: 0, of: 0, loss: None, seconds_left: None, preview: None }
    }

    /// Takes one event in. What an earlier run told is forgotten when a new one starts.
    fn tell(&mut self, event: Event) {
        match event {
            Event::Started { .. } => *self = Self { state: JobState::Running, ..Self::waiting() },
            Event::Stage { name } => *self = self.at_stage(name),
            Event::Step { stage, step, of, loss, seconds_left } => {
                let loss = loss.or(self.loss);
                *self = Self { step, of, loss, seconds_left, ..self.at_stage(stage) };
            }
            Event::Plan { .. } => {}
            Event::Preview { path } => self.preview = Some(path),
            Event::Done { seconds } => self.state = JobState::Done { seconds },
            Event::Failed { kind, message } => self.state = JobState::Failed { kind, message },
            Event::Stopped { step } => self.state = JobState::Stopped { step },
        }
    }

    fn at_stage(&self, name: String) -> Self {
        let preview = self.preview.clone();
        Self { state: self.state.clone(), stage: Some(name), preview, ..Self::waiting() }
    }
}

/// Corrects what the events say by what is known of the process.
fn verdict(told: &JobState, owner: Option<&Process>, events: &Path) -> Option<JobState> {
    let liveness = owner?.liveness();
    let dead = match liveness {
        Liveness::Alive => false,
        Liveness::Dead => true,
        Liveness::Unknown => silent_for(events).is_some_and(|silence| silence > REMOTE_SILENCE),
    };
    match told {
        JobState::Running | JobState::Waiting if dead => Some(JobState::Died),
        _ => None,
    }
}

fn silent_for(path: &Path) -> Option<Duration> {
    let modified = std::fs::metadata(path).and_then(|meta| meta.modified()).ok()?;
    SystemTime::now().duration_since(modified).ok()
}

/// Notes that this process of this machine works on the job. Whoever starts an engine may write it
/// for the child, so that one that dies before its first word is noticed too.
pub fn write_pid(root: &Path, id: &JobId, pid: u32) -> Result<(), JobError> {
    write_process(root, id, &Process::of(pid))
}

pub(super) fn write_process(root: &Path, id: &JobId, process: &Process) -> Result<(), JobError> {
    let path = pid_file(root, id);
    files::write_whole(&path, &super::canonical(process)).map_err(|why| JobError::Io { path, why })
}

fn owner(root: &Path, id: &JobId) -> Result<Option<Process>, JobError> {
    let text = read_if_there(&pid_file(root, id))?;
    Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
}

fn pid_file(root: &Path, id: &JobId) -> PathBuf {
    folder(root, id).join("pid")
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, JobError> {
    match std::fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(JobError::Io { path: path.to_path_buf(), why }),
    }
}

fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}
