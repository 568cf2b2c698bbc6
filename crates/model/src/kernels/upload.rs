//! Tensors of the host copied to a device while it works on something else: blocks of a network that does not fit.
//!
//! On an NVIDIA GPU the copies leave pinned memory on a stream of their own (`cuda::copies`), in the order that `lane`
//! keeps. Elsewhere there is nothing to overlap.

#[cfg(test)]
mod fake;
#[cfg(any(test, feature = "cuda"))]
pub(super) mod lane;

use candle_core::{Device, Result, Tensor};

#[cfg(feature = "cuda")]
use super::cuda::Copies;

/// Host tensors on their way to a device, while other work goes on there.
///
/// A copy starts when the device is done with what it was given before [`Upload::begin`]. So to compute on one block
/// while the next travels, begin the next upload *before* queueing the block's work, and finish it after. When it is
/// dropped unfinished, the tensors are given back once they have arrived.
pub struct Upload(State);

enum State {
    /// Copied by `finish`, if at all.
    Waiting(Vec<Tensor>, Device),
    #[cfg(feature = "cuda")]
    Travelling(Copies),
}

impl Upload {
    /// Starts to copy `tensors` (contiguous, on the CPU, any type) to `device`. On the CPU nothing is copied.
    ///
    /// The tensors' values have been read when this returns. It waits for an earlier upload where two are under way.
    ///
    /// # Errors
    /// When a tensor is not on the CPU, or the device has no memory left.
    pub fn begin(device: &Device, tensors: Vec<Tensor>) -> Result<Self> {
        if let Some(tensor) = tensors.iter().find(|tensor| !tensor.device().is_cpu()) {
            candle_core::bail!("upload of a tensor that is on {:?}", tensor.device().location());
        }
        #[cfg(feature = "cuda")]
        if let (Device::Cuda(device), false) = (device, tensors.is_empty()) {
            return Ok(Self(State::Travelling(Copies::begin(device, &tensors)?)));
        }
        Ok(Self(State::Waiting(tensors, device.clone())))
    }

    /// The same tensors on the device, in order; later work there sees them whole.
    ///
    /// # Errors
    /// When the device fails.
    pub fn finish(self) -> Result<Vec<Tensor>> {
        match self.0 {
            State::Waiting(tensors, device) => tensors.iter().map(|t| t.to_device(&device)).collect(),
            #[cfg(feature = "cuda")]
            State::Travelling(copies) => copies.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;

    #[test]
    fn on_the_cpu_the_tensors_themselves_come_back_in_order() {
        let tensors = [DType::F32, DType::U8].map(|of| Tensor::ones((2, 3), of, &Device::Cpu).unwrap());
        let back = Upload::begin(&Device::Cpu, tensors.to_vec()).unwrap().finish().unwrap();
        let ids = |tensors: &[Tensor]| tensors.iter().map(Tensor::id).collect::<Vec<_>>();
        assert_eq!(ids(&back), ids(&tensors));
        assert!(Upload::begin(&Device::Cpu, Vec::new()).unwrap().finish().unwrap().is_empty());
    }
}
