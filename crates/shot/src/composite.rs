//! The composite: the generated crop over the plate, inside the mask, nowhere else.

use crate::frame::{Frame, FrameError};
use crate::rect::Rect;

/// One value: `source + weight * (generated - source)`, with the exact bits of the one or the other
/// at weight 0 and 1. A value that is not finite is not blended: the other one stands, so that NaN
/// never spreads.
#[inline]
pub fn blend(source: f32, generated: f32, weight: f32) -> f32 {
    if weight == 0.0 || !generated.is_finite() {
        return source;
    }
    if weight == 1.0 || !source.is_finite() {
        return generated;
    }
    source + weight * (generated - source)
}

/// Lays one row of generated pixels over one row of plate pixels, in place.
///
/// `plate`: interleaved RGB, RGBA or grey, holding the source; alpha stays. `generated`: as many
/// pixels, with `generated_channels` channels of which the first three (or the only one) are used.
/// `mask`: one value per pixel, of the soft comp mask; NaN counts as 0. Where `mask * mix` is 0 the
/// plate keeps its exact bits.
pub fn over(
    plate: &mut [f32],
    channels: usize,
    generated: &[f32],
    generated_channels: usize,
    mask: &[f32],
    mix: f32,
) {
    let colours = channels.min(3);
    let pixels = plate.chunks_exact_mut(channels).zip(generated.chunks_exact(generated_channels));
    for ((pixel, new), &mask) in pixels.zip(mask) {
        let weight = weight(mask, mix);
        if weight == 0.0 {
            continue;
        }
        for (i, value) in pixel[..colours].iter_mut().enumerate() {
            *value = blend(*value, new[i.min(generated_channels - 1)], weight);
        }
    }
}

fn weight(mask: f32, mix: f32) -> f32 {
    let weight = mask * mix;
    if weight.is_nan() { 0.0 } else { weight.clamp(0.0, 1.0) }
}

/// A generated crop that lies over a plate at `crop` with strength `mix`.
#[derive(Debug, Clone, Copy)]
pub struct Composite<'a> {
    /// Crop-size picture, in the plate's colour space.
    pub generated: &'a Frame,
    /// Where it lies in the full frame; it may reach outside.
    pub crop: Rect,
    /// 0 shows the plate, 1 the generated picture.
    pub mix: f32,
}

