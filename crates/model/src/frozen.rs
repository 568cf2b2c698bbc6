//! The frozen tensors of a network by name, to add to what they hold.

use candle_core::{DType, Result, Tensor};

use crate::kernels::frozen::FrozenWeight;

/// A tensor that is never trained, at its place in the network.
pub enum Frozen<'a> {
    /// The weight of a linear layer, (out, in).
    Weight(&'a mut FrozenWeight),
    /// A bias, a norm's gain, a modulation.
    Small(&'a mut Tensor),
}

impl<'a> Frozen<'a> {
    /// Gain or bias of a norm.
    pub(crate) fn of_norm([gain, bias]: &'a mut [Tensor; 2], name: &str) -> Option<Self> {
        match name {
            "weight" => Some(Self::Small(gain)),
            "bias" => Some(Self::Small(bias)),
            _ => None,
        }
    }

    /// The tensor's shape; that of a convolution's weight is the linear layer's.
    ///
    /// # Errors
    /// When a weight has other than two dimensions.
    pub fn dims(&self) -> Result<Vec<usize>> {
        match self {
            Self::Weight(weight) => weight.dims2().map(|(outputs, inputs)| vec![outputs, inputs]),
            Self::Small(tensor) => Ok(tensor.dims().to_vec()),
        }
    }

    /// Adds `change`, of the same shape, in f32. A weight that stayed in its file is in memory from then on.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn add_change(self, change: &Tensor) -> Result<()> {
        match self {
            Self::Weight(weight) => *weight = sum(&weight.dense()?, change)?.into(),
            Self::Small(tensor) => *tensor = sum(tensor, change)?,
        }
        Ok(())
    }
}

/// Of the type and on the device of `tensor`.
fn sum(tensor: &Tensor, change: &Tensor) -> Result<Tensor> {
    let change = change.detach().to_device(tensor.device())?.to_dtype(DType::F32)?;
    (tensor.to_dtype(DType::F32)? + change)?.to_dtype(tensor.dtype())
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn a_weight_in_its_file_is_in_memory_once_something_was_added() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        let numbers = Tensor::arange(0f32, 12., &Device::Cpu).unwrap().reshape((3, 4)).unwrap();
        let halved = numbers.to_dtype(DType::BF16).unwrap();
        candle_core::safetensors::save(&[("w", halved.clone())].into(), &path).unwrap();
        let stored = crate::Weights::open(&path).unwrap().stored("w", [3, 4]).unwrap();
        let change = (&numbers * 0.25).unwrap();
        for (mut weight, dtype) in
            [(FrozenWeight::Stored(stored), DType::F32), (FrozenWeight::Dense(halved), DType::BF16)]
        {
            let place = Frozen::Weight(&mut weight);
            assert_eq!(place.dims().unwrap(), [3, 4]);
            place.add_change(&change).unwrap();
            let FrozenWeight::Dense(sum) = &weight else { panic!("still in its file") };
            let expected = (&numbers * 1.25).unwrap().to_dtype(dtype).unwrap();
            assert_eq!(sum.dtype(), dtype);
            let values = |t: &Tensor| t.to_dtype(DType::F32).unwrap().to_vec2::<f32>().unwrap();
            assert_eq!(values(sum), values(&expected));
        }
        let error = Frozen::Small(&mut numbers.clone()).add_change(&change.t().unwrap()).unwrap_err();
        assert!(error.to_string().contains("shape mismatch"), "{error}");
    }
}
