//! The store itself: a root folder with kinds, and entries that appear whole or not at all.

use crate::files::{self, Temporary};
use crate::lease::{Lease, LeaseError, LeaseTiming};
use std::io;
use std::path::{Component, Path, PathBuf};
use thiserror::Error;

/// What can go wrong with a store.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("store: cannot {what} {}: {why}", path.display())]
    Io {
        /// What was tried, a verb.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's reason.
        #[source]
        why: io::Error,
    },
    /// A kind, id or name that would leave the store or hide in it.
    #[error("store: '{0}' is no name for an entry")]
    Name(String),
    /// The caller's own writer failed; nothing was stored.
    #[error("{0}")]
    Fill(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |why| Self::Io { what, path, why }
    }
}

/// Lets a writer's `?` on plain file errors pass through `files::fill_whole`.
struct Filled(StoreError);

impl From<io::Error> for Filled {
    fn from(why: io::Error) -> Self {
        Self(StoreError::Fill(Box::new(why)))
    }
}

/// A content-addressed folder. An entry is a folder `KIND/ID` or a file `KIND/ID.EXTENSION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    root: PathBuf,
    timing: LeaseTiming,
}

impl Store {
    /// Opens the store at `root`, making the folder if it is not there.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let root = root.into();
        std::fs::create_dir_all(&root).map_err(StoreError::io("make folder", &root))?;
        Ok(Self { root, timing: LeaseTiming::default() })
    }

    /// The same store with other lease timing (tests, slow file systems).
    pub fn with_timing(self, timing: LeaseTiming) -> Self {
        Self { timing, ..self }
    }

    /// The root folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where an entry is or would be: `ROOT/KIND/ID`. `id` may carry an extension.
    pub fn path(&self, kind: &str, id: &str) -> PathBuf {
        self.root.join(kind).join(id)
    }

    /// Whether an entry is there; what is there is whole.
    pub fn contains(&self, kind: &str, id: &str) -> bool {
        checked(id).is_ok() && self.path(kind, id).exists()
    }

    /// Names of all entries of a kind, sorted; files with their extensions. An absent kind is empty.
    pub fn list(&self, kind: &str) -> Result<Vec<String>, StoreError> {
        let folder = self.root.join(checked(kind)?);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::io("list", &folder)(error)),
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        Ok(names)
    }

    /// Puts a folder: `fill` writes into a hidden one, which is then renamed to `KIND/ID`. An entry
    /// that is there already stays and `fill` is not called; of two writers at once the first
    /// rename wins, which is fine since equal ids mean equal content. Returns the entry's path.
    pub fn put_dir<E>(
        &self,
        kind: &str,
        id: &str,
        fill: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, StoreError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let path = self.root.join(checked(kind)?).join(checked(id)?);
        if path.exists() {
            return Ok(path);
        }
        let temporary = Temporary(files::temporary_beside(&path));
        std::fs::create_dir_all(&temporary.0).map_err(StoreError::io("make folder", &temporary.0))?;
        fill(&temporary.0).map_err(|error| StoreError::Fill(error.into()))?;
        match std::fs::rename(&temporary.0, &path) {
            Err(_) if path.exists() => Ok(path),
            Err(error) => Err(StoreError::io("rename to", &path)(error)),
            Ok(()) => Ok(path),
        }
    }

    /// Puts a file by its path relative to the root, replacing what was there in one step.
    pub fn put_file(&self, relative: impl AsRef<Path>, bytes: &[u8]) -> Result<PathBuf, StoreError> {
        self.fill_file(relative, |temporary| std::fs::write(temporary, bytes))
    }

    /// As [`Store::put_file`], for writers that want a path (which keeps the file's extension).
    pub fn fill_file<E>(
        &self,
        relative: impl AsRef<Path>,
        fill: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, StoreError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let relative = relative.as_ref();
        let path = self.root.join(checked(&relative.to_string_lossy())?);
        files::fill_whole(&path, |temporary| {
            fill(temporary).map_err(|error| Filled(StoreError::Fill(error.into())))
        })
        .map_err(|Filled(error)| error)?;
        Ok(path)
    }

    /// Marks an entry as used now, so that eviction by age or size takes others first.
    pub fn touch(&self, kind: &str, id: &str) -> Result<(), StoreError> {
        let path = self.path(kind, checked(id)?);
        std::fs::File::open(&path)
            .and_then(|file| file.set_modified(std::time::SystemTime::now()))
            .map_err(StoreError::io("touch", &path))
    }

    /// Takes the lease `name`, or says who holds it. By convention the lease of an entry is named
    /// `KIND/ID`; eviction leaves leased entries alone.
    pub fn lease(&self, name: &str) -> Result<Lease, LeaseError> {
        let file = checked(name)?.replace('/', "~");
        Lease::take(&self.root.join("leases").join(format!("{file}.lease")), name, self.timing)
    }
}

/// Where the store is when nobody says: environment `LORA_EDIT_CACHE`, else `lora-edit` in the
/// user's cache folder, else in the system's temporary folder.
pub fn default_root() -> PathBuf {
    match variable("LORA_EDIT_CACHE") {
        Some(root) => root,
        None => user_cache().unwrap_or_else(std::env::temp_dir).join("lora-edit"),
    }
}

fn user_cache() -> Option<PathBuf> {
    let home = || variable("HOME");
    if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        Some(home()?.join("Library/Caches"))
    } else {
        variable("XDG_CACHE_HOME").or_else(|| Some(home()?.join(".cache")))
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Hands a relative name back when each of its parts is plain and none is hidden.
pub(crate) fn checked(name: &str) -> Result<&str, StoreError> {
    let plain = |part: Component<'_>| match part {
        Component::Normal(part) => !part.to_string_lossy().starts_with('.'),
        _ => false,
    };
    let path = Path::new(name);
    let good = !name.is_empty() && !name.contains(['\\', '~', '\0']) && path.components().all(plain);
    if good { Ok(name) } else { Err(StoreError::Name(name.to_string())) }
}
