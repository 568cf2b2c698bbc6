//! The composite: the generated crop over the plate, inside the mask, nowhere else.
//!
//! At a soft edge the plate already holds some of the old surface: laid over it as it is, the new one gets a fringe in the
//! old one's colour. Where that colour is known, what lies behind is worked out first: `plate = m * surface + (1 - m) *
//! background`. The edges of motion blur gain most (docs/carry.md has the figures).

use crate::frame::{Frame, FrameError};
use crate::rect::Rect;
use std::ops::Range;

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

/// From this coverage on the plate says less and less about what lies behind, and nothing at 1.
const TELLING: f32 = 0.9;

/// Takes the old surface out of one row of plate pixels at the mask's soft edge, in place: what is left is what lies behind.
///
/// `plate`: as for [`over`]. `surface`: RGB of the plate's own surface and how far it is known, 0..1. Where the mask is 0 or
/// 1, the surface is unknown or `mix` is 0 the plate keeps its exact bits.
pub fn take_out(plate: &mut [f32], channels: usize, surface: &[f32], mask: &[f32], mix: f32) {
    let pixels = plate.chunks_exact_mut(channels).zip(surface.chunks_exact(4));
    for ((pixel, surface), &mask) in pixels.zip(mask) {
        // Made larger it may lie a little beyond.
        let part = surface[3].clamp(0.0, 1.0) * ((1.0 - mask) / (1.0 - TELLING)).min(1.0);
        // With less than the whole edit some of the plate itself is seen, old surface and all.
        let part = part * mix * (1.0 - mask) / (1.0 - mix * mask);
        if !(mask > 0.0 && mask < 1.0 && part > 0.0) {
            continue;
        }
        for (value, old) in pixel[..channels.min(3)].iter_mut().zip(surface) {
            if !value.is_finite() {
                continue;
            }
            // Nothing behind is darker than black, but for what the plate holds below it already.
            let behind = ((*value - mask * old) / (1.0 - mask)).max(value.min(0.0));
            *value = blend(*value, behind, part);
        }
    }
}

/// A generated picture, ready to be laid over the plate.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Its colours, RGB.
    pub picture: Frame,
    /// RGB of the plate's own surface, which is replaced, and how far it is known, 0..1; nothing where it was not followed.
    pub surface: Option<Frame>,
}

impl From<Frame> for Layer {
    fn from(picture: Frame) -> Self {
        Self { picture, surface: None }
    }
}

impl Layer {
    /// The same, each picture changed.
    pub fn map(&self, mut change: impl FnMut(&Frame) -> Frame) -> Self {
        Self { picture: change(&self.picture), surface: self.surface.as_ref().map(change) }
    }
}

/// A generated crop that lies over a plate at `crop` with strength `mix`.
#[derive(Debug, Clone, Copy)]
pub struct Composite<'a> {
    /// Crop-size pictures, in the plate's colour space.
    pub generated: &'a Layer,
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
        self.take_out(y, x1, plate, channels, mask);
        self.lay(y, x1, plate, channels, mask);
    }

    /// The first half of [`Composite::row`]: leaves of the plate what lies behind.
    pub fn take_out(&self, y: i32, x1: i32, plate: &mut [f32], channels: usize, mask: &[f32]) {
        let Some(surface) = &self.generated.surface else { return };
        if let Some(row) = self.shared(y, x1, plate.len() / channels) {
            let (plate, mask) = (&mut plate[row.pixels(channels)], &mask[row.pixels(1)]);
            take_out(plate, channels, &surface.row(row.y)[row.crop_pixels(4)], mask, self.mix);
        }
    }

    /// The second half of [`Composite::row`]: lays the generated picture over what the row holds.
    pub fn lay(&self, y: i32, x1: i32, plate: &mut [f32], channels: usize, mask: &[f32]) {
        if let Some(row) = self.shared(y, x1, plate.len() / channels) {
            let (plate, mask) = (&mut plate[row.pixels(channels)], &mask[row.pixels(1)]);
            let (picture, own) = (&self.generated.picture, self.generated.picture.channels);
            over(plate, channels, &picture.row(row.y)[row.crop_pixels(own)], own, mask, self.mix);
        }
    }

    /// What a row of so many pixels shares with the crop.
    fn shared(&self, y: i32, x1: i32, width: usize) -> Option<Shared> {
        let shared = Rect::new(x1, y, x1 + width as i32, y + 1).intersect(&self.crop);
        let from = |start: i32| (shared.x1 - start) as usize;
        (!shared.is_empty()).then(|| Shared {
            y: (y - self.crop.y1) as usize,
            in_row: from(x1),
            in_crop: from(self.crop.x1),
            width: shared.width(),
        })
    }

    /// Composites a whole frame; `mask` is one channel of the plate's size, the generated picture
    /// has the crop's size.
    pub fn frame(&self, source: &Frame, mask: &Frame) -> Result<Frame, FrameError> {
        mask.expect_size(source.size())?;
        let size = [self.crop.width() as u32, self.crop.height() as u32];
        let pictures = [Some(&self.generated.picture), self.generated.surface.as_ref()];
        pictures.into_iter().flatten().try_for_each(|picture| picture.expect_size(size))?;
        let mut out = source.clone();
        for y in 0..source.height {
            self.row(y as i32, 0, out.row_mut(y), source.channels, mask.row(y));
        }
        Ok(out)
    }
}

