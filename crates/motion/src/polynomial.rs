//! Motions of few numbers: a polynomial of the place, found from all of a surface's evidence at once.

use rayon::prelude::*;

use crate::field::Field;
use crate::lanes::LINES;
use crate::plane::Plane;
use crate::solve::Evidence;

/// Terms of a quadratic polynomial of x and y.
const TERMS: usize = 6;
/// Their powers of x and y.
const POWERS: [[usize; 2]; TERMS] = [[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2]];

/// Displacements that are a polynomial of the place.
#[derive(Debug, Clone, Copy)]
pub struct Polynomial {
    /// For x and y: factors of 1, x, y, xx, xy, yy.
    factors: [[f64; TERMS]; 2],
    /// The middle and size of the place's unit.
    middle: [f64; 2],
    scale: f64,
}

/// How many terms a motion has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Degree {
    /// All moves alike.
    Shift,
    /// It turns, zooms and shears.
    Affine,
    /// It also bends, as a plane in perspective does.
    Quadratic,
}

impl Degree {
    fn terms(self) -> usize {
        match self {
            Self::Shift => 1,
            Self::Affine => 3,
            Self::Quadratic => 6,
        }
    }
}

impl Polynomial {
    /// Nothing moves; places are counted from the middle of what `weight` holds.
    fn still(weight: &Plane) -> Self {
        let mut sums = [1e-9f64, 0.0, 0.0, 0.0];
        for (i, w) in weight.data.iter().enumerate() {
            let (x, y, w) = ((i % weight.width) as f64, (i / weight.width) as f64, f64::from(*w));
            sums.iter_mut().zip([w, w * x, w * y, w * (x * x + y * y)]).for_each(|(s, v)| *s += v);
        }
        let middle = [sums[1] / sums[0], sums[2] / sums[0]];
        let square = sums[3] / sums[0] - middle[0].powi(2) - middle[1].powi(2);
        Self { factors: [[0.0; TERMS]; 2], middle, scale: square.max(1.0).sqrt() }
    }

    /// The step that a surface's evidence asks for.
    pub fn step(evidence: &Evidence, weight: &Plane, degree: Degree) -> Self {
        let mut out = Self::still(weight);
        let (terms, count) = (degree.terms(), 2 * degree.terms());
        let [xx, xy, yy, sx, sy] = out.moments(evidence, weight);
        let mut system = vec![vec![0.0f64; count + 1]; count];
        for (a, [ax, ay]) in POWERS.into_iter().take(terms).enumerate() {
            for (b, [bx, by]) in POWERS.into_iter().take(terms).enumerate() {
                let [xx, xy, yy] = [&xx, &xy, &yy].map(|moments| moments[ay + by][ax + bx]);
                system[a][b] = xx;
                system[a][terms + b] = xy;
                system[terms + a][b] = xy;
                system[terms + a][terms + b] = yy;
            }
            system[a][count] = sx[ay][ax];
            system[terms + a][count] = sy[ay][ax];
        }
        let trace: f64 = (0..count).map(|a| system[a][a]).sum::<f64>() / count as f64;
        (0..count).for_each(|a| system[a][a] += 1e-4 * trace + 1e-12);
        let found = gauss(system);
        (0..terms).for_each(|a| {
            out.factors[0][a] = found[a];
            out.factors[1][a] = found[terms + a];
        });
        out
    }

    /// The evidence's five planes summed by powers of y, then of x.
    fn moments(&self, evidence: &Evidence, weight: &Plane) -> [[[f64; 5]; 5]; 5] {
        let planes = [0, 1, 2, 3, 4].map(|k| if k < 3 { &evidence.matrix[k] } else { &evidence.side[k - 3] });
        let width = weight.width;
        let row = |y: usize| {
            let mut sums = [[0.0f64; 5]; 5];
            for x in (0..width).filter(|x| weight.data[y * width + x] > 0.0) {
                let powers = powers(self.placed(x as f64, 0));
                for (sums, plane) in sums.iter_mut().zip(planes) {
                    let v = f64::from(plane.data[y * width + x]);
                    sums.iter_mut().zip(powers).for_each(|(sum, power)| *sum += v * power);
                }
            }
            sums
        };
        let rows: Vec<_> = (0..weight.height).into_par_iter().with_min_len(LINES).map(row).collect();
        let mut moments = [[[0.0; 5]; 5]; 5];
        for (y, row) in rows.iter().enumerate() {
            let powers = powers(self.placed(y as f64, 1));
            for (k, power) in (0..5).flat_map(|k| powers.into_iter().enumerate().map(move |p| (k, p))) {
                (0..5).for_each(|x| moments[k][power.0][x] += power.1 * row[k][x]);
            }
        }
        moments
    }

    /// The affine motion nearest to a field where `weight` counts.
    pub fn fitted(field: &Field, weight: &Plane) -> Self {
        let none = || Plane::filled(weight.width, weight.height, 0.0);
        let side = |plane: &Plane| plane.with(weight, |v, w| v * w);
        let evidence = Evidence {
            matrix: [weight.clone(), none(), weight.clone()],
            side: [side(&field.x), side(&field.y)],
        };
        Self::step(&evidence, weight, Degree::Affine)
    }

