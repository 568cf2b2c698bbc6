//! Textures as bitmaps in scene-linear light, and the two looks of a surface.

use lora_edit_shot::colour::srgb_to_linear;

use super::geometry::{Vec2, Vec3};
use super::material::{Family, Material};
use super::palette::Rgb;
use super::repaint::{Canvas, Repaint};
use super::seeds::Rng;

/// Texels per height of the picture at 224 lines: about three to a pixel, averaged by supersampling.
const DENSITY: f32 = 640.0;

/// How a surface's coordinates (-1..1 on both axes) lie in space.
#[derive(Clone, Copy, Debug)]
pub enum Chart {
    /// A rectangle of this half extent, in heights of the picture.
    Flat(Vec2),
    /// A sphere of this radius: longitude over pi, latitude over half pi.
    Sphere(f32),
}

impl Chart {
    /// Half the extent of the unrolled surface.
    pub fn half(self) -> Vec2 {
        match self {
            Self::Flat(half) => half,
            Self::Sphere(radius) => [std::f32::consts::PI * radius, std::f32::consts::FRAC_PI_2 * radius],
        }
    }

    /// Where a surface point lies for textures that fill space.
    fn point(self, uv: Vec2) -> Vec3 {
        match self {
            Self::Flat(half) => [uv[0] * half[0], uv[1] * half[1], 0.0],
            Self::Sphere(radius) => sphere(uv).map(|x| x * radius),
        }
    }
}

/// A point of the unit sphere; longitude 0, latitude 0 looks at the camera.
pub fn sphere(uv: Vec2) -> Vec3 {
    let (sin_lon, cos_lon) = (uv[0] * std::f32::consts::PI).sin_cos();
    let (sin_lat, cos_lat) = (uv[1] * std::f32::consts::FRAC_PI_2).sin_cos();
    [cos_lat * sin_lon, sin_lat, -cos_lat * cos_lon]
}

/// A bitmap over -1..1 on both axes.
#[derive(Clone, Debug)]
pub struct Texture {
    size: [usize; 2],
    wraps: bool,
    texels: Vec<Rgb>,
}

impl Texture {
    /// Fills a bitmap; `colour` gives display code values.
    pub fn bake(half: Vec2, wraps: bool, colour: impl Fn(Vec2) -> Rgb) -> Self {
        let size = half.map(|length| ((2.0 * length * DENSITY) as usize).clamp(16, 1600));
        let along = |i: usize, length: usize| (i as f32 + 0.5) / length as f32 * 2.0 - 1.0;
        let texels = (0..size[0] * size[1])
            .map(|i| colour([along(i % size[0], size[0]), along(i / size[0], size[1])]).map(srgb_to_linear))
            .collect();
        Self { size, wraps, texels }
    }

    /// The colour at a surface point, bilinear; beyond the edges the edge goes on, or the other side where it wraps.
    pub fn at(&self, uv: Vec2) -> Rgb {
        let position = |axis: usize| (uv[axis] + 1.0) * 0.5 * self.size[axis] as f32 - 0.5;
        let (x, y) = (position(0), position(1));
        let (column, row) = (x.floor(), y.floor());
        let (fx, fy) = (x - column, y - row);
        let (x0, x1) = (self.column(column as i64), self.column(column as i64 + 1));
        let (y0, y1) = (self.row(row as i64), self.row(row as i64 + 1));
        let [a, b, c, d] = [y0 + x0, y0 + x1, y1 + x0, y1 + x1].map(|index| self.texels[index]);
        std::array::from_fn(|i| {
            let top = a[i] + (b[i] - a[i]) * fx;
            top + (c[i] + (d[i] - c[i]) * fx - top) * fy
        })
    }

    fn column(&self, x: i64) -> usize {
        let width = self.size[0] as i64;
        (if self.wraps { x.rem_euclid(width) } else { x.clamp(0, width - 1) }) as usize
    }

    fn row(&self, y: i64) -> usize {
        y.clamp(0, self.size[1] as i64 - 1) as usize * self.size[0]
    }
}

/// A surface as filmed, and as it would have been filmed had it been painted.
#[derive(Clone, Debug)]
pub struct Looks {
    /// As filmed.
    pub source: Texture,
    /// Painted.
    pub edited: Texture,
}

impl Looks {
    /// Draws a material and an edit for a surface. `turns`: parts of it come into view later.
    pub fn draw(rng: &mut Rng, chart: Chart, families: &[Family], turns: bool) -> Self {
        let half = chart.half();
        let size = 2.0 * half[0].min(half[1]);
        let ground = Material::draw(rng, families, size.clamp(0.3, 1.0));
        let edit = Repaint::draw(rng, &Canvas { half, ground: &ground, turns, families });
        Self::bake(chart, &ground, &edit)
    }

    /// Bakes both looks.
    pub fn bake(chart: Chart, ground: &Material, edit: &Repaint) -> Self {
        let (half, wraps) = (chart.half(), matches!(chart, Chart::Sphere(_)));
        let plain = |uv| ground.colour(chart.point(uv));
        let painted = |uv: Vec2| {
            let at = [uv[0] * half[0], uv[1] * half[1]];
            edit.over(plain(uv), at, chart.point(uv))
        };
        Self { source: Texture::bake(half, wraps, plain), edited: Texture::bake(half, wraps, painted) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_gives_back_what_was_baked() {
        let texture = Texture::bake([0.2, 0.1], false, |uv| [0.5 + 0.4 * uv[0], 0.5 + 0.4 * uv[1], 0.5]);
        let wanted = [0.5 + 0.4 * 0.3, 0.5 - 0.4 * 0.6, 0.5].map(srgb_to_linear);
        let found = texture.at([0.3, -0.6]);
        assert!((0..3).all(|i| (found[i] - wanted[i]).abs() < 1e-3), "{found:?}, not {wanted:?}");
        assert_eq!(texture.at([-9.0, 0.0]), texture.at([-1.0, 0.0]));
    }

    #[test]
    fn a_sphere_has_no_seam() {
        let looks = Looks::draw(&mut Rng::new(3), Chart::Sphere(0.3), &Family::SOLID, true);
        for texture in [&looks.source, &looks.edited] {
            for i in -9..10 {
                let (a, b) = (texture.at([-1.0, i as f32 * 0.1]), texture.at([1.0, i as f32 * 0.1]));
                assert!((0..3).all(|k| (a[k] - b[k]).abs() < 1e-4), "{a:?} meets {b:?}");
            }
        }
    }
}
