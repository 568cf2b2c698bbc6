//! The one funnel through which hosts call: null checks, no panic across C, traces, statuses.

use std::any::Any;
use std::ffi::{c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Instant;

use openfx_sys::{self as sys, OfxHost, OfxImageEffectHandle, OfxPlugin, OfxPropertySetHandle, OfxStatus};
use parking_lot::RwLock;

use crate::instances::{Instances, Record};
use crate::kinds::words;
use crate::suites::Suites;
use crate::{
    Context, ContextDescriptor, Effect, EffectDescriptor, Error, Instance, MessageKind, Plugin, PropertySet,
    Result, Status, effect,
};

mod act;

use act::Asked;

words! {
    /// The actions handled here; the host does its default for others.
    Action {
        /// Fetch the suites.
        Load = kOfxActionLoad,
        /// Forget the suites.
        Unload = kOfxActionUnload,
        /// Say what the effect is.
        Describe = kOfxActionDescribe,
        /// Define clips and parameters.
        DescribeInContext = kOfxImageEffectActionDescribeInContext,
        /// Make an instance.
        CreateInstance = kOfxActionCreateInstance,
        /// Drop an instance.
        DestroyInstance = kOfxActionDestroyInstance,
        /// A parameter or clip changed.
        InstanceChanged = kOfxActionInstanceChanged,
        /// Changes are about to come.
        BeginInstanceChanged = kOfxActionBeginInstanceChanged,
        /// The changes have come.
        EndInstanceChanged = kOfxActionEndInstanceChanged,
        /// Put state into parameters.
        SyncPrivateData = kOfxActionSyncPrivateData,
        /// Free memory.
        PurgeCaches = kOfxActionPurgeCaches,
        /// Render a window.
        Render = kOfxImageEffectActionRender,
        /// Frames are about to be rendered.
        BeginSequenceRender = kOfxImageEffectActionBeginSequenceRender,
        /// The frames have been rendered.
        EndSequenceRender = kOfxImageEffectActionEndSequenceRender,
        /// Is the output an input?
        IsIdentity = kOfxImageEffectActionIsIdentity,
        /// Where has the output pixels?
        RegionOfDefinition = kOfxImageEffectActionGetRegionOfDefinition,
        /// Which regions are needed?
        RegionsOfInterest = kOfxImageEffectActionGetRegionsOfInterest,
        /// Which frames are needed?
        FramesNeeded = kOfxImageEffectActionGetFramesNeeded,
        /// What should clips be?
        ClipPreferences = kOfxImageEffectActionGetClipPreferences,
        /// Which frames has the output?
        TimeDomain = kOfxImageEffectActionGetTimeDomain,
    }
}

impl Action {
    /// The mark under which a message on a node is remembered; never 0.
    fn mark(self) -> usize {
        self as usize + 1
    }
}

/// A plug-in's side of the interface: its host, its suites, its instances. One static per plug-in.
pub struct Entry<P: Plugin> {
    host: AtomicPtr<OfxHost>,
    suites: RwLock<Option<Arc<Suites>>>,
    instances: Instances<P::Instance>,
}

/// The arguments of an action as the host passed them.
#[derive(Clone, Copy)]
struct Call {
    handle: *const c_void,
    in_args: OfxPropertySetHandle,
    out_args: OfxPropertySetHandle,
}

impl Call {
    fn effect(&self) -> OfxImageEffectHandle {
        self.handle.cast_mut().cast()
    }

    fn inputs<'a>(&self, suites: &'a Suites) -> Result<PropertySet<'a>> {
        // SAFETY: a host's arguments live as long as its call, which outlives the suites' borrow.
        unsafe { PropertySet::new(suites, self.in_args, "inArgs") }
    }

    fn outputs<'a>(&self, suites: &'a Suites) -> Result<PropertySet<'a>> {
        // SAFETY: as for the inputs.
        unsafe { PropertySet::new(suites, self.out_args, "outArgs") }
    }
}

impl<P: Plugin> Entry<P> {
    /// An entry that no host has called yet.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is made in statics only")]
    pub const fn new() -> Self {
        Self {
            host: AtomicPtr::new(std::ptr::null_mut()),
            suites: RwLock::new(None),
            instances: Instances::new(),
        }
    }

