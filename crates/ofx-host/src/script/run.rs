//! Running a script.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::Value;

use super::expect::Remembered;
use super::report::{FrameReport, Report, StepReport};
use super::step::Step;
use super::value::{saved_of, to_json};
use super::{Reply, Script};
use crate::host::{Host, HostOptions};
use crate::instance::{Instance, InstanceError, InstanceOptions, Project};
use crate::plugin::{LoadError, Plugin};
use crate::session::Listener;
use crate::status::Status;

/// Hears of a step when it is done.
pub type StepListener = std::sync::Arc<dyn Fn(&StepReport) + Send + Sync>;

/// What a run needs beside its script.
#[derive(Clone, Default)]
pub struct RunOptions {
    /// Where plug-ins are looked for first: binaries, bundles or folders.
    pub plugin_paths: Vec<PathBuf>,
    /// Hears messages, progress and breaches.
    pub listener: Option<Listener>,
    /// Hears of each step when it is done.
    pub step_done: Option<StepListener>,
}

/// What came of a step that did as it should.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) status: Option<Status>,
    pub(super) detail: Option<String>,
    pub(super) frames: Vec<FrameReport>,
}

/// A step that failed.
pub(super) struct Failure {
    status: Option<Status>,
    text: String,
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self { status: None, text }
    }
}

impl From<InstanceError> for Failure {
    fn from(error: InstanceError) -> Self {
        Self { status: error.status(), text: error.to_string() }
    }
}

pub(super) type Done = Result<Outcome, Failure>;

pub(super) struct Runner<'a> {
    pub(super) script: &'a Script,
    pub(super) host: Host,
    pub(super) plugin: Plugin,
    pub(super) instance: Option<Instance>,
    pub(super) options: InstanceOptions,
    pub(super) remembered: Remembered,
    /// Number of messages when the last acting step began.
    pub(super) heard: usize,
}

impl Script {
    /// Runs the script with a plug-in from disk.
    #[must_use]
    pub fn run(&self, options: &RunOptions) -> Report {
        let host = self.host(options);
        match self.load(&host, options) {
            Ok(plugin) => self.run_with(&host, &plugin, options),
            Err(error) => failed(&host, error.to_string()),
        }
    }

    /// The host this script wants.
    #[must_use]
    pub fn host(&self, options: &RunOptions) -> Host {
        let mut host = HostOptions {
            background: self.background,
            answer_yes: self.answer == Reply::Yes,
            without_suites: self.without_suites.clone(),
            ..HostOptions::default()
        };
        if let Some(listener) = &options.listener {
            host.listener = listener.clone();
        }
        Host::new(host)
    }

    fn load(&self, host: &Host, options: &RunOptions) -> Result<Plugin, LoadError> {
        let bundle = self.bundle.iter().map(|bundle| self.path(bundle));
        let given: Vec<PathBuf> = options.plugin_paths.iter().cloned().chain(bundle).collect();
        let paths = if given.is_empty() { crate::bundle::search_path() } else { given };
        let mut first = None;
        for path in &paths {
            match Plugin::load(host, path, self.plugin.as_deref()) {
                Ok(plugin) => return Ok(plugin),
                Err(error @ (LoadError::NoBundle(_) | LoadError::NotThere { .. })) => {
                    first = first.or(Some(error))
                }
                Err(error) => return Err(error),
            }
        }
        Err(first.unwrap_or(LoadError::NoBundle(PathBuf::new())))
    }

    /// Runs the script with a plug-in that is loaded.
    #[must_use]
    pub fn run_with(&self, host: &Host, plugin: &Plugin, options: &RunOptions) -> Report {
        let start = Instant::now();
        let mut report = match Runner::new(self, host, plugin) {
            Ok(mut runner) => runner.run(options),
            Err(failure) => failed(host, failure.text),
        };
        report.plugin = plugin.id().to_owned();
        report.version = format!("{}.{}", plugin.version().0, plugin.version().1);
        report.context.clone_from(&self.context);
        report.seconds = start.elapsed().as_secs_f64();
        report
    }
}

fn failed(host: &Host, error: String) -> Report {
    close(host, Report { error: Some(error), ..Report::default() })
}

/// Adds what the host heard, and says whether all went well.
fn close(host: &Host, mut report: Report) -> Report {
    report.messages = host.session().messages();
    report.violations = host.session().violations();
    report.notes = host.session().notes();
    report.ok =
        report.error.is_none() && report.violations.is_empty() && report.steps.iter().all(|step| step.ok);
    report
}

