//! The action a thread is in, and what that action allows.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::sync::{Arc, LazyLock};

use openfx_sys::*;

use crate::property::Access;
use crate::session::{Rule, Session, Violation};

/// The actions this host sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the OpenFX standard documents these names")]
pub enum Action {
    Load,
    Unload,
    Describe,
    DescribeInContext,
    CreateInstance,
    DestroyInstance,
    BeginInstanceChanged,
    InstanceChanged,
    EndInstanceChanged,
    SyncPrivateData,
    PurgeCaches,
    GetClipPreferences,
    GetTimeDomain,
    GetRegionOfDefinition,
    GetRegionsOfInterest,
    GetFramesNeeded,
    IsIdentity,
    BeginSequenceRender,
    Render,
    EndSequenceRender,
}

/// Why an instance changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// Somebody edited a parameter or pressed a button.
    User,
    /// The plug-in set a parameter.
    Plugin,
    /// The time line moved.
    Time,
}

impl Action {
    /// The standard's name.
    #[must_use]
    pub fn name(self) -> &'static CStr {
        match self {
            Self::Load => kOfxActionLoad,
            Self::Unload => kOfxActionUnload,
            Self::Describe => kOfxActionDescribe,
            Self::DescribeInContext => kOfxImageEffectActionDescribeInContext,
            Self::CreateInstance => kOfxActionCreateInstance,
            Self::DestroyInstance => kOfxActionDestroyInstance,
            Self::BeginInstanceChanged => kOfxActionBeginInstanceChanged,
            Self::InstanceChanged => kOfxActionInstanceChanged,
            Self::EndInstanceChanged => kOfxActionEndInstanceChanged,
            Self::SyncPrivateData => kOfxActionSyncPrivateData,
            Self::PurgeCaches => kOfxActionPurgeCaches,
            Self::GetClipPreferences => kOfxImageEffectActionGetClipPreferences,
            Self::GetTimeDomain => kOfxImageEffectActionGetTimeDomain,
            Self::GetRegionOfDefinition => kOfxImageEffectActionGetRegionOfDefinition,
            Self::GetRegionsOfInterest => kOfxImageEffectActionGetRegionsOfInterest,
            Self::GetFramesNeeded => kOfxImageEffectActionGetFramesNeeded,
            Self::IsIdentity => kOfxImageEffectActionIsIdentity,
            Self::BeginSequenceRender => kOfxImageEffectActionBeginSequenceRender,
            Self::Render => kOfxImageEffectActionRender,
            Self::EndSequenceRender => kOfxImageEffectActionEndSequenceRender,
        }
    }

    fn describes(self) -> bool {
        matches!(self, Self::Describe | Self::DescribeInContext)
    }

    /// The actions that hosts send on render threads, many at once.
    fn renders(self) -> bool {
        matches!(
            self,
            Self::GetRegionOfDefinition
                | Self::GetRegionsOfInterest
                | Self::GetFramesNeeded
                | Self::IsIdentity
                | Self::BeginSequenceRender
                | Self::Render
                | Self::EndSequenceRender
        )
    }

    /// The actions in which the standard lets a plug-in set parameters.
    fn sets_params(self) -> bool {
        matches!(
            self,
            Self::CreateInstance
                | Self::BeginInstanceChanged
                | Self::InstanceChanged
                | Self::EndInstanceChanged
                | Self::SyncPrivateData
        )
    }
}

impl Reason {
    /// The standard's name.
    #[must_use]
    pub fn name(self) -> &'static CStr {
        match self {
            Self::User => kOfxChangeUserEdited,
            Self::Plugin => kOfxChangePluginEdited,
            Self::Time => kOfxChangeTime,
        }
    }
}

/// Times announced by GetFramesNeeded, by clip, as closed ranges.
pub type Announced = BTreeMap<String, Vec<(f64, f64)>>;

/// One action on its way; shared with the threads the plug-in spawns through the suite.
pub(crate) struct Scope {
    pub(crate) action: Action,
    pub(crate) reason: Option<Reason>,
    pub(crate) session: Arc<Session>,
    /// Time of the action, in frames.
    pub(crate) time: f64,
    /// What render may fetch.
    pub(crate) announced: Option<Announced>,
    /// What render writes.
    pub(crate) output: Option<Arc<crate::live_image::LiveImage>>,
}

thread_local! {
    static SCOPES: RefCell<Vec<Arc<Scope>>> = const { RefCell::new(Vec::new()) };
}

/// Breaches that no host can be found for.
static ORPHANS: LazyLock<Arc<Session>> = LazyLock::new(|| Session::new(Arc::new(|_| ()), true));

/// Leaves the action when dropped.
pub(crate) struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        SCOPES.with_borrow_mut(|scopes| scopes.pop());
    }
}

/// Enters an action on this thread.
pub(crate) fn enter(scope: Arc<Scope>) -> Entered {
    SCOPES.with_borrow_mut(|scopes| scopes.push(scope));
    Entered
}

/// The action this thread is in.
pub(crate) fn current() -> Option<Arc<Scope>> {
    SCOPES.with_borrow(|scopes| scopes.last().cloned())
}

/// How many actions this thread is in, one in another.
pub(crate) fn depth() -> usize {
    SCOPES.with_borrow(Vec::len)
}

/// The session of the current action, or the one nobody reads.
pub(crate) fn session() -> Arc<Session> {
    current().map_or_else(|| ORPHANS.clone(), |scope| scope.session.clone())
}

/// Records a breach against the current action, in the given session where there is one.
pub(crate) fn blame_in(session: &Session, rule: Rule, text: impl Into<String>) {
    let action = current().map_or("no action".to_owned(), |scope| format!("{:?}", scope.action));
    session.blame(Violation { rule, action, text: text.into() });
}

/// Records a breach against the current action.
pub(crate) fn blame(rule: Rule, text: impl Into<String>) {
    blame_in(&session(), rule, text);
}

/// Whether a plug-in may write a property of this access now.
pub(crate) fn allows(access: Access) -> bool {
    let action = current().map(|scope| scope.action);
    match access {
        Access::Read => false,
        Access::Write => true,
        Access::Describe => action.is_some_and(Action::describes),
        Access::Edit => action.is_some_and(|action| !action.renders()),
    }
}

/// Whether things may be defined now.
pub(crate) fn allows_definitions() -> bool {
    current().is_some_and(|scope| scope.action.describes())
}

/// Whether a plug-in may set parameters now.
pub(crate) fn allows_setting_params() -> bool {
    current().is_some_and(|scope| scope.action.sets_params())
}

/// Whether a plug-in may fetch images now.
pub(crate) fn allows_images(scope: &Scope) -> bool {
    match scope.action {
        Action::Render => true,
        Action::InstanceChanged | Action::EndInstanceChanged => scope.reason == Some(Reason::User),
        _ => false,
    }
}
