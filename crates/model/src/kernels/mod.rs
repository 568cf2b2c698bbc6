//! Operations that candle lacks, does slowly, or differentiates wrongly.
//!
//! Each runs on f32 tensors on the CPU; other types and devices take [`mod@reference`], which is also what the kernels
//! are tested against.

pub mod adam;
pub(crate) mod adapted;
mod attention;
pub(crate) mod channel_norm;
#[cfg(test)]
mod check;
#[allow(unsafe_code)] // matrix products into disjoint parts of one output
pub(crate) mod conv;
#[cfg(any(test, feature = "cuda"))]
#[allow(unsafe_code)] // launches kernels; the tests emulate them
pub(crate) mod cuda;
pub mod frozen;
#[allow(unsafe_code)] // calls of gemm
mod matrix;
mod norm;
mod pointwise;
pub mod reference;
mod rotate;
mod rows;
#[allow(unsafe_code)] // instructions chosen at run time
mod simd;
mod slices;
#[allow(unsafe_code)] // sets environment variables
mod threads;

pub use attention::attention;
pub use norm::{layer_norm, rms_norm};
pub use pointwise::{gated_add, gelu_tanh};
pub use rotate::rope;
pub use threads::settle_threads;
