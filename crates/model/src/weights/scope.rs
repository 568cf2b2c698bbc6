//! Part of a network's weights, for code that builds layers.

use candle_core::Tensor;

use super::{Stored, Weights};
use crate::error::Loaded;
use crate::linear::Linear;

/// All names that begin with one prefix.
#[derive(Clone)]
pub(crate) struct Scope<'a> {
    weights: &'a Weights,
    prefix: String,
}

impl<'a> Scope<'a> {
    pub(super) fn new(weights: &'a Weights, prefix: String) -> Self {
        Self { weights, prefix }
    }

    /// The part below `name`.
    pub fn under(&self, name: &str) -> Self {
        Self { weights: self.weights, prefix: self.full_name(name) }
    }

    /// The tensor `prefix.name`.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Loaded<Tensor> {
        self.weights.tensor(&self.full_name(name), shape)
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
