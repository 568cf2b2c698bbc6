//! Instances: a node of a plug-in, with frames connected and parameters to set.

use std::collections::BTreeMap;
use std::sync::Arc;

use openfx_sys::*;

use crate::buffer::RowOrder;
use crate::creation::{build, check_depth, check_mandatory_clips, context_of};
use crate::effect::{Call, Effect};
use crate::image::Depth;
use crate::param::{Key, Param, ParamValue};
use crate::param_kind::ParamKind;
use crate::plugin::{Loaded, Plugin};
use crate::preferences;
use crate::scope::{Action, Reason};
use crate::session::Session;
use crate::source::Input;
use crate::status::Status;

/// The project an instance lives in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Project {
    /// Pixels across and up; None takes the size of the first connected clip's first frame.
    pub size: Option<(usize, usize)>,
    /// The place of its lower left corner.
    pub offset: (i32, i32),
    /// First and last frame.
    pub range: (i64, i64),
    /// Frames a second.
    pub frame_rate: f64,
}

/// A parameter's state, to be saved.
#[derive(Clone, Debug, PartialEq)]
pub enum SavedParam {
    /// One value for all times.
    Value(ParamValue),
    /// Key frames.
    Keys(Vec<Key>),
}

/// What an instance is created with.
#[derive(Clone)]
pub struct InstanceOptions {
    /// The context, by the standard's name or its last word (`General`).
    pub context: String,
    /// The depth of all clips.
    pub depth: Depth,
    /// How rows lie in memory.
    pub rows: RowOrder,
    /// Where it lives.
    pub project: Project,
    /// What is connected, by clip.
    pub inputs: BTreeMap<String, Input>,
    /// Parameters as a saved project holds them, set before the instance is created.
    pub params: BTreeMap<String, SavedParam>,
}

impl Default for InstanceOptions {
    fn default() -> Self {
        Self {
            context: "General".to_owned(),
            depth: Depth::Float,
            rows: RowOrder::BottomUp,
            project: Project { size: None, offset: (0, 0), range: (1, 1), frame_rate: 24.0 },
            inputs: BTreeMap::new(),
            params: BTreeMap::new(),
        }
    }
}

/// Why something with an instance failed.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// The plug-in does not do that.
    #[error("{0}")]
    Unfit(String),
    /// There is no such clip.
    #[error("no clip {name}, there are: {}", .there.join(", "))]
    NoClip {
        /// The name asked for.
        name: String,
        /// Those there are.
        there: Vec<String>,
    },
    /// There is no such parameter.
    #[error("no parameter {name}, there are: {}", .there.join(", "))]
    NoParam {
        /// The name asked for.
        name: String,
        /// Those there are.
        there: Vec<String>,
    },
    /// A value does not fit a parameter.
    #[error("parameter {name}: {reason}")]
    BadValue {
        /// The parameter.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// An action failed.
    #[error("{action:?} answered {status}{}", .time.map(|time| format!(" at {time}")).unwrap_or_default())]
    Refused {
        /// The action.
        action: Action,
        /// Its time, in frames, where it has one.
        time: Option<f64>,
        /// The answer.
        status: Status,
    },
    /// The host has no frame to give.
    #[error("clip {clip}: {source}")]
    Source {
        /// The clip.
        clip: String,
        /// Why.
        source: crate::source::SourceError,
    },
    /// The caller's handler of frames failed.
    #[error("frame {frame}: {reason}")]
    Handler {
        /// The frame.
        frame: i64,
        /// What it says.
        reason: String,
    },
}

impl InstanceError {
    /// The status of the action that failed, where one did.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        if let Self::Refused { status, .. } = self { Some(*status) } else { None }
    }
}

/// What a parameter is, for those who set it.
#[derive(Clone, Debug)]
pub struct ParamInfo {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: ParamKind,
    /// The labels of a choice's options.
    pub options: Vec<String>,
    /// The values behind a string choice's options.
    pub enums: Vec<String>,
}

impl Plugin {
    /// The parameters it describes in a context.
    ///
    /// # Errors
    /// Where it does not support the context.
    pub fn params_of(&self, context: &str) -> Result<Vec<ParamInfo>, InstanceError> {
        let (_, effect) = context_of(&self.inner, context)?;
        Ok(effect.params.params().iter().map(|param| info(param)).collect())
    }
}

