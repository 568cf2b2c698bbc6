//! Displacement fields: where each pixel of one picture is found in another.

use rayon::prelude::*;

use crate::lanes::{LINES, Lanes};
use crate::plane::Plane;
use crate::polynomial::Polynomial;

/// Where each pixel is found in the other picture: its own place plus this.
#[derive(Debug, Clone)]
pub struct Field {
    /// Displacement to the right.
    pub x: Plane,
    /// Displacement down.
    pub y: Plane,
}

impl Field {
    /// Everything stays where it is.
    pub fn still(width: usize, height: usize) -> Self {
        Self::shifted(width, height, [0.0; 2])
    }

    /// Everything moves alike.
    pub fn shifted(width: usize, height: usize, [x, y]: [f32; 2]) -> Self {
        Self { x: Plane::filled(width, height, x), y: Plane::filled(width, height, y) }
    }

    /// Where the pixel at `x`, `y` is found.
    pub fn position(&self, x: usize, y: usize) -> [f32; 2] {
        let i = y * self.x.width + x;
        [x as f32 + self.x.data[i], y as f32 + self.y.data[i]]
    }

    /// Where a place between pixels is found; outside the picture the border's slope goes on.
    pub fn between(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let inside = x >= 0.0 && y >= 0.0 && x < (self.x.width - 1) as f32 && y < (self.x.height - 1) as f32;
        if !inside {
            return [x + beyond(&self.x, x, y), y + beyond(&self.y, x, y)];
        }
        let (left, top) = (x as usize, y as usize);
        let (i, fx, fy) = (top * self.x.width + left, x - left as f32, y - top as f32);
        let value = |plane: &Plane| {
            let (upper, lower) = (&plane.data[i..i + 2], &plane.data[i + plane.width..i + plane.width + 2]);
            let (upper, lower) =
                (upper[0] + fx * (upper[1] - upper[0]), lower[0] + fx * (lower[1] - lower[0]));
            upper + fy * (lower - upper)
        };
        [x + value(&self.x), y + value(&self.y)]
    }

    /// First `self`, then `next`.
    pub fn then(&self, next: &Self) -> Self {
        let (w, h) = (self.x.width, self.x.height);
        let mut out = Self::still(w, h);
        let rows =
            out.x.data.par_chunks_mut(w).zip(out.y.data.par_chunks_mut(w)).with_min_len(LINES).enumerate();
        rows.for_each(|(y, (across, down))| {
            for x in 0..w {
                let [px, py] = next.between(self.position(x, y));
                (across[x], down[x]) = (px - x as f32, py - y as f32);
            }
        });
        out
    }

    /// Both displacements, mapped alike with those of another field.
    pub fn with(&self, other: &Self, combine: impl Fn(f32, f32) -> f32) -> Self {
        Self { x: self.x.with(&other.x, &combine), y: self.y.with(&other.y, &combine) }
    }

    /// Both displacements, mapped alike.
    pub fn mapped(&self, map: impl Fn(f32) -> f32) -> Self {
        Self { x: self.x.mapped(&map), y: self.y.mapped(&map) }
    }

    /// The same motion at half the size.
    pub fn halved(&self) -> Self {
        Self { x: self.x.halved(), y: self.y.halved() }.mapped(|v| 0.5 * v)
    }

    /// The same motion at twice the size.
    pub fn doubled(&self, width: usize, height: usize) -> Self {
        let twice = |plane: &Plane| plane.doubled(width, height);
        Self { x: twice(&self.x), y: twice(&self.y) }.mapped(|v| 2.0 * v)
    }

    /// What lies outside `domain` goes on from what lies inside: the whole's affine motion, and what is left of the
    /// nearest parts' own.
    pub fn spread(&self, domain: &Plane) -> Self {
        let whole = Polynomial::fitted(self, domain).field(domain.width, domain.height);
        let own = self.with(&whole, |own, whole| own - whole);
        let own = Self { x: own.x.spread(domain), y: own.y.spread(domain) };
        whole.with(&own, |whole, own| whole + own)
    }

