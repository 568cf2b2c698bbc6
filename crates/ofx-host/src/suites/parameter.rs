//! The parameter suite; its C-variadic functions are in the shim, which calls back here.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::Arc;

use openfx_sys::*;

use super::{Answer, answer, bad_handle, null_pointer, put, put_set, string, text};
use crate::param::{Param, ParamSet, ParamValue};
use crate::param_kind::{ParamKind, Shape};
use crate::scope::{self, Action, Reason, blame};
use crate::session::Rule;
use crate::status::Status;

unsafe extern "C" {
    fn ofx_host_param_get_value(param: OfxParamHandle, ...) -> OfxStatus;
    fn ofx_host_param_get_value_at_time(param: OfxParamHandle, time: OfxTime, ...) -> OfxStatus;
    fn ofx_host_param_set_value(param: OfxParamHandle, ...) -> OfxStatus;
    fn ofx_host_param_set_value_at_time(param: OfxParamHandle, time: OfxTime, ...) -> OfxStatus;
    fn ofx_host_param_get_derivative(param: OfxParamHandle, time: OfxTime, ...) -> OfxStatus;
    fn ofx_host_param_get_integral(param: OfxParamHandle, from: OfxTime, to: OfxTime, ...) -> OfxStatus;
}

pub(super) static SUITE: OfxParameterSuiteV1 = OfxParameterSuiteV1 {
    paramDefine: Some(define),
    paramGetHandle: Some(param_handle),
    paramSetGetPropertySet: Some(set_property_set),
    paramGetPropertySet: Some(property_set),
    paramGetValue: Some(ofx_host_param_get_value),
    paramGetValueAtTime: Some(ofx_host_param_get_value_at_time),
    paramGetDerivative: Some(ofx_host_param_get_derivative),
    paramGetIntegral: Some(ofx_host_param_get_integral),
    paramSetValue: Some(ofx_host_param_set_value),
    paramSetValueAtTime: Some(ofx_host_param_set_value_at_time),
    paramGetNumKeys: Some(num_keys),
    paramGetKeyTime: Some(key_time),
    paramGetKeyIndex: Some(key_index),
    paramDeleteKey: Some(delete_key),
    paramDeleteAllKeys: Some(delete_all_keys),
    paramCopy: Some(copy),
    paramEditBegin: Some(edit_begin),
    paramEditEnd: Some(edit_end),
};

/// The most actions that may set each other off before the host stops passing changes on.
const DEEPEST_CHANGE: usize = 24;

fn find_set(handle: OfxParamSetHandle) -> Result<Arc<ParamSet>, Status> {
    ParamSet::find(handle).ok_or_else(|| bad_handle("a parameter set"))
}

fn find_param(handle: OfxParamHandle) -> Result<Arc<Param>, Status> {
    Param::find(handle).ok_or_else(|| bad_handle("a parameter"))
}

/// A parameter that has a value: an instance's, asked for within an action.
fn find_valued(handle: OfxParamHandle) -> Result<Arc<Param>, Status> {
    let param = find_param(handle)?;
    if param.owner.is_none() {
        blame(Rule::BadHandle, format!("the value of {} on a descriptor", param.name));
        return Err(Status::BAD_HANDLE);
    }
    if scope::current().is_none() {
        let text = format!("parameter {} on a thread of the plug-in's own", param.name);
        param.effect().inspect(|effect| scope::blame_in(&effect.session, Rule::OutsideAction, text));
        return Err(Status::FAILED);
    }
    Ok(param)
}

/// A parameter that may be written now.
fn find_writable(handle: OfxParamHandle) -> Result<Arc<Param>, Status> {
    let param = find_valued(handle)?;
    if !scope::allows_setting_params() {
        blame(Rule::ParamSetOutOfTurn, format!("parameter {} was set", param.name));
        return Err(Status::FAILED);
    }
    Ok(param)
}

unsafe extern "C" fn define(
    set: OfxParamSetHandle,
    kind: *const c_char,
    name: *const c_char,
    properties: *mut OfxPropertySetHandle,
) -> OfxStatus {
    answer(|| {
        let set = find_set(set)?;
        // SAFETY: the standard has both be C strings.
        let (kind, name) =
            unsafe { (string(kind, "paramDefine: the type")?, text(name, "paramDefine: the name")?) };
        if !scope::allows_definitions() {
            blame(Rule::DefineOutOfTurn, format!("parameter {name} defined outside of describe"));
            return Err(Status::FAILED);
        }
        let known = ParamKind::named(kind).ok_or(Status::UNSUPPORTED)?;
        let param = set.define(known, &name).ok_or(Status::EXISTS)?;
        // SAFETY: null or a place for a handle.
        unsafe { put_set(properties, &param.properties) };
        Ok(())
    })
}

