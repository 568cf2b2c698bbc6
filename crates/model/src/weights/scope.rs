//! Part of a network's weights, for code that builds layers.

use candle_core::{DType, Tensor};

use super::{Stored, Weights};
use crate::error::Loaded;
use crate::linear::Linear;

/// All names that begin with one prefix.
#[derive(Clone)]
pub(crate) struct Scope<'a> {
    weights: &'a Weights,
    prefix: String,
    dtype: DType,
}

impl<'a> Scope<'a> {
    pub(super) fn new(weights: &'a Weights, prefix: String, dtype: DType) -> Self {
        Self { weights, prefix, dtype }
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

    /// The matrix `prefix.name` (out, in) as it lies in its file.
    #[allow(dead_code, reason = "the linear layer's kernel for stored weights uses it")]
    pub fn stored(&self, name: &str, shape: [usize; 2]) -> Loaded<Stored> {
        self.weights.stored(&self.full_name(name), shape)
    }

    /// The linear layer `prefix.name`, with its bias.
    pub fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Loaded<Linear> {
        let scope = self.under(name);
        let weight = scope.tensor("weight", &[outputs, inputs])?;
        Ok(Linear::new(weight, Some(scope.tensor("bias", &[outputs])?))?)
    }

    fn full_name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.into() } else { format!("{}.{name}", self.prefix) }
    }
}
