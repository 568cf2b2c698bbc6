//! Operations that candle lacks, does slowly, or differentiates wrongly.

pub mod frozen;
