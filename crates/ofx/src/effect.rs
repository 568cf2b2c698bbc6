//! An instance during an action: its parameters, clips, messages, progress, time.

use std::ffi::{CStr, c_void};
use std::path::PathBuf;

use openfx_sys::{self as sys, OfxImageEffectHandle, OfxParamSetHandle};

use crate::suites::{Suites, need};
use crate::{
    Clip, Context, EditGroup, Error, Host, ImageMut, MessageKind, Param, ParamValue, Progress, PropertySet,
    Result, Settable, Status, message,
};

/// An instance of the effect, for the length of an action.
#[derive(Debug)]
pub struct Effect<'a> {
    suites: &'a Suites,
    handle: OfxImageEffectHandle,
    params: OfxParamSetHandle,
    props: PropertySet<'a>,
}

impl<'a> Effect<'a> {
    /// # Errors
    /// A null handle, or one the host itself does not know.
    ///
    /// # Safety
    /// `handle` is null or an instance of the host, valid during `'a`.
    pub(crate) unsafe fn new(suites: &'a Suites, handle: OfxImageEffectHandle) -> Result<Self> {
        // SAFETY: passed on.
        let props = unsafe { properties(suites, handle)? };
        let mut params = std::ptr::null_mut();
        let function = need(suites.effect.getParamSet, "getParamSet")?;
        // SAFETY: the caller vouches for the handle; the host writes one handle.
        Status(unsafe { function(handle, &raw mut params) }).check("getParamSet", "the effect")?;
        if params.is_null() {
            return Err(Error::NullHandle("parameter set"));
        }
        Ok(Self { suites, handle, params, props })
    }

    fn raw(&self) -> *mut c_void {
        self.handle.cast()
    }

