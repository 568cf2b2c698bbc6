//! What the tests share: the fixtures, a tiny transformer and a sample for it.
#![allow(dead_code, clippy::unwrap_used)] // each test file uses a part

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::{Device, Tensor};
use lora_edit_adapt::{Adapter, AdapterConfig, TrainInput};
use lora_edit_model::{Memory, Placement, TransformerConfig, WanTransformer, Weights, flow};

/// One network of `fixtures/make.py` with what peft made of it.
pub struct Fixture {
    tensors: HashMap<String, Tensor>,
    metadata: HashMap<String, String>,
}

/// The path of a committed file.
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("{name}.safetensors"))
}

impl Fixture {
    pub fn read(name: &str) -> Self {
        let bytes = std::fs::read(path(name)).unwrap();
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).unwrap();
        Self { tensors, metadata: header.metadata().clone().unwrap() }
    }

    pub fn tensor(&self, name: &str) -> Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("no {name} in the fixture")).clone()
    }

    /// The tensors whose names begin with `prefix`, without it.
    pub fn below(&self, prefix: &str) -> HashMap<String, Tensor> {
        let named = |(name, t): (&String, &Tensor)| Some((name.strip_prefix(prefix)?.to_owned(), t.clone()));
        self.tensors.iter().filter_map(named).collect()
    }

    pub fn metadata(&self, key: &str) -> &str {
        &self.metadata[key]
    }

    /// CLIP states, where the network takes them.
    pub fn image(&self) -> Option<Tensor> {
        self.tensors.get("image").cloned()
    }

    pub fn model(&self) -> WanTransformer {
        self.model_on(&Placement::default())
    }

    pub fn model_on(&self, placement: &Placement) -> WanTransformer {
        self.model_with(placement, &Memory::default())
    }

    pub fn model_with(&self, placement: &Placement, memory: &Memory) -> WanTransformer {
        let weights =
            self.tensors.iter().filter_map(|(k, t)| Some((k.strip_prefix("model.")?.into(), t.clone())));
        let config = serde_json::from_str(&self.metadata["config"]).unwrap();
        let weights = Weights::from_tensors(weights.collect()).placed(placement);
        WanTransformer::load_with(&weights, config, memory).unwrap()
    }

    pub fn config(&self) -> AdapterConfig {
        let number = |key: &str| self.metadata[key].parse::<f64>().unwrap();
        AdapterConfig { rank: number("rank") as usize, alpha: number("alpha"), ..Default::default() }
    }

    /// The model with peft's adapter on it.
    pub fn adapted(&self) -> (WanTransformer, Adapter) {
        let mut model = self.model();
        let adapter = Adapter::create(&mut model, &self.config(), 0).unwrap();
        for (name, var) in adapter.parameters() {
            var.set(&self.tensor(&format!("adapter.{name}"))).unwrap();
        }
        (model, adapter)
    }

    pub fn input(&self) -> TrainInput {
        TrainInput {
            latents: self.tensor("x1"),
            condition: self.tensor("condition"),
            text: self.tensor("text"),
            image: self.tensors.get("image").cloned(),
            loss_weight: None,
        }
    }

    pub fn sigma(&self) -> f64 {
        f64::from(self.tensor("time").to_vec1::<f32>().unwrap()[0])
    }

    /// What the model makes of the fixture's sample.
    pub fn predict(&self, model: &WanTransformer) -> Tensor {
        let (input, sigma) = (self.input(), self.sigma());
        let x = flow::interpolate(&input.latents, &self.tensor("noise"), sigma).unwrap();
        let x = Tensor::cat(&[&x, &input.condition], 1).unwrap();
        let t = (self.tensor("time") * 1000.0).unwrap();
        model.forward(&x, &t, &input.text, input.image.as_ref()).unwrap()
    }
}

