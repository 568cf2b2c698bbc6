//! The actions of an instance: arguments read, the instance asked, answers written.

use openfx_sys as sys;

use super::{Action, Call, guarded};
use crate::action::Answers;
use crate::instances::Record;
use crate::suites::Suites;
use crate::{
    Change, ClipPreferences, Effect, Error, FramesNeeded, Identity, Instance, PropertySet, Reason, RectD,
    RegionArgs, RegionsOfInterest, RenderArgs, Reply, Result, SequenceArgs, Status, Text,
};

/// Handles an action of a known instance.
pub(super) fn act<I: Instance>(
    action: Action,
    record: &Record<I>,
    effect: &Effect<'_>,
    suites: &Suites,
    call: Call,
) -> Result<Status> {
    let instance = &record.instance;
    let (inputs, outputs) = (|| call.inputs(suites), || call.outputs(suites));
    match action {
        Action::Render => render(instance, effect, &RenderArgs::read(inputs()?)?),
        Action::IsIdentity => {
            let identity = instance.is_identity(effect, &RenderArgs::read(inputs()?)?)?;
            answer(identity, outputs, write_identity)
        }
        Action::RegionOfDefinition => {
            let region = instance.region_of_definition(effect, &RegionArgs::read(inputs()?)?)?;
            answer(region, outputs, write_region)
        }
        Action::TimeDomain => answer(instance.time_domain(effect)?, outputs, write_range),
        Action::RegionsOfInterest => {
            let (inputs, mut wanted) = (inputs()?, RegionsOfInterest(Answers::new(outputs()?)));
            let output = RectD::from(inputs.doubles(sys::kOfxImageEffectPropRegionOfInterest)?);
            instance.regions_of_interest(effect, &RegionArgs::read(inputs)?, output, &mut wanted)?;
            Ok(given(wanted.0))
        }
        Action::FramesNeeded => {
            let mut needed = FramesNeeded(Answers::new(outputs()?));
            instance.frames_needed(effect, inputs()?.double(sys::kOfxPropTime, 0)?, &mut needed)?;
            Ok(given(needed.0))
        }
        Action::ClipPreferences => {
            let mut preferences = ClipPreferences(Answers::new(outputs()?));
            instance.clip_preferences(effect, &mut preferences)?;
            Ok(given(preferences.0))
        }
        Action::InstanceChanged => {
            let change = Change::read(inputs()?)?;
            once(record, || instance.instance_changed(effect, &change))
        }
        Action::BeginInstanceChanged => {
            once(record, || instance.begin_instance_changed(effect, Reason::read(inputs()?)))
        }
        Action::EndInstanceChanged => {
            once(record, || instance.end_instance_changed(effect, Reason::read(inputs()?)))
        }
        Action::BeginSequenceRender => {
            reply(instance.begin_sequence_render(effect, &SequenceArgs::read(inputs()?)?))
        }
        Action::EndSequenceRender => {
            reply(instance.end_sequence_render(effect, &SequenceArgs::read(inputs()?)?))
        }
        Action::SyncPrivateData => reply(instance.sync_private_data(effect)),
        Action::PurgeCaches => reply(instance.purge_caches(effect)),
        _ => Ok(Status::REPLY_DEFAULT),
    }
}

/// A failed render first shows the source: hosts that ignore the status would show what happened to
/// be in the output's memory.
fn render<I: Instance>(instance: &I, effect: &Effect<'_>, args: &RenderArgs) -> Result<Status> {
    let result = guarded(|| instance.render(effect, args));
    if let Err(error) = &result
        && !matches!(error, Error::Stopped)
        && let Err(error) = guarded(|| show_source(effect, args))
    {
        log::debug!("the source could not be shown: {error}");
    }
    result.map(|()| Status::OK)
}

fn show_source(effect: &Effect<'_>, args: &RenderArgs) -> Result<()> {
    let mut output = effect.output(args.time)?;
    match effect.source()?.image(args.time)? {
        Some(source) => output.copy_from(&source, args.window),
        None => output.fill(args.window, [0.0; 4]),
    }
    Ok(())
}

/// Handles a change unless one is being handled: what a handler sets comes back as a change.
fn once<I>(record: &Record<I>, handle: impl FnOnce() -> Result<Reply>) -> Result<Status> {
    match record.begin_change() {
        Some(_until_handled) => reply(handle()),
        None => Ok(Status::OK),
    }
}

fn reply(reply: Result<Reply>) -> Result<Status> {
    reply.map(|reply| match reply {
        Reply::Done => Status::OK,
        Reply::Default => Status::REPLY_DEFAULT,
    })
}

fn given(answers: Answers<'_>) -> Status {
    if answers.given { Status::OK } else { Status::REPLY_DEFAULT }
}

fn answer<'a, T>(
    value: Option<T>,
    outputs: impl FnOnce() -> Result<PropertySet<'a>>,
    write: impl FnOnce(PropertySet<'a>, T) -> Result<()>,
) -> Result<Status> {
    let Some(value) = value else { return Ok(Status::REPLY_DEFAULT) };
    write(outputs()?, value)?;
    Ok(Status::OK)
}

fn write_identity(outputs: PropertySet<'_>, identity: Identity) -> Result<()> {
    outputs.set_string(sys::kOfxPropName, 0, identity.clip.kept())?;
    outputs.set_double(sys::kOfxPropTime, 0, identity.time)
}

fn write_region(outputs: PropertySet<'_>, region: RectD) -> Result<()> {
    outputs.set_doubles(sys::kOfxImageEffectPropRegionOfDefinition, &region.edges())
}

fn write_range(outputs: PropertySet<'_>, (first, last): (f64, f64)) -> Result<()> {
    outputs.set_doubles(sys::kOfxImageEffectPropFrameRange, &[first, last])
}
