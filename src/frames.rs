//! Host images and frames: the one place where the two meet, and where rows turn upside down.
//!
//! OpenFX counts rows from the bottom, a [`Frame`] from the top. A [`Raster`] is where a clip's full
//! frame lies in the host's pixel coordinates; rows and columns are said relative to one.

use std::fmt;

use lora_edit_shot::colour::unpremultiply;
use lora_edit_shot::{Frame, Rect};
use ofx::{Clip, Components, Effect, Image, ImageMut, Premultiplication, RectI, Result};

use crate::settings::MaskUse;

/// Where the full frame lies in the host's pixel coordinates, at the scale of the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raster(RectI);

impl Raster {
    /// Width and height in pixels.
    pub fn size(self) -> [u32; 2] {
        [self.0.width() as u32, self.0.height() as u32]
    }

    /// Whether both have their lower left corner in the same place.
    pub fn shares_corner(self, other: Self) -> bool {
        (self.0.x1, self.0.y1) == (other.0.x1, other.0.y1)
    }

    /// The host's rectangle in frame coordinates: y down from the frame's top left corner.
    pub fn to_frame(self, host: RectI) -> Rect {
        let RectI { x1, y2, .. } = self.0;
        Rect::new(host.x1 - x1, y2 - host.y2, host.x2 - x1, y2 - host.y1)
    }

    /// The host's column of the frame's column `x`.
    fn host_x(self, x: i32) -> i32 {
        self.0.x1 + x
    }

    /// The host's row of the frame's row `y`.
    fn host_y(self, y: i32) -> i32 {
        self.0.y2 - 1 - y
    }
}

/// `1920x1080`, and where it lies if not at the origin.
impl fmt::Display for Raster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [width, height] = self.size();
        write!(f, "{width}x{height}")?;
        match (self.0.x1, self.0.y1) {
            (0, 0) => Ok(()),
            (x, y) => write!(f, " at {x},{y}"),
        }
    }
}

/// A clip's image at a time, over the raster of its full frame.
pub struct HostFrame<'a> {
    image: Image<'a>,
    raster: Raster,
}

impl<'a> HostFrame<'a> {
    /// Fetches a clip's frame; none where the host has no pixels for it.
    ///
    /// # Errors
    /// An image whose description makes no sense.
    pub fn fetch(clip: &Clip<'a>, time: f64) -> Result<Option<Self>> {
        let image = clip.image(time)?;
        Ok(image.map(|image| Self { raster: Raster(image.region_of_definition()), image }))
    }

    /// Where its full frame lies.
    pub fn raster(&self) -> Raster {
        self.raster
    }

    /// Its scale against full size, in x and y: below 1 for a proxy.
    pub fn scale(&self) -> [f64; 2] {
        self.image.scale()
    }

    /// The whole frame as RGBA, colours divided by alpha where the clip is premultiplied. Pixels that the
    /// image does not hold are black and transparent.
    pub fn picture(&self) -> Frame {
        let [width, height] = self.raster.size().map(|side| side as usize);
        let mut frame = Frame::new(width, height, 4);
        for y in 0..height {
            self.read_row(self.raster, y as i32, 0, frame.row_mut(y));
        }
        if self.is_premultiplied() {
            unpremultiply(&mut frame);
        }
        frame
    }

    /// As RGBA, the pixels from column `x` of row `y` of the frame over `raster` on.
    pub fn read_row(&self, raster: Raster, y: i32, x: i32, rgba: &mut [f32]) {
        self.image.read_row(raster.host_y(y), raster.host_x(x), rgba);
    }

    /// Multiplies a picture that lies at `place` in the frame by this image's alpha, if that is
    /// premultiplied. A plate without alpha (all 0, as Nuke hands over an RGB file) is opaque.
    pub fn premultiply(&self, picture: &mut Frame, place: Rect) {
        if !self.is_premultiplied() {
            return;
        }
        let alpha = self.alpha(place);
        if alpha.iter().all(|&alpha| alpha == 0.0) {
            return;
        }
        let channels = picture.channels;
        for (pixel, alpha) in picture.data.chunks_exact_mut(channels).zip(alpha) {
            pixel[..channels.min(3)].iter_mut().for_each(|value| *value *= alpha);
        }
    }

