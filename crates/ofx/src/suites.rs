//! The host's suites, fetched once per load and kept as copies.

use std::ffi::{CStr, c_void};

use openfx_sys::{self as sys, OfxHost};

use crate::host::Host;
use crate::{Error, PropertySet, Result};

/// Copies of the suite tables, so that nothing refers to the host's memory but its functions.
pub struct Suites {
    pub(crate) property: sys::OfxPropertySuiteV1,
    pub(crate) effect: sys::OfxImageEffectSuiteV1,
    pub(crate) parameter: sys::OfxParameterSuiteV1,
    pub(crate) progress: Option<ProgressSuite>,
    pub(crate) message: Option<MessageSuite>,
    pub(crate) time_line: Option<sys::OfxTimeLineSuiteV1>,
    pub(crate) multi_thread: Option<sys::OfxMultiThreadSuiteV1>,
    pub(crate) host: Host,
}

/// The newest progress suite a host has.
#[derive(Clone, Copy)]
pub enum ProgressSuite {
    V2(sys::OfxProgressSuiteV2),
    V1(sys::OfxProgressSuiteV1),
}

/// The newest message suite a host has.
#[derive(Clone, Copy)]
pub enum MessageSuite {
    V2(sys::OfxMessageSuiteV2),
    V1(sys::OfxMessageSuiteV1),
}

/// A suite's function, or an error naming the one that is missing.
pub(crate) fn need<F>(function: Option<F>, name: &'static str) -> Result<F> {
    function.ok_or(Error::MissingFeature(name))
}

/// Fails at the first of these functions that is null.
macro_rules! need_all {
    ($suite:expr, $($function:ident)*) => {
        $(need($suite.$function, stringify!($function))?;)*
    };
}

/// None unless all of these functions are there: hosts have claimed suites and left them empty.
macro_rules! whole {
    ($suite:expr, $($function:ident)*) => {
        $suite.filter(|suite| true $(&& suite.$function.is_some())*)
    };
}

impl Suites {
    /// # Errors
    /// A mandatory suite, or one of its functions used here, is missing.
    ///
    /// # Safety
    /// `host` points to the host's structure, alive until the plug-in is unloaded.
    pub unsafe fn fetch(host: *const OfxHost) -> Result<Self> {
        // SAFETY: the caller vouches for the pointer, null is refused.
        let host = unsafe { host.as_ref() }.ok_or(Error::NoHost)?;
        // SAFETY: the names and versions below belong to the types they are read as.
        let suites = unsafe {
            Self {
                property: mandatory(host, sys::kOfxPropertySuite, "property suite")?,
                effect: mandatory(host, sys::kOfxImageEffectSuite, "image effect suite")?,
                parameter: mandatory(host, sys::kOfxParameterSuite, "parameter suite")?,
                progress: fetch_progress(host),
                message: fetch_message(host),
                time_line: fetch(host, sys::kOfxTimeLineSuite, 1),
                multi_thread: fetch(host, sys::kOfxMultiThreadSuite, 1),
                host: Host::default(),
            }
        };
        suites.check()?;
        suites.with_host(host)
    }

    fn check(&self) -> Result<()> {
        need_all!(self.property, propSetPointer propSetString propSetDouble propSetInt);
        need_all!(self.property, propGetPointer propGetString propGetDouble propGetInt propGetDimension);
        need_all!(self.effect, getPropertySet getParamSet clipDefine clipGetHandle clipGetPropertySet);
        need_all!(self.effect, clipGetImage clipReleaseImage clipGetRegionOfDefinition abort);
        need_all!(self.parameter, paramDefine paramGetHandle paramSetGetPropertySet);
        need_all!(self.parameter, paramGetValue paramGetValueAtTime paramSetValue);
        Ok(())
    }

    fn with_host(self, host: &OfxHost) -> Result<Self> {
        // SAFETY: the handle is the host's own and lives as long as the host.
        let description =
            unsafe { PropertySet::new(&self, host.host, "host property set") }.map(Host::read)?;
        Ok(Self { host: description, ..self })
    }
}

/// # Safety
/// `T` is the table of version 1 of the suite.
unsafe fn mandatory<T: Copy>(host: &OfxHost, name: &CStr, title: &'static str) -> Result<T> {
    // SAFETY: passed on.
    unsafe { fetch(host, name, 1) }.ok_or(Error::MissingFeature(title))
}

/// # Safety
/// `T` is the table of this version of the suite.
unsafe fn fetch<T: Copy>(host: &OfxHost, name: &CStr, version: i32) -> Option<T> {
    let fetch_suite = host.fetchSuite?;
    // SAFETY: the host's own handle, a C string, a version.
    let table: *const c_void = unsafe { fetch_suite(host.host, name.as_ptr(), version) };
    // SAFETY: null, or a table that the caller has named rightly.
    unsafe { table.cast::<T>().as_ref() }.copied()
}

fn fetch_progress(host: &OfxHost) -> Option<ProgressSuite> {
    // SAFETY: the type is version 2 of this suite.
    let v2: Option<sys::OfxProgressSuiteV2> = unsafe { fetch(host, sys::kOfxProgressSuite, 2) };
    // SAFETY: the type is version 1 of this suite.
    let v1: Option<sys::OfxProgressSuiteV1> = unsafe { fetch(host, sys::kOfxProgressSuite, 1) };
    whole!(v2, progressStart progressUpdate progressEnd)
        .map(ProgressSuite::V2)
        .or(whole!(v1, progressStart progressUpdate progressEnd).map(ProgressSuite::V1))
}

fn fetch_message(host: &OfxHost) -> Option<MessageSuite> {
    // SAFETY: the type is version 2 of this suite.
    let v2: Option<sys::OfxMessageSuiteV2> = unsafe { fetch(host, sys::kOfxMessageSuite, 2) };
    // SAFETY: the type is version 1 of this suite.
    let v1: Option<sys::OfxMessageSuiteV1> = unsafe { fetch(host, sys::kOfxMessageSuite, 1) };
    whole!(v2, message setPersistentMessage clearPersistentMessage)
        .map(MessageSuite::V2)
        .or(whole!(v1, message).map(MessageSuite::V1))
}

impl std::fmt::Debug for Suites {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Suites of {}", self.host.name)
    }
}
