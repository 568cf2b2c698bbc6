//! One file from a server to the disk: resumed where it stopped, checked, and only then given its name.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ring::digest::{Context, SHA256};

use super::hub::{RemoteFile, Rest};

/// Attempts in a row without a new byte before giving up.
const ATTEMPTS: u32 = 4;
/// Wait before the second attempt; doubled each time.
const WAIT: Duration = Duration::from_millis(500);
const BLOCK: usize = 1 << 18;

/// Opens the file's bytes from a place on.
pub type Open<'a> = dyn FnMut(u64) -> Result<Rest, String> + 'a;

/// Fetches `file` to `target`, going on with what an earlier attempt left in `NAME.part`. `tell` is given the bytes
/// that are there.
///
/// # Errors
/// When the server or the disk fails for good (what came is kept), or the file is not what the hub says it is (then it
/// is deleted).
pub fn download(
    file: &RemoteFile,
    target: &Path,
    open: &mut Open<'_>,
    tell: &mut dyn FnMut(u64),
) -> Result<(), String> {
    let shown = target.display();
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let mut partial = Partial::open(part_path(file, target)).map_err(|error| format!("{shown}: {error}"))?;
    tell(partial.length);
    let mut attempts = 0;
    while file.bytes().is_none_or(|bytes| partial.length < bytes) {
        let before = partial.length;
        match partial.fetch(open, tell) {
            Ok(()) if file.bytes().is_none() => break,
            Ok(()) if partial.length > before => attempts = 0,
            outcome => {
                attempts = if partial.length > before { 1 } else { attempts + 1 };
                if attempts >= ATTEMPTS {
                    return Err(outcome
                        .err()
                        .unwrap_or_else(|| format!("{shown}: the server sends no more")));
                }
                std::thread::sleep(WAIT * 2u32.pow(attempts - 1));
            }
        }
    }
    partial.finish(file, target)
}

/// Another version of the file must not be continued: its checksum is part of the name.
fn part_path(file: &RemoteFile, target: &Path) -> PathBuf {
    let version = file.sha256().map(|sum| format!(".{:.12}", sum)).unwrap_or_default();
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!("{name}{version}.part"))
}

/// The bytes that are there so far.
struct Partial {
    path: PathBuf,
    file: File,
    length: u64,
    sum: Context,
}

impl Partial {
    fn open(path: PathBuf) -> std::io::Result<Self> {
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).append(true).open(&path)?;
        let mut sum = Context::new(&SHA256);
        let mut length = 0;
        let mut block = vec![0; BLOCK];
        loop {
            match file.read(&mut block)? {
                0 => return Ok(Self { path, file, length, sum }),
                read => {
                    sum.update(&block[..read]);
                    length += read as u64;
                }
            }
        }
    }

    fn fetch(&mut self, open: &mut Open<'_>, tell: &mut dyn FnMut(u64)) -> Result<(), String> {
        let mut rest = open(self.length)?;
        if rest.from != self.length {
            self.restart().map_err(|error| self.failed(&error))?;
        }
        let mut block = vec![0; BLOCK];
        loop {
            let read = rest.bytes.read(&mut block).map_err(|error| self.failed(&error))?;
            if read == 0 {
                return Ok(());
            }
            self.file.write_all(&block[..read]).map_err(|error| self.failed(&error))?;
            self.sum.update(&block[..read]);
            self.length += read as u64;
            tell(self.length);
        }
    }

    fn restart(&mut self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        (self.length, self.sum) = (0, Context::new(&SHA256));
        Ok(())
    }

    fn finish(self, file: &RemoteFile, target: &Path) -> Result<(), String> {
        let sum: String = self.sum.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let wrong_size = file.bytes().is_some_and(|bytes| bytes != self.length);
        let wrong_sum = file.sha256().is_some_and(|expected| !expected.eq_ignore_ascii_case(&sum));
        if wrong_size || wrong_sum {
            let _ = std::fs::remove_file(&self.path);
            let expected = file.sha256().unwrap_or("none");
            let (shown, length) = (target.display(), self.length);
            return Err(format!(
                "{shown}: wrong checksum: {sum} of {length} bytes, expected {expected}; deleted"
            ));
        }
        let kept = self.file.sync_all().and_then(|()| std::fs::rename(&self.path, target));
        kept.map_err(|error| format!("{}: {error}", target.display()))
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> String {
        format!("{}: {error}; the same command goes on from {} bytes", self.path.display(), self.length)
    }
}
