//! Masks: one channel, 0 outside and 1 inside, on the full frame or on the working grid.

use crate::frame::Frame;
use crate::rect::Rect;
use rayon::prelude::*;

/// Which channel of a picture is the mask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Channel {
    /// Alpha where the picture has four channels, else the first.
    #[default]
    Auto,
    /// The first channel.
    Red,
    /// The second channel.
    Green,
    /// The third channel.
    Blue,
    /// The fourth channel, or the only one.
    Alpha,
}

/// The mask in a picture, clamped to 0..1; NaN is outside. Of a picture with fewer channels than
/// asked for the last one is taken.
pub fn from_frame(frame: &Frame, channel: Channel) -> Frame {
    let index = match channel {
        Channel::Auto if frame.channels == 4 => 3,
        Channel::Auto | Channel::Red => 0,
        Channel::Green => 1,
        Channel::Blue => 2,
        Channel::Alpha => 3,
    };
    map(&frame.channel(index), |value| if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) })
}

/// The smallest rectangle round all values above `threshold`; `None` when there are none.
pub fn bounds(mask: &Frame, threshold: f32) -> Option<Rect> {
    let inside = |row: &[f32]| {
        let first = row.iter().position(|&value| value > threshold)?;
        let last = row.iter().rposition(|&value| value > threshold)?;
        Some((first as i32, last as i32 + 1))
    };
    let mut found: Option<Rect> = None;
    for y in 0..mask.height {
        if let Some((x1, x2)) = inside(mask.row(y)) {
            let row = Rect::new(x1, y as i32, x2, y as i32 + 1);
            found = Some(found.map_or(row, |all| all.union(&row)));
        }
    }
    found
}

/// Whether no value is above 0.
pub fn is_empty(mask: &Frame) -> bool {
    !mask.data.iter().any(|&value| value > 0.0)
}

/// 1 - mask.
pub fn invert(mask: &Frame) -> Frame {
    map(mask, |value| 1.0 - value)
}

/// 1 where the mask is above `level`, else 0.
pub fn threshold(mask: &Frame, level: f32) -> Frame {
    map(mask, |value| f32::from(value > level))
}

/// The largest value within `radius` pixels, in a square.
pub fn dilate(mask: &Frame, radius: usize) -> Frame {
    if radius == 0 {
        return mask.clone();
    }
    transpose(&dilate_rows(&transpose(&dilate_rows(mask, radius)), radius))
}

/// Where to generate: 1 wherever the soft mask is above 0, grown by `radius` working pixels.
pub fn generation(soft: &Frame, radius: usize) -> Frame {
    dilate(&threshold(soft, 0.0), radius)
}

fn map(mask: &Frame, value: impl Fn(f32) -> f32) -> Frame {
    Frame { data: mask.data.iter().map(|&v| value(v)).collect(), ..*mask }
}

fn dilate_rows(mask: &Frame, radius: usize) -> Frame {
    let mut grown = Frame::new(mask.width, mask.height, 1);
    if mask.width > 0 {
        let rows = mask.data.par_chunks(mask.width);
        grown.data.par_chunks_mut(mask.width).zip(rows).for_each(|(to, from)| dilate_row(from, to, radius));
    }
    grown
}

/// van Herk and Gil-Werman: running maxima from both ends of blocks of the window's length, so the
/// cost does not grow with the radius.
fn dilate_row(from: &[f32], to: &mut [f32], radius: usize) {
    let window = 2 * radius + 1;
    let padded: Vec<f32> = std::iter::repeat_n(0.0, radius)
        .chain(from.iter().copied())
        .chain(std::iter::repeat_n(0.0, radius + window))
        .collect();
    let (mut forward, mut backward) = (padded.clone(), padded);
    for block in forward.chunks_mut(window) {
        (1..block.len()).for_each(|i| block[i] = block[i].max(block[i - 1]));
    }
    for block in backward.chunks_mut(window) {
        (0..block.len() - 1).rev().for_each(|i| block[i] = block[i].max(block[i + 1]));
    }
    for (x, value) in to.iter_mut().enumerate() {
        *value = backward[x].max(forward[x + window - 1]);
    }
}

fn transpose(mask: &Frame) -> Frame {
    Frame::from_fn(mask.height, mask.width, 1, |x, y, out| out[0] = mask.data[x * mask.width + y])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_points(width: usize, height: usize, points: &[(usize, usize)]) -> Frame {
        let mut mask = Frame::new(width, height, 1);
        points.iter().for_each(|&(x, y)| mask.pixel_mut(x, y)[0] = 0.5);
        mask
    }

    #[test]
    fn auto_takes_alpha_of_four_channels_and_the_first_of_fewer() {
        let rgba = Frame::filled(1, 1, &[0.1, 0.2, 0.3, 0.4]);
        let one = |frame: &Frame, channel| from_frame(frame, channel).data[0];
        assert_eq!(one(&rgba, Channel::Auto), 0.4);
        assert_eq!(one(&rgba.to_rgb(), Channel::Auto), 0.1);
        assert_eq!(one(&rgba, Channel::Green), 0.2);
        assert_eq!(one(&rgba.channel(2), Channel::Alpha), 0.3);
        assert_eq!(one(&Frame::filled(1, 1, &[f32::NAN]), Channel::Auto), 0.0);
        assert_eq!(one(&Frame::filled(1, 1, &[7.0]), Channel::Auto), 1.0);
    }

    #[test]
    fn bounds_are_tight_and_none_when_empty() {
        let mask = with_points(9, 7, &[(2, 5), (6, 1)]);
        assert_eq!(bounds(&mask, 0.0), Some(Rect::new(2, 1, 7, 6)));
        assert_eq!(bounds(&mask, 0.5), None);
        assert_eq!(bounds(&Frame::new(4, 4, 1), 0.0), None);
    }

    #[test]
    fn dilation_equals_the_plain_definition() {
        for (width, height, radius) in [(1, 1, 3), (7, 5, 1), (13, 9, 2), (5, 11, 20)] {
            let mut mask = Frame::new(width, height, 1);
            for (i, value) in mask.data.iter_mut().enumerate() {
                *value = ((i * 7919 + 13) % 101) as f32 / 101.0;
            }
            let plain = Frame::from_fn(width, height, 1, |x, y, out| {
                for v in y.saturating_sub(radius)..(y + radius + 1).min(height) {
                    for u in x.saturating_sub(radius)..(x + radius + 1).min(width) {
                        out[0] = out[0].max(mask.pixel(u, v)[0]);
                    }
                }
            });
            assert_eq!(dilate(&mask, radius), plain, "{width}x{height} by {radius}");
        }
    }

    #[test]
    fn the_generation_mask_covers_the_faintest_edge() {
        let mut soft = with_points(9, 9, &[(4, 4)]);
        soft.pixel_mut(4, 4)[0] = 1e-4;
        let grown = generation(&soft, 2);
        assert_eq!(bounds(&grown, 0.9), Some(Rect::new(2, 2, 7, 7)));
        assert_eq!(grown.data.iter().sum::<f32>(), 25.0);
        assert!(is_empty(&generation(&Frame::new(9, 9, 1), 2)));
    }

    #[test]
    fn the_inverse_of_soft_is_soft() {
        let mask = with_points(3, 1, &[(0, 0), (2, 0)]);
        assert_eq!(invert(&mask).data, vec![0.5, 1.0, 0.5]);
    }
}
