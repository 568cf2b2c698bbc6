//! The verbs: condition, fit the adapter, generate, report.
//!
//! [`jobs::run_job`] does one job from the store. Pixels become tensors and tensors pixels in [`pixels`] alone.
#![forbid(unsafe_code)]

pub mod adapter_files;
pub mod base;
pub mod clip;
pub mod condition;
pub mod failure;
pub mod generate;
pub mod jobs;
pub mod joins;
pub mod learn;
pub mod looks;
pub mod pixels;
pub mod progress;
pub mod report;
mod samples;
mod sampling;
mod stage_two;
mod training;
pub mod windows;

pub use failure::JobError;
pub use jobs::{Outcome, run_job};
