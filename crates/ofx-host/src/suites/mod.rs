//! The suites handed to plug-ins, and the funnel every suite function goes through.

mod effect;
mod memory;
mod message;
mod parameter;
mod progress;
mod property;
mod thread;
mod timeline;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use openfx_sys::*;

use crate::host::HostState;
use crate::property::PropertySet;
use crate::scope::{blame, session};
use crate::session::Rule;
use crate::status::Status;

/// What the body of a suite function comes to.
pub(crate) type Answer = Result<(), Status>;

/// The one way out of suite functions: no panic crosses the C ABI.
fn answer(body: impl FnOnce() -> Answer) -> OfxStatus {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => Status::OK.0,
        Ok(Err(status)) => status.0,
        Err(_) => {
            session().note("the host itself panicked in a suite function".to_owned());
            Status::FATAL.0
        }
    }
}

/// Blames a bad handle and gives its status.
fn bad_handle(what: &str) -> Status {
    blame(Rule::BadHandle, format!("{what}: no such handle"));
    Status::BAD_HANDLE
}

fn null_pointer(what: &str) -> Status {
    blame(Rule::NullPointer, what);
    Status::BAD_VALUE
}

/// A string of the plug-in's.
///
/// # Safety
/// Null, or a C string that lives as long as the result is used.
unsafe fn string<'a>(pointer: *const c_char, what: &str) -> Result<&'a CStr, Status> {
    if pointer.is_null() {
        return Err(null_pointer(what));
    }
    // SAFETY: not null, so by the caller's promise a C string.
    Ok(unsafe { CStr::from_ptr(pointer) })
}

/// A string of the plug-in's as text, bytes that are no UTF-8 replaced.
///
/// # Safety
/// As for `string`.
unsafe fn text(pointer: *const c_char, what: &str) -> Result<String, Status> {
    // SAFETY: the caller's promise.
    Ok(unsafe { string(pointer, what) }?.to_string_lossy().into_owned())
}

/// Writes a result where the plug-in wants it.
///
/// # Safety
/// Null, or valid for writing one value.
unsafe fn put<T>(place: *mut T, value: T, what: &str) -> Answer {
    if place.is_null() {
        return Err(null_pointer(what));
    }
    // SAFETY: not null, so by the caller's promise writable.
    unsafe { place.write(value) };
    Ok(())
}

/// Writes a property set's handle where the plug-in wants it; hosts allow null there.
///
/// # Safety
/// Null, or valid for writing one handle.
unsafe fn put_set(place: *mut OfxPropertySetHandle, set: &Arc<PropertySet>) {
    if !place.is_null() {
        // SAFETY: not null, so by the caller's promise writable.
        unsafe { place.write(set.handle.pointer()) };
    }
}

fn address<T: Sync>(suite: &'static T) -> *const c_void {
    std::ptr::from_ref(suite).cast()
}

/// The host's `fetchSuite`.
///
/// # Safety
/// As the standard says: the name is a C string.
pub(crate) unsafe extern "C" fn fetch_suite(
    host: OfxPropertySetHandle,
    name: *const c_char,
    version: c_int,
) -> *const c_void {
    let mut found = std::ptr::null();
    let status = answer(|| {
        let host = HostState::find(host).ok_or_else(|| bad_handle("fetchSuite"))?;
        // SAFETY: the standard has it a C string.
        let name = unsafe { string(name, "fetchSuite: suite name") }?;
        found = if host.lacks(name) { std::ptr::null() } else { suite(name, version) };
        Ok(())
    });
    log::trace!("fetchSuite answers {}", Status(status));
    found
}

fn suite(name: &CStr, version: c_int) -> *const c_void {
    match version {
        1 if name == kOfxPropertySuite => address(&property::SUITE),
        1 if name == kOfxImageEffectSuite => address(&effect::SUITE),
        1 if name == kOfxParameterSuite => address(&parameter::SUITE),
        1 if name == kOfxMemorySuite => address(&memory::SUITE),
        1 if name == kOfxMultiThreadSuite => address(&thread::SUITE),
        1 if name == kOfxMessageSuite => address(&message::SUITE_V1),
        2 if name == kOfxMessageSuite => address(&message::SUITE_V2),
        1 if name == kOfxProgressSuite => address(&progress::SUITE_V1),
        2 if name == kOfxProgressSuite => address(&progress::SUITE_V2),
        1 if name == kOfxTimeLineSuite => address(&timeline::SUITE),
        _ => std::ptr::null(),
    }
}
