//! The low-rank pairs of one adapter, and how they hang on a transformer.

use candle_core::{DType, Device, Tensor, Var};
use lora_edit_model::flow::NoiseStream;
use lora_edit_model::{Linear, LowRank, WanTransformer};

use crate::error::{AdaptError, Result};
use crate::names::{Part, parse};
use crate::recipe::AdapterConfig;

/// Low-rank pairs for some layers of a transformer.
///
/// Its tensors are shared with every model it is attached to: a training step that sets them is seen there.
#[derive(Debug)]
pub struct Adapter {
    layers: Vec<Layer>,
    ignored: Vec<String>,
}

/// The low-rank pair of one layer.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Official path of the layer, such as `blocks.0.self_attn.q`.
    pub path: String,
    /// (rank, in), f32
    pub a: Var,
    /// (out, rank), f32
    pub b: Var,
    /// The pair is scaled by `alpha / rank`.
    pub alpha: f64,
}

impl Adapter {
    /// A fresh adapter for `model`, not attached: A is kaiming-uniform as in peft, B is zero, so it changes nothing yet.
    ///
    /// # Errors
    /// When `config` adapts no layer of the model.
    pub fn new(model: &WanTransformer, config: &AdapterConfig, seed: u64) -> Result<Self> {
        let mut dice = NoiseStream::new(seed);
        let linears = model.linears();
        let adapted = linears.iter().filter(|(path, _)| config.adapts(path));
        let layers: Vec<_> = adapted
            .map(|(path, linear)| Layer::new(path, linear, config, &mut dice))
            .collect::<Result<_>>()?;
        if layers.is_empty() || config.rank == 0 {
            return Err(AdaptError::Recipe(format!("rank {}, {} layers", config.rank, layers.len())));
        }
        Ok(Self { layers, ignored: Vec::new() })
    }

    /// [`Adapter::new`], attached to `model` at full strength.
    ///
    /// # Errors
    /// As there.
    pub fn create(model: &mut WanTransformer, config: &AdapterConfig, seed: u64) -> Result<Self> {
        let adapter = Self::new(model, config, seed)?;
        adapter.attach(model, 1.0)?;
        Ok(adapter)
    }

    pub(crate) fn from_parts(layers: Vec<Layer>, ignored: Vec<String>) -> Self {
        Self { layers, ignored }
    }

    pub(crate) fn into_layers(self) -> Vec<Layer> {
        self.layers
    }

    /// Hangs the pairs on `model`, beside those of other adapters; again with another `strength` replaces them.
    ///
    /// # Errors
    /// When a layer is missing from the model or has other sizes there; the model is unchanged then.
    pub fn attach(&self, model: &mut WanTransformer, strength: f64) -> Result<()> {
        let linears = model.linears();
        let found = |layer: &Layer| {
            let position = linears.iter().position(|(path, _)| *path == layer.path);
            let position = position.ok_or_else(|| AdaptError::NoLayer { layer: layer.path.clone() })?;
            layer.check(linears[position].1).map(|()| position)
        };
        let positions: Vec<_> = self.layers.iter().map(found).collect::<Result<_>>()?;
        self.detach(model);
        let mut linears = model.linears_mut();
        for (layer, position) in self.layers.iter().zip(positions) {
            linears[position].1.low_rank.push(layer.low_rank(strength));
        }
        Ok(())
    }

    /// Takes the pairs off `model`; those of other adapters stay.
    pub fn detach(&self, model: &mut WanTransformer) {
        for (_, linear) in model.linears_mut() {
            linear.low_rank.retain(|pair| self.layers.iter().all(|layer| layer.a.id() != pair.a.id()));
        }
    }

    /// A copy on `device`, to attach to a model there.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        let moved = |var: &Var| Var::from_tensor(&var.as_tensor().detach().to_device(device)?);
        let layer = |layer: &Layer| {
            let (a, b) = (moved(&layer.a)?, moved(&layer.b)?);
            Ok(Layer { path: layer.path.clone(), a, b, alpha: layer.alpha })
        };
        Ok(Self {
            layers: self.layers.iter().map(layer).collect::<Result<_>>()?,
            ignored: self.ignored.clone(),
        })
    }

    /// The pairs, in the order of the model's layers or of the file they came from.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The tensors to be trained under their names in the adapter file, less its prefix.
    pub fn parameters(&self) -> Vec<(String, &Var)> {
        self.layers.iter().flat_map(Layer::parameters).collect()
    }

    /// The tensor that `key` of an adapter file means, in any spelling that [`Adapter::load`] reads.
    pub fn tensor_of_key(&self, key: &str) -> Option<&Var> {
        let name = parse(key)?;
        let layer = self.layers.iter().find(|layer| layer.path == name.layer)?;
        match name.part {
            Part::A => Some(&layer.a),
            Part::B => Some(&layer.b),
            Part::Alpha | Part::PairBias | Part::Difference(_) => None,
        }
    }

    /// How many numbers are trained.
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|(_, var)| var.elem_count()).sum()
    }

    /// What the file held that is no low-rank pair of a block, and is left out.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }
}

impl Layer {
    fn new(path: &str, linear: &Linear, config: &AdapterConfig, dice: &mut NoiseStream) -> Result<Self> {
        let (inputs, rank) = (linear.inputs(), config.rank);
        let bound = 1.0 / (inputs as f64).sqrt();
        let values: Vec<f32> =
            (0..rank * inputs).map(|_| (bound * (2.0 * dice.uniform() - 1.0)) as f32).collect();
        let device = linear.weight.device();
        let a = Var::from_vec(values, (rank, inputs), device)?;
        let b = Var::zeros((linear.outputs(), rank), DType::F32, device)?;
        Ok(Self { path: path.into(), a, b, alpha: config.alpha })
    }

    /// The pair's inner width.
    pub fn rank(&self) -> usize {
        self.a.dims()[0]
    }

    fn parameters(&self) -> [(String, &Var); 2] {
        [(format!("{}.lora_A.weight", self.path), &self.a), (format!("{}.lora_B.weight", self.path), &self.b)]
    }

    fn check(&self, linear: &Linear) -> Result<()> {
        let found = vec![self.b.dims()[0], self.a.dims()[1]];
        let expected = vec![linear.outputs(), linear.inputs()];
        if found == expected {
            return Ok(());
        }
        Err(AdaptError::OtherSizes { layer: self.path.clone(), found, expected })
    }

    fn low_rank(&self, strength: f64) -> LowRank {
        let shared = |var: &Var| Tensor::clone(var.as_tensor());
        LowRank { a: shared(&self.a), b: shared(&self.b), scale: strength * self.scale() }
    }
}
