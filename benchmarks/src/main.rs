//! Measures our side of the benchmarks: answers requests line by line, or with `--memory CASE` one case's memory,
//! or with `--plan ...` the memory plan beside what is reached.
#![forbid(unsafe_code)]

mod cases;
mod kernels;
mod networks;
mod plan;
mod streamed;
mod usage;
mod worker;

use anyhow::{Result, bail};
use lora_edit_model::kernels::{settle_memory, settle_threads};

use cases::Sizes;

fn main() -> Result<()> {
    settle_threads();
    settle_memory();
    let cases = Sizes::read(include_str!("../cases.json"))?.cases();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => worker::serve(&cases, std::io::stdin().lock(), std::io::stdout().lock()),
        ["--memory", name] => {
            println!("{}", worker::memory(&cases, name)?);
            Ok(())
        }
        ["--plan", ref rest @ ..] => plan::Asked::parse(rest)?.run(),
        _ => bail!("usage: bench-worker [--memory CASE | --plan ...]"),
    }
}
