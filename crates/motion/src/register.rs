//! Registration: where each pixel of one picture's surface is in another picture.
//!
//! Least squares on the colours, linearised and repeated from coarse to fine, with each pixel's evidence gathered over
//! its surroundings and its step tied to its neighbours' (Bruhn, Weickert, Schnoerr, *Lucas/Kanade meets Horn/Schunck*,
//! 2005). What is known of the mask is used throughout: surroundings never reach over its edge, where another motion
//! begins. Changes of light are fitted beside the motion. Steps are tied, not displacements, so that a turn or a zoom
//! costs nothing once it is found.

use rayon::prelude::*;

use crate::field::Field;
use crate::light::{Fit, Light};
use crate::plane::Plane;
use crate::polynomial::{Degree, Polynomial};
use crate::solve::{Evidence, solve};
use crate::spline::Spline;

/// A picture of the surface at one level of a pyramid.
#[derive(Debug, Clone)]
pub struct View {
    /// Working code values, going on beyond the mask's edge.
    pub colour: [Plane; 3],
    /// How much of a pixel shows the surface, 0..1.
    pub solid: Plane,
    /// The four together, to be sampled.
    spline: Spline,
}

/// A picture from fine to coarse.
#[derive(Debug, Clone)]
pub struct Pyramid(Vec<View>);

/// Levels stop where the surface would be smaller than this: the side of a square of its area, in pixels.
const LEAST_EXTENT: f32 = 12.0;

fn extent(solid: &Plane) -> f32 {
    solid.data.iter().sum::<f32>().sqrt()
}

/// How a registration goes on at each level.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Steps of the whole surface's motion, few numbers.
    pub whole: usize,
    /// Steps of each pixel's own.
    pub own: usize,
    /// How firmly neighbours are tied.
    pub tie: f32,
    /// How firmly a pixel is held to the affine motion of its surroundings.
    pub hold: f32,
    /// Over what surroundings evidence is gathered: a standard deviation in pixels.
    pub gather: f32,
    /// How closely changes of light are followed: a standard deviation in pixels; 0 for light that stays.
    pub light: f32,
}

/// Colour errors beyond this are more likely another surface than noise.
const ROBUST: f32 = 0.03;
/// Longest step, in pixels of the level.
const LONGEST: f32 = 1.5;
const ROUNDS: usize = 60;

impl View {
    fn new(colour: [Plane; 3], solid: Plane) -> Self {
        let spline = Spline::of(&[&colour[0], &colour[1], &colour[2], &solid]);
        Self { colour, solid, spline }
    }

    /// What a registration of this view may move: the surface and a little round it.
    fn domain(&self) -> Plane {
        self.solid.blurred(1.5).mapped(|v| f32::from(v > 0.02))
    }
}

impl Pyramid {
    /// Of colours that go on beyond the mask's edge, and the mask.
    pub fn of(colour: [Plane; 3], solid: Plane) -> Self {
        let levels = (extent(&solid) / LEAST_EXTENT).log2().floor().max(0.0) as usize + 1;
        Self::halving(View::new(colour, solid), levels)
    }

    fn halving(finest: View, levels: usize) -> Self {
        let half = |view: &View| {
            Some(View::new(std::array::from_fn(|c| view.colour[c].halved()), view.solid.halved()))
        };
        Self(std::iter::successors(Some(finest), half).take(levels).collect())
    }

    /// Of the surface's outline alone, for motions that its colours do not tell.
    pub fn outline(&self) -> Self {
        let solid = &self.0[0].solid;
        let everywhere = Plane::filled(solid.width, solid.height, 1.0);
        let soft = solid.blurred(1.0);
        let view = View::new([soft.clone(), soft.clone(), soft], everywhere);
        Self::halving(view, self.0.len())
    }

    /// Of one level alone.
    pub fn single(colour: [Plane; 3], solid: Plane) -> View {
        View::new(colour, solid)
    }

    /// The picture itself.
    pub fn finest(&self) -> &View {
        &self.0[0]
    }

    /// How many levels there are.
    pub fn levels(&self) -> usize {
        self.0.len()
    }
}

/// A picture seen through a field.
pub struct Warped {
    /// Its colours.
    pub colour: [Plane; 3],
    /// How much of each pixel shows its surface.
    pub solid: Plane,
}

