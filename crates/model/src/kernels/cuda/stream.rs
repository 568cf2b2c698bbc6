//! Calls on a GPU, by candle's device: its one stream, its cuBLAS handle, its memory.

use std::ffi::c_void;

use candle_core::cuda::CudaDevice;
use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::cublas::{result as cublas, sys};
use candle_core::cuda::cudarc::driver::result::launch_kernel;
use candle_core::{Result, bail};

use super::call::{Arg, Gpu, Launch, Product, Scratch, Type, Values};
use super::module::function;

/// The stream of a device. All work on the device's memory goes through it, so that calls see each other's results and
/// memory that is given back is used again only by later calls.
pub(crate) struct Stream<'a>(pub &'a CudaDevice);

impl Gpu for Stream<'_> {
    fn launch(&self, launch: &Launch) -> Result<()> {
        if launch.is_empty() {
            return Ok(());
        }
        let (function, stream) = (function(self.0, &launch.kernel)?, self.0.cuda_stream());
        let ([x, y], mut args) = (launch.grid, launch.args.iter().map(address).collect::<Vec<_>>());
        stream.context().bind_to_thread().w()?;
        // SAFETY: the function is of a loaded module, and its parameters are those of `args` in number, type and order,
        // as the tests with the emulated device show. The operations that gave the addresses hold the memory until this
        // call is queued; it is given back in the order of the stream. The driver copies the arguments before it
        // returns.
        unsafe {
            let (grid, block) = ((x, y, 1), (launch.threads, 1, 1));
            launch_kernel(function.cu_function(), grid, block, 0, stream.cu_stream(), &mut args).w()
        }
    }

    fn multiply(&self, product: &Product) -> Result<()> {
        let call = product.by_columns()?;
        let ([m, n, k], [lda, ldb, ldc], [next_a, next_b, next_c]) = (call.size, call.leading, call.next);
        if m == 0 || n == 0 || call.batch == 0 {
            return Ok(());
        }
        if k == 0 {
            bail!("a product over nothing");
        }
        let [a, b, c] = call.values;
        let operation = |transposed| match transposed {
            true => sys::cublasOperation_t::CUBLAS_OP_T,
            false => sys::cublasOperation_t::CUBLAS_OP_N,
        };
        let blas = self.0.cublas_handle();
        self.0.cuda_stream().context().bind_to_thread().w()?;
        // SAFETY: sizes, strides and types describe matrices within the operands, as the tests with the emulated device
        // show for the same calls; the memory is held as in `launch`. Factors are read from the host before the call
        // returns, in cuBLAS's default pointer mode.
        unsafe {
            cublas::gemm_strided_batched_ex(
                *blas.handle(),
                operation(call.transposed[0]),
                operation(call.transposed[1]),
                m,
                n,
                k,
                std::ptr::from_ref(&product.scale).cast(),
                a.address as *const c_void,
                data_type(a.of),
                lda,
                next_a,
                b.address as *const c_void,
                data_type(b.of),
                ldb,
                next_b,
                std::ptr::from_ref(&product.keep).cast(),
                c.address as *mut c_void,
                data_type(c.of),
                ldc,
                next_c,
                call.batch,
                sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
                sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
            )
            .w()
        }
    }

    fn scratch(&self, count: usize, of: Type) -> Result<Scratch> {
        // SAFETY: the operations write scratch memory before they read it, as the tests show, which fill it with NaN.
        let memory = unsafe { self.0.alloc::<u8>((count * of.size()).max(1))? };
        let address = super::ops::address_of(&memory);
        Ok(Scratch { values: Values { address, of }, _memory: Box::new(memory) })
    }
}

fn address(arg: &Arg) -> *mut c_void {
    match arg {
        Arg::Values(values) => std::ptr::from_ref(&values.address) as *mut c_void,
        Arg::Int(value) => std::ptr::from_ref(value) as *mut c_void,
        Arg::Long(value) => std::ptr::from_ref(value) as *mut c_void,
        Arg::Float(value) => std::ptr::from_ref(value) as *mut c_void,
    }
}

fn data_type(of: Type) -> sys::cudaDataType {
    match of {
        Type::F32 => sys::cudaDataType::CUDA_R_32F,
        Type::Bf16 => sys::cudaDataType::CUDA_R_16BF,
    }
}
