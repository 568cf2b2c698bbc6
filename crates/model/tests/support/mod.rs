//! Reads the fixtures that `fixtures/make.py` wrote, and compares tensors.
#![allow(dead_code, clippy::unwrap_used)] // each test file uses its own part; a test may panic

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::{DType, Device, Tensor, Var};
use lora_edit_model::flow::NoiseStream;
use lora_edit_model::{LowRank, WanTransformer, Weights};
use safetensors::SafeTensors;
use serde::de::DeserializeOwned;

/// One fixture file: a network's weights, inputs and outputs.
pub struct Fixture {
    tensors: HashMap<String, Tensor>,
    metadata: HashMap<String, String>,
}

impl Fixture {
    pub fn read(name: &str) -> Self {
        let path =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.safetensors"));
        let bytes = std::fs::read(path).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).unwrap();
        Self { tensors, metadata: metadata.metadata().clone().unwrap_or_default() }
    }

    /// An input or output as stored.
    pub fn tensor(&self, name: &str) -> Tensor {
        self.tensors[name].clone()
    }

    /// Whether the file has such an input or output.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    pub fn config<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.metadata["config"]).unwrap()
    }

    /// Diffusers' names and the official ones.
    pub fn names(&self) -> HashMap<String, String> {
        serde_json::from_str(&self.metadata["official"]).unwrap()
    }

    /// The network's tensors under diffusers' names.
    pub fn model_tensors(&self) -> HashMap<String, Tensor> {
        let named =
            |(name, t): (&String, &Tensor)| Some((name.strip_prefix("model.")?.to_owned(), t.clone()));
        self.tensors.iter().filter_map(named).collect()
    }

    pub fn diffusers_weights(&self) -> Weights {
        Weights::from_tensors(self.model_tensors())
    }

    /// The network's tensors under official names, with the prefix ComfyUI's files carry.
    pub fn official_weights(&self) -> Weights {
        let names = self.names();
        let rename = |(name, t): (String, Tensor)| (format!("model.diffusion_model.{}", names[&name]), t);
        Weights::from_tensors(self.model_tensors().into_iter().map(rename).collect())
    }
}

/// The same tensors as if the file had stored them in bf16.
pub fn stored_in_bf16(tensors: HashMap<String, Tensor>) -> HashMap<String, Tensor> {
    tensors.into_iter().map(|(name, t)| (name, t.to_dtype(DType::BF16).unwrap())).collect()
}

/// The greatest difference, relative to the greatest expected value.
pub fn relative_error(ours: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(ours.dims(), expected.dims());
    let (ours, expected) = (ours.to_dtype(DType::F64).unwrap(), expected.to_dtype(DType::F64).unwrap());
    let peak =
        |t: Tensor| -> f64 { t.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap() };
    let error = peak((ours - &expected).unwrap()) / peak(expected);
    assert!(error.is_finite());
    error
}

/// The root mean square of the difference, relative to that of what is expected.
pub fn rms_error(ours: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(ours.dims(), expected.dims());
    let square = |t: Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
    f64::from(square((ours - expected).unwrap()) / square(expected.clone())).sqrt()
}

/// Fails when the relative error is above `limit`; prints it either way.
pub fn assert_close(what: &str, ours: &Tensor, expected: &Tensor, limit: f64) {
    let error = relative_error(ours, expected);
    println!("{what}: relative error {error:.1e}");
    assert!(error <= limit, "{what}: relative error {error:.2e} above {limit:.0e}");
}

/// Hangs a trainable pair on every linear layer of every block.
pub fn attach(model: &mut WanTransformer, random: &mut NoiseStream) -> Vec<(String, Var)> {
    let mut vars = Vec::new();
    for (path, linear) in model.linears_mut() {
        let mut var = |rows: usize, columns: usize| {
            Var::from_tensor(&(random.normal((rows, columns)).unwrap() * 0.1).unwrap()).unwrap()
        };
        let (a, b) = (var(3, linear.inputs()), var(linear.outputs(), 3));
        linear.low_rank.push(LowRank { a: a.as_tensor().clone(), b: b.as_tensor().clone(), scale: 0.5 });
        vars.extend([(format!("{path} a"), a), (format!("{path} b"), b)]);
    }
    vars
}
