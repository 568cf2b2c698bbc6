//! Pictures on the host's side: 32-bit float, interleaved, bottom row first, with their place in the plane.

use std::ffi::CStr;

use openfx_sys::*;
use serde::Deserialize;

/// A half-open rectangle of pixels; y grows upwards, as everywhere in OpenFX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Bounds {
    /// Left edge.
    pub x1: i32,
    /// Bottom edge.
    pub y1: i32,
    /// One beyond the right edge.
    pub x2: i32,
    /// One beyond the top edge.
    pub y2: i32,
}

impl Bounds {
    /// A rectangle of this size with its lower left corner at the origin.
    #[must_use]
    pub fn of_size(width: usize, height: usize) -> Self {
        Self { x1: 0, y1: 0, x2: width as i32, y2: height as i32 }
    }

    /// Pixels across; 0 where it is empty.
    #[must_use]
    pub fn width(self) -> usize {
        usize::try_from(self.x2 - self.x1).unwrap_or(0)
    }

    /// Pixels upwards; 0 where it is empty.
    #[must_use]
    pub fn height(self) -> usize {
        usize::try_from(self.y2 - self.y1).unwrap_or(0)
    }

    /// Moved by so many pixels.
    #[must_use]
    pub fn moved(self, x: i32, y: i32) -> Self {
        Self { x1: self.x1 + x, y1: self.y1 + y, x2: self.x2 + x, y2: self.y2 + y }
    }

    /// The four numbers in the order of the standard.
    #[must_use]
    pub fn array(self) -> [i32; 4] {
        [self.x1, self.y1, self.x2, self.y2]
    }

    pub(crate) fn doubles(self) -> [f64; 4] {
        self.array().map(f64::from)
    }
}

/// The channels of an image, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Components {
    /// Red, green, blue, alpha.
    #[serde(rename = "RGBA")]
    Rgba,
    /// Red, green, blue.
    #[serde(rename = "RGB")]
    Rgb,
    /// One channel.
    Alpha,
}

impl Components {
    /// The number of channels.
    #[must_use]
    pub fn channels(self) -> usize {
        match self {
            Self::Rgba => 4,
            Self::Rgb => 3,
            Self::Alpha => 1,
        }
    }

    /// The standard's name.
    #[must_use]
    pub fn name(self) -> &'static CStr {
        match self {
            Self::Rgba => kOfxImageComponentRGBA,
            Self::Rgb => kOfxImageComponentRGB,
            Self::Alpha => kOfxImageComponentAlpha,
        }
    }

    /// The components of a name of the standard.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Rgba, Self::Rgb, Self::Alpha].into_iter().find(|own| own.name().to_bytes() == name.as_bytes())
    }
}

/// How a channel value is stored in a plug-in's image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// 8 bits, 255 is 1.0.
    Byte,
    /// 16 bits, 65535 is 1.0.
    Short,
    /// 16-bit float.
    Half,
    /// 32-bit float.
    Float,
}

impl Depth {
    /// Bytes of one value.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Byte => 1,
            Self::Short | Self::Half => 2,
            Self::Float => 4,
        }
    }

    /// The standard's name.
    #[must_use]
    pub fn name(self) -> &'static CStr {
        match self {
            Self::Byte => kOfxBitDepthByte,
            Self::Short => kOfxBitDepthShort,
            Self::Half => kOfxBitDepthHalf,
            Self::Float => kOfxBitDepthFloat,
        }
    }
}

/// What the colour channels are multiplied by; said to the plug-in, never applied by the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Premultiplication {
    /// There is no alpha, or it is 1.
    Opaque,
    /// By alpha.
    Premultiplied,
    /// By nothing.
    Unpremultiplied,
}

impl Premultiplication {
    /// The standard's name.
    #[must_use]
    pub fn name(self) -> &'static CStr {
        match self {
            Self::Opaque => kOfxImageOpaque,
            Self::Premultiplied => kOfxImagePreMultiplied,
            Self::Unpremultiplied => kOfxImageUnPreMultiplied,
        }
    }

    /// The state of a name of the standard.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Opaque, Self::Premultiplied, Self::Unpremultiplied];
        all.into_iter().find(|own| own.name().to_bytes() == name.as_bytes())
    }
}

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Its place in the plane.
    pub bounds: Bounds,
    /// Its channels.
    pub components: Components,
    /// `height * width * channels` values, bottom row first.
    pub data: Vec<f32>,
}

