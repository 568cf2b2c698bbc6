//! What the engine tells: one JSON object per line, written and flushed at once.

use super::{JobError, folder};
use crate::ids::JobId;
use lora_edit_store::Process;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// One line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// The engine took the job up.
    Started {
        /// Its process.
        pid: u32,
        /// Its machine.
        host: String,
    },
    /// A new stage, such as "encode", "train" or "sample".
    Stage {
        /// Its name.
        name: String,
    },
    /// One step of a stage is done.
    Step {
        /// The stage.
        stage: String,
        /// Steps done.
        step: usize,
        /// Steps in all.
        of: usize,
        /// Training loss.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        loss: Option<f32>,
        /// Estimate for the stage.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds_left: Option<f32>,
    },
    /// What the job will hold, before it starts.
    Plan {
        /// Stage by stage, for people.
        table: String,
        /// The most at a time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peak_bytes: Option<u64>,
    },
    /// A picture to look at, relative to the store's root.
    Preview {
        /// Its path.
        path: PathBuf,
    },
    /// All done.
    Done {
        /// Wall time.
        seconds: f64,
    },
    /// It went wrong.
    Failed {
        /// Whose fault; also the exit code.
        kind: FailureKind,
        /// One line for the user.
        message: String,
    },
    /// Stopped on request after a checkpoint.
    Stopped {
        /// Steps done.
        step: usize,
    },
}

/// What kind of failure ended a job; each has its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailureKind {
    /// Anything else: 1.
    Other,
    /// Wrong flags or values: 2.
    Usage,
    /// A frame that is missing, unreadable or of the wrong size: 3.
    InputFrame,
    /// An adapter or result that is missing or does not match: 4.
    Missing,
    /// The device or its memory: 5.
    Device,
    /// Model files: 6.
    Model,
    /// Somebody else is at it: 7.
    Lock,
}

impl FailureKind {
    /// All kinds in the order of their exit codes.
    pub const ALL: [Self; 7] =
        [Self::Other, Self::Usage, Self::InputFrame, Self::Missing, Self::Device, Self::Model, Self::Lock];

    /// The program's exit code, 1 to 7.
    pub fn exit_code(self) -> i32 {
        self as i32 + 1
    }

    /// The kind behind an exit code; 0 and 143 are no failures, unknown codes are [`Self::Other`].
    pub fn from_exit_code(code: i32) -> Option<Self> {
        match code {
            0 | super::event::EXIT_STOPPED => None,
            1..=7 => Some(Self::ALL[code as usize - 1]),
            _ => Some(Self::Other),
        }
    }
}

/// Exit code of an engine that was stopped after a checkpoint.
pub const EXIT_STOPPED: i32 = 143;

/// The engine's end of `events.jsonl`.
#[derive(Debug)]
pub struct EventLog {
    file: File,
    path: PathBuf,
}

impl EventLog {
    /// Opens the log of a job for appending, writes the `pid` file and a [`Event::Started`]. Events of
    /// earlier runs stay; a line torn by a kill is ended first.
    pub fn start(root: &Path, id: &JobId) -> Result<Self, JobError> {
        let me = Process::current();
        super::status::write_process(root, id, &me)?;
        let mut log = Self::open(&folder(root, id).join("events.jsonl"))?;
        log.write(&Event::Started { pid: me.pid, host: me.host })?;
        Ok(log)
    }

    /// Appends one event as a line.
    pub fn write(&mut self, event: &Event) -> Result<(), JobError> {
        let mut line = super::canonical(event);
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.flush());
        written.map_err(|why| JobError::Io { path: self.path.clone(), why })
    }

    fn open(path: &Path) -> Result<Self, JobError> {
        let io = |why| JobError::Io { path: path.to_path_buf(), why };
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(path).map_err(io)?;
        if ends_within_a_line(&mut file).map_err(io)? {
            file.write_all(b"\n").map_err(io)?;
        }
        Ok(Self { file, path: path.to_path_buf() })
    }
}

fn ends_within_a_line(file: &mut File) -> std::io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}
