//! See [`crate::kernels::frozen`] and [`crate::kernels::adapted`].

use candle_core::{CpuStorage, CudaStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use crate::kernels::frozen::FrozenWeight;

use super::super::call::{Type, Values};
use super::super::linear::{Adapted, Linear, Pair};
use super::{Operand, computed, filled, not_here, takes, type_of, values, with_tensors};

/// The frozen layer of `weight` (outputs, inputs) and `bias`, giving `shape`.
pub(crate) fn frozen_linear(
    weight: &Tensor,
    bias: Option<&Tensor>,
    x: Operand<'_>,
    shape: Shape,
) -> Result<(CudaStorage, Shape)> {
    let (outputs, inputs) = weight.dims2()?;
    let rows = x.1.shape().elem_count() / inputs.max(1);
    let (linear, from) = (Linear { rows, inputs, outputs }, values(x)?);
    let out = with_base(weight, bias, |w, bias| {
        if w.of != from.of {
            bail!("a linear layer of {:?} got {:?}", w.of, from.of);
        }
        filled(&x.0.device, &shape, from.of, |gpu, y| linear.forward(gpu, from, w, bias, y))
    })?;
    Ok((out, shape))
}

fn with_base<R>(
    weight: &Tensor,
    bias: Option<&Tensor>,
    f: impl FnOnce(Values, Option<Values>) -> Result<R>,
) -> Result<R> {
    match bias {
        Some(bias) => with_tensors([weight, bias], |[w, bias]| f(w, Some(bias))),
        None => with_tensors([weight], |[w]| f(w, None)),
    }
}

/// Whether [`adapted_linear`] can run on these: the base in one type, the pair in f32.
pub(crate) fn takes_pair([x, a, b]: [&Tensor; 3], weight: &FrozenWeight, bias: Option<&Tensor>) -> bool {
    let FrozenWeight::Dense(weight) = weight else { return false };
    let base = [Some(x), Some(weight), bias];
    let of_f32 = |t: &Tensor| takes(t) && t.dtype() == candle_core::DType::F32;
    base.into_iter().flatten().all(|t| takes(t) && t.dtype() == x.dtype()) && of_f32(a) && of_f32(b)
}

/// As [`crate::kernels::adapted::adapted_linear`].
pub(crate) fn adapted_linear(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    (a, b, scale): (&Tensor, &Tensor, f64),
) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    let linear = Linear { rows: x.elem_count() / inputs.max(1), inputs, outputs };
    let calls = Adapted { linear, of: type_of(x.dtype())?, rank: a.dim(0)?, scale: scale as f32 };
    let op = Op { calls, weight: weight.detach(), bias: bias.map(Tensor::detach) };
    x.contiguous()?.apply_op3(&a.contiguous()?, &b.contiguous()?, op)
}

struct Op {
    calls: Adapted,
    weight: Tensor,
    bias: Option<Tensor>,
}

impl CustomOp3 for Op {
    fn name(&self) -> &'static str {
        "adapted-linear"
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
        not_here("adapted-linear")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        a: &CudaStorage,
        a_layout: &Layout,
        b: &CudaStorage,
        b_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (calls, from) = (&self.calls, values((x, x_layout))?);
        let pair = Pair { a: values((a, a_layout))?, b: values((b, b_layout))? };
        let mut dims = x_layout.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = calls.linear.outputs;
        }
        let shape = Shape::from(dims);
        let out = with_base(&self.weight, self.bias.as_ref(), |w, bias| {
            filled(&x.device, &shape, calls.of, |gpu, y| {
                calls.linear.forward(gpu, from, w, bias, y)?;
                calls.add(gpu, from, pair, y)
            })
        })?;
        Ok((out, shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let calls = &self.calls;
        // Devices give no memory of no bytes.
        let nothing = Shape::from(1);
        let wanted = [x.track_op(), a.track_op(), b.track_op()];
        let shape = |wanted: bool, t: &'_ Tensor| if wanted { t.shape().clone() } else { nothing.clone() };
        let shapes = [shape(wanted[0], x), shape(wanted[1], a), shape(wanted[2], b)];
        let types = [calls.of, Type::F32, Type::F32];
        let into = [0, 1, 2].map(|i| (&shapes[i], types[i]));
        let inputs = [x, gradient, &self.weight, a, b];
        let gradients = computed(inputs, into, |gpu, [x, g, w, a, b], into| {
            let [dx, da, db] = [0, 1, 2].map(|i| wanted[i].then_some(into[i]));
            if let Some(dx) = dx {
                calls.linear.input_gradient(gpu, g, w, dx)?;
            }
            calls.gradients(gpu, x, g, Pair { a, b }, dx, [da, db])
        })?;
        let mut gradients = gradients.into_iter().zip(wanted).map(|(g, wanted)| wanted.then_some(g));
        let mut next = || gradients.next().flatten();
        Ok((next(), next(), next()))
    }
}