impl<'a> Runner<'a> {
    fn new(script: &'a Script, host: &Host, plugin: &Plugin) -> Result<Self, Failure> {
        let range = script.project_range();
        host.session().set_time(range.0 as f64);
        let project =
            Project { size: script.size, offset: script.offset, range, frame_rate: script.frame_rate };
        let mut options = InstanceOptions {
            context: script.context.clone(),
            depth: script.depth,
            rows: script.rows,
            project,
            ..InstanceOptions::default()
        };
        for (name, clip) in &script.clips {
            let input = script.input(clip).map_err(|error| format!("clip {name}: {error}"))?;
            options.inputs.insert(name.clone(), input);
        }
        let mut runner = Self {
            script,
            host: host.clone(),
            plugin: plugin.clone(),
            instance: None,
            options,
            remembered: Remembered::new(),
            heard: 0,
        };
        runner.create(&script.params)?;
        Ok(runner)
    }

    /// Creates the instance with parameter values as JSON, whose kinds only an instance knows.
    pub(super) fn create(&mut self, values: &BTreeMap<String, Value>) -> Result<(), Failure> {
        let mut options = self.options.clone();
        if !values.is_empty() {
            let kinds = self.plugin.params_of(&options.context)?;
            for (name, json) in values {
                let info = kinds.iter().find(|info| info.name == *name);
                let info = info.ok_or_else(|| format!("no parameter {name}"))?;
                options.params.insert(name.clone(), saved_of(info, json)?);
            }
        }
        self.instance = Some(Instance::create(&self.plugin, options)?);
        Ok(())
    }

    pub(super) fn instance(&self) -> Result<&Instance, Failure> {
        self.instance.as_ref().ok_or_else(|| "the instance could not be made again".to_owned().into())
    }

    fn run(&mut self, options: &RunOptions) -> Report {
        let mut report = Report::default();
        for (index, step) in self.script.steps.iter().enumerate() {
            let done = self.step(index + 1, step);
            if let Some(hear) = &options.step_done {
                hear(&done);
            }
            let ok = done.ok;
            report.steps.push(done);
            if !ok {
                break;
            }
        }
        report.params = self.params();
        if let Some(Err(error)) = self.instance.take().map(Instance::destroy) {
            report.error = Some(error.to_string());
        }
        close(&self.host, report)
    }

    fn params(&self) -> BTreeMap<String, Value> {
        let Some(instance) = &self.instance else { return BTreeMap::new() };
        let value = |name: String| {
            let json = to_json(&instance.param(&name).ok()?, &instance.value(&name).ok()?);
            (!json.is_null()).then_some((name, json))
        };
        instance.params().into_iter().filter_map(value).collect()
    }

    fn step(&mut self, index: usize, step: &Step) -> StepReport {
        let start = Instant::now();
        if step.verb.acts() {
            self.heard = self.host.session().messages().len();
        }
        self.host.session().cancel_progress_at(step.cancel_progress_at);
        let done = judged(self.perform(step), step.expect_status.as_deref());
        self.host.session().cancel_progress_at(None);
        let mut report = StepReport {
            index,
            verb: step.verb.name().to_owned(),
            name: step.name.clone(),
            ok: done.is_ok(),
            seconds: start.elapsed().as_secs_f64(),
            ..StepReport::default()
        };
        match done {
            Ok(outcome) => {
                report.status = outcome.status.map(|status| status.to_string());
                report.detail = outcome.detail;
                report.frames = outcome.frames;
            }
            Err(failure) => {
                report.status = failure.status.map(|status| status.to_string());
                report.detail = Some(failure.text);
            }
        }
        report
    }
}

pub(super) fn status(status: Status) -> Outcome {
    Outcome { status: Some(status), ..Outcome::default() }
}

/// A step's outcome in the light of the status it expects.
fn judged(done: Done, expected: Option<&[Status]>) -> Done {
    let Some(expected) = expected else { return done };
    let (answered, text) = match &done {
        Ok(outcome) => (outcome.status, None),
        Err(failure) => (failure.status, Some(failure.text.clone())),
    };
    match answered {
        Some(answered) if expected.contains(&answered) => {
            Ok(Outcome { status: Some(answered), detail: text, ..Outcome::default() })
        }
        Some(answered) => {
            let text = format!("answered {answered}, expected {expected:?}");
            Err(Failure { status: Some(answered), text })
        }
        None => done,
    }
}
