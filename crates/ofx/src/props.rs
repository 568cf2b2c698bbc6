//! Property sets: named values of a host's object, typed, read and written.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use openfx_sys::{OfxPropertySetHandle, OfxPropertySuiteV1};

use crate::suites::{Suites, need};
use crate::{Error, Result, Status, text};

/// The properties of one object of the host, for the length of an action.
#[derive(Clone, Copy)]
pub struct PropertySet<'a> {
    suites: &'a Suites,
    handle: OfxPropertySetHandle,
}

/// Calls a getter of the property suite for one value of a type.
macro_rules! read {
    ($self:ident, $function:ident, $name:ident, $index:ident, $empty:expr) => {{
        let mut value = $empty;
        let function = need($self.suite().$function, stringify!($function))?;
        // SAFETY: the handle is the host's and lives as long as `self`; the name is a C string and
        // the host writes one value of this type.
        let status = unsafe { function($self.handle, $name.as_ptr(), $index, &raw mut value) };
        Status(status).check(stringify!($function), $name.to_string_lossy())?;
        value
    }};
}

/// Calls a setter of the property suite for one value.
macro_rules! put {
    ($self:ident, $function:ident, $name:ident, $index:ident, $value:expr) => {{
        let function = need($self.suite().$function, stringify!($function))?;
        // SAFETY: the handle is the host's and lives as long as `self`; name and value are what
        // the suite's function takes, strings are C strings that are never freed.
        let status = unsafe { function($self.handle, $name.as_ptr(), $index, $value) };
        Status(status).check(stringify!($function), $name.to_string_lossy())
    }};
}

impl<'a> PropertySet<'a> {
    /// # Safety
    /// `handle` is null or a property set of the host whose suites these are, valid during `'a`.
    pub(crate) unsafe fn new(
        suites: &'a Suites,
        handle: OfxPropertySetHandle,
        what: &'static str,
    ) -> Result<Self> {
        if handle.is_null() { Err(Error::NullHandle(what)) } else { Ok(Self { suites, handle }) }
    }

    pub(crate) fn suites(&self) -> &'a Suites {
        self.suites
    }

    fn suite(&self) -> &'a OfxPropertySuiteV1 {
        &self.suites.property
    }

    /// How many values a property has.
    ///
    /// # Errors
    /// A property the host does not know.
    pub fn dimension(&self, name: &CStr) -> Result<usize> {
        let mut count: c_int = 0;
        let function = need(self.suite().propGetDimension, "propGetDimension")?;
        // SAFETY: as for every getter: the handle is alive, the host writes one int.
        let status = unsafe { function(self.handle, name.as_ptr(), &raw mut count) };
        Status(status).check("propGetDimension", name.to_string_lossy())?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// An integer.
    ///
    /// # Errors
    /// A property the host does not know, of another type, or with fewer values.
    pub fn int(&self, name: &CStr, index: i32) -> Result<i32> {
        Ok(read!(self, propGetInt, name, index, 0))
    }

    /// A floating point number.
    ///
    /// # Errors
    /// As [`Self::int`].
    pub fn double(&self, name: &CStr, index: i32) -> Result<f64> {
        Ok(read!(self, propGetDouble, name, index, 0.0))
    }

    /// A string, copied; null is empty.
    ///
    /// # Errors
    /// As [`Self::int`].
    pub fn string(&self, name: &CStr, index: i32) -> Result<String> {
        let value = read!(self, propGetString, name, index, ptr::null_mut::<c_char>());
        // SAFETY: a host's string is valid at least until its property changes.
        Ok(unsafe { text::copied(value) })
    }

    /// A pointer, which may be null.
    ///
    /// # Errors
    /// As [`Self::int`].
    pub fn pointer(&self, name: &CStr, index: i32) -> Result<*mut c_void> {
        Ok(read!(self, propGetPointer, name, index, ptr::null_mut::<c_void>()))
    }

    /// The first `N` integers of a property.
    ///
    /// # Errors
    /// As [`Self::int`].
    pub fn ints<const N: usize>(&self, name: &CStr) -> Result<[i32; N]> {
        let mut values = [0; N];
        for (index, value) in (0..).zip(&mut values) {
            *value = self.int(name, index)?;
        }
        Ok(values)
    }

    /// The first `N` floating point numbers of a property.
    ///
    /// # Errors
    /// As [`Self::int`].
    pub fn doubles<const N: usize>(&self, name: &CStr) -> Result<[f64; N]> {
        let mut values = [0.0; N];
        for (index, value) in (0..).zip(&mut values) {
            *value = self.double(name, index)?;
        }
        Ok(values)
    }

    /// All strings of a property; none where it is missing.
    #[must_use]
    pub fn strings(&self, name: &CStr) -> Vec<String> {
        let count = i32::try_from(self.dimension(name).unwrap_or(0)).unwrap_or(0);
        (0..count).map_while(|index| self.string(name, index).ok()).collect()
    }

    /// An integer, or a stand-in where the property is missing.
    #[must_use]
    pub fn int_or(&self, name: &CStr, missing: i32) -> i32 {
        self.int(name, 0).unwrap_or(missing)
    }

    /// An integer as a truth, or a stand-in where the property is missing.
    #[must_use]
    pub fn flag_or(&self, name: &CStr, missing: bool) -> bool {
        self.int(name, 0).map_or(missing, |value| value != 0)
    }

    /// A floating point number, or a stand-in where the property is missing.
    #[must_use]
    pub fn double_or(&self, name: &CStr, missing: f64) -> f64 {
        self.double(name, 0).unwrap_or(missing)
    }

    /// A string, empty where the property is missing.
    #[must_use]
    pub fn string_or_empty(&self, name: &CStr) -> String {
        self.string(name, 0).unwrap_or_default()
    }

    /// Sets an integer.
    ///
    /// # Errors
    /// A property the host does not know, of another type, read-only, or a value it refuses.
    pub fn set_int(&self, name: &CStr, index: i32, value: i32) -> Result<()> {
        put!(self, propSetInt, name, index, value)
    }

    /// Sets a floating point number.
    ///
    /// # Errors
    /// As [`Self::set_int`].
    pub fn set_double(&self, name: &CStr, index: i32, value: f64) -> Result<()> {
        put!(self, propSetDouble, name, index, value)
    }

    /// Sets a string. It has to live for ever, since some hosts keep the pointer.
    ///
    /// # Errors
    /// As [`Self::set_int`].
    pub fn set_string(&self, name: &CStr, index: i32, value: &'static CStr) -> Result<()> {
        put!(self, propSetString, name, index, value.as_ptr())
    }

    /// Sets several floating point numbers.
    ///
    /// # Errors
    /// As [`Self::set_int`].
    pub fn set_doubles(&self, name: &CStr, values: &[f64]) -> Result<()> {
        (0..).zip(values).try_for_each(|(index, value)| self.set_double(name, index, *value))
    }

    /// Sets several strings.
    ///
    /// # Errors
    /// As [`Self::set_int`].
    pub fn set_strings(&self, name: &CStr, values: &[&'static CStr]) -> Result<()> {
        (0..).zip(values).try_for_each(|(index, value)| self.set_string(name, index, value))
    }
}

/// Notes what a host would not take. Hosts leave out properties they have no use for, and a plug-in
/// that refused to load because of that would load nowhere.
pub(crate) fn tolerate(result: Result<()>) {
    if let Err(error) = result {
        log::debug!("{error}");
    }
}

impl std::fmt::Debug for PropertySet<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PropertySet({:p})", self.handle)
    }
}
