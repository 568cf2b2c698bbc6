//! The kernels on NVIDIA GPUs: f32 and bf16 values, all arithmetic in f32.
//!
//! Three layers. `source.cu` holds the kernels. Beside it a file per operation says which kernels and which of cuBLAS's
//! products are called with what ([`call`]), without touching a device; so the tests can do the same calls on the CPU
//! ([`emulated`]) and compare with the reference. With the feature `cuda`, [`stream`] does the calls on a GPU and the
//! files under `ops` make them candle's operations, forward and backward.

pub(crate) mod adam;
pub(crate) mod attention;
pub(crate) mod call;
pub(crate) mod conv;
mod conv_backward;
#[cfg(feature = "cuda")]
mod copies;
#[cfg(test)]
#[cfg(feature = "emulate")]
mod emulated;
pub(crate) mod linear;
#[cfg(feature = "cuda")]
mod module;
pub(crate) mod norm;
#[cfg(feature = "cuda")]
mod open;
#[cfg(feature = "cuda")]
mod ops;
pub(crate) mod pointwise;
#[cfg(feature = "cuda")]
mod stream;

#[cfg(feature = "cuda")]
pub(crate) use copies::Copies;
#[cfg(feature = "cuda")]
pub(crate) use open::open;
#[cfg(feature = "cuda")]
pub(crate) use ops::{
    adapted_linear, attention, channel_norm, clip, convolution, convolution_gradients, frozen_linear,
    gated_add, gelu_tanh, layer_norm, rms_norm, rope, take_step, takes, takes_pair, update_moments,
};
