//! Part of a network's weights, for code that builds layers.

use candle_core::{DType, Tensor};

use super::{Placement, Stored, Streamed, Weights};
use crate::error::Loaded;
use crate::kernels::frozen::FrozenWeight;
use crate::linear::Linear;

/// All names that begin with one prefix.
#[derive(Clone)]
pub(crate) struct Scope<'a> {
    weights: &'a Weights,
    prefix: String,
    dtype: DType,
    stays_stored: bool,
    is_streamed: bool,
}

impl<'a> Scope<'a> {
    pub(super) fn new(weights: &'a Weights, prefix: String, dtype: DType) -> Self {
        Self { weights, prefix, dtype, stays_stored: false, is_streamed: false }
    }

    /// The part below `name`.
    pub fn under(&self, name: &str) -> Self {
        Self { prefix: self.full_name(name), ..self.clone() }
    }

    /// The same part in f32 whatever the placement says: for small tensors whose rounding would show.
    pub fn in_f32(&self) -> Self {
        Self { dtype: DType::F32, ..self.clone() }
    }

    /// The tensor `prefix.name`.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Loaded<Tensor> {
        self.weights.read(&self.full_name(name), shape, self.dtype)
    }

    /// The same part, whose linear layers leave their weights as they lie in their file where f32 on the CPU is
    /// computed with.
    pub fn staying_stored(&self) -> Self {
        Self { stays_stored: true, ..self.clone() }
    }

    /// The same part, whose linear layers have no weight in memory until it is brought in: see [`Streamed`].
    pub fn streamed(&self) -> Self {
        Self { is_streamed: true, ..self.clone() }
    }

    fn computes_f32_on_cpu(&self) -> bool {
        self.dtype == DType::F32 && self.weights.placement.device.is_cpu()
    }

    /// The matrix `prefix.name` (out, in) as it lies in its file.
    fn stored(&self, name: &str, shape: [usize; 2]) -> Loaded<Stored> {
        self.weights.stored(&self.full_name(name), shape)
    }

    /// The linear layer `prefix.name`, with its bias.
    pub fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Loaded<Linear> {
        let scope = self.under(name);
        Ok(Linear::new(scope.matrix(outputs, inputs)?, Some(scope.tensor("bias", &[outputs])?))?)
    }

    /// The matrix `prefix.weight`.
    fn matrix(&self, outputs: usize, inputs: usize) -> Loaded<FrozenWeight> {
        let stored = match self.stays_stored && self.computes_f32_on_cpu() {
            true => Some(self.stored("weight", [outputs, inputs])?),
            false => None,
        };
        // What is f32 in its file already is read once, not at every product.
        match stored.filter(|stored| stored.format() != "f32") {
            Some(stored) => Ok(FrozenWeight::Stored(stored)),
            None if self.is_streamed => {
                let placement = Placement { dtype: self.dtype, ..self.weights.placement.clone() };
                let stored = self.stored("weight", [outputs, inputs])?;
                Ok(FrozenWeight::Streamed(Streamed::new(stored, placement)))
            }
            None => Ok(FrozenWeight::Dense(self.tensor("weight", &[outputs, inputs])?)),
        }
    }

    fn full_name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.into() } else { format!("{}.{name}", self.prefix) }
    }
}
