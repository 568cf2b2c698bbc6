//! The time line suite.

use std::ffi::c_void;
use std::sync::Arc;

use openfx_sys::*;

use super::{answer, bad_handle, put};
use crate::effect::Effect;
use crate::status::Status;

pub(super) static SUITE: OfxTimeLineSuiteV1 =
    OfxTimeLineSuiteV1 { getTime: Some(time), gotoTime: Some(go_to), getTimeBounds: Some(time_bounds) };

fn find(instance: *mut c_void) -> Result<Arc<Effect>, Status> {
    Effect::find(instance).ok_or_else(|| bad_handle("time line: an effect instance"))
}

unsafe extern "C" fn time(instance: *mut c_void, place: *mut f64) -> OfxStatus {
    answer(|| {
        let now = find(instance)?.session.time();
        // SAFETY: the standard has the plug-in give a place for the time.
        unsafe { put(place, now, "getTime: a place for the time") }
    })
}

unsafe extern "C" fn go_to(instance: *mut c_void, time: f64) -> OfxStatus {
    answer(|| {
        find(instance)?.session.set_time(time);
        Ok(())
    })
}

unsafe extern "C" fn time_bounds(instance: *mut c_void, first: *mut f64, last: *mut f64) -> OfxStatus {
    answer(|| {
        let (start, end) = find(instance)?.project_range();
        // SAFETY: the standard has the plug-in give places for both times.
        unsafe { put(first, start, "getTimeBounds: a place for the first time") }?;
        // SAFETY: as above.
        unsafe { put(last, end, "getTimeBounds: a place for the last time") }
    })
}
