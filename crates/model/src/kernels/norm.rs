//! Normalisation of rows, with gradients.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

use super::reference;
use super::rows::{Broadcast, sum_to};
use super::simd::{sum, sum2, vectorised};
use super::slices::{on_cpu, output, tensor_like, values, with_all};

/// Each row of `x` (B, S, D) less its mean, over its deviation, times `gain` plus `shift`.
///
/// `gain` and `shift` have one shape: (D), (B, 1, D) or (B, S, D).
///
/// # Errors
/// When shapes do not fit.
pub fn layer_norm(x: &Tensor, gain: &Tensor, shift: &Tensor, eps: f64) -> Result<Tensor> {
    let fits = gain.dims() == shift.dims() && Broadcast::new(x.dims(), gain.dims()).is_some();
    #[cfg(feature = "cuda")]
    if fits && super::cuda::takes(x) {
        return super::cuda::layer_norm(x, gain, shift, eps);
    }
    if !fits || !on_cpu(&[x, gain, shift]) {
        return reference::layer_norm(x, gain, shift, eps);
    }
    x.contiguous()?.apply_op3(&gain.contiguous()?, &shift.contiguous()?, LayerNorm { eps })
}

/// Each row of `x` (B, S, D) over the root of its mean square, times `gain` (D).
///
/// # Errors
/// When shapes do not fit.
pub fn rms_norm(x: &Tensor, gain: &Tensor, eps: f64) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if super::cuda::takes(x) {
        return super::cuda::rms_norm(x, gain, eps);
    }
    if Broadcast::new(x.dims(), gain.dims()).is_none() || !on_cpu(&[x, gain]) {
        return reference::rms_norm(x, gain, eps);
    }
    x.contiguous()?.apply_op2(&gain.contiguous()?, RmsNorm { eps })
}

struct LayerNorm {
    eps: f64,
}

