//! The calls as candle's operations, each with its gradient.

mod adam;
mod attention;
mod conv;
mod linear;
mod norm;
mod pointwise;

use candle_core::backend::BackendDevice;
use candle_core::cuda::CudaDevice;
use candle_core::cuda::CudaStorageSlice;
use candle_core::cuda::cudarc::driver::{CudaSlice, DevicePtr};
use candle_core::op::BackpropOp;
use candle_core::{CudaStorage, DType, Device, Layout, Result, Shape, Storage, Tensor, bail};

pub(crate) use adam::{clip, take_step, update_moments};
pub(crate) use attention::attention;
pub(crate) use conv::{channel_norm, convolution, convolution_gradients};
pub(crate) use linear::{adapted_linear, frozen_linear, takes_pair};
pub(crate) use norm::{layer_norm, rms_norm};
pub(crate) use pointwise::{gated_add, gelu_tanh, rope};

use super::call::{Type, Values};
use super::stream::Stream;

/// Whether kernels can run on `t`: f32 or bf16 on a GPU.
pub(crate) fn takes(t: &Tensor) -> bool {
    matches!(t.device(), Device::Cuda(_)) && type_of(t.dtype()).is_ok()
}

fn type_of(dtype: DType) -> Result<Type> {
    match dtype {
        DType::F32 => Ok(Type::F32),
        DType::BF16 => Ok(Type::Bf16),
        other => bail!("kernel got {other:?}"),
    }
}

fn dtype_of(of: Type) -> DType {
    match of {
        Type::F32 => DType::F32,
        Type::Bf16 => DType::BF16,
    }
}

/// An operand or result of a custom operation.
type Operand<'a> = (&'a CudaStorage, &'a Layout);

/// Where the values of a contiguous operand lie.
fn values((storage, layout): Operand<'_>) -> Result<Values> {
    let Some((start, _)) = layout.contiguous_offsets() else { bail!("kernel got a strided tensor") };
    let (address, of) = match &storage.slice {
        CudaStorageSlice::F32(slice) => (address_of(slice), Type::F32),
        CudaStorageSlice::BF16(slice) => (address_of(slice), Type::Bf16),
        _ => bail!("kernel got a tensor that is neither f32 nor bf16"),
    };
    Ok(Values { address, of }.from(start))
}

/// The address of a slice. What is read or written there must go through the slice's own stream, which orders it.
pub(super) fn address_of<T>(slice: &CudaSlice<T>) -> u64 {
    slice.device_ptr(slice.stream()).0
}

/// A new storage of `shape`, filled by `write`, which must write every value.
fn filled(
    device: &CudaDevice,
    shape: &Shape,
    of: Type,
    write: impl FnOnce(&Stream<'_>, Values) -> Result<()>,
) -> Result<CudaStorage> {
    // SAFETY: `write` queues the calls that write every value before anything that could read one.
    let storage = unsafe { device.alloc_uninit(shape, dtype_of(of))? };
    write(&Stream(device), values((&storage, &Layout::contiguous(shape)))?)?;
    Ok(storage)
}

/// New tensors of `shapes`, filled by `write` from the values of `inputs`; outside the graph of gradients.
fn computed<const N: usize, const M: usize>(
    inputs: [&Tensor; N],
    shapes: [(&Shape, Type); M],
    write: impl FnOnce(&Stream<'_>, [Values; N], [Values; M]) -> Result<()>,
) -> Result<[Tensor; M]> {
    let Device::Cuda(device) = inputs[0].device() else { bail!("kernel got a tensor that is not on a GPU") };
    let mut into = [Values::NONE; M];
    let mut out = Vec::with_capacity(M);
    for (place, (shape, of)) in into.iter_mut().zip(shapes) {
        let storage = filled(device, shape, of, |_, values| {
            *place = values;
            Ok(())
        })?;
        out.push(Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false));
    }
    with_tensors(inputs, |from| write(&Stream(device), from, into))?;
    out.try_into().map_err(|_| candle_core::Error::msg("as many results as shapes"))
}

/// Calls `f` with the values of tensors on a GPU; what it queues may read them.
fn with_tensors<const N: usize, R>(
    tensors: [&Tensor; N],
    f: impl FnOnce([Values; N]) -> Result<R>,
) -> Result<R> {
    let mut whole = Vec::with_capacity(N);
    for tensor in tensors {
        whole.push(tensor.contiguous()?);
    }
    let guards: Vec<_> = whole.iter().map(Tensor::storage_and_layout).collect();
    let mut from = [Values::NONE; N];
    for (values_of, (storage, layout)) in from.iter_mut().zip(&guards) {
        let Storage::Cuda(storage) = &**storage else { bail!("kernel got a tensor that is not on the GPU") };
        *values_of = values((storage, layout))?;
    }
    f(from)
}

/// Custom operations here are made for tensors on a GPU alone.
fn not_here<T>(name: &str) -> Result<T> {
    bail!("{name} on the GPU got a tensor on the CPU")
}
