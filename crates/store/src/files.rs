//! Whole files and folders: filled under a hidden temporary name, then renamed.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

/// Writes a file so that no reader ever sees half of it. Missing parent folders are made.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fill_whole(path, |temporary| std::fs::write(temporary, bytes))
}

/// As [`write_whole`], for writers that want a path. `fill` gets the temporary path (which keeps
/// the file's extension); when it fails nothing stays behind and its error is handed on.
pub fn fill_whole<E: From<io::Error>>(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let temporary = Temporary(temporary_beside(path));
    fill(&temporary.0)?;
    Ok(std::fs::rename(&temporary.0, path)?)
}

/// `.NAME.RANDOM.tmp` in the same folder, so that a rename never crosses file systems. A file's
/// extension is repeated at the end, for writers that choose the format by it.
pub fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let random = RandomState::new().build_hasher().finish();
    let extension = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!(".{name}.{random:016x}.tmp{extension}"))
}

/// Whether a name in a folder is one of [`temporary_beside`].
pub fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && (name.ends_with(".tmp") || name.contains(".tmp."))
}

/// Removes a file or a folder; one that is not there is fine.
pub fn remove_any(path: &Path) -> io::Result<()> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes what it names when it goes out of scope; after the rename there is nothing left.
pub(crate) struct Temporary(pub(crate) PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = remove_any(&self.0) {
            log::warn!("cannot remove {}: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_fill_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/a.exr");
        write_whole(&path, b"old").unwrap();
        let failed: io::Result<()> = fill_whole(&path, |temporary| {
            assert_eq!(temporary.extension().unwrap(), "exr");
            std::fs::write(temporary, b"half")?;
            Err(io::Error::other("full disk"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "full disk");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn temporary_names_are_recognised() {
        for name in ["a.exr", "folder", ".hidden"] {
            let temporary = temporary_beside(Path::new(name));
            assert!(is_temporary(&temporary.to_string_lossy()), "{}", temporary.display());
            assert!(!is_temporary(name), "{name}");
        }
    }
}
