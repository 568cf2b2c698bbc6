//! Two pictures of a surface at one size, brought nearer to each other step by step.

use rayon::prelude::*;

use crate::field::Field;
use crate::lanes::{LINES, Lanes};
use crate::light::{Change, Fit, Light};
use crate::plane::Plane;
use crate::polynomial::{Degree, Polynomial};
use crate::register::Effort;
use crate::solve::{Evidence, solve};
use crate::view::{Smear, View, Warped};

/// Two views of one level.
pub(crate) struct Pair<'a> {
    pub target: &'a View,
    pub moving: &'a View,
    pub smear: Option<&'a Smear>,
    /// Which of the target's pixels are in the other picture.
    pub seen: Option<&'a Plane>,
    pub effort: &'a Effort,
}

/// Colour errors beyond this are more likely another surface than noise.
const ROBUST: f32 = 0.03;
/// Longest step of a pixel's own, in pixels of the level.
const LONGEST: f32 = 1.5;
/// Longest step of the whole.
const LONGEST_OF_ALL: f32 = 3.0;
/// Rounds of a step's linear system.
const ROUNDS: usize = 60;
/// Surroundings whose affine motion a pixel is held to: a standard deviation in pixels.
const SURROUNDINGS: f32 = 8.0;

/// The moving picture through a field.
pub(crate) struct Look {
    /// In the target's light.
    lit: [Plane; 3],
    /// How far both show the surface.
    weight: Plane,
    /// How badly the two agree, 0..1.
    pub error: f32,
}

impl Pair<'_> {
    /// Only what makes the views agree better is kept: evidence ends where the surface does, so that a step over its edge
    /// would find no way back. Also the last error, which what goes on outside the domain does not change.
    pub(crate) fn register(&self, field: Field, is_coarsest: bool) -> (Field, f32) {
        let degrees =
            if is_coarsest { [Degree::Shift, Degree::Affine] } else { [Degree::Affine, Degree::Quadratic] };
        let look = self.look(&field);
        let mut now = (self.evidence(&look), look, field);
        for degree in degrees {
            for _ in 0..self.effort.whole {
                let Some(next) = self.better(&now, self.whole_step(&now.0, degree), 0.999) else { break };
                now = next;
            }
        }
        for _ in 0..self.effort.own {
            let Some(next) = self.better(&now, self.own_step(&now.2, &now.0), 1.0) else { break };
            now = next;
        }
        (now.2.spread(&self.target.domain), now.1.error)
    }

    /// What a step leads to, where it makes the error so much smaller.
    fn better(&self, now: &Step, step: Field, than: f32) -> Option<Step> {
        let field = step.then(&now.2);
        let look = self.look(&field);
        (look.error < than * now.1.error).then(|| (self.evidence(&look), look, field))
    }

    fn whole_step(&self, evidence: &Evidence, degree: Degree) -> Field {
        let solid = &self.target.solid;
        let step = Polynomial::step(evidence, solid, degree).field(solid.width, solid.height);
        step.mapped(|v| v.clamp(-LONGEST_OF_ALL, LONGEST_OF_ALL))
    }

    pub(crate) fn look(&self, field: &Field) -> Look {
        let warped = self.moving.within(&self.target.domain, field, self.smear);
        let weight = self.target.solid.with(&warped.solid, |a, b| (a * b).powi(2));
        let weight = match self.seen {
            Some(seen) => weight.with(seen, |w, seen| w * seen),
            None => weight,
        };
        let lit = matched(self.target, &warped, &weight, self.effort.light);
        let error = self.error(&lit, &warped.solid);
        Look { lit, weight, error }
    }

    /// How badly the views agree, 0..1; where nothing is found, 1.
    fn error(&self, lit: &[Plane; 3], found: &Plane) -> f32 {
        let (target, width) = (self.target, found.width);
        let row = |y: usize| {
            let (mut sum, mut total) = (0.0f64, 0.0f64);
            for i in y * width..(y + 1) * width {
                let counts = target.solid.data[i] * self.seen.map_or(1.0, |seen| seen.data[i]);
                let square: f32 = (0..3).map(|c| (target.colour[c].data[i] - lit[c].data[i]).powi(2)).sum();
                let bad = square / (square + 3.0 * ROBUST * ROBUST);
                sum += f64::from(counts * (1.0 - found.data[i] * (1.0 - bad)));
                total += f64::from(counts);
            }
            (sum, total)
        };
        let rows: Vec<_> = (0..found.height).into_par_iter().with_min_len(LINES).map(row).collect();
        let (sum, total) = rows.into_iter().fold((0.0, 1e-6), |all, row| (all.0 + row.0, all.1 + row.1));
        (sum / total) as f32
    }

    /// `target(p) = lit(p + d)`, linearised about d = 0 with the mean of both gradients.
    fn evidence(&self, look: &Look) -> Evidence {
        let (target, weight) = (self.target, &look.weight);
        let (width, height) = (weight.width, weight.height);
        let both = Lanes::from_fn(width, height, |i, _, _| {
            [0, 1, 2].map(|c| target.colour[c].data[i] + look.lit[c].data[i])
        });
        let terms = Lanes::from_fn(width, height, |i, x, y| {
            let here = weight.data[i];
            if here <= 0.0 {
                return [0.0; 5];
            }
            let error: [f32; 3] = std::array::from_fn(|c| target.colour[c].data[i] - look.lit[c].data[i]);
            let square = error.iter().map(|e| e * e).sum::<f32>();
            told(
                &error,
                slopes(&both, i, [x > 0, x + 1 < width, y > 0, y + 1 < height].map(usize::from), width),
                here / (1.0 + square / (3.0 * ROBUST * ROBUST)),
            )
        });
        let [xx, xy, yy, x, y] = terms.planes();
        Evidence { matrix: [xx, xy, yy], side: [x, y] }
    }

    fn own_step(&self, field: &Field, evidence: &Evidence) -> Field {
        let (domain, hold) = (&self.target.domain, self.effort.hold);
        let ([a, b, c], [d, e]) = (&evidence.matrix, &evidence.side);
        let parts = Lanes::from_fn(domain.width, domain.height, |i, _, _| {
            [a.data[i], b.data[i], c.data[i], d.data[i], e.data[i]]
        });
        let [xx, xy, yy, x, y] = parts.blurred(self.effort.gather).planes();
        let sure = xx.with(&yy, |a, b| a + b + 1e-6).with(domain, |sure, inside| sure * inside);
        let [wanted_x, wanted_y] = wanted_steps(field, &field.locally_affine(&sure, SURROUNDINGS));
        let held = |own: &Plane, wanted: &Plane| own.with(wanted, |v, wanted| v + hold * wanted);
        let side = [held(&x, &wanted_x), held(&y, &wanted_y)];
        let evidence = Evidence { matrix: [xx.mapped(|v| v + hold), xy, yy.mapped(|v| v + hold)], side };
        let [x, y] = solve(&evidence, domain, self.effort.tie, ROUNDS);
        Field { x, y }.mapped(|v| v.clamp(-LONGEST, LONGEST))
    }
}