impl View {
    /// This picture as seen where `field` finds each pixel, over an exposure where there is one.
    pub fn through(&self, field: &Field, smear: Option<&Smear>) -> Warped {
        let (width, height) = (field.x.width, field.x.height);
        let mut pixels = vec![[0.0f32; 4]; width * height];
        pixels.par_chunks_mut(width).enumerate().for_each(|(y, row)| {
            row.iter_mut().enumerate().for_each(|(x, pixel)| {
                let at = field.position(x, y);
                *pixel = match smear {
                    None => self.seen(at),
                    Some(smear) => self.smeared(at, &smear.path, y * width + x),
                };
            });
        });
        let plane = |c: usize| Plane { width, height, data: pixels.iter().map(|p| p[c]).collect() };
        Warped { colour: [plane(0), plane(1), plane(2)], solid: plane(3).mapped(|v| v.clamp(0.0, 1.0)) }
    }

    fn seen(&self, [x, y]: [f32; 2]) -> [f32; 4] {
        let mut pixel = self.spline.at(x, y);
        let (right, bottom) = ((self.solid.width - 1) as f32, (self.solid.height - 1) as f32);
        if x < 0.0 || y < 0.0 || x > right || y > bottom {
            pixel[3] = 0.0;
        }
        pixel
    }

    fn smeared(&self, [x, y]: [f32; 2], path: &Field, i: usize) -> [f32; 4] {
        let (dx, dy) = (path.x.data[i], path.y.data[i]);
        if dx.abs().max(dy.abs()) < 0.25 {
            return self.seen([x, y]);
        }
        let mut sum = [0.0; 4];
        for place in 0..PLACES {
            let part = (place as f32 + 0.5) / PLACES as f32 - 0.5;
            let seen = self.seen([x + part * dx, y + part * dy]);
            (0..4).for_each(|c| sum[c] += seen[c] / PLACES as f32);
        }
        sum
    }
}

/// Registers `target` in `moving` from `start` on, over the levels from `coarsest` to the finest.
pub fn register(
    target: &Pyramid,
    moving: &Pyramid,
    start: &Field,
    coarsest: usize,
    effort: &Effort,
    asked: Asked<'_>,
) -> Field {
    let levels = target.levels().min(moving.levels());
    let coarsest = coarsest.min(levels - 1);
    let mut field = (0..coarsest).fold(start.clone(), |field, _| field.halved());
    for level in (0..=coarsest).rev() {
        let smear = asked.smear.map(|smear| smear.at_level(level));
        let seen = asked.seen.map(|seen| (0..level).fold(seen.clone(), |seen, _| seen.halved()));
        let (target, moving) = (&target.0[level], &moving.0[level]);
        let pair = Pair { target, moving, smear: smear.as_ref(), seen: seen.as_ref(), effort };
        if level < coarsest {
            field = field.doubled(pair.target.solid.width, pair.target.solid.height);
        }
        field = pair.register(field, level == levels - 1);
    }
    field
}

/// What else a registration knows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// The target's motion blur.
    pub smear: Option<&'a Smear>,
    /// Which of the target's pixels are in the other picture, 0..1; all of the surface without. What has come round since
    /// must not be found there.
    pub seen: Option<&'a Plane>,
}

/// How badly `target` and `moving` through `field` agree at full detail, 0..1; where nothing is found, 1.
pub fn disagreement(target: &Pyramid, moving: &Pyramid, field: &Field, asked: Asked<'_>) -> f32 {
    let (target, moving) = (target.finest(), moving.finest());
    Pair { target, moving, smear: asked.smear, seen: asked.seen, effort: &NONE }.look(field).error
}

const NONE: Effort = Effort { whole: 0, own: 0, tie: 0.0, hold: 0.0, gather: 0.0, light: LIGHT };
/// Surroundings over which light is taken to change alike, in pixels.
pub const LIGHT: f32 = 4.0;

