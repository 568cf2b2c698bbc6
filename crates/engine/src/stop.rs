//! Requests to stop: SIGTERM, Ctrl-C, or a file named `stop` in the job's folder.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Exit code of a process stopped on request, after a checkpoint.
pub const STOPPED: u8 = 143;

/// Exit code after a second Ctrl-C, as shells have it.
const IMPATIENT: i32 = 130;

/// Whether somebody asked this process to stop.
#[derive(Debug, Clone, Default)]
pub struct StopRequests {
    signalled: Arc<AtomicBool>,
    file: Option<PathBuf>,
}

impl StopRequests {
    /// Listens to SIGTERM and SIGINT from now on: both ask for a stop with a checkpoint. Ctrl-C a second time ends the
    /// process at once; SIGTERM never does, since schedulers repeat it.
    pub fn listen() -> io::Result<Self> {
        let requests = Self::default();
        // Order matters: the shutdown looks at the flag before this same signal raises it.
        flag::register_conditional_shutdown(SIGINT, IMPATIENT, Arc::clone(&requests.signalled))?;
        for signal in [SIGTERM, SIGINT] {
            flag::register(signal, Arc::clone(&requests.signalled))?;
        }
        Ok(requests)
    }

    /// Watches for a stop file too.
    pub fn with_file(self, file: PathBuf) -> Self {
        Self { file: Some(file), ..self }
    }

    /// Whether to stop.
    pub fn requested(&self) -> bool {
        self.signalled.load(Ordering::Relaxed) || self.file.as_ref().is_some_and(|file| file.exists())
    }
}