    /// Remembers the host. Nothing may be called yet.
    pub fn set_host(&self, host: *mut OfxHost) {
        self.host.store(host, Ordering::Release);
    }

    /// Handles an action.
    ///
    /// # Safety
    /// The arguments are those of a host that keeps to the standard: null or valid during the call.
    pub unsafe fn main(
        &self,
        action: *const c_char,
        handle: *const c_void,
        in_args: OfxPropertySetHandle,
        out_args: OfxPropertySetHandle,
    ) -> OfxStatus {
        let call = Call { handle, in_args, out_args };
        // SAFETY: the caller vouches for the action's name.
        let result = guarded(|| match unsafe { effect::word(action) } {
            Some(name) => Ok(self.traced(&name.to_string_lossy(), call)),
            None => Err(Error::NullHandle("action")),
        });
        result.unwrap_or_else(|error| error.status()).0
    }

    fn traced(&self, name: &str, call: Call) -> Status {
        let start = Instant::now();
        log::trace!("{name} {:p} starts", call.handle);
        let result = match Action::from_word(name) {
            Some(action) => guarded(|| self.dispatch(action, call)),
            None => Ok(Status::REPLY_DEFAULT),
        };
        let status = result.unwrap_or_else(|error| {
            log::error!("{name}: {error}");
            error.status()
        });
        log::trace!("{name} {:p} stops with {status} after {:?}", call.handle, start.elapsed());
        status
    }

    fn dispatch(&self, action: Action, call: Call) -> Result<Status> {
        match action {
            Action::Load => self.load(),
            Action::Unload => Ok(self.unload()),
            Action::Describe => self.describe(call),
            Action::DescribeInContext => self.describe_in_context(call),
            Action::CreateInstance => self.create(call),
            Action::DestroyInstance => self.destroy(call),
            action => self.on_instance(action, call),
        }
    }

    /// Fetches the suites anew each time: hosts load twice, and with another host's structure.
    fn load(&self) -> Result<Status> {
        P::load(&self.fetch()?.host)?;
        Ok(Status::OK)
    }

    /// Forgets the suites only: hosts have unloaded one user of a plug-in while another went on.
    fn unload(&self) -> Status {
        P::unload();
        *self.suites.write() = None;
        Status::OK
    }

    fn fetch(&self) -> Result<Arc<Suites>> {
        // SAFETY: setHost's pointer is valid until the plug-in is unloaded; null is refused.
        let suites = Arc::new(unsafe { Suites::fetch(self.host.load(Ordering::Acquire)) }?);
        *self.suites.write() = Some(Arc::clone(&suites));
        Ok(suites)
    }

    /// The suites, without a lock held while they are used.
    fn suites(&self) -> Result<Arc<Suites>> {
        let known = self.suites.read().clone();
        known.map_or_else(|| self.fetch(), Ok)
    }

    fn describe(&self, call: Call) -> Result<Status> {
        let suites = self.suites()?;
        // SAFETY: the host's descriptor lives as long as the call.
        let props = unsafe { effect::properties(&suites, call.effect()) }?;
        P::describe(&suites.host, &EffectDescriptor::new(props))?;
        Ok(Status::OK)
    }

    fn describe_in_context(&self, call: Call) -> Result<Status> {
        let suites = self.suites()?;
        let word = call.inputs(&suites)?.string(sys::kOfxImageEffectPropContext, 0)?;
        let context =
            Context::from_word(&word).ok_or_else(|| Error::Failed(format!("{word} is no known context")))?;
        if call.handle.is_null() {
            return Err(Error::NullHandle("effect"));
        }
        // SAFETY: the host's descriptor lives as long as the call.
        let descriptor = unsafe { ContextDescriptor::new(&suites, call.effect()) }?;
        P::describe_in_context(&suites.host, context, &descriptor)?;
        Ok(Status::OK)
    }

    fn create(&self, call: Call) -> Result<Status> {
        let suites = self.suites()?;
        // SAFETY: the host's instance lives as long as the call.
        let effect = unsafe { Effect::new(&suites, call.effect()) }?;
        match guarded(|| P::create_instance(&effect)) {
            Ok(instance) => drop(self.instances.add(call.handle as usize, instance)),
            Err(error) => {
                show(&effect, Action::CreateInstance, &error);
                return Err(error);
            }
        }
        Ok(Status::OK)
    }

