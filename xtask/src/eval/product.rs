//! Runs the product on a shot: `lora-edit edit`, with the shot's adapter and without.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;

use super::answer::{Answer, Clip};
use super::shot::{FIRST, Shot, ShotFiles};

/// The built program and how it is asked.
pub struct Product {
    /// The program `lora-edit`.
    pub engine: PathBuf,
    /// The folder in which base models lie.
    pub models: PathBuf,
    /// The base model's name.
    pub model: String,
    /// The cache folder: an adapter that is there already is not learned anew.
    pub cache: PathBuf,
    /// More flags for `edit`.
    pub flags: Vec<String>,
}

/// What the runs took.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Times {
    /// Wall time of learning and generating; none where the adapter was in the cache.
    pub learned_and_generated_seconds: Option<f64>,
    /// Wall time of a training step.
    pub train_seconds_per_step: Option<f64>,
    /// Training steps.
    pub train_steps: Option<u64>,
    /// Wall time of sampling and decoding.
    pub sample_seconds: Option<f64>,
}

impl Product {
    /// Both results, and what they took.
    pub fn edit(&self, shot: &Shot, files: &ShotFiles) -> Result<(Vec<(Answer, Clip)>, Times)> {
        let summary = self.run(shot, files, "ours", &[])?;
        self.run(shot, files, "without_lora", &["--without-adapter"])?;
        let read = |name| files.read(name, &shot.format);
        let answers = vec![(Answer::Ours, read("ours")?), (Answer::WithoutLora, read("without_lora")?)];
        Ok((answers, Times::of(&summary)))
    }

    /// Runs the program; gives the summary that it prints last.
    ///
    /// # Errors
    /// When it does not start, or fails.
    pub fn run(&self, shot: &Shot, files: &ShotFiles, output: &str, more: &[&str]) -> Result<Value> {
        let last = shot.format.numbers().last().unwrap_or(FIRST);
        let mut command = Command::new(&self.engine);
        command
            .args(["edit", "--json", "--input-space", "linear", "--edit-space", "linear", "--seed", "1"])
            .args(["--source", &files.pattern("source"), "--mask", &files.pattern("mask")])
            .args(["--edited", &files.pattern("edited"), "--keys", &FIRST.to_string()])
            .args(["--frames", &format!("{FIRST}-{last}"), "--output", &files.pattern(output)])
            .args(["--model", &self.model, "--model-dir"])
            .arg(&self.models)
            .arg("--cache")
            .arg(&self.cache)
            .args(more)
            .args(&self.flags)
            .stderr(Stdio::inherit());
        let answer = command.output().context("lora-edit does not start")?;
        ensure!(answer.status.success(), "lora-edit failed ({}): {command:?}", answer.status);
        let text = String::from_utf8(answer.stdout).context("lora-edit's events")?;
        serde_json::from_str(text.lines().last().unwrap_or_default()).context("lora-edit's summary")
    }
}

impl Times {
    fn of(summary: &Value) -> Self {
        let trained = summary["trained"].as_bool().unwrap_or(false);
        let qc = &summary["qc"];
        Self {
            learned_and_generated_seconds: summary["totalSeconds"].as_f64().filter(|_| trained),
            train_seconds_per_step: qc["trainSecondsPerStep"].as_f64(),
            train_steps: qc["trainSteps"].as_u64(),
            sample_seconds: qc["sampleSeconds"].as_f64(),
        }
    }
}

/// Where the embedded model lies in the repository.
pub fn embedded_models(root: &Path) -> PathBuf {
    root.join("bundle/models")
}
