//! See [`crate::kernels::layer_norm`] and [`crate::kernels::rms_norm`].

use candle_core::{
    CpuStorage, CudaStorage, CustomOp2, CustomOp3, DType, Layout, Result, Shape, Tensor, bail,
};

use super::super::call::{Type, Values};
use super::super::norm::{Kind, Norm};
use super::{Operand, computed, filled, not_here, type_of, values};
use crate::kernels::rows::Broadcast;

pub(crate) fn layer_norm(x: &Tensor, gain: &Tensor, shift: &Tensor, eps: f64) -> Result<Tensor> {
    let [gain, shift] = [gain, shift].map(|t| t.to_dtype(DType::F32)?.contiguous());
    x.contiguous()?.apply_op3(&gain?, &shift?, Op { kind: Kind::Layer, eps: eps as f32 })
}

pub(crate) fn rms_norm(x: &Tensor, gain: &Tensor, eps: f64) -> Result<Tensor> {
    let gain = gain.to_dtype(DType::F32)?.contiguous()?;
    x.contiguous()?.apply_op2(&gain, Op { kind: Kind::Rms, eps: eps as f32 })
}

struct Op {
    kind: Kind,
    eps: f32,
}

impl Op {
    fn norm(&self, x: &[usize], gain: &[usize], of: Type) -> Result<Norm> {
        let Some(Broadcast { size, sharing }) = Broadcast::new(x, gain) else {
            bail!("rows of {x:?} cannot share those of {gain:?}")
        };
        let rows = x.iter().product::<usize>() / size;
        Ok(Norm { kind: self.kind, of, rows, size, sharing, eps: self.eps })
    }

    fn forward(
        &self,
        x: Operand<'_>,
        gain: Operand<'_>,
        shift: Option<Operand<'_>>,
    ) -> Result<(CudaStorage, Shape)> {
        let shape = x.1.shape();
        let from = values(x)?;
        let norm = self.norm(shape.dims(), gain.1.dims(), from.of)?;
        let (gain, shift) = (values(gain)?, shift.map_or(Ok(Values::NONE), values)?);
        let out = filled(&x.0.device, shape, from.of, |gpu, out| norm.forward(gpu, from, gain, shift, out))?;
        Ok((out, shape.clone()))
    }

    /// Gradients of the input and, where wanted, of gain and shift.
    fn backward(
        &self,
        x: &Tensor,
        gain: &Tensor,
        gradient: &Tensor,
        wanted: bool,
    ) -> Result<(Tensor, Option<[Tensor; 2]>)> {
        let norm = self.norm(x.dims(), gain.dims(), type_of(x.dtype())?)?;
        let [dx] =
            computed([x, gain, gradient], [(x.shape(), norm.of)], |gpu, [x, gain, gradient], [dx]| {
                norm.input_gradient(gpu, x, gain, gradient, dx)
            })?;
        let of_gain = || {
            computed([x, gradient], [(gain.shape(), Type::F32); 2], |gpu, [x, gradient], out| {
                norm.gain_gradient(gpu, x, gradient, out)
            })
        };
        Ok((dx, wanted.then(of_gain).transpose()?))
    }
}

impl CustomOp3 for Op {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        not_here("layer-norm")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        gain: &CudaStorage,
        gain_layout: &Layout,
        shift: &CudaStorage,
        shift_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.forward((x, x_layout), (gain, gain_layout), Some((shift, shift_layout)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gain: &Tensor,
        shift: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dx, others) = self.backward(x, gain, gradient, gain.track_op() || shift.track_op())?;
        let [of_gain, of_shift] = others.map_or([None, None], |both| both.map(Some));
        Ok((Some(dx), of_gain, of_shift))
    }
}

impl CustomOp2 for Op {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        not_here("rms-norm")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        gain: &CudaStorage,
        gain_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.forward((x, x_layout), (gain, gain_layout), None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        gain: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, others) = self.backward(x, gain, gradient, gain.track_op())?;
        Ok((Some(dx), others.map(|[of_gain, _]| of_gain)))
    }
}
