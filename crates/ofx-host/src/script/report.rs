//! What came of a script, as `--json` writes it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::session::{Message, Violation};

/// One rendered frame.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameReport {
    /// Its number.
    pub frame: i64,
    /// Seconds from the first question about it to its pixels.
    pub seconds: f64,
    /// The clip it was identical to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

/// One step.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepReport {
    /// Its number, from 1.
    pub index: usize,
    /// What it does.
    pub verb: String,
    /// Its name in the script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it came out as it should.
    pub ok: bool,
    /// What the plug-in's action answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// How long it took.
    pub seconds: f64,
    /// What went wrong, or what was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Frames rendered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<FrameReport>,
}

/// A whole run.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// All steps came out as they should and no rule was broken.
    pub ok: bool,
    /// The plug-in's identifier.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// The context it ran in.
    pub context: String,
    /// How long all of it took.
    pub seconds: f64,
    /// Why the run did not get to its steps or through them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The steps that ran.
    pub steps: Vec<StepReport>,
    /// All that was said.
    pub messages: Vec<Message>,
    /// The rules that were broken.
    pub violations: Vec<Violation>,
    /// What is worth knowing.
    pub notes: Vec<String>,
    /// The parameters at the end.
    pub params: BTreeMap<String, Value>,
}

impl Report {
    /// The first thing that went wrong, in one line.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let step = self.steps.iter().find(|step| !step.ok).map(|step| {
            let detail = step.detail.as_deref().unwrap_or("failed");
            format!("step {} ({}): {detail}", step.index, step.name.as_deref().unwrap_or(&step.verb))
        });
        let broken = || self.violations.first().map(ToString::to_string);
        self.error.clone().or(step).or_else(broken)
    }
}
