//! Runs one network on given inputs, for comparison with another program's results.
//!
//! `cargo run --release -p lora-edit-model --example forward -- MODULE --weights PATH --input IN --output OUT`
//!
//! Inputs and outputs are safetensors. Inputs have the names and conventions of diffusers' and transformers' arguments;
//! the result is called `output`.

mod harness;

use clap::Parser;

fn main() -> anyhow::Result<()> {
    harness::run(&harness::Args::parse())
}
