//! Parameters of an instance: values read and set, typed; shown, hidden, enabled.

use std::ffi::{CStr, c_char, c_int};

use openfx_sys::{self as sys, OfxParamHandle};

use crate::props::tolerate;
use crate::suites::{Suites, need};
use crate::{Error, PropertySet, Result, Status, Text, text};

/// One parameter of an instance, for the length of an action.
#[derive(Clone, Debug)]
pub struct Param<'a> {
    name: String,
    handle: OfxParamHandle,
    props: PropertySet<'a>,
}

/// A Rust type that parameters have as their value: `i32` (integer, choice), `f64`, `bool`, `String`.
pub trait ParamValue: Sized + sealed::Read {}

/// A Rust type that parameters can be set to: `i32`, `f64`, `bool`, `&str`, `&String`, `String`.
pub trait Settable: sealed::Write {}

impl<T: sealed::Read> ParamValue for T {}
impl<T: sealed::Write> Settable for T {}

mod sealed {
    use super::{CStr, OfxParamHandle, Result, Suites};

    pub trait Read: Sized {
        const KINDS: &'static [&'static CStr];
        const NAME: &'static str;
        /// # Safety
        /// The parameter is alive and of one of `KINDS`.
        unsafe fn read(suites: &Suites, param: OfxParamHandle, time: Option<f64>, name: &str)
        -> Result<Self>;
    }

    pub trait Write {
        const KINDS: &'static [&'static CStr];
        const NAME: &'static str;
        /// # Safety
        /// The parameter is alive and of one of `KINDS`.
        unsafe fn write(
            self,
            suites: &Suites,
            param: OfxParamHandle,
            time: Option<f64>,
            name: &str,
        ) -> Result<()>;
    }
}

/// Calls the variadic getter with a pointer for one value.
macro_rules! fetch {
    ($suites:ident, $param:ident, $time:ident, $name:ident, $empty:expr) => {{
        let mut value = $empty;
        let (call, status) = match $time {
            // SAFETY: the caller vouches for the parameter and its type; one pointer for one value.
            None => ("paramGetValue", unsafe {
                need($suites.parameter.paramGetValue, "paramGetValue")?($param, &raw mut value)
            }),
            // SAFETY: as above.
            Some(time) => ("paramGetValueAtTime", unsafe {
                need($suites.parameter.paramGetValueAtTime, "paramGetValueAtTime")?(
                    $param,
                    time,
                    &raw mut value,
                )
            }),
        };
        Status(status).check(call, $name)?;
        value
    }};
}

/// Calls the variadic setter with one value.
macro_rules! store {
    ($suites:ident, $param:ident, $time:ident, $name:ident, $value:expr) => {{
        let (call, status) = match $time {
            // SAFETY: the caller vouches for the parameter and its type; the host copies strings.
            None => ("paramSetValue", unsafe {
                need($suites.parameter.paramSetValue, "paramSetValue")?($param, $value)
            }),
            // SAFETY: as above.
            Some(time) => ("paramSetValueAtTime", unsafe {
                need($suites.parameter.paramSetValueAtTime, "paramSetValueAtTime")?($param, time, $value)
            }),
        };
        Status(status).check(call, $name)
    }};
}

/// Implements reading and writing of a type that C passes as it is, or by a conversion.
macro_rules! value {
    ($rust:ty, [$($kind:ident),*], $c:ty, $from:expr, $into:expr) => {
        impl sealed::Read for $rust {
            const KINDS: &'static [&'static CStr] = &[$(sys::$kind),*];
            const NAME: &'static str = stringify!($rust);
            unsafe fn read(
                suites: &Suites,
                param: OfxParamHandle,
                time: Option<f64>,
                name: &str,
            ) -> Result<Self> {
                Ok($from(fetch!(suites, param, time, name, <$c>::default())))
            }
        }

        impl sealed::Write for $rust {
            const KINDS: &'static [&'static CStr] = &[$(sys::$kind),*];
            const NAME: &'static str = stringify!($rust);
            unsafe fn write(
                self,
                suites: &Suites,
                param: OfxParamHandle,
                time: Option<f64>,
                name: &str,
            ) -> Result<()> {
                let value: $c = $into(self);
                store!(suites, param, time, name, value)
            }
        }
    };
}

value!(i32, [kOfxParamTypeInteger, kOfxParamTypeChoice], c_int, |v| v, |v| v);
value!(f64, [kOfxParamTypeDouble], f64, |v| v, |v| v);
value!(bool, [kOfxParamTypeBoolean], c_int, |v| v != 0, c_int::from);

const STRINGS: &[&CStr] = &[sys::kOfxParamTypeString, sys::kOfxParamTypeCustom, sys::kOfxParamTypeStrChoice];

impl sealed::Read for String {
    const KINDS: &'static [&'static CStr] = STRINGS;
    const NAME: &'static str = "String";

    /// Hosts answer OK and null for an empty string, and reuse the memory: copied at once.
    unsafe fn read(suites: &Suites, param: OfxParamHandle, time: Option<f64>, name: &str) -> Result<Self> {
        let value = fetch!(suites, param, time, name, std::ptr::null_mut::<c_char>());
        // SAFETY: null or the host's C string, which it keeps at least until the next call.
        Ok(unsafe { text::copied(value) })
    }
}

impl sealed::Write for &str {
    const KINDS: &'static [&'static CStr] = STRINGS;
    const NAME: &'static str = "String";
    unsafe fn write(
        self,
        suites: &Suites,
        param: OfxParamHandle,
        time: Option<f64>,
        name: &str,
    ) -> Result<()> {
        let value = text::passing(self)?;
        store!(suites, param, time, name, value.as_ptr())
    }
}

