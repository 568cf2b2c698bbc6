//! Images: bounds, row bytes, depths and components solved once; rows as f32 RGBA.

use std::ops::{Deref, Range};

use openfx_sys::{self as sys, OfxPropertySetHandle};

use crate::props::tolerate;
use crate::suites::{Suites, need};
use crate::{
    Components, Depth, Error, Field, Premultiplication, PropertySet, RectI, Result, Status, convert,
};

/// An image of a clip, released when dropped. Pixel coordinates, y upwards.
///
/// May be read by several threads at once (`Sync`), is released by the one that fetched it.
#[derive(Debug)]
pub struct Image<'a> {
    fetched: Fetched<'a>,
    pixels: Pixels,
}

/// Where the pixels lie. `first` is the pixel at `(bounds.x1, bounds.y1)`: the bottom row, from
/// which rows go up in memory where `row_bytes` is positive and down where it is negative.
#[derive(Clone, Copy, Debug)]
struct Pixels {
    first: *mut u8,
    row_bytes: isize,
    bounds: RectI,
    depth: Depth,
    components: Components,
}

/// The host's handle of an image, given back when dropped.
#[derive(Debug)]
struct Fetched<'a> {
    suites: &'a Suites,
    handle: OfxPropertySetHandle,
}

impl Drop for Fetched<'_> {
    fn drop(&mut self) {
        if let Some(release) = self.suites.effect.clipReleaseImage {
            // SAFETY: the host returned this handle for this action, and it is released once.
            tolerate(Status(unsafe { release(self.handle) }).check("clipReleaseImage", "an image"));
        }
    }
}

// SAFETY: through `&Image` memory is only read, and properties are read by functions that every
// host's render threads call at the same time.
unsafe impl Sync for Image<'_> {}

impl<'a> Image<'a> {
    /// Takes over what clipGetImage returned; none where there are no pixels behind it.
    ///
    /// # Errors
    /// A description that makes no sense, named with the clip.
    ///
    /// # Safety
    /// `handle` is an image the host has just returned, with as many pixels as it says.
    pub(crate) unsafe fn take(
        suites: &'a Suites,
        handle: OfxPropertySetHandle,
        clip: &str,
    ) -> Result<Option<Self>> {
        if handle.is_null() {
            return Ok(None);
        }
        let fetched = Fetched { suites, handle };
        // SAFETY: an image is a property set; it lives until `fetched` is dropped.
        let props = unsafe { PropertySet::new(suites, handle, "image")? };
        let first = props.pointer(sys::kOfxImagePropData, 0).unwrap_or(std::ptr::null_mut());
        if first.is_null() {
            return Ok(None);
        }
        let pixels = Pixels::read(props, first.cast(), clip)?;
        Ok(Some(Self { fetched, pixels }))
    }

