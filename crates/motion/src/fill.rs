//! Paint for what the key frame does not show: a side that comes round, what was hidden.
//!
//! What a frame nearer the key shows already keeps its paint from there, so that it does not change from frame to frame.
//! What is newly seen is continued from the paint around it, mostly along the motion: what comes round a body carries on
//! what runs round it. Where the paint follows the plate's own pattern, as a dye does, the pattern of the new place
//! goes with it; how far it does is measured in the key frame. A coat takes the new place's shading alone.

use rayon::prelude::*;

use crate::field::Field;
use crate::light::Light;
use crate::plane::Plane;

/// Paint in scene-linear light, and where it is known.
#[derive(Debug, Clone)]
pub struct Paint {
    /// The colours.
    pub colour: [Plane; 3],
    /// How far each pixel is known, 0..1.
    pub known: Plane,
}

/// How far paint follows the plate's pattern: the exponent of the plate's brightness, 0..1.
///
/// `plate` and `paint` are the key frame in scene-linear light; `solid` says where they count.
pub fn follows(plate: &[Plane; 3], paint: &[Plane; 3], solid: &Plane) -> f32 {
    let detail = |colour: &[Plane; 3]| {
        let log = brightness(colour).mapped(f32::ln);
        let near = log.with(solid, |v, w| v * w).blurred(3.0);
        let near = near.with(&solid.blurred(3.0), |v, w| if w > 1e-3 { v / w } else { 0.0 });
        log.with(&near, |v, near| v - near)
    };
    let (plate, paint) = (detail(plate), detail(paint));
    let (mut cross, mut square) = (0.0f64, 1e-9);
    for i in (0..solid.data.len()).filter(|&i| solid.data[i] > 0.99) {
        // Edges of the paint itself are no pattern of the plate: large steps count little.
        let trust = 1.0 / (1.0 + f64::from(paint.data[i] / 0.1).powi(2));
        cross += trust * f64::from(plate.data[i]) * f64::from(paint.data[i]);
        square += trust * f64::from(plate.data[i]).powi(2);
    }
    ((cross / square) as f32).clamp(0.0, 1.0)
}

/// Below this, brightness has no ratio.
const DARK: f32 = 0.004;

fn brightness(colour: &[Plane; 3]) -> Plane {
    let sum = colour[0].with(&colour[1], |r, g| 0.2126 * r + 0.7152 * g);
    sum.with(&colour[2], |sum, b| (sum + 0.0722 * b).max(DARK))
}

impl Paint {
    /// Where this paint is not known, that of a frame nearer the key, seen through the motion to it in this frame's light.
    pub fn or(mut self, nearer: &Seen, light: &Light) -> Self {
        let lit = light.lit(&nearer.colour);
        for i in 0..self.known.data.len() {
            let from = nearer.known.data[i] * (1.0 - self.known.data[i]);
            let total = self.known.data[i] + from;
            // Less than a display can show is rounding.
            if from > 1e-3 {
                let part = from / total;
                for c in 0..3 {
                    let own = self.colour[c].data[i];
                    self.colour[c].data[i] = own + part * (lit[c].data[i] - own);
                }
                self.known.data[i] = total;
            }
        }
        self
    }

    /// All pixels of `inside` that are not known are continued from those that are. `plate` is this frame's, `motion` the
    /// way to the frame nearer the key.
    pub fn continued(mut self, inside: &Plane, plate: &[Plane; 3], motion: &Field, follows: f32) -> Self {
        let width = inside.width;
        let known: Vec<bool> =
            self.known.data.iter().zip(&inside.data).map(|(k, w)| *k > 0.5 && *w > 0.0).collect();
        if !known.contains(&true) {
            return self;
        }
        let pattern = pattern(plate, inside, follows);
        let missing: Vec<usize> = (0..known.len()).filter(|&i| !known[i] && inside.data[i] > 0.0).collect();
        let around = Around { paint: &self, known: &known, pattern: &pattern };
        let found: Vec<[f32; 3]> = missing
            .par_iter()
            .map(|&i| around.at(i % width, i / width, [motion.x.data[i], motion.y.data[i]]))
            .collect();
        for (&i, found) in missing.iter().zip(&found) {
            // What is half known is half believed.
            let own = self.known.data[i];
            (0..3)
                .for_each(|c| self.colour[c].data[i] = found[c] + own * (self.colour[c].data[i] - found[c]));
        }
        self
    }
}

/// Standard deviation of what counts as shading, in pixels. Less takes the plate's texture for it.
const SHADING: f32 = 3.0;

