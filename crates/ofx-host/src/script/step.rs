//! The steps of a script as they are written.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::ClipScript;
use crate::scope::Reason;
use crate::session::MessageKind;
use crate::status::Status;

/// One step: a verb and what may stand beside it.
#[derive(Clone, Debug)]
pub struct Step {
    pub(super) verb: Verb,
    pub(super) name: Option<String>,
    pub(super) expect_status: Option<Vec<Status>>,
    pub(super) cancel_progress_at: Option<f64>,
    pub(super) reason: Reason,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(super) enum Verb {
    Set(BTreeMap<String, Value>),
    Press(String),
    Wait(Wait),
    Render(Render),
    Expect(Expect),
    ExpectMessage(ExpectMessage),
    Connect(BTreeMap<String, Option<ClipScript>>),
    Time(f64),
    Save(ParamsFile),
    Recreate(Recreate),
    Describe(String),
    Run(Vec<String>),
    Log(String),
}

/// One text or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Texts {
    /// The texts.
    pub(super) fn list(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

/// Waiting for a parameter to say something.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wait {
    pub(super) param: String,
    pub(super) contains: Option<Texts>,
    pub(super) equals: Option<Value>,
    pub(super) press: Option<String>,
    pub(super) fail_on: Option<Texts>,
    #[serde(default = "ten_minutes")]
    pub(super) timeout_seconds: f64,
    #[serde(default = "half_a_second")]
    pub(super) poll_milliseconds: u64,
}

fn ten_minutes() -> f64 {
    600.0
}

fn half_a_second() -> u64 {
    500
}

/// The order of frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Order {
    #[default]
    Forward,
    Reverse,
}

/// Rendering frames.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Render {
    pub(super) first: Option<i64>,
    pub(super) last: Option<i64>,
    pub(super) step: Option<i64>,
    pub(super) frames: Option<Vec<i64>>,
    pub(super) output: Option<String>,
    pub(super) threads: Option<usize>,
    pub(super) order: Order,
    pub(super) expect_identity: Option<bool>,
    pub(super) equals: Option<String>,
    pub(super) tolerance: f32,
}

/// What a parameter has to be.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Expect {
    pub(super) param: String,
    pub(super) equals: Option<Value>,
    pub(super) not_equals: Option<Value>,
    pub(super) contains: Option<Texts>,
    pub(super) not_contains: Option<Texts>,
    pub(super) at_least: Option<f64>,
    pub(super) at_most: Option<f64>,
    pub(super) remember: Option<String>,
    pub(super) equals_remembered: Option<String>,
    pub(super) not_equals_remembered: Option<String>,
}

/// Which messages are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Since {
    #[default]
    LastAction,
    Start,
}

/// What has to have been said.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ExpectMessage {
    #[serde(default)]
    pub(super) contains: String,
    #[serde(rename = "type")]
    pub(super) kind: Option<MessageKind>,
    #[serde(default)]
    pub(super) since: Since,
    #[serde(default)]
    pub(super) absent: bool,
}

/// A file of parameter values.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ParamsFile {
    pub(super) params: String,
}

/// What an instance is made again from.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Recreate {
    /// Its own values.
    Same(bool),
    /// A file's.
    File(ParamsFile),
}

/// A step as it stands in the file; exactly one verb is there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    set: Option<BTreeMap<String, Value>>,
    press: Option<String>,
    wait: Option<Wait>,
    render: Option<Render>,
    expect: Option<Expect>,
    expect_message: Option<ExpectMessage>,
    connect: Option<BTreeMap<String, Option<ClipScript>>>,
    time: Option<f64>,
    save: Option<ParamsFile>,
    recreate: Option<Recreate>,
    describe: Option<String>,
    run: Option<Vec<String>>,
    log: Option<String>,
    name: Option<String>,
    expect_status: Option<Texts>,
    cancel_progress_at: Option<f64>,
    reason: Option<Reason>,
}

impl Step {
    /// Reads a step.
    pub(super) fn parse(value: Value) -> Result<Self, String> {
        let mut written: Written = serde_json::from_value(value).map_err(|error| error.to_string())?;
        if written.wait.as_ref().is_some_and(|wait| wait.contains.is_none() && wait.equals.is_none()) {
            return Err("wait for what? Give it contains or equals".to_owned());
        }
        let expect_status = written.expect_status.take().map(|names| statuses(&names)).transpose()?;
        Ok(Self {
            name: written.name.take(),
            expect_status,
            cancel_progress_at: written.cancel_progress_at,
            reason: written.reason.unwrap_or(Reason::User),
            verb: only_verb(written)?,
        })
    }
}

fn statuses(names: &Texts) -> Result<Vec<Status>, String> {
    let named = |name: &String| Status::named(name).ok_or_else(|| format!("no status is called {name}"));
    names.list().iter().map(named).collect()
}

fn only_verb(written: Written) -> Result<Verb, String> {
    let verbs = [
        written.set.map(Verb::Set),
        written.press.map(Verb::Press),
        written.wait.map(Verb::Wait),
        written.render.map(Verb::Render),
        written.expect.map(Verb::Expect),
        written.expect_message.map(Verb::ExpectMessage),
        written.connect.map(Verb::Connect),
        written.time.map(Verb::Time),
        written.save.map(Verb::Save),
        written.recreate.map(Verb::Recreate),
        written.describe.map(Verb::Describe),
        written.run.map(Verb::Run),
        written.log.map(Verb::Log),
    ];
    let mut found: Vec<Verb> = verbs.into_iter().flatten().collect();
    match (found.pop(), found.is_empty()) {
        (Some(verb), true) => Ok(verb),
        (Some(last), false) => {
            found.push(last);
            let names: Vec<&str> = found.iter().map(Verb::name).collect();
            Err(format!("one verb a step, not {}", names.join(" and ")))
        }
        (None, _) => Err("no verb, such as set, press, wait, render or expect".to_owned()),
    }
}

impl Verb {
    /// As it is written.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Set(_) => "set",
            Self::Press(_) => "press",
            Self::Wait(_) => "wait",
            Self::Render(_) => "render",
            Self::Expect(_) => "expect",
            Self::ExpectMessage(_) => "expectMessage",
            Self::Connect(_) => "connect",
            Self::Time(_) => "time",
            Self::Save(_) => "save",
            Self::Recreate(_) => "recreate",
            Self::Describe(_) => "describe",
            Self::Run(_) => "run",
            Self::Log(_) => "log",
        }
    }

    /// Whether it does something to the plug-in, so that messages after it are its own.
    pub(super) fn acts(&self) -> bool {
        matches!(
            self,
            Self::Set(_)
                | Self::Press(_)
                | Self::Wait(_)
                | Self::Render(_)
                | Self::Connect(_)
                | Self::Recreate(_)
        )
    }
}