    /// All properties, for what has no method here.
    #[must_use]
    pub fn props(&self) -> PropertySet<'_> {
        // SAFETY: the handle is alive as long as `self`, and was not null.
        let props = unsafe { PropertySet::new(self.fetched.suites, self.fetched.handle, "image") };
        props.unwrap_or_else(|_| unreachable!("an image's handle is not null"))
    }

    /// The pixels there are; reading elsewhere gives 0.
    #[must_use]
    pub fn bounds(&self) -> RectI {
        self.pixels.bounds
    }

    /// Bytes from a row to the one above it; negative in some hosts.
    #[must_use]
    pub fn row_bytes(&self) -> isize {
        self.pixels.row_bytes
    }

    /// The sample type in the host's memory.
    #[must_use]
    pub fn depth(&self) -> Depth {
        self.pixels.depth
    }

    /// The channels in the host's memory.
    #[must_use]
    pub fn components(&self) -> Components {
        self.pixels.components
    }

    /// What alpha means for the colours; where the host does not say, they are premultiplied.
    #[must_use]
    pub fn premultiplication(&self) -> Premultiplication {
        let word = self.props().string_or_empty(sys::kOfxImageEffectPropPreMultiplication);
        Premultiplication::from_word(&word).unwrap_or(Premultiplication::Premultiplied)
    }

    /// Width of a pixel over its height; 1 where the host does not say.
    #[must_use]
    pub fn pixel_aspect_ratio(&self) -> f64 {
        self.props().double_or(sys::kOfxImagePropPixelAspectRatio, 1.0)
    }

    /// Scale of the image against full size, in x and y; 1 where the host does not say.
    #[must_use]
    pub fn scale(&self) -> [f64; 2] {
        self.props().doubles(sys::kOfxImageEffectPropRenderScale).unwrap_or([1.0, 1.0])
    }

    /// Which lines it holds; whole frames where the host does not say.
    #[must_use]
    pub fn field(&self) -> Field {
        Field::from_word(&self.props().string_or_empty(sys::kOfxImagePropField)).unwrap_or(Field::None)
    }

    /// The host's name for exactly these pixels; empty where it has none.
    #[must_use]
    pub fn unique_id(&self) -> String {
        self.props().string_or_empty(sys::kOfxImagePropUniqueIdentifier)
    }

    /// Where the clip has pixels at this time, in pixels; the bounds where the host does not say.
    #[must_use]
    pub fn region_of_definition(&self) -> RectI {
        self.props().ints(sys::kOfxImagePropRegionOfDefinition).map_or(self.bounds(), RectI::from)
    }

    /// Reads pixels of row `y` from `x1` on as interleaved RGBA, a quarter of `out.len()` of them.
    /// Outside the bounds they are 0. Integers become 0..1; RGB has alpha 1; alpha alone is black
    /// with that alpha. Colour space and premultiplication are the clip's.
    pub fn read_row(&self, y: i32, x1: i32, out: &mut [f32]) {
        out.fill(0.0);
        if let Some((span, at)) = self.pixels.overlap(y, x1, out.len() / 4) {
            // SAFETY: `overlap` answers with pixels inside the bounds; nobody writes them meanwhile.
            let bytes = unsafe {
                std::slice::from_raw_parts(self.pixels.address(y, span.start), self.pixels.bytes(&span))
            };
            convert::decode(self.pixels.depth, self.pixels.components, bytes, &mut out[4 * at..]);
        }
    }

    /// One pixel as RGBA, as [`Self::read_row`] has it.
    #[must_use]
    pub fn pixel(&self, x: i32, y: i32) -> [f32; 4] {
        let mut rgba = [0.0; 4];
        self.read_row(y, x, &mut rgba);
        rgba
    }
}

/// An image that may be written: the output's.
#[derive(Debug)]
pub struct ImageMut<'a>(pub(crate) Image<'a>);

impl<'a> Deref for ImageMut<'a> {
    type Target = Image<'a>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl ImageMut<'_> {
    /// Writes interleaved RGBA to row `y` from `x1` on; what falls outside the bounds is dropped.
    /// Integers are rounded and clamped; RGB drops alpha, alpha alone drops the colours.
    pub fn write_row(&mut self, y: i32, x1: i32, rgba: &[f32]) {
        let pixels = self.0.pixels;
        if let Some((span, at)) = pixels.overlap(y, x1, rgba.len() / 4) {
            // SAFETY: `overlap` answers with pixels inside the bounds; `&mut self` is the only way
            // to them here.
            let bytes =
                unsafe { std::slice::from_raw_parts_mut(pixels.address(y, span.start), pixels.bytes(&span)) };
            convert::encode(pixels.depth, pixels.components, &rgba[4 * at..], bytes);
        }
    }

    /// Copies a window of another image; equal depths and components keep every value exactly.
    pub fn copy_from(&mut self, source: &Image<'_>, window: RectI) {
        let window = window.intersect(self.bounds());
        let mut row = vec![0.0; window.width() * 4];
        for y in window.y1..window.y2 {
            source.read_row(y, window.x1, &mut row);
            self.write_row(y, window.x1, &row);
        }
    }

    /// Fills a window with one colour.
    pub fn fill(&mut self, window: RectI, rgba: [f32; 4]) {
        let window = window.intersect(self.bounds());
        let row = rgba.repeat(window.width());
        for y in window.y1..window.y2 {
            self.write_row(y, window.x1, &row);
        }
    }
}

impl Pixels {
    fn read(props: PropertySet<'_>, first: *mut u8, clip: &str) -> Result<Self> {
        let pixels = Self {
            first,
            row_bytes: props.int(sys::kOfxImagePropRowBytes, 0)? as isize,
            bounds: props.ints(sys::kOfxImagePropBounds)?.into(),
            depth: word(props, sys::kOfxImageEffectPropPixelDepth, clip, Depth::from_word)?,
            components: word(props, sys::kOfxImageEffectPropComponents, clip, Components::from_word)?,
        };
        pixels.check(clip)
    }

