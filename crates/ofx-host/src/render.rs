//! Rendering: what hosts ask before a frame, and the frame.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use openfx_sys::*;
use parking_lot::Mutex;

use crate::clip::Clip;
use crate::effect::{Call, Effect};
use crate::image::{Bounds, Image};
use crate::instance::{Instance, InstanceError, accept};
use crate::live_image::LiveImage;
use crate::property::{Access, PropertySet, c_string};
use crate::schema::Schema;
use crate::scope::{Action, Announced, blame_in};
use crate::session::{Rule, Violation};
use crate::status::Status;

/// Which frames are rendered, and how.
#[derive(Clone, Debug)]
pub struct RenderOptions {
    /// The frames in the order they are asked for.
    pub frames: Vec<i64>,
    /// Frames rendered at the same time; above 1 only where the plug-in says it is fully safe.
    pub threads: usize,
}

/// One frame.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The picture: the output's, or the identity clip's own.
    pub image: Image,
    /// The clip and time it is identical to.
    pub identity: Option<(String, f64)>,
    /// Seconds it took.
    pub seconds: f64,
}

impl Instance {
    /// Renders frames in one sequence and hands each to `take`; the first failure ends it.
    ///
    /// # Errors
    /// Where an action fails, a frame cannot be had, or `take` fails.
    pub fn render(
        &self,
        options: &RenderOptions,
        take: &(dyn Fn(i64, Rendered) -> Result<(), String> + Sync),
    ) -> Result<(), InstanceError> {
        let arguments = sequence_arguments(options);
        let status = self.effect.call(Call::new(Action::BeginSequenceRender).in_args(&arguments));
        accept(Action::BeginSequenceRender, None, status)?;
        let result = self.render_frames(options, take);
        let status = self.effect.call(Call::new(Action::EndSequenceRender).in_args(&arguments));
        result.and_then(|()| accept(Action::EndSequenceRender, None, status))
    }

    fn render_frames(
        &self,
        options: &RenderOptions,
        take: &(dyn Fn(i64, Rendered) -> Result<(), String> + Sync),
    ) -> Result<(), InstanceError> {
        let (next, stop, failure) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(None));
        let work = || {
            while !stop.load(Ordering::Relaxed) {
                let Some(&frame) = options.frames.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                let result = self.render_frame(frame as f64);
                let taken = result.and_then(|rendered| {
                    take(frame, rendered).map_err(|reason| InstanceError::Handler { frame, reason })
                });
                if let Err(error) = taken {
                    stop.store(true, Ordering::Relaxed);
                    failure.lock().get_or_insert(error);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.allowed_threads(options.threads) {
                scope.spawn(work);
            }
            work();
        });
        failure.into_inner().map_or(Ok(()), Err)
    }

    fn allowed_threads(&self, wanted: usize) -> usize {
        let safety = self.effect.described.get(kOfxImageEffectPluginRenderThreadSafety);
        let fully = crate::property::Values::Strings(vec![kOfxImageEffectRenderFullySafe.to_owned()]);
        if wanted > 1 && safety.is_none_or(|property| property.values != fully) {
            self.effect.session.note("the plug-in is not fully thread safe: one frame at a time".to_owned());
            return 1;
        }
        wanted.max(1)
    }

    /// Renders one frame, with all that is asked before, outside of any sequence.
    ///
    /// # Errors
    /// Where an action fails or a frame cannot be had.
    pub fn render_frame(&self, time: f64) -> Result<Rendered, InstanceError> {
        let start = Instant::now();
        let window = self.region_of_definition(time)?;
        let announced = frames_needed(&self.effect, time)?;
        regions_of_interest(&self.effect, time, window)?;
        let identity = self.identity(time, window)?;
        let image = match &identity {
            Some((clip, at)) => self.input_image(clip, *at)?,
            None => self.render_window(time, window, announced)?,
        };
        Ok(Rendered { image, identity, seconds: start.elapsed().as_secs_f64() })
    }

    fn input_image(&self, clip: &str, time: f64) -> Result<Image, InstanceError> {
        let missing = || InstanceError::Unfit(format!("identity to clip {clip}, which has no frames"));
        let found = self.effect.clip(clip).ok_or_else(missing)?;
        let input = found.input().ok_or_else(missing)?;
        let image = input.image(time, found.components());
        let image = image.map_err(|source| InstanceError::Source { clip: clip.to_owned(), source })?;
        Ok(image.as_ref().clone())
    }

