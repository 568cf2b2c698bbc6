//! A file mapped into memory: read when touched, shared by every tensor that lies in it.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::error::{Loaded, ModelError};

/// A file's bytes, for reading only.
#[derive(Debug)]
pub(super) struct MappedFile {
    path: PathBuf,
    map: Mmap,
}

impl MappedFile {
    #[allow(unsafe_code, reason = "mapping a file is unsafe; see SAFETY")]
    pub fn open(path: &Path) -> Loaded<Self> {
        let unreadable = |source| ModelError::Unreadable { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        // SAFETY: the file is mapped for reading only; model files are replaced by rename, never written in place.
        let map = unsafe { Mmap::map(&file) }.map_err(unreadable)?;
        Ok(Self { path: path.to_owned(), map })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path as errors show it.
    pub fn shown(&self) -> String {
        self.path.display().to_string()
    }

    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// The bytes of one tensor. The range was checked against the file's length when its header was read.
    pub fn slice(&self, range: Range<usize>) -> &[u8] {
        &self.map[range]
    }

    /// Asks the system to read the bytes of `range` ahead, where it takes such wishes; they cost no memory of this
    /// process before they are touched.
    pub fn prefetch(&self, range: Range<usize>) {
        #[cfg(unix)]
        self.told(self.map.advise_range(memmap2::Advice::WillNeed, range.start, range.len()));
        #[cfg(not(unix))]
        let _ = range;
    }

    /// Lets go of the memory that bytes of `range` took when they were touched; touched again they are read again.
    #[allow(unsafe_code, reason = "advice that may change memory; see SAFETY")]
    pub fn give_back(&self, range: Range<usize>) {
        #[cfg(unix)]
        {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            // SAFETY: the map is of a file and never written to, so what is dropped is read from the file again.
            self.told(unsafe { self.map.unchecked_advise_range(advice, range.start, range.len()) });
        }
        #[cfg(not(unix))]
        let _ = range;
    }

    /// Advice that is refused changes no result, only the time or memory that is taken.
    #[cfg(unix)]
    fn told(&self, advice: std::io::Result<()>) {
        if let Err(error) = advice {
            log::debug!("{}: advice on its pages: {error}", self.shown());
        }
    }
}