    /// Smoothed by local affine motions over surroundings of this standard deviation, each pixel counting by `weight`.
    /// An affine motion stays as it is.
    pub fn locally_affine(&self, weight: &Plane, sigma: f32) -> Self {
        let (width, height) = (weight.width, weight.height);
        // Counted from the middle, since squares of large numbers lose f32's digits.
        let (cx, cy) = (0.5 * width as f32, 0.5 * height as f32);
        let place = |x: usize, y: usize| [x as f32 - cx, y as f32 - cy];
        let sums = Lanes::from_fn(width, height, |i, x, y| {
            let ([x, y], w) = (place(x, y), weight.data[i]);
            let (u, v) = (w * self.x.data[i], w * self.y.data[i]);
            [w, w * x, w * y, w * x * x, w * x * y, w * y * y, u, u * x, u * y, v, v * x, v * y]
        });
        let sums = sums.blurred(sigma);
        let smooth = Lanes::from_fn(width, height, |i, x, y| match affine(sums.at(i), place(x, y), sigma) {
            Some(found) => found,
            None => [self.x.data[i], self.y.data[i]],
        });
        let [x, y] = smooth.planes();
        Self { x, y }
    }
}

/// The value at a place of the affine motion that the sums of its surroundings tell; none where there are none.
///
/// `sums`: weight by 1, x, y, xx, xy, yy; by either displacement times 1, x, y.
fn affine(sums: &[f32; 12], [x, y]: [f32; 2], sigma: f32) -> Option<[f32; 2]> {
    let w = sums[0];
    if w < 1e-12 {
        return None;
    }
    let (mx, my) = (sums[1] / w, sums[2] / w);
    // A little ridge: a thin row of pixels says nothing of the other direction.
    let ridge = 0.02 * sigma * sigma;
    let xx = (sums[3] / w - mx * mx).max(0.0) + ridge;
    let yy = (sums[5] / w - my * my).max(0.0) + ridge;
    let xy = sums[4] / w - mx * my;
    let det = (xx * yy - xy * xy).max(1e-6);
    Some([6, 9].map(|k| {
        let mean = sums[k] / w;
        let (a, b) = (sums[k + 1] / w - mx * mean, sums[k + 2] / w - my * mean);
        let (gx, gy) = ((yy * a - xy * b) / det, (xx * b - xy * a) / det);
        mean + gx * (x - mx) + gy * (y - my)
    }))
}

