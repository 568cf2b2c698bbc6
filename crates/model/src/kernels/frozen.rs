//! The product with a frozen weight: differentiable in its input only.
//!
//! Candle's own matmul computes and keeps a gradient for *both* operands, which for a frozen base
//! costs a third product and one more copy of the model. This operation has the input as its only
//! argument, so the backward pass never meets the weight.

use std::borrow::Cow;
use std::ops::AddAssign;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

use super::{reference, stored};
use crate::weights::{Stored, Streamed};

/// Rows times elements below which one thread adds the bias faster than several.
const PARALLEL_BIAS: usize = 1 << 16;

/// The weight (out, in) of a layer that is never trained.
#[derive(Clone, Debug)]
pub enum FrozenWeight {
    /// In memory, in the type it is computed with.
    Dense(Tensor),
    /// As it lies in its file, decoded to f32 part by part in every product; on the CPU.
    Stored(Stored),
    /// Brought to where it is computed with only while its block runs.
    Streamed(Streamed),
}

impl FrozenWeight {
    /// Outputs and inputs.
    ///
    /// # Errors
    /// When a tensor has other than two dimensions.
    pub fn dims2(&self) -> Result<(usize, usize)> {
        match self {
            Self::Dense(weight) => weight.dims2(),
            Self::Stored(weight) => Ok(weight.shape().into()),
            Self::Streamed(weight) => Ok(weight.shape().into()),
        }
    }

    /// The type it is computed with.
    pub fn dtype(&self) -> DType {
        match self {
            Self::Dense(weight) => weight.dtype(),
            Self::Stored(_) => DType::F32,
            Self::Streamed(weight) => weight.placement().dtype,
        }
    }

    /// Where it is computed with.
    pub fn device(&self) -> &Device {
        match self {
            Self::Dense(weight) => weight.device(),
            Self::Stored(_) => &Device::Cpu,
            Self::Streamed(weight) => &weight.placement().device,
        }
    }

    /// The whole weight in the type it is computed with.
    ///
    /// # Errors
    /// When the tensor cannot be made.
    pub fn dense(&self) -> Result<Tensor> {
        match self {
            Self::Dense(weight) => Ok(weight.clone()),
            Self::Stored(weight) => {
                let [outputs, inputs] = weight.shape();
                let mut values = vec![0f32; outputs * inputs];
                weight.widen(0..outputs, &mut values);
                Tensor::from_vec(values, (outputs, inputs), &Device::Cpu)
            }
            Self::Streamed(weight) => weight.dense(),
        }
    }

    /// Itself where products can be made with it, else the whole weight, brought in for one product.
    pub(crate) fn here(&self) -> Result<Cow<'_, Self>> {
        match self {
            Self::Streamed(weight) => Ok(Cow::Owned(Self::Dense(weight.dense()?))),
            here => Ok(Cow::Borrowed(here)),
        }
    }
}

impl From<Tensor> for FrozenWeight {
    fn from(weight: Tensor) -> Self {
        Self::Dense(weight)
    }
}

/// `x·Wᵀ + bias` for `x` (..., in), `weight` (out, in) and `bias` (out), giving (..., out).
///
/// The gradient reaches `x` alone. A non-contiguous `x` is copied; the weight never is.
///
/// # Errors
/// When shapes, types or devices do not fit together, or the device is not the CPU.
pub fn frozen_linear(x: &Tensor, weight: &FrozenWeight, bias: Option<&Tensor>) -> Result<Tensor> {
    if x.device().is_metal() {
        return reference::frozen_linear(x, &weight.dense()?.detach(), bias.map(Tensor::detach).as_ref());
    }
    x.contiguous()?.apply_op1(FrozenLinear::new(weight.here()?.as_ref(), bias))
}

/// The operation, which [`super::adapted`] builds on.
pub(crate) struct FrozenLinear {
    pub weight: FrozenWeight,
    /// (out)
    pub bias: Option<Tensor>,
}

