//! See [`crate::kernels::gelu_tanh`], [`crate::kernels::gated_add`] and [`crate::kernels::rope`].

use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp3, DType, Layout, Result, Shape, Tensor, bail,
};

use super::super::call::{Type, Values};
use super::super::pointwise as calls;
use super::{computed, filled, not_here, type_of, values};
use crate::kernels::rows::Broadcast;
use crate::rope::RopeTable;

pub(crate) fn gelu_tanh(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Gelu)
}

struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu-tanh"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        not_here("gelu-tanh")
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (from, shape) = (values((x, layout))?, layout.shape());
        let count = shape.elem_count();
        let out = filled(&x.device, shape, from.of, |gpu, out| calls::gelu(gpu, count, from, out))?;
        Ok((out, shape.clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (shape, of) = (x.shape(), type_of(x.dtype())?);
        let [dx] = computed([x, gradient], [(shape, of)], |gpu, [x, gradient], [dx]| {
            calls::gelu_gradient(gpu, shape.elem_count(), x, gradient, dx)
        })?;
        Ok(Some(dx))
    }
}

pub(crate) fn gated_add(x: &Tensor, y: &Tensor, gate: &Tensor) -> Result<Tensor> {
    let gate = gate.to_dtype(DType::F32)?.contiguous()?;
    x.contiguous()?.apply_op3(&y.contiguous()?, &gate, GatedAdd)
}

struct GatedAdd;

fn gated(y: &[usize], gate: &[usize]) -> Result<calls::Gated> {
    match Broadcast::new(y, gate) {
        Some(Broadcast { size, sharing }) => {
            Ok(calls::Gated { rows: y.iter().product::<usize>() / size, size, sharing })
        }
        None => bail!("rows of {y:?} cannot share those of {gate:?}"),
    }
}

impl CustomOp3 for GatedAdd {
    fn name(&self) -> &'static str {
        "gated-add"
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
        not_here("gated-add")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        y: &CudaStorage,
        y_layout: &Layout,
        gate: &CudaStorage,
        gate_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (shape, gated) = (y_layout.shape(), gated(y_layout.dims(), gate_layout.dims())?);
        let (from, add, gate) =
            (values((x, x_layout))?, values((y, y_layout))?, values((gate, gate_layout))?);
        let out = filled(&y.device, shape, add.of, |gpu, out| gated.add(gpu, from, add, gate, out))?;
        Ok((out, shape.clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        y: &Tensor,
        gate: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (of, gated) = (type_of(y.dtype())?, gated(y.dims(), gate.dims())?);
        let [dy] = computed([gradient, gate], [(y.shape(), of)], |gpu, [gradient, gate], [dy]| {
            gated.add(gpu, Values::NONE, gradient, gate, dy)
        })?;
        let of_gate = || {
            computed([y, gradient], [(gate.shape(), Type::F32)], |gpu, [y, gradient], [out]| {
                gated.gate_gradient(gpu, y, gradient, out)
            })
        };
        let of_gate = gate.track_op().then(of_gate).transpose()?;
        Ok((Some(gradient.clone()), Some(dy), of_gate.map(|[of_gate]| of_gate)))
    }
}

pub(crate) fn rope(x: &Tensor, table: &RopeTable) -> Result<Tensor> {
    let of_table = |t: &Tensor| t.to_device(x.device())?.to_dtype(DType::F32)?.contiguous();
    x.contiguous()?.apply_op1(Rope { cos: of_table(&table.cos)?, sin: of_table(&table.sin)? })
}

struct Rope {
    cos: Tensor,
    sin: Tensor,
}

impl Rope {
    fn calls(&self, x: &Shape) -> Result<calls::Rope> {
        let (batch, tokens, heads, channels) = x.dims4()?;
        Ok(calls::Rope { batch, tokens, heads, pairs: channels / 2 })
    }
}

impl CustomOp1 for Rope {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        not_here("rope")
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (from, shape) = (values((x, layout))?, layout.shape());
        let calls = self.calls(shape)?;
        super::with_tensors([&self.cos, &self.sin], |angles| {
            let out = filled(&x.device, shape, from.of, |gpu, out| calls.turn(gpu, from, angles, out, 1.0))?;
            Ok((out, shape.clone()))
        })
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (calls, of) = (self.calls(x.shape())?, type_of(x.dtype())?);
        let inputs = [gradient, &self.cos, &self.sin];
        let [dx] = computed(inputs, [(x.shape(), of)], |gpu, [gradient, cos, sin], [dx]| {
            calls.turn(gpu, gradient, [cos, sin], dx, -1.0)
        })?;
        Ok(Some(dx))
    }
}
