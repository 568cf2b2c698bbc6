//! Opening a GPU.

use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::driver::{CudaContext, result, sys};
use candle_core::{Device, Result, bail};

/// The least compute capability whose tensor cores take bf16.
const LEAST: (i32, i32) = (8, 0);

/// The GPU `number`, with a stream of its own that all its work goes through.
///
/// # Errors
/// When there is no driver, no such GPU, or it is too old.
pub(crate) fn open(number: usize) -> Result<Device> {
    let context = CudaContext::new(number).w()?;
    let found = context.compute_capability().w()?;
    if found < LEAST {
        bail!("its compute capability is {}.{}", found.0, found.1);
    }
    let device = Device::new_cuda_with_stream(number)?;
    // SAFETY: events would order streams among each other; all work on this device's memory goes through the one stream
    // made above.
    unsafe { device.as_cuda_device()?.disable_event_tracking() };
    if let Err(error) = keep_freed_memory(&context) {
        log::debug!("the device's memory pool stays as it is: {error}");
    }
    Ok(device)
}

/// Lets the device's memory pool keep what is given back: by default the next synchronisation hands it to the system,
/// and every step would ask for it anew.
fn keep_freed_memory(context: &CudaContext) -> std::result::Result<(), result::DriverError> {
    let mut pool = std::ptr::null_mut();
    let mut all = u64::MAX;
    let threshold = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: the context's device exists; both calls write or read the variables given, of the types documented.
    unsafe {
        sys::cuDeviceGetDefaultMemPool(&mut pool, context.cu_device()).result()?;
        sys::cuMemPoolSetAttribute(pool, threshold, std::ptr::from_mut(&mut all).cast()).result()
    }
}
