//! Where a network's tensors are put.

use candle_core::{DType, Device, Tensor};

/// Where a network's tensors are put, and as what type.
#[derive(Clone, Debug)]
pub struct Placement {
    /// The device they are copied to.
    pub device: Device,
    /// The type they are kept in and computed with; norms and the time's modulation stay f32 whatever it is.
    pub dtype: DType,
}

impl Default for Placement {
    /// f32 on the CPU.
    fn default() -> Self {
        Self { device: Device::Cpu, dtype: DType::F32 }
    }
}

impl Placement {
    pub(super) fn put(&self, tensor: &Tensor, dtype: DType) -> candle_core::Result<Tensor> {
        tensor.to_dtype(dtype)?.to_device(&self.device)?.contiguous()
    }
}
