//! Operations that candle lacks, does slowly, or differentiates wrongly.

pub(crate) mod channel_norm;
#[allow(unsafe_code)] // matrix products into disjoint parts of one output
pub(crate) mod conv;
pub mod frozen;
pub mod reference;
#[allow(unsafe_code)] // instructions chosen at run time
pub(crate) mod simd;
pub(crate) mod slices;

pub use reference::{attention, gated_add, gelu_tanh, layer_norm, rms_norm, rope};
