//! A weight that is brought from its file to where it is computed with only while it is needed.

use candle_core::{Result, Tensor};

use super::placement::Placement;
use super::stored::Stored;

/// A frozen matrix (out, in) in its file, and where and as what it is computed with.
#[derive(Clone, Debug)]
pub struct Streamed {
    stored: Stored,
    placement: Placement,
}

impl Streamed {
    pub(super) fn new(stored: Stored, placement: Placement) -> Self {
        Self { stored, placement }
    }

    /// Outputs and inputs.
    pub fn shape(&self) -> [usize; 2] {
        self.stored.shape()
    }

    /// Where it is computed with, and as what.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// The whole matrix in the type it is computed with, on the CPU. Its numbers are not looked at: see
    /// [`super::Weights::verify`].
    pub(crate) fn on_host(&self) -> Result<Tensor> {
        self.stored.prefetch();
        let tensor = self.stored.tensor(self.placement.dtype)?;
        self.stored.give_back();
        Ok(tensor)
    }

    /// The whole matrix where it is computed with.
    pub(crate) fn dense(&self) -> Result<Tensor> {
        self.on_host()?.to_device(&self.placement.device)
    }
}
