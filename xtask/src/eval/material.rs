//! What surfaces are made of: families of textures, as colours of points in space.

use super::geometry::{Vec3, mix, smooth_step};
use super::letters;
use super::noise::{cell, fractal, gradient, of_index, turbulence};
use super::palette::{self, Rgb, ramp};
use super::seeds::Rng;

/// A family of textures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// 1/f noise in colour: stone, rust, clouds.
    Stone,
    /// Boards with rings and grain.
    Wood,
    /// Veins in a pale ground.
    Marble,
    /// Skin: blotches, pores, freckles.
    Skin,
    /// Threads over and under each other, in a check.
    Weave,
    /// Printed lines of letters.
    Print,
    /// Overlapping leaves.
    Leaves,
    /// A wall of bricks.
    Bricks,
    /// Smooth paint with wear and scratches.
    Paint,
}

impl Family {
    /// What a flat thing may be made of.
    pub const FLAT: [Self; 8] = [
        Self::Stone,
        Self::Wood,
        Self::Marble,
        Self::Skin,
        Self::Weave,
        Self::Print,
        Self::Leaves,
        Self::Paint,
    ];
    /// What a round thing may be made of: textures that fill space, so that they have no seam.
    pub const SOLID: [Self; 6] =
        [Self::Stone, Self::Wood, Self::Marble, Self::Skin, Self::Leaves, Self::Paint];
    /// What hangs in folds or is worn.
    pub const CLOTH: [Self; 3] = [Self::Weave, Self::Print, Self::Stone];
    /// What stands behind.
    pub const BACKDROP: [Self; 6] =
        [Self::Stone, Self::Wood, Self::Leaves, Self::Bricks, Self::Paint, Self::Weave];
}

/// One texture of a family.
#[derive(Clone, Debug)]
pub struct Material {
    family: Family,
    stops: [Rgb; 3],
    accent: Rgb,
    scale: f32,
    seed: u32,
}

impl Material {
    /// Draws one; features grow with `size` (1 suits a thing of half a picture's height).
    pub fn draw(rng: &mut Rng, families: &[Family], size: f32) -> Self {
        let family = rng.pick(families);
        let mut stops = palette::natural(rng);
        if family == Family::Skin {
            let depth = rng.range(0.45, 1.0);
            stops =
                [[0.55, 0.33, 0.26], [0.80, 0.57, 0.47], [0.93, 0.75, 0.66]].map(|c| c.map(|v| v * depth));
        }
        let accent = palette::vivid(rng);
        Self { family, stops, accent, scale: rng.range(0.8, 1.3) / size, seed: rng.noise_seed() }
    }

    /// The middle of its colours.
    pub fn typical(&self) -> Rgb {
        match self.family {
            Family::Marble | Family::Print => self.stops[2],
            _ => self.stops[1],
        }
    }

    /// Display code values at a point of the surface, in heights of the picture.
    pub fn colour(&self, point: Vec3) -> Rgb {
        let p = point.map(|x| x * self.scale);
        let colour = match self.family {
            Family::Stone => self.stone(p),
            Family::Wood => self.wood(p),
            Family::Marble => self.marble(p),
            Family::Skin => self.skin(p),
            Family::Weave => self.weave(p),
            Family::Print => self.print(p),
            Family::Leaves => self.leaves(p),
            Family::Bricks => self.bricks(p),
            Family::Paint => self.paint(p),
        };
        colour.map(|value| value.clamp(0.02, 0.97))
    }

    fn noise(&self, p: Vec3, frequency: f32, octaves: u32, which: u32) -> f32 {
        fractal(p.map(|x| x * frequency), octaves, self.seed.wrapping_add(which * 101))
    }

    fn stone(&self, p: Vec3) -> Rgb {
        let ground = ramp(&self.stops, 0.5 + 0.75 * self.noise(p, 4.0, 6, 0));
        let stain = smooth_step(0.1, 0.5, self.noise(p, 2.5, 4, 1));
        let tint = mix(ground, mix(ground, self.accent, 0.5), 0.5 * stain);
        std::array::from_fn(|i| tint[i] + 0.07 * self.noise(p, 9.0, 4, 2 + i as u32))
    }

    fn wood(&self, [x, y, z]: Vec3) -> Rgb {
        let bend = self.noise([x * 0.35, y, z], 2.2, 3, 0);
        let ring = (14.0 * (y + 0.3 * z) + 3.5 * bend).rem_euclid(1.0);
        let late = smooth_step(0.15, 0.85, ring) * (1.0 - smooth_step(0.85, 1.0, ring));
        let grain = self.noise([x * 0.08, y, z], 45.0, 3, 1);
        ramp(&self.stops, 0.75 - 0.42 * late + 0.22 * grain + 0.12 * bend)
    }

    fn marble(&self, p: Vec3) -> Rgb {
        let fold = turbulence(p.map(|x| x * 3.0), 5, self.seed);
        let vein = (7.0 * (p[0] + 0.6 * p[1] - 0.3 * p[2]) + 4.0 * fold).sin().abs().powf(0.45);
        let cloud = self.noise(p, 2.0, 4, 3);
        mix(self.stops[0], self.stops[2], (vein + 0.2 * cloud).clamp(0.0, 1.1))
    }

