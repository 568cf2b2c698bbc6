//! The product with a frozen weight: differentiable in its input only.
//!
//! Candle's own matmul computes and keeps a gradient for *both* operands, which for a frozen base
//! costs a third product and one more copy of the model. This operation has the input as its only
//! argument, so the backward pass never meets the weight.

use std::ops::AddAssign;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

use super::matrix::{Matrix, Write, multiply};
use super::slices::{on_cpu, values, with_values};

/// `x·Wᵀ + bias` for `x` (..., in), `weight` (out, in) and `bias` (out), giving (..., out).
///
/// The gradient reaches `x` alone. A non-contiguous `x` is copied; the weight never is.
///
/// # Errors
/// When shapes, types or devices do not fit together, or the device is not the CPU.
pub fn frozen_linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let op = FrozenLinear { weight: weight.detach(), bias: bias.map(Tensor::detach) };
    x.contiguous()?.apply_op1(op)
}

struct FrozenLinear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl CustomOp1 for FrozenLinear {
    fn name(&self) -> &'static str {
        "frozen-linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (shape, rows) = self.output_shape(layout)?;
        if matches!(x, CpuStorage::F32(_)) && on_cpu(&[&self.weight]) && shape.elem_count() > 0 {
            return Ok((CpuStorage::F32(self.in_f32(values(x, layout)?)?), shape));
        }
        let mut y = self.product(x, layout, rows)?;
        if let Some(bias) = &self.bias {
            add_bias(&mut y, bias)?;
        }
        Ok((y, shape))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (outputs, _) = self.weight.dims2()?;
        let rows = gradient.reshape(((), outputs))?;
        Ok(Some(rows.matmul(&self.weight)?.reshape(x.shape())?))
    }
}

impl FrozenLinear {
    /// The shape of the result and the number of input rows.
    fn output_shape(&self, layout: &Layout) -> Result<(Shape, usize)> {
        let (outputs, inputs) = self.weight.dims2()?;
        let mut dims = layout.dims().to_vec();
        match dims.last_mut() {
            Some(last) if *last == inputs => *last = outputs,
            _ => bail!("linear {outputs}x{inputs} got an input of shape {:?}", layout.dims()),
        }
        Ok((Shape::from(dims), layout.shape().elem_count() / inputs.max(1)))
    }

    /// The result in f32, by rows in parallel.
    fn in_f32(&self, x: &[f32]) -> Result<Vec<f32>> {
        let (outputs, inputs) = self.weight.dims2()?;
        let bias = self.bias.as_ref().map(Tensor::to_vec1::<f32>).transpose()?;
        with_values(&self.weight, |weight| {
            let weight = Matrix::new(weight, outputs, inputs, inputs);
            let rows = x.len() / inputs;
            let mut y = vec![0.0; rows * outputs];
            let at_once = rows_at_once(rows);
            let parts = y.par_chunks_mut(at_once * outputs).zip(x.par_chunks(at_once * inputs));
            parts.for_each(|(y, x)| frozen_rows(y, x, weight, bias.as_deref()));
            Ok(y)
        })
    }

    /// `x·Wᵀ`, the transposition by strides.
    fn product(&self, x: &CpuStorage, layout: &Layout, rows: usize) -> Result<CpuStorage> {
        let (outputs, inputs) = self.weight.dims2()?;
        let x_layout = Layout::contiguous_with_offset((rows, inputs), layout.start_offset());
        let (weight, weight_layout) = self.weight.storage_and_layout();
        let Storage::Cpu(weight) = &*weight else { bail!("frozen weight is not on the CPU") };
        x.matmul(weight, (1, rows, outputs, inputs), &x_layout, &weight_layout.transpose(0, 1)?)
    }
}

fn add_bias(y: &mut CpuStorage, bias: &Tensor) -> Result<()> {
    let (bias, layout) = bias.storage_and_layout();
    let Storage::Cpu(bias) = &*bias else { bail!("frozen bias is not on the CPU") };
    let Some((from, to)) = layout.contiguous_offsets() else { bail!("frozen bias is not contiguous") };
    match (y, bias) {
        (CpuStorage::F32(y), CpuStorage::F32(bias)) => add_to_rows(y, &bias[from..to]),
        (CpuStorage::F64(y), CpuStorage::F64(bias)) => add_to_rows(y, &bias[from..to]),
        (CpuStorage::BF16(y), CpuStorage::BF16(bias)) => add_to_rows(y, &bias[from..to]),
        (CpuStorage::F16(y), CpuStorage::F16(bias)) => add_to_rows(y, &bias[from..to]),
        (y, bias) => bail!("linear result is {:?}, its bias {:?}", y.dtype(), bias.dtype()),
    }
    Ok(())
}

fn add_to_rows<T: Copy + AddAssign>(y: &mut [T], bias: &[T]) {
    let add = |row: &mut [T]| row.iter_mut().zip(bias).for_each(|(y, b)| *y += *b);
    y.chunks_exact_mut(bias.len().max(1)).for_each(add);
}

/// `x·Wᵀ + bias` for some rows `x`, into `y`.
///
/// Layers with a pair and without share this and [`rows_at_once`], so that a pair of zeros changes no bit.
pub(crate) fn frozen_rows(y: &mut [f32], x: &[f32], weight: Matrix<'_>, bias: Option<&[f32]>) {
    let (outputs, inputs) = (weight.rows(), weight.columns());
    let x = Matrix::new(x, x.len() / inputs, inputs, inputs);
    multiply(y, outputs, Write::Replace, 1.0, x, weight.transposed());
    if let Some(bias) = bias {
        add_to_rows(y, bias);
    }
}

/// Rows for one thread.
pub(crate) fn rows_at_once(rows: usize) -> usize {
    rows.div_ceil(rayon::current_num_threads()).max(1)
}
