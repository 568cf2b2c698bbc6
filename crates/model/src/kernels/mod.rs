//! Operations that candle lacks, does slowly, or differentiates wrongly.
//!
//! Each runs on f32 tensors on the CPU; other types and devices take [`mod@reference`], which is also what the kernels
//! are tested against.

pub mod adam;
pub(crate) mod adapted;
mod attention;
mod attention_backward;
#[allow(unsafe_code)] // bytes of a file as blocks of numbers
pub(crate) mod blocks;
pub(crate) mod channel_norm;
#[cfg(test)]
mod check;
#[allow(unsafe_code)] // matrix products into disjoint parts of one output
pub mod conv;
mod conv_backward;
mod conv_unroll;
#[cfg(any(all(test, feature = "emulate"), feature = "cuda"))]
#[allow(unsafe_code)] // launches kernels; the tests emulate them
pub(crate) mod cuda;
pub mod frozen;
#[allow(unsafe_code)] // calls of gemm
mod matrix;
mod norm;
mod pointwise;
mod pull;
pub mod reference;
mod rotate;
mod rows;
mod simd;
mod slices;
mod stored;
#[allow(unsafe_code)] // sets environment variables and the allocator
mod threads;
pub mod upload;

pub use attention::attention;
pub use norm::{layer_norm, rms_norm};
pub use pointwise::{gated_add, gelu_tanh};
pub use pull::pull;
pub use rotate::rope;
pub(crate) use slices::with_values;
pub use threads::{settle_memory, settle_threads};
