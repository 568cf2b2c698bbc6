//! `cargo xtask bench`: our networks and kernels, alone or against PyTorch, measured in pairs.

mod machine;
mod report;
mod statistics;
mod worker;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::json;

use crate::bundle::{cargo_build, program};
use report::Row;
use statistics::{median, speed_ratio};
use worker::{Program, Sample, Worker};

/// What the bench's command line can change.
#[derive(Args)]
pub struct Options {
    /// Also measure PyTorch (benchmarks/setup.sh installs it; BENCH_PYTHON names another Python that has it)
    #[arg(long)]
    peer: bool,
    /// File that receives the figures
    #[arg(long)]
    json: Option<PathBuf>,
    /// Markdown file whose part between the two marker comments the table replaces
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// Only the rows whose name contains this
    #[arg(long, default_value = "", hide_default_value = true)]
    only: String,
    /// Pairs of measurements per row [default: 5, or 3 where one takes more than 5 s]
    #[arg(long)]
    pairs: Option<usize>,
    /// Threads of either side [default: the cores that this process may use]
    #[arg(long)]
    threads: Option<usize>,
    /// Measure a release build; without it the dev profile, which is optimised and what `cargo demo` runs
    #[arg(long)]
    release: bool,
}

/// Seconds above which a measurement counts as long: fewer pairs, and the first one counts.
const LONG: f64 = 5.0;
/// Milliseconds that a measurement should last; short calls are repeated until it does.
const MEASUREMENT_MS: f64 = 200.0;
const MOST_REPEATS: f64 = 1000.0;

/// Measures every row asked for and prints the table.
///
/// # Errors
/// A build that fails, a missing peer, a row that either side cannot run.
pub fn run(options: &Options) -> Result<()> {
    ensure!(options.pairs != Some(0), "--pairs 0 measures nothing");
    let threads = match options.threads {
        Some(threads) => threads.max(1),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let ours = Program::ours(&build(options.release)?, threads);
    // Before the workers start, which are a load themselves.
    let load = machine::load();
    let peer = options.peer.then(|| Program::peer(&crate::root(), threads)).transpose()?;
    let mut bench = Bench {
        running: (ours.start()?, peer.as_ref().map(Program::start).transpose()?),
        programs: (ours, peer),
        pairs: options.pairs,
    };
    let peer = bench.running.1.as_mut().map(Worker::versions).transpose()?;
    let peers_names = bench.running.1.as_mut().map(Worker::list).transpose()?.unwrap_or_default();
    let names: Vec<String> =
        bench.running.0.list()?.into_iter().filter(|name| name.contains(&options.only)).collect();
    ensure!(!names.is_empty(), "no row's name contains {:?}", options.only);
    let mut rows = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let row = bench.row(name, peers_names.contains(name)).with_context(|| name.clone())?;
        eprintln!("{}/{} {}", i + 1, names.len(), report::line(&row));
        rows.push(row);
    }
    let profile = if options.release { "release" } else { "dev" };
    let machine = machine::describe(threads, profile, load, peer);
    publish(options, &report::table(&machine, &rows), &json!({ "machine": machine, "rows": rows }))
}

