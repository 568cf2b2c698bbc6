//! One picture in memory: interleaved f32, top row first.

use crate::rect::Rect;
use thiserror::Error;

/// A picture that is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Neither 1, 3 nor 4 channels.
    #[error("a frame has 1, 3 or 4 channels, not {0}")]
    Channels(usize),
    /// Data of another length than the size says.
    #[error("frame data holds {found} values, {expected} needed")]
    Length {
        /// width x height x channels.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// Two pictures that belong together differ in size, or one does not fit its shot.
    #[error("frame is {}x{}, {}x{} expected", found[0], found[1], expected[0], expected[1])]
    Size {
        /// Width and height needed.
        expected: [u32; 2],
        /// Width and height that came.
        found: [u32; 2],
    },
}

/// A picture: `width * height * channels` values, interleaved, row 0 on top. One channel is a mask
/// or a grey picture, three are RGB, four RGBA. Which colour space it is in the owner knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1, 3 or 4.
    pub channels: usize,
    /// The values.
    pub data: Vec<f32>,
}

impl Frame {
    /// A frame of zeros. `channels` is 1, 3 or 4.
    pub fn new(width: usize, height: usize, channels: usize) -> Self {
        debug_assert!(matches!(channels, 1 | 3 | 4), "a frame has 1, 3 or 4 channels, not {channels}");
        Self { width, height, channels, data: vec![0.0; width * height * channels] }
    }

    /// A frame where every pixel is `pixel`, whose length is the number of channels.
    pub fn filled(width: usize, height: usize, pixel: &[f32]) -> Self {
        let mut frame = Self::new(width, height, pixel.len());
        frame.data.chunks_exact_mut(pixel.len()).for_each(|to| to.copy_from_slice(pixel));
        frame
    }

    /// Wraps interleaved values, top row first.
    pub fn from_data(
        width: usize,
        height: usize,
        channels: usize,
        data: Vec<f32>,
    ) -> Result<Self, FrameError> {
        if !matches!(channels, 1 | 3 | 4) {
            return Err(FrameError::Channels(channels));
        }
        let expected = width * height * channels;
        if data.len() != expected {
            return Err(FrameError::Length { expected, found: data.len() });
        }
        Ok(Self { width, height, channels, data })
    }

    /// A frame made pixel by pixel; `pixel(x, y, out)` fills one.
    pub fn from_fn(
        width: usize,
        height: usize,
        channels: usize,
        mut pixel: impl FnMut(usize, usize, &mut [f32]),
    ) -> Self {
        let mut frame = Self::new(width, height, channels);
        for y in 0..height {
            for x in 0..width {
                pixel(x, y, frame.pixel_mut(x, y));
            }
        }
        frame
    }

    /// Width and height.
    pub fn size(&self) -> [u32; 2] {
        [self.width as u32, self.height as u32]
    }

    /// The whole frame as a rectangle.
    pub fn rect(&self) -> Rect {
        Rect::of_size(self.size())
    }

    /// Values in one row.
    pub fn stride(&self) -> usize {
        self.width * self.channels
    }

    /// Row `y`, counted from the top.
    pub fn row(&self, y: usize) -> &[f32] {
        &self.data[y * self.stride()..(y + 1) * self.stride()]
    }

    /// Row `y`, to be written.
    pub fn row_mut(&mut self, y: usize) -> &mut [f32] {
        let stride = self.stride();
        &mut self.data[y * stride..(y + 1) * stride]
    }

    /// The channels of one pixel.
    pub fn pixel(&self, x: usize, y: usize) -> &[f32] {
        let at = (y * self.width + x) * self.channels;
        &self.data[at..at + self.channels]
    }

    /// The channels of one pixel, to be written.
    pub fn pixel_mut(&mut self, x: usize, y: usize) -> &mut [f32] {
        let at = (y * self.width + x) * self.channels;
        &mut self.data[at..at + self.channels]
    }

    /// One channel as a frame of its own; past the last one it is the last one.
    pub fn channel(&self, index: usize) -> Frame {
        let index = index.min(self.channels - 1);
        let data = self.data.chunks_exact(self.channels).map(|pixel| pixel[index]).collect();
        Frame { channels: 1, data, ..*self }
    }