    fn skin(&self, p: Vec3) -> Rgb {
        let blotch = self.noise(p, 3.0, 4, 0);
        let pores = self.noise(p, 38.0, 2, 1);
        let spot = cell(p.map(|x| x * 9.0), self.seed);
        let freckle = (1.0 - smooth_step(0.10, 0.22, spot.nearest)) * smooth_step(0.45, 0.6, spot.id);
        let base = ramp(&self.stops, 0.62 + 0.35 * blotch + 0.10 * pores);
        let flushed = [base[0] + 0.05 * blotch, base[1] - 0.03 * blotch, base[2] - 0.02 * blotch];
        mix(flushed, self.stops[0], 0.6 * freckle)
    }

    fn weave(&self, p: Vec3) -> Rgb {
        let threads = 55.0;
        let at = [p[0] * threads, p[1] * threads];
        let index = at.map(|x| x.floor() as i32);
        let warp_on_top = (index[0] + index[1]).rem_euclid(2) == 0;
        let axis = usize::from(!warp_on_top);
        let across = at[axis].rem_euclid(1.0) - 0.5;
        let stripe = |index: i32| (index.div_euclid(7)).rem_euclid(4);
        let thread = match stripe(index[axis]) {
            0 => self.stops[0],
            1 => self.accent,
            2 => self.stops[1],
            _ => self.stops[2],
        };
        let round = 1.0 - 1.6 * across * across;
        let uneven = 0.9 + 0.2 * of_index(index[axis], self.seed) + 0.12 * self.noise(p, 6.0, 3, 1);
        thread.map(|value| value * round * uneven)
    }

    fn print(&self, p: Vec3) -> Rgb {
        let paper = ramp(&self.stops, 0.9 + 0.12 * self.noise(p, 5.0, 4, 0));
        let ink = letters::page([p[0] * 9.0, p[1] * 9.0], self.seed);
        let line = (p[1] * 9.0 / letters::LINE).floor() as i32;
        let colour = if line.rem_euclid(3) == 0 { self.accent } else { self.stops[0].map(|v| 0.6 * v) };
        mix(paper, colour, 0.92 * ink)
    }

    fn leaves(&self, p: Vec3) -> Rgb {
        let bent: Vec3 = std::array::from_fn(|i| p[i] * 8.0 + 0.5 * self.noise(p, 5.0, 2, i as u32));
        let leaf = cell(bent, self.seed);
        let rib = 0.3 * gradient(bent.map(|x| x * 4.0), self.seed ^ 7);
        let edge = smooth_step(0.0, 0.16, leaf.second - leaf.nearest);
        let colour = ramp(&self.stops, 0.15 + 0.75 * leaf.id + 0.25 * rib + 0.2 * (0.5 - leaf.nearest));
        colour.map(|value| value * (0.35 + 0.65 * edge))
    }

    fn bricks(&self, p: Vec3) -> Rgb {
        let row = (p[1] * 10.0).floor();
        let x = p[0] * 4.0 + 0.5 * row.rem_euclid(2.0);
        let brick = (x.floor() as i32).wrapping_mul(57).wrapping_add(row as i32);
        let (fx, fy) = ((x.rem_euclid(1.0) - 0.5).abs(), ((p[1] * 10.0).rem_euclid(1.0) - 0.5).abs());
        let rough = 0.03 * self.noise(p, 14.0, 3, 0);
        let face = (1.0 - smooth_step(0.46, 0.485, fx + rough)) * (1.0 - smooth_step(0.38, 0.44, fy + rough));
        let tone = 0.25 + 0.5 * of_index(brick, self.seed) + 0.35 * self.noise(p, 11.0, 4, 1);
        mix(self.stops[2].map(|v| 0.8 * v), ramp(&self.stops, tone), face)
    }

    fn paint(&self, p: Vec3) -> Rgb {
        let base = mix(self.stops[1], self.accent, 0.55);
        let shade = 1.0 + 0.14 * self.noise(p, 1.8, 4, 0);
        let scratch = smooth_step(0.05, 0.0, self.noise([p[0], p[1] * 0.15, p[2]], 9.0, 2, 1).abs());
        let worn = smooth_step(0.28, 0.42, self.noise(p, 3.5, 5, 2));
        let colour = mix(base.map(|value| value * shade), self.stops[2], 0.22 * scratch);
        mix(colour, ramp(&self.stops, 0.5 + 0.6 * self.noise(p, 12.0, 3, 3)), worn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_detail_and_stays_in_range() {
        for family in Family::FLAT.into_iter().chain([Family::Bricks]) {
            let material = Material::draw(&mut Rng::new(11), &[family], 1.0);
            let values: Vec<f32> = (0..2500)
                .map(|i| {
                    palette::luma(material.colour([(i % 50) as f32 * 0.012, (i / 50) as f32 * 0.012, 0.0]))
                })
                .collect();
            let mean = values.iter().sum::<f32>() / 2500.0;
            let spread = (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 2500.0).sqrt();
            assert!(values.iter().all(|v| (0.0..1.0).contains(v)), "{family:?}");
            assert!((0.02..0.35).contains(&spread), "{family:?}: {spread}");
        }
    }
}
