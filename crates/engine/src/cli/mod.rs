//! The command line: every flag, its help, the examples and the exit codes.

mod edit;
mod models;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use edit::EDIT_EXAMPLES;
use lora_edit_model::DeviceWish;
use lora_edit_model::plan::parse_bytes;
use lora_edit_pipeline::{JobError, Resources};
use lora_edit_shot::job::FailureKind;

pub use edit::{EditArgs, SamplerName, Space};
pub use models::ModelsCommand;

const ABOUT: &str = "Paint one frame, get the whole shot edited.

lora-edit tunes a small LoRA adapter of a video model on one shot, generates the edit that a painted frame asks for, \
and lays it over the plate. Outside the mask the plate comes back bit for bit. It is also the program that the OpenFX \
plug-in starts for its jobs.";

const EXIT_CODES: &str = "Exit codes:
  0    done
  1    any other failure
  2    wrong usage
  3    an input frame is missing, unreadable or of the wrong size, or the mask is empty
  4    an adapter or a result is missing, or belongs to something else
  5    the device, or its memory
  6    the model's files are missing or do not fit
  7    another process holds this adapter
  143  stopped on request, after a checkpoint: the same command goes on from there

Environment:
  LORA_EDIT_CACHE   the cache folder, where --cache is not given
  LORA_EDIT_MODELS  a folder of base models, where --model-dir is not given
  LORA_EDIT_MEMORY_LIMIT  memory to hold at most, where --memory-limit is not given
  HF_ENDPOINT, HF_TOKEN, HF_HOME  the Hugging Face hub, its token, its cache
  RUST_LOG          what to log on stderr, for example lora_edit=debug";

const WORK_EXAMPLES: &str = "Examples:
  lora-edit work 0123456789abcdef0123456789abcdef --cache /shots/cache
  lora-edit work /shots/cache/jobs/0123456789abcdef0123456789abcdef

The job's folder receives pid, events.jsonl (one JSON object per line) and, where this program's output is sent \
there, engine.log. SIGTERM, or a file named stop in that folder, makes it write a checkpoint and exit 143.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "lora-edit", version, about = ABOUT, after_long_help = EXIT_CODES, after_help = EXIT_CODES)]
#[command(arg_required_else_help = true, subcommand_required = true, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Edit a shot from image sequences to image sequence: learn, generate, composite.
    #[command(after_help = EDIT_EXAMPLES, after_long_help = EDIT_EXAMPLES)]
    Edit(Box<EditArgs>),
    /// Do a job that lies in the cache, as the plug-in and farm nodes ask for it.
    #[command(after_help = WORK_EXAMPLES, after_long_help = WORK_EXAMPLES)]
    Work(WorkArgs),
    /// Say where jobs stand: all of the cache's, or one.
    Status(StatusArgs),
    /// The base models: found on this machine, looked into, fetched.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// The adapters in the cache.
    #[command(subcommand)]
    Adapters(AdaptersCommand),
}

/// `lora-edit work`
#[derive(Debug, Args)]
pub struct WorkArgs {
    /// The job's folder, or its id in the cache.
    #[arg(value_name = "JOB_DIR_OR_ID")]
    pub job: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub machine: MachineArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub cache: CacheArgs,
}

/// `lora-edit status`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lora-edit status
  lora-edit status 0123456789abcdef0123456789abcdef --watch

With --watch the exit code is the job's own: 0 done, 143 stopped, else that of its failure; 1 if it died.")]
pub struct StatusArgs {
    /// The job's id, or its first characters.
    pub job: Option<String>,
    /// Follow the job until it ends.
    #[arg(long, requires = "job")]
    pub watch: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub cache: CacheArgs,
}

/// `lora-edit adapters`
#[derive(Debug, Subcommand)]
pub enum AdaptersCommand {
    /// One line per adapter: id, base model, rank, steps, last loss.
    #[command(after_help = "Example:\n  lora-edit adapters list --cache /shots/cache")]
    List {
        #[command(flatten)]
        #[allow(missing_docs)]
        cache: CacheArgs,
    },
    /// All that is known about one adapter: of the cache, or any adapter file.
    #[command(after_help = "Examples:
  lora-edit adapters show 0123
  lora-edit adapters show shot.safetensors --json

Of a file made elsewhere, what its header tells. Exit codes: 0 done, 4 no such adapter, or a broken one.")]
    Show {
        /// The adapter's id, its first characters, or a file.
        #[arg(value_name = "ID_OR_FILE")]
        adapter: String,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        #[allow(missing_docs)]
        cache: CacheArgs,
    },
}

/// What the machine gives.
#[derive(Debug, Clone, Args)]
pub struct MachineArgs {
    /// What to compute on: auto, cpu, cuda, cuda:N or metal; auto is an NVIDIA GPU if there is one, else the CPU.
    #[arg(long, default_value_t = DeviceWish::Auto, value_name = "DEVICE", help_heading = "Machine")]
    pub device: DeviceWish,
    /// Memory to hold at most, such as 12GiB, on the device that computes [default: the job's, else LORA_EDIT_MEMORY_LIMIT,
    /// else what is free]. Blocks are then read from their file while they are needed, the pictures cut into tiles, a training into
    /// windows; what does not fit is refused before it starts.
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, help_heading = "Machine")]
    pub memory_limit: Option<u64>,
}

impl MachineArgs {
    /// With what the job says, and after it the environment.
    ///
    /// # Errors
    /// When the environment's limit is no amount of memory.
    pub fn resources(&self, of_job: Option<u64>) -> Result<Resources, JobError> {
        let variable = std::env::var(MEMORY_LIMIT).ok().filter(|value| !value.trim().is_empty());
        let from_environment = variable
            .map(|value| parse_bytes(&value))
            .transpose()
            .map_err(|reason| JobError::new(FailureKind::Usage, format!("{MEMORY_LIMIT}: {reason}")))?;
        Ok(Resources { device: self.device, memory_limit: self.memory_limit.or(of_job).or(from_environment) })
    }
}

const MEMORY_LIMIT: &str = "LORA_EDIT_MEMORY_LIMIT";

/// Where the cache lies.
#[derive(Debug, Clone, Args)]
pub struct CacheArgs {
    /// The cache folder [default: LORA_EDIT_CACHE, else lora-edit in the user's cache folder].
    #[arg(long = "cache", value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn frames_may_be_negative() {
        let words =
            ["lora-edit", "edit", "--source", "s", "--edited", "e", "--output", "o", "--frames", "-5--1"];
        let Command::Edit(args) = Cli::parse_from(words).command else { panic!("not an edit") };
        assert_eq!(args.frames, "-5--1");
    }

    #[test]
    fn hold_keys_can_be_switched_off() {
        let needed =
            ["lora-edit", "edit", "--source", "s", "--edited", "e", "--output", "o", "--frames", "1-5"];
        let parse = |more: &[&str]| match Cli::parse_from(needed.iter().chain(more)).command {
            Command::Edit(args) => args.hold_keys,
            other => panic!("{other:?}"),
        };
        assert!(parse(&[]));
        assert!(parse(&["--hold-keys"]));
        assert!(!parse(&["--hold-keys", "false"]));
        assert!(!parse(&["--hold-keys=false"]));
    }
}
