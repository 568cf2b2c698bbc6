//! Doing one job of the store in this process, with its event log.

use std::path::Path;

use lora_edit_pipeline::{JobError, Outcome, Resources, run_job};
use lora_edit_shot::JobId;
use lora_edit_shot::job::{self, Event, EventLog, FailureKind, Job, JobState, JobStatus};

use crate::stop::StopRequests;

/// Does the job, writing `pid` and `events.jsonl` into its folder and telling `sink` the same events.
///
/// # Errors
/// As [`run_job`], and when another process is at this very job.
pub fn perform(
    root: &Path,
    job: &Job,
    resources: &Resources,
    stop: StopRequests,
    sink: &mut dyn FnMut(&Event),
) -> Result<Outcome, JobError> {
    let id = job.id();
    refuse_if_running(root, &id)?;
    let stop = stop.with_file(job::folder(root, &id).join("stop"));
    let mut log = EventLog::start(root, &id).map_err(other)?;
    let mut tell = |event: Event| {
        sink(&event);
        if let Err(error) = log.write(&event) {
            log::warn!("{error}");
        }
    };
    let began = std::time::Instant::now();
    let outcome = run_job(root, job, resources, &mut tell, &|| stop.requested());
    tell(last_word(&outcome, began.elapsed().as_secs_f64()));
    // The request is met, or came too late: it must not stop the next run.
    if let Err(error) = job::clear_stop(root, &id) {
        log::warn!("{error}");
    }
    outcome
}

fn last_word(outcome: &Result<Outcome, JobError>, seconds: f64) -> Event {
    match outcome {
        Ok(Outcome::Done { .. }) => Event::Done { seconds },
        Ok(Outcome::Stopped { step }) => Event::Stopped { step: *step },
        Err(error) => Event::Failed { kind: error.kind, message: error.message.clone() },
    }
}

/// A second engine on the same job would write into the first one's log.
fn refuse_if_running(root: &Path, id: &JobId) -> Result<(), JobError> {
    match JobStatus::read(root, id).map_err(other)?.state {
        JobState::Running => {
            let message = format!("job {id} is being done by another process: lora-edit status {id} --watch");
            Err(JobError::new(FailureKind::Lock, message))
        }
        _ => Ok(()),
    }
}

/// A failure of the job's own files.
pub fn other(error: impl std::fmt::Display) -> JobError {
    JobError::new(FailureKind::Other, error)
}
