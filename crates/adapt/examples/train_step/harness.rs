//! The flags of `train_step` and what it does with them; the tests run it from here.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor, Var};
use clap::Parser;
use lora_edit_adapt::{Adapter, TrainInput, loss_and_gradients};
use lora_edit_model::{Memory, Placement, Residency, WanTransformer};

/// One loss and its gradient by every adapter tensor: x = (1 - t/1000) latents + t/1000 noise joined with the condition,
/// loss = mean((v - (noise - latents))^2), pairs unscaled (alpha = rank). In f32 on the CPU.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// The transformer: a folder in diffusers' layout, or a file; `config.json` lies in the folder or beside the file,
    /// else the sizes are told by the tensors.
    #[arg(long, value_name = "PATH")]
    pub weights: PathBuf,
    /// The adapter, in any spelling.
    #[arg(long, value_name = "FILE")]
    pub adapter: PathBuf,
    /// latents (clean), noise, condition (mask, then latent; none for a network without), timestep in 0..1000,
    /// encoder_hidden_states, and encoder_hidden_states_image where the network takes it.
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// The file to write: `loss`, and `grad.KEY` for every KEY of an A or B in the adapter's file.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Keep the blocks' inputs alone, and compute each block again for its gradient.
    #[arg(long)]
    pub recompute: bool,
    /// Leave the blocks in their file, and bring each in while it is computed with; computes again too.
    #[arg(long)]
    pub offload: bool,
}

/// A file's tensors.
struct Tensors(HashMap<String, Tensor>);

/// Reads the files, takes the step and writes what came of it.
///
/// # Errors
/// When a file cannot be read or written, an input is missing or does not fit, or a key names no layer's pair.
pub fn run(args: &Args) -> Result<()> {
    let residency = if args.offload { Residency::Streamed } else { Residency::Resident };
    let memory = Memory { residency, recompute: args.recompute };
    let mut model = WanTransformer::open_with(&args.weights, &Placement::default(), &memory)?;
    let adapter = attached(&mut model, &args.adapter)?;
    let inputs = Tensors::read(&args.input)?;
    let (input, sigma) = (inputs.sample()?, inputs.time()? / 1000.0);
    let (loss, gradients) =
        loss_and_gradients(&model, &adapter, &input, &inputs.float("noise")?, sigma, 1.0)?;

    let variables = adapter.parameters();
    let gradient_of = |var: &Var| variables.iter().position(|(_, other)| other.id() == var.id());
    let mut out = HashMap::from([("loss".to_owned(), loss)]);
    for key in Tensors::read(&args.adapter)?.0.into_keys() {
        if let Some(i) = adapter.tensor_of_key(&key).and_then(gradient_of) {
            out.insert(format!("grad.{key}"), gradients[i].clone());
        }
    }
    ensure!(out.len() == 1 + variables.len(), "keys of the adapter's file that mean the same tensor");
    candle_core::safetensors::save(&out, &args.output).with_context(|| args.output.display().to_string())
}

/// The adapter in `file`, on `model` with pairs that count once.
fn attached(model: &mut WanTransformer, file: &Path) -> Result<Adapter> {
    let adapter = Adapter::load(file)?;
    ensure!(
        adapter.ignored().is_empty(),
        "{}: not of a block's pair: {:?}",
        file.display(),
        adapter.ignored()
    );
    adapter.attach(model, 1.0)?;
    let pairs = model.linears_mut().into_iter().flat_map(|(_, linear)| &mut linear.low_rank);
    pairs.for_each(|pair| pair.scale = 1.0);
    Ok(adapter)
}

impl Tensors {
    fn read(path: &Path) -> Result<Self> {
        let tensors = candle_core::safetensors::load(path, &Device::Cpu);
        Ok(Self(tensors.with_context(|| path.display().to_string())?))
    }

    /// As f32, in which the network computes.
    fn float(&self, name: &str) -> Result<Tensor> {
        let tensor = self.0.get(name).with_context(|| format!("no {name} in the input file"))?;
        Ok(tensor.to_dtype(DType::F32)?)
    }

    fn optional_float(&self, name: &str) -> Result<Option<Tensor>> {
        self.0.contains_key(name).then(|| self.float(name)).transpose()
    }

    fn sample(&self) -> Result<TrainInput> {
        let latents = self.float("latents")?;
        let (batch, _, frames, rows, columns) = latents.dims5().context("latents")?;
        let condition = match self.optional_float("condition")? {
            Some(condition) => condition,
            None => Tensor::zeros((batch, 0, frames, rows, columns), DType::F32, &Device::Cpu)?,
        };
        let text = self.float("encoder_hidden_states")?;
        let image = self.optional_float("encoder_hidden_states_image")?;
        Ok(TrainInput { latents, condition, text, image, loss_weight: None })
    }

    /// The one time of all clips.
    fn time(&self) -> Result<f64> {
        let times = self.float("timestep")?.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
        let time = *times.first().context("timestep is empty")?;
        ensure!((0.0..=1000.0).contains(&time), "timestep {time} is not in 0..1000");
        ensure!(times.iter().all(|other| *other == time), "clips of different times: {times:?}");
        Ok(time)
    }
}