    fn alpha(&self, place: Rect) -> Vec<f32> {
        let mut rgba = vec![0.0; place.width() * 4];
        let mut alpha = Vec::with_capacity(place.width() * place.height());
        for y in place.y1..place.y2 {
            self.read_row(self.raster, y, place.x1, &mut rgba);
            alpha.extend(rgba.iter().skip(3).step_by(4));
        }
        alpha
    }

    fn is_premultiplied(&self) -> bool {
        self.image.premultiplication() == Premultiplication::Premultiplied
    }
}

/// The host's output image while a frame is rendered.
pub struct Canvas<'a> {
    image: ImageMut<'a>,
    raster: Raster,
}

impl<'a> Canvas<'a> {
    /// The output at `time`, already showing `source` in the host's window.
    ///
    /// # Errors
    /// A host that gives nothing to write on.
    pub fn showing(source: &HostFrame<'_>, effect: &Effect<'a>, time: f64, window: RectI) -> Result<Self> {
        let mut image = effect.output(time)?;
        image.copy_from(&source.image, window);
        Ok(Self { image, raster: source.raster })
    }

    /// Writes RGBA pixels from column `x` of the frame's row `y` on.
    pub fn write_row(&mut self, y: i32, x: i32, rgba: &[f32]) {
        self.image.write_row(self.raster.host_y(y), self.raster.host_x(x), rgba);
    }
}

/// Reads a mask over the plate's raster, as the node's parameters say.
pub struct MaskReader<'a, 'i> {
    mask: Option<&'a HostFrame<'i>>,
    raster: Raster,
    how: MaskUse,
    channel: usize,
    rgba: Vec<f32>,
}

impl<'a, 'i> MaskReader<'a, 'i> {
    /// A reader over `raster`; without a mask all is inside. An RGB image has no alpha: its red is the mask.
    pub fn new(mask: Option<&'a HostFrame<'i>>, raster: Raster, how: MaskUse) -> Self {
        let red = mask.is_some_and(|mask| mask.image.components() == Components::Rgb);
        Self {
            mask: mask.filter(|_| how.apply),
            raster,
            how,
            channel: if red { 0 } else { 3 },
            rgba: Vec::new(),
        }
    }

    /// The whole mask, one channel.
    pub fn frame(mut self) -> Frame {
        let [width, height] = self.raster.size().map(|side| side as usize);
        let mut frame = Frame::new(width, height, 1);
        for y in 0..height {
            self.row(y as i32, 0, frame.row_mut(y));
        }
        frame
    }

    /// The mask's values from column `x` of the frame's row `y` on, within [0,1]; NaN is outside.
    pub fn row(&mut self, y: i32, x: i32, out: &mut [f32]) {
        let Some(mask) = self.mask else { return out.fill(1.0) };
        self.rgba.resize(out.len() * 4, 0.0);
        mask.read_row(self.raster, y, x, &mut self.rgba);
        for (value, pixel) in out.iter_mut().zip(self.rgba.chunks_exact(4)) {
            let inside = pixel[self.channel];
            let inside = if inside.is_nan() { 0.0 } else { inside.clamp(0.0, 1.0) };
            *value = if self.how.invert { 1.0 - inside } else { inside };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_row_of_the_host_is_row_0_and_columns_start_at_the_left() {
        let raster = Raster(RectI::new(-10, 5, 90, 55));
        assert_eq!(raster.size(), [100, 50]);
        assert_eq!((raster.host_x(0), raster.host_y(0), raster.host_y(49)), (-10, 54, 5));
        assert_eq!(raster.to_frame(RectI::new(-10, 54, -9, 55)), Rect::new(0, 0, 1, 1));
        assert_eq!(raster.to_frame(RectI::new(-10, 5, 90, 55)), Rect::new(0, 0, 100, 50));
    }
}
