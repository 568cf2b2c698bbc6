//! The engine's client: finds the program `lora-edit`, and starts it so that it outlives the host.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use lora_edit_shot::JobId;
use lora_edit_shot::base::BaseModel;
use lora_edit_shot::job::{self, Engine, EngineError, JobError};

/// Names the program, where it is not the one in the bundle.
const PROGRAM_VARIABLE: &str = "LORA_EDIT_ENGINE";
/// The standard's folders for programs in a bundle.
const ARCH_FOLDER: &str = if cfg!(target_os = "macos") {
    "MacOS"
} else if cfg!(target_os = "windows") {
    "Win64"
} else {
    "Linux-x86-64"
};

/// Where the host found the plug-in, as it said when it asked for the description: the standard has it
/// on the descriptor alone.
static PLUGIN_PATH: OnceLock<PathBuf> = OnceLock::new();

/// Keeps what the host said of the plug-in's place. The first word counts: one library has one place.
pub fn remember_plugin_path(path: &str) {
    if !path.is_empty() {
        PLUGIN_PATH.get_or_init(|| path.into());
    }
}

/// The plug-in's place: what the host said, else the file that Linux has mapped.
fn plugin_path() -> Option<PathBuf> {
    PLUGIN_PATH.get().cloned().or_else(|| mapped_library(&std::fs::read_to_string("/proc/self/maps").ok()?))
}

/// The library's path among the lines of a process's memory map: the sixth field, which may hold spaces.
fn mapped_library(maps: &str) -> Option<PathBuf> {
    let file = |line: &str| line.find('/').map(|start| PathBuf::from(&line[start..]));
    maps.lines().filter_map(file).find(|path| path.file_name().is_some_and(|name| name == "LoraEdit.ofx"))
}

/// The program as a process of its own, which goes on when the host ends.
#[derive(Clone, Debug)]
pub struct Detached {
    program: PathBuf,
}

impl Detached {
    /// Finds the program: `LORA_EDIT_ENGINE`, else beside the plug-in in its bundle.
    ///
    /// # Errors
    /// [`EngineError::Missing`] with the place where it should have been.
    pub fn find() -> Result<Self, EngineError> {
        let named = std::env::var_os(PROGRAM_VARIABLE).filter(|value| !value.is_empty());
        let program = match named {
            Some(program) => program.into(),
            None => program_folder(plugin_path().as_deref())
                .join(format!("lora-edit{}", std::env::consts::EXE_SUFFIX)),
        };
        // The program resolves links before it looks beside itself; both must find the same model.
        match program.canonicalize() {
            Ok(found) if found.is_file() => Ok(Self { program: found }),
            _ => Err(EngineError::Missing(program)),
        }
    }

    /// The program's own folder, beside which it looks for models.
    pub fn folder(&self) -> Option<&Path> {
        self.program.parent()
    }

    /// Asks the program where a published model lies; waits for the answer, which takes as long as reading headers does.
    ///
    /// # Errors
    /// In the program's own words: what is missing, and the command that fetches it.
    pub fn locate(&self, name: &str, model_dir: Option<&Path>) -> Result<BaseModel, String> {
        let mut command = Command::new(&self.program);
        command.args(["models", "locate", name, "--json"]).stdin(Stdio::null());
        if let Some(folder) = model_dir {
            command.arg("--model-dir").arg(folder);
        }
        let shown = self.program.display();
        let answer = command.output().map_err(|error| format!("engine {shown}: {error}"))?;
        if answer.status.success() {
            return serde_json::from_slice(&answer.stdout)
                .map_err(|error| format!("engine {shown}: {error}"));
        }
        let said = String::from_utf8_lossy(&answer.stderr).into_owned();
        let error = said.lines().find_map(|line| line.strip_prefix("error: "));
        Err(error.map_or_else(|| format!("engine {shown}: {}", answer.status), str::to_owned))
    }

    fn command(&self, root: &Path, job: &JobId, log: File) -> std::io::Result<Command> {
        let mut command = Command::new(&self.program);
        command.arg("work").arg(job::folder(root, job)).arg("--cache").arg(root);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        detach(&mut command);
        Ok(command)
    }
}

/// The folder that plug-in and program share. The standard says that hosts give the bundle's path;
/// some give the library's.
fn program_folder(plugin_path: Option<&Path>) -> PathBuf {
    match plugin_path {
        Some(path) if path.extension().is_some_and(|e| e == "ofx") => {
            path.parent().map(Path::to_path_buf).unwrap_or_default()
        }
        Some(bundle) => bundle.join("Contents").join(ARCH_FOLDER),
        None => PathBuf::new(),
    }
}

impl Engine for Detached {
    fn start(&self, root: &Path, job: &JobId) -> Result<(), EngineError> {
        let failed = |why| EngineError::Start { program: self.program.clone(), why };
        let path = job::folder(root, job).join("engine.log");
        let log = OpenOptions::new().create(true).append(true).open(&path);
        let log = log.map_err(|why| JobError::Io { path, why })?;
        let child = self.command(root, job, log).and_then(|mut command| command.spawn()).map_err(failed)?;
        job::write_pid(root, job, child.id())?;
        reap(child);
        Ok(())
    }

    fn stop(&self, root: &Path, job: &JobId) -> Result<(), EngineError> {
        Ok(job::request_stop(root, job)?)
    }
}

/// Out of the host's process group: a Ctrl-C in the host's terminal ends the host alone.
#[cfg(unix)]
fn detach(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

#[cfg(not(unix))]
fn detach(_command: &mut Command) {}

/// Waits for the program on a thread of its own, so that a dead one does not stay a zombie that looks
/// alive. The thread knows no host, and the plug-in's library is never unmapped beneath it.
fn reap(mut child: Child) {
    let waiting = std::thread::Builder::new().name("lora-edit engine".into());
    let spawned = waiting.spawn(move || match child.wait() {
        Ok(status) => log::debug!("engine {} ended: {status}", child.id()),
        Err(error) => log::warn!("engine {}: {error}", child.id()),
    });
    if let Err(error) = spawned {
        log::warn!("no thread to wait for the engine: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_lies_beside_the_plugin_whichever_path_a_host_gives() {
        let bundle = Path::new("/ofx/LoraEdit.ofx.bundle");
        let folder = bundle.join("Contents").join(ARCH_FOLDER);
        assert_eq!(program_folder(Some(&folder.join("LoraEdit.ofx"))), folder);
        assert_eq!(program_folder(Some(bundle)), folder);
    }

    #[test]
    fn the_library_is_found_in_the_map_where_the_host_says_nothing() {
        let maps = "7f00-7f01 r-xp 00000000 08:01 42     /usr/lib/libc.so.6\n\
                    7f02-7f03 rw-p 00000000 00:00 0 \n\
                    7f04-7f05 r-xp 00000000 08:01 43     /my ofx/LoraEdit.ofx\n";
        assert_eq!(mapped_library(maps), Some("/my ofx/LoraEdit.ofx".into()));
    }
}
