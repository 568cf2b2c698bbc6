//! The video autoencoder's layers, without gradients: nothing in it is trained.

use candle_core::{DType, Result, Shape, Tensor};

use super::super::conv::{self as calls, UNROLLED_BYTES};
use super::{computed, takes, type_of};
use crate::kernels::conv::Geometry;

/// The weights of a convolution on a GPU.
pub(crate) struct OnDevice {
    /// (outputs, inputs, taps, side, side)
    weight: Tensor,
    bias: Tensor,
    geometry: Geometry,
}

impl OnDevice {
    /// `None` where the weights lie elsewhere.
    pub fn new(weight: &Tensor, bias: &Tensor, geometry: Geometry) -> Result<Option<Self>> {
        if !takes(weight) || !takes(bias) {
            return Ok(None);
        }
        let (weight, bias) = (weight.detach().contiguous()?, bias.detach().contiguous()?);
        Ok(Some(Self { weight, bias, geometry }))
    }

    /// (frames, inputs, rows, columns) with `lead` frames of zeros before it to (frames, outputs, rows, columns), the
    /// output's frames, rows and columns being `size_out`.
    pub fn forward(&self, x: &Tensor, lead: usize, size_out: [usize; 3]) -> Result<Tensor> {
        let (outputs, inputs, taps, side, _) = self.weight.dims5()?;
        let (frames, _, rows, columns) = x.dims4()?;
        let calls = calls::Conv {
            outputs,
            inputs,
            taps,
            side,
            geometry: self.geometry,
            size_in: [frames, rows, columns],
            lead,
            size_out,
            unrolled_bytes: UNROLLED_BYTES,
        };
        let [frames, rows, columns] = size_out;
        let shape = Shape::from((frames, outputs, rows, columns));
        let (x, of) = (x.to_dtype(self.weight.dtype())?, type_of(self.weight.dtype())?);
        let inputs = [&x, &self.weight, &self.bias];
        let [out] = computed(inputs, [(&shape, of)], |gpu, [x, weight, bias], [out]| {
            calls.forward(gpu, x, weight, bias, out)
        })?;
        Ok(out)
    }
}

/// As [`crate::kernels::channel_norm::channel_norm`].
pub(crate) fn channel_norm(x: &Tensor, gain: &[f32], activate: bool) -> Result<Tensor> {
    let (frames, channels, rows, columns) = x.dims4()?;
    let gain = Tensor::from_slice(gain, gain.len(), x.device())?.to_dtype(DType::F32)?;
    let of = type_of(x.dtype())?;
    let [out] = computed([x, &gain], [(x.shape(), of)], |gpu, [x, gain], [out]| {
        calls::channel_norm(gpu, x, gain, out, [frames, channels, rows * columns], activate)
    })?;
    Ok(out)
}
