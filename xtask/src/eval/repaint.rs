//! The edit: what the artist paints on a surface, in the surface's own coordinates.

use super::geometry::{Vec2, Vec3, mix, smooth_step, turned};
use super::letters;
use super::material::{Family, Material};
use super::palette::{self, Rgb, luma};
use super::seeds::Rng;

/// Width of painted edges on the surface, in heights of the picture: about a pixel.
const EDGE: f32 = 0.004;

/// Where on the surface a layer lies.
#[derive(Clone, Copy, Debug)]
enum Region {
    Whole,
    /// One side of a line.
    Half {
        angle: f32,
        offset: f32,
    },
    /// A band about the middle.
    Band {
        angle: f32,
        width: f32,
    },
    Disc {
        centre: Vec2,
        radius: f32,
    },
}

/// What a layer does to the colour below it.
#[derive(Clone, Debug)]
enum Paint {
    /// Another colour with the same light and dark: dyed.
    Dye { colour: Rgb, ground: f32 },
    /// Stripes of two colours.
    Stripes { colours: [Rgb; 2], angle: f32, period: f32 },
    /// Another material.
    Material(Material),
    /// A badge with a letter or a star on it.
    Emblem { colours: [Rgb; 2], radius: f32, sign: Sign },
}

#[derive(Clone, Copy, Debug)]
enum Sign {
    Letter(usize),
    Star,
    Rings,
}

/// One layer of paint.
#[derive(Clone, Debug)]
struct Layer {
    region: Region,
    paint: Paint,
}

/// An edit: layers of paint, the last one on top.
#[derive(Clone, Debug)]
pub struct Repaint(Vec<Layer>);

/// What the edit is drawn for.
#[derive(Clone, Copy, Debug)]
pub struct Canvas<'a> {
    /// Half the surface's extent, in heights of the picture.
    pub half: Vec2,
    /// What it is made of.
    pub ground: &'a Material,
    /// Whether parts come into view later: then only what can be continued is painted, all over.
    pub turns: bool,
    /// What other material it may get.
    pub families: &'a [Family],
}

impl Repaint {
    /// Draws an edit: the surface, or a large part of it, and on most something on top.
    pub fn draw(rng: &mut Rng, canvas: &Canvas<'_>) -> Self {
        let ground = canvas.ground.typical();
        let first = palette::contrasting(rng, &[ground]);
        let second = palette::contrasting(rng, &[ground, first]);
        let base = if canvas.turns { Region::Whole } else { Region::draw_large(rng, canvas.half) };
        let mut layers = vec![Layer { region: base, paint: Paint::draw_cover(rng, canvas, [first, second]) }];
        if rng.chance(0.75) {
            let third = palette::contrasting(rng, &[first, second]);
            layers.push(Layer::draw_on_top(rng, canvas, [second, third]));
        }
        Self(layers)
    }

    /// The colour after painting, where there was `colour`; `at` on the surface, `point` for materials.
    pub fn over(&self, colour: Rgb, at: Vec2, point: Vec3) -> Rgb {
        self.0.iter().fold(colour, |below, layer| {
            let (painted, cover) = layer.paint.at(below, at, point);
            mix(below, painted, cover * layer.region.weight(at))
        })
    }
}

impl Layer {
    fn draw_on_top(rng: &mut Rng, canvas: &Canvas<'_>, colours: [Rgb; 2]) -> Self {
        let size = canvas.half[0].min(canvas.half[1]);
        if canvas.turns && rng.chance(0.4) {
            let region = Region::Band { angle: 0.0, width: size * rng.range(0.25, 0.5) };
            return Self { region, paint: Paint::Dye { colour: colours[1], ground: luma(colours[0]) } };
        }
        let sign = match rng.next() % 3 {
            0 => Sign::Star,
            1 => Sign::Rings,
            _ => Sign::Letter(rng.next() as usize % 12),
        };
        let paint = Paint::Emblem { colours, radius: size * rng.range(0.5, 0.8), sign };
        Self { region: Region::Whole, paint }
    }
}

impl Region {
    fn draw_large(rng: &mut Rng, half: Vec2) -> Self {
        let size = half[0].min(half[1]);
        let angle = rng.range(0.0, std::f32::consts::TAU);
        match rng.next() % 4 {
            0 | 1 => Self::Whole,
            2 => Self::Half { angle, offset: size * rng.range(-0.3, 0.3) },
            _ => Self::Disc {
                centre: [half[0] * rng.range(-0.3, 0.3), half[1] * rng.range(-0.2, 0.2)],
                radius: size * rng.range(0.8, 1.05),
            },
        }
    }