    /// As a field.
    pub fn field(&self, width: usize, height: usize) -> Field {
        let part = |[one, x, y, xx, xy, yy]: [f64; TERMS]| {
            Plane::from_fn(width, height, |across, down| {
                let (across, down) = (self.placed(across as f64, 0), self.placed(down as f64, 1));
                (one + across * (x + xx * across + xy * down) + down * (y + yy * down)) as f32
            })
        };
        Field { x: part(self.factors[0]), y: part(self.factors[1]) }
    }

    /// A column (axis 0) or row (axis 1) in the polynomial's unit.
    fn placed(&self, at: f64, axis: usize) -> f64 {
        (at - self.middle[axis]) / self.scale
    }
}

/// 1 and the first four powers.
fn powers(v: f64) -> [f64; 5] {
    let square = v * v;
    [1.0, v, square, square * v, square * square]
}

/// Solves a small system, its right-hand side as the last column, by elimination with pivots.
fn gauss(mut rows: Vec<Vec<f64>>) -> Vec<f64> {
    let count = rows.len();
    for a in 0..count {
        let pivot = (a..count).max_by(|&i, &j| rows[i][a].abs().total_cmp(&rows[j][a].abs())).unwrap_or(a);
        rows.swap(a, pivot);
        let top = rows[a].clone();
        for row in rows.iter_mut().skip(a + 1).filter(|_| top[a] != 0.0) {
            let factor = row[a] / top[a];
            (a..=count).for_each(|k| row[k] -= factor * top[k]);
        }
    }
    let mut found = vec![0.0; count];
    for a in (0..count).rev() {
        let rest: f64 = (a + 1..count).map(|k| rows[a][k] * found[k]).sum();
        found[a] = if rows[a][a] == 0.0 { 0.0 } else { (rows[a][count] - rest) / rows[a][a] };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pixel says how far it goes, in a direction of its own alone; together they tell everything.
    fn told(motion: impl Fn(f32, f32) -> [f32; 2] + Sync, weight: &Plane) -> Evidence {
        let (w, h) = (weight.width, weight.height);
        let part = |of: fn([f32; 2], [f32; 2]) -> f32| {
            Plane::from_fn(w, h, |x, y| {
                let (sin, cos) = ((x * 5 + y * 3) as f32).sin_cos();
                of([cos, sin], motion(x as f32, y as f32))
            })
        };
        Evidence {
            matrix: [part(|[c, _], _| c * c), part(|[c, s], _| c * s), part(|[_, s], _| s * s)],
            side: [part(|[c, s], [x, y]| c * (c * x + s * y)), part(|[c, s], [x, y]| s * (c * x + s * y))],
        }
    }

    fn worst(found: &Field, motion: impl Fn(f32, f32) -> [f32; 2]) -> f32 {
        let (w, h) = (found.x.width, found.x.height);
        let off = |i: usize| {
            let wanted = motion((i % w) as f32, (i / w) as f32);
            (found.x.data[i] - wanted[0]).abs().max((found.y.data[i] - wanted[1]).abs())
        };
        (0..w * h).map(off).fold(0.0, f32::max)
    }

    #[test]
    fn motions_of_each_degree_are_found() {
        let weight = Plane::from_fn(48, 36, |x, y| f32::from(x > 4 && y > 7));
        let shift = |_: f32, _: f32| [1.5, -0.7];
        let affine = |x: f32, y: f32| [1.0 + 0.03 * x - 0.02 * y, 0.5 - 0.01 * x + 0.04 * y];
        let bent = |x: f32, y: f32| [0.1 * x + 0.002 * x * x - 0.001 * x * y, 0.003 * y * y - 0.002 * x * y];
        let field = |evidence: &Evidence, degree| Polynomial::step(evidence, &weight, degree).field(48, 36);
        // A ridge of 1e-4 holds every step back by about that part.
        assert!(worst(&field(&told(shift, &weight), Degree::Shift), shift) < 1e-3);
        assert!(worst(&field(&told(affine, &weight), Degree::Affine), affine) < 5e-3);
        assert!(worst(&field(&told(bent, &weight), Degree::Quadratic), bent) < 2e-2);
        assert!(worst(&field(&told(bent, &weight), Degree::Affine), bent) > 0.2, "a bend is not affine");
        assert!(
            worst(
                &Polynomial::fitted(&field(&told(affine, &weight), Degree::Affine), &weight).field(48, 36),
                affine
            ) < 1e-2
        );
    }

    #[test]
    fn no_evidence_moves_nothing() {
        let none = Plane::filled(9, 1, 0.0);
        let evidence = Evidence { matrix: [0; 3].map(|_| none.clone()), side: [0; 2].map(|_| none.clone()) };
        for weight in [none.clone(), Plane::filled(9, 1, 1.0)] {
            assert_eq!(
                worst(&Polynomial::step(&evidence, &weight, Degree::Quadratic).field(9, 1), |_, _| [0.0; 2]),
                0.0
            );
        }
    }
}
