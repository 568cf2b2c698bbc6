//! What the tests share: the fixtures, a tiny transformer and a sample for it.
#![allow(dead_code)]

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::{Device, Tensor};
use lora_edit_adapt::{Adapter, AdapterConfig, TrainInput};
use lora_edit_model::{WanTransformer, Weights};

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

    pub fn model(&self) -> WanTransformer {
        let weights =
            self.tensors.iter().filter_map(|(k, t)| Some((k.strip_prefix("model.")?.into(), t.clone())));
        let config = serde_json::from_str(&self.metadata["config"]).unwrap();
        WanTransformer::load(&Weights::from_tensors(weights.collect()), config).unwrap()
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
        let x = lora_edit_model::flow::interpolate(&input.latents, &self.tensor("noise"), sigma).unwrap();
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
