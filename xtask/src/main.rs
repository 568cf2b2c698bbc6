//! Development tasks: `cargo demo` and `cargo xtask COMMAND`.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use clap::{Parser, Subcommand};

mod bench;
mod bindings;
mod bundle;
mod compare;
mod demo;
mod eval;

#[derive(Parser)]
#[command(name = "xtask", about = "Development tasks of LoRA-Edit for OpenFX")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Render a procedural shot with known truth, edit it through the real bundle, measure the result
    Demo(demo::Options),
    /// Render the demo's shot alone: source, mask, painted frame and truth as EXR sequences
    Shot {
        /// Folder that receives the frames
        folder: PathBuf,
        /// Number of frames
        #[arg(long, default_value_t = 17)]
        frames: usize,
    },
    /// Compare ways to train and generate on procedural shots of several motions
    Compare(compare::Options),
    /// Edit procedural shots with known truth and score the results beside what is done without a model
    Eval(eval::Options),
    /// Measure our networks and kernels, alone or against PyTorch
    Bench(bench::Options),
    /// Build LoraEdit.ofx.bundle
    Bundle {
        /// Cargo profile to build with
        #[arg(long, default_value = "release")]
        profile: String,
        /// Folder that receives LoraEdit.ofx.bundle
        #[arg(long, default_value = "target/bundle")]
        out: PathBuf,
    },
    /// Regenerate the OpenFX bindings from our header (needs libclang and --features bindings)
    Bindings {
        /// Compare with the committed bindings instead of writing them
        #[arg(long)]
        check: bool,
    },
}

fn main() -> anyhow::Result<()> {
    std::env::set_current_dir(root())?;
    match Cli::parse().task {
        Task::Demo(options) => demo::run(&options),
        Task::Shot { folder, frames } => demo::shot(&folder, frames),
        Task::Compare(options) => compare::run(&options),
        Task::Eval(options) => eval::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Bundle { profile, out } => {
            let bundle = bundle::bundle(&bundle::Built::build(&profile)?, &out)?;
            println!("{}", bundle.display());
            Ok(())
        }
        Task::Bindings { check } => bindings::run(check),
    }
}

/// The repository's root: the folder above this package's, as cargo says it when it runs us.
fn root() -> PathBuf {
    let package =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("xtask"), PathBuf::from);
    package.parent().map_or_else(|| PathBuf::from("."), PathBuf::from)
}
