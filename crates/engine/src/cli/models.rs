//! The flags of `lora-edit models`.

use std::path::PathBuf;

use clap::Subcommand;

use super::MachineArgs;
use super::edit::at_least_one;

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
    /// Say where one model's parts are, and its fingerprint: what the plug-in asks.
    #[command(after_help = "Example:
  lora-edit models locate wan2.1-i2v-14b-480p --json

Exit codes: 0 complete, 6 missing or incomplete.")]
    Locate {
        /// The model's name; see `lora-edit models list`.
        name: String,
        /// The folder in which base models lie.
        #[arg(long, value_name = "DIR")]
        model_dir: Option<PathBuf>,
        /// One JSON object instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// What a job would hold in memory, stage by stage, and how it would be done: from headers alone.
    #[command(after_help = "Examples:
  lora-edit models plan wan2.1-i2v-14b-480p --memory-limit 12GiB
  lora-edit models plan wan2.1-fun-1.3b-inp --frames 49 --size 832x480 --memory-limit 8GiB

Exit codes: 0 it fits, 5 it does not: says what would, 6 model files.")]
    Plan {
        /// The model's name; see `lora-edit models list`.
        name: String,
        /// The folder in which base models lie.
        #[arg(long, value_name = "DIR")]
        model_dir: Option<PathBuf>,
        /// Frames of the shot.
        #[arg(long, value_name = "N", default_value_t = 49, value_parser = at_least_one())]
        frames: usize,
        /// Size of the working pictures [default: the model's, 16:9].
        #[arg(long, value_name = "WxH", value_parser = size)]
        size: Option<[usize; 2]>,
        #[command(flatten)]
        #[allow(missing_docs)]
        machine: MachineArgs,
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

/// `832x480`: columns and rows.
fn size(text: &str) -> Result<[usize; 2], String> {
    let sides = text.split_once('x').map(|(width, height)| [width.parse(), height.parse()]);
    match sides {
        Some([Ok(width), Ok(height)]) if width > 0 && height > 0 => Ok([width, height]),
        _ => Err("WIDTHxHEIGHT, such as 832x480".into()),
    }
}
