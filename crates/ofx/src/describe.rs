//! Describing: what the effect is, which clips and parameters it has in a context.

use openfx_sys::{self as sys, OfxImageEffectHandle, OfxParamSetHandle, OfxPropertySetHandle};

use crate::props::tolerate;
use crate::suites::{Suites, need};
use crate::{Components, Context, Depth, Error, PropertySet, RenderSafety, Result, Status, Text};

/// The effect's own properties, in Describe. Properties a host does not know are left out.
#[derive(Clone, Copy, Debug)]
pub struct EffectDescriptor<'a> {
    props: PropertySet<'a>,
}

impl<'a> EffectDescriptor<'a> {
    /// Begins with what holds for most effects: whole frames, one depth and one pixel aspect ratio
    /// for all clips, no splitting of a frame over threads, frames in any order and number at once.
    pub(crate) fn new(props: PropertySet<'a>) -> Self {
        let new = Self { props };
        new.tiles(false).multiple_clip_depths(false).multiple_clip_pars(false);
        new.host_frame_threading(false).sequential_render(false).single_instance(false);
        new.render_safety(RenderSafety::FullySafe);
        new
    }

    /// All properties, for what has no method here.
    #[must_use]
    pub fn props(&self) -> PropertySet<'a> {
        self.props
    }

    fn flag(&self, name: &std::ffi::CStr, value: bool) -> &Self {
        tolerate(self.props.set_int(name, 0, value.into()));
        self
    }

    fn text(&self, name: &std::ffi::CStr, value: &'static std::ffi::CStr) -> &Self {
        tolerate(self.props.set_string(name, 0, value));
        self
    }

    /// The name users see, short, normal and long alike.
    pub fn label(&self, label: impl Text) -> &Self {
        let label = label.kept();
        self.labels(label, label, label)
    }

    /// The name users see, in three lengths.
    pub fn labels(&self, short: impl Text, label: impl Text, long: impl Text) -> &Self {
        self.text(sys::kOfxPropLabel, label.kept())
            .text(sys::kOfxPropShortLabel, short.kept())
            .text(sys::kOfxPropLongLabel, long.kept())
    }

    /// The menu it stands in; levels are separated by `/`.
    pub fn grouping(&self, menu: impl Text) -> &Self {
        self.text(sys::kOfxImageEffectPluginPropGrouping, menu.kept())
    }

    /// What it does, for users.
    pub fn description(&self, text: impl Text) -> &Self {
        self.text(sys::kOfxPropPluginDescription, text.kept())
    }

    /// The version, most significant part first, and as users see it.
    pub fn version(&self, parts: &[i32], label: impl Text) -> &Self {
        for (index, part) in (0..).zip(parts) {
            tolerate(self.props.set_int(sys::kOfxPropVersion, index, *part));
        }
        self.text(sys::kOfxPropVersionLabel, label.kept())
    }

    /// The contexts it works in.
    pub fn contexts(&self, contexts: &[Context]) -> &Self {
        let words: Vec<_> = contexts.iter().map(|c| c.word()).collect();
        tolerate(self.props.set_strings(sys::kOfxImageEffectPropSupportedContexts, &words));
        self
    }

    /// The depths it reads and writes.
    pub fn depths(&self, depths: &[Depth]) -> &Self {
        let words: Vec<_> = depths.iter().map(|d| d.word()).collect();
        tolerate(self.props.set_strings(sys::kOfxImageEffectPropSupportedPixelDepths, &words));
        self
    }

    /// Whether it fetches images at other times than the one rendered (each such clip says so too).
    pub fn temporal_access(&self, on: bool) -> &Self {
        self.flag(sys::kOfxImageEffectPropTemporalClipAccess, on)
    }

    /// Whether it renders parts of a frame from parts of its inputs.
    pub fn tiles(&self, on: bool) -> &Self {
        self.flag(sys::kOfxImageEffectPropSupportsTiles, on)
    }

    /// Whether its clips may differ in size.
    pub fn multi_resolution(&self, on: bool) -> &Self {
        self.flag(sys::kOfxImageEffectPropSupportsMultiResolution, on)
    }

    /// Whether its clips may differ in depth.
    pub fn multiple_clip_depths(&self, on: bool) -> &Self {
        self.flag(sys::kOfxImageEffectPropSupportsMultipleClipDepths, on)
    }

    /// Whether its clips may differ in pixel aspect ratio.
    pub fn multiple_clip_pars(&self, on: bool) -> &Self {
        self.flag(sys::kOfxImageEffectPropSupportsMultipleClipPARs, on)
    }

    /// Whether there may be only one instance.
    pub fn single_instance(&self, on: bool) -> &Self {
        self.flag(sys::kOfxImageEffectPluginPropSingleInstance, on)
    }

    /// What may render at the same time.
    pub fn render_safety(&self, safety: RenderSafety) -> &Self {
        self.text(sys::kOfxImageEffectPluginRenderThreadSafety, safety.word())
    }

    /// Whether the host may split a frame over threads.
    pub fn host_frame_threading(&self, on: bool) -> &Self {
        self.flag(sys::kOfxImageEffectPluginPropHostFrameThreading, on)
    }

    /// Whether frames have to be rendered in order.
    pub fn sequential_render(&self, on: bool) -> &Self {
        self.flag(sys::kOfxImageEffectInstancePropSequentialRender, on)
    }
}