fn info(param: &Param) -> ParamInfo {
    ParamInfo {
        name: param.name.clone(),
        kind: param.kind,
        options: param.properties.texts(kOfxParamPropChoiceOption),
        enums: param.properties.texts(kOfxParamPropChoiceEnum),
    }
}

/// A node.
pub struct Instance {
    pub(crate) effect: Arc<Effect>,
    plugin: Arc<Loaded>,
    destroyed: bool,
}

impl Instance {
    /// Creates a node with its clips connected and its parameters set.
    ///
    /// # Errors
    /// Where the plug-in does not support the context, depth or clips, or refuses to be created.
    pub fn create(plugin: &Plugin, options: InstanceOptions) -> Result<Self, InstanceError> {
        let (context, descriptor) = context_of(&plugin.inner, &options.context)?;
        check_depth(&plugin.inner, options.depth)?;
        let effect = build(&plugin.inner, &context, descriptor, &options)?;
        for (name, input) in options.inputs {
            connect(&effect, &name, Some(input))?;
        }
        check_mandatory_clips(&effect)?;
        for (name, saved) in options.params {
            restore(&effect, &name, saved)?;
        }
        let status = effect.call(Call::new(Action::CreateInstance));
        accept(Action::CreateInstance, None, status)?;
        let instance = Self { effect, plugin: plugin.inner.clone(), destroyed: false };
        preferences::update(&instance.effect)?;
        Ok(instance)
    }

    /// What the host heard.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.effect.session
    }

    /// Connects or disconnects a clip and tells the plug-in.
    ///
    /// # Errors
    /// Where there is no such clip, or the plug-in does not take the components or refuses.
    pub fn connect(&self, clip: &str, input: Option<Input>) -> Result<Status, InstanceError> {
        connect(&self.effect, clip, input)?;
        let time = self.session().time();
        let status = self.effect.changed(kOfxTypeClip, clip, Reason::User, time);
        preferences::update(&self.effect)?;
        accept(Action::InstanceChanged, Some(time), status)?;
        Ok(status)
    }

    /// Sets a parameter for all times and tells the plug-in, as if somebody edited it.
    ///
    /// # Errors
    /// Where there is no such parameter, the value does not fit, or the plug-in refuses.
    pub fn set(&self, name: &str, value: ParamValue) -> Result<Status, InstanceError> {
        self.set_saved(name, SavedParam::Value(value), Reason::User)
    }

    /// Sets a parameter's value or key frames and tells the plug-in, for the reason given.
    ///
    /// # Errors
    /// As for `set`.
    pub fn set_saved(&self, name: &str, saved: SavedParam, reason: Reason) -> Result<Status, InstanceError> {
        restore(&self.effect, name, saved)?;
        self.tell(name, reason)
    }

    /// Presses a button.
    ///
    /// # Errors
    /// Where there is no such button, or the plug-in answers with an error.
    pub fn press(&self, name: &str) -> Result<Status, InstanceError> {
        if find(&self.effect, name)?.kind != ParamKind::PushButton {
            let reason = "is not a button".to_owned();
            return Err(InstanceError::BadValue { name: name.to_owned(), reason });
        }
        self.tell(name, Reason::User)
    }

    fn tell(&self, name: &str, reason: Reason) -> Result<Status, InstanceError> {
        let time = self.session().time();
        let status = self.effect.changed(kOfxTypeParameter, name, reason, time);
        accept(Action::InstanceChanged, Some(time), status)?;
        preferences::update(&self.effect)?;
        Ok(status)
    }

    /// A parameter's value at the time line's time.
    ///
    /// # Errors
    /// Where there is no such parameter.
    pub fn value(&self, name: &str) -> Result<ParamValue, InstanceError> {
        Ok(find(&self.effect, name)?.value_at(self.session().time()))
    }

    /// A boolean or text property of a parameter as it now stands, such as whether it is enabled.
    ///
    /// # Errors
    /// Where there is no such parameter.
    pub fn flag(&self, name: &str, property: &std::ffi::CStr) -> Result<bool, InstanceError> {
        Ok(find(&self.effect, name)?.flag(property))
    }

    /// What a parameter is.
    ///
    /// # Errors
    /// Where there is no such parameter.
    pub fn param(&self, name: &str) -> Result<ParamInfo, InstanceError> {
        find(&self.effect, name).map(|param| info(&param))
    }

    /// Width and height of the project it lives in, in pixels.
    #[must_use]
    pub fn format(&self) -> Option<(usize, usize)> {
        let size = self.effect.properties.values::<f64>(kOfxImageEffectPropProjectSize).ok()?;
        Some((*size.first()? as usize, *size.get(1)? as usize))
    }

    /// The names of all parameters in their order.
    #[must_use]
    pub fn params(&self) -> Vec<String> {
        self.effect.params.params().iter().map(|param| param.name.clone()).collect()
    }

    /// The names of all clips in their order.
    #[must_use]
    pub fn clips(&self) -> Vec<String> {
        self.effect.clips.read().iter().map(|clip| clip.name.clone()).collect()
    }

    /// The parameters a project file would hold, after the plug-in was told to bring them up to date.
    ///
    /// # Errors
    /// Where the plug-in refuses that.
    pub fn saved(&self) -> Result<BTreeMap<String, SavedParam>, InstanceError> {
        let status = self.effect.call(Call::new(Action::SyncPrivateData));
        accept(Action::SyncPrivateData, None, status)?;
        let params = self.effect.params.params();
        let kept = params.iter().filter(|param| param.flag(kOfxParamPropPersistant));
        Ok(kept.map(|param| (param.name.clone(), save(param))).collect())
    }

    /// Destroys the node.
    ///
    /// # Errors
    /// Where the plug-in refuses; the node is gone all the same.
    pub fn destroy(mut self) -> Result<(), InstanceError> {
        self.destroyed = true;
        accept(Action::DestroyInstance, None, self.effect.call(Call::new(Action::DestroyInstance)))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if self.destroyed {
            return;
        }
        let status = self.effect.call(Call::new(Action::DestroyInstance));
        log::debug!("instance of {} dropped, DestroyInstance answered {status}", self.plugin.id);
    }
}

