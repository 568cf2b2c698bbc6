//! The Wan networks, their kernels, flow mathematics, sampling and weights.
#![deny(unsafe_code)]

mod attention;
mod block;
pub mod config;
pub mod device;
mod embeddings;
pub mod error;
pub mod flow;
pub mod kernels;
pub mod linear;
pub mod names;
pub mod rope;
pub mod sample;
mod solver;
pub mod transformer;
pub mod vae;
mod vae_blocks;
pub mod weights;

pub use config::{TransformerConfig, VaeConfig};
pub use device::{DeviceError, DeviceWish};
pub use error::ModelError;
pub use linear::{Linear, LowRank};
pub use transformer::WanTransformer;
pub use vae::WanVae;
pub use weights::{Placement, Weights};
