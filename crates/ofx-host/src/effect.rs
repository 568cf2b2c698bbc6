//! Effects: plug-in descriptors and instances, and the one way actions are sent to them.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use openfx_sys::*;
use parking_lot::RwLock;

use crate::buffer::RowOrder;
use crate::clip::Clip;
use crate::handle::{Handle, Table};
use crate::image::{Bounds, Depth};
use crate::live_image::{self, LiveImage};
use crate::param::ParamSet;
use crate::property::{Access, Properties, PropertySet};
use crate::schema::Schema;
use crate::scope::{self, Action, Announced, Reason, Scope, blame};
use crate::session::{Rule, Session};
use crate::status::Status;

static EFFECTS: Table<Effect> = Table::new();

/// A plug-in's main entry.
pub(crate) type MainEntry = unsafe extern "C" fn(
    *const c_char,
    *const c_void,
    OfxPropertySetHandle,
    OfxPropertySetHandle,
) -> OfxStatus;

/// How an instance gets its pictures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EffectOptions {
    pub(crate) depth: Depth,
    pub(crate) rows: RowOrder,
    /// First and last frame of the project.
    pub(crate) range: (f64, f64),
}

/// A descriptor or an instance.
pub(crate) struct Effect {
    pub(crate) handle: Handle<Effect>,
    pub(crate) is_instance: bool,
    pub(crate) entry: MainEntry,
    pub(crate) session: Arc<Session>,
    pub(crate) properties: Arc<PropertySet>,
    /// What the plug-in said of itself; of an instance, what its descriptor held.
    pub(crate) described: Properties,
    pub(crate) params: Arc<ParamSet>,
    pub(crate) clips: RwLock<Vec<Arc<Clip>>>,
    pub(crate) options: EffectOptions,
}

/// What an effect is made of.
pub(crate) struct EffectParts {
    pub(crate) is_instance: bool,
    pub(crate) entry: MainEntry,
    pub(crate) session: Arc<Session>,
    pub(crate) properties: Arc<PropertySet>,
    pub(crate) described: Properties,
    pub(crate) params: Arc<ParamSet>,
    pub(crate) clips: Vec<Arc<Clip>>,
    pub(crate) options: EffectOptions,
}

/// An action to be sent, with its arguments.
pub(crate) struct Call<'a> {
    action: Action,
    reason: Option<Reason>,
    time: f64,
    in_args: Option<&'a PropertySet>,
    out_args: Option<&'a PropertySet>,
    announced: Option<Announced>,
    output: Option<Arc<LiveImage>>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(action: Action) -> Self {
        Self { action, reason: None, time: 0.0, in_args: None, out_args: None, announced: None, output: None }
    }

    pub(crate) fn reason(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }

    pub(crate) fn time(mut self, time: f64) -> Self {
        self.time = time;
        self
    }

    pub(crate) fn in_args(mut self, set: &'a PropertySet) -> Self {
        self.in_args = Some(set);
        self
    }

    pub(crate) fn out_args(mut self, set: &'a PropertySet) -> Self {
        self.out_args = Some(set);
        self
    }

    pub(crate) fn rendering(mut self, announced: Announced, output: Arc<LiveImage>) -> Self {
        self.announced = Some(announced);
        self.output = Some(output);
        self
    }

    /// Sends the action: one place where plug-ins are entered, and where what they leave undone is found.
    pub(crate) fn send(self, entry: MainEntry, handle: *const c_void, session: &Arc<Session>) -> Status {
        let pointer =
            |set: Option<&PropertySet>| set.map_or(std::ptr::null_mut(), |set| set.handle.pointer());
        let scope = Arc::new(Scope {
            action: self.action,
            reason: self.reason,
            session: session.clone(),
            time: self.time,
            announced: self.announced,
            output: self.output,
        });
        log::trace!("{:?} at {} begins", self.action, self.time);
        let entered = scope::enter(scope.clone());
        let name = self.action.name().as_ptr();
        // SAFETY: the entry came from the plug-in's OfxPlugin and its library stays loaded; name and
        // handles are valid for the call, handles being numbers that suites look up.
        let status = Status(unsafe { entry(name, handle, pointer(self.in_args), pointer(self.out_args)) });
        live_image::end_of_action(&scope);
        check_answer(self.action, status);
        if scope::depth() == 1 && session.end_progress() {
            blame(Rule::ProgressUnbalanced, "progress was started and not ended");
        }
        drop(entered);
        log::trace!("{:?} at {} answers {status}", self.action, self.time);
        status
    }
}