fn connect(effect: &Effect, name: &str, input: Option<Input>) -> Result<(), InstanceError> {
    let there = || effect.clips.read().iter().map(|clip| clip.name.clone()).collect();
    let clip = effect.clip(name).filter(|clip| !clip.is_output());
    let clip = clip.ok_or_else(|| InstanceError::NoClip { name: name.to_owned(), there: there() })?;
    clip.connect(input, effect.options.depth).map_err(InstanceError::Unfit)
}

fn find(effect: &Effect, name: &str) -> Result<Arc<Param>, InstanceError> {
    let there = || effect.params.params().iter().map(|param| param.name.clone()).collect();
    let param = effect.params.param(name);
    param.ok_or_else(|| InstanceError::NoParam { name: name.to_owned(), there: there() })
}

fn restore(effect: &Effect, name: &str, saved: SavedParam) -> Result<(), InstanceError> {
    let param = find(effect, name)?;
    let check = |value: &ParamValue| match param.objection(value) {
        Some(reason) => Err(InstanceError::BadValue { name: name.to_owned(), reason }),
        None => Ok(()),
    };
    match saved {
        SavedParam::Value(value) => {
            check(&value)?;
            param.set(value);
        }
        SavedParam::Keys(keys) => {
            keys.iter().try_for_each(|(_, value)| check(value))?;
            param.remove_keys(|_| true);
            keys.into_iter().for_each(|(time, value)| param.set_at(time, value));
        }
    }
    Ok(())
}

fn save(param: &Param) -> SavedParam {
    let keys = param.keys();
    if keys.is_empty() { SavedParam::Value(param.value_at(0.0)) } else { SavedParam::Keys(keys) }
}

/// An error where an action answered with one.
pub(crate) fn accept(action: Action, time: Option<f64>, status: Status) -> Result<(), InstanceError> {
    if status.is_fine() { Ok(()) } else { Err(InstanceError::Refused { action, time, status }) }
}