fn error(target: &View, lit: &[Plane; 3], found: &Plane, seen: Option<&Plane>) -> f32 {
    let (mut sum, mut total) = (0.0f64, 1e-6);
    for i in 0..found.data.len() {
        let square: f32 = (0..3).map(|c| (target.colour[c].data[i] - lit[c].data[i]).powi(2)).sum();
        let bad = square / (square + 3.0 * ROBUST * ROBUST);
        let counts = target.solid.data[i] * seen.map_or(1.0, |seen| seen.data[i]);
        sum += f64::from(counts * (1.0 - found.data[i] * (1.0 - bad)));
        total += f64::from(counts);
    }
    (sum / total) as f32
}

/// Mean square colour error of `moving` through `field` where both show the surface, in the light that fits.
pub fn colour_error(target: &Pyramid, moving: &Pyramid, field: &Field, smear: Option<&Smear>) -> f32 {
    let (target, moving) = (target.finest(), moving.finest());
    let warped = moving.through(field, smear);
    let weight = target.solid.with(&warped.solid, |a, b| (a * b).powi(4));
    let lit = matched(target, &warped, &weight, LIGHT);
    let (mut sum, mut total) = (0.0, 1e-6);
    for i in 0..weight.data.len() {
        let square: f32 = (0..3).map(|c| (target.colour[c].data[i] - lit[c].data[i]).powi(2)).sum();
        sum += weight.data[i] * square;
        total += weight.data[i];
    }
    sum / total
}

/// Motion blur: during the exposure a pixel sees the places round its own, along this field.
#[derive(Debug, Clone)]
pub struct Smear {
    /// From the first place to the last.
    pub path: Field,
}

/// Places of an exposure.
const PLACES: usize = 9;

impl Smear {
    fn at_level(&self, level: usize) -> Self {
        Self { path: (0..level).fold(self.path.clone(), |path, _| path.halved()) }
    }
}

/// The light in which `moving` through `field` looks most like `target`, loosely: for matching.
fn matched(target: &View, warped: &Warped, weight: &Plane, sigma: f32) -> [Plane; 3] {
    if sigma == 0.0 {
        return warped.colour.clone();
    }
    let fit = Fit { sigma, noise: 0.02, gain: 0.5, offset: 0.2, tint: 0.1 };
    let light = Light::same(weight.width, weight.height).fitted(&fit, &target.colour, &warped.colour, weight);
    light.lit(&warped.colour)
}

/// Two views of one level.
struct Pair<'a> {
    target: &'a View,
    moving: &'a View,
    smear: Option<&'a Smear>,
    seen: Option<&'a Plane>,
    effort: &'a Effort,
}

/// Surroundings whose affine motion a pixel is held to: a standard deviation in pixels.
const SURROUNDINGS: f32 = 8.0;

/// What a pair says of a field.
struct Look {
    evidence: Evidence,
    /// How badly the views agree through it, 0..1.
    error: f32,
}

impl Pair<'_> {
    /// Only what makes the views agree better is kept: evidence ends where the surface does, so that a step over its edge
    /// would find no way back.
    fn register(&self, field: Field, is_coarsest: bool) -> Field {
        let domain = self.target.domain();
        let (width, height) = (domain.width, domain.height);
        let (mut field, mut look) = (field.clone(), self.look(&field));
        for &degree in if is_coarsest {
            &[Degree::Shift, Degree::Affine][..]
        } else {
            &[Degree::Affine, Degree::Quadratic]
        } {
            for _ in 0..self.effort.whole {
                let step = Polynomial::step(&look.evidence, &self.target.solid, degree).field(width, height);
                let next = step.mapped(|v| v.clamp(-3.0, 3.0)).then(&field);
                let seen = self.look(&next);
                if seen.error >= 0.999 * look.error {
                    break;
                }
                (field, look) = (next, seen);
            }
        }
        for _ in 0..self.effort.own {
            let next = self.own_step(&field, look.evidence, &domain).then(&field);
            let seen = self.look(&next);
            if seen.error >= look.error {
                break;
            }
            (field, look) = (next, seen);
        }
        field.spread(&domain)
    }

    fn look(&self, field: &Field) -> Look {
        let warped = self.moving.through(field, self.smear);
        let weight = self.target.solid.with(&warped.solid, |a, b| (a * b).powi(2));
        let weight = self.seen.map_or(weight.clone(), |seen| weight.with(seen, |w, seen| w * seen));
        let lit = matched(self.target, &warped, &weight, self.effort.light);
        let evidence = evidence(self.target, &lit, &weight);
        Look { evidence, error: error(self.target, &lit, &warped.solid, self.seen) }
    }

    fn own_step(&self, field: &Field, evidence: Evidence, domain: &Plane) -> Field {
        let Evidence { matrix, side } = evidence;
        let gathered = |plane: &Plane| plane.blurred(self.effort.gather);
        let mut evidence =
            Evidence { matrix: matrix.each_ref().map(gathered), side: side.each_ref().map(gathered) };
        let sure = evidence.matrix[0].with(&evidence.matrix[2], |a, b| a + b + 1e-6);
        let sure = sure.with(domain, |sure, inside| sure * inside);
        let smooth = field.locally_affine(&sure, SURROUNDINGS);
        let wanted = wanted_steps(field, &smooth);
        for k in 0..2 {
            let hold = self.effort.hold;
            evidence.matrix[2 * k].data.iter_mut().for_each(|v| *v += hold);
            evidence.side[k] = evidence.side[k].with(&wanted[k], |v, wanted| v + hold * wanted);
        }
        let [x, y] = solve(&evidence, domain, self.effort.tie, ROUNDS);
        Field { x, y }.mapped(|v| v.clamp(-LONGEST, LONGEST))
    }
}

