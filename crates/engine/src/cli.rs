//! The command line: every flag, its help, the examples and the exit codes.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use lora_edit_model::DeviceWish;

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
  HF_ENDPOINT, HF_TOKEN, HF_HOME  the Hugging Face hub, its token, its cache
  RUST_LOG          what to log on stderr, for example lora_edit=debug";

const EDIT_EXAMPLES: &str = "Examples:
  A shot of 25 frames, its roto mask, and frame 1001 painted over:
    lora-edit edit --source 'plate.%04d.exr' --mask 'roto.%04d.exr' --edited 'painted.%04d.exr' \\
        --keys 1001 --frames 1001-1025 --output 'out/result.%04d.exr'

  An 8-bit painting of one still, over a scene-linear plate:
    lora-edit edit --source 'plate.####.exr' --mask 'roto.####.exr' --edited painted.png \\
        --edit-space srgb --frames 1001-1025 --output 'out/result.####.exr'

  A long shot with three frames painted, and a still of the same thing from behind:
    lora-edit edit --source 'plate.####.exr' --mask 'roto.####.exr' --edited 'painted.####.exr' \\
        --keys 1010,1042,1090 --reference behind.png --frames 1001-1100 --output 'out/result.####.exr'

What comes before the first key is made backwards from it. A shot longer than the model takes is made in overlapping \
passes.

The adapter belongs to the plate and its mask, not to the painting: repaint the first key, run the same command, and only \
the generation is done anew. With nothing changed, nothing is computed. Ctrl-C stops after a checkpoint; the same \
command goes on.

Patterns: %04d, #### (as many digits as signs), @@@@, or the path of a single still.
Frames:   1001-1100, 1001-1100x2, 1001-1100:2, and lists of these with commas.

Exit codes: 0 done, 1 other, 2 usage, 3 input frame, 5 device or memory, 6 model files, 7 adapter held by another \
process, 143 stopped after a checkpoint.";

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

/// `lora-edit edit`
#[derive(Debug, Args)]
pub struct EditArgs {
    /// The plate, as a pattern.
    #[arg(long, value_name = "PATTERN", help_heading = "Pictures")]
    pub source: String,
    /// The roto mask, as a pattern: alpha if the file has one, else red. Without it the whole frame is edited.
    #[arg(long, value_name = "PATTERN", help_heading = "Pictures")]
    pub mask: Option<String>,
    /// The painted frame or frames, as a pattern, or the path of one still.
    #[arg(long, value_name = "PATTERN", help_heading = "Pictures")]
    pub edited: String,
    /// Painted stills off the timeline, such as another view of the same thing: the path of one, or a pattern of all that
    /// are there. The alpha says what counts; the look is learnt from them in stage 2.
    #[arg(long, value_name = "PATTERN", help_heading = "Pictures")]
    pub reference: Vec<String>,
    /// The result, as a pattern. EXR, 32-bit float, so that the plate stays bit-exact outside the mask.
    #[arg(long, value_name = "PATTERN", help_heading = "Pictures")]
    pub output: String,
    /// The shot's frames.
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true, help_heading = "Pictures")]
    pub frames: String,
    /// The frames at which --edited counts, any of the shot's [default: the first frame].
    #[arg(long, value_name = "LIST", allow_hyphen_values = true, help_heading = "Pictures")]
    pub keys: Option<String>,
    /// What the numbers in --source mean.
    #[arg(long, value_enum, default_value_t = Space::Linear, help_heading = "Colour and mask")]
    pub input_space: Space,
    /// What the numbers in --edited mean [default: as --input-space].
    #[arg(long, value_enum, help_heading = "Colour and mask")]
    pub edit_space: Option<Space>,
    /// Edit outside the mask instead of inside.
    #[arg(long, help_heading = "Colour and mask")]
    pub mask_invert: bool,
    /// How much of the edit to lay over the plate: 0 none, 1 all.
    #[arg(long, default_value_t = 1.0, value_parser = unit_interval, help_heading = "Colour and mask")]
    pub mix: f32,
    /// Show the painting itself, inside the mask, at its own frames.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL", num_args = 0..=1,
          default_missing_value = "true", help_heading = "Colour and mask")]
    pub hold_keys: bool,
    /// The base model's name; see `lora-edit models list`.
    #[arg(long, default_value = "nano", help_heading = "Model")]
    pub model: String,
    /// The folder in which base models lie.
    #[arg(long, value_name = "DIR", help_heading = "Model")]
    pub model_dir: Option<PathBuf>,
    /// Training steps [default: the model's].
    #[arg(long, value_name = "N", value_parser = at_least_one(), help_heading = "Model")]
    pub train_steps: Option<usize>,
    /// Rank of the adapter [default: the model's].
    #[arg(long, value_name = "N", value_parser = at_least_one(), help_heading = "Model")]
    pub rank: Option<usize>,
    /// Learning rate [default: the model's].
    #[arg(long, value_name = "RATE", value_parser = positive, allow_negative_numbers = true, help_heading = "Model")]
    pub learning_rate: Option<f64>,
    /// Weight of the training loss inside the mask; 1 is plain [default: the model's].
    #[arg(long, value_name = "W", help_heading = "Model")]
    pub mask_loss_weight: Option<f64>,
    /// Recoloured variants of the plate to train on beside it, 0 as published [default: the model's].
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub look_variants: Option<usize>,
    /// Train on overlapping windows of this many frames, 4n+1, in less memory; 0 is the whole shot [default: the model's].
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub train_window: Option<usize>,
    /// Rounds of stage 2, which learns the look from later key frames and references; 10 as published, 0 leaves it out
    /// [default: the model's, 10 with references].
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub stage2_epochs: Option<usize>,
    /// Learning rate of stage 2 as a part of that of stage 1 [default: the model's].
    #[arg(long, value_name = "PART", value_parser = positive, help_heading = "Model")]
    pub stage2_rate: Option<f64>,
    /// Sampling steps [default: the model's].
    #[arg(long, value_name = "N", value_parser = at_least_one(), help_heading = "Model")]
    pub sampler_steps: Option<usize>,
    /// Sampling method [default: the model's].
    #[arg(long, value_enum, help_heading = "Model")]
    pub sampler: Option<SamplerName>,
    /// Seed of the generation: another seed, another take from the same adapter.
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = "Model")]
    pub seed: u64,
    /// Generate with the base model alone, untrained on this shot: to see what the adapter is worth.
    #[arg(long, help_heading = "Model")]
    pub without_adapter: bool,
    /// What to compute on: auto, cpu, cuda, cuda:N or metal; auto is an NVIDIA GPU if there is one, else the CPU.
    #[arg(long, default_value_t = DeviceWish::Auto, value_name = "DEVICE", help_heading = "Model")]
    pub device: DeviceWish,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub cache: CacheArgs,
    /// Events as JSON lines on stdout, no progress bar; the last line sums up.
    #[arg(long)]
    pub json: bool,
}

