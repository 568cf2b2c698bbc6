//! Milliseconds of the networks at the embedded model's sizes, with random weights:
//! `cargo run -p lora-edit-model --example speed`.

use std::collections::HashMap;
use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor, Var};
use lora_edit_model::error::Loaded;
use lora_edit_model::flow::NoiseStream;
use lora_edit_model::kernels::settle_threads;
use lora_edit_model::{LowRank, ModelError, TransformerConfig, VaeConfig, WanTransformer, WanVae, Weights};

const RUNS: usize = 8;
const RANK: usize = 16;

fn main() -> anyhow::Result<()> {
    settle_threads();
    lora_edit_model::kernels::settle_memory();
    let mut random = NoiseStream::new(1);
    transformer(&mut random)?;
    vae(&mut random)
}

fn transformer(random: &mut NoiseStream) -> anyhow::Result<()> {
    let config = TransformerConfig {
        num_attention_heads: 4,
        attention_head_dim: 48,
        text_dim: 32,
        ffn_dim: 768,
        num_layers: 8,
        ..TransformerConfig::default()
    };
    let mut model = with_random_weights(random, |w| WanTransformer::load(w, config.clone()))?;
    let x = random.normal((1, 36, 5, 16, 24))?;
    let (t, text) =
        (Tensor::new(&[500f32], &Device::Cpu)?, Tensor::zeros((1, 1, 32), DType::F32, &Device::Cpu)?);
    let forward = |model: &WanTransformer| model.forward(&x, &t, &text, None);
    report("transformer, 480 tokens, forward", || forward(&model))?;
    let vars = attach(&mut model, random)?;
    report("transformer with adapter, forward", || forward(&model))?;
    report("transformer with adapter, forward and backward", || {
        let gradients = forward(&model)?.sqr()?.mean_all()?.backward()?;
        vars.iter().try_fold(0.0, |sum, var| match gradients.get(var) {
            Some(gradient) => Ok(sum + gradient.sqr()?.sum_all()?.to_scalar::<f32>()?),
            None => candle_core::bail!("a low-rank tensor got no gradient"),
        })
    })?;
    Ok(())
}

fn vae(random: &mut NoiseStream) -> anyhow::Result<()> {
    let config = VaeConfig {
        base_dim: 16,
        decoder_base_dim: Some(32),
        dim_mult: vec![1, 2, 4],
        num_res_blocks: 1,
        temperal_downsample: vec![true, true],
        in_channels: 12,
        out_channels: 12,
        patch_size: Some(2),
        ..VaeConfig::default()
    };
    let vae = with_random_weights(random, |w| WanVae::load(w, config.clone()))?;
    let video = random.normal((1, 3, 17, 128, 192))?;
    report("VAE, 17 frames of 192x128, encode", || vae.encode(&video))?;
    let latent = random.normal((1, 16, 5, 16, 24))?;
    report("VAE, 17 frames of 192x128, decode", || vae.decode(&latent))?;
    Ok(())
}

/// Wall and processor time of one run, after one to warm up; the latter counts where machines are shared.
fn report<T>(what: &str, mut run: impl FnMut() -> Result<T>) -> Result<()> {
    run()?;
    let mut best = f64::MAX;
    let before = processor_ms();
    for _ in 0..RUNS {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
    }
    let processor = (processor_ms() - before) / RUNS as f64;
    println!("{what}: best of {RUNS} {best:.1} ms, processor time {processor:.1} ms");
    Ok(())
}

/// Processor time of all threads so far, in ticks of 10 ms; 0 where the system has no such file.
fn processor_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>()
        * 10.0
}

/// Hangs a trainable pair on every linear layer of every block.
fn attach(model: &mut WanTransformer, random: &mut NoiseStream) -> Result<Vec<Var>> {
    let mut vars = Vec::new();
    for (_, linear) in model.linears_mut() {
        let a = Var::from_tensor(&(random.normal((RANK, linear.inputs()))? * 0.05)?)?;
        let b = Var::from_tensor(&(random.normal((linear.outputs(), RANK))? * 0.05)?)?;
        linear.low_rank.push(LowRank { a: a.as_tensor().clone(), b: b.as_tensor().clone(), scale: 1.0 });
        vars.extend([a, b]);
    }
    Ok(vars)
}

/// Loads a network again and again, each time with one more of the tensors it asks for.
fn with_random_weights<T>(
    random: &mut NoiseStream,
    load: impl Fn(&Weights) -> Loaded<T>,
) -> anyhow::Result<T> {
    let mut tensors = HashMap::new();
    loop {
        match load(&Weights::from_tensors(tensors.clone())) {
            Ok(network) => return Ok(network),
            Err(ModelError::MissingTensor { name, .. }) => {
                tensors.insert(name, Tensor::zeros((), DType::F32, &Device::Cpu)?);
            }
            Err(ModelError::WrongShape { name, expected, .. }) => {
                let fan_in = expected.iter().skip(1).product::<usize>().max(1) as f64;
                tensors.insert(name, (random.normal(expected)? / fan_in.sqrt())?);
            }
            Err(error) => return Err(error.into()),
        }
    }
}
