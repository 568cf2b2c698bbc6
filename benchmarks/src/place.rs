//! Random tensors where, and of the type in which, a case computes.

use candle_core::{DType, Device, Result, Shape, Tensor};
use lora_edit_model::Placement;
use lora_edit_model::flow::NoiseStream;

/// Makes normal numbers: on the CPU the same for the same seed, on a GPU there, for they are many.
pub struct Place {
    placement: Placement,
    random: NoiseStream,
}

impl Place {
    /// Of the type that the transformer computes with on `device`.
    pub fn of_transformer(device: &Device, seed: u64) -> Self {
        Self { placement: Placement::of_transformer(device), random: NoiseStream::new(seed) }
    }

    /// Of f32.
    pub fn exact_on(device: &Device, seed: u64) -> Self {
        let placement = Placement { device: device.clone(), dtype: DType::F32 };
        Self { placement, random: NoiseStream::new(seed) }
    }

    pub fn device(&self) -> &Device {
        &self.placement.device
    }

    /// Of the place's type.
    pub fn normal(&mut self, shape: impl Into<Shape>) -> Result<Tensor> {
        self.exact(shape)?.to_dtype(self.placement.dtype)
    }

    /// Of f32, as gains and the like are.
    pub fn exact(&mut self, shape: impl Into<Shape>) -> Result<Tensor> {
        match &self.placement.device {
            Device::Cpu => self.random.normal(shape),
            gpu => Tensor::randn(0f32, 1.0, shape, gpu),
        }
    }
}
