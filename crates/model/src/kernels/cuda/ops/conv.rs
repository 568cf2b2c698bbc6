//! See [`crate::kernels::conv`] and [`crate::kernels::channel_norm`].

use candle_core::{CudaStorage, DType, Result, Shape, Tensor, bail};

use super::super::call::{Type, Values};
use super::super::conv::{self as calls, UNROLLED_BYTES};
use super::super::stream::Stream;
use super::{Operand, computed, filled, type_of, values};
use crate::kernels::conv::{Kind, Sizes};

fn calls_of(kind: &Kind, sizes: &Sizes) -> calls::Conv {
    calls::Conv {
        outputs: kind.outputs,
        inputs: kind.inputs,
        taps: kind.frames,
        side: kind.side,
        geometry: kind.geometry,
        size_in: [sizes.frames_in, sizes.rows_in, sizes.columns_in],
        lead: sizes.lead,
        size_out: [sizes.frames_out, sizes.rows, sizes.columns],
        unrolled_bytes: UNROLLED_BYTES,
    }
}

/// The convolution of x, the first operand, with a weight (outputs, inputs, taps, side, side) and a bias.
pub(crate) fn convolution(
    kind: &Kind,
    sizes: &Sizes,
    operands: [Operand<'_>; 3],
) -> Result<(CudaStorage, Shape)> {
    let shape = Shape::from((sizes.frames_out, kind.outputs, sizes.rows, sizes.columns));
    let [x, weight, bias] = operands.map(values);
    let (x, weight, bias) = (x?, weight?, bias?);
    if weight.of != x.of || bias.of != x.of {
        bail!("a convolution of {:?} got a weight of {:?} and a bias of {:?}", x.of, weight.of, bias.of);
    }
    let calls = calls_of(kind, sizes);
    let device = &operands[0].0.device;
    let out = filled(device, &shape, x.of, |gpu, out| calls.forward(gpu, x, weight, bias, out))?;
    Ok((out, shape))
}

/// The gradients of input, weight and bias, of those that want one, from the result's.
pub(crate) fn convolution_gradients(
    kind: &Kind,
    sizes: &Sizes,
    [x, weight, bias]: [&Tensor; 3],
    gradient: &Tensor,
) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
    let (calls, of) = (calls_of(kind, sizes), type_of(x.dtype())?);
    let of_x = x
        .track_op()
        .then(|| one([gradient, weight], x, of, |gpu, [g, w], dx| calls.input_gradient(gpu, g, w, dx)));
    let of_weight = weight
        .track_op()
        .then(|| one([x, gradient], weight, of, |gpu, [x, g], dw| calls.weight_gradient(gpu, x, g, dw)));
    let of_bias =
        bias.track_op().then(|| one([gradient], bias, of, |gpu, [g], db| calls.bias_gradient(gpu, g, db)));
    Ok((of_x.transpose()?, of_weight.transpose()?, of_bias.transpose()?))
}

/// A tensor like `like`, written by `write` from the values of `inputs`.
fn one<const N: usize>(
    inputs: [&Tensor; N],
    like: &Tensor,
    of: Type,
    write: impl FnOnce(&Stream<'_>, [Values; N], Values) -> Result<()>,
) -> Result<Tensor> {
    let [out] = computed(inputs, [(like.shape(), of)], |gpu, from, [out]| write(gpu, from, out))?;
    Ok(out)
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
