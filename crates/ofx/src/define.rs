//! Defining parameters: one method per type, one descriptor for what they share.

use std::ffi::CStr;
use std::ops::RangeInclusive;

use openfx_sys as sys;

use crate::kinds::words;
use crate::props::tolerate;
use crate::suites::need;
use crate::{ContextDescriptor, PropertySet, Result, Status, Text};

words! {
    /// What a string parameter holds, and so how a host shows it.
    StringMode {
        /// One line of text.
        SingleLine = kOfxParamStringIsSingleLine,
        /// Text of several lines.
        MultiLine = kOfxParamStringIsMultiLine,
        /// The path of a file.
        FilePath = kOfxParamStringIsFilePath,
        /// The path of a folder.
        DirectoryPath = kOfxParamStringIsDirectoryPath,
        /// Text that users cannot edit.
        Label = kOfxParamStringIsLabel,
        /// Formatted text.
        RichText = kOfxParamStringIsRichTextFormat,
    }
}

words! {
    /// Which of its cached frames a host drops when a parameter changes.
    Invalidation {
        /// The frames on which the value changed.
        Value = kOfxParamInvalidateValueChange,
        /// Those and all later ones.
        ToEnd = kOfxParamInvalidateValueChangeToEnd,
        /// All.
        All = kOfxParamInvalidateAll,
    }
}

impl<'a> ContextDescriptor<'a> {
    /// # Errors
    /// A name or type the host refuses.
    fn define(&self, kind: &'static CStr, name: impl Text) -> Result<ParamDescriptor<'a>> {
        let (name, mut props) = (name.kept(), std::ptr::null_mut());
        let function = need(self.suites.parameter.paramDefine, "paramDefine")?;
        // SAFETY: the parameter set is the host's; type and name are never freed; the host writes
        // one handle.
        let status = unsafe { function(self.params, kind.as_ptr(), name.as_ptr(), &raw mut props) };
        Status(status).check("paramDefine", name.to_string_lossy())?;
        // SAFETY: the host just returned this property set for this action.
        let props = unsafe { PropertySet::new(self.suites, props, "parameter descriptor")? };
        Ok(ParamDescriptor { props })
    }

    /// Like [`Self::define`], for a type with values: not animated unless that is asked for.
    fn define_value(&self, kind: &'static CStr, name: impl Text) -> Result<ParamDescriptor<'a>> {
        let param = self.define(kind, name)?;
        param.animates(false);
        Ok(param)
    }

    /// Defines an integer. The range is the display's too, since hosts invent one otherwise.
    ///
    /// # Errors
    /// A name the host refuses.
    pub fn define_int(
        &self,
        name: impl Text,
        default: i32,
        range: RangeInclusive<i32>,
    ) -> Result<ParamDescriptor<'a>> {
        let param = self.define_value(sys::kOfxParamTypeInteger, name)?;
        param.int(sys::kOfxParamPropDefault, default);
        param.int(sys::kOfxParamPropMin, *range.start()).int(sys::kOfxParamPropMax, *range.end());
        param.display_int(range);
        Ok(param)
    }

    /// Defines a floating point number. The range is the display's too.
    ///
    /// # Errors
    /// A name the host refuses.
    pub fn define_double(
        &self,
        name: impl Text,
        default: f64,
        range: RangeInclusive<f64>,
    ) -> Result<ParamDescriptor<'a>> {
        let param = self.define_value(sys::kOfxParamTypeDouble, name)?;
        param.double(sys::kOfxParamPropDefault, default);
        param.double(sys::kOfxParamPropMin, *range.start()).double(sys::kOfxParamPropMax, *range.end());
        param.display_double(range);
        Ok(param)
    }

    /// Defines a truth value.
    ///
    /// # Errors
    /// A name the host refuses.
    pub fn define_boolean(&self, name: impl Text, default: bool) -> Result<ParamDescriptor<'a>> {
        let param = self.define_value(sys::kOfxParamTypeBoolean, name)?;
        param.int(sys::kOfxParamPropDefault, default.into());
        Ok(param)
    }

    /// Defines a choice; its value is the index of an option. Options never change afterwards.
    ///
    /// # Errors
    /// A name or an option the host refuses.
    pub fn define_choice(
        &self,
        name: impl Text,
        default: i32,
        options: &[&str],
    ) -> Result<ParamDescriptor<'a>> {
        let param = self.define_value(sys::kOfxParamTypeChoice, name)?;
        for (index, option) in (0..).zip(options) {
            param.props.set_string(sys::kOfxParamPropChoiceOption, index, option.kept())?;
        }
        param.int(sys::kOfxParamPropDefault, default);
        Ok(param)
    }

    /// Defines a string.
    ///
    /// # Errors
    /// A name the host refuses.
    pub fn define_string(
        &self,
        name: impl Text,
        default: impl Text,
        mode: StringMode,
    ) -> Result<ParamDescriptor<'a>> {
        let param = self.define_value(sys::kOfxParamTypeString, name)?;
        param.text(sys::kOfxParamPropStringMode, mode.word());
        param.text(sys::kOfxParamPropDefault, default.kept());
        Ok(param)
    }

    /// Defines a push button: pressing it sends InstanceChanged with its name.
    ///
    /// # Errors
    /// A name the host refuses.
    pub fn define_button(&self, name: impl Text) -> Result<ParamDescriptor<'a>> {
        self.define(sys::kOfxParamTypePushButton, name)
    }

    /// Defines a group, which other parameters name as their parent.
    ///
    /// # Errors
    /// A name the host refuses.
    pub fn define_group(&self, name: impl Text) -> Result<ParamDescriptor<'a>> {
        self.define(sys::kOfxParamTypeGroup, name)
    }

    /// Defines a page and what stands on it.
    ///
    /// # Errors
    /// A name or a child the host refuses.
    pub fn define_page(&self, name: impl Text, children: &[&str]) -> Result<ParamDescriptor<'a>> {
        let page = self.define(sys::kOfxParamTypePage, name)?;
        for (index, child) in (0..).zip(children) {
            page.props.set_string(sys::kOfxParamPropPageChild, index, child.kept())?;
        }
        Ok(page)
    }
}

