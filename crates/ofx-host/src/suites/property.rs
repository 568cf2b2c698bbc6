//! The property suite.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::Arc;

use openfx_sys::*;

use super::{Answer, answer, bad_handle, null_pointer, put, string};
use crate::property::{Access, Address, Element, PropertyError, PropertySet};
use crate::scope::{blame, session};
use crate::session::Rule;
use crate::status::Status;

pub(super) static SUITE: OfxPropertySuiteV1 = OfxPropertySuiteV1 {
    propSetPointer: Some(set_pointer),
    propSetString: Some(set_string),
    propSetDouble: Some(set_double),
    propSetInt: Some(set_int),
    propSetPointerN: Some(set_pointer_n),
    propSetStringN: Some(set_string_n),
    propSetDoubleN: Some(set_double_n),
    propSetIntN: Some(set_int_n),
    propGetPointer: Some(get_pointer),
    propGetString: Some(get_string),
    propGetDouble: Some(get_double),
    propGetInt: Some(get_int),
    propGetPointerN: Some(get_pointer_n),
    propGetStringN: Some(get_string_n),
    propGetDoubleN: Some(get_double_n),
    propGetIntN: Some(get_int_n),
    propReset: Some(reset),
    propGetDimension: Some(dimension),
};

type Handle = OfxPropertySetHandle;
type Name = *const c_char;

/// The set and the property's name.
fn find<'a>(handle: Handle, name: Name) -> Result<(Arc<PropertySet>, &'a CStr), Status> {
    let set = PropertySet::find(handle).ok_or_else(|| bad_handle("a property set"))?;
    // SAFETY: the standard has property names be C strings; it is used within the call.
    let name = unsafe { string(name, "a property's name") }?;
    Ok((set, name))
}

fn position(index: c_int) -> Result<usize, Status> {
    usize::try_from(index).map_err(|_| Status::BAD_INDEX)
}

/// Turns a refusal into its status, with the blame it deserves: asking for a name is free.
fn refused(set: &PropertySet, name: &CStr, kind: &str, writes: bool, error: PropertyError) -> Status {
    let what = format!("{} of {}", name.to_string_lossy(), set.label());
    match error {
        PropertyError::Unknown if writes => {
            session().note(format!("{what} was written, this host does not know it"))
        }
        PropertyError::Unknown => log::debug!("{what} was asked for, this host does not know it"),
        PropertyError::WrongType { has } => {
            blame(Rule::WrongType, format!("{what} is {has}, used as {kind}"))
        }
        PropertyError::BadCount { wants } => blame(Rule::WrongType, format!("{what} has {wants} values")),
        PropertyError::BadIndex if writes => blame(Rule::BadValue, format!("{what} written beyond its end")),
        PropertyError::BadIndex => log::debug!("{what} read beyond its end"),
        PropertyError::NotNow(Access::Read) => {
            blame(Rule::PropertyNotWritable, format!("{what} is read-only"))
        }
        PropertyError::NotNow(Access::Describe) => {
            blame(Rule::PropertyNotWritable, format!("{what} may be written while describing only"));
        }
        PropertyError::NotNow(_) => {
            blame(Rule::PropertyNotWritable, format!("{what} may not be written now"))
        }
    }
    error.status()
}

fn write_one<T: Element>(handle: Handle, name: Name, index: c_int, value: T) -> Answer {
    let (set, name) = find(handle, name)?;
    let index = position(index)?;
    set.write_one(name, index, value).map_err(|error| refused(&set, name, T::KIND, true, error))
}

fn write_all<T: Element>(handle: Handle, name: Name, list: Vec<T>) -> Answer {
    let (set, name) = find(handle, name)?;
    set.write_all(name, list).map_err(|error| refused(&set, name, T::KIND, true, error))
}

fn read_one<T: Element, R>(
    handle: Handle,
    name: Name,
    index: c_int,
    place: *mut R,
    read: impl FnOnce(&T) -> R,
) -> Answer {
    let (set, name) = find(handle, name)?;
    let index = position(index)?;
    let value =
        set.with_value(name, index, read).map_err(|error| refused(&set, name, T::KIND, false, error))?;
    // SAFETY: the standard has the plug-in give a place for one value.
    unsafe { put(place, value, "a place for a property's value") }
}

fn read_all<T: Element, R>(
    handle: Handle,
    name: Name,
    count: c_int,
    place: *mut R,
    read: impl Fn(&T) -> R,
) -> Answer {
    let (set, name) = find(handle, name)?;
    if place.is_null() {
        return Err(null_pointer("a place for a property's values"));
    }
    for index in 0..position(count)? {
        let value =
            set.with_value(name, index, &read).map_err(|error| refused(&set, name, T::KIND, false, error))?;
        // SAFETY: the standard has the plug-in give a place for `count` values.
        unsafe { place.add(index).write(value) };
    }
    Ok(())
}

/// The plug-in's array of values.
///
/// # Safety
/// Null, or readable for `count` values.
unsafe fn array<'a, T>(values: *const T, count: c_int) -> Result<&'a [T], Status> {
    let count = position(count)?;
    if values.is_null() && count > 0 {
        return Err(null_pointer("a property's values"));
    }
    if count == 0 {
        return Ok(&[]);
    }
    // SAFETY: not null, so by the caller's promise readable.
    Ok(unsafe { std::slice::from_raw_parts(values, count) })
}

