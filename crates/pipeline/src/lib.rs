//! The verbs: condition, fit the adapter, generate, report.
//!
//! [`jobs::run_job`] does one job from the store. Pixels become tensors and tensors pixels in [`pixels`] alone.
#![forbid(unsafe_code)]

pub mod adapter_files;
pub mod base;
mod best;
pub mod carried;
pub mod clip;
pub mod condition;
pub mod encoders;
pub mod failure;
pub mod generate;
pub mod jobs;
pub mod joins;
pub mod learn;
pub mod looks;
mod losses;
pub mod memory;
mod pace;
pub mod parts;
pub mod pixels;
pub mod places;
mod preview;
pub mod progress;
pub mod rehearsal;
pub mod report;
mod run;
mod samples;
mod sampling;
pub mod stack;
mod stage_two;
pub mod told;
mod training;
pub mod trust;
pub mod windows;

pub use failure::JobError;
pub use jobs::{Outcome, run_job};
pub use memory::Resources;
