//! A builder of property sets: names, types, first values, access.

use std::ffi::CStr;

use crate::property::{Access, Address, Properties, Property, Values, c_string};

/// Properties being listed; each call adds one with the access set last.
pub(crate) struct Schema {
    properties: Properties,
    access: Access,
}

impl Schema {
    /// An empty list whose properties have this access until `access` is called.
    pub(crate) fn new(access: Access) -> Self {
        Self { properties: Properties::new(), access }
    }

    /// Starts from properties that are there.
    pub(crate) fn from(properties: Properties) -> Self {
        Self { properties, access: Access::Read }
    }

    /// The access of the properties that follow.
    pub(crate) fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Adds integers of fixed number.
    pub(crate) fn ints(self, name: &CStr, values: &[i32]) -> Self {
        self.add(name, Values::Ints(values.to_vec()), values.len())
    }

    /// Adds doubles of fixed number.
    pub(crate) fn doubles(self, name: &CStr, values: &[f64]) -> Self {
        self.add(name, Values::Doubles(values.to_vec()), values.len())
    }

    /// Adds strings of fixed number.
    pub(crate) fn texts(self, name: &CStr, values: &[&str]) -> Self {
        let strings = values.iter().map(|text| c_string(text)).collect();
        self.add(name, Values::Strings(strings), values.len())
    }

    /// Adds one string that is a constant of the standard.
    pub(crate) fn constant(self, name: &CStr, value: &CStr) -> Self {
        self.add(name, Values::Strings(vec![value.to_owned()]), 1)
    }

    /// Adds a list of strings of any length, empty at first.
    pub(crate) fn list_of_texts(self, name: &CStr) -> Self {
        self.add(name, Values::Strings(Vec::new()), 0)
    }

    /// Adds a list of strings of any length.
    pub(crate) fn list_of_constants(self, name: &CStr, values: &[&CStr]) -> Self {
        self.add(name, Values::Strings(values.iter().map(|&value| value.to_owned()).collect()), 0)
    }

    /// Adds a list of integers of any length.
    pub(crate) fn list_of_ints(self, name: &CStr, values: &[i32]) -> Self {
        self.add(name, Values::Ints(values.to_vec()), 0)
    }

    /// Adds a list of doubles of any length.
    pub(crate) fn list_of_doubles(self, name: &CStr, values: &[f64]) -> Self {
        self.add(name, Values::Doubles(values.to_vec()), 0)
    }

    /// Adds a pointer, null at first.
    pub(crate) fn pointer(self, name: &CStr) -> Self {
        self.add(name, Values::Pointers(vec![Address(0)]), 1)
    }

    /// Gives properties that are there another access; names that are not there are passed over.
    pub(crate) fn set_access(mut self, access: Access, names: &[&CStr]) -> Self {
        for &name in names {
            if let Some(property) = self.properties.get_mut(name) {
                property.access = access;
            }
        }
        self
    }

    /// Makes all that is there read-only, and what it now holds its reset value.
    pub(crate) fn frozen(mut self) -> Self {
        for property in self.properties.values_mut() {
            property.access = Access::Read;
            property.initial = property.values.clone();
        }
        self
    }

    /// The list.
    pub(crate) fn properties(self) -> Properties {
        self.properties
    }

    fn add(mut self, name: &CStr, values: Values, dimension: usize) -> Self {
        let property = Property { initial: values.clone(), values, dimension, access: self.access };
        self.properties.insert(name.to_owned(), property);
        self
    }
}
