//! Operations that candle lacks, does slowly, or differentiates wrongly.

pub mod frozen;
pub mod reference;

pub use reference::{attention, gated_add, gelu_tanh, layer_norm, rms_norm, rope};