impl Composite<'_> {
    /// Composites one row of the plate in place. `y` is the row counted from the top of the full
    /// frame, `x1` the column of the row's first pixel; so a host may ask for any part in any order.
    /// `mask` holds one value per plate pixel of that row.
    pub fn row(&self, y: i32, x1: i32, plate: &mut [f32], channels: usize, mask: &[f32]) {
        let row = Rect::new(x1, y, x1 + (plate.len() / channels) as i32, y + 1);
        let shared = row.intersect(&self.crop);
        if shared.is_empty() {
            return;
        }
        let pixels = |from: i32, channels: usize| {
            let first = (shared.x1 - from) as usize * channels;
            first..first + shared.width() * channels
        };
        let generated = self.generated.row((y - self.crop.y1) as usize);
        over(
            &mut plate[pixels(x1, channels)],
            channels,
            &generated[pixels(self.crop.x1, self.generated.channels)],
            self.generated.channels,
            &mask[pixels(x1, 1)],
            self.mix,
        );
    }

    /// Composites a whole frame; `mask` is one channel of the plate's size, the generated picture
    /// has the crop's size.
    pub fn frame(&self, source: &Frame, mask: &Frame) -> Result<Frame, FrameError> {
        mask.expect_size(source.size())?;
        self.generated.expect_size([self.crop.width() as u32, self.crop.height() as u32])?;
        let mut out = source.clone();
        for y in 0..source.height {
            self.row(y as i32, 0, out.row_mut(y), source.channels, mask.row(y));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plate() -> Frame {
        Frame::from_fn(11, 7, 4, |x, y, p| {
            p.copy_from_slice(&[x as f32 * 1.7 - 3.0, -0.0, 1e-40, y as f32 / 7.0]);
        })
    }

    fn bits(frame: &Frame) -> Vec<u32> {
        frame.data.iter().map(|value| value.to_bits()).collect()
    }

    #[test]
    fn the_plate_keeps_its_bits_where_nothing_is_asked() {
        let mut source = plate();
        source.pixel_mut(1, 1)[0] = f32::NAN;
        let generated = Frame::filled(4, 4, &[9.0, f32::NAN, f32::INFINITY]);
        let crop = Rect::new(2, 2, 6, 6);
        let none = Frame::new(11, 7, 1);
        let full = Frame::filled(11, 7, &[1.0]);
        for (mask, mix) in [(&none, 1.0), (&full, 0.0)] {
            let out = Composite { generated: &generated, crop, mix }.frame(&source, mask).unwrap();
            assert_eq!(bits(&out), bits(&source));
        }
    }

    #[test]
    fn inside_it_is_generated_exactly_and_outside_the_crop_source_exactly() {
        let (source, full) = (plate(), Frame::filled(11, 7, &[1.0]));
        let generated = Frame::filled(8, 5, &[0.1, 0.2, 0.3]);
        let crop = Rect::new(-2, 4, 6, 9);
        let out = Composite { generated: &generated, crop, mix: 1.0 }.frame(&source, &full).unwrap();
        for y in 0..7 {
            for x in 0..11 {
                let (got, was) = (out.pixel(x, y), source.pixel(x, y));
                let want = if x < 6 && y >= 4 { &[0.1, 0.2, 0.3, was[3]] } else { was };
                assert_eq!(got, want, "at {x},{y}");
            }
        }
    }

    #[test]
    fn soft_edges_are_linear_and_values_above_one_survive() {
        let source = Frame::filled(1, 1, &[4.0, 1.0, 0.0]);
        let generated = Frame::filled(1, 1, &[8.0, 0.0, 0.0]);
        let composite = Composite { generated: &generated, crop: Rect::new(0, 0, 1, 1), mix: 0.5 };
        let out = composite.frame(&source, &Frame::filled(1, 1, &[0.5])).unwrap();
        assert_eq!(out.data, vec![5.0, 0.75, 0.0]);
        let nan = composite.frame(&source, &Frame::filled(1, 1, &[f32::NAN])).unwrap();
        assert_eq!(nan, source);
    }

    #[test]
    fn any_part_of_a_row_gives_the_same_pixels() {
        let (source, generated) = (plate(), Frame::filled(5, 5, &[0.5, 0.25, 2.0]));
        let mask = Frame::from_fn(11, 7, 1, |x, y, p| p[0] = ((x + y) % 4) as f32 / 3.0);
        let composite = Composite { generated: &generated, crop: Rect::new(3, 1, 8, 6), mix: 0.7 };
        let whole = composite.frame(&source, &mask).unwrap();
        for (x1, x2, y) in [(0, 4, 2), (5, 6, 1), (4, 11, 5), (9, 11, 3)] {
            let mut part = source.row(y)[x1 * 4..x2 * 4].to_vec();
            composite.row(y as i32, x1 as i32, &mut part, 4, &mask.row(y)[x1..x2]);
            assert_eq!(part, whole.row(y)[x1 * 4..x2 * 4]);
        }
    }

    #[test]
    fn what_is_not_finite_never_spreads() {
        assert_eq!(blend(f32::NAN, 0.5, 0.25), 0.5);
        assert_eq!(blend(f32::INFINITY, 0.5, 0.25), 0.5);
        assert_eq!(blend(0.5, f32::NAN, 1.0), 0.5);
    }

    #[test]
    fn sizes_must_agree() {
        let generated = Frame::new(3, 3, 3);
        let composite = Composite { generated: &generated, crop: Rect::new(0, 0, 4, 3), mix: 1.0 };
        assert!(composite.frame(&plate(), &Frame::new(11, 7, 1)).is_err());
        assert!(composite.frame(&plate(), &Frame::new(11, 6, 1)).is_err());
    }
}