/// `lora-edit work`
#[derive(Debug, Args)]
pub struct WorkArgs {
    /// The job's folder, or its id in the cache.
    #[arg(value_name = "JOB_DIR_OR_ID")]
    pub job: String,
    /// What to compute on: auto, cpu, cuda, cuda:N or metal; auto is an NVIDIA GPU if there is one, else the CPU.
    #[arg(long, default_value_t = DeviceWish::Auto, value_name = "DEVICE")]
    pub device: DeviceWish,
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

/// `lora-edit models`
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// Every base model: where its parts are, their number format and size, and what is missing.
    #[command(after_help = "Examples:
  lora-edit models list
  lora-edit models list --model-dir /comfyui/models

Searched in this order: --model-dir, LORA_EDIT_MODELS, the bundle this program lies in, the Hugging Face cache. Each \
may hold official folders, diffusers folders or a ComfyUI models tree; what a file is, its header tells.")]
    List {
        /// The folder in which base models lie.
        #[arg(long, value_name = "DIR")]
        model_dir: Option<PathBuf>,
    },
    /// Say what a weights file is, or all of them in a folder, and whether it is whole.
    #[command(after_help = "Examples:
  lora-edit models check wan2.1_i2v_480p_14B_fp8_scaled.safetensors
  lora-edit models check --deep /models/Wan2.2-TI2V-5B

Reads safetensors (sharded too, fp8 plain and scaled), GGUF and torch's .pth files; of those, headers only. Nothing in \
a .pth file is ever executed.

Exit codes: 0 all of it can be used, 6 something is broken, incomplete or unknown.")]
    Check {
        /// The file or folder.
        path: PathBuf,
        /// Read every number too, and look for NaN: minutes for a large model.
        #[arg(long)]
        deep: bool,
    },
    /// Download what a model lacks on this machine; goes on where an earlier attempt stopped.
    #[command(after_help = "Examples:
  lora-edit models fetch wan2.1-fun-1.3b-inp
  lora-edit models fetch wan2.1-i2v-14b-480p --model-dir /models

Fetched into DIR/NAME, where --model-dir or LORA_EDIT_MODELS names DIR, else into the Hugging Face cache. Sizes and \
SHA-256 sums are those the hub tells; a file that differs is deleted. HF_ENDPOINT names a mirror, HF_TOKEN a token.")]
    Fetch {
        /// The model's name; see `lora-edit models list`.
        name: String,
        /// The folder in which base models lie.
        #[arg(long, value_name = "DIR")]
        model_dir: Option<PathBuf>,
        /// Fetch every part, those found elsewhere too.
        #[arg(long)]
        all: bool,
    },
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
    /// All that is known about one adapter, as JSON.
    #[command(
        after_help = "Example:\n  lora-edit adapters show 0123\n\nExit codes: 0 done, 4 no such adapter."
    )]
    Show {
        /// The adapter's id, or its first characters.
        adapter: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        cache: CacheArgs,
    },
}

/// Where the cache lies.
#[derive(Debug, Clone, Args)]
pub struct CacheArgs {
    /// The cache folder [default: LORA_EDIT_CACHE, else lora-edit in the user's cache folder].
    #[arg(long = "cache", value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

/// What numbers in a file mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Space {
    /// Scene-linear light.
    Linear,
    /// Display values, as in 8-bit files.
    Srgb,
}

/// Sampling methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SamplerName {
    /// First order.
    Euler,
    /// Second order, predictor and corrector.
    Unipc,
}

fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(value),
        _ => Err("a number above 0".into()),
    }
}

fn unit_interval(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("a number from 0 to 1".into()),
    }
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