fn owned(value: *const c_char) -> Result<CString, Status> {
    // SAFETY: the standard has string values be C strings; it is copied within the call.
    Ok(unsafe { string(value, "a property's string value") }?.to_owned())
}

unsafe extern "C" fn set_pointer(set: Handle, name: Name, index: c_int, value: *mut c_void) -> OfxStatus {
    answer(|| write_one(set, name, index, Address(value.expose_provenance())))
}

unsafe extern "C" fn set_string(set: Handle, name: Name, index: c_int, value: *const c_char) -> OfxStatus {
    answer(|| write_one(set, name, index, owned(value)?))
}

unsafe extern "C" fn set_double(set: Handle, name: Name, index: c_int, value: f64) -> OfxStatus {
    answer(|| write_one(set, name, index, value))
}

unsafe extern "C" fn set_int(set: Handle, name: Name, index: c_int, value: c_int) -> OfxStatus {
    answer(|| write_one(set, name, index, value))
}

unsafe extern "C" fn set_pointer_n(
    set: Handle,
    name: Name,
    count: c_int,
    value: *const *mut c_void,
) -> OfxStatus {
    answer(|| {
        // SAFETY: the standard has `count` values there.
        let list = unsafe { array(value, count) }?;
        write_all(set, name, list.iter().map(|pointer| Address(pointer.expose_provenance())).collect())
    })
}

unsafe extern "C" fn set_string_n(
    set: Handle,
    name: Name,
    count: c_int,
    value: *const *const c_char,
) -> OfxStatus {
    answer(|| {
        // SAFETY: the standard has `count` values there.
        let list = unsafe { array(value, count) }?;
        write_all(set, name, list.iter().map(|&text| owned(text)).collect::<Result<_, _>>()?)
    })
}

unsafe extern "C" fn set_double_n(set: Handle, name: Name, count: c_int, value: *const f64) -> OfxStatus {
    // SAFETY: the standard has `count` values there.
    answer(|| write_all(set, name, unsafe { array(value, count) }?.to_vec()))
}

unsafe extern "C" fn set_int_n(set: Handle, name: Name, count: c_int, value: *const c_int) -> OfxStatus {
    // SAFETY: the standard has `count` values there.
    answer(|| write_all(set, name, unsafe { array(value, count) }?.to_vec()))
}

fn pointer_of(value: &Address) -> *mut c_void {
    std::ptr::with_exposed_provenance_mut(value.0)
}

fn chars_of(value: &CString) -> *mut c_char {
    value.as_ptr().cast_mut()
}

unsafe extern "C" fn get_pointer(
    set: Handle,
    name: Name,
    index: c_int,
    value: *mut *mut c_void,
) -> OfxStatus {
    answer(|| read_one(set, name, index, value, pointer_of))
}

unsafe extern "C" fn get_string(set: Handle, name: Name, index: c_int, value: *mut *mut c_char) -> OfxStatus {
    answer(|| read_one(set, name, index, value, chars_of))
}

unsafe extern "C" fn get_double(set: Handle, name: Name, index: c_int, value: *mut f64) -> OfxStatus {
    answer(|| read_one(set, name, index, value, |value: &f64| *value))
}

unsafe extern "C" fn get_int(set: Handle, name: Name, index: c_int, value: *mut c_int) -> OfxStatus {
    answer(|| read_one(set, name, index, value, |value: &i32| *value))
}

unsafe extern "C" fn get_pointer_n(
    set: Handle,
    name: Name,
    count: c_int,
    value: *mut *mut c_void,
) -> OfxStatus {
    answer(|| read_all(set, name, count, value, pointer_of))
}

unsafe extern "C" fn get_string_n(
    set: Handle,
    name: Name,
    count: c_int,
    value: *mut *mut c_char,
) -> OfxStatus {
    answer(|| read_all(set, name, count, value, chars_of))
}

unsafe extern "C" fn get_double_n(set: Handle, name: Name, count: c_int, value: *mut f64) -> OfxStatus {
    answer(|| read_all(set, name, count, value, |value: &f64| *value))
}

unsafe extern "C" fn get_int_n(set: Handle, name: Name, count: c_int, value: *mut c_int) -> OfxStatus {
    answer(|| read_all(set, name, count, value, |value: &i32| *value))
}

unsafe extern "C" fn reset(set: Handle, name: Name) -> OfxStatus {
    answer(|| {
        let (set, name) = find(set, name)?;
        set.reset(name).map_err(|error| refused(&set, name, "any type", true, error))
    })
}

unsafe extern "C" fn dimension(set: Handle, name: Name, count: *mut c_int) -> OfxStatus {
    answer(|| {
        let (set, name) = find(set, name)?;
        let number = set.dimension(name).map_err(|error| refused(&set, name, "any type", false, error))?;
        // SAFETY: the standard has the plug-in give a place for the number.
        unsafe { put(count, number as c_int, "a place for a property's dimension") }
    })
}