/// A parameter being defined. Properties a host does not know are left out.
#[derive(Clone, Copy, Debug)]
pub struct ParamDescriptor<'a> {
    props: PropertySet<'a>,
}

impl<'a> ParamDescriptor<'a> {
    /// All properties, for what has no method here.
    #[must_use]
    pub fn props(&self) -> PropertySet<'a> {
        self.props
    }

    fn int(&self, name: &CStr, value: i32) -> &Self {
        tolerate(self.props.set_int(name, 0, value));
        self
    }

    fn double(&self, name: &CStr, value: f64) -> &Self {
        tolerate(self.props.set_double(name, 0, value));
        self
    }

    fn text(&self, name: &CStr, value: &'static CStr) -> &Self {
        tolerate(self.props.set_string(name, 0, value));
        self
    }

    /// The name users see.
    pub fn label(&self, label: impl Text) -> &Self {
        self.text(sys::kOfxPropLabel, label.kept())
    }

    /// What it does, for users.
    pub fn hint(&self, hint: impl Text) -> &Self {
        self.text(sys::kOfxParamPropHint, hint.kept())
    }

    /// The name scripts use, where it is not the parameter's own.
    pub fn script_name(&self, name: impl Text) -> &Self {
        self.text(sys::kOfxParamPropScriptName, name.kept())
    }

    /// The group it stands in.
    pub fn parent(&self, group: impl Text) -> &Self {
        self.text(sys::kOfxParamPropParent, group.kept())
    }

    /// Hidden from users. In Nuke a parameter hidden here stays hidden for ever: to show it at
    /// times, hide it on the instance.
    pub fn secret(&self, on: bool) -> &Self {
        self.int(sys::kOfxParamPropSecret, on.into())
    }

    /// Editable by users.
    pub fn enabled(&self, on: bool) -> &Self {
        self.int(sys::kOfxParamPropEnabled, on.into())
    }

    /// Saved with the project.
    pub fn persistent(&self, on: bool) -> &Self {
        self.int(sys::kOfxParamPropPersistant, on.into())
    }

    /// May vary over time.
    pub fn animates(&self, on: bool) -> &Self {
        self.int(sys::kOfxParamPropAnimates, on.into())
    }

    /// A change makes the host render again.
    pub fn evaluate_on_change(&self, on: bool) -> &Self {
        self.int(sys::kOfxParamPropEvaluateOnChange, on.into())
    }

    /// Changes go on the undo stack.
    pub fn can_undo(&self, on: bool) -> &Self {
        self.int(sys::kOfxParamPropCanUndo, on.into())
    }

    /// Which cached frames a change drops.
    pub fn invalidates(&self, what: Invalidation) -> &Self {
        self.text(sys::kOfxParamPropCacheInvalidation, what.word())
    }

    /// The range an integer's slider spans.
    pub fn display_int(&self, range: RangeInclusive<i32>) -> &Self {
        self.int(sys::kOfxParamPropDisplayMin, *range.start()).int(sys::kOfxParamPropDisplayMax, *range.end())
    }

    /// The range a floating point number's slider spans.
    pub fn display_double(&self, range: RangeInclusive<f64>) -> &Self {
        self.double(sys::kOfxParamPropDisplayMin, *range.start())
            .double(sys::kOfxParamPropDisplayMax, *range.end())
    }

    /// Digits shown after the point.
    pub fn digits(&self, digits: i32) -> &Self {
        self.int(sys::kOfxParamPropDigits, digits)
    }

    /// The step of a floating point number's arrows.
    pub fn increment(&self, step: f64) -> &Self {
        self.double(sys::kOfxParamPropIncrement, step)
    }

    /// Whether a group is shown unfolded.
    pub fn group_open(&self, on: bool) -> &Self {
        self.int(sys::kOfxParamPropGroupOpen, on.into())
    }

    /// Whether a path names something that exists: hosts then open a dialog to load, not to save.
    pub fn file_exists(&self, on: bool) -> &Self {
        self.int(sys::kOfxParamPropStringFilePathExists, on.into())
    }
}