/// Bilinear inside, and on along the border's slope outside, so that an affine field stays one.
fn beyond(plane: &Plane, x: f32, y: f32) -> f32 {
    let (w, h) = ((plane.width - 1) as f32, (plane.height - 1) as f32);
    let (inner_x, inner_y) = (x.clamp(0.0, w), y.clamp(0.0, h));
    let value = plane.bilinear(inner_x, inner_y);
    let (over_x, over_y) = (x - inner_x, y - inner_y);
    if over_x == 0.0 && over_y == 0.0 {
        return value;
    }
    let reach = 4.0f32;
    let slope_x =
        (value - plane.bilinear(inner_x - reach.copysign(over_x), inner_y)) / reach.copysign(over_x);
    let slope_y =
        (value - plane.bilinear(inner_x, inner_y - reach.copysign(over_y))) / reach.copysign(over_y);
    value + over_x * slope_x + over_y * slope_y
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [f32; 6] = [3.0, 0.1, -0.05, -2.0, 0.04, 0.08];
    const B: [f32; 6] = [-9.0, -0.03, 0.02, 6.0, 0.05, -0.1];

    fn moved([a, b, c, d, e, f]: [f32; 6], [x, y]: [f32; 2]) -> [f32; 2] {
        [x + a + b * x + c * y, y + d + e * x + f * y]
    }

    fn affine(motion: [f32; 6], width: usize, height: usize) -> Field {
        let part = |k: usize| {
            Plane::from_fn(width, height, |x, y| {
                let at = [x as f32, y as f32];
                moved(motion, at)[k] - at[k]
            })
        };
        Field { x: part(0), y: part(1) }
    }

    fn worst(a: &Field, b: &Field) -> f32 {
        let pairs = a.x.data.iter().zip(&b.x.data).chain(a.y.data.iter().zip(&b.y.data));
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn affine_motions_follow_each_other_exactly_also_outside_the_picture() {
        let (w, h) = (40, 30);
        let both = affine(A, w, h).then(&affine(B, w, h));
        for (x, y) in [(0, 0), (20, 15), (39, 29), (39, 0)] {
            let wanted = moved(B, moved(A, [x as f32, y as f32]));
            let found = both.position(x, y);
            assert!((0..2).all(|k| (found[k] - wanted[k]).abs() < 1e-3), "{found:?} {wanted:?}");
        }
        let far = affine(B, w, h).between([-25.0, 70.0]);
        assert!((0..2).all(|k| (far[k] - moved(B, [-25.0, 70.0])[k]).abs() < 1e-3), "{far:?}");
    }

    #[test]
    fn sizes_change_the_motion_with_the_picture() {
        let field = affine(A, 40, 30);
        let back = field.halved().doubled(40, 30);
        let at = back.position(20, 15);
        let wanted = field.position(20, 15);
        assert!((0..2).all(|k| (at[k] - wanted[k]).abs() < 1e-3), "{at:?} {wanted:?}");
        assert!((field.halved().x.at(10, 7) - 0.5 * (3.0 + 0.1 * 20.5 - 0.05 * 14.5)).abs() < 1e-4);
    }

    #[test]
    fn an_affine_motion_is_smooth_already_and_noise_is_not() {
        let (w, h) = (60, 40);
        let weight = Plane::from_fn(w, h, |x, y| 1e-3 + ((x * 7 + y * 3) % 5) as f32);
        // Where a gradient is weighed down by the ridge, within 2 % of it over the offset of the weights' middle.
        assert!(worst(&affine(A, w, h).locally_affine(&weight, 8.0), &affine(A, w, h)) < 0.1);
        let noise = |x: usize, y: usize| if (x + y).is_multiple_of(2) { 0.5 } else { -0.5 };
        let rough = affine(A, w, h)
            .with(&Field { x: Plane::from_fn(w, h, noise), y: Plane::from_fn(w, h, noise) }, |a, b| a + b);
        let smooth = rough.locally_affine(&Plane::filled(w, h, 1.0), 8.0);
        assert!(worst(&smooth, &affine(A, w, h)) < 0.15);
    }

    /// What nearly nothing is known of keeps its own surroundings' motion beside a strong pattern.
    #[test]
    fn a_weak_pattern_beside_a_strong_one_is_smoothed_by_itself() {
        let field = affine(A, 120, 40);
        let weight = Plane::from_fn(120, 40, |x, _| if x < 50 { 10.0 } else { 1e-6 });
        let smooth = field.locally_affine(&weight, 4.0);
        for x in [85, 100, 119] {
            assert!((smooth.x.at(x, 20) - field.x.at(x, 20)).abs() < 0.1, "{x}: {}", smooth.x.at(x, 20));
        }
    }

    #[test]
    fn an_affine_motion_goes_on_beyond_what_is_known() {
        let domain = Plane::from_fn(50, 40, |x, y| f32::from((15..30).contains(&x) && (10..25).contains(&y)));
        let field = affine(A, 50, 40);
        let known = Field { x: field.x.with(&domain, |v, w| v * w), y: field.y.with(&domain, |v, w| v * w) };
        assert!(worst(&known.spread(&domain), &field) < 0.02);
        assert_eq!(worst(&known.spread(&Plane::filled(50, 40, 0.0)), &Field::still(50, 40)), 0.0);
    }
}
