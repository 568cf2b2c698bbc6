//! The flags of `lora-edit edit`.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use lora_edit_shot::job::{Shown, Targets};

use super::{CacheArgs, MachineArgs};

pub(super) const EDIT_EXAMPLES: &str = "Examples:
  A shot of 25 frames, its roto mask, and frame 1001 painted over:
    lora-edit edit --source 'plate.%04d.exr' --mask 'roto.%04d.exr' --edited 'painted.%04d.exr' \\
        --keys 1001 --frames 1001-1025 --output 'out/result.%04d.exr'

  An 8-bit painting of one still, over a scene-linear plate:
    lora-edit edit --source 'plate.####.exr' --mask 'roto.####.exr' --edited painted.png \\
        --edit-space srgb --frames 1001-1025 --output 'out/result.####.exr'

  A model from ComfyUI's folder, a prompt, and a LoRA for few steps:
    lora-edit edit --source 'plate.####.exr' --mask 'roto.####.exr' --edited painted.####.exr --frames 1001-1049 \\
        --output 'out/result.####.exr' --model wan2.1-i2v-14b-480p --model-dir /comfyui/models \\
        --prompt 'a red car turns the corner' --lora distill.safetensors:1.0 --sampler-steps 4 --guidance 1

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
    #[command(flatten)]
    #[allow(missing_docs)]
    pub model: ModelArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub cache: CacheArgs,
    /// Events as JSON lines on stdout, no progress bar; the last line sums up.
    #[arg(long)]
    pub json: bool,
}

/// Which base model, and how the adapter is trained on it.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// The base model's name; see `lora-edit models list`.
    #[arg(long, default_value = "nano", help_heading = "Model")]
    pub model: String,
    /// The folder in which base models lie.
    #[arg(long, value_name = "DIR", help_heading = "Model")]
    pub model_dir: Option<PathBuf>,
    /// Training steps, of a model with two experts those of each [default: the model's].
    #[arg(long, value_name = "N", value_parser = at_least_one(), help_heading = "Model")]
    pub train_steps: Option<usize>,
    /// Rank of the adapter [default: the model's].
    #[arg(long, value_name = "N", value_parser = at_least_one(), help_heading = "Model")]
    pub rank: Option<usize>,
    /// Layers of each block to adapt: a list of self_attn, cross_attn and ffn with commas; fewer learn less and are smaller
    /// [default: all three, as published].
    #[arg(long, value_name = "LIST", help_heading = "Model")]
    pub targets: Option<Targets>,
    /// Learning rate [default: the model's].
    #[arg(long, value_name = "RATE", value_parser = positive, allow_negative_numbers = true, help_heading = "Model")]
    pub learning_rate: Option<f64>,
    /// Weight of the training loss inside the mask; 1 is plain [default: the model's].
    #[arg(long, value_name = "W", value_parser = positive, allow_negative_numbers = true, help_heading = "Model")]
    pub mask_loss_weight: Option<f64>,
    /// What the unedited plate shows, in words: heard in training, by models that take text.
    #[arg(long, value_name = "TEXT", help_heading = "Model")]
    pub source_prompt: Option<String>,
    /// What is put before both prompts, of models that take text: a word for this shot; '' for none [default: the model's,
    /// p3rs0n, of published ones].
    #[arg(long, value_name = "TEXT", help_heading = "Model")]
    pub prompt_prefix: Option<String>,
    /// Recoloured variants of the plate to train on beside it, 0 as published [default: the model's].
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub look_variants: Option<usize>,
    /// Train on overlapping windows of this many frames, 4n+1, in less memory; 0 is the whole shot, as far as model and
    /// memory take it [default: the model's].
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub train_window: Option<usize>,
    /// Rounds of stage 2, which learns the look from later key frames and references; 10 as published, 0 leaves it out
    /// [default: the model's, 10 with references].
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub stage2_epochs: Option<usize>,
    /// Learning rate of stage 2 as a part of that of stage 1 [default: the model's].
    #[arg(long, value_name = "PART", value_parser = positive, help_heading = "Model")]
    pub stage2_rate: Option<f64>,
    /// Take an earlier step's adapter where the training came apart after it; false takes the last always.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL", num_args = 0..=1,
          default_missing_value = "true", help_heading = "Model")]
    pub keep_best: bool,
    /// Training steps from one checkpoint to the next [default: by time, about every 30 s].
    #[arg(long, value_name = "N", value_parser = at_least_one(), help_heading = "Model")]
    pub checkpoint_every: Option<usize>,
    /// Draw at checkpoints what the adapter makes of the unedited shot so far, into checkpoints in the cache: a tenth of the
    /// training's time at most, and the same adapter. None of a model with two experts.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL", num_args = 0..=1,
          default_missing_value = "true", help_heading = "Model")]
    pub previews: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub machine: MachineArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub generation: GenerationArgs,
}

