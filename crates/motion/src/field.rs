//! Displacement fields: where each pixel of one picture is found in another.

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
        [x + beyond(&self.x, x, y), y + beyond(&self.y, x, y)]
    }

    /// First `self`, then `next`.
    pub fn then(&self, next: &Self) -> Self {
        let (w, h) = (self.x.width, self.x.height);
        let mut out = Self::still(w, h);
        use rayon::prelude::*;
        let rows = out.x.data.par_chunks_mut(w).zip(out.y.data.par_chunks_mut(w)).enumerate();
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
        let across = Plane::from_fn(width, height, |x, _| x as f32 - cx);
        let down = Plane::from_fn(width, height, |_, y| y as f32 - cy);
        let product = |a: &Plane, b: &Plane| a.with(b, |a, b| a * b);
        let (wx, wy) = (product(weight, &across), product(weight, &down));
        let (one, sx, sy) = (weight.blurred(sigma), wx.blurred(sigma), wy.blurred(sigma));
        let sxx = product(&wx, &across).blurred(sigma);
        let (sxy, syy) = (product(&wx, &down).blurred(sigma), product(&wy, &down).blurred(sigma));
        let smooth = |plane: &Plane| {
            let own = product(weight, plane).blurred(sigma);
            let (across, down) = (product(&wx, plane).blurred(sigma), product(&wy, plane).blurred(sigma));
            Plane::from_fn(width, height, |x, y| {
                let i = y * width + x;
                let w = one.data[i];
                if w < 1e-12 {
                    return plane.data[i];
                }
                let (mx, my, mean) = (sx.data[i] / w, sy.data[i] / w, own.data[i] / w);
                let (xx, xy, yy) =
                    (sxx.data[i] / w - mx * mx, sxy.data[i] / w - mx * my, syy.data[i] / w - my * my);
                let (a, b) = (across.data[i] / w - mx * mean, down.data[i] / w - my * mean);
                // A little ridge: a thin row of pixels says nothing of the other direction.
                let (xx, yy) = (xx.max(0.0) + 0.02 * sigma * sigma, yy.max(0.0) + 0.02 * sigma * sigma);
                let det = (xx * yy - xy * xy).max(1e-6);
                let (gx, gy) = ((yy * a - xy * b) / det, (xx * b - xy * a) / det);
                mean + gx * (x as f32 - cx - mx) + gy * (y as f32 - cy - my)
            })
        };
        Self { x: smooth(&self.x), y: smooth(&self.y) }
    }
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
