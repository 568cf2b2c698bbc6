//! `lora-edit work`: a job that lies in the cache.

use std::path::{Path, PathBuf};

use lora_edit_pipeline::{JobError, Outcome};
use lora_edit_shot::JobId;
use lora_edit_shot::job::{FailureKind, Job};

use crate::Ending;
use crate::cache;
use crate::cli::WorkArgs;
use crate::job::{other, perform};
use crate::progress::Reporter;
use crate::stop::StopRequests;

/// Does the job.
pub fn work(args: &WorkArgs) -> Result<Ending, JobError> {
    let (root, id) = locate(args)?;
    if !lora_edit_shot::job::folder(&root, &id).join("job.json").is_file() {
        let message = format!("job {id} is not in {}", root.display());
        return Err(JobError::new(FailureKind::Missing, message));
    }
    let job = Job::read(&root, &id).map_err(other)?;
    if job.id() != id {
        return Err(JobError::new(
            FailureKind::Other,
            format!("job {id}: job.json is that of job {}", job.id()),
        ));
    }
    let stop = StopRequests::listen()?;
    let mut reporter = Reporter::for_people();
    let resources = args.machine.resources(job.memory_limit)?;
    match perform(&root, &job, &resources, stop, &mut |event| reporter.tell(event))? {
        Outcome::Done { .. } => Ok(Ending::Done),
        Outcome::Stopped { .. } => Ok(Ending::Stopped),
    }
}

/// The store's root and the job's id, from a folder `ROOT/jobs/ID` or an id alone.
fn locate(args: &WorkArgs) -> Result<(PathBuf, JobId), JobError> {
    if let Ok(id) = JobId::parse(&args.job) {
        return Ok((cache::root(&args.cache), id));
    }
    from_folder(Path::new(&args.job)).ok_or_else(|| {
        let message = format!("'{}' is neither a job's id nor its folder ROOT/jobs/ID", args.job);
        JobError::new(FailureKind::Usage, message)
    })
}

fn from_folder(folder: &Path) -> Option<(PathBuf, JobId)> {
    let folder = std::path::absolute(folder).ok()?;
    let id = JobId::parse(folder.file_name()?.to_str()?).ok()?;
    let jobs = folder.parent().filter(|jobs| jobs.ends_with("jobs"))?;
    Some((jobs.parent()?.to_path_buf(), id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_names_root_and_job() {
        let id = "a".repeat(32);
        let (root, job) = from_folder(&Path::new("/cache/jobs").join(&id)).unwrap();
        assert_eq!((root.as_path(), job.as_str()), (Path::new("/cache"), id.as_str()));
        assert!(from_folder(Path::new("/cache/jobs/short")).is_none());
        assert!(from_folder(&Path::new("/cache/other").join(&id)).is_none());
    }
}