    /// What the host said about itself.
    #[must_use]
    pub fn host(&self) -> &'a Host {
        &self.suites.host
    }

    /// All properties, for what has no method here.
    #[must_use]
    pub fn props(&self) -> PropertySet<'a> {
        self.props
    }

    /// The context it was created in; General where the host does not say.
    #[must_use]
    pub fn context(&self) -> Context {
        let word = self.props.string_or_empty(sys::kOfxImageEffectPropContext);
        Context::from_word(&word).unwrap_or(Context::General)
    }

    /// The bundle the plug-in was loaded from, where the host says.
    #[must_use]
    pub fn plugin_path(&self) -> Option<PathBuf> {
        let path = self.props.string(sys::kOfxPluginPropFilePath, 0).ok()?;
        (!path.is_empty()).then(|| path.into())
    }

    /// Whether a user sees it.
    #[must_use]
    pub fn is_interactive(&self) -> bool {
        self.props.flag_or(sys::kOfxPropIsInteractive, false)
    }

    /// A parameter by name.
    ///
    /// # Errors
    /// A name the plug-in has not defined.
    pub fn param(&self, name: &str) -> Result<Param<'a>> {
        // SAFETY: the parameter set lives as long as the action.
        unsafe { Param::find(self.suites, self.params, name) }
    }

    /// The value of a parameter now.
    ///
    /// # Errors
    /// As [`Self::param`] and [`Param::value`].
    pub fn value<T: ParamValue>(&self, name: &str) -> Result<T> {
        self.param(name)?.value()
    }

    /// The value of a parameter at a time in frames.
    ///
    /// # Errors
    /// As [`Self::param`] and [`Param::value_at`].
    pub fn value_at<T: ParamValue>(&self, name: &str, time: f64) -> Result<T> {
        self.param(name)?.value_at(time)
    }

    /// Sets a parameter; see [`Param::set`] for when.
    ///
    /// # Errors
    /// As [`Self::param`] and [`Param::set`].
    pub fn set<T: Settable>(&self, name: &str, value: T) -> Result<()> {
        self.param(name)?.set(value)
    }

    /// Makes all changes of parameters one step of undo, until the group is dropped.
    ///
    /// # Errors
    /// A name with a zero byte.
    pub fn edit_group(&self, name: &str) -> Result<EditGroup<'a>> {
        // SAFETY: the parameter set lives as long as the action.
        unsafe { EditGroup::begin(self.suites, self.params, name) }
    }

    /// A clip by name.
    ///
    /// # Errors
    /// A name the plug-in has not defined in this context.
    pub fn clip(&self, name: &str) -> Result<Clip<'a>> {
        // SAFETY: the instance lives as long as the action.
        unsafe { Clip::find(self.suites, self.handle, name) }
    }

    /// The clip `Source`.
    ///
    /// # Errors
    /// As [`Self::clip`].
    pub fn source(&self) -> Result<Clip<'a>> {
        self.clip("Source")
    }

    /// The output's image at the time rendered, in Render.
    ///
    /// # Errors
    /// A host that gives none.
    pub fn output(&self, time: f64) -> Result<ImageMut<'a>> {
        let image = self.clip("Output")?.image_mut(time)?;
        image.ok_or_else(|| Error::Image { clip: "Output".into(), what: "no pixels to write".into() })
    }

    /// Whether the host wants the render to stop. Only the thread that Render runs on is told.
    #[must_use]
    pub fn aborted(&self) -> bool {
        // SAFETY: the instance lives as long as the action.
        self.suites.effect.abort.is_some_and(|abort| unsafe { abort(self.handle) } != 0)
    }

    /// [`Error::Stopped`] if the host wants the render to stop.
    ///
    /// # Errors
    /// Only that.
    pub fn check_abort(&self) -> Result<()> {
        if self.aborted() { Err(Error::Stopped) } else { Ok(()) }
    }

    /// Opens the host's progress bar; `id` is for hosts that translate.
    #[must_use]
    pub fn progress(&self, label: &str, id: &str) -> Progress<'a> {
        // SAFETY: the instance lives as long as the action.
        unsafe { Progress::start(self.suites, self.handle, label, id) }
    }

    /// Shows a message, usually as a dialog: not for renders. Logged in hosts that have none.
    pub fn message(&self, kind: MessageKind, text: &str) {
        // SAFETY: the instance lives as long as the action.
        let _shown = unsafe { message::show(self.suites, self.raw(), kind.word(), text) };
    }

    /// Asks a question. None where the host does not answer it.
    #[must_use]
    pub fn ask(&self, text: &str) -> Option<bool> {
        // SAFETY: the instance lives as long as the action.
        match unsafe { message::show(self.suites, self.raw(), message::QUESTION, text) } {
            Status::REPLY_YES => Some(true),
            Status::REPLY_NO => Some(false),
            _ => None,
        }
    }

    /// Puts a message on the node until it is cleared. False where the host cannot.
    pub fn set_persistent(&self, kind: MessageKind, text: &str) -> bool {
        // SAFETY: the instance lives as long as the action.
        unsafe { message::set_persistent(self.suites, self.raw(), kind.word(), text) }
    }

    /// Takes the message off the node.
    pub fn clear_persistent(&self) {
        // SAFETY: the instance lives as long as the action.
        unsafe { message::clear_persistent(self.suites, self.raw()) }
    }

    /// The time line's current frame, where the host tells.
    #[must_use]
    pub fn time(&self) -> Option<f64> {
        let (mut time, function) = (0.0, self.suites.time_line?.getTime?);
        // SAFETY: the instance lives as long as the action; the host writes one number.
        let status = Status(unsafe { function(self.raw(), &raw mut time) });
        (status == Status::OK).then_some(time)
    }

    /// The time line's first and last frame, where the host tells.
    #[must_use]
    pub fn time_bounds(&self) -> Option<(f64, f64)> {
        let (mut first, mut last) = (0.0, 0.0);
        let function = self.suites.time_line?.getTimeBounds?;
        // SAFETY: the instance lives as long as the action; the host writes two numbers.
        let status = Status(unsafe { function(self.raw(), &raw mut first, &raw mut last) });
        (status == Status::OK).then_some((first, last))
    }

    /// Moves the time line to a frame. False where the host does not.
    pub fn goto(&self, time: f64) -> bool {
        let function = self.suites.time_line.and_then(|suite| suite.gotoTime);
        // SAFETY: the instance lives as long as the action.
        function.is_some_and(|goto| Status(unsafe { goto(self.raw(), time) }) == Status::OK)
    }

    /// How many threads the host wants to be used, where it tells.
    #[must_use]
    pub fn cpus(&self) -> Option<u32> {
        let (mut count, function) = (0, self.suites.multi_thread?.multiThreadNumCPUs?);
        // SAFETY: the host writes one number.
        let status = Status(unsafe { function(&raw mut count) });
        (status == Status::OK && count > 0).then_some(count)
    }

    /// Width and height of the project in canonical coordinates.
    ///
    /// # Errors
    /// A host that does not say.
    pub fn project_size(&self) -> Result<[f64; 2]> {
        self.props.doubles(sys::kOfxImageEffectPropProjectSize)
    }

    /// Lower left corner of the project in canonical coordinates.
    ///
    /// # Errors
    /// A host that does not say.
    pub fn project_offset(&self) -> Result<[f64; 2]> {
        self.props.doubles(sys::kOfxImageEffectPropProjectOffset)
    }

    /// Upper right corner of the whole picture in canonical coordinates.
    ///
    /// # Errors
    /// A host that does not say.
    pub fn project_extent(&self) -> Result<[f64; 2]> {
        self.props.doubles(sys::kOfxImageEffectPropProjectExtent)
    }

    /// The project's width of a pixel over its height; 1 where the host does not say.
    #[must_use]
    pub fn pixel_aspect_ratio(&self) -> f64 {
        self.props.double_or(sys::kOfxImageEffectPropProjectPixelAspectRatio, 1.0)
    }

    /// The project's frames per second, where the host says.
    #[must_use]
    pub fn frame_rate(&self) -> Option<f64> {
        self.props.double(sys::kOfxImageEffectPropFrameRate, 0).ok()
    }

    /// How many frames the effect lasts, where the host says.
    #[must_use]
    pub fn duration(&self) -> Option<f64> {
        self.props.double(sys::kOfxImageEffectInstancePropEffectDuration, 0).ok()
    }
}

/// The properties of a descriptor or an instance.
///
/// # Safety
/// `handle` is null or an effect of the host, valid during `'a`.
pub(crate) unsafe fn properties(suites: &Suites, handle: OfxImageEffectHandle) -> Result<PropertySet<'_>> {
    if handle.is_null() {
        return Err(Error::NullHandle("effect"));
    }
    let mut props = std::ptr::null_mut();
    let function = need(suites.effect.getPropertySet, "getPropertySet")?;
    // SAFETY: the caller vouches for the handle; the host writes one handle.
    Status(unsafe { function(handle, &raw mut props) }).check("getPropertySet", "the effect")?;
    // SAFETY: the host just returned this property set for this action.
    unsafe { PropertySet::new(suites, props, "effect's properties") }
}

/// A C string of the host as text, for names of actions.
///
/// # Safety
/// `text` is null or a C string that lives as long as `'a`.
pub(crate) unsafe fn word<'a>(text: *const std::ffi::c_char) -> Option<&'a CStr> {
    // SAFETY: the caller vouches for the string.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}
