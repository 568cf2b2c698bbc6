//! Host images and frames: the one place where the two meet, and where rows turn upside down.
//!
//! OpenFX counts rows from the bottom, a [`Frame`] from the top. A [`Raster`] is where a clip's full
//! frame lies in the host's pixel coordinates; everything here is said relative to one.

use std::fmt;

use lora_edit_shot::colour::unpremultiply;
use lora_edit_shot::{Frame, Rect};
use ofx::{Components, Image, Premultiplication, RectI};

use crate::settings::MaskUse;

/// Where the full frame lies in the host's pixel coordinates, at the scale of the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raster(RectI);

impl Raster {
    /// The full frame of an image: its region of definition.
    pub fn of(image: &Image<'_>) -> Self {
        Self(image.region_of_definition())
    }

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
    pub fn host_x(self, x: i32) -> i32 {
        self.0.x1 + x
    }

    /// The host's row of the frame's row `y`.
    pub fn host_y(self, y: i32) -> i32 {
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

/// The whole frame as RGBA, colours divided by alpha where the clip is premultiplied. Pixels that the
/// image does not hold are black and transparent.
pub fn picture(image: &Image<'_>, raster: Raster) -> Frame {
    let [width, height] = raster.size().map(|side| side as usize);
    let mut frame = Frame::new(width, height, 4);
    for y in 0..height {
        image.read_row(raster.host_y(y as i32), raster.host_x(0), frame.row_mut(y));
    }
    if image.premultiplication() == Premultiplication::Premultiplied {
        unpremultiply(&mut frame);
    }
    frame
}

/// The whole mask, one channel. Without an image, or with the mask switched off, all is inside.
pub fn mask(image: Option<&Image<'_>>, raster: Raster, how: MaskUse) -> Frame {
    let [width, height] = raster.size().map(|side| side as usize);
    let mut frame = Frame::new(width, height, 1);
    let mut reader = MaskReader::new(image, raster, how);
    for y in 0..height {
        reader.row(y as i32, 0, frame.row_mut(y));
    }
    frame
}

/// Reads rows of a mask's image.
pub struct MaskReader<'a, 'i> {
    image: Option<&'a Image<'i>>,
    raster: Raster,
    how: MaskUse,
    channel: usize,
    rgba: Vec<f32>,
}

impl<'a, 'i> MaskReader<'a, 'i> {
    /// A reader of the mask over `raster`. An RGB image has no alpha: its red is the mask.
    pub fn new(image: Option<&'a Image<'i>>, raster: Raster, how: MaskUse) -> Self {
        let red = image.is_some_and(|image| image.components() == Components::Rgb);
        Self { image, raster, how, channel: if red { 0 } else { 3 }, rgba: Vec::new() }
    }

    /// The mask's values from column `x` of the frame's row `y` on, within [0,1]; NaN is outside.
    pub fn row(&mut self, y: i32, x: i32, out: &mut [f32]) {
        let Some(image) = self.image.filter(|_| self.how.apply) else {
            return out.fill(1.0);
        };
        self.rgba.resize(out.len() * 4, 0.0);
        image.read_row(self.raster.host_y(y), self.raster.host_x(x), &mut self.rgba);
        for (value, pixel) in out.iter_mut().zip(self.rgba.chunks_exact(4)) {
            let inside = pixel[self.channel];
            let inside = if inside.is_nan() { 0.0 } else { inside.clamp(0.0, 1.0) };
            *value = if self.how.invert { 1.0 - inside } else { inside };
        }
    }
}

/// Multiplies a picture that lies at `place` in the frame by the alpha of `source`, if that is a
/// premultiplied image. A plate without alpha (all 0, as Nuke hands over an RGB file) is opaque.
pub fn premultiply_by(picture: &mut Frame, place: Rect, source: &Image<'_>, raster: Raster) {
    if source.premultiplication() != Premultiplication::Premultiplied || picture.channels < 3 {
        return;
    }
    let mut rgba = vec![0.0; picture.width * 4];
    let mut rows = Vec::with_capacity(picture.height);
    for y in 0..picture.height {
        source.read_row(raster.host_y(place.y1 + y as i32), raster.host_x(place.x1), &mut rgba);
        rows.push(rgba.iter().skip(3).step_by(4).copied().collect::<Vec<_>>());
    }
    if rows.iter().flatten().all(|&alpha| alpha == 0.0) {
        return;
    }
    let channels = picture.channels;
    for (y, alphas) in rows.iter().enumerate() {
        for (pixel, alpha) in picture.row_mut(y).chunks_exact_mut(channels).zip(alphas) {
            pixel[..3].iter_mut().for_each(|value| *value *= alpha);
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
