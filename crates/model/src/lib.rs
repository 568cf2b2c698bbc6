//! The Wan networks, their kernels, flow mathematics, sampling and weights.
#![deny(unsafe_code)]

mod attention;
mod block;
pub mod config;
mod embeddings;
pub mod error;
pub mod flow;
pub mod guidance;
pub mod kernels;
pub mod linear;
pub mod names;
pub mod rope;
pub mod sample;
pub mod schedule;
mod solver;
pub mod step_cache;
pub mod transformer;
pub mod vae;
mod vae_blocks;
mod vae_groups;
pub mod weights;

pub use config::{TransformerConfig, VaeConfig};
pub use error::ModelError;
pub use linear::{Linear, LowRank};
pub use transformer::WanTransformer;
pub use vae::WanVae;
pub use weights::Weights;
