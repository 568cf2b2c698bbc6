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

/// An action of a known instance.
pub(super) struct Asked<'a, I> {
    pub record: &'a Record<I>,
    pub effect: &'a Effect<'a>,
    pub suites: &'a Suites,
    pub call: Call,
}

impl<I: Instance> Asked<'_, I> {
    /// Handles the action.
    pub fn act(&self, action: Action) -> Result<Status> {
        match action {
            Action::Render => self.render(),
            Action::IsIdentity => self.identity(),
            Action::RegionOfDefinition => self.region(),
            Action::RegionsOfInterest => self.regions(),
            Action::FramesNeeded => self.frames(),
            Action::ClipPreferences => self.preferences(),
            Action::TimeDomain => self.time_domain(),
            Action::InstanceChanged => self.changed(),
            Action::BeginInstanceChanged => {
                self.once(|i| i.begin_instance_changed(self.effect, self.reason()?))
            }
            Action::EndInstanceChanged => self.once(|i| i.end_instance_changed(self.effect, self.reason()?)),
            Action::BeginSequenceRender => {
                reply(self.instance().begin_sequence_render(self.effect, &self.sequence()?))
            }
            Action::EndSequenceRender => {
                reply(self.instance().end_sequence_render(self.effect, &self.sequence()?))
            }
            Action::SyncPrivateData => reply(self.instance().sync_private_data(self.effect)),
            Action::PurgeCaches => reply(self.instance().purge_caches(self.effect)),
            _ => Ok(Status::REPLY_DEFAULT),
        }
    }

    fn instance(&self) -> &I {
        &self.record.instance
    }

    fn inputs(&self) -> Result<PropertySet<'_>> {
        self.call.inputs(self.suites)
    }

    fn outputs(&self) -> Result<PropertySet<'_>> {
        self.call.outputs(self.suites)
    }

    fn reason(&self) -> Result<Reason> {
        self.inputs().map(Reason::read)
    }

    fn sequence(&self) -> Result<SequenceArgs> {
        self.inputs().map(SequenceArgs::read)
    }

    /// A failed render first shows the source: hosts that ignore the status would show what
    /// happened to be in the output's memory.
    fn render(&self) -> Result<Status> {
        let args = RenderArgs::read(self.inputs()?)?;
        let result = guarded(|| self.instance().render(self.effect, &args));
        if let Err(error) = &result
            && !matches!(error, Error::Stopped)
            && let Err(error) = guarded(|| show_source(self.effect, &args))
        {
            log::debug!("the source could not be shown: {error}");
        }
        result.map(|()| Status::OK)
    }

    /// A question asked with too few arguments is left to the host: the render will be asked for.
    fn identity(&self) -> Result<Status> {
        let Ok(args) = RenderArgs::read(self.inputs()?) else { return Ok(Status::REPLY_DEFAULT) };
        let identity = self.instance().is_identity(self.effect, &args)?;
        self.answer(identity, |outputs, Identity { clip, time }| {
            outputs.set_string(sys::kOfxPropName, 0, clip.kept())?;
            outputs.set_double(sys::kOfxPropTime, 0, time)
        })
    }

    fn region(&self) -> Result<Status> {
        let region = self.instance().region_of_definition(self.effect, &RegionArgs::read(self.inputs()?)?)?;
        self.answer(region, |outputs, region| {
            outputs.set_doubles(sys::kOfxImageEffectPropRegionOfDefinition, &region.edges())
        })
    }

    fn time_domain(&self) -> Result<Status> {
        let range = self.instance().time_domain(self.effect)?;
        self.answer(range, |outputs, (first, last)| {
            outputs.set_doubles(sys::kOfxImageEffectPropFrameRange, &[first, last])
        })
    }

    fn regions(&self) -> Result<Status> {
        let inputs = self.inputs()?;
        let output = RectD::from(inputs.doubles(sys::kOfxImageEffectPropRegionOfInterest)?);
        let mut wanted = RegionsOfInterest(Answers::new(self.outputs()?));
        self.instance().regions_of_interest(self.effect, &RegionArgs::read(inputs)?, output, &mut wanted)?;
        Ok(given(&wanted.0))
    }

    fn frames(&self) -> Result<Status> {
        let time = self.inputs()?.double(sys::kOfxPropTime, 0)?;
        let mut needed = FramesNeeded(Answers::new(self.outputs()?));
        self.instance().frames_needed(self.effect, time, &mut needed)?;
        Ok(given(&needed.0))
    }

    fn preferences(&self) -> Result<Status> {
        let mut preferences = ClipPreferences(Answers::new(self.outputs()?));
        self.instance().clip_preferences(self.effect, &mut preferences)?;
        Ok(given(&preferences.0))
    }

    fn changed(&self) -> Result<Status> {
        let change = Change::read(self.inputs()?)?;
        self.once(|instance| instance.instance_changed(self.effect, &change))
    }

    /// Handles a change unless one is being handled: what a handler sets comes back as a change.
    fn once(&self, handle: impl FnOnce(&I) -> Result<Reply>) -> Result<Status> {
        match self.record.begin_change() {
            Some(_until_handled) => reply(handle(self.instance())),
            None => Ok(Status::OK),
        }
    }

    fn answer<T>(
        &self,
        value: Option<T>,
        write: impl FnOnce(PropertySet<'_>, T) -> Result<()>,
    ) -> Result<Status> {
        let Some(value) = value else { return Ok(Status::REPLY_DEFAULT) };
        write(self.outputs()?, value)?;
        Ok(Status::OK)
    }
}

fn show_source(effect: &Effect<'_>, args: &RenderArgs) -> Result<()> {
    let mut output = effect.output(args.time)?;
    match effect.source()?.image(args.time)? {
        Some(source) => output.copy_from(&source, args.window),
        None => output.fill(args.window, [0.0; 4]),
    }
    Ok(())
}

fn reply(reply: Result<Reply>) -> Result<Status> {
    reply.map(|reply| match reply {
        Reply::Done => Status::OK,
        Reply::Default => Status::REPLY_DEFAULT,
    })
}

fn given(answers: &Answers<'_>) -> Status {
    if answers.given { Status::OK } else { Status::REPLY_DEFAULT }
}
