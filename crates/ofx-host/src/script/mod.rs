//! The JSON script `ofx-run` runs: what is connected and what is done, step by step.

mod dump;
mod expect;
mod report;
mod run;
mod step;
mod value;
mod variables;
mod verbs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::buffer::RowOrder;
use crate::files::Sequence;
use crate::image::{Components, Depth, Premultiplication};
use crate::sequence::Pattern;
use crate::source::{Input, Outside, SourceError};

pub use report::{FrameReport, Report, StepReport};
pub use run::{RunOptions, StepListener};
pub use step::Step;

/// What is wrong with a script as it is written.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// It cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The script.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no JSON, or the part outside of the steps has wrong keys or values.
    #[error("script: {0}")]
    Json(serde_json::Error),
    /// A step has wrong keys or values.
    #[error("step {index}: {reason}")]
    Step {
        /// Its number, from 1.
        index: usize,
        /// What is wrong.
        reason: String,
    },
    /// A variable nobody gave a value.
    #[error("no value for ${{{0}}}: give --var {0}=VALUE")]
    Variable(String),
}

/// A clip's frames, in full or as a pattern alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum ClipScript {
    /// A pattern with everything else by default.
    Pattern(String),
    /// All of it.
    Full(ClipFields),
}

/// What may be said of a clip's frames.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClipFields {
    /// Where the files are.
    pattern: String,
    /// The components the clip shall have.
    components: Option<Components>,
    /// What the plug-in is told of it.
    premultiplication: Option<Premultiplication>,
    /// The channel that becomes a mask's alpha.
    channel: Option<usize>,
    /// What happens outside of the range.
    #[serde(default)]
    outside: Outside,
    /// Pixels by which the frames are moved.
    #[serde(default)]
    offset: (i32, i32),
    /// First and last frame as told to the plug-in.
    range: Option<(i64, i64)>,
}

/// A script.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Script {
    plugin: Option<String>,
    bundle: Option<String>,
    context: String,
    depth: Depth,
    rows: RowOrder,
    range: Option<(i64, i64)>,
    frame_rate: f64,
    size: Option<(usize, usize)>,
    offset: (i32, i32),
    background: bool,
    answer: Reply,
    without_suites: Vec<String>,
    clips: BTreeMap<String, ClipScript>,
    params: BTreeMap<String, Value>,
    #[serde(skip)]
    steps: Vec<Step>,
    #[serde(skip)]
    folder: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Reply {
    Yes,
    No,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            plugin: None,
            bundle: None,
            context: "General".to_owned(),
            depth: Depth::Float,
            rows: RowOrder::BottomUp,
            range: None,
            frame_rate: 24.0,
            size: None,
            offset: (0, 0),
            background: true,
            answer: Reply::Yes,
            without_suites: Vec::new(),
            clips: BTreeMap::new(),
            params: BTreeMap::new(),
            steps: Vec::new(),
            folder: PathBuf::new(),
        }
    }
}

impl Script {
    /// Reads a script; its folder is the one its paths are relative to.
    ///
    /// # Errors
    /// Where it cannot be read, or something in it is wrong; steps are named by their number.
    pub fn read(path: &Path, variables: &BTreeMap<String, String>) -> Result<Self, ScriptError> {
        let unreadable = |source| ScriptError::Read { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let path = std::path::absolute(path).map_err(unreadable)?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("/")), variables)
    }

    /// Reads a script from text.
    ///
    /// # Errors
    /// Where something in it is wrong; steps are named by their number.
    pub fn parse(
        text: &str,
        folder: &Path,
        variables: &BTreeMap<String, String>,
    ) -> Result<Self, ScriptError> {
        let mut value: Value = serde_json::from_str(text).map_err(ScriptError::Json)?;
        let mut variables = variables.clone();
        variables.insert("SCRIPT_DIR".to_owned(), folder.display().to_string());
        variables::substitute(&mut value, &variables)?;
        let steps = value.as_object_mut().and_then(|fields| fields.remove("steps"));
        let mut script: Self = serde_json::from_value(value).map_err(ScriptError::Json)?;
        let steps: Vec<Value> = serde_json::from_value(steps.unwrap_or_else(|| Value::Array(Vec::new())))
            .map_err(ScriptError::Json)?;
        let parse = |(index, step)| {
            Step::parse(step).map_err(|reason| ScriptError::Step { index: index + 1, reason })
        };
        script.steps = steps.into_iter().enumerate().map(parse).collect::<Result<_, _>>()?;
        script.folder = folder.to_owned();
        Ok(script)
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.join(relative)
    }

    fn pattern(&self, relative: &str) -> Pattern {
        Pattern::parse(&self.path(relative).to_string_lossy())
    }

    /// First and last frame: as written, else those of Source on disk, else of any clip, else 1 to 1.
    fn project_range(&self) -> (i64, i64) {
        let on_disk = |clip: &ClipScript| {
            let frames = self.pattern(clip.pattern()).frames();
            frames.first().copied().zip(frames.last().copied())
        };
        let source = || self.clips.get("Source").and_then(on_disk);
        let any = || self.clips.values().find_map(on_disk);
        self.range.or_else(source).or_else(any).unwrap_or((1, 1))
    }

    fn input(&self, clip: &ClipScript) -> Result<Input, SourceError> {
        let source = Sequence::open(self.pattern(clip.pattern()), self.project_range())?;
        let mut input = Input::new(std::sync::Arc::new(source));
        input.offset = self.offset;
        if let ClipScript::Full(fields) = clip {
            input.components = fields.components;
            input.premultiplication = fields.premultiplication;
            input.channel = fields.channel;
            input.outside = fields.outside;
            input.range = fields.range;
            input.offset = (self.offset.0 + fields.offset.0, self.offset.1 + fields.offset.1);
        }
        Ok(input)
    }
}

impl ClipScript {
    fn pattern(&self) -> &str {
        match self {
            Self::Pattern(pattern) => pattern,
            Self::Full(fields) => &fields.pattern,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Script, ScriptError> {
        let variables = BTreeMap::from([("SHOT".to_owned(), "/shots/a".to_owned())]);
        Script::parse(text, Path::new("/scripts"), &variables)
    }

    #[test]
    fn a_wrong_step_is_named_by_its_number() {
        let error = parse(r#"{"steps": [{"press": "a"}, {"pres": "b"}]}"#).unwrap_err().to_string();
        assert!(error.starts_with("step 2: unknown field `pres`"), "{error}");
        let error = parse(r#"{"steps": [{"press": "a", "time": 3}]}"#).unwrap_err().to_string();
        assert_eq!(error, "step 1: one verb a step, not press and time");
        let error = parse(r#"{"contex": "Filter"}"#).unwrap_err().to_string();
        assert!(error.contains("unknown field `contex`"), "{error}");
    }

    #[test]
    fn variables_are_filled_in_and_missing_ones_named() {
        let script =
            parse(r#"{"clips": {"Source": "${SHOT}/s.%04d.exr", "Mask": {"pattern": "m.exr"}}}"#).unwrap();
        assert_eq!(script.clips["Source"].pattern(), "/shots/a/s.%04d.exr");
        assert_eq!(script.path("m.exr"), Path::new("/scripts/m.exr"));
        let error = parse(r#"{"bundle": "${BUNDLE}"}"#).unwrap_err().to_string();
        assert_eq!(error, "no value for ${BUNDLE}: give --var BUNDLE=VALUE");
    }
}