/// Mean and 1 / deviation.
#[inline(always)]
fn moments(row: &[f32], eps: f64) -> (f32, f32) {
    let mean = sum(row, |x| x) / row.len() as f32;
    let variance = sum(row, |x| (x - mean) * (x - mean)) / row.len() as f32;
    (mean, 1.0 / (variance + eps as f32).sqrt())
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gain: &CpuStorage,
        gain_layout: &Layout,
        shift: &CpuStorage,
        shift_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let rows = Broadcast::of_layouts(x_layout, gain_layout)?;
        let (x, gain, shift) =
            (values(x, x_layout)?, values(gain, gain_layout)?, values(shift, shift_layout)?);
        let mut out = vec![0f32; x.len()];
        rows.each(&mut out, |first, out| layer_norm_rows(rows, first, out, x, (gain, shift), self.eps));
        Ok(output(out, x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gain: &Tensor,
        shift: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let rows = Broadcast::of_layouts(x.layout(), gain.layout())?;
        let dx = with_all([x, gain, gradient], |[x, gain, dy]| {
            let mut dx = vec![0f32; x.len()];
            rows.each(&mut dx, |first, dx| layer_norm_slopes(rows, first, dx, (x, gain, dy), self.eps));
            Ok(dx)
        })?;
        let of_gain = || {
            let normed = reference::layer_norm(x, &gain.ones_like()?, &shift.zeros_like()?, self.eps)?;
            sum_to(&(normed * gradient)?, gain)
        };
        let of_gain = gain.track_op().then(of_gain).transpose()?;
        let of_shift = shift.track_op().then(|| sum_to(gradient, shift)).transpose()?;
        Ok((Some(tensor_like(dx, x)?), of_gain, of_shift))
    }
}

vectorised! {
    fn layer_norm_rows(
        rows: Broadcast,
        first: usize,
        out: &mut [f32],
        x: &[f32],
        affine: (&[f32], &[f32]),
        eps: f64,
    ) {
        for (i, out) in out.chunks_exact_mut(rows.size).enumerate() {
            let x = rows.row(x, first + i);
            let (gain, shift) = (rows.shared(affine.0, first + i), rows.shared(affine.1, first + i));
            let (mean, inverse) = moments(x, eps);
            for (out, (x, (gain, shift))) in out.iter_mut().zip(x.iter().zip(gain.iter().zip(shift))) {
                *out = (x - mean) * inverse * gain + shift;
            }
        }
    }

    /// The gradient of the input, from input, gain and the result's gradient.
    fn layer_norm_slopes(
        rows: Broadcast,
        first: usize,
        dx: &mut [f32],
        operands: (&[f32], &[f32], &[f32]),
        eps: f64,
    ) {
        for (i, dx) in dx.chunks_exact_mut(rows.size).enumerate() {
            let (x, gain) = (rows.row(operands.0, first + i), rows.shared(operands.1, first + i));
            let (mean, inverse) = moments(x, eps);
            for (dx, (dy, gain)) in dx.iter_mut().zip(rows.row(operands.2, first + i).iter().zip(gain)) {
                *dx = dy * gain;
            }
            let count = x.len() as f32;
            let level = sum(dx, |d| d) / count;
            let tilt = sum2(dx, x, |d, x| d * (x - mean)) * inverse * inverse / count;
            for (dx, x) in dx.iter_mut().zip(x) {
                *dx = (*dx - level - (x - mean) * tilt) * inverse;
            }
        }
    }
}

struct RmsNorm {
    eps: f64,
}

/// 1 / root of the mean square.
#[inline(always)]
fn inverse_rms(row: &[f32], eps: f64) -> f32 {
    1.0 / (sum(row, |x| x * x) / row.len() as f32 + eps as f32).sqrt()
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gain: &CpuStorage,
        gain_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let rows = Broadcast::of_layouts(x_layout, gain_layout)?;
        let (x, gain) = (values(x, x_layout)?, values(gain, gain_layout)?);
        let mut out = vec![0f32; x.len()];
        rows.each(&mut out, |first, out| rms_norm_rows(rows, first, out, (x, gain), self.eps));
        Ok(output(out, x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gain: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let rows = Broadcast::of_layouts(x.layout(), gain.layout())?;
        let dx = with_all([x, gain, gradient], |[x, gain, dy]| {
            let mut dx = vec![0f32; x.len()];
            rows.each(&mut dx, |first, dx| rms_norm_slopes(rows, first, dx, (x, gain, dy), self.eps));
            Ok(dx)
        })?;
        let of_gain = || sum_to(&(reference::rms_norm(x, &gain.ones_like()?, self.eps)? * gradient)?, gain);
        Ok((Some(tensor_like(dx, x)?), gain.track_op().then(of_gain).transpose()?))
    }
}

vectorised! {
    fn rms_norm_rows(rows: Broadcast, first: usize, out: &mut [f32], operands: (&[f32], &[f32]), eps: f64) {
        for (i, out) in out.chunks_exact_mut(rows.size).enumerate() {
            let (x, gain) = (rows.row(operands.0, first + i), rows.shared(operands.1, first + i));
            let inverse = inverse_rms(x, eps);
            for (out, (x, gain)) in out.iter_mut().zip(x.iter().zip(gain)) {
                *out = x * inverse * gain;
            }
        }
    }

    /// The gradient of the input, from input, gain and the result's gradient.
    fn rms_norm_slopes(
        rows: Broadcast,
        first: usize,
        dx: &mut [f32],
        operands: (&[f32], &[f32], &[f32]),
        eps: f64,
    ) {
        for (i, dx) in dx.chunks_exact_mut(rows.size).enumerate() {
            let (x, gain) = (rows.row(operands.0, first + i), rows.shared(operands.1, first + i));
            let inverse = inverse_rms(x, eps);
            for (dx, (dy, gain)) in dx.iter_mut().zip(rows.row(operands.2, first + i).iter().zip(gain)) {
                *dx = dy * gain;
            }
            let tilt = sum2(dx, x, |d, x| d * x) * inverse * inverse / x.len() as f32;
            for (dx, x) in dx.iter_mut().zip(x) {
                *dx = (*dx - x * tilt) * inverse;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Case, equals_reference};
    use super::*;

    #[test]
    fn layer_norm_equals_the_reference_for_every_shape_of_gain() {
        for gain in [vec![37], vec![2, 1, 37], vec![2, 5, 37]] {
            let case = Case { shapes: vec![vec![2, 5, 37], gain.clone(), gain], limit: 1e-5 };
            equals_reference(
                &case,
                |x| layer_norm(&x[0], &x[1], &x[2], 1e-6),
                |x| reference::layer_norm(&x[0], &x[1], &x[2], 1e-6),
            );
        }
    }

    #[test]
    fn rms_norm_equals_the_reference() {
        let case = Case { shapes: vec![vec![2, 300, 33], vec![33]], limit: 1e-5 };
        equals_reference(
            &case,
            |x| rms_norm(&x[0], &x[1], 1e-6),
            |x| reference::rms_norm(&x[0], &x[1], 1e-6),
        );
    }

    #[test]
    fn rows_far_from_zero_keep_their_variance() {
        let x = Tensor::new(&[[[10_000f32, 10_001.0, 10_002.0]]], &candle_core::Device::Cpu).unwrap();
        let gain = Tensor::ones(3, candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
        let y = layer_norm(&x, &gain, &gain.zeros_like().unwrap(), 1e-6).unwrap();
        let y: Vec<f32> = y.flatten_all().unwrap().to_vec1().unwrap();
        assert!((y[2] - 1.5f32.sqrt()).abs() < 1e-3, "{y:?}");
    }
}