fn check_answer(action: Action, status: Status) {
    if status == Status::YES || status == Status::NO || status.name() == "unknown status" {
        blame(Rule::BadAnswer, format!("answered {status:?}"));
    }
    let must_be_trapped = matches!(action, Action::Render | Action::Describe | Action::DescribeInContext);
    if must_be_trapped && status == Status::DEFAULT {
        blame(Rule::BadAnswer, "answered kOfxStatReplyDefault to an action that has to be trapped");
    }
}

impl Effect {
    pub(crate) fn new(parts: EffectParts) -> Arc<Self> {
        let effect = EFFECTS.create(|handle| Self {
            handle,
            is_instance: parts.is_instance,
            entry: parts.entry,
            session: parts.session,
            properties: parts.properties,
            described: parts.described,
            params: parts.params,
            clips: RwLock::new(parts.clips),
            options: parts.options,
        });
        // Both were made for this effect: the cells are empty.
        let _ = effect.params.effect.set(Arc::downgrade(&effect));
        for clip in effect.clips.read().iter() {
            let _ = clip.effect.set(Arc::downgrade(&effect));
        }
        effect
    }

    /// The effect of a handle, whatever the C type it is passed as.
    pub(crate) fn find<P>(handle: *const P) -> Option<Arc<Self>> {
        EFFECTS.find(handle)
    }

    /// Sends an action to it.
    pub(crate) fn call(&self, call: Call<'_>) -> Status {
        let status = call.send(self.entry, self.handle.opaque(), &self.session);
        if scope::depth() == 0 && std::mem::take(&mut *self.params.open_edits.lock()) > 0 {
            scope::blame_in(&self.session, Rule::NotBalanced, "paramEditBegin without paramEditEnd");
        }
        status
    }

    /// A clip by name.
    pub(crate) fn clip(&self, name: &str) -> Option<Arc<Clip>> {
        self.clips.read().iter().find(|clip| clip.name == name).cloned()
    }

    /// Defines a clip; None where the name is taken.
    pub(crate) fn define_clip(&self, name: &str) -> Option<Arc<Clip>> {
        let mut clips = self.clips.write();
        if clips.iter().any(|clip| clip.name == name) {
            return None;
        }
        let clip = Clip::new(name, crate::schemas::clip_descriptor(name));
        clips.push(clip.clone());
        Some(clip)
    }

    /// First and last frame of the project it is in.
    pub(crate) fn project_range(&self) -> (f64, f64) {
        self.options.range
    }

    /// Whether the plug-in and the clip asked for frames of other times.
    pub(crate) fn has_temporal_access(&self, clip: &Clip) -> bool {
        let own = self.described.get(kOfxImageEffectPropTemporalClipAccess);
        let own = own.is_some_and(|property| property.values == crate::property::Values::Ints(vec![1]));
        own && clip.properties.first::<i32>(kOfxImageEffectPropTemporalClipAccess) != 0
    }

    /// The region of definition where the plug-in says none: the union of the clips that have to be there.
    pub(crate) fn default_region(&self, time: f64) -> Option<Bounds> {
        let clips = self.clips.read().clone();
        let inputs = clips.iter().filter(|clip| !clip.is_output() && !clip.is_optional());
        let regions = inputs.filter_map(|clip| clip.input()?.bounds(time).ok());
        regions.reduce(|a, b| Bounds {
            x1: a.x1.min(b.x1),
            y1: a.y1.min(b.y1),
            x2: a.x2.max(b.x2),
            y2: a.y2.max(b.y2),
        })
    }

    /// Tells the instance that a parameter or clip changed, with the actions round it as hosts send them.
    pub(crate) fn changed(&self, kind: &std::ffi::CStr, name: &str, reason: Reason, time: f64) -> Status {
        let bracket = Schema::new(Access::Read).constant(kOfxPropChangeReason, reason.name()).properties();
        let bracket = PropertySet::new("in arguments", bracket);
        let change = Schema::new(Access::Read)
            .constant(kOfxPropType, kind)
            .texts(kOfxPropName, &[name])
            .constant(kOfxPropChangeReason, reason.name())
            .doubles(kOfxPropTime, &[time])
            .doubles(kOfxImageEffectPropRenderScale, &[1.0, 1.0]);
        let change = PropertySet::new("in arguments", change.properties());
        let call = |action, set| self.call(Call::new(action).reason(reason).time(time).in_args(set));
        let statuses = [
            call(Action::BeginInstanceChanged, &bracket),
            call(Action::InstanceChanged, &change),
            call(Action::EndInstanceChanged, &bracket),
        ];
        statuses.into_iter().find(|status| !status.is_fine()).unwrap_or(statuses[1])
    }
}
