//! Messages to the user, in passing or kept on the node.

use std::ffi::{CStr, CString, c_void};

use openfx_sys as sys;

use crate::Status;
use crate::kinds::words;
use crate::props::tolerate;
use crate::suites::{MessageSuite, Suites};

words! {
    /// How a message is meant.
    MessageKind {
        /// Something failed.
        Error = kOfxMessageError,
        /// Something may be wrong.
        Warning = kOfxMessageWarning,
        /// Something to know.
        Message = kOfxMessageMessage,
        /// For the log only.
        Log = kOfxMessageLog,
    }
}

const TEXT: &CStr = c"%s";
const NO_ID: &CStr = c"";

/// Shows a message, in hosts with an interface usually as a dialog; logs it otherwise.
///
/// # Safety
/// `effect` is null or an instance of the host.
pub(crate) unsafe fn show(suites: &Suites, effect: *mut c_void, kind: &CStr, text: &str) -> Status {
    let function = match suites.message {
        Some(MessageSuite::V2(suite)) => suite.message,
        Some(MessageSuite::V1(suite)) => suite.message,
        None => None,
    };
    let Some(function) = function else {
        log::warn!("{text}");
        return Status::FAILED;
    };
    let text = c_text(text);
    // SAFETY: the caller vouches for the instance; the format has one string and gets one, and the
    // host copies what it keeps.
    Status(unsafe { function(effect, kind.as_ptr(), NO_ID.as_ptr(), TEXT.as_ptr(), text.as_ptr()) })
}

/// Puts a message on the node until it is cleared. False where the host cannot.
///
/// # Safety
/// `effect` is an instance of the host.
pub(crate) unsafe fn set_persistent(suites: &Suites, effect: *mut c_void, kind: &CStr, text: &str) -> bool {
    let Some(MessageSuite::V2(suite)) = suites.message else { return false };
    let Some(function) = suite.setPersistentMessage else { return false };
    let text = c_text(text);
    // SAFETY: as in `show`.
    let status = unsafe { function(effect, kind.as_ptr(), NO_ID.as_ptr(), TEXT.as_ptr(), text.as_ptr()) };
    Status(status) == Status::OK
}

/// Takes the message off the node.
///
/// # Safety
/// `effect` is an instance of the host.
pub(crate) unsafe fn clear_persistent(suites: &Suites, effect: *mut c_void) {
    let Some(MessageSuite::V2(suite)) = suites.message else { return };
    if let Some(function) = suite.clearPersistentMessage {
        // SAFETY: the caller vouches for the instance.
        tolerate(Status(unsafe { function(effect) }).check("clearPersistentMessage", "the effect"));
    }
}

/// A question's kind; its answer is the status.
pub(crate) const QUESTION: &CStr = sys::kOfxMessageQuestion;

fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}
