//! Element by element: the activation and the gated sum.

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::reference;
use super::rows::{Broadcast, sum_to};
use super::simd::{sigmoid, vectorised};
use super::slices::{on_cpu, output, tensor_like, values, with_all};

/// Elements handed to a thread at a time.
const CHUNK: usize = 1 << 14;

/// `x (1 + tanh(sqrt(2/π) (x + 0.044715 x³))) / 2`
///
/// # Errors
/// When the type is not a float.
pub fn gelu_tanh(x: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if super::cuda::takes(x) {
        return super::cuda::gelu_tanh(x);
    }
    if on_cpu(&[x]) { x.contiguous()?.apply_op1(GeluTanh) } else { reference::gelu_tanh(x) }
}

struct GeluTanh;

/// 2 sqrt(2/π): half of 1 + tanh(u) is the sigmoid of 2u.
const SLOPE: f32 = 1.595_769;
const CUBIC: f32 = 0.044_715;

#[inline(always)]
fn gelu(x: f32) -> f32 {
    x * sigmoid(SLOPE * (x + CUBIC * x * x * x))
}

#[inline(always)]
fn gelu_slope(x: f32) -> f32 {
    let s = sigmoid(SLOPE * (x + CUBIC * x * x * x));
    s + x * s * (1.0 - s) * SLOPE * (1.0 + 3.0 * CUBIC * x * x)
}

impl CustomOp1 for GeluTanh {
    fn name(&self) -> &'static str {
        "gelu-tanh"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = values(x, layout)?;
        let mut out = vec![0f32; x.len()];
        out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(out, x)| gelu_of(out, x));
        Ok(output(out, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let slopes = with_all([x, gradient], |[x, g]| Ok(times_slope(x, g)))?;
        tensor_like(slopes, x).map(Some)
    }
}

fn times_slope(x: &[f32], gradient: &[f32]) -> Vec<f32> {
    let mut out = vec![0f32; x.len()];
    let chunks = out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK).zip(gradient.par_chunks(CHUNK)));
    chunks.for_each(|(out, (x, g))| slope_of(out, x, g));
    out
}

vectorised! {
    fn gelu_of(out: &mut [f32], x: &[f32]) {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = gelu(x);
        }
    }

    fn slope_of(out: &mut [f32], x: &[f32], gradient: &[f32]) {
        for (out, (&x, &g)) in out.iter_mut().zip(x.iter().zip(gradient)) {
            *out = g * gelu_slope(x);
        }
    }
}

/// `x + y gate` for `x` and `y` (B, S, D) and `gate` (B, S, D), (B, 1, D) or (D).
///
/// # Errors
/// When shapes do not fit.
pub fn gated_add(x: &Tensor, y: &Tensor, gate: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if super::cuda::takes(x) && x.dims() == y.dims() && x.dtype() == y.dtype() {
        return super::cuda::gated_add(x, y, gate);
    }
    if !on_cpu(&[x, y, gate]) || Broadcast::new(x.dims(), gate.dims()).is_none() || x.dims() != y.dims() {
        return reference::gated_add(x, y, gate);
    }
    x.contiguous()?.apply_op3(&y.contiguous()?, &gate.contiguous()?, GatedAdd)
}

struct GatedAdd;

impl CustomOp3 for GatedAdd {
    fn name(&self) -> &'static str {
        "gated-add"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        y: &CpuStorage,
        y_layout: &Layout,
        gate: &CpuStorage,
        gate_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let rows = Broadcast::of_layouts(x_layout, gate_layout)?;
        let (x, y, gate) = (values(x, x_layout)?, values(y, y_layout)?, values(gate, gate_layout)?);
        let mut out = vec![0f32; x.len()];
        rows.each(&mut out, |first, out| gated_rows(rows, first, out, x, y, gate));
        Ok(output(out, x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        y: &Tensor,
        gate: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let of_gate = gate.track_op().then(|| sum_to(&(gradient * y)?, gate)).transpose()?;
        let of_y = with_all([gradient, gate], |[g, gate_values]| {
            let rows = Broadcast::of_layouts(y.layout(), gate.layout())?;
            let mut out = vec![0f32; g.len()];
            rows.each(&mut out, |first, out| scaled_rows(rows, first, out, g, gate_values));
            Ok(out)
        })?;
        Ok((Some(gradient.clone()), Some(tensor_like(of_y, y)?), of_gate))
    }
}

vectorised! {
    fn gated_rows(rows: Broadcast, first: usize, out: &mut [f32], x: &[f32], y: &[f32], gate: &[f32]) {
        for (i, out) in out.chunks_exact_mut(rows.size).enumerate() {
            let (x, y, gate) = (rows.row(x, first + i), rows.row(y, first + i), rows.shared(gate, first + i));
            for (out, ((x, y), gate)) in out.iter_mut().zip(x.iter().zip(y).zip(gate)) {
                *out = x + y * gate;
            }
        }
    }

    fn scaled_rows(rows: Broadcast, first: usize, out: &mut [f32], x: &[f32], by: &[f32]) {
        for (i, out) in out.chunks_exact_mut(rows.size).enumerate() {
            for (out, (x, by)) in out.iter_mut().zip(rows.row(x, first + i).iter().zip(rows.shared(by, first + i))) {
                *out = x * by;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Case, equals_reference};
    use super::*;

    #[test]
    fn gelu_equals_the_reference() {
        let case = Case { shapes: vec![vec![3, 7, 1000]], limit: 1e-5 };
        equals_reference(&case, |x| gelu_tanh(&x[0]), |x| reference::gelu_tanh(&x[0]));
    }

    #[test]
    fn gelu_far_out_is_the_identity_or_nothing() {
        let x = Tensor::new(&[-1e4f32, -30.0, 0.0, 30.0, 1e4], &candle_core::Device::Cpu).unwrap();
        let y: Vec<f32> = gelu_tanh(&x).unwrap().to_vec1().unwrap();
        assert_eq!(y[2..], [0.0, 30.0, 1e4]);
        assert!(y[0].abs() < 1e-30 && y[1].abs() < 1e-30, "{y:?}");
    }

    #[test]
    fn gated_sums_equal_the_reference_for_every_shape_of_gate() {
        for gate in [vec![7], vec![2, 1, 7], vec![2, 5, 7]] {
            let case = Case { shapes: vec![vec![2, 5, 7], vec![2, 5, 7], gate], limit: 1e-5 };
            equals_reference(
                &case,
                |x| gated_add(&x[0], &x[1], &x[2]),
                |x| reference::gated_add(&x[0], &x[1], &x[2]),
            );
        }
    }
}
