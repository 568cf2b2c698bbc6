//! Rotary positions, with their gradient: the rotation back.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use super::reference;
use super::rows::Broadcast;
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
                rows.each(&mut out, |row, out| {
                    let angles = row % tokens * pairs..(row % tokens + 1) * pairs;
                    let (cos, sin, x) = (&cos[angles.clone()], &sin[angles], rows.row(x, row));
                    for (out, x) in out.chunks_exact_mut(2 * pairs).zip(x.chunks_exact(2 * pairs)) {
                        turn_head(out, x, cos, sin, direction);
                    }
                });
                Ok(out)
            })
        })
    }
}

#[inline(always)]
fn turn_head(out: &mut [f32], x: &[f32], cos: &[f32], sin: &[f32], direction: f32) {
    let pairs = out.chunks_exact_mut(2).zip(x.chunks_exact(2)).zip(cos.iter().zip(sin));
    for ((out, x), (cos, sin)) in pairs {
        let sin = sin * direction;
        out[0] = x[0] * cos - x[1] * sin;
        out[1] = x[0] * sin + x[1] * cos;
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
