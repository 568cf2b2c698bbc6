//! The types of parameters: names, shape of their values, properties.

use std::ffi::CStr;

use openfx_sys::*;

use crate::property::{Access, Properties};
use crate::schema::Schema;

/// A parameter's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the OpenFX standard documents these names")]
pub enum ParamKind {
    Integer,
    Integer2D,
    Integer3D,
    Double,
    Double2D,
    Double3D,
    Rgb,
    Rgba,
    Boolean,
    Choice,
    StrChoice,
    String,
    Custom,
    PushButton,
    Group,
    Page,
}

/// What a parameter's value is made of, with the number of components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Nothing,
    Ints(usize),
    Doubles(usize),
    Text,
}

const KINDS: [(ParamKind, &CStr); 16] = [
    (ParamKind::Integer, kOfxParamTypeInteger),
    (ParamKind::Integer2D, kOfxParamTypeInteger2D),
    (ParamKind::Integer3D, kOfxParamTypeInteger3D),
    (ParamKind::Double, kOfxParamTypeDouble),
    (ParamKind::Double2D, kOfxParamTypeDouble2D),
    (ParamKind::Double3D, kOfxParamTypeDouble3D),
    (ParamKind::Rgb, kOfxParamTypeRGB),
    (ParamKind::Rgba, kOfxParamTypeRGBA),
    (ParamKind::Boolean, kOfxParamTypeBoolean),
    (ParamKind::Choice, kOfxParamTypeChoice),
    (ParamKind::StrChoice, kOfxParamTypeStrChoice),
    (ParamKind::String, kOfxParamTypeString),
    (ParamKind::Custom, kOfxParamTypeCustom),
    (ParamKind::PushButton, kOfxParamTypePushButton),
    (ParamKind::Group, kOfxParamTypeGroup),
    (ParamKind::Page, kOfxParamTypePage),
];

impl ParamKind {
    /// The kind of a type name of the standard; None for those this host does not have.
    #[must_use]
    pub fn named(name: &CStr) -> Option<Self> {
        KINDS.iter().find(|(_, constant)| *constant == name).map(|&(kind, _)| kind)
    }

