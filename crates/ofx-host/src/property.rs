//! Property sets: typed values by name, with what a plug-in may write and when.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::sync::Arc;

use openfx_sys::OfxPropertySetHandle;
use parking_lot::{Mutex, RwLock};

use crate::handle::{Handle, Table};
use crate::scope;
use crate::status::Status;

static PROPERTY_SETS: Table<PropertySet> = Table::new();

/// An address a plug-in keeps in a property; stored as a number, never followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Address(pub(crate) usize);

/// The values of one property.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    Ints(Vec<i32>),
    Doubles(Vec<f64>),
    Strings(Vec<CString>),
    Pointers(Vec<Address>),
}

/// When a plug-in may write a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Never.
    Read,
    /// While it describes itself.
    Describe,
    /// On an instance, outside of the actions that run on render threads.
    Edit,
    /// At any time: out arguments and the plug-in's own pointers.
    Write,
}

/// One property: its values, what `propReset` restores, and its rules.
#[derive(Clone, Debug)]
pub(crate) struct Property {
    pub(crate) values: Values,
    pub(crate) initial: Values,
    /// Number of values it must have; 0 is any number.
    pub(crate) dimension: usize,
    pub(crate) access: Access,
}

/// Named properties, in the order of their names.
pub(crate) type Properties = BTreeMap<CString, Property>;

/// A property set with its handle.
pub(crate) struct PropertySet {
    pub(crate) handle: Handle<PropertySet>,
    label: String,
    properties: RwLock<Properties>,
    /// Strings a plug-in may still hold a pointer to: the standard lets it read them until the set goes.
    retired: Mutex<Vec<CString>>,
}

/// The element types of properties.
pub(crate) trait Element: Clone + 'static {
    const KIND: &'static str;
    fn of(values: &Values) -> Option<&Vec<Self>>;
    fn of_mut(values: &mut Values) -> Option<&mut Vec<Self>>;
    fn values(list: Vec<Self>) -> Values;
}

macro_rules! element {
    ($type:ty, $variant:ident, $kind:literal) => {
        impl Element for $type {
            const KIND: &'static str = $kind;
            fn of(values: &Values) -> Option<&Vec<Self>> {
                if let Values::$variant(list) = values { Some(list) } else { None }
            }
            fn of_mut(values: &mut Values) -> Option<&mut Vec<Self>> {
                if let Values::$variant(list) = values { Some(list) } else { None }
            }
            fn values(list: Vec<Self>) -> Values {
                Values::$variant(list)
            }
        }
    };
}
element!(i32, Ints, "int");
element!(f64, Doubles, "double");
element!(CString, Strings, "string");
element!(Address, Pointers, "pointer");

impl Values {
    /// The number of values.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Ints(list) => list.len(),
            Self::Doubles(list) => list.len(),
            Self::Strings(list) => list.len(),
            Self::Pointers(list) => list.len(),
        }
    }

    /// The name of the element type.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Ints(_) => i32::KIND,
            Self::Doubles(_) => f64::KIND,
            Self::Strings(_) => CString::KIND,
            Self::Pointers(_) => Address::KIND,
        }
    }

    fn into_strings(self) -> Vec<CString> {
        if let Self::Strings(list) = self { list } else { Vec::new() }
    }
}

/// Why a property could not be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PropertyError {
    Unknown,
    WrongType { has: &'static str },
    BadIndex,
    BadCount { wants: usize },
    NotNow(Access),
}

impl PropertyError {
    pub(crate) fn status(self) -> Status {
        match self {
            Self::Unknown => Status::UNKNOWN,
            Self::BadIndex => Status::BAD_INDEX,
            Self::WrongType { .. } | Self::BadCount { .. } | Self::NotNow(_) => Status::BAD_VALUE,
        }
    }
}

impl PropertySet {
    /// A new set with a handle; `label` names it in reports ("clip Source").
    pub(crate) fn new(label: impl Into<String>, properties: Properties) -> Arc<Self> {
        PROPERTY_SETS.create(|handle| Self {
            handle,
            label: label.into(),
            properties: RwLock::new(properties),
            retired: Mutex::new(Vec::new()),
        })
    }

    /// The set of a handle.
    pub(crate) fn find(handle: OfxPropertySetHandle) -> Option<Arc<Self>> {
        PROPERTY_SETS.find(handle)
    }

    /// What the set belongs to, for reports.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// All properties as they stand.
    pub(crate) fn snapshot(&self) -> Properties {
        self.properties.read().clone()
    }

    /// All values of a property.
    pub(crate) fn values<T: Element>(&self, name: &CStr) -> Result<Vec<T>, PropertyError> {
        let properties = self.properties.read();
        let property = properties.get(name).ok_or(PropertyError::Unknown)?;
        let list = T::of(&property.values);
        list.cloned().ok_or(PropertyError::WrongType { has: property.values.kind() })
    }

    /// A function of one value, under the lock: a string's own pointer is taken so.
    pub(crate) fn with_value<T: Element, R>(
        &self,
        name: &CStr,
        index: usize,
        read: impl FnOnce(&T) -> R,
    ) -> Result<R, PropertyError> {
        let properties = self.properties.read();
        let property = properties.get(name).ok_or(PropertyError::Unknown)?;
        let list = T::of(&property.values).ok_or(PropertyError::WrongType { has: property.values.kind() })?;
        list.get(index).map(read).ok_or(PropertyError::BadIndex)
    }

