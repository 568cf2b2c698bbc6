//! The programs that measure: started once for times, and anew for each figure of memory.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

const WAIT_POLICY: &str = "OMP_WAIT_POLICY";

/// How torch's idle threads wait: asleep, unless the user has said otherwise.
///
/// Torch's own default is to spin. Where other programs run, a spinning thread keeps the one it waits for from its
/// core: a rotary embedding took 72 ms of torch's time instead of 2.1 ms, and our ratio came out 30 times too high.
pub fn wait_policy() -> String {
    std::env::var(WAIT_POLICY).unwrap_or_else(|_| "passive".into())
}

/// How to start one side's worker.
pub struct Program {
    command: Vec<std::ffi::OsString>,
    threads: usize,
}

/// One measurement: milliseconds of a call.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Sample {
    /// Wall time, the median of the calls.
    pub ms: f64,
    /// Processor time of all threads, the mean of the calls.
    pub cpu_ms: Option<f64>,
}

impl Program {
    /// The worker that cargo built.
    pub fn ours(worker: &Path, threads: usize) -> Self {
        Self { command: vec![worker.into()], threads }
    }

    /// PyTorch's.
    ///
    /// # Errors
    /// When there is no Python with it; says what to do.
    pub fn peer(root: &Path, threads: usize) -> Result<Self> {
        Ok(Self {
            command: vec![super::python(root)?.into(), root.join("benchmarks/peer.py").into()],
            threads,
        })
    }

    /// Starts it to answer requests.
    pub fn start(&self) -> Result<Worker> {
        let child = self.command().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("cannot start {:?}", self.command))?;
        let input = child.stdin.take().context("the worker's input")?;
        let output = BufReader::new(child.stdout.take().context("the worker's output")?);
        Ok(Worker { child, input: Some(input), output })
    }

    /// Megabytes that two runs of a case hold at most, in a process of their own; none where unknown.
    pub fn memory(&self, case: &str) -> Result<Option<f64>> {
        let output = self.command().args(["--memory", case]).stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "memory: {}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice::<Value>(&output.stdout).context("the worker's answer")?["mb"].as_f64())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.command[0]);
        let threads = self.threads.to_string();
        command.args(&self.command[1..]).env("RAYON_NUM_THREADS", &threads);
        command.env("OMP_NUM_THREADS", &threads).env("MKL_NUM_THREADS", &threads);
        command.env(WAIT_POLICY, wait_policy());
        command
    }
}

/// A worker that waits for requests.
pub struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// The names of all cases.
    pub fn list(&mut self) -> Result<Vec<String>> {
        Ok(serde_json::from_value(self.ask(&json!({ "list": true }))?)?)
    }

    /// The versions of the peer's packages.
    pub fn versions(&mut self) -> Result<Value> {
        self.ask(&json!({ "versions": true }))
    }

    /// `repeat` calls of a case, which is built and warmed up where it is new.
    pub fn measure(&mut self, case: &str, repeat: usize) -> Result<Sample> {
        Ok(serde_json::from_value(self.ask(&json!({ "case": case, "repeat": repeat }))?)?)
    }

    /// Frees what a case holds.
    pub fn drop_case(&mut self, case: &str) -> Result<()> {
        self.ask(&json!({ "drop": case })).map(|_| ())
    }

    fn ask(&mut self, request: &Value) -> Result<Value> {
        let input = self.input.as_mut().context("the worker has ended")?;
        writeln!(input, "{request}").context("the worker has ended")?;
        let mut line = String::new();
        ensure!(self.output.read_line(&mut line)? > 0, "the worker ended at {request}");
        let answer: Value = serde_json::from_str(&line).with_context(|| format!("answer {line:?}"))?;
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => bail!("{error}"),
            None => Ok(answer),
        }
    }
}

impl Drop for Worker {
    /// A worker ends at the end of its input; then it is waited for, so that nothing is left running.
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}