    fn weight(self, at: Vec2) -> f32 {
        let depth = match self {
            Self::Whole => return 1.0,
            Self::Half { angle, offset } => turned(at, angle)[1] - offset,
            Self::Band { angle, width } => width - turned(at, angle)[1].abs(),
            Self::Disc { centre, radius } => radius - (at[0] - centre[0]).hypot(at[1] - centre[1]),
        };
        smooth_step(-EDGE, EDGE, depth)
    }
}

impl Paint {
    fn draw_cover(rng: &mut Rng, canvas: &Canvas<'_>, colours: [Rgb; 2]) -> Self {
        let size = canvas.half[0].min(canvas.half[1]);
        // On a turning thing only what can be continued on its far side: what follows the plate's own pattern, or
        // stripes that run round it.
        match rng.next() % if canvas.turns { 2 } else { 3 } {
            0 => Self::Dye { colour: colours[0], ground: luma(canvas.ground.typical()) },
            1 => {
                let angle = if canvas.turns { 0.0 } else { rng.range(0.0, std::f32::consts::PI) };
                Self::Stripes { colours, angle, period: size * rng.range(0.35, 0.7) }
            }
            _ => Self::Material(Material::draw(rng, canvas.families, 2.0 * size)),
        }
    }

    /// The painted colour and how much it covers.
    fn at(&self, below: Rgb, at: Vec2, point: Vec3) -> (Rgb, f32) {
        match self {
            Self::Dye { colour, ground } => {
                let relative = (luma(below) / ground.max(0.05)).clamp(0.2, 1.8);
                (colour.map(|value| (value * relative.powf(0.8)).min(0.97)), 1.0)
            }
            Self::Stripes { colours, angle, period } => {
                let phase = (turned(at, *angle)[1] / period).rem_euclid(1.0);
                let inside = (0.25 - (phase - 0.5).abs()) * period;
                (mix(colours[0], colours[1], smooth_step(-EDGE, EDGE, inside)), 0.9)
            }
            Self::Material(material) => (material.colour(point), 1.0),
            Self::Emblem { colours, radius, sign } => emblem(*colours, *radius, *sign, at),
        }
    }
}

fn emblem(colours: [Rgb; 2], radius: f32, sign: Sign, at: Vec2) -> (Rgb, f32) {
    let distance = at[0].hypot(at[1]);
    let ink = match sign {
        Sign::Letter(which) => {
            letters::letter([at[0] / radius * 0.7 + 0.36, at[1] / radius * 0.7 + 0.5], which)
        }
        Sign::Star => {
            let angle = at[0].atan2(-at[1]) / std::f32::consts::TAU * 5.0;
            let point = 2.0 * (angle - angle.round()).abs();
            smooth_step(-EDGE, EDGE, radius * (0.78 - 0.42 * point) - distance)
        }
        Sign::Rings => {
            let ring = (0.16 - (distance / radius - 0.55).abs()).max(0.2 - distance / radius) * radius;
            smooth_step(-EDGE, EDGE, ring)
        }
    };
    (mix(colours[0], colours[1], ink), smooth_step(-EDGE, EDGE, radius - distance))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_edit_is_plainly_seen_and_repeats() {
        for seed in 0..40 {
            let mut rng = Rng::new(seed);
            let ground = Material::draw(&mut rng, &Family::FLAT, 1.0);
            let turns = seed % 2 == 0;
            let canvas = Canvas { half: [0.2, 0.15], ground: &ground, turns, families: &Family::SOLID };
            let edit = Repaint::draw(&mut rng, &canvas);
            let mut change = 0.0;
            for i in 0..400 {
                let at = [(i % 20) as f32 * 0.02 - 0.19, (i / 20) as f32 * 0.015 - 0.14];
                let point = [at[0], at[1], 0.0];
                let before = ground.colour(point);
                let after = edit.over(before, at, point);
                change += (0..3).map(|k| (after[k] - before[k]).abs()).sum::<f32>() / 1200.0;
                assert!(after.iter().all(|v| (0.0..1.0).contains(v)), "seed {seed}: {after:?}");
            }
            assert!(change > 0.05, "seed {seed} changes {change}");
        }
    }
}