    fn render_window(&self, time: f64, window: Bounds, announced: Announced) -> Result<Image, InstanceError> {
        let effect = &self.effect;
        let clip = effect.clip("Output").ok_or_else(|| InstanceError::Unfit("no clip Output".to_owned()))?;
        let output = LiveImage::output(window, clip.components(), clip.facts(effect, time));
        let arguments = Schema::new(Access::Read)
            .doubles(kOfxPropTime, &[time])
            .constant(kOfxImageEffectPropFieldToRender, kOfxImageFieldNone)
            .ints(kOfxImageEffectPropRenderWindow, &window.array())
            .doubles(kOfxImageEffectPropRenderScale, &[1.0, 1.0])
            .ints(kOfxImageEffectPropSequentialRenderStatus, &[0])
            .ints(kOfxImageEffectPropInteractiveRenderStatus, &[0])
            .ints(kOfxImageEffectPropRenderQualityDraft, &[0]);
        let arguments = PropertySet::new("in arguments", arguments.properties());
        let call = Call::new(Action::Render).time(time).in_args(&arguments);
        let status = effect.call(call.rendering(announced, output.clone()));
        if status != Status::OK {
            return Err(InstanceError::Refused { action: Action::Render, time: Some(time), status });
        }
        check_written(effect, &output, time);
        Ok(output.buffer.to_image())
    }

    /// Where the output lies at a time, in pixels.
    ///
    /// # Errors
    /// Where the plug-in fails, or no clip says where.
    pub fn region_of_definition(&self, time: f64) -> Result<Bounds, InstanceError> {
        let missing = || self.missing_input(time);
        let default = self.effect.default_region(time).ok_or_else(missing)?;
        let arguments = Schema::new(Access::Read)
            .doubles(kOfxPropTime, &[time])
            .doubles(kOfxImageEffectPropRenderScale, &[1.0, 1.0]);
        let arguments = PropertySet::new("in arguments", arguments.properties());
        let answers =
            Schema::new(Access::Write).doubles(kOfxImageEffectPropRegionOfDefinition, &default.doubles());
        let answers = PropertySet::new("region of definition", answers.properties());
        let call = Call::new(Action::GetRegionOfDefinition).time(time).in_args(&arguments).out_args(&answers);
        let status = self.effect.call(call);
        accept(Action::GetRegionOfDefinition, Some(time), status)?;
        let said = answers.values::<f64>(kOfxImageEffectPropRegionOfDefinition).unwrap_or_default();
        if status == Status::OK { self.whole_pixels(&said) } else { Ok(default) }
    }

    fn whole_pixels(&self, said: &[f64]) -> Result<Bounds, InstanceError> {
        let &[x1, y1, x2, y2] = said else {
            return Err(InstanceError::Unfit("a region of four numbers".into()));
        };
        let bounds = Bounds {
            x1: x1.floor() as i32,
            y1: y1.floor() as i32,
            x2: x2.ceil() as i32,
            y2: y2.ceil() as i32,
        };
        let sensible = |length: f64| (1.0..=65536.0).contains(&length);
        if sensible(x2 - x1) && sensible(y2 - y1) {
            return Ok(bounds);
        }
        self.blame(Rule::BadAnswer, Action::GetRegionOfDefinition, format!("region of definition {said:?}"));
        Err(InstanceError::Unfit(format!("region of definition {said:?}")))
    }

    fn missing_input(&self, time: f64) -> InstanceError {
        let clips = self.effect.clips.read().clone();
        let asked = clips.iter().filter(|clip| !clip.is_output() && !clip.is_optional());
        let error = asked.filter_map(|clip| Some((clip, clip.input()?.bounds(time).err()?))).next();
        match error {
            Some((clip, source)) => InstanceError::Source { clip: clip.name.clone(), source },
            None => InstanceError::Unfit("no clip is connected that says how large the output is".to_owned()),
        }
    }

    fn blame(&self, rule: Rule, action: Action, text: String) {
        self.effect.session.blame(Violation { rule, action: format!("{action:?}"), text });
    }

    /// The clip and time the output of a time is identical to, where the plug-in says so.
    ///
    /// # Errors
    /// Where the plug-in fails.
    pub fn identity(&self, time: f64, window: Bounds) -> Result<Option<(String, f64)>, InstanceError> {
        let arguments = Schema::new(Access::Read)
            .doubles(kOfxPropTime, &[time])
            .constant(kOfxImageEffectPropFieldToRender, kOfxImageFieldNone)
            .ints(kOfxImageEffectPropRenderWindow, &window.array())
            .doubles(kOfxImageEffectPropRenderScale, &[1.0, 1.0]);
        let arguments = PropertySet::new("in arguments", arguments.properties());
        let answers = Schema::new(Access::Write).texts(kOfxPropName, &[""]).doubles(kOfxPropTime, &[time]);
        let answers = PropertySet::new("identity", answers.properties());
        let call = Call::new(Action::IsIdentity).time(time).in_args(&arguments).out_args(&answers);
        let status = self.effect.call(call);
        accept(Action::IsIdentity, Some(time), status)?;
        let clip = answers.text(kOfxPropName);
        if status == Status::DEFAULT || clip.is_empty() {
            return Ok(None);
        }
        Ok(Some((clip, answers.first::<f64>(kOfxPropTime))))
    }

