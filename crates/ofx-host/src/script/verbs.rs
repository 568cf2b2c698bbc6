//! What each verb of a script does.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;

use super::expect::{check, contains_any};
use super::report::FrameReport;
use super::run::{Done, Outcome, Runner, status};
use super::step::{ExpectMessage, Order, ParamsFile, Recreate, Render, Since, Step, Verb, Wait};
use super::value::{saved_of, saved_to_json, text_of, to_json, value_of};
use super::{ClipScript, dump};
use crate::files;
use crate::image::Image;
use crate::instance::{Instance, InstanceError, SavedParam};
use crate::render::{RenderOptions, Rendered};
use crate::status::Status;

impl Runner<'_> {
    pub(super) fn perform(&mut self, step: &Step) -> Done {
        match &step.verb {
            Verb::Set(values) => self.set(values, step),
            Verb::Press(name) => Ok(status(self.instance()?.press(name)?)),
            Verb::Wait(wait) => self.wait(wait),
            Verb::Render(render) => self.render(render),
            Verb::Expect(expect) => {
                let instance = self.instance.as_ref().ok_or_else(|| "no instance".to_owned())?;
                let info = instance.param(&expect.param)?;
                check(expect, &info, &instance.value(&expect.param)?, &mut self.remembered)?;
                Ok(Outcome::default())
            }
            Verb::ExpectMessage(expect) => self.expect_message(expect),
            Verb::Connect(clips) => self.connect(clips),
            Verb::Time(time) => {
                self.host.session().set_time(*time);
                Ok(Outcome::default())
            }
            Verb::Save(ParamsFile { params }) => self.save(params),
            Verb::Recreate(recreate) => self.recreate(recreate),
            Verb::Describe(file) => {
                let text = dump::dump(&self.plugin, self.instance()?);
                self.write(file, &text)
            }
            Verb::Run(command) => self.run_program(command),
            Verb::Log(text) => Ok(Outcome { detail: Some(text.clone()), ..Outcome::default() }),
        }
    }

    fn set(&self, values: &BTreeMap<String, Value>, step: &Step) -> Done {
        let instance = self.instance()?;
        let mut last = Status::OK;
        for (name, json) in values {
            let saved = saved_of(&instance.param(name)?, json)?;
            last = instance.set_saved(name, saved, step.reason)?;
        }
        Ok(status(last))
    }

    fn wait(&self, wait: &Wait) -> Done {
        let instance = self.instance()?;
        let info = instance.param(&wait.param)?;
        let limit = Instant::now() + Duration::from_secs_f64(wait.timeout_seconds);
        let equals = wait.equals.as_ref().map(|json| value_of(&info, json)).transpose()?;
        loop {
            if let Some(button) = &wait.press {
                // Only an error matters here, and that has left already.
                let _ = instance.press(button)?;
            }
            let value = instance.value(&wait.param)?;
            let text = text_of(&to_json(&info, &value));
            if wait.fail_on.as_ref().is_some_and(|bad| contains_any(&text, bad)) {
                return Err(format!("{} says {text:?}", wait.param).into());
            }
            if wait.contains.as_ref().is_some_and(|good| contains_any(&text, good)) || equals == Some(value) {
                return Ok(Outcome { detail: Some(text), ..Outcome::default() });
            }
            if Instant::now() >= limit {
                return Err(
                    format!("{} still says {text:?} after {} s", wait.param, wait.timeout_seconds).into()
                );
            }
            std::thread::sleep(Duration::from_millis(wait.poll_milliseconds));
        }
    }

    fn frames(&self, render: &Render) -> Vec<i64> {
        let range = self.options.project.range;
        let (first, last) = (render.first.unwrap_or(range.0), render.last.unwrap_or(range.1));
        let step = usize::try_from(render.step.unwrap_or(1)).unwrap_or(1).max(1);
        let mut frames = render.frames.clone().unwrap_or_else(|| (first..=last).step_by(step).collect());
        if render.order == Order::Reverse {
            frames.reverse();
        }
        frames
    }

    fn render(&self, render: &Render) -> Done {
        let done = Mutex::new(Vec::new());
        let take = |frame: i64, rendered: Rendered| {
            self.take(render, frame, &rendered)?;
            let identity = rendered.identity.map(|(clip, _)| clip);
            done.lock().push(FrameReport { frame, seconds: rendered.seconds, identity });
            Ok(())
        };
        let options = RenderOptions { frames: self.frames(render), threads: render.threads.unwrap_or(1) };
        self.instance()?.render(&options, &take)?;
        let frames = done.into_inner();
        let seconds: f64 = frames.iter().map(|frame| frame.seconds).sum();
        let detail = format!("{} frames, {:.3} s each", frames.len(), seconds / frames.len().max(1) as f64);
        Ok(Outcome { status: Some(Status::OK), detail: Some(detail), frames })
    }

    fn take(&self, render: &Render, frame: i64, rendered: &Rendered) -> Result<(), String> {
        if let Some(wanted) = render.expect_identity
            && wanted != rendered.identity.is_some()
        {
            return Err(format!("identity: {:?}, expected {wanted}", rendered.identity));
        }
        if let Some(pattern) = &render.equals {
            let path = self.script.pattern(pattern).path(frame);
            let wanted = files::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            compare(&rendered.image, &wanted.image, render.tolerance)?;
        }
        let Some(output) = &render.output else { return Ok(()) };
        files::write(&self.script.pattern(output).path(frame), &rendered.image, self.format(&rendered.image))
    }

    fn format(&self, image: &Image) -> (usize, usize) {
        self.instance
            .as_ref()
            .and_then(Instance::format)
            .unwrap_or((image.bounds.width(), image.bounds.height()))
    }

    fn expect_message(&self, expect: &ExpectMessage) -> Done {
        let messages = self.host.session().messages();
        let from = if expect.since == Since::Start { 0 } else { self.heard };
        let mut heard = messages[from..].iter();
        let fits = |message: &&crate::session::Message| {
            expect.kind.is_none_or(|kind| kind == message.kind) && message.text.contains(&expect.contains)
        };
        let found = heard.find(fits);
        match found {
            Some(message) if expect.absent => Err(format!("it was said: {}", message.text).into()),
            None if !expect.absent => {
                let said: Vec<&str> = messages[from..].iter().map(|message| message.text.as_str()).collect();
                Err(format!("no message contains {:?}, there are: {said:?}", expect.contains).into())
            }
            _ => Ok(Outcome { detail: found.map(|message| message.text.clone()), ..Outcome::default() }),
        }
    }

    fn connect(&mut self, clips: &BTreeMap<String, Option<ClipScript>>) -> Done {
        let mut last = Status::OK;
        for (name, clip) in clips {
            let input = clip.as_ref().map(|clip| self.script.input(clip)).transpose();
            let input = input.map_err(|error| format!("clip {name}: {error}"))?;
            match &input {
                Some(input) => self.options.inputs.insert(name.clone(), input.clone()),
                None => self.options.inputs.remove(name),
            };
            last = self.instance()?.connect(name, input)?;
        }
        Ok(status(last))
    }

    fn save(&self, file: &str) -> Done {
        let instance = self.instance()?;
        let saved: Result<BTreeMap<String, Value>, InstanceError> = instance
            .saved()?
            .iter()
            .filter(|(_, saved)| !matches!(saved, SavedParam::Value(crate::param::ParamValue::Nothing)))
            .map(|(name, saved)| Ok((name.clone(), saved_to_json(&instance.param(name)?, saved))))
            .collect();
        self.write(file, &serde_json::json!(saved?))
    }

    fn recreate(&mut self, recreate: &Recreate) -> Done {
        let values = match recreate {
            Recreate::Same(false) => return Ok(Outcome::default()),
            Recreate::Same(true) => {
                self.options.params = self.instance()?.saved()?;
                BTreeMap::new()
            }
            Recreate::File(ParamsFile { params }) => {
                let path = self.script.path(params);
                let text =
                    std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?
            }
        };
        if let Some(instance) = self.instance.take() {
            instance.destroy()?;
        }
        let made = self.create(&values);
        self.options.params.clear();
        made.map(|()| status(Status::OK))
    }

    fn write(&self, file: &str, value: &Value) -> Done {
        let path = self.script.path(file);
        let text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
        std::fs::write(&path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Outcome { detail: Some(path.display().to_string()), ..Outcome::default() })
    }

    fn run_program(&self, command: &[String]) -> Done {
        let (program, arguments) = command.split_first().ok_or_else(|| "no program to run".to_owned())?;
        let run =
            std::process::Command::new(program).args(arguments).current_dir(&self.script.folder).status();
        let exit = run.map_err(|error| format!("{program}: {error}"))?;
        if exit.success() { Ok(Outcome::default()) } else { Err(format!("{program}: {exit}").into()) }
    }
}

fn compare(image: &Image, wanted: &Image, tolerance: f32) -> Result<(), String> {
    if image.bounds != wanted.bounds {
        return Err(format!("bounds {:?}, expected {:?}", image.bounds, wanted.bounds));
    }
    let wanted = wanted.to_components(image.components, 3);
    let far = |(a, b): (&f32, &f32)| (a - b).abs();
    let worst = image.data.iter().zip(&wanted.data).map(far).fold(0.0, f32::max);
    if worst > tolerance { Err(format!("differs by {worst}, expected at most {tolerance}")) } else { Ok(()) }
}
