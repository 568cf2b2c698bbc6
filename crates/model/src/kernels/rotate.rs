//! Rotary positions, with their gradient: the rotation back.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use super::reference;
use super::rows::Broadcast;
use super::simd::vectorised;
use super::slices::{on_cpu, output, tensor_like, values, with_values};
use crate::rope::RopeTable;

/// Turns each pair of neighbouring channels of `x` (B, S, H, D) by its token's angle.
///
/// # Errors
/// When the table is not for S tokens and D channels.
pub fn rope(x: &Tensor, table: &RopeTable) -> Result<Tensor> {
    let (_, tokens, _, channels) = x.dims4()?;
    if table.cos.dims() != [tokens, channels / 2] || channels % 2 != 0 {
        bail!("rotary table of {:?} for {:?}", table.cos.dims(), x.dims());
    }
    #[cfg(feature = "cuda")]
    if super::cuda::takes(x) {
        return super::cuda::rope(x, table);
    }
    if !on_cpu(&[x]) {
        return reference::rope(x, table);
    }
    x.contiguous()?.apply_op1(Rope { cos: table.cos.clone(), sin: table.sin.clone() })
}

struct Rope {
    cos: Tensor,
    sin: Tensor,
}

impl CustomOp1 for Rope {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let turned = self.turn(values(x, layout)?, layout.dims(), 1.0)?;
        Ok(output(turned, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let back = with_values(gradient, |g| self.turn(g, x.dims(), -1.0))?;
        tensor_like(back, x).map(Some)
    }
}

impl Rope {
    /// Turns by the angles, or back if `direction` is -1.
    fn turn(&self, x: &[f32], dims: &[usize], direction: f32) -> Result<Vec<f32>> {
        let (tokens, heads, pairs) = (dims[1], dims[2], dims[3] / 2);
        let Some(rows) = Broadcast::new(&[heads * dims[3]], &[heads * dims[3]]) else {
            return Ok(Vec::new());
        };
        with_values(&self.cos, |cos| {
            with_values(&self.sin, |sin| {
                let mut out = vec![0f32; x.len()];
                rows.each(&mut out, |first, out| {
                    let x = &x[first * rows.size..][..out.len()];
                    for (i, (out, x)) in
                        out.chunks_exact_mut(rows.size).zip(x.chunks_exact(rows.size)).enumerate()
                    {
                        let angles = (first + i) % tokens * pairs..((first + i) % tokens + 1) * pairs;
                        turn_token(out, x, (&cos[angles.clone()], &sin[angles]), direction);
                    }
                });
                Ok(out)
            })
        })
    }
}

vectorised! {
    /// All heads of one token.
    fn turn_token(out: &mut [f32], x: &[f32], angles: (&[f32], &[f32]), direction: f32) {
        let (cos, sin) = angles;
        for (out, x) in out.chunks_exact_mut(2 * cos.len()).zip(x.chunks_exact(2 * cos.len())) {
            for i in 0..cos.len() {
                let (a, b, sin) = (x[2 * i], x[2 * i + 1], sin[i] * direction);
                out[2 * i] = a * cos[i] - b * sin;
                out[2 * i + 1] = a * sin + b * cos[i];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Case, equals_reference};
    use super::*;

    #[test]
    fn values_and_gradients_equal_the_reference() {
        let table = RopeTable::new([2, 3, 4], 12).unwrap();
        let exact = RopeTable {
            cos: table.cos.to_dtype(candle_core::DType::F64).unwrap(),
            sin: table.sin.to_dtype(candle_core::DType::F64).unwrap(),
        };
        let of_type = |x: &Tensor| if x.dtype() == candle_core::DType::F64 { &exact } else { &table };
        let case = Case { shapes: vec![vec![2, 24, 3, 12]], limit: 1e-5 };
        equals_reference(&case, |x| rope(&x[0], &table), |x| reference::rope(&x[0], of_type(&x[0])));
    }

    #[test]
    fn a_table_of_another_size_is_refused() {
        let table = RopeTable::new([2, 3, 4], 12).unwrap();
        let x = Tensor::zeros((1, 23, 3, 12), candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
        assert!(rope(&x, &table).unwrap_err().to_string().contains("rotary table"));
    }
}
