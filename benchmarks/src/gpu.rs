//! Cases on a GPU: `--gpu CASE,... REPEAT`. `peer.py` speaks the same.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::Result;
use candle_core::Device;
use lora_edit_model::device::{DeviceWish, choose};
use lora_edit_model::plan::free_memory;
use lora_edit_model::{TransformerConfig, Weights};
use serde_json::{Value, json};

use crate::cases::{Case, Sizes};
use crate::place::Place;
use crate::streamed::matrices;
use crate::worker::median;

/// Runs each case of `names` (with commas between) once to warm up and then `repeat` times. Prints a line of JSON as soon
/// as there is something to say, so that a run that is cut short leaves what it got: seconds of building, of the first
/// call and of each call, then their median and the most memory taken from the GPU, in MB (10^6 bytes). What was taken
/// stays with the process, so that of several cases the largest is to come last.
pub fn run(names: &str, repeat: usize) -> Result<()> {
    let cases = Sizes::read(include_str!("../gpu.json"))?.cases();
    let device = choose(DeviceWish::Cuda(0))?;
    let free = free_memory(&device)?;
    for name in names.split(',') {
        if let Err(error) = measure(&cases, name, repeat.max(1), &device, free) {
            tell(name, "error", &json!(format!("{error:#}")));
        }
    }
    Ok(())
}

fn measure(cases: &[Case], name: &str, repeat: usize, device: &Device, free: Option<u64>) -> Result<()> {
    let tell = |what, value| tell(name, what, &value);
    let (mut run, seconds) = timed(|| Case::build(cases, name, device))?;
    tell("build_s", json!(seconds));
    tell("built_mb", json!(taken(device, free)?));
    tell("first_s", json!(timed(&mut run)?.1));
    let mut times = Vec::with_capacity(repeat);
    for _ in 0..repeat {
        let ((), seconds) = timed(&mut run)?;
        tell("s", json!(seconds));
        tell("peak_mb", json!(taken(device, free)?));
        times.push(seconds);
    }
    tell("median_s", json!(median(&mut times)));
    Ok(())
}

fn tell(case: &str, what: &str, value: &Value) {
    println!("{}", json!({ "case": case, what: value }));
}

fn timed<T>(f: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let began = Instant::now();
    let done = f()?;
    Ok((done, began.elapsed().as_secs_f64()))
}

/// Bytes less on `device` than the `free` of before, in MB; none where it does not tell.
fn taken(device: &Device, free: Option<u64>) -> Result<Option<f64>> {
    device.synchronize()?;
    Ok(free.zip(free_memory(device)?).map(|(before, now)| (before as f64 - now as f64) / 1e6))
}

/// Weights that are made on the GPU: the large matrices, the same ones for every block, so that they are made at once and
/// hold little beside the network's own copies. The rest as [`Weights::random`].
pub fn weights(config: &TransformerConfig, device: &Device) -> Result<Weights> {
    let (dim, mut place) = (config.dim(), Place::of_transformer(device, 1));
    let others = [
        ("time_projection.1.weight".to_owned(), [6 * dim, dim]),
        ("text_embedding.0.weight".to_owned(), [dim, config.text_dim]),
        ("text_embedding.2.weight".to_owned(), [dim, dim]),
    ];
    let all = matrices(config);
    let of_block = all.len() / config.num_layers.max(1);
    let mut make = |shape: &[usize; 2]| place.normal(shape)? / (shape[1] as f64).sqrt();
    let made =
        all[..of_block].iter().map(|(_, shape)| make(shape)).collect::<candle_core::Result<Vec<_>>>()?;
    let blocks = all.iter().zip(made.iter().cycle());
    let mut tensors: HashMap<_, _> = blocks.map(|((name, _), t)| (name.clone(), t.clone())).collect();
    for (name, shape) in others {
        tensors.insert(name, make(&shape)?);
    }
    Ok(Weights::from_tensors(tensors).or_random(1))
}
