//! One loss and its gradient by every adapter tensor, for comparison with another program's.
//!
//! `cargo run --release -p lora-edit-adapt --example train_step -- --weights PATH --adapter A --input IN --output OUT`
//!
//! All files are safetensors. Inputs have the names and conventions of diffusers' arguments, as in the example `forward`
//! of lora-edit-model; the gradients have the adapter file's own keys.

mod harness;

use clap::Parser;
use lora_edit_model::kernels::{settle_memory, settle_threads};

fn main() -> anyhow::Result<()> {
    settle_threads();
    settle_memory();
    harness::run(&harness::Args::parse())
}