/// The step in the target's places that takes a field to the smooth one: their difference, turned back by the field's
/// own slopes.
fn wanted_steps(field: &Field, smooth: &Field) -> [Plane; 2] {
    let (width, height) = (field.x.width, field.x.height);
    let step = |x: usize, y: usize| {
        let i = y * width + x;
        let (sx, sy) = (x as isize, y as isize);
        let across = |p: &Plane| 0.5 * (p.near(sx + 1, sy) - p.near(sx - 1, sy));
        let down = |p: &Plane| 0.5 * (p.near(sx, sy + 1) - p.near(sx, sy - 1));
        let (a, b, c, d) = (1.0 + across(&field.x), down(&field.x), across(&field.y), 1.0 + down(&field.y));
        let (dx, dy) = (smooth.x.data[i] - field.x.data[i], smooth.y.data[i] - field.y.data[i]);
        let det = a * d - b * c;
        let det = if det.abs() < 0.1 { 1.0 } else { det };
        [(d * dx - b * dy) / det, (a * dy - c * dx) / det]
    };
    [0, 1].map(|k| Plane::from_fn(width, height, |x, y| step(x, y)[k]))
}

/// `target(p) = lit(p + d)`, linearised about d = 0 with the mean of both gradients.
fn evidence(target: &View, lit: &[Plane; 3], weight: &Plane) -> Evidence {
    let (width, height) = (weight.width, weight.height);
    let mut terms = vec![[0.0f32; 5]; width * height];
    terms.par_chunks_mut(width).enumerate().for_each(|(y, row)| {
        for (x, out) in row.iter_mut().enumerate() {
            let here = weight.at(x, y);
            if here <= 0.0 {
                continue;
            }
            let error: [f32; 3] = std::array::from_fn(|c| target.colour[c].at(x, y) - lit[c].at(x, y));
            let square = error.iter().map(|e| e * e).sum::<f32>();
            let trust = here / (1.0 + square / (3.0 * ROBUST * ROBUST));
            for c in 0..3 {
                let [gx, gy] = slope(&target.colour[c], &lit[c], x, y);
                let add = [gx * gx, gx * gy, gy * gy, gx * error[c], gy * error[c]];
                out.iter_mut().zip(add).for_each(|(out, add)| *out += trust * add);
            }
        }
    });
    let plane = |k: usize| Plane { width, height, data: terms.iter().map(|term| term[k]).collect() };
    Evidence { matrix: [plane(0), plane(1), plane(2)], side: [plane(3), plane(4)] }
}

/// The mean of both pictures' slopes, by central differences.
fn slope(a: &Plane, b: &Plane, x: usize, y: usize) -> [f32; 2] {
    let (x, y) = (x as isize, y as isize);
    let across = |plane: &Plane| plane.near(x + 1, y) - plane.near(x - 1, y);
    let down = |plane: &Plane| plane.near(x, y + 1) - plane.near(x, y - 1);
    [0.25 * (across(a) + across(b)), 0.25 * (down(a) + down(b))]
}
