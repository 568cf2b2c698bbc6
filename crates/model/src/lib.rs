//! The Wan networks, the encoders of their text and image, kernels, flow mathematics, sampling and weights.
#![deny(unsafe_code)]

mod attention;
mod block;
mod charsmap;
pub mod clip;
mod clip_config;
pub mod config;
pub mod detect;
pub mod device;
mod embeddings;
pub mod encoder_names;
pub mod error;
pub mod flow;
pub mod guidance;
pub mod kernels;
pub mod linear;
pub mod locate;
pub mod names;
mod protobuf;
pub mod rope;
pub mod sample;
pub mod schedule;
mod sentencepiece;
mod solver;
pub mod step_cache;
pub mod tokenizer;
pub mod transformer;
pub mod umt5;
mod umt5_block;
mod umt5_config;
pub mod vae;
mod vae_blocks;
mod vae_groups;
pub mod weights;

pub use clip::ClipVision;
pub use clip_config::ClipVisionConfig;
pub use config::{TransformerConfig, VaeConfig};
pub use device::{DeviceError, DeviceWish};
pub use error::ModelError;
pub use linear::{Linear, LowRank};
pub use tokenizer::Tokenizer;
pub use transformer::WanTransformer;
pub use umt5::Umt5Encoder;
pub use umt5_config::Umt5Config;
pub use vae::WanVae;
pub use weights::{Placement, Stored, Weights};