    /// Rows that overlap would make two rows of one memory, and a write to one a change of both.
    fn check(self, clip: &str) -> Result<Self> {
        let row = self.bounds.width() * self.pixel_bytes();
        if self.bounds.height() <= 1 || self.row_bytes.unsigned_abs() >= row {
            return Ok(self);
        }
        let what = format!("{} bytes from row to row, {} pixels wide", self.row_bytes, self.bounds.width());
        Err(Error::Image { clip: clip.to_owned(), what })
    }

    fn pixel_bytes(&self) -> usize {
        self.depth.bytes() * self.components.count()
    }

    fn bytes(&self, span: &Range<i32>) -> usize {
        span.len() * self.pixel_bytes()
    }

    /// The columns of `count` pixels from `x1` on that exist in row `y`, and how many come before.
    fn overlap(&self, y: i32, x1: i32, count: usize) -> Option<(Range<i32>, usize)> {
        let x2 = i32::try_from(i64::from(x1).saturating_add_unsigned(count as u64)).unwrap_or(i32::MAX);
        let wanted = RectI::new(x1, y, x2, y.saturating_add(1)).intersect(self.bounds);
        (!wanted.is_empty()).then(|| (wanted.x1..wanted.x2, (i64::from(wanted.x1) - i64::from(x1)) as usize))
    }

    /// Where pixel `(x, y)`, which is inside the bounds, begins.
    fn address(&self, y: i32, x: i32) -> *mut u8 {
        let row = (i64::from(y) - i64::from(self.bounds.y1)) as isize * self.row_bytes;
        let column = (i64::from(x) - i64::from(self.bounds.x1)) as isize * self.pixel_bytes() as isize;
        self.first.wrapping_offset(row + column)
    }
}

/// A word of the standard, or an error that says which word an image had instead.
fn word<T>(
    props: PropertySet<'_>,
    name: &std::ffi::CStr,
    clip: &str,
    parse: fn(&str) -> Option<T>,
) -> Result<T> {
    let word = props.string(name, 0)?;
    parse(&word).ok_or_else(|| Error::Image {
        clip: clip.to_owned(),
        what: format!("{} {word:?}", name.to_string_lossy()),
    })
}

/// Fetches an image. None where the host has none: it says Failed, or there are no pixels.
///
/// # Safety
/// `clip` is a clip of the host, valid during `'a`.
pub(crate) unsafe fn fetch<'a>(
    suites: &'a Suites,
    clip: sys::OfxImageClipHandle,
    name: &str,
    time: f64,
    region: Option<sys::OfxRectD>,
) -> Result<Option<Image<'a>>> {
    let mut handle = std::ptr::null_mut();
    let region = region.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let function = need(suites.effect.clipGetImage, "clipGetImage")?;
    // SAFETY: the caller vouches for the clip; the region is null or alive; the host writes one handle.
    let status = Status(unsafe { function(clip, time, region, &raw mut handle) });
    if status == Status::FAILED {
        return Ok(None);
    }
    status.check("clipGetImage", format_args!("{name} at {time}"))?;
    // SAFETY: the host has just returned this image.
    unsafe { Image::take(suites, handle, name) }
}
