//! `lora-edit status`: where jobs stand.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use lora_edit_pipeline::JobError;
use lora_edit_shot::JobId;
use lora_edit_shot::job::{FailureKind, Job, JobState, JobStatus};
use lora_edit_store::Store;

use crate::Ending;
use crate::cache;
use crate::cli::StatusArgs;
use crate::job::other;
use crate::stop::STOPPED;

/// How often a watched job is looked at.
const POLL: Duration = Duration::from_millis(300);

/// Prints the state of one job or all.
pub fn status(args: &StatusArgs) -> Result<Ending, JobError> {
    let root = cache::root(&args.cache);
    let jobs = Store::open(&root)?.list("jobs")?;
    let Some(typed) = &args.job else {
        return jobs.iter().try_for_each(|id| print(&root, &id_of(id)?)).map(|()| Ending::Done);
    };
    let id = id_of(cache::unique("job", typed, &jobs)?)?;
    if args.watch { watch(&root, &id) } else { print(&root, &id).map(|()| Ending::Done) }
}

fn id_of(name: &str) -> Result<JobId, JobError> {
    JobId::parse(name).map_err(other)
}

fn print(root: &Path, id: &JobId) -> Result<(), JobError> {
    let kind = Job::read(root, id).map(|job| format!("{:?}", job.kind).to_lowercase());
    let status = JobStatus::read(root, id).map_err(other)?;
    println!("{id}\t{}\t{}", kind.unwrap_or_default(), status.line());
    Ok(())
}

fn watch(root: &Path, id: &JobId) -> Result<Ending, JobError> {
    let mut shown = String::new();
    loop {
        let status = JobStatus::read(root, id).map_err(other)?;
        let line = status.line();
        if line != shown {
            println!("{line}");
            shown = line;
        }
        if status.is_over() {
            return ending(id, status.state);
        }
        sleep(POLL);
    }
}

fn ending(id: &JobId, state: JobState) -> Result<Ending, JobError> {
    match state {
        JobState::Failed { kind, message } => Err(JobError { kind, message }),
        JobState::Stopped { .. } => Ok(Ending::Code(STOPPED)),
        JobState::Died => {
            Err(JobError::new(FailureKind::Other, format!("the engine of job {id} was killed or crashed")))
        }
        JobState::Absent => Err(JobError::new(FailureKind::Missing, format!("job {id} is gone"))),
        JobState::Done { .. } | JobState::Waiting | JobState::Running => Ok(Ending::Done),
    }
}
