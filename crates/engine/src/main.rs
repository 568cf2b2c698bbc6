//! The program `lora-edit`: the whole job without a host, and the engine that hosts start.
#![forbid(unsafe_code)]

mod adapters;
mod cache;
mod cli;
mod edit;
mod inputs;
mod job;
mod models;
mod output;
mod progress;
mod status;
mod stop;
mod summary;
mod work;

use std::process::ExitCode;

use clap::Parser;
use cli::{AdaptersCommand, Cli, Command, ModelsCommand};
use lora_edit_pipeline::JobError;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All done.
    Done,
    /// Stopped on request, after a checkpoint.
    Stopped,
    /// Any other exit code, of a job that was only watched.
    Code(u8),
}

fn main() -> ExitCode {
    // First of all: it sets variables of the environment, which only a lone thread may.
    lora_edit_model::kernels::settle_threads();
    lora_edit_model::kernels::settle_memory();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    match run(&Cli::parse().command) {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::Stopped) => ExitCode::from(stop::STOPPED),
        Ok(Ending::Code(code)) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(u8::try_from(error.kind.exit_code()).unwrap_or(1))
        }
    }
}

fn run(command: &Command) -> Result<Ending, JobError> {
    match command {
        Command::Edit(args) => edit::edit(args),
        Command::Work(args) => work::work(args),
        Command::Status(args) => status::status(args),
        Command::Models(ModelsCommand::List { model_dir }) => models::list(model_dir.as_deref()),
        Command::Models(ModelsCommand::Plan { name, model_dir, frames, size, machine }) => {
            models::plan(name, model_dir.as_deref(), *frames, *size, &machine.resources(None)?)
        }
        Command::Models(ModelsCommand::Locate { name, model_dir, json }) => {
            models::locate(name, model_dir.as_deref(), *json)
        }
        Command::Models(ModelsCommand::Check { path, deep }) => models::check(path, *deep),
        Command::Models(ModelsCommand::Fetch { name, model_dir, all }) => {
            models::fetch(name, model_dir.as_deref(), *all)
        }
        Command::Adapters(AdaptersCommand::List { cache }) => adapters::list(&cache::root(cache)),
        Command::Adapters(AdaptersCommand::Show { adapter, json, cache }) => {
            adapters::show(&cache::root(cache), adapter, *json)
        }
    }
}
