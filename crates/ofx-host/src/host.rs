//! The host as plug-ins see it.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::sync::{Arc, Weak};

use openfx_sys::{OfxHost, OfxPropertySetHandle};
use parking_lot::Mutex;

use crate::property::PropertySet;
use crate::schemas;
use crate::session::{Listener, Session};
use crate::suites;

/// What a host is like.
#[derive(Clone)]
pub struct HostOptions {
    /// Says it has no user interface.
    pub background: bool,
    /// Answers questions with yes.
    pub answer_yes: bool,
    /// Suites it says it does not have, by name.
    pub without_suites: Vec<String>,
    /// Hears messages, progress and breaches as they come.
    pub listener: Listener,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self { background: true, answer_yes: true, without_suites: Vec::new(), listener: Arc::new(|_| ()) }
    }
}

/// A host.
#[derive(Clone)]
pub struct Host {
    pub(crate) state: Arc<HostState>,
}

pub(crate) struct HostState {
    pub(crate) session: Arc<Session>,
    options: HostOptions,
    properties: Arc<PropertySet>,
    /// Never freed: plug-ins keep the pointer for as long as they please.
    ofx: &'static SharedHost,
}

struct SharedHost(OfxHost);
// SAFETY: an opaque number and a function pointer, never written after it is made.
unsafe impl Sync for SharedHost {}
// SAFETY: as above.
unsafe impl Send for SharedHost {}

static HOSTS: Mutex<BTreeMap<usize, Weak<HostState>>> = Mutex::new(BTreeMap::new());

impl Host {
    /// A host with a record of its own.
    #[must_use]
    pub fn new(options: HostOptions) -> Self {
        let properties = PropertySet::new("host", schemas::host(&options));
        let handle = properties.handle.pointer();
        let ofx = OfxHost { host: handle, fetchSuite: Some(suites::fetch_suite) };
        let state = Arc::new(HostState {
            session: Session::new(options.listener.clone(), options.answer_yes),
            options,
            properties,
            ofx: Box::leak(Box::new(SharedHost(ofx))),
        });
        HOSTS.lock().insert(state.properties.handle.address(), Arc::downgrade(&state));
        Self { state }
    }

    /// What it heard and holds against its plug-ins.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.state.session
    }
}

impl HostState {
    /// The host of a handle.
    pub(crate) fn find(handle: OfxPropertySetHandle) -> Option<Arc<Self>> {
        HOSTS.lock().get(&handle.addr())?.upgrade()
    }

    /// Whether it pretends not to have a suite.
    pub(crate) fn lacks(&self, suite: &CStr) -> bool {
        self.options.without_suites.iter().any(|name| name.as_bytes() == suite.to_bytes())
    }

    /// Whether somebody sits in front of it.
    pub(crate) fn is_interactive(&self) -> bool {
        !self.options.background
    }

    /// The struct plug-ins are given; they may not write to it.
    pub(crate) fn ofx(&self) -> *mut OfxHost {
        std::ptr::from_ref(&self.ofx.0).cast_mut()
    }
}

impl Drop for HostState {
    fn drop(&mut self) {
        HOSTS.lock().remove(&self.properties.handle.address());
    }
}