/// How the result is sampled.
#[derive(Debug, Args)]
pub struct GenerationArgs {
    /// Sampling steps [default: the model's].
    #[arg(long, value_name = "N", value_parser = at_least_one(), help_heading = "Generation")]
    pub sampler_steps: Option<usize>,
    /// Sampling method [default: the model's].
    #[arg(long, value_enum, help_heading = "Generation")]
    pub sampler: Option<SamplerName>,
    /// Shift of the sampling schedule towards noise, 1 for none [default: the model's].
    #[arg(long, value_name = "N", value_parser = positive, help_heading = "Generation")]
    pub shift: Option<f64>,
    /// What the edited shot shows, in words, for models that take text.
    #[arg(long, value_name = "TEXT", help_heading = "Generation")]
    pub prompt: Option<String>,
    /// What guidance leads away from, in words [default: Wan's own].
    #[arg(long, value_name = "TEXT", help_heading = "Generation")]
    pub negative_prompt: Option<String>,
    /// How far the result follows the prompt; 1 asks the model once a step instead of twice [default: the model's].
    #[arg(long, value_name = "N", value_parser = finite, allow_negative_numbers = true, help_heading = "Generation")]
    pub guidance: Option<f64>,
    /// Guidance of the low-noise expert of wan2.2-i2v-a14b [default: as --guidance].
    #[arg(long, value_name = "N", value_parser = finite, allow_negative_numbers = true, help_heading = "Generation")]
    pub guidance_low: Option<f64>,
    /// A LoRA to add beside the shot's adapter, in any usual spelling; may be given several times. Of a model with two
    /// experts, one whose name says high_noise or low_noise goes to that expert alone.
    #[arg(long, value_name = "PATH[:STRENGTH]", help_heading = "Generation")]
    pub lora: Vec<String>,
    /// Reuse steps at which the first block changes less than this, 0 for none: faster, not exact. Measured on the
    /// embedded model at 20 UniPC steps: 0.05 reuses 7 steps at 0.7 % RMS error of the latent, 0.1 reuses 11 at 4 %.
    #[arg(long, default_value_t = 0.0, value_name = "N", value_parser = not_negative, help_heading = "Generation")]
    pub step_cache: f64,
    /// Carry the painted frames along the plate's own motion, so that the model generates only what they do not show
    /// [default: the model's; on for nano].
    #[arg(long, action = clap::ArgAction::Set, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          help_heading = "Generation")]
    pub carry: Option<bool>,
    /// What the model is shown: whole, first-frame (as plain image-to-video) or surroundings (no painted frame). Only to
    /// measure what each is worth.
    #[arg(
        long,
        default_value = "whole",
        value_name = "PART",
        hide_short_help = true,
        help_heading = "Generation"
    )]
    pub shown: Shown,
    /// Seed of the generation: another seed, another take from the same adapter.
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = "Generation")]
    pub seed: u64,
    /// Generate with the base model alone, untrained on this shot: to see what the adapter is worth.
    #[arg(long, help_heading = "Generation")]
    pub without_adapter: bool,
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
    /// DPM-Solver++(2M), second order.
    Dpmpp,
}

pub(super) fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(value),
        _ => Err("a number above 0".into()),
    }
}

fn finite(text: &str) -> Result<f64, String> {
    text.parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(|| "a number".into())
}

fn not_negative(text: &str) -> Result<f64, String> {
    finite(text).ok().filter(|value| *value >= 0.0).ok_or_else(|| "a number from 0 on".into())
}

fn unit_interval(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("a number from 0 to 1".into()),
    }
}