unsafe extern "C" fn param_handle(
    set: OfxParamSetHandle,
    name: *const c_char,
    place: *mut OfxParamHandle,
    properties: *mut OfxPropertySetHandle,
) -> OfxStatus {
    answer(|| {
        let set = find_set(set)?;
        // SAFETY: the standard has the name be a C string.
        let name = unsafe { text(name, "paramGetHandle: the name") }?;
        let param = set.param(&name).ok_or(Status::UNKNOWN)?;
        // SAFETY: null or a place for a handle.
        unsafe { put_set(properties, &param.properties) };
        // SAFETY: the standard has the plug-in give a place for a handle.
        unsafe { put(place, param.handle.pointer(), "paramGetHandle: a place for the parameter") }
    })
}

unsafe extern "C" fn set_property_set(set: OfxParamSetHandle, place: *mut OfxPropertySetHandle) -> OfxStatus {
    answer(|| {
        let set = find_set(set)?;
        // SAFETY: the standard has the plug-in give a place for a handle.
        unsafe { put(place, set.properties.handle.pointer(), "a place for the parameter set's properties") }
    })
}

unsafe extern "C" fn property_set(param: OfxParamHandle, place: *mut OfxPropertySetHandle) -> OfxStatus {
    answer(|| {
        let param = find_param(param)?;
        // SAFETY: the standard has the plug-in give a place for a handle.
        unsafe { put(place, param.properties.handle.pointer(), "a place for the parameter's properties") }
    })
}

/// Tells the shim what a parameter's value is made of: its numbers are the shim's.
#[unsafe(no_mangle)]
extern "C" fn ofx_host_param_shape(param: *mut c_void, kind: *mut c_int, count: *mut c_int) -> OfxStatus {
    answer(|| {
        let (number, components) = match find_valued(param.cast())?.kind.shape() {
            Shape::Nothing => (0, 0),
            Shape::Ints(count) => (1, count),
            Shape::Doubles(count) => (2, count),
            Shape::Text => (3, 1),
        };
        // SAFETY: two variables of the shim's.
        unsafe { (kind.write(number), count.write(components as c_int)) };
        Ok(())
    })
}

/// Writes a parameter's value to the places the shim collected.
#[unsafe(no_mangle)]
extern "C" fn ofx_host_param_read(
    param: *mut c_void,
    timed: c_int,
    time: OfxTime,
    places: *const *mut c_void,
) -> OfxStatus {
    answer(|| {
        let param = find_valued(param.cast())?;
        let now = scope::current().map_or(0.0, |scope| scope.time);
        let value = param.value_at(if timed != 0 { time } else { now });
        // SAFETY: the shim collected one place a component, of the type of the parameter's shape, none null.
        unsafe { write_components(&param, &value, places) };
        Ok(())
    })
}

/// # Safety
/// As many places as the value has components, each for its type.
unsafe fn write_components(param: &Param, value: &ParamValue, places: *const *mut c_void) {
    // SAFETY: by the caller's promise.
    let place = |index: usize| unsafe { places.add(index).read() };
    match value {
        ParamValue::Ints(list) => {
            // SAFETY: places for integers.
            list.iter().enumerate().for_each(|(index, &v)| unsafe { place(index).cast::<c_int>().write(v) });
        }
        ParamValue::Doubles(list) => {
            // SAFETY: places for doubles.
            list.iter().enumerate().for_each(|(index, &v)| unsafe { place(index).cast::<f64>().write(v) });
        }
        // SAFETY: a place for a pointer.
        ParamValue::Text(text) => unsafe { place(0).cast::<*const c_char>().write(param.hand_out(text)) },
        ParamValue::Nothing => (),
    }
}

/// Takes a value the shim collected.
#[unsafe(no_mangle)]
extern "C" fn ofx_host_param_write(
    param: *mut c_void,
    timed: c_int,
    time: OfxTime,
    ints: *const c_int,
    doubles: *const f64,
    chars: *const c_char,
) -> OfxStatus {
    answer(|| {
        let param = find_writable(param.cast())?;
        // SAFETY: the shim passes arrays of four and the plug-in's string.
        let value = unsafe { collected(param.kind.shape(), ints, doubles, chars) }?;
        if let Some(objection) = param.objection(&value) {
            blame(Rule::BadValue, format!("parameter {}: {objection}", param.name));
            return Err(Status::BAD_VALUE);
        }
        if timed != 0 {
            param.set_at(time, value)
        } else {
            param.set(value)
        }
        tell(&param)
    })
}

