//! The plate's own pattern in the paint: a dye lets it through, a coat hides it.
//!
//! Where paint goes with the plate's pattern, so does what carrying gets wrong on the plate: a place a fraction of a pixel
//! off, light that changes within a few pixels. The plate shows that error, and the paint is mended by its share of it.
//! How large the share is, the key frame tells place by place: by how far the paint's fine detail goes with the plate's.
//!
//! In root light, in which a dye's share is about the same in dark and bright places (train shots, in-mask PSNR: from 31.2 to
//! 36.5 dB where an occluder passes, 26.6 to 28.3 for a limb, and within 0.03 dB where the paint is a coat).

use crate::lanes::Lanes;
use crate::plane::{Plane, root};

/// Detail is what differs from surroundings of this standard deviation, in pixels.
const DETAIL: f32 = 2.0;
/// Shares are fitted over surroundings of this standard deviation, in pixels; 6 costs 0.5 dB on one `train` shot and nothing on the others.
const SURROUNDINGS: f32 = 4.0;
/// Detail of the plate below this, in root light, tells little.
const NOISE: f32 = 0.01;
/// Detail of the paint from this on, in root light, is likely a painted edge and counts half.
const EDGE: f32 = 0.3;

/// A share beyond 1, of a dye that brightens, is trusted up to here.
const MOST: f32 = 1.5;

/// For each channel, how much of a change in the plate the paint goes with, 0 to 1.5.
///
/// `plate` and `paint` are the key frame in scene-linear light; `solid` says where they count.
pub(crate) fn shares(plate: &[Plane; 3], paint: &[Plane; 3], solid: &Plane) -> [Plane; 3] {
    let near = solid.blurred(DETAIL);
    std::array::from_fn(|c| {
        let [plate, paint] = [&plate[c], &paint[c]].map(|plane| detail(&plane.mapped(root), solid, &near));
        let sums = Lanes::from_fn(plate.width, plate.height, |i, _, _| {
            let (plate, paint) = (plate.data[i], paint.data[i]);
            let weight = solid.data[i] / (1.0 + (paint / EDGE).powi(2));
            [weight, weight * plate * paint, weight * plate * plate]
        });
        let sums = sums.blurred(SURROUNDINGS);
        Plane::from_fn(plate.width, plate.height, |x, y| {
            let [weight, cross, square] = *sums.at(y * plate.width + x);
            if weight < 1e-4 { 0.0 } else { (cross / (square + weight * NOISE * NOISE)).clamp(0.0, MOST) }
        })
    })
}

fn detail(plane: &Plane, solid: &Plane, near: &Plane) -> Plane {
    let sum = plane.with(solid, |v, w| v * w).blurred(DETAIL);
    let mean = sum.with(near, |sum, w| if w > 1e-3 { sum / w } else { 0.0 });
    plane.with(&mean, |v, mean| v - mean)
}

/// `colour` with its `shares` of what the plate `now` differs from what is `carried` of it, as far as both count by `weight`.
/// All in scene-linear light.
pub(crate) fn mended(
    colour: &[Plane; 3],
    shares: &[Plane; 3],
    now: &[Plane; 3],
    carried: &[Plane; 3],
    weight: &Plane,
) -> [Plane; 3] {
    std::array::from_fn(|c| {
        let mended = |i: usize| {
            let share = shares[c].data[i] * weight.data[i];
            let change = share * (root(now[c].data[i]) - root(carried[c].data[i]));
            (root(colour[c].data[i]) + change).max(0.0).powi(2)
        };
        Plane { data: (0..weight.data.len()).map(mended).collect(), ..*weight }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(phase: f32) -> Plane {
        Plane::from_fn(64, 48, |x, y| 0.3 + 0.12 * (0.7 * x as f32 + phase).sin() * (0.9 * y as f32).cos())
    }

    fn all(plane: &Plane) -> [Plane; 3] {
        std::array::from_fn(|_| plane.clone())
    }

    fn flat(value: f32) -> Plane {
        Plane::filled(64, 48, value)
    }

    /// A coat to the left, a dye to the right.
    fn half_dyed(plate: &Plane) -> Plane {
        Plane::from_fn(64, 48, |x, y| if x < 32 { 0.2 } else { 0.5 * plate.at(x, y) })
    }

    fn worst(a: &Plane, b: &Plane, columns: std::ops::Range<usize>) -> f32 {
        let off = |i: usize| (a.data[i] - b.data[i]).abs();
        (0..a.data.len()).filter(|i| columns.contains(&(i % 64))).map(off).fold(0.0, f32::max)
    }

    #[test]
    fn a_dye_has_the_plates_share_and_a_coat_has_none() {
        let shares = shares(&all(&pattern(0.0)), &all(&half_dyed(&pattern(0.0))), &flat(1.0));
        let dye = 0.5f32.sqrt();
        for share in &shares {
            assert!(worst(share, &flat(dye), 44..64) < 0.03, "dye {}", share.at(54, 20));
            assert!(worst(share, &flat(0.0), 0..20) < 0.01, "coat {}", share.at(10, 20));
        }
    }

    #[test]
    fn the_share_is_measured_where_the_surface_is_shown_alone() {
        let solid = Plane::from_fn(64, 48, |x, _| f32::from(x >= 32));
        let shares = shares(&all(&pattern(0.0)), &all(&half_dyed(&pattern(0.0))), &solid);
        assert!(worst(&shares[1], &flat(0.5f32.sqrt()), 33..64) < 0.05, "{}", shares[1].at(34, 20));
        assert!(shares[1].at(2, 20) == 0.0, "nothing is known there: {}", shares[1].at(2, 20));
    }

    /// Carried a third of a pattern off: the dye is mended to what it should be, the coat stays.
    #[test]
    fn a_dye_carried_to_a_wrong_place_is_mended_by_the_plate() {
        let (now, off) = (pattern(0.0), pattern(0.4));
        let shares = shares(&all(&off), &all(&half_dyed(&off)), &flat(1.0));
        let mend = |weight: f32| {
            let carried = all(&half_dyed(&off));
            mended(&carried, &shares, &all(&now), &all(&off), &flat(weight))[2].clone()
        };
        let (before, after) =
            (worst(&mend(0.0), &half_dyed(&now), 44..64), worst(&mend(1.0), &half_dyed(&now), 44..64));
        assert!(before > 0.02 && after < 0.1 * before, "{before} {after}");
        assert!(worst(&mend(1.0), &flat(0.2), 0..20) < 1e-3, "the coat stays");
    }
}
