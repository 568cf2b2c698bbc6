//! The Wan networks, their kernels, flow mathematics, sampling and weights.
#![deny(unsafe_code)]

pub mod kernels;
pub mod linear;