    /// The standard's name.
    #[must_use]
    pub fn name(self) -> &'static CStr {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or(c"", |&(_, name)| name)
    }

    pub(crate) fn shape(self) -> Shape {
        match self {
            Self::Integer | Self::Boolean | Self::Choice => Shape::Ints(1),
            Self::Integer2D => Shape::Ints(2),
            Self::Integer3D => Shape::Ints(3),
            Self::Double => Shape::Doubles(1),
            Self::Double2D => Shape::Doubles(2),
            Self::Double3D | Self::Rgb => Shape::Doubles(3),
            Self::Rgba => Shape::Doubles(4),
            Self::String | Self::Custom | Self::StrChoice => Shape::Text,
            Self::PushButton | Self::Group | Self::Page => Shape::Nothing,
        }
    }

    fn has_range(self) -> bool {
        !matches!(self, Self::Boolean | Self::Choice) && !matches!(self.shape(), Shape::Text | Shape::Nothing)
    }

    fn is_colour(self) -> bool {
        matches!(self, Self::Rgb | Self::Rgba)
    }

    /// The properties a new parameter of this kind has.
    pub(crate) fn properties(self, name: &str) -> Properties {
        let schema = Schema::new(Access::Read)
            .constant(kOfxPropType, kOfxTypeParameter)
            .constant(kOfxParamPropType, self.name())
            .texts(kOfxPropName, &[name])
            .access(Access::Describe)
            .texts(kOfxPropLabel, &[name])
            .texts(kOfxPropShortLabel, &[name])
            .texts(kOfxPropLongLabel, &[name])
            .texts(kOfxPropIcon, &["", ""])
            .texts(kOfxParamPropScriptName, &[name])
            .texts(kOfxParamPropHint, &[""])
            .texts(kOfxParamPropParent, &[""])
            .ints(kOfxParamPropSecret, &[0])
            .ints(kOfxParamPropEnabled, &[1])
            .pointer(kOfxParamPropDataPtr);
        self.kind_properties(schema).properties()
    }

    fn kind_properties(self, schema: Schema) -> Schema {
        match self {
            Self::Group => schema.ints(kOfxParamPropGroupOpen, &[1]),
            Self::Page => schema.list_of_texts(kOfxParamPropPageChild),
            Self::PushButton => interact_properties(schema),
            _ => self.value_properties(interact_properties(schema)),
        }
    }

    fn value_properties(self, schema: Schema) -> Schema {
        let schema = schema
            .ints(kOfxParamPropAnimates, &[1])
            .ints(kOfxParamPropPersistant, &[1])
            .ints(kOfxParamPropEvaluateOnChange, &[1])
            .ints(kOfxParamPropPluginMayWrite, &[0])
            .ints(kOfxParamPropCanUndo, &[1])
            .constant(kOfxParamPropCacheInvalidation, kOfxParamInvalidateValueChange)
            .access(Access::Read)
            .ints(kOfxParamPropIsAnimating, &[0])
            .ints(kOfxParamPropIsAutoKeying, &[0])
            .access(Access::Describe);
        self.range_properties(self.default_properties(schema))
    }

    fn default_properties(self, schema: Schema) -> Schema {
        let schema = match self.shape() {
            Shape::Nothing => schema,
            Shape::Ints(count) => schema.ints(kOfxParamPropDefault, &vec![0; count]),
            Shape::Doubles(count) => schema.doubles(kOfxParamPropDefault, &vec![0.0; count]),
            Shape::Text => schema.texts(kOfxParamPropDefault, &[""]),
        };
        match self {
            Self::Choice => {
                schema.list_of_texts(kOfxParamPropChoiceOption).list_of_ints(kOfxParamPropChoiceOrder, &[])
            }
            Self::StrChoice => {
                schema.list_of_texts(kOfxParamPropChoiceOption).list_of_texts(kOfxParamPropChoiceEnum)
            }
            Self::String => schema
                .constant(kOfxParamPropStringMode, kOfxParamStringIsSingleLine)
                .ints(kOfxParamPropStringFilePathExists, &[1]),
            Self::Custom => schema.pointer(kOfxParamPropCustomInterpCallbackV1),
            Self::Integer2D | Self::Integer3D => {
                schema.list_of_constants(kOfxParamPropDimensionLabel, &[c"x", c"y", c"z"])
            }
            _ => schema,
        }
    }

    fn range_properties(self, schema: Schema) -> Schema {
        match self.shape() {
            Shape::Ints(count) if self.has_range() => schema
                .ints(kOfxParamPropMin, &vec![i32::MIN; count])
                .ints(kOfxParamPropMax, &vec![i32::MAX; count])
                .ints(kOfxParamPropDisplayMin, &vec![i32::MIN; count])
                .ints(kOfxParamPropDisplayMax, &vec![i32::MAX; count]),
            Shape::Doubles(count) => {
                let bound = if self.is_colour() { 1.0 } else { f64::MAX };
                let lowest = if self.is_colour() { 0.0 } else { f64::MIN };
                schema
                    .doubles(kOfxParamPropMin, &vec![f64::MIN; count])
                    .doubles(kOfxParamPropMax, &vec![f64::MAX; count])
                    .doubles(kOfxParamPropDisplayMin, &vec![lowest; count])
                    .doubles(kOfxParamPropDisplayMax, &vec![bound; count])
                    .doubles(kOfxParamPropIncrement, &[1.0])
                    .ints(kOfxParamPropDigits, &[2])
                    .constant(kOfxParamPropDoubleType, kOfxParamDoubleTypePlain)
                    .constant(kOfxParamPropDefaultCoordinateSystem, kOfxParamCoordinatesCanonical)
                    .ints(kOfxParamPropShowTimeMarker, &[0])
                    .list_of_constants(kOfxParamPropDimensionLabel, &[c"x", c"y", c"z"])
            }
            _ => schema,
        }
    }
}

fn interact_properties(schema: Schema) -> Schema {
    schema
        .pointer(kOfxParamPropInteractV1)
        .doubles(kOfxParamPropInteractSize, &[0.0, 0.0])
        .doubles(kOfxParamPropInteractSizeAspect, &[1.0])
        .doubles(kOfxParamPropInteractMinimumSize, &[10.0, 10.0])
        .ints(kOfxParamPropInteractPreferedSize, &[10, 10])
        .ints(kOfxParamPropHasHostOverlayHandle, &[0])
        .ints(kOfxParamPropUseHostOverlayHandle, &[0])
}

/// What a plug-in may still write on a parameter of an instance.
pub(crate) const EDITABLE: &[&CStr] = &[
    kOfxPropLabel,
    kOfxPropShortLabel,
    kOfxPropLongLabel,
    kOfxParamPropHint,
    kOfxParamPropSecret,
    kOfxParamPropEnabled,
    kOfxParamPropDataPtr,
    kOfxParamPropMin,
    kOfxParamPropMax,
    kOfxParamPropDisplayMin,
    kOfxParamPropDisplayMax,
    kOfxParamPropGroupOpen,
    kOfxParamPropEvaluateOnChange,
    kOfxParamPropPersistant,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_knows_its_name() {
        for (kind, name) in KINDS {
            assert_eq!(ParamKind::named(name), Some(kind));
            assert_eq!(kind.name(), name);
        }
        assert_eq!(ParamKind::named(c"OfxParamTypeParametric"), None);
    }
}
