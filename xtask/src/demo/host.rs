//! Runs the demo's shot: through `ofx-run` with the real bundle, and once more without the adapter.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Options;
use super::shot::{DemoShot, FIRST};

/// What the two runs left behind.
pub struct Runs {
    /// Pattern of the host's rendered frames.
    pub result: String,
    /// Pattern of the frames generated without the adapter.
    pub without_lora: String,
    /// The result's folder in the store: its report, loss curve and summary.
    pub result_folder: PathBuf,
}

/// Programs and folders of one demo.
pub struct Stage<'a> {
    /// The built `LoraEdit.ofx.bundle`.
    pub bundle: &'a Path,
    /// The built `ofx-run`.
    pub host: &'a Path,
    /// `target/demo`.
    pub out: &'a Path,
    /// The shot on disk.
    pub shot: &'a DemoShot,
    /// The command line's options.
    pub options: &'a Options,
}

impl Stage<'_> {
    /// The whole job through the host, then the comparison without the adapter from the same cache.
    pub fn play(&self) -> Result<Runs> {
        let result = self.through_host()?;
        let without_lora = self.without_adapter()?;
        Ok(Runs { result: self.pattern("result"), without_lora, result_folder: self.result_folder(&result)? })
    }

    fn cache(&self) -> PathBuf {
        self.out.join("cache")
    }

    fn pattern(&self, name: &str) -> String {
        self.out.join(name).join(format!("{name}.%04d.exr")).display().to_string()
    }

    /// Runs the script and gives the host's report.
    fn through_host(&self) -> Result<Value> {
        let script = self.out.join("script.json");
        let report = self.out.join("host.json");
        std::fs::write(&script, serde_json::to_string_pretty(&self.script())?)?;
        let mut command = Command::new(self.host);
        command.arg(&script).arg("--json").arg(&report);
        run(&mut command, "ofx-run")?;
        Ok(serde_json::from_slice(&std::fs::read(&report)?)?)
    }

    fn script(&self) -> Value {
        let mut settings = json!({ "cacheDir": self.cache(), "keyFrames": FIRST.to_string(), "seed": 1 });
        if let Some(steps) = self.options.train_steps() {
            settings["trainSteps"] = json!(steps);
        }
        if let Some(steps) = self.options.sampler_steps() {
            settings["samplerSteps"] = json!(steps);
        }
        json!({
            "plugin": "org.lora-edit.LoraEdit",
            "bundle": self.bundle,
            "context": "General",
            "range": [FIRST, self.shot.last()],
            "clips": {
                "Source": self.shot.pattern("source"),
                "Mask": { "pattern": self.shot.pattern("mask"), "components": "Alpha" },
                "Edited": { "pattern": self.shot.pattern("edited"), "outside": "hold" },
            },
            "steps": [
                { "set": settings },
                { "press": "generate" },
                { "wait": {
                    "param": "status", "contains": ["done", "up to date"], "press": "refresh",
                    "failOn": ["failed", "died", "stopped", "error"], "timeoutSeconds": 1500,
                    "pollMilliseconds": 1000,
                } },
                { "render": { "output": self.pattern("result"), "threads": 2 } },
            ],
        })
    }

    /// The engine's own verb, from the same cache: shot and edit are found there.
    fn without_adapter(&self) -> Result<String> {
        let output = self.pattern("without_lora");
        let mut command = Command::new(self.engine());
        command
            .args(["edit", "--without-adapter", "--input-space", "linear", "--edit-space", "linear"])
            .args(["--source", &self.shot.pattern("source"), "--mask", &self.shot.pattern("mask")])
            .args(["--edited", &self.shot.pattern("edited"), "--keys", &FIRST.to_string()])
            .args(["--frames", &format!("{FIRST}-{}", self.shot.last()), "--model", "nano", "--seed", "1"])
            .args(["--output", &output, "--cache"])
            .arg(self.cache());
        if let Some(steps) = self.options.sampler_steps() {
            command.args(["--sampler-steps", &steps.to_string()]);
        }
        run(&mut command, "lora-edit")?;
        Ok(output)
    }

    /// The program beside the plug-in.
    fn engine(&self) -> PathBuf {
        let arch = if cfg!(target_os = "macos") {
            "MacOS"
        } else if cfg!(windows) {
            "Win64"
        } else {
            "Linux-x86-64"
        };
        self.bundle.join("Contents").join(arch).join(format!("lora-edit{}", std::env::consts::EXE_SUFFIX))
    }

    fn result_folder(&self, report: &Value) -> Result<PathBuf> {
        let id = report["params"]["resultId"].as_str().context("the node keeps its resultId")?;
        Ok(self.cache().join("results").join(id))
    }
}

fn run(command: &mut Command, name: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("{name} does not start"))?;
    ensure!(status.success(), "{name} failed ({status})");
    Ok(())
}
