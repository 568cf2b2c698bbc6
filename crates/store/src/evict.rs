//! Eviction by age and by size; what somebody has leased stays.

use crate::files;
use crate::lease::LeaseError;
use crate::store::{Store, StoreError, checked};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Temporary entries older than this were left by a writer that was killed.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// What may go. With neither limit set only abandoned temporary entries go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EvictPolicy {
    /// Entries not used for longer than this go.
    pub max_age: Option<Duration>,
    /// The longest unused entries go until the kinds together hold at most this many bytes.
    pub max_bytes: Option<u64>,
}

/// What went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Removed entries as `KIND/ID`.
    pub entries: Vec<String>,
    /// Bytes they held.
    pub bytes: u64,
}

/// All paths in one kind that share an id (a folder, or files told apart by extension).
#[derive(Debug)]
struct Entry {
    name: String,
    paths: Vec<PathBuf>,
    bytes: u64,
    used: SystemTime,
}

impl Store {
    /// Removes old entries of the kinds given. Entries whose lease (`KIND/ID`) is held stay, whatever
    /// the limits say. An entry vanishes for readers in one step.
    pub fn evict(&self, kinds: &[&str], policy: EvictPolicy) -> Result<Evicted, StoreError> {
        let mut entries = Vec::new();
        for kind in kinds {
            self.remove_abandoned(checked(kind)?)?;
            entries.extend(self.entries(kind)?);
        }
        entries.sort_by_key(|entry| entry.used);
        let mut total: u64 = entries.iter().map(|entry| entry.bytes).sum();
        let mut evicted = Evicted::default();
        for entry in entries {
            if !policy.takes(&entry, total) || !self.remove(&entry)? {
                continue;
            }
            total -= entry.bytes;
            evicted.bytes += entry.bytes;
            evicted.entries.push(entry.name);
        }
        Ok(evicted)
    }

    fn entries(&self, kind: &str) -> Result<Vec<Entry>, StoreError> {
        let mut entries = BTreeMap::<String, Entry>::new();
        for file in self.list(kind)? {
            let path = self.path(kind, &file);
            let id = file.split('.').next().unwrap_or_default();
            let entry = entries.entry(id.to_string()).or_insert_with(|| Entry::empty(kind, id));
            entry.bytes += size(&path);
            entry.used = entry.used.max(modified(&path));
            entry.paths.push(path);
        }
        Ok(entries.into_values().collect())
    }

    /// False when the entry is leased.
    fn remove(&self, entry: &Entry) -> Result<bool, StoreError> {
        let _lease = match self.lease(&entry.name) {
            Ok(lease) => lease,
            Err(LeaseError::Held(_)) => return Ok(false),
            Err(LeaseError::Store(error)) => return Err(error),
        };
        for path in &entry.paths {
            let hidden = files::temporary_beside(path);
            std::fs::rename(path, &hidden).map_err(StoreError::io("remove", path))?;
            files::remove_any(&hidden).map_err(StoreError::io("remove", &hidden))?;
        }
        Ok(true)
    }

    fn remove_abandoned(&self, kind: &str) -> Result<(), StoreError> {
        let folder = self.root().join(kind);
        for item in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = item.path();
            if files::is_temporary(&item.file_name().to_string_lossy()) && idle(modified(&path)) > ABANDONED {
                files::remove_any(&path).map_err(StoreError::io("remove", &path))?;
            }
        }
        Ok(())
    }
}

impl EvictPolicy {
    fn takes(&self, entry: &Entry, total: u64) -> bool {
        let old = self.max_age.is_some_and(|age| idle(entry.used) > age);
        old || self.max_bytes.is_some_and(|bytes| total > bytes)
    }
}

impl Entry {
    fn empty(kind: &str, id: &str) -> Self {
        let name = format!("{kind}/{id}");
        Self { name, paths: Vec::new(), bytes: 0, used: SystemTime::UNIX_EPOCH }
    }
}

fn idle(since: SystemTime) -> Duration {
    SystemTime::now().duration_since(since).unwrap_or_default()
}

fn modified(path: &Path) -> SystemTime {
    std::fs::metadata(path).and_then(|meta| meta.modified()).unwrap_or_else(|_| SystemTime::now())
}

fn size(path: &Path) -> u64 {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => {
            std::fs::read_dir(path).into_iter().flatten().flatten().map(|item| size(&item.path())).sum()
        }
        Ok(meta) => meta.len(),
        Err(_) => 0,
    }
}
