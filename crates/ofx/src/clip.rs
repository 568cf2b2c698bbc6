//! Clips of an instance: what is connected, its range and kind, its images.

use openfx_sys::{self as sys, OfxImageClipHandle, OfxRectD};

use crate::suites::{Suites, need};
use crate::{
    Components, Depth, Error, Field, Image, ImageMut, Premultiplication, PropertySet, RectD, Result, Status,
    image, text,
};

/// One clip of an instance, for the length of an action.
#[derive(Clone, Debug)]
pub struct Clip<'a> {
    name: String,
    handle: OfxImageClipHandle,
    props: PropertySet<'a>,
}

impl<'a> Clip<'a> {
    /// # Safety
    /// `effect` is an instance of the host, valid during `'a`.
    pub(crate) unsafe fn find(
        suites: &'a Suites,
        effect: sys::OfxImageEffectHandle,
        name: &str,
    ) -> Result<Self> {
        let (mut handle, mut props) = (std::ptr::null_mut(), std::ptr::null_mut());
        let passed = text::passing(name)?;
        let function = need(suites.effect.clipGetHandle, "clipGetHandle")?;
        // SAFETY: the caller vouches for the instance; the host writes two handles.
        let status = unsafe { function(effect, passed.as_ptr(), &raw mut handle, &raw mut props) };
        Status(status).check("clipGetHandle", name)?;
        if handle.is_null() {
            return Err(Error::NullHandle("clip"));
        }
        // SAFETY: the host just returned this property set for this action.
        let props = unsafe { PropertySet::new(suites, props, "clip's properties")? };
        Ok(Self { name: name.to_owned(), handle, props })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All properties, for what has no method here.
    #[must_use]
    pub fn props(&self) -> PropertySet<'a> {
        self.props
    }

    /// Whether the host says that something is connected. Some say nothing (taken for a yes) and
    /// some always yes: only an image's pixels settle it.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.props.flag_or(sys::kOfxImageClipPropConnected, true)
    }

    /// First and last frame, as the effect sees them.
    #[must_use]
    pub fn frame_range(&self) -> Option<(f64, f64)> {
        self.range(sys::kOfxImageEffectPropFrameRange)
    }

    /// First and last frame before the host fitted the clip to the effect's frame rate.
    #[must_use]
    pub fn unmapped_frame_range(&self) -> Option<(f64, f64)> {
        self.range(sys::kOfxImageEffectPropUnmappedFrameRange)
    }

    fn range(&self, name: &std::ffi::CStr) -> Option<(f64, f64)> {
        self.props.doubles(name).ok().map(|[first, last]| (first, last))
    }

    /// Frames per second, where the host says.
    #[must_use]
    pub fn frame_rate(&self) -> Option<f64> {
        self.props.double(sys::kOfxImageEffectPropFrameRate, 0).ok()
    }

    /// Width of a pixel over its height; 1 where the host does not say.
    #[must_use]
    pub fn pixel_aspect_ratio(&self) -> f64 {
        self.props.double_or(sys::kOfxImagePropPixelAspectRatio, 1.0)
    }

    /// What alpha means for the colours; where the host does not say, they are premultiplied.
    #[must_use]
    pub fn premultiplication(&self) -> Premultiplication {
        let word = self.props.string_or_empty(sys::kOfxImageEffectPropPreMultiplication);
        Premultiplication::from_word(&word).unwrap_or(Premultiplication::Premultiplied)
    }

    /// The components its images have; none for an unconnected clip.
    #[must_use]
    pub fn components(&self) -> Option<Components> {
        Components::from_word(&self.props.string_or_empty(sys::kOfxImageEffectPropComponents))
    }

    /// The depth its images have; none for an unconnected clip.
    #[must_use]
    pub fn depth(&self) -> Option<Depth> {
        Depth::from_word(&self.props.string_or_empty(sys::kOfxImageEffectPropPixelDepth))
    }

    /// Which field comes first; whole frames where the host does not say.
    #[must_use]
    pub fn field_order(&self) -> Field {
        Field::from_word(&self.props.string_or_empty(sys::kOfxImageClipPropFieldOrder)).unwrap_or(Field::None)
    }

    /// Where it has pixels at a time, in canonical coordinates.
    ///
    /// # Errors
    /// A host that refuses, as for an unconnected clip.
    pub fn region_of_definition(&self, time: f64) -> Result<RectD> {
        let mut bounds = OfxRectD::default();
        let function =
            need(self.props.suites().effect.clipGetRegionOfDefinition, "clipGetRegionOfDefinition")?;
        // SAFETY: the clip lives as long as the action; the host writes one rectangle.
        let status = unsafe { function(self.handle, time, &raw mut bounds) };
        Status(status).check("clipGetRegionOfDefinition", &self.name)?;
        Ok(bounds.into())
    }

    /// The image at a time in frames. None where the host has none: it says so, or there are no
    /// pixels, as with unconnected clips that look connected. Legal in Render, and in
    /// InstanceChanged after a user's edit.
    ///
    /// # Errors
    /// A host that refuses for another reason, or an image that makes no sense.
    pub fn image(&self, time: f64) -> Result<Option<Image<'a>>> {
        // SAFETY: the clip lives as long as the action.
        unsafe { image::fetch(self.props.suites(), self.handle, &self.name, time, None) }
    }

    /// The image at a time, at least the part inside a region in canonical coordinates.
    ///
    /// # Errors
    /// As [`Self::image`].
    pub fn image_in(&self, time: f64, region: RectD) -> Result<Option<Image<'a>>> {
        // SAFETY: the clip lives as long as the action.
        unsafe { image::fetch(self.props.suites(), self.handle, &self.name, time, Some(region.into())) }
    }

    /// The image at a time, to be written: for the output clip, in Render, once.
    ///
    /// # Errors
    /// As [`Self::image`].
    pub fn image_mut(&self, time: f64) -> Result<Option<ImageMut<'a>>> {
        Ok(self.image(time)?.map(ImageMut))
    }
}
