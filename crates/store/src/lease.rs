//! Leases: exclusive files with a heartbeat, stale when their owner is gone.

use crate::files;
use crate::process::{Liveness, Process};
use crate::store::StoreError;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};
use thiserror::Error;

/// How often a lease is refreshed and when it counts as abandoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTiming {
    /// Time between two heartbeats.
    pub heartbeat: Duration,
    /// Age of the last heartbeat after which anybody may take the lease. A dead owner on this
    /// machine is not waited for.
    pub stale: Duration,
}

impl Default for LeaseTiming {
    fn default() -> Self {
        Self { heartbeat: Duration::from_secs(15), stale: Duration::from_secs(180) }
    }
}

/// Who holds a lease that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("'{name}' is in use by process {pid} on {host} (last sign {} s ago)", age.as_secs())]
pub struct Held {
    /// Name of the lease.
    pub name: String,
    /// The owner's machine.
    pub host: String,
    /// The owner's process.
    pub pid: u32,
    /// Time since its last heartbeat.
    pub age: Duration,
}

/// Why a lease was not given.
#[derive(Debug, Error)]
pub enum LeaseError {
    /// Somebody else holds it.
    #[error(transparent)]
    Held(#[from] Held),
    /// The name or the file system refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    owner: Process,
    token: String,
}

/// The right to do one thing alone; given back when dropped. A thread keeps it fresh.
#[derive(Debug)]
pub struct Lease {
    file: Arc<LeaseFile>,
    lost: Arc<AtomicBool>,
    stop: Option<mpsc::Sender<()>>,
    beat: Option<JoinHandle<()>>,
}

impl Lease {
    pub(crate) fn take(path: &Path, name: &str, timing: LeaseTiming) -> Result<Self, LeaseError> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(StoreError::io("make folder", parent))?;
        }
        let file = match LeaseFile::create(path)? {
            Some(file) => file,
            None => take_over(path, name, timing.stale)?,
        };
        Ok(Self::beating(file, timing.heartbeat))
    }

    /// Whether the lease was taken away, as after a suspend longer than the stale time. Work that
    /// must be done alone should stop then.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    fn beating(file: LeaseFile, every: Duration) -> Self {
        let (file, lost) = (Arc::new(file), Arc::new(AtomicBool::new(false)));
        let (stop, stopped) = mpsc::channel::<()>();
        let (beating, flag) = (Arc::clone(&file), Arc::clone(&lost));
        let beat = std::thread::spawn(move || {
            while stopped.recv_timeout(every) == Err(mpsc::RecvTimeoutError::Timeout) {
                if !beating.refresh() {
                    flag.store(true, Ordering::Relaxed);
                    return;
                }
            }
        });
        Self { file, lost, stop: Some(stop), beat: Some(beat) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(beat) = self.beat.take() {
            let _ = beat.join();
        }
        self.file.release();
    }
}

#[derive(Debug)]
struct LeaseFile {
    path: PathBuf,
    token: String,
}

impl LeaseFile {
    /// Creates the file exclusively; `None` when it exists.
    fn create(path: &Path) -> Result<Option<Self>, StoreError> {
        let token = files::temporary_beside(path).to_string_lossy().into_owned();
        let record = Record { owner: Process::current(), token };
        let text = serde_json::to_vec(&record).map_err(io::Error::from);
        let created = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
        match created {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            created => {
                created
                    .and_then(|mut file| file.write_all(&text?))
                    .map_err(StoreError::io("write lease", path))?;
                Ok(Some(Self { path: path.to_path_buf(), token: record.token }))
            }
        }
    }

    fn is_ours(&self) -> bool {
        matches!(read_record(&self.path), Ok(Some(record)) if record.token == self.token)
    }

    /// One heartbeat; false when the file is no longer ours. A file system that fails for a moment
    /// does not end the lease: the next beat tries again.
    fn refresh(&self) -> bool {
        match read_record(&self.path) {
            Ok(Some(record)) if record.token == self.token => {
                let touched = std::fs::OpenOptions::new()
                    .append(true)
                    .open(&self.path)
                    .and_then(|file| file.set_modified(SystemTime::now()));
                if let Err(error) = touched {
                    log::warn!("lease {}: {error}", self.path.display());
                }
                true
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => true,
            _ => false,
        }
    }

    fn release(&self) {
        if self.is_ours()
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            log::warn!("lease {}: {error}", self.path.display());
        }
    }
}

/// `Ok(None)`: the file is there but its owner has not finished writing it.
fn read_record(path: &Path) -> io::Result<Option<Record>> {
    Ok(serde_json::from_slice(&std::fs::read(path)?).ok())
}

fn age(path: &Path) -> io::Result<Duration> {
    let modified = std::fs::metadata(path)?.modified()?;
    Ok(SystemTime::now().duration_since(modified).unwrap_or_default())
}

/// Who holds the file, or `None` when it is stale or gone.
fn holder(path: &Path, name: &str, stale: Duration) -> Result<Option<Held>, StoreError> {
    let (record, age) = match read_record(path).and_then(|record| Ok((record, age(path)?))) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("read lease", path)(error)),
    };
    let owner = record.map(|record| record.owner);
    let dead = owner.as_ref().is_some_and(|owner| owner.liveness() == Liveness::Dead);
    if dead || age > stale {
        return Ok(None);
    }
    let owner = owner.unwrap_or(Process { pid: 0, host: "unknown".into(), start: None });
    Ok(Some(Held { name: name.to_string(), host: owner.host, pid: owner.pid, age }))
}

/// Takes an existing lease over if it is stale. A second exclusive file admits one contender at a
/// time: without it a slow one could remove the lease that a quick one has just made anew.
fn take_over(path: &Path, name: &str, stale: Duration) -> Result<LeaseFile, LeaseError> {
    if let Some(held) = holder(path, name, stale)? {
        return Err(held.into());
    }
    let guard_path = path.with_extension("takeover");
    if holder(&guard_path, name, stale)?.is_none() {
        files::remove_any(&guard_path).map_err(StoreError::io("remove", &guard_path))?;
    }
    let Some(guard) = LeaseFile::create(&guard_path)? else {
        return Err(contended(name).into());
    };
    let taken = retake(path, name, stale);
    guard.release();
    taken
}

fn retake(path: &Path, name: &str, stale: Duration) -> Result<LeaseFile, LeaseError> {
    if let Some(held) = holder(path, name, stale)? {
        return Err(held.into());
    }
    files::remove_any(path).map_err(StoreError::io("remove", path))?;
    LeaseFile::create(path)?.ok_or_else(|| contended(name).into())
}

/// Another contender was quicker by a moment and has not written its name yet.
fn contended(name: &str) -> Held {
    let here = Process::current();
    Held { name: name.to_string(), host: here.host, pid: 0, age: Duration::ZERO }
}