/// What is said of a field, how the views look through it, and the field.
type Step = (Evidence, Look, Field);

/// The light in which a picture through a field looks most like `target`, loosely: for matching.
pub(crate) fn matched(target: &View, warped: &Warped, weight: &Plane, sigma: f32) -> [Plane; 3] {
    if sigma == 0.0 {
        return warped.colour.clone();
    }
    let fit = Fit { sigma, noise: 0.02, gain: 0.5, offset: 0.2, tint: 0.1 };
    let change = Change { now: &target.colour, before: &warped.colour, weight };
    let light = Light::same(weight.width, weight.height).fitted(&fit, &change);
    light.lit(&warped.colour)
}

/// The mean of both pictures' slopes in each channel, by central differences of their sum. `beside`: how far there are
/// pixels to the left, right, above and below.
fn slopes(both: &Lanes<3>, i: usize, beside: [usize; 4], width: usize) -> [[f32; 2]; 3] {
    let (left, right) = (both.at(i - beside[0]), both.at(i + beside[1]));
    let (above, below) = (both.at(i - beside[2] * width), both.at(i + beside[3] * width));
    let mut slopes = [[0.0; 2]; 3];
    for c in 0..3 {
        slopes[c] = [0.25 * (right[c] - left[c]), 0.25 * (below[c] - above[c])];
    }
    slopes
}

/// xx, xy, yy, x, y of a pixel.
fn told(error: &[f32; 3], slopes: [[f32; 2]; 3], trust: f32) -> [f32; 5] {
    let mut sums = [0.0; 5];
    for c in 0..3 {
        let ([x, y], error) = (slopes[c], error[c]);
        sums[0] += trust * x * x;
        sums[1] += trust * x * y;
        sums[2] += trust * y * y;
        sums[3] += trust * x * error;
        sums[4] += trust * y * error;
    }
    sums
}

/// The step in the target's places that takes a field to the smooth one: their difference, turned back by the field's
/// own slopes.
fn wanted_steps(field: &Field, smooth: &Field) -> [Plane; 2] {
    let (width, height) = (field.x.width, field.x.height);
    let step = |i: usize, x: usize, y: usize| {
        let (x, y) = (x as isize, y as isize);
        let across = |p: &Plane| 0.5 * (p.near(x + 1, y) - p.near(x - 1, y));
        let down = |p: &Plane| 0.5 * (p.near(x, y + 1) - p.near(x, y - 1));
        let (a, b, c, d) = (1.0 + across(&field.x), down(&field.x), across(&field.y), 1.0 + down(&field.y));
        let (dx, dy) = (smooth.x.data[i] - field.x.data[i], smooth.y.data[i] - field.y.data[i]);
        let det = a * d - b * c;
        let det = if det.abs() < 0.1 { 1.0 } else { det };
        [(d * dx - b * dy) / det, (a * dy - c * dx) / det]
    };
    Lanes::from_fn(width, height, step).planes()
}