    /// RGB: grey is repeated, alpha is dropped.
    pub fn to_rgb(&self) -> Frame {
        self.mapped(3, |pixel| match pixel {
            [grey] => [*grey, *grey, *grey, 1.0],
            pixel => [pixel[0], pixel[1], pixel[2], 1.0],
        })
    }

    /// RGBA: grey is repeated, a missing alpha is 1.
    pub fn to_rgba(&self) -> Frame {
        self.mapped(4, |pixel| match pixel {
            [grey] => [*grey, *grey, *grey, 1.0],
            [r, g, b] => [*r, *g, *b, 1.0],
            pixel => [pixel[0], pixel[1], pixel[2], pixel[3]],
        })
    }

    /// A part of the frame. Outside it the picture goes on as its own reflection about the edge pixel.
    pub fn crop_reflect(&self, rect: Rect) -> Frame {
        let columns: Vec<usize> = (rect.x1..rect.x2).map(|x| reflect(x, self.width)).collect();
        let mut part = Frame::new(rect.width(), rect.height(), self.channels);
        for (y, to) in (rect.y1..rect.y2).zip(part.data.chunks_exact_mut(rect.width() * self.channels)) {
            let row = self.row(reflect(y, self.height));
            for (pixel, &x) in to.chunks_exact_mut(self.channels).zip(&columns) {
                pixel.copy_from_slice(&row[x * self.channels..(x + 1) * self.channels]);
            }
        }
        part
    }

    /// Fails unless the frame has this size.
    pub fn expect_size(&self, expected: [u32; 2]) -> Result<(), FrameError> {
        let found = self.size();
        if found == expected { Ok(()) } else { Err(FrameError::Size { expected, found }) }
    }

    fn mapped(&self, channels: usize, map: impl Fn(&[f32]) -> [f32; 4]) -> Frame {
        if channels == self.channels {
            return self.clone();
        }
        let mut data = Vec::with_capacity(self.width * self.height * channels);
        for pixel in self.data.chunks_exact(self.channels) {
            data.extend_from_slice(&map(pixel)[..channels]);
        }
        Frame { channels, data, ..*self }
    }
}

/// An index folded into `0..length` as in a mirror that stands on the edge pixel: -1 is 1.
pub(crate) fn reflect(index: i32, length: usize) -> usize {
    let last = length as i32 - 1;
    if last <= 0 {
        return 0;
    }
    let folded = index.rem_euclid(2 * last);
    (if folded > last { 2 * last - folded } else { folded }) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_must_fit_the_size() {
        assert_eq!(
            Frame::from_data(2, 2, 3, vec![0.0; 11]),
            Err(FrameError::Length { expected: 12, found: 11 })
        );
        assert_eq!(Frame::from_data(2, 2, 2, vec![0.0; 8]), Err(FrameError::Channels(2)));
    }

    #[test]
    fn reflection_stands_on_the_edge_pixel() {
        let line = Frame::from_data(4, 1, 1, vec![0.0, 1.0, 2.0, 3.0]).unwrap();
        let part = line.crop_reflect(Rect::new(-5, -1, 9, 1));
        let row = [1.0, 2.0, 3.0, 2.0, 1.0, 0.0, 1.0, 2.0, 3.0, 2.0, 1.0, 0.0, 1.0, 2.0];
        assert_eq!((part.row(0), part.row(1)), (&row[..], &row[..]));
    }

    #[test]
    fn a_crop_inside_is_a_copy() {
        let frame = Frame::from_fn(5, 4, 3, |x, y, p| p.copy_from_slice(&[x as f32, y as f32, 9.0]));
        let part = frame.crop_reflect(Rect::new(1, 2, 4, 4));
        assert_eq!(part.pixel(0, 0), &[1.0, 2.0, 9.0]);
        assert_eq!(part.pixel(2, 1), &[3.0, 3.0, 9.0]);
    }

    #[test]
    fn channel_counts_change_without_losing_colour() {
        let rgba = Frame::filled(2, 1, &[0.1, 0.2, 0.3, 0.4]);
        assert_eq!(rgba.to_rgb().pixel(1, 0), &[0.1, 0.2, 0.3]);
        assert_eq!(rgba.to_rgb().to_rgba().pixel(0, 0), &[0.1, 0.2, 0.3, 1.0]);
        assert_eq!(rgba.channel(3).data, vec![0.4, 0.4]);
        assert_eq!(rgba.channel(1).to_rgba().pixel(0, 0), &[0.2, 0.2, 0.2, 1.0]);
    }
}
