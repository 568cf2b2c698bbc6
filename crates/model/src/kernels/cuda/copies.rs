//! Uploads to a GPU: copies from pinned memory on a stream beside the one that computes. The order of the calls is
//! `crate::kernels::upload::lane`'s.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::backend::BackendDevice;
use candle_core::cuda::cudarc::driver::result::memcpy_htod_async;
use candle_core::cuda::cudarc::driver::sys::CUevent_flags;
use candle_core::cuda::cudarc::driver::{CudaEvent, CudaStream, PinnedHostSlice};
use candle_core::cuda::{CudaDevice, CudaStorageSlice, WrapErr};
use candle_core::op::BackpropOp;
use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, WithDType, bail};
use rayon::prelude::*;

use super::ops::address_of;
use crate::kernels::upload::lane::{Arrival, Lane, Part, Streams};

/// Bytes of a copy: some hundred microseconds' worth.
const CHUNK: usize = 16 << 20;
/// Bytes that a thread fills in at a time; one thread is slower than the bus.
const SHARE: usize = 1 << 20;

/// Tensors of the host on their way to a GPU.
pub(crate) struct Copies {
    // Dropped first: the tensors' memory is given back after the compute stream was told to wait for the copies.
    arrival: Arrival<TwoStreams>,
    tensors: Vec<Tensor>,
}

impl Copies {
    /// From contiguous tensors on the CPU.
    pub fn begin(device: &CudaDevice, tensors: &[Tensor]) -> Result<Self> {
        let guards: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
        let (mut storages, mut parts) =
            (Vec::with_capacity(tensors.len()), Vec::with_capacity(tensors.len()));
        for (tensor, (storage, layout)) in tensors.iter().zip(&guards) {
            let Storage::Cpu(storage) = &**storage else {
                bail!("upload of a tensor that is not on the CPU")
            };
            let bytes = host_bytes(storage, layout)?;
            // SAFETY: the copies write all of it, before anything that `finish` gives it to.
            let there = unsafe { device.alloc_uninit(tensor.shape(), tensor.dtype())? };
            parts.push(Part { bytes, address: address(&there.slice)? });
            storages.push(there);
        }
        let arrival = send(device, &parts)?;
        let whole = storages.into_iter().zip(tensors).map(|(storage, tensor)| {
            Tensor::from_storage(Storage::Cuda(storage), tensor.shape(), BackpropOp::none(), false)
        });
        Ok(Self { arrival, tensors: whole.collect() })
    }

    /// The tensors on the GPU; what is queued there from now on sees them whole.
    pub fn finish(mut self) -> Result<Vec<Tensor>> {
        self.arrival.join()?;
        Ok(self.tensors)
    }
}

/// The stream for copies to one GPU, and its buffers.
struct Way {
    copies: Arc<CudaStream>,
    lane: Lane<TwoStreams>,
}

/// The way to the GPU that `device` computes on; kept for the process's life, as pinned memory is slow to get.
fn way(device: &CudaDevice) -> Result<Arc<Mutex<Way>>> {
    static WAYS: Mutex<BTreeMap<usize, Arc<Mutex<Way>>>> = Mutex::new(BTreeMap::new());
    let compute = device.cuda_stream();
    let mut ways = WAYS.lock().unwrap_or_else(PoisonError::into_inner);
    match ways.entry(compute.context().ordinal()) {
        Entry::Occupied(known) => Ok(known.get().clone()),
        Entry::Vacant(place) => {
            let way = Way { copies: compute.context().new_stream().w()?, lane: Lane::new(CHUNK) };
            Ok(place.insert(Arc::new(Mutex::new(way))).clone())
        }
    }
}

fn send(device: &CudaDevice, parts: &[Part<'_>]) -> Result<Arrival<TwoStreams>> {
    let way = way(device)?;
    let Ok(mut way) = way.lock() else { bail!("an earlier upload to the GPU was cut short") };
    let streams = TwoStreams { compute: device.cuda_stream(), copies: way.copies.clone() };
    way.lane.send(&streams, parts)
}

/// Of one GPU.
#[derive(Clone)]
struct TwoStreams {
    compute: Arc<CudaStream>,
    copies: Arc<CudaStream>,
}

impl Streams for TwoStreams {
    type Buffer = PinnedHostSlice<u8>;
    type Event = Arc<CudaEvent>;

    fn buffer(&self, bytes: usize) -> Result<Self::Buffer> {
        // SAFETY: undefined at first; `copy` is called for what `fill` wrote.
        unsafe { self.copies.context().alloc_pinned(bytes.max(1)).w() }
    }

    fn fill(&self, buffer: &mut Self::Buffer, at: usize, bytes: &[u8]) -> Result<()> {
        let into = &mut buffer.as_mut_slice().w()?[at..at + bytes.len()];
        let shares = into.par_chunks_mut(SHARE).zip(bytes.par_chunks(SHARE));
        shares.for_each(|(into, bytes)| into.copy_from_slice(bytes));
        Ok(())
    }

    fn copy(&self, buffer: &Self::Buffer, at: usize, count: usize, address: u64) -> Result<()> {
        let bytes = &buffer.as_slice().w()?[at..at + count];
        self.copies.context().bind_to_thread().w()?;
        // SAFETY: the lane keeps the buffer, and does not fill it, until an event after this copy has passed; the
        // address is of memory for at least `count` bytes that the compute stream got before the event that this
        // stream waits for, and gets back after it was told to wait for this copy. The stream is of the same GPU.
        unsafe { memcpy_htod_async(address, bytes, self.copies.cu_stream()).w() }
    }

    fn copies_wait(&self) -> Result<()> {
        self.copies.join(&self.compute).w()
    }

    fn copied(&self) -> Result<Self::Event> {
        // The host sleeps when it waits for it.
        Ok(Arc::new(self.copies.record_event(Some(CUevent_flags::CU_EVENT_BLOCKING_SYNC)).w()?))
    }

    fn compute_waits(&self, event: &Self::Event) -> Result<()> {
        self.compute.wait(event).w()
    }

    fn wait(&self, event: &Self::Event) -> Result<()> {
        event.synchronize().w()
    }

    fn drain(&self) -> Result<()> {
        self.copies.synchronize().w()
    }
}

/// A match over the types that GPUs hold.
macro_rules! for_each_type {
    ($storage:expr, $kind:ident, $values:ident => $result:expr) => {
        match $storage {
            $kind::U8($values) => Ok($result),
            $kind::U32($values) => Ok($result),
            $kind::I16($values) => Ok($result),
            $kind::I32($values) => Ok($result),
            $kind::I64($values) => Ok($result),
            $kind::BF16($values) => Ok($result),
            $kind::F16($values) => Ok($result),
            $kind::F32($values) => Ok($result),
            $kind::F64($values) => Ok($result),
            $kind::F8E4M3($values) => Ok($result),
            _ => bail!("upload of a type that GPUs do not hold"),
        }
    };
}

/// The bytes of a contiguous tensor.
fn host_bytes<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [u8]> {
    let Some((from, to)) = layout.contiguous_offsets() else { bail!("upload of a strided tensor") };
    for_each_type!(storage, CpuStorage, values => bytes_of(&values[from..to]))
}

fn bytes_of<T: WithDType>(values: &[T]) -> &[u8] {
    // SAFETY: candle's element types are numbers without padding, and any bytes are valid as `u8`.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

fn address(slice: &CudaStorageSlice) -> Result<u64> {
    for_each_type!(slice, CudaStorageSlice, values => address_of(values))
}