    /// OK even for an unknown instance: there is nothing a host could do about it.
    fn destroy(&self, call: Call) -> Result<Status> {
        let Some(record) = self.instances.remove(call.handle as usize) else { return Ok(Status::OK) };
        let suites = self.suites()?;
        // SAFETY: the host's instance lives as long as the call.
        if let Ok(effect) = unsafe { Effect::new(&suites, call.effect()) } {
            record.instance.destroy(&effect);
        }
        Ok(Status::OK)
    }

    fn on_instance(&self, action: Action, call: Call) -> Result<Status> {
        if call.handle.is_null() {
            return Err(Error::NullHandle("effect"));
        }
        let Some(record) = self.instances.find(call.handle as usize) else { return unknown(action) };
        let suites = self.suites()?;
        // SAFETY: the host's instance lives as long as the call.
        let effect = unsafe { Effect::new(&suites, call.effect()) }?;
        let result =
            guarded(|| Asked { record: &record, effect: &effect, suites: &suites, call }.act(action));
        tell(action, &effect, &record, &result);
        result
    }
}

/// Parameters that CreateInstance itself sets are reported before the instance is known.
fn unknown(action: Action) -> Result<Status> {
    match action {
        Action::Render | Action::IsIdentity => Err(Error::UnknownInstance),
        _ => Ok(Status::REPLY_DEFAULT),
    }
}

/// Keeps the message on the node true: set when an action fails, taken away when the same action
/// succeeds.
fn tell<I>(action: Action, effect: &Effect<'_>, record: &Record<I>, result: &Result<Status>) {
    match result {
        Err(error) if show(effect, action, error) => {
            record.message_of.store(action.mark(), Ordering::Relaxed)
        }
        Err(_) => {}
        Ok(_) => {
            let (mark, none) = (action.mark(), 0);
            if record.message_of.compare_exchange(mark, none, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                effect.clear_persistent();
            }
        }
    }
}

/// Shows an error; true if it stands on the node. Where a host has no such messages a dialog has to
/// do, but never from a render: that would be one for each frame.
fn show(effect: &Effect<'_>, action: Action, error: &Error) -> bool {
    if error.is_silent() {
        return false;
    }
    let text = error.to_string();
    let kept = effect.set_persistent(MessageKind::Error, &text);
    if !kept && matches!(action, Action::InstanceChanged | Action::CreateInstance) {
        effect.message(MessageKind::Error, &text);
    }
    kept
}

/// Runs code of the plug-in; a panic becomes an error, since it would kill the host.
fn guarded<T>(code: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(code)).unwrap_or_else(|payload| Err(Error::Panic(panic_text(payload))))
}

/// The payload is not dropped: it is the plug-in's, and could panic once more.
fn panic_text(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    std::mem::forget(payload);
    text.unwrap_or_else(|| "a panic without a message".to_owned())
}

/// The structure that OfxGetPlugin hands out.
#[repr(transparent)]
pub struct PluginTable(OfxPlugin);

// SAFETY: it is never written, and what it points to is static.
unsafe impl Sync for PluginTable {}

impl PluginTable {
    /// The table of a plug-in with these two functions.
    #[must_use]
    pub const fn new<P: Plugin>(
        set_host: unsafe extern "C" fn(*mut OfxHost),
        main_entry: unsafe extern "C" fn(
            *const c_char,
            *const c_void,
            OfxPropertySetHandle,
            OfxPropertySetHandle,
        ) -> OfxStatus,
    ) -> Self {
        Self(OfxPlugin {
            pluginApi: sys::kOfxImageEffectPluginApi.as_ptr(),
            apiVersion: sys::kOfxImageEffectPluginApiVersion,
            pluginIdentifier: P::IDENTIFIER.as_ptr(),
            pluginVersionMajor: P::VERSION.0,
            pluginVersionMinor: P::VERSION.1,
            setHost: Some(set_host),
            mainEntry: Some(main_entry),
        })
    }

    /// The only plug-in, or null.
    #[must_use]
    pub fn at(&'static self, index: c_int) -> *mut OfxPlugin {
        if index == 0 { (&raw const self.0).cast_mut() } else { std::ptr::null_mut() }
    }
}
