//! Starts a backward pass from a gradient that is known already.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};

/// A scalar whose gradient by `y` is `gradient`: `backward` of it goes on from there.
///
/// The gradient arrives bit for bit and without a pass over `y`, where the sum of `y · gradient` would take several.
///
/// # Errors
/// When the shapes or types differ.
pub fn pull(y: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    if y.dims() != gradient.dims() || y.dtype() != gradient.dtype() {
        bail!("a gradient {:?} of {:?}", gradient.shape(), y.shape());
    }
    if y.device().is_metal() {
        return (y * gradient)?.sum_all();
    }
    y.apply_op1(Pull(gradient.detach()))
}

struct Pull(Tensor);

impl CustomOp1 for Pull {
    fn name(&self) -> &'static str {
        "pull"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let zero = match self.0.dtype() {
            DType::F32 => CpuStorage::F32(vec![0.0]),
            DType::F64 => CpuStorage::F64(vec![0.0]),
            DType::BF16 => CpuStorage::BF16(vec![half::bf16::ZERO]),
            DType::F16 => CpuStorage::F16(vec![half::f16::ZERO]),
            other => bail!("no gradient of {other:?}"),
        };
        Ok((zero, Shape::from(())))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        y: &candle_core::CudaStorage,
        _: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        use candle_core::backend::BackendDevice;
        let shape = Shape::from(());
        Ok((y.device.zeros_impl(&shape, self.0.dtype())?, shape))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(self.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn the_gradient_arrives_as_it_is_and_goes_on() {
        let x = Var::from_tensor(&Tensor::new(&[2f32, 3.0], &Device::Cpu).unwrap()).unwrap();
        let gradient = Tensor::new(&[0.1f32, -7.0], &Device::Cpu).unwrap();
        let y = x.as_tensor().sqr().unwrap();
        let store = pull(&y, &gradient).unwrap().backward().unwrap();
        assert_eq!(store.get(&x).unwrap().to_vec1::<f32>().unwrap(), [0.4, -42.0]);
    }

    #[test]
    fn another_shape_or_type_is_refused() {
        let y = Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        assert!(pull(&y, &y.t().unwrap()).is_err());
        assert!(pull(&y, &y.to_dtype(DType::F64).unwrap()).is_err());
    }
}