/// # Safety
/// Arrays of at least as many values as the shape has, and a C string or null.
unsafe fn collected(
    shape: Shape,
    ints: *const c_int,
    doubles: *const f64,
    chars: *const c_char,
) -> Result<ParamValue, Status> {
    Ok(match shape {
        // SAFETY: by the caller's promise.
        Shape::Ints(count) => ParamValue::Ints(unsafe { std::slice::from_raw_parts(ints, count) }.to_vec()),
        Shape::Doubles(count) => {
            // SAFETY: by the caller's promise.
            ParamValue::Doubles(unsafe { std::slice::from_raw_parts(doubles, count) }.to_vec())
        }
        // SAFETY: by the caller's promise.
        Shape::Text => ParamValue::Text(unsafe { text(chars, "paramSetValue: the string") }?),
        Shape::Nothing => return Err(Status::UNSUPPORTED),
    })
}

/// Tells the plug-in of the change it made, within the call, as hosts do.
fn tell(param: &Param) -> Answer {
    let Some(scope) = scope::current() else { return Ok(()) };
    if scope.action == Action::CreateInstance || scope.action == Action::SyncPrivateData {
        return Ok(());
    }
    if scope::depth() > DEEPEST_CHANGE {
        blame(Rule::EndlessChange, format!("setting {} sets off itself", param.name));
        return Ok(());
    }
    if let Some(effect) = param.effect() {
        let _ = effect.changed(kOfxTypeParameter, &param.name, Reason::Plugin, scope.time);
    }
    Ok(())
}

unsafe extern "C" fn num_keys(param: OfxParamHandle, place: *mut c_uint) -> OfxStatus {
    answer(|| {
        let keys = find_valued(param)?.keys().len();
        // SAFETY: the standard has the plug-in give a place for the number.
        unsafe { put(place, keys as c_uint, "paramGetNumKeys: a place for the number") }
    })
}

unsafe extern "C" fn key_time(param: OfxParamHandle, index: c_uint, place: *mut OfxTime) -> OfxStatus {
    answer(|| {
        let keys = find_valued(param)?.keys();
        let time = keys.get(index as usize).ok_or(Status::BAD_INDEX)?.0;
        // SAFETY: the standard has the plug-in give a place for the time.
        unsafe { put(place, time, "paramGetKeyTime: a place for the time") }
    })
}

unsafe extern "C" fn key_index(
    param: OfxParamHandle,
    time: OfxTime,
    direction: c_int,
    place: *mut c_int,
) -> OfxStatus {
    answer(|| {
        let keys = find_valued(param)?.keys();
        let index = match direction.signum() {
            0 => keys.iter().position(|(at, _)| *at == time),
            1 => keys.iter().position(|(at, _)| *at > time),
            _ => keys.iter().rposition(|(at, _)| *at < time),
        };
        let index = index.ok_or(Status::FAILED)?;
        // SAFETY: the standard has the plug-in give a place for the index.
        unsafe { put(place, index as c_int, "paramGetKeyIndex: a place for the index") }
    })
}

unsafe extern "C" fn delete_key(param: OfxParamHandle, time: OfxTime) -> OfxStatus {
    answer(|| {
        let param = find_writable(param)?;
        if param.remove_keys(|at| at == time) == 0 {
            return Err(Status::BAD_INDEX);
        }
        tell(&param)
    })
}

unsafe extern "C" fn delete_all_keys(param: OfxParamHandle) -> OfxStatus {
    answer(|| {
        let param = find_writable(param)?;
        param.remove_keys(|_| true);
        tell(&param)
    })
}

unsafe extern "C" fn copy(
    to: OfxParamHandle,
    from: OfxParamHandle,
    offset: OfxTime,
    range: *const OfxRangeD,
) -> OfxStatus {
    answer(|| {
        let (to, from) = (find_writable(to)?, find_valued(from)?);
        if to.kind != from.kind {
            blame(Rule::WrongType, format!("{} copied to {}", from.name, to.name));
            return Err(Status::BAD_VALUE);
        }
        // SAFETY: null or a range, by the standard.
        let range = unsafe { range.as_ref() };
        to.set(from.value_at(0.0));
        let wanted = |time: f64| range.is_none_or(|range| (range.min..=range.max).contains(&time));
        from.keys().into_iter().filter(|(time, _)| wanted(*time)).for_each(|(t, v)| to.set_at(t + offset, v));
        tell(&to)
    })
}

unsafe extern "C" fn edit_begin(set: OfxParamSetHandle, name: *const c_char) -> OfxStatus {
    answer(|| {
        let set = find_set(set)?;
        if name.is_null() {
            return Err(null_pointer("paramEditBegin: the name"));
        }
        *set.open_edits.lock() += 1;
        Ok(())
    })
}

unsafe extern "C" fn edit_end(set: OfxParamSetHandle) -> OfxStatus {
    answer(|| {
        let set = find_set(set)?;
        let mut open = set.open_edits.lock();
        *open = open.checked_sub(1).ok_or_else(|| {
            blame(Rule::NotBalanced, "paramEditEnd without paramEditBegin");
            Status::FAILED
        })?;
        Ok(())
    })
}
