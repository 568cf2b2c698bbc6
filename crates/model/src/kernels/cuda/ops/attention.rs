//! See [`crate::kernels::attention`].

use std::sync::Mutex;

use candle_core::{CpuStorage, CudaStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::super::attention::{Attention, Backward, TILE_BYTES};
use super::super::call::Type;
use super::{computed, filled, not_here, type_of, values};

pub(crate) fn attention(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    let (batch, queries, heads, channels) = q.dims4()?;
    let (of_keys, keys, head_keys, key_channels) = k.dims4()?;
    if k.dims() != v.dims() || (of_keys, head_keys, key_channels) != (batch, heads, channels) || keys == 0 {
        bail!("attention of {:?} over {:?} and {:?}", q.dims(), k.dims(), v.dims());
    }
    let of = type_of(q.dtype())?;
    if k.dtype() != q.dtype() || v.dtype() != q.dtype() {
        bail!("attention of {:?} over {:?} and {:?}", q.dtype(), k.dtype(), v.dtype());
    }
    let calls = Attention { of, batch, queries, keys, heads, channels, tile_bytes: TILE_BYTES };
    let op = Op { calls, lse: Mutex::new(None) };
    q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, op)
}

struct Op {
    calls: Attention,
    /// (batch, heads, queries), f32: kept by the forward pass for the backward pass.
    lse: Mutex<Option<CudaStorage>>,
}

impl CustomOp3 for Op {
    fn name(&self) -> &'static str {
        "attention"
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
        not_here("attention")
    }

    fn cuda_fwd(
        &self,
        q: &CudaStorage,
        q_layout: &Layout,
        k: &CudaStorage,
        k_layout: &Layout,
        v: &CudaStorage,
        v_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (calls, shape) = (&self.calls, q_layout.shape());
        let operands = [values((q, q_layout))?, values((k, k_layout))?, values((v, v_layout))?];
        let of_lse = Shape::from((calls.batch, calls.heads, calls.queries));
        let mut out = None;
        let lse = filled(&q.device, &of_lse, Type::F32, |_, lse| {
            out =
                Some(filled(&q.device, shape, calls.of, |gpu, out| calls.forward(gpu, operands, out, lse))?);
            Ok(())
        })?;
        *self.kept() = Some(lse);
        match out {
            Some(out) => Ok((out, shape.clone())),
            None => bail!("attention gave nothing"),
        }
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        out: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (calls, kept) = (&self.calls, self.kept());
        let Some(lse) = &*kept else { bail!("attention's backward pass before its forward pass") };
        let lse = values((lse, &Layout::contiguous((calls.batch, calls.heads, calls.queries))))?;
        let shapes = [(q.shape(), calls.of), (k.shape(), calls.of), (v.shape(), calls.of)];
        let gradients = computed([q, k, v, out, gradient], shapes, |gpu, [q, k, v, out, gradient], into| {
            calls.backward(gpu, &Backward { q, k, v, out, gradient, lse }, into)
        })?;
        let [dq, dk, dv] = gradients.map(Some);
        Ok((dq, dk, dv))
    }
}

impl Op {
    fn kept(&self) -> std::sync::MutexGuard<'_, Option<CudaStorage>> {
        self.lse.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