fn publish(options: &Options, table: &str, figures: &serde_json::Value) -> Result<()> {
    println!("{table}");
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(figures)? + "\n";
        std::fs::write(file, text).with_context(|| file.display().to_string())?;
    }
    if let Some(file) = &options.markdown {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let text = report::replace_table(&text, table).with_context(|| file.display().to_string())?;
        std::fs::write(file, text).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

/// Our worker's program, freshly built.
fn build(release: bool) -> Result<PathBuf> {
    let profile = if release { "release" } else { "dev" };
    program(&cargo_build(&["--package", "lora-edit-bench"], profile)?, "bench-worker")
}

/// Both sides: ours, and the peer's if it takes part.
struct Bench {
    programs: (Program, Option<Program>),
    running: (Worker, Option<Worker>),
    pairs: Option<usize>,
}

impl Bench {
    /// Measures a row in pairs, one side directly after the other, in turns first; alone what the peer has not.
    fn row(&mut self, name: &str, with_peer: bool) -> Result<Row> {
        // The first measurements say how often to repeat.
        let first = self.pair(name, (1, 1), false, with_peer)?;
        let repeats = (repeats(first.0.ms), first.1.map_or(1, |sample| repeats(sample.ms)));
        let is_long = first.0.ms.max(first.1.map_or(0.0, |sample| sample.ms)) > LONG * 1e3;
        let wanted = self.pairs.unwrap_or(if is_long { 3 } else { 5 });
        let mut pairs = if is_long { vec![first] } else { Vec::new() };
        while pairs.len() < wanted {
            pairs.push(self.pair(name, repeats, pairs.len() % 2 == 1, with_peer)?);
        }
        self.drop(name, with_peer)?;
        Ok(Row::new(name, &pairs, self.memory(name, with_peer)?))
    }

    fn pair(
        &mut self,
        name: &str,
        repeats: (usize, usize),
        peer_first: bool,
        with_peer: bool,
    ) -> Result<(Sample, Option<Sample>)> {
        let (ours, peer) = &mut self.running;
        let Some(peer) = peer.as_mut().filter(|_| with_peer) else {
            return Ok((ours.measure(name, repeats.0)?, None));
        };
        if peer_first {
            let second = peer.measure(name, repeats.1)?;
            return Ok((ours.measure(name, repeats.0)?, Some(second)));
        }
        let first = ours.measure(name, repeats.0)?;
        Ok((first, Some(peer.measure(name, repeats.1)?)))
    }

    fn drop(&mut self, name: &str, with_peer: bool) -> Result<()> {
        self.running.0.drop_case(name)?;
        self.running.1.as_mut().filter(|_| with_peer).map_or(Ok(()), |peer| peer.drop_case(name))
    }

    /// Megabytes of both sides.
    fn memory(&self, name: &str, with_peer: bool) -> Result<(Option<f64>, Option<f64>)> {
        let (ours, peer) = &self.programs;
        Ok((
            ours.memory(name)?,
            peer.as_ref().filter(|_| with_peer).map_or(Ok(None), |peer| peer.memory(name))?,
        ))
    }
}

fn repeats(ms: f64) -> usize {
    (MEASUREMENT_MS / ms.max(1e-6)).ceil().clamp(1.0, MOST_REPEATS) as usize
}

impl Row {
    fn new(name: &str, pairs: &[(Sample, Option<Sample>)], mb: (Option<f64>, Option<f64>)) -> Self {
        let ours: Vec<Sample> = pairs.iter().map(|pair| pair.0).collect();
        let peer: Vec<Sample> = pairs.iter().filter_map(|pair| pair.1).collect();
        let times = |samples: &[Sample]| samples.iter().map(|sample| sample.ms).collect::<Vec<_>>();
        let processor = |samples: &[Sample]| samples.iter().filter_map(|s| s.cpu_ms).collect::<Vec<_>>();
        Self {
            name: name.to_owned(),
            ours_ms: median(&times(&ours)),
            peer_ms: median(&times(&peer)),
            speed_ratio: speed_ratio(&times(&ours), &times(&peer)),
            ours_mb: mb.0,
            peer_mb: mb.1,
            ours_cpu_ms: median(&processor(&ours)),
            peer_cpu_ms: median(&processor(&peer)),
        }
    }
}

/// Python for the peer: `BENCH_PYTHON`, else what `benchmarks/setup.sh` made.
fn python(root: &Path) -> Result<PathBuf> {
    if let Some(python) = std::env::var_os("BENCH_PYTHON") {
        return Ok(python.into());
    }
    let installed = root.join("benchmarks/.venv/bin/python");
    ensure!(
        installed.exists(),
        "--peer needs PyTorch: run benchmarks/setup.sh, or set BENCH_PYTHON to a Python that has benchmarks/requirements.txt"
    );
    Ok(installed)
}