impl Image {
    /// All zeros.
    #[must_use]
    pub fn black(bounds: Bounds, components: Components) -> Self {
        let data = vec![0.0; bounds.width() * bounds.height() * components.channels()];
        Self { bounds, components, data }
    }

    /// Each pixel from its coordinates in the plane; the function fills the channels.
    #[must_use]
    pub fn from_fn(
        bounds: Bounds,
        components: Components,
        mut pixel: impl FnMut(i32, i32, &mut [f32]),
    ) -> Self {
        let mut image = Self::black(bounds, components);
        let (width, channels) = (bounds.width().max(1), components.channels());
        for (index, values) in image.data.chunks_exact_mut(channels).enumerate() {
            let (row, column) = (index / width, index % width);
            pixel(bounds.x1 + column as i32, bounds.y1 + row as i32, values);
        }
        image
    }

    /// The channels at a place in the plane; None outside of the bounds.
    #[must_use]
    pub fn pixel(&self, x: i32, y: i32) -> Option<&[f32]> {
        let inside = x >= self.bounds.x1 && x < self.bounds.x2 && y >= self.bounds.y1 && y < self.bounds.y2;
        let column = usize::try_from(x - self.bounds.x1).ok()?;
        let row = usize::try_from(y - self.bounds.y1).ok()?;
        let channels = self.components.channels();
        let start = (row * self.bounds.width() + column) * channels;
        if inside { self.data.get(start..start + channels) } else { None }
    }

    /// A row of values by its number from the bottom.
    #[must_use]
    pub fn row(&self, row: usize) -> &[f32] {
        let length = self.bounds.width() * self.components.channels();
        &self.data[row * length..(row + 1) * length]
    }

    /// The same picture with other channels: alpha 1 is added, alpha alone becomes grey, alpha is
    /// taken from `channel` of a picture with colours.
    #[must_use]
    pub fn to_components(&self, components: Components, channel: usize) -> Self {
        if components == self.components {
            return self.clone();
        }
        let from = self.components.channels();
        let data =
            self.data.chunks_exact(from).flat_map(|pixel| recast(pixel, components, channel)).collect();
        Self { bounds: self.bounds, components, data }
    }
}

fn recast(pixel: &[f32], components: Components, channel: usize) -> Vec<f32> {
    let grey = pixel.len() == 1;
    let colour = |index: usize| pixel[if grey { 0 } else { index }];
    match components {
        Components::Alpha => vec![pixel[channel.min(pixel.len() - 1)]],
        Components::Rgb => vec![colour(0), colour(1), colour(2)],
        Components::Rgba => vec![colour(0), colour(1), colour(2), pixel.get(3).copied().unwrap_or(1.0)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_found_where_they_were_put() {
        let bounds = Bounds { x1: -2, y1: 3, x2: 1, y2: 5 };
        let image = Image::from_fn(bounds, Components::Rgb, |x, y, pixel| {
            pixel.copy_from_slice(&[x as f32, y as f32, 0.5]);
        });
        assert_eq!(image.pixel(-2, 4), Some(&[-2.0, 4.0, 0.5][..]));
        assert_eq!(image.pixel(1, 4), None);
        assert_eq!(image.row(1)[..3], [-2.0, 4.0, 0.5]);
    }

    #[test]
    fn a_mask_is_taken_from_the_channel_asked_for() {
        let bounds = Bounds::of_size(1, 1);
        let image = Image { bounds, components: Components::Rgba, data: vec![0.1, 0.2, 0.3, 0.4] };
        assert_eq!(image.to_components(Components::Alpha, 3).data, [0.4]);
        assert_eq!(image.to_components(Components::Alpha, 0).data, [0.1]);
        let grey = Image { bounds, components: Components::Alpha, data: vec![0.7] };
        assert_eq!(grey.to_components(Components::Rgba, 0).data, [0.7, 0.7, 0.7, 1.0]);
    }
}
