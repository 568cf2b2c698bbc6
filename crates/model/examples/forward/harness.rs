//! The flags of `forward` and what it does with them; the tests run it from here.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};
use clap::{Args as Flags, Parser, ValueEnum};
use lora_edit_model::{
    ClipVision, ClipVisionConfig, TransformerConfig, Umt5Config, Umt5Encoder, VaeConfig, WanTransformer,
    WanVae, Weights,
};

#[path = "sampling.rs"]
mod sampling;

/// Runs one network on given inputs.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// Which network, or the whole denoising loop.
    #[arg(value_enum)]
    pub module: Module,
    /// A folder in diffusers' layout, or a file; `config.json` lies in the folder or beside the file, else the sizes
    /// are told by the tensors.
    #[arg(long, value_name = "PATH")]
    pub weights: PathBuf,
    /// A safetensors file with the inputs under diffusers' names.
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// The safetensors file to write, with the tensor `output`.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    #[command(flatten)]
    pub sampling: SamplingFlags,
}

/// Of `sample` alone. What is not given is as in the published code for such a network.
#[derive(Clone, Debug, Default, Flags)]
pub struct SamplingFlags {
    /// How steps are taken.
    #[arg(long, value_enum, default_value_t)]
    pub sampler: SamplerName,
    /// Whose noise levels and times.
    #[arg(long, value_enum, default_value_t)]
    pub schedule: ScheduleName,
    /// Number of steps.
    #[arg(long)]
    pub steps: Option<usize>,
    /// Shift of the noise levels.
    #[arg(long)]
    pub shift: Option<f64>,
    /// Guidance scale, of the high-noise expert where there are two; 1 skips the negative embeddings.
    #[arg(long)]
    pub guidance: Option<f64>,
    /// The low-noise expert.
    #[arg(long, value_name = "PATH")]
    pub low_weights: Option<PathBuf>,
    /// Guidance scale of the low-noise expert.
    #[arg(long)]
    pub low_guidance: Option<f64>,
    /// The noise level below which the low-noise expert is asked.
    #[arg(long)]
    pub boundary: Option<f64>,
    /// Reuses steps at which the first block's residual changes by less than this; changes the result.
    #[arg(long, value_name = "THRESHOLD")]
    pub step_cache: Option<f64>,
}

/// What is run, and its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Module {
    /// hidden_states, timestep (B) or (B, tokens), encoder_hidden_states, encoder_hidden_states_image where taken.
    Transformer,
    /// sample in [-1, 1]; gives the mean of the latent, not normalised.
    VaeEncode,
    /// latents, not normalised; gives pixels clamped to [-1, 1].
    VaeDecode,
    /// input_ids and attention_mask (B, L), whole numbers; gives the last hidden state.
    Umt5,
    /// pixel_values (B, 3, side, side); gives the penultimate hidden state.
    Clip,
    /// latents (the noise), encoder_hidden_states, negative_encoder_hidden_states, encoder_hidden_states_image, and as
    /// condition the mask and condition channels, or for a network without such channels the known first frames.
    Sample,
}

/// How steps are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SamplerName {
    Euler,
    #[default]
    Unipc,
    #[value(name = "dpm++")]
    DpmPp,
}

/// Whose noise levels and times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ScheduleName {
    /// The published code's.
    #[default]
    Wan,
    /// Diffusers' schedulers' with `flow_shift` (Euler: `shift`).
    Diffusers,
    /// As the published code's, without its rounding.
    Exact,
}

/// The input file's tensors.
pub struct Inputs(HashMap<String, Tensor>);

/// Reads the inputs, runs the module and writes the output.
///
/// # Errors
/// When a file cannot be read or written, or an input is missing or does not fit.
pub fn run(args: &Args) -> Result<()> {
    let inputs = Inputs::read(&args.input)?;
    let output = match args.module {
        Module::Transformer => transformer(&args.weights, &inputs)?,
        Module::VaeEncode => open_vae(&args.weights)?.encode(&inputs.float("sample")?)?,
        Module::VaeDecode => open_vae(&args.weights)?.decode(&inputs.float("latents")?)?,
        Module::Umt5 => umt5(&args.weights, &inputs)?,
        Module::Clip => open_clip(&args.weights)?.penultimate(&inputs.float("pixel_values")?)?,
        Module::Sample => sampling::sample(&args.weights, &inputs, &args.sampling)?,
    };
    let output = output.to_dtype(DType::F32)?.contiguous()?;
    candle_core::safetensors::save(&HashMap::from([("output", output)]), &args.output)
        .with_context(|| args.output.display().to_string())
}

fn transformer(weights: &Path, inputs: &Inputs) -> Result<Tensor> {
    let image = inputs.optional_float("encoder_hidden_states_image")?;
    let (x, text) = (inputs.float("hidden_states")?, inputs.float("encoder_hidden_states")?);
    let model = open_transformer(weights)?;
    Ok(model.forward(&x, &inputs.tensor("timestep")?, &text, image.as_ref())?)
}

pub fn open_transformer(path: &Path) -> Result<WanTransformer> {
    let weights = Weights::open(path)?;
    let config = match config_file(path) {
        Some(file) => TransformerConfig::read(&file)?,
        None => TransformerConfig::detect(&weights)?,
    };
    Ok(WanTransformer::load(&weights, config)?)
}

fn open_vae(path: &Path) -> Result<WanVae> {
    let weights = Weights::open(path)?;
    let config = match config_file(path) {
        Some(file) => VaeConfig::read(&file)?,
        None => VaeConfig::detect(&weights)?,
    };
    Ok(WanVae::load(&weights, config)?)
}

fn umt5(path: &Path, inputs: &Inputs) -> Result<Tensor> {
    let (ids, mask) = (inputs.tensor("input_ids")?, inputs.tensor("attention_mask")?);
    let encoder = match config_file(path) {
        Some(file) => Umt5Encoder::load(&Weights::open(path)?, Umt5Config::read(&file)?)?,
        None => Umt5Encoder::open(path)?,
    };
    Ok(encoder.forward(&ids, &mask)?)
}

fn open_clip(path: &Path) -> Result<ClipVision> {
    Ok(match config_file(path) {
        Some(file) => ClipVision::load(&Weights::open(path)?, ClipVisionConfig::read(&file)?)?,
        None => ClipVision::open(path)?,
    })
}

/// The `config.json` in a folder or beside a file, if there is one.
fn config_file(weights: &Path) -> Option<PathBuf> {
    let folder = if weights.is_dir() { weights } else { weights.parent()? };
    Some(folder.join("config.json")).filter(|file| file.is_file())
}

impl Inputs {
    fn read(path: &Path) -> Result<Self> {
        let tensors = candle_core::safetensors::load(path, &Device::Cpu);
        Ok(Self(tensors.with_context(|| path.display().to_string())?))
    }

    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        self.0.get(name).cloned().with_context(|| format!("no {name} in the input file"))
    }

    /// As f32, in which the networks compute.
    pub fn float(&self, name: &str) -> Result<Tensor> {
        let tensor = self.tensor(name)?;
        ensure!(tensor.dtype().is_float(), "{name} is {:?}, not a float", tensor.dtype());
        Ok(tensor.to_dtype(DType::F32)?)
    }

    pub fn optional_float(&self, name: &str) -> Result<Option<Tensor>> {
        self.0.contains_key(name).then(|| self.float(name)).transpose()
    }
}