    /// The closed ranges of times the plug-in asks for to render a time, by clip.
    ///
    /// # Errors
    /// Where the plug-in fails.
    pub fn frames_needed(&self, time: f64) -> Result<Announced, InstanceError> {
        frames_needed(&self.effect, time)
    }
}

fn sequence_arguments(options: &RenderOptions) -> std::sync::Arc<PropertySet> {
    let first = options.frames.iter().min().copied().unwrap_or(0);
    let last = options.frames.iter().max().copied().unwrap_or(0);
    let arguments = Schema::new(Access::Read)
        .doubles(kOfxImageEffectPropFrameRange, &[first as f64, last as f64])
        .doubles(kOfxImageEffectPropFrameStep, &[1.0])
        .ints(kOfxPropIsInteractive, &[0])
        .doubles(kOfxImageEffectPropRenderScale, &[1.0, 1.0])
        .ints(kOfxImageEffectPropSequentialRenderStatus, &[0])
        .ints(kOfxImageEffectPropInteractiveRenderStatus, &[0]);
    PropertySet::new("in arguments", arguments.properties())
}

fn check_written(effect: &Effect, output: &LiveImage, time: f64) {
    let blame = |rule, text| {
        effect.session.blame(Violation { rule, action: format!("{:?}", Action::Render), text });
    };
    if !output.buffer.guards_are_intact() {
        blame(Rule::MemoryOverwritten, format!("bytes outside of the output at {time} were written"));
    }
    if let Some((x, y)) = output.buffer.first_unwritten() {
        blame(Rule::OutputNotWritten, format!("pixel ({x}, {y}) of the output at {time}"));
    }
}

fn frame_range_name(clip: &Clip) -> std::ffi::CString {
    c_string(&format!("OfxImageClipPropFrameRange_{}", clip.name))
}

fn frames_needed(effect: &Effect, time: f64) -> Result<Announced, InstanceError> {
    let clips = effect.clips.read().clone();
    let inputs: Vec<_> = clips.iter().filter(|clip| !clip.is_output()).collect();
    let arguments = Schema::new(Access::Read).doubles(kOfxPropTime, &[time]);
    let arguments = PropertySet::new("in arguments", arguments.properties());
    let answers = inputs.iter().fold(Schema::new(Access::Write), |schema, clip| {
        schema.list_of_doubles(&frame_range_name(clip), &[time, time])
    });
    let answers = PropertySet::new("frames needed", answers.properties());
    let call = Call::new(Action::GetFramesNeeded).time(time).in_args(&arguments).out_args(&answers);
    let status = effect.call(call);
    accept(Action::GetFramesNeeded, Some(time), status)?;
    let ranges = |clip: &Clip| match status {
        Status::OK => checked_ranges(effect, clip, time, &answers),
        _ => vec![(time, time)],
    };
    Ok(inputs.iter().map(|clip| (clip.name.clone(), ranges(clip))).collect())
}

fn checked_ranges(effect: &Effect, clip: &Clip, time: f64, answers: &PropertySet) -> Vec<(f64, f64)> {
    let said = answers.values::<f64>(&frame_range_name(clip)).unwrap_or_default();
    let blame = |rule, text| blame_in(&effect.session, rule, format!("GetFramesNeeded: {text}"));
    let ranges: Vec<(f64, f64)> = said.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    if !said.len().is_multiple_of(2) || ranges.iter().any(|(first, last)| first > last) {
        blame(Rule::BadAnswer, format!("frame ranges {said:?} of clip {}", clip.name));
    }
    let other_times = ranges.iter().any(|&range| range != (time, time));
    if other_times && !effect.has_temporal_access(clip) {
        blame(Rule::TemporalAccess, format!("frames {said:?} of clip {} at {time}", clip.name));
    }
    ranges
}

fn regions_of_interest(effect: &Effect, time: f64, window: Bounds) -> Result<(), InstanceError> {
    let arguments = Schema::new(Access::Read)
        .doubles(kOfxPropTime, &[time])
        .doubles(kOfxImageEffectPropRenderScale, &[1.0, 1.0])
        .doubles(kOfxImageEffectPropRegionOfInterest, &window.doubles());
    let arguments = PropertySet::new("in arguments", arguments.properties());
    let clips = effect.clips.read().clone();
    let answers =
        clips.iter().filter(|clip| !clip.is_output()).fold(Schema::new(Access::Write), |schema, clip| {
            schema.doubles(&c_string(&format!("OfxImageClipPropRoI_{}", clip.name)), &window.doubles())
        });
    let answers = PropertySet::new("regions of interest", answers.properties());
    let call = Call::new(Action::GetRegionsOfInterest).time(time).in_args(&arguments).out_args(&answers);
    accept(Action::GetRegionsOfInterest, Some(time), effect.call(call))
}
