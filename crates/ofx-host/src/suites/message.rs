//! The message suites, both versions; the shim formats, this file hears.

use std::ffi::{CStr, c_char, c_int, c_void};

use openfx_sys::*;

use super::{answer, bad_handle, string};
use crate::effect::Effect;
use crate::scope;
use crate::session::{Message, MessageKind};
use crate::status::Status;

unsafe extern "C" {
    fn ofx_host_message_show(
        handle: *mut c_void,
        kind: *const c_char,
        id: *const c_char,
        format: *const c_char,
        ...
    ) -> OfxStatus;
    fn ofx_host_message_persist(
        handle: *mut c_void,
        kind: *const c_char,
        id: *const c_char,
        format: *const c_char,
        ...
    ) -> OfxStatus;
}

pub(super) static SUITE_V1: OfxMessageSuiteV1 = OfxMessageSuiteV1 { message: Some(ofx_host_message_show) };

pub(super) static SUITE_V2: OfxMessageSuiteV2 = OfxMessageSuiteV2 {
    message: Some(ofx_host_message_show),
    setPersistentMessage: Some(ofx_host_message_persist),
    clearPersistentMessage: Some(clear),
};

fn kind_named(name: &CStr) -> Option<MessageKind> {
    let kinds = [
        (kOfxMessageFatal, MessageKind::Fatal),
        (kOfxMessageError, MessageKind::Error),
        (kOfxMessageWarning, MessageKind::Warning),
        (kOfxMessageMessage, MessageKind::Message),
        (kOfxMessageLog, MessageKind::Log),
        (kOfxMessageQuestion, MessageKind::Question),
    ];
    kinds.into_iter().find(|(constant, _)| *constant == name).map(|(_, kind)| kind)
}

/// Takes a message the shim has formatted.
#[unsafe(no_mangle)]
extern "C" fn ofx_host_message(
    handle: *mut c_void,
    persistent: c_int,
    kind: *const c_char,
    _id: *const c_char,
    formatted: *const c_char,
) -> OfxStatus {
    answer(|| {
        let session = match Effect::find(handle) {
            Some(effect) => effect.session.clone(),
            None if handle.is_null() => scope::session(),
            None => return Err(bad_handle("message: an effect")),
        };
        // SAFETY: the standard has the type be a C string.
        let kind = kind_named(unsafe { string(kind, "message: the type") }?).ok_or(Status::BAD_VALUE)?;
        // SAFETY: a C string of the shim's, or null where the plug-in gave no format.
        let text = unsafe { super::text(formatted, "message: the format") }?;
        session.hear(Message { kind, persistent: persistent != 0, text });
        match kind {
            MessageKind::Question if session.answers_yes() => Err(Status::YES),
            MessageKind::Question => Err(Status::NO),
            _ => Ok(()),
        }
    })
}

unsafe extern "C" fn clear(handle: *mut c_void) -> OfxStatus {
    answer(|| Effect::find(handle).map(|_| ()).ok_or_else(|| bad_handle("clearPersistentMessage: an effect")))
}