pub fn values(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.detach().to_dtype(candle_core::DType::F64).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

pub fn norm(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Norm of the difference over the norm of what is expected.
pub fn relative_error(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.dims(), expected.dims());
    let (found, expected) = (values(found), values(expected));
    norm(found.iter().zip(&expected).map(|(a, b)| a - b)) / norm(expected)
}

/// Latent channels of [`tiny`]: fewer numbers per token than its width, so that it is able to predict all noise.
pub const TINY_CHANNELS: usize = 2;

/// A transformer of one block with random weights.
pub fn tiny() -> WanTransformer {
    let (dim, inputs) = (48, 2 * TINY_CHANNELS + 4);
    let config = serde_json::json!({
        "num_attention_heads": 2, "attention_head_dim": dim / 2, "in_channels": inputs, "text_dim": 8, "freq_dim": 16,
        "out_channels": TINY_CHANNELS, "ffn_dim": 96, "num_layers": 1, "image_dim": null,
    });
    let mut shapes = vec![
        ("patch_embedding.weight".to_owned(), vec![dim, inputs, 1, 2, 2]),
        ("patch_embedding.bias".into(), vec![dim]),
        ("head.modulation".into(), vec![1, 2, dim]),
        ("blocks.0.modulation".into(), vec![1, 6, dim]),
        ("blocks.0.norm3.weight".into(), vec![dim]),
        ("blocks.0.norm3.bias".into(), vec![dim]),
    ];
    let mut linear = |name: &str, inputs: usize, outputs: usize| {
        shapes.push((format!("{name}.weight"), vec![outputs, inputs]));
        shapes.push((format!("{name}.bias"), vec![outputs]));
    };
    for (name, inputs) in [("text_embedding", 8), ("time_embedding", 16)] {
        linear(&format!("{name}.0"), inputs, dim);
        linear(&format!("{name}.2"), dim, dim);
    }
    linear("time_projection.1", dim, 6 * dim);
    linear("head.head", dim, 4 * TINY_CHANNELS);
    linear("blocks.0.ffn.0", dim, 96);
    linear("blocks.0.ffn.2", 96, dim);
    for attention in ["blocks.0.self_attn", "blocks.0.cross_attn"] {
        ["q", "k", "v", "o"].into_iter().for_each(|name| linear(&format!("{attention}.{name}"), dim, dim));
    }
    for attention in ["blocks.0.self_attn", "blocks.0.cross_attn"] {
        shapes.extend(["norm_q", "norm_k"].map(|name| (format!("{attention}.{name}.weight"), vec![dim])));
    }
    let weights = shapes.into_iter().enumerate().map(|(i, (name, shape))| {
        let tensor = random(i as u64, &name, &shape);
        (name, tensor)
    });
    let config: TransformerConfig = serde_json::from_value(config).unwrap();
    WanTransformer::load(&Weights::from_tensors(weights.collect()), config).unwrap()
}

/// Gains about 1, weights of unit gain, small biases.
fn random(seed: u64, name: &str, shape: &[usize]) -> Tensor {
    let normal = flow::noise(seed, shape).unwrap();
    let fan_in = shape[1..].iter().product::<usize>() as f64;
    let tensor = match name {
        _ if name.contains("norm") && name.ends_with("weight") => (normal * 0.1).and_then(|t| t + 1.0),
        _ if shape.len() == 1 || name.ends_with("modulation") => normal * 0.1,
        _ => normal * fan_in.powf(-0.5),
    };
    tensor.unwrap()
}

/// A sample for [`tiny`]: three latent frames of 4 x 6 cells.
pub fn tiny_input() -> TrainInput {
    let noise = |seed, channels: usize| flow::noise(seed, (1, channels, 3, 4, 6)).unwrap();
    TrainInput {
        latents: noise(101, TINY_CHANNELS),
        condition: noise(102, TINY_CHANNELS + 4),
        text: flow::noise(103, (1, 5, 8)).unwrap(),
        image: None,
        loss_weight: None,
    }
}