impl sealed::Write for &String {
    const KINDS: &'static [&'static CStr] = STRINGS;
    const NAME: &'static str = "String";
    unsafe fn write(
        self,
        suites: &Suites,
        param: OfxParamHandle,
        time: Option<f64>,
        name: &str,
    ) -> Result<()> {
        // SAFETY: passed on.
        unsafe { sealed::Write::write(self.as_str(), suites, param, time, name) }
    }
}

impl sealed::Write for String {
    const KINDS: &'static [&'static CStr] = STRINGS;
    const NAME: &'static str = "String";
    unsafe fn write(
        self,
        suites: &Suites,
        param: OfxParamHandle,
        time: Option<f64>,
        name: &str,
    ) -> Result<()> {
        // SAFETY: passed on.
        unsafe { sealed::Write::write(self.as_str(), suites, param, time, name) }
    }
}

impl<'a> Param<'a> {
    /// # Safety
    /// `set` is a parameter set of the host, valid during `'a`.
    pub(crate) unsafe fn find(suites: &'a Suites, set: sys::OfxParamSetHandle, name: &str) -> Result<Self> {
        let (mut handle, mut props) = (std::ptr::null_mut(), std::ptr::null_mut());
        let passed = text::passing(name)?;
        let function = need(suites.parameter.paramGetHandle, "paramGetHandle")?;
        // SAFETY: the caller vouches for the set; the host writes two handles.
        let status = unsafe { function(set, passed.as_ptr(), &raw mut handle, &raw mut props) };
        Status(status).check("paramGetHandle", name)?;
        if handle.is_null() {
            return Err(Error::NullHandle("parameter"));
        }
        // SAFETY: the host just returned this property set for this action.
        let props = unsafe { PropertySet::new(suites, props, "parameter's properties")? };
        Ok(Self { name: name.to_owned(), handle, props })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its type in the standard's words, such as `OfxParamTypeDouble`; empty if the host keeps none.
    #[must_use]
    pub fn kind(&self) -> String {
        self.props.string_or_empty(sys::kOfxParamPropType)
    }

    /// All properties, for what has no method here.
    #[must_use]
    pub fn props(&self) -> PropertySet<'a> {
        self.props
    }

    /// The value now.
    ///
    /// # Errors
    /// Another type, or a host that refuses.
    pub fn value<T: ParamValue>(&self) -> Result<T> {
        self.expect_kind(T::KINDS, T::NAME)?;
        // SAFETY: the parameter lives as long as the action, and its type was compared.
        unsafe { T::read(self.props.suites(), self.handle, None, &self.name) }
    }

    /// The value at a time in frames.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn value_at<T: ParamValue>(&self, time: f64) -> Result<T> {
        self.expect_kind(T::KINDS, T::NAME)?;
        // SAFETY: as in `value`.
        unsafe { T::read(self.props.suites(), self.handle, Some(time), &self.name) }
    }

    /// Sets the value. Legal in InstanceChanged, its brackets and interacts, never in a render.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn set<T: Settable>(&self, value: T) -> Result<()> {
        self.expect_kind(T::KINDS, T::NAME)?;
        // SAFETY: as in `value`.
        unsafe { value.write(self.props.suites(), self.handle, None, &self.name) }
    }

    /// Sets the value at a time in frames, which makes a key.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn set_at<T: Settable>(&self, time: f64, value: T) -> Result<()> {
        self.expect_kind(T::KINDS, T::NAME)?;
        // SAFETY: as in `value`.
        unsafe { value.write(self.props.suites(), self.handle, Some(time), &self.name) }
    }

    /// Lets users edit it, or not.
    pub fn set_enabled(&self, on: bool) {
        tolerate(self.props.set_int(sys::kOfxParamPropEnabled, 0, on.into()));
    }

    /// Hides it from users, or shows it.
    pub fn set_secret(&self, on: bool) {
        tolerate(self.props.set_int(sys::kOfxParamPropSecret, 0, on.into()));
    }

    /// Changes the name users see.
    pub fn set_label(&self, label: impl Text) {
        tolerate(self.props.set_string(sys::kOfxPropLabel, 0, label.kept()));
    }

    /// A value of another type than the one passed would be written through the wrong pointer. A
    /// host that keeps no type is trusted to have what the plug-in defined.
    fn expect_kind(&self, kinds: &[&CStr], wanted: &'static str) -> Result<()> {
        let found = self.kind();
        if found.is_empty() || kinds.iter().any(|kind| kind.to_bytes() == found.as_bytes()) {
            return Ok(());
        }
        Err(Error::ParamType { name: self.name.clone(), found, wanted })
    }
}

/// Several changes of parameters as one step of undo, until dropped.
#[derive(Debug)]
pub struct EditGroup<'a> {
    suites: &'a Suites,
    set: sys::OfxParamSetHandle,
}

impl<'a> EditGroup<'a> {
    /// # Safety
    /// `set` is a parameter set of the host, valid during `'a`.
    pub(crate) unsafe fn begin(suites: &'a Suites, set: sys::OfxParamSetHandle, name: &str) -> Result<Self> {
        let name = text::passing(name)?;
        if let Some(begin) = suites.parameter.paramEditBegin {
            // SAFETY: the caller vouches for the set; the host copies the name.
            tolerate(Status(unsafe { begin(set, name.as_ptr()) }).check("paramEditBegin", "the effect"));
        }
        Ok(Self { suites, set })
    }
}

impl Drop for EditGroup<'_> {
    fn drop(&mut self) {
        if let Some(end) = self.suites.parameter.paramEditEnd {
            // SAFETY: the set lives as long as the action, which outlives `self`.
            tolerate(Status(unsafe { end(self.set) }).check("paramEditEnd", "the effect"));
        }
    }
}
