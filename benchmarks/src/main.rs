//! Measures our side of the benchmarks: answers requests line by line, or with `--memory CASE` one case's memory,
//! with `--gpu CASE,... REPEAT` cases on a GPU, or with `--plan ...` the memory plan beside what is reached.
#![forbid(unsafe_code)]

mod cases;
mod gpu;
mod kernels;
mod networks;
mod place;
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
        ["--gpu", names, repeat] => gpu::run(names, repeat.parse()?),
        ["--plan", ref rest @ ..] => plan::Asked::parse(rest)?.run(),
        _ => bail!("usage: bench-worker [--memory CASE | --gpu CASE,... REPEAT | --plan ...]"),
    }
}