/// What continued paint goes with, place by place: all of the plate's brightness as far as it follows that, for the rest what is left
/// when the texture is blurred away. A body is darker where it turns away: paint continued there without it came out
/// bright, and glowed when it had come round (8 `train` balls of 384x224: 0.3 dB, at most 0.9).
fn pattern(plate: &[Plane; 3], inside: &Plane, follows: f32) -> Plane {
    let bright = brightness(plate);
    let [sum, weight] =
        [bright.with(inside, |v, w| v * w), inside.clone()].map(|plane| plane.blurred(SHADING));
    let shading = sum.with(&weight, |sum, weight| if weight > 1e-3 { sum / weight } else { DARK });
    bright.with(&shading, |bright, shading| bright.powf(follows) * shading.max(DARK).powf(1.0 - follows))
}

/// A painted frame seen through a field.
pub struct Seen {
    /// Its paint in its own light.
    pub colour: [Plane; 3],
    /// How far it is known there.
    pub known: Plane,
}

struct Around<'a> {
    paint: &'a Paint,
    known: &'a [bool],
    pattern: &'a Plane,
}

/// How much farther paint is continued along the motion than across it. 3 is 0.1 dB worse in the mean of 8 `train` balls,
/// 1 is 0.3 to 0.7 worse on some.
const ALONG: f32 = 2.0;

