//! The program `ofx-run`: runs an OpenFX plug-in over image sequences as a script says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use ofx_host::script::{RunOptions, StepReport};
use ofx_host::{Listener, Notice, Report, Script};
use parking_lot::Mutex;

const HELP: &str = include_str!("help.txt");

/// Runs any OpenFX image effect plug-in over image sequences, without a screen, as a strict host.
#[derive(Parser)]
#[command(name = "ofx-run", version, after_long_help = HELP)]
struct Arguments {
    /// The script (JSON); paths in it are relative to its folder
    script: PathBuf,
    /// Where plug-ins are: a bundle, a binary, or a folder of bundles; before the script's "bundle"
    #[arg(long, value_name = "PATH")]
    plugin_path: Vec<PathBuf>,
    /// Value of ${NAME} in the script's strings
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    var: Vec<(String, String)>,
    /// Writes what happened as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Prints errors only
    #[arg(long, short)]
    quiet: bool,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn main() -> ExitCode {
    env_logger::init();
    let arguments = Arguments::parse();
    let variables: BTreeMap<String, String> = arguments.var.iter().cloned().collect();
    let script = match Script::read(&arguments.script, &variables) {
        Ok(script) => script,
        Err(error) => return fail(2, &error.to_string()),
    };
    let report = script.run(&RunOptions {
        plugin_paths: arguments.plugin_path.clone(),
        listener: Some(listener(arguments.quiet)),
        step_done: (!arguments.quiet).then(|| Arc::new(print_step) as _),
    });
    if let Some(path) = &arguments.json
        && let Err(error) = write(path, &report)
    {
        return fail(1, &format!("{}: {error}", path.display()));
    }
    report.violations.iter().for_each(|violation| eprintln!("ofx-run: broken rule: {violation}"));
    match report.failure() {
        Some(failure) => fail(1, &failure),
        None => ExitCode::SUCCESS,
    }
}

fn fail(code: u8, text: &str) -> ExitCode {
    eprintln!("ofx-run: {text}");
    ExitCode::from(code)
}

fn write(path: &PathBuf, report: &Report) -> std::io::Result<()> {
    std::fs::write(path, serde_json::to_string_pretty(report)? + "\n")
}

fn print_step(step: &StepReport) {
    let name = step.name.as_deref().unwrap_or(&step.verb);
    let detail = step.detail.as_deref().unwrap_or_default();
    let mark = if step.ok { "done" } else { "FAILED" };
    println!("step {} {name}: {mark} in {:.2} s {detail}", step.index, step.seconds);
}

/// Prints what the plug-in says; progress once each tenth.
fn listener(quiet: bool) -> Listener {
    let shown = Mutex::new((String::new(), -1i64));
    Arc::new(move |notice| match notice {
        Notice::Message(message) if !quiet => println!("{:?}: {}", message.kind, message.text),
        Notice::Note(text) if !quiet => println!("note: {text}"),
        Notice::Progress(label, value) if !quiet => {
            let now = (label.to_owned(), (value * 10.0).floor() as i64);
            let mut shown = shown.lock();
            if *shown != now {
                println!("{label}: {:.0} %", value * 100.0);
                *shown = now;
            }
        }
        _ => (),
    })
}