/// Pixels that a row and the crop share.
struct Shared {
    /// Row of the crop.
    y: usize,
    in_row: usize,
    in_crop: usize,
    width: usize,
}

impl Shared {
    fn pixels(&self, channels: usize) -> Range<usize> {
        self.in_row * channels..(self.in_row + self.width) * channels
    }

    fn crop_pixels(&self, channels: usize) -> Range<usize> {
        self.in_crop * channels..(self.in_crop + self.width) * channels
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

    /// With a surface that is known on the left.
    fn fringed(picture: Frame) -> Layer {
        let surface = |x: usize, p: &mut [f32]| p.copy_from_slice(&[0.9, 0.2, 0.1, f32::from(x < 3)]);
        let surface = Frame::from_fn(picture.width, picture.height, 4, |x, _, p| surface(x, p));
        Layer { picture, surface: Some(surface) }
    }

    fn bits(frame: &Frame) -> Vec<u32> {
        frame.data.iter().map(|value| value.to_bits()).collect()
    }

    #[test]
    fn the_plate_keeps_its_bits_where_nothing_is_asked() {
        let mut source = plate();
        source.pixel_mut(1, 1)[0] = f32::NAN;
        let generated = Layer::from(Frame::filled(4, 4, &[9.0, f32::NAN, f32::INFINITY]));
        let crop = Rect::new(2, 2, 6, 6);
        let none = Frame::new(11, 7, 1);
        let full = Frame::filled(11, 7, &[1.0]);
        let soft = Frame::filled(11, 7, &[0.5]);
        let generated = fringed(generated.picture);
        for (mask, mix) in [(&none, 1.0), (&full, 0.0), (&soft, 0.0)] {
            let out = Composite { generated: &generated, crop, mix }.frame(&source, mask).unwrap();
            assert_eq!(bits(&out), bits(&source));
        }
    }

    #[test]
    fn inside_it_is_generated_exactly_and_outside_the_crop_source_exactly() {
        let (source, full) = (plate(), Frame::filled(11, 7, &[1.0]));
        let generated = Layer::from(Frame::filled(8, 5, &[0.1, 0.2, 0.3]));
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
        let generated = Layer::from(Frame::filled(1, 1, &[8.0, 0.0, 0.0]));
        let composite = Composite { generated: &generated, crop: Rect::new(0, 0, 1, 1), mix: 0.5 };
        let out = composite.frame(&source, &Frame::filled(1, 1, &[0.5])).unwrap();
        assert_eq!(out.data, vec![5.0, 0.75, 0.0]);
        let nan = composite.frame(&source, &Frame::filled(1, 1, &[f32::NAN])).unwrap();
        assert_eq!(nan, source);
    }

    #[test]
    fn any_part_of_a_row_gives_the_same_pixels() {
        let (source, generated) = (plate(), fringed(Frame::filled(5, 5, &[0.5, 0.25, 2.0])));
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
        let generated = Layer::from(Frame::new(3, 3, 3));
        let composite = Composite { generated: &generated, crop: Rect::new(0, 0, 4, 3), mix: 1.0 };
        assert!(composite.frame(&plate(), &Frame::new(11, 7, 1)).is_err());
        assert!(composite.frame(&plate(), &Frame::new(11, 6, 1)).is_err());
    }

    /// One pixel, half of it the old surface: its mask, what it shows and what it is laid over with.
    fn edge(coverage: f32, known: f32, mix: f32) -> f32 {
        let (surface, background, new) = (0.8, 0.1, 0.4);
        let source = Frame::filled(1, 1, &[coverage * surface + (1.0 - coverage) * background]);
        let surface = Some(Frame::filled(1, 1, &[surface, 0.0, 0.0, known]));
        let generated = Layer { picture: Frame::filled(1, 1, &[new]), surface };
        let composite = Composite { generated: &generated, crop: Rect::new(0, 0, 1, 1), mix };
        composite.frame(&source, &Frame::filled(1, 1, &[coverage])).unwrap().data[0]
    }

    #[test]
    fn at_a_soft_edge_the_new_surface_lies_over_what_is_behind_the_old_one() {
        assert!((edge(0.5, 1.0, 1.0) - (0.5 * 0.4 + 0.5 * 0.1)).abs() < 1e-6, "no fringe");
        assert!((edge(0.5, 0.0, 1.0) - (0.5 * 0.4 + 0.5 * 0.45)).abs() < 1e-6, "as it is");
        let (plate, whole) = (0.45, edge(0.5, 1.0, 1.0));
        assert!((edge(0.5, 1.0, 0.3) - (plate + 0.3 * (whole - plate))).abs() < 1e-6, "mix is linear");
        // Nearly covered, it goes over into the picture itself.
        assert!((edge(0.9999, 1.0, 1.0) - 0.4).abs() < 1e-3);
    }

    #[test]
    fn what_is_behind_is_not_below_black_unless_the_plate_is() {
        let behind = |plate: f32| {
            let mut plate = [plate];
            take_out(&mut plate, 1, &[0.9, 0.9, 0.9, 1.0], &[0.5], 1.0);
            plate[0]
        };
        assert_eq!(behind(0.2), 0.0);
        assert_eq!(behind(-0.1), -0.1);
        assert!(behind(f32::NAN).is_nan());
    }
}
