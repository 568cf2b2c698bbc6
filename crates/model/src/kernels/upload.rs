//! Tensors on their way from the host to a device.

use candle_core::{Device, Result, Tensor};

/// Copies that were begun.
pub(crate) struct Upload {
    tensors: Vec<Tensor>,
}

impl Upload {
    /// Begins to copy contiguous host `tensors` to `device`.
    pub fn begin(device: &Device, tensors: Vec<Tensor>) -> Result<Self> {
        let there = |tensor: Tensor| tensor.to_device(device);
        Ok(Self { tensors: tensors.into_iter().map(there).collect::<Result<_>>()? })
    }

    /// The same tensors on the device, in order.
    pub fn finish(self) -> Result<Vec<Tensor>> {
        Ok(self.tensors)
    }
}