impl CustomOp1 for FrozenLinear {
    fn name(&self) -> &'static str {
        "frozen-linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (shape, rows) = self.output_shape(layout)?;
        let mut y = self.product(x, layout, rows)?;
        if let Some(bias) = &self.bias {
            add_bias(&mut y, bias)?;
        }
        Ok((y, shape))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let (shape, _) = self.output_shape(layout)?;
        super::cuda::frozen_linear(&self.weight.dense()?, self.bias.as_ref(), (x, layout), shape)
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (outputs, _) = self.weight.dims2()?;
        let rows = gradient.reshape(((), outputs))?;
        let into = match &self.weight {
            FrozenWeight::Dense(weight) => rows.matmul(weight)?,
            FrozenWeight::Stored(_) => {
                let (storage, layout) = rows.storage_and_layout();
                let Storage::Cpu(storage) = &*storage else { bail!("a stored weight met a GPU") };
                let CpuStorage::F32(values) = self.input_gradient(storage, layout)? else {
                    bail!("a stored weight is computed with in f32")
                };
                Tensor::from_vec(values, x.shape(), &Device::Cpu)?
            }
            FrozenWeight::Streamed(_) => return not_here(),
        };
        Ok(Some(into.reshape(x.shape())?))
    }
}

impl FrozenLinear {
    pub fn new(weight: &FrozenWeight, bias: Option<&Tensor>) -> Self {
        let weight = match weight {
            FrozenWeight::Dense(weight) => FrozenWeight::Dense(weight.detach()),
            other => other.clone(),
        };
        Self { weight, bias: bias.map(Tensor::detach) }
    }

    /// `g·W` for the contiguous gradient (rows, out) of the result.
    pub fn input_gradient(&self, gradient: &CpuStorage, layout: &Layout) -> Result<CpuStorage> {
        let (outputs, inputs) = self.weight.dims2()?;
        let rows = layout.shape().elem_count() / outputs.max(1);
        let layout = Layout::contiguous_with_offset((rows, outputs), layout.start_offset());
        let weight = match &self.weight {
            FrozenWeight::Dense(weight) => weight,
            FrozenWeight::Stored(weight) => return stored::input_gradient(gradient, &layout, weight),
            FrozenWeight::Streamed(_) => return not_here(),
        };
        let (weight, weight_layout) = weight.storage_and_layout();
        let Storage::Cpu(weight) = &*weight else { bail!("frozen weight is not on the CPU") };
        gradient.matmul(weight, (1, rows, inputs, outputs), &layout, weight_layout)
    }

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

    /// `x·Wᵀ`, the transposition by strides.
    fn product(&self, x: &CpuStorage, layout: &Layout, rows: usize) -> Result<CpuStorage> {
        let (outputs, inputs) = self.weight.dims2()?;
        let x_layout = Layout::contiguous_with_offset((rows, inputs), layout.start_offset());
        let weight = match &self.weight {
            FrozenWeight::Dense(weight) => weight,
            FrozenWeight::Stored(weight) => return stored::product(x, &x_layout, weight),
            FrozenWeight::Streamed(_) => return not_here(),
        };
        let (weight, weight_layout) = weight.storage_and_layout();
        let Storage::Cpu(weight) = &*weight else { bail!("frozen weight is not on the CPU") };
        x.matmul(weight, (1, rows, outputs, inputs), &x_layout, &weight_layout.transpose(0, 1)?)
    }
}

fn not_here<T>() -> Result<T> {
    bail!("a product with a weight that was not brought in")
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

fn add_to_rows<T: Copy + AddAssign + Send + Sync>(y: &mut [T], bias: &[T]) {
    let add = |row: &mut [T]| row.iter_mut().zip(bias).for_each(|(y, b)| *y += *b);
    if y.len() < PARALLEL_BIAS {
        y.chunks_exact_mut(bias.len().max(1)).for_each(add);
    } else {
        y.par_chunks_exact_mut(bias.len().max(1)).with_min_len(16).for_each(add);
    }
}