    /// The first value, or the type's default where there is none.
    pub(crate) fn first<T: Element + Default>(&self, name: &CStr) -> T {
        self.with_value(name, 0, T::clone).unwrap_or_default()
    }

    /// The first value as text.
    pub(crate) fn text(&self, name: &CStr) -> String {
        self.first::<CString>(name).to_string_lossy().into_owned()
    }

    /// All values as texts.
    pub(crate) fn texts(&self, name: &CStr) -> Vec<String> {
        let list = self.values::<CString>(name).unwrap_or_default();
        list.iter().map(|text| text.to_string_lossy().into_owned()).collect()
    }

    /// The number of values.
    pub(crate) fn dimension(&self, name: &CStr) -> Result<usize, PropertyError> {
        Ok(self.properties.read().get(name).ok_or(PropertyError::Unknown)?.values.len())
    }

    /// The host's own write: no rules; a property that was not there becomes one to read.
    pub(crate) fn put<T: Element>(&self, name: &CStr, list: Vec<T>) {
        let values = T::values(list);
        let mut properties = self.properties.write();
        match properties.get_mut(name) {
            Some(property) => self.retire(std::mem::replace(&mut property.values, values)),
            None => {
                let property = Property {
                    initial: values.clone(),
                    dimension: values.len(),
                    values,
                    access: Access::Read,
                };
                properties.insert(name.to_owned(), property);
            }
        }
    }

    /// A plug-in's write of one value; a list without fixed length grows by one at its end.
    pub(crate) fn write_one<T: Element>(
        &self,
        name: &CStr,
        index: usize,
        value: T,
    ) -> Result<(), PropertyError> {
        self.edit(name, |property| {
            let (dimension, kind) = (property.dimension, property.values.kind());
            let list = T::of_mut(&mut property.values).ok_or(PropertyError::WrongType { has: kind })?;
            if dimension == 0 && index == list.len() {
                list.push(value);
                return Ok(None);
            }
            let slot = list.get_mut(index).ok_or(PropertyError::BadIndex)?;
            Ok(Some(T::values(vec![std::mem::replace(slot, value)])))
        })
    }

    /// A plug-in's write of all values.
    pub(crate) fn write_all<T: Element>(&self, name: &CStr, list: Vec<T>) -> Result<(), PropertyError> {
        self.edit(name, |property| {
            let kind = property.values.kind();
            T::of(&property.values).ok_or(PropertyError::WrongType { has: kind })?;
            if property.dimension != 0 && property.dimension != list.len() {
                return Err(PropertyError::BadCount { wants: property.dimension });
            }
            Ok(Some(std::mem::replace(&mut property.values, T::values(list))))
        })
    }

    /// A plug-in's reset to the value the property had when the set was made.
    pub(crate) fn reset(&self, name: &CStr) -> Result<(), PropertyError> {
        self.edit(name, |property| {
            let initial = property.initial.clone();
            Ok(Some(std::mem::replace(&mut property.values, initial)))
        })
    }

    fn edit(
        &self,
        name: &CStr,
        change: impl FnOnce(&mut Property) -> Result<Option<Values>, PropertyError>,
    ) -> Result<(), PropertyError> {
        let mut properties = self.properties.write();
        let property = properties.get_mut(name).ok_or(PropertyError::Unknown)?;
        if !scope::allows(property.access) {
            return Err(PropertyError::NotNow(property.access));
        }
        if let Some(old) = change(property)? {
            self.retire(old);
        }
        Ok(())
    }

    fn retire(&self, old: Values) {
        self.retired.lock().extend(old.into_strings());
    }
}

/// A C string of a text of the host's own; an inner NUL ends it.
pub(crate) fn c_string(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schema;

    fn set() -> Arc<PropertySet> {
        let schema =
            Schema::new(Access::Write).ints(c"pair", &[1, 2]).list_of_texts(c"list").texts(c"name", &["a"]);
        PropertySet::new("test", schema.properties())
    }

    #[test]
    fn types_lengths_and_names_are_checked() {
        let set = set();
        assert_eq!(set.values::<f64>(c"pair"), Err(PropertyError::WrongType { has: "int" }));
        assert_eq!(set.values::<i32>(c"nothing"), Err(PropertyError::Unknown));
        assert_eq!(set.write_all(c"pair", vec![1]), Err(PropertyError::BadCount { wants: 2 }));
        assert_eq!(set.write_one(c"pair", 2, 5), Err(PropertyError::BadIndex));
        assert_eq!(set.write_one(c"pair", 0, 0.5), Err(PropertyError::WrongType { has: "int" }));
    }

    #[test]
    fn a_list_grows_at_its_end_only() {
        let set = set();
        assert_eq!(set.write_one(c"list", 1, c"late".to_owned()), Err(PropertyError::BadIndex));
        assert_eq!(set.write_one(c"list", 0, c"first".to_owned()), Ok(()));
        assert_eq!(set.texts(c"list"), ["first"]);
    }

    #[test]
    fn a_string_read_stays_readable_after_it_is_replaced() {
        let set = set();
        let pointer = set.with_value(c"name", 0, |text: &CString| text.as_ptr()).unwrap();
        set.write_one(c"name", 0, c"b".to_owned()).unwrap();
        // SAFETY: the set keeps replaced strings until it is dropped, and it is alive.
        let old = unsafe { CStr::from_ptr(pointer) };
        assert_eq!((old, set.text(c"name").as_str()), (c"a", "b"));
    }
}
