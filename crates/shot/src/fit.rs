//! The fit: which part of the plate the model sees, at which size, and the way back.

use crate::frame::{Frame, FrameError};
use crate::rect::Rect;
use crate::resize::{Filter, resize};
use serde::{Deserialize, Serialize};

/// Padding round the mask's box by default, as a part of its longer side.
pub const DEFAULT_PADDING: f32 = 0.25;
/// The least padding, in plate pixels.
pub const LEAST_PADDING: i32 = 16;
/// A crop is enlarged only until its shorter side has this many working pixels.
pub const LEAST_SIDE: usize = 64;

/// A crop of the plate and its working size; the same for all frames of a shot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fit {
    /// Width and height of the plate.
    pub source_size: [u32; 2],
    /// What is cut out, in plate pixels; it may reach outside, where the plate is reflected.
    pub crop: Rect,
    /// Width and height the model sees.
    pub working_size: [u32; 2],
}

/// One candidate size: working width and height, and working pixels per plate pixel.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    size: [usize; 2],
    scale: f64,
}

impl Fit {
    /// Plans the crop for a shot.
    ///
    /// `mask_bounds`: union of the mask's boxes over all frames, in plate pixels; an empty one means
    /// the whole plate. It is padded by `padding` of its longer side (at least [`LEAST_PADDING`]) but
    /// not beyond the plate, then widened to the aspect of the working size: the multiples of
    /// `multiple` with at most `area_px` pixels that show the padded box largest. A small crop is not
    /// enlarged, except to reach [`LEAST_SIDE`]. The crop always holds all of `mask_bounds`.
    pub fn plan(
        source_size: [u32; 2],
        mask_bounds: Rect,
        area_px: usize,
        multiple: usize,
        padding: f32,
    ) -> Self {
        let plate = Rect::of_size(source_size);
        let seen = if mask_bounds.is_empty() { plate } else { padded(mask_bounds, plate, padding) };
        let Candidate { size, scale } = best_size(&seen, area_px, multiple.max(1));
        let side = |length: usize, least: usize| ((length as f64 / scale).round() as usize).max(least);
        let crop = placed(&seen, side(size[0], seen.width()), side(size[1], seen.height()), plate);
        Self { source_size, crop, working_size: size.map(|length| length as u32) }
    }

    /// Width and height of the crop in plate pixels.
    pub fn crop_size(&self) -> [u32; 2] {
        [self.crop.width() as u32, self.crop.height() as u32]
    }

    /// Cuts the crop out of a plate frame and brings it to working size.
    pub fn apply(&self, plate: &Frame) -> Result<Frame, FrameError> {
        plate.expect_size(self.source_size)?;
        Ok(sized(&plate.crop_reflect(self.crop), self.working_size, Filter::Cubic))
    }

    /// As [`Fit::apply`] for a mask: stays within 0..1. Outside the plate a mask is reflected too, so
    /// what the model sees there goes with the picture.
    pub fn apply_mask(&self, mask: &Frame) -> Result<Frame, FrameError> {
        mask.expect_size(self.source_size)?;
        Ok(sized(&mask.crop_reflect(self.crop), self.working_size, Filter::Bilinear))
    }

    /// The way back: a working frame at the size of the crop.
    pub fn invert(&self, working: &Frame) -> Result<Frame, FrameError> {
        working.expect_size(self.working_size)?;
        Ok(sized(working, self.crop_size(), Filter::Cubic))
    }
}

fn sized(frame: &Frame, size: [u32; 2], filter: Filter) -> Frame {
    resize(frame, size[0] as usize, size[1] as usize, filter)
}

/// The mask's box with its padding; the padding stays within the plate, the box is kept whole.
fn padded(bounds: Rect, plate: Rect, padding: f32) -> Rect {
    let longer = bounds.width().max(bounds.height()) as f32;
    let pixels = ((longer * padding.max(0.0)).ceil() as i32).max(LEAST_PADDING);
    bounds.expanded(pixels).intersect(&plate).union(&bounds)
}

/// The size that shows `seen` largest; of equal ones the smallest.
fn best_size(seen: &Rect, area_px: usize, multiple: usize) -> Candidate {
    let (width, height) = (seen.width().max(1), seen.height().max(1));
    let largest_scale = (LEAST_SIDE as f64 / width.min(height) as f64).max(1.0);
    let cells = (area_px / (multiple * multiple)).max(1);
    let mut best = Candidate { size: [multiple; 2], scale: 0.0 };
    for across in 1..=cells {
        for down in 1..=cells / across {
            let size = [across * multiple, down * multiple];
            let scale = (size[0] as f64 / width as f64).min(size[1] as f64 / height as f64);
            let candidate = Candidate { size, scale: scale.min(largest_scale) };
            if candidate.beats(&best) {
                best = candidate;
            }
        }
    }
    best
}

impl Candidate {
    fn beats(&self, other: &Candidate) -> bool {
        let area = |candidate: &Candidate| candidate.size[0] * candidate.size[1];
        let gain = self.scale - other.scale;
        gain > 1e-9 || (gain > -1e-9 && area(self) < area(other))
    }
}

/// A rectangle of this size round `seen`, moved into the plate where it fits.
fn placed(seen: &Rect, width: usize, height: usize, plate: Rect) -> Rect {
    let (x1, x2) = span((seen.x1, seen.x2), width as i32, (plate.x1, plate.x2));
    let (y1, y2) = span((seen.y1, seen.y2), height as i32, (plate.y1, plate.y2));
    Rect::new(x1, y1, x2, y2)
}

fn span(seen: (i32, i32), length: i32, plate: (i32, i32)) -> (i32, i32) {
    let centred = seen.0 - (length - (seen.1 - seen.0)) / 2;
    let (room, inside) = (plate.1 - plate.0 - length, seen.0 >= plate.0 && seen.1 <= plate.1);
    let start = match inside {
        false => centred,
        true if room >= 0 => centred.clamp(plate.0, plate.0 + room),
        true => plate.0 + room.div_euclid(2),
    };
    (start, start + length)
}