/// The effect in one context, in DescribeInContext: define clips and parameters here.
#[derive(Debug)]
pub struct ContextDescriptor<'a> {
    pub(crate) suites: &'a Suites,
    effect: OfxImageEffectHandle,
    pub(crate) params: OfxParamSetHandle,
}

impl<'a> ContextDescriptor<'a> {
    /// # Safety
    /// `effect` is the host's descriptor, valid during `'a`.
    pub(crate) unsafe fn new(suites: &'a Suites, effect: OfxImageEffectHandle) -> Result<Self> {
        let mut params = std::ptr::null_mut();
        let function = need(suites.effect.getParamSet, "getParamSet")?;
        // SAFETY: the caller vouches for the handle; the host writes one handle.
        Status(unsafe { function(effect, &raw mut params) }).check("getParamSet", "the descriptor")?;
        if params.is_null() {
            Err(Error::NullHandle("parameter set"))
        } else {
            Ok(Self { suites, effect, params })
        }
    }

    /// Defines a clip. Filter and General contexts need `Source` and `Output`.
    ///
    /// # Errors
    /// A name the host refuses.
    pub fn define_clip(&self, name: impl Text) -> Result<ClipDescriptor<'a>> {
        let (name, mut props): (_, OfxPropertySetHandle) = (name.kept(), std::ptr::null_mut());
        let function = need(self.suites.effect.clipDefine, "clipDefine")?;
        // SAFETY: the descriptor is alive, the name is never freed, the host writes one handle.
        let status = unsafe { function(self.effect, name.as_ptr(), &raw mut props) };
        Status(status).check("clipDefine", name.to_string_lossy())?;
        // SAFETY: the host just returned this property set for this action.
        Ok(ClipDescriptor { props: unsafe { PropertySet::new(self.suites, props, "clip descriptor")? } })
    }

    /// Sets the order of the pages.
    pub fn page_order(&self, pages: &[&str]) -> &Self {
        if let Ok(props) = self.param_set_props() {
            let pages: Vec<_> = pages.iter().map(|page| page.kept()).collect();
            tolerate(props.set_strings(sys::kOfxPluginPropParamPageOrder, &pages));
        }
        self
    }

    fn param_set_props(&self) -> Result<PropertySet<'a>> {
        let mut props = std::ptr::null_mut();
        let function = need(self.suites.parameter.paramSetGetPropertySet, "paramSetGetPropertySet")?;
        // SAFETY: the parameter set came from the host in this action; it writes one handle.
        Status(unsafe { function(self.params, &raw mut props) })
            .check("paramSetGetPropertySet", "the effect")?;
        // SAFETY: the host just returned this property set for this action.
        unsafe { PropertySet::new(self.suites, props, "parameter set's properties") }
    }
}

/// A clip being defined. Properties a host does not know are left out.
#[derive(Clone, Copy, Debug)]
pub struct ClipDescriptor<'a> {
    props: PropertySet<'a>,
}

impl<'a> ClipDescriptor<'a> {
    /// All properties, for what has no method here.
    #[must_use]
    pub fn props(&self) -> PropertySet<'a> {
        self.props
    }

    fn flag(&self, name: &std::ffi::CStr, value: bool) -> &Self {
        tolerate(self.props.set_int(name, 0, value.into()));
        self
    }

    /// The name users see.
    pub fn label(&self, label: impl Text) -> &Self {
        tolerate(self.props.set_string(sys::kOfxPropLabel, 0, label.kept()));
        self
    }

    /// The components it takes, the best first.
    pub fn components(&self, components: &[Components]) -> &Self {
        let words: Vec<_> = components.iter().map(|c| c.word()).collect();
        tolerate(self.props.set_strings(sys::kOfxImageEffectPropSupportedComponents, &words));
        self
    }

    /// Whether the effect works without it.
    pub fn optional(&self, on: bool) -> &Self {
        self.flag(sys::kOfxImageClipPropOptional, on)
    }

    /// Whether it is a mask: hosts offer rotoscopes and alpha channels for it.
    pub fn mask(&self, on: bool) -> &Self {
        self.flag(sys::kOfxImageClipPropIsMask, on)
    }

    /// Whether images are fetched from it at other times than the one rendered.
    pub fn temporal_access(&self, on: bool) -> &Self {
        self.flag(sys::kOfxImageEffectPropTemporalClipAccess, on)
    }

    /// Whether parts of its images may be fetched.
    pub fn tiles(&self, on: bool) -> &Self {
        self.flag(sys::kOfxImageEffectPropSupportsTiles, on)
    }
}