impl Around<'_> {
    /// The paint around a place, near known pixels first, in the place's own pattern.
    fn at(&self, x: usize, y: usize, motion: [f32; 2]) -> [f32; 3] {
        let length = motion[0].hypot(motion[1]);
        let along = if length > 0.1 { [motion[0] / length, motion[1] / length] } else { [0.0; 2] };
        let mut reach = 6isize;
        loop {
            if let Some(found) = self.within(x, y, along, reach) {
                return found;
            }
            if reach as usize > self.pattern.width.max(self.pattern.height) {
                return [0; 3].map(|_| 0.0);
            }
            reach *= 2;
        }
    }

    fn within(&self, x: usize, y: usize, along: [f32; 2], reach: isize) -> Option<[f32; 3]> {
        let (width, height) = (self.pattern.width as isize, self.pattern.height as isize);
        let stride = (reach / 8).max(1);
        let here = self.pattern.at(x, y);
        let distance = |dx: isize, dy: isize| {
            let (dx, dy) = (dx as f32, dy as f32);
            let forth = dx * along[0] + dy * along[1];
            (dx * dx + dy * dy - forth * forth).max(0.0) + (forth / ALONG).powi(2)
        };
        let mut near: Vec<(f32, usize)> = Vec::new();
        for dy in (-reach..=reach).step_by(stride as usize) {
            for dx in (-reach..=reach).step_by(stride as usize) {
                let (px, py) = (x as isize + dx, y as isize + dy);
                if px < 0 || py < 0 || px >= width || py >= height {
                    continue;
                }
                let i = (py * width + px) as usize;
                if self.known[i] {
                    near.push((distance(dx, dy), i));
                }
            }
        }
        let nearest = near.iter().map(|(d, _)| *d).fold(f32::INFINITY, f32::min);
        if !nearest.is_finite() {
            return None;
        }
        // Twice as far counts a seventh.
        let scale = 0.5 / (0.25 * nearest + 0.5);
        let (mut sum, mut total) = ([0.0f32; 3], 1e-9);
        for (d, i) in near {
            let weight = (-(d - nearest) * scale).exp();
            let pattern = (here / self.pattern.data[i]).clamp(0.25, 4.0);
            (0..3).for_each(|c| sum[c] += weight * pattern * self.paint.colour[c].data[i]);
            total += weight;
        }
        Some(sum.map(|sum| sum / total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 2] = [48, 40];

    fn flat(value: f32) -> Plane {
        Plane::filled(SIZE[0], SIZE[1], value)
    }

    fn waves(a: f32) -> Plane {
        Plane::from_fn(SIZE[0], SIZE[1], |x, y| 0.3 + 0.1 * (a * x as f32).sin() * (0.8 * y as f32).cos())
    }

    /// Known where `known`; elsewhere of a colour that must not be seen.
    fn paint(colour: [Plane; 3], known: &Plane) -> Paint {
        Paint {
            colour: colour.map(|c| c.with(known, |c, known| if known > 0.5 { c } else { 77.0 })),
            known: known.clone(),
        }
    }

    fn left() -> Plane {
        Plane::from_fn(SIZE[0], SIZE[1], |x, _| f32::from(x < 24))
    }

    #[test]
    fn a_dye_follows_the_plate_and_a_flat_paint_does_not() {
        let plate = [0.9, 1.1, 0.7].map(waves);
        let solid = flat(1.0);
        let dye = plate.each_ref().map(|plane| plane.mapped(|v| 0.5 * v));
        let (dye, flat_paint) =
            (follows(&plate, &dye, &solid), follows(&plate, &[0.2, 0.5, 0.1].map(flat), &solid));
        assert!(dye > 0.98 && flat_paint < 0.02, "{dye} {flat_paint}");
        assert_eq!(follows(&plate, &plate, &flat(0.0)), 0.0);
    }

    #[test]
    fn constant_paint_is_continued_as_it_is() {
        let colours = [0.2, 0.5, 0.1];
        for motion in [Field::still(SIZE[0], SIZE[1]), Field::shifted(SIZE[0], SIZE[1], [4.0, 1.0])] {
            let plate = [0.4, 0.3, 0.2].map(flat);
            let found = paint(colours.map(flat), &left()).continued(&flat(1.0), &plate, &motion, 0.0);
            for (plane, wanted) in found.colour.iter().zip(colours) {
                assert!(plane.data.iter().all(|v| (v - wanted).abs() < 1e-5));
            }
        }
    }

    /// The plate darkens towards the right and has a fine texture: the paint goes with the one and not with the other.
    #[test]
    fn a_coat_is_continued_with_the_new_places_shading() {
        let shade = |x: usize| 1.0 - 0.6 * x as f32 / 47.0;
        let texture = |x: usize, y: usize| 1.0 + 0.3 * (2.1 * x as f32).sin() * (2.3 * y as f32).cos();
        let plate =
            [0.9, 1.1, 0.7].map(|v| Plane::from_fn(48, 40, |x, y| v * 0.3 * shade(x) * texture(x, y)));
        let lit = [0.2, 0.5, 0.1].map(|v| Plane::from_fn(48, 40, |x, _| v * shade(x)));
        let found = paint(lit.clone(), &left()).continued(&flat(1.0), &plate, &Field::still(48, 40), 0.0);
        for x in [28, 34, 40] {
            let off = found.colour[1].at(x, 20) / lit[1].at(x, 20) - 1.0;
            assert!(off.abs() < 0.08, "column {x} is off by {off}");
        }
    }

    #[test]
    fn a_dye_is_continued_with_the_plates_own_pattern() {
        let plate = [0; 3].map(|_| waves(0.9));
        let dye = plate.each_ref().map(|plane| plane.mapped(|v| 0.5 * v));
        let found = paint(dye.clone(), &left()).continued(&flat(1.0), &plate, &Field::still(48, 40), 1.0);
        let off = |i: usize| (found.colour[1].data[i] - dye[1].data[i]).abs();
        assert!((0..48 * 40).all(|i| off(i) < 2e-3), "{}", (0..48 * 40).map(off).fold(0.0, f32::max));
    }

    /// Stripes that run round a body go on along its motion.
    #[test]
    fn stripes_along_the_motion_go_on() {
        let stripes = Plane::from_fn(48, 40, |_, y| if y / 5 % 2 == 0 { 0.6 } else { 0.2 });
        let all = [0; 3].map(|_| stripes.clone());
        let found = paint(all, &left()).continued(
            &flat(1.0),
            &[0; 3].map(|_| flat(0.5)),
            &Field::shifted(48, 40, [3.0, 0.0]),
            0.0,
        );
        let (on, off) = (found.colour[0].at(27, 22), found.colour[0].at(27, 17));
        assert!(on > 0.5 && off < 0.3, "{on} {off}");
    }

    #[test]
    fn what_a_nearer_frame_knows_is_taken_and_nothing_known_stops_nothing() {
        let own = paint([0.2, 0.5, 0.1].map(flat), &left());
        let seen = Seen { colour: [0.3; 3].map(flat), known: flat(1.0) };
        let light = Light { gain: flat(2.0), ..Light::same(48, 40) };
        let both = own.or(&seen, &light);
        let (own, nearer) = (both.colour[1].at(4, 4), both.colour[1].at(40, 4));
        assert!(own == 0.5 && (nearer - 0.6).abs() < 1e-4, "{own} {nearer}");
        assert!(both.known.data.iter().all(|v| *v == 1.0));
        let none = paint([0.2; 3].map(flat), &flat(0.0));
        let still = Field::still(48, 40);
        let found = none.clone().continued(&flat(1.0), &[0.5; 3].map(flat), &still, 1.0);
        assert_eq!(found.colour, none.colour);
    }
}
