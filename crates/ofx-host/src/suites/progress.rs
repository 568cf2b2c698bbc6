//! The progress suites, both versions.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use openfx_sys::*;

use super::{answer, bad_handle, text};
use crate::effect::Effect;
use crate::scope::{self, blame};
use crate::session::{Rule, Session};
use crate::status::Status;

pub(super) static SUITE_V1: OfxProgressSuiteV1 = OfxProgressSuiteV1 {
    progressStart: Some(start_v1),
    progressUpdate: Some(update),
    progressEnd: Some(end),
};

pub(super) static SUITE_V2: OfxProgressSuiteV2 = OfxProgressSuiteV2 {
    progressStart: Some(start_v2),
    progressUpdate: Some(update),
    progressEnd: Some(end),
};

fn session_of(effect: *mut c_void) -> Result<Arc<Session>, Status> {
    let effect = Effect::find(effect).ok_or_else(|| bad_handle("progress: an effect instance"))?;
    if scope::current().is_none() {
        scope::blame_in(&effect.session, Rule::OutsideAction, "progress on a thread of the plug-in's own");
        return Err(Status::FAILED);
    }
    Ok(effect.session.clone())
}

fn start(effect: *mut c_void, label: *const c_char) -> Result<(), Status> {
    let session = session_of(effect)?;
    // SAFETY: the standard has the label be a C string.
    let label = unsafe { text(label, "progressStart: the label") }?;
    if !session.start_progress(&label) {
        blame(Rule::ProgressUnbalanced, "progress started while one is running");
        return Err(Status::FAILED);
    }
    Ok(())
}

unsafe extern "C" fn start_v1(effect: *mut c_void, label: *const c_char) -> OfxStatus {
    answer(|| start(effect, label))
}

unsafe extern "C" fn start_v2(effect: *mut c_void, label: *const c_char, _id: *const c_char) -> OfxStatus {
    answer(|| start(effect, label))
}

unsafe extern "C" fn update(effect: *mut c_void, progress: f64) -> OfxStatus {
    answer(|| match session_of(effect)?.update_progress(progress) {
        Some(true) => Ok(()),
        Some(false) => Err(Status::NO),
        None => {
            blame(Rule::ProgressUnbalanced, "progress updated without a start");
            Err(Status::FAILED)
        }
    })
}

unsafe extern "C" fn end(effect: *mut c_void) -> OfxStatus {
    answer(|| {
        if session_of(effect)?.end_progress() {
            return Ok(());
        }
        blame(Rule::ProgressUnbalanced, "progress ended without a start");
        Err(Status::FAILED)
    })
}
