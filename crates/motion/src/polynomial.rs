//! Motions of few numbers: a polynomial of the place, found from all of a surface's evidence at once.

use crate::field::Field;
use crate::plane::Plane;
use crate::solve::Evidence;

/// Terms of a quadratic polynomial of x and y.
const TERMS: usize = 6;

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
        let mut system = vec![vec![0.0f64; count + 1]; count];
        for i in (0..weight.data.len()).filter(|&i| weight.data[i] > 0.0) {
            let basis = out.basis((i % weight.width) as f64, (i / weight.width) as f64);
            let [xx, xy, yy] = [0, 1, 2].map(|k| f64::from(evidence.matrix[k].data[i]));
            let [sx, sy] = [0, 1].map(|k| f64::from(evidence.side[k].data[i]));
            for a in 0..terms {
                for b in 0..terms {
                    let both = basis[a] * basis[b];
                    system[a][b] += both * xx;
                    system[a][terms + b] += both * xy;
                    system[terms + a][b] += both * xy;
                    system[terms + a][terms + b] += both * yy;
                }
                system[a][count] += basis[a] * sx;
                system[terms + a][count] += basis[a] * sy;
            }
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

    /// As a field, each step at most `longest`.
    pub fn field(&self, width: usize, height: usize) -> Field {
        let part = |k: usize| {
            Plane::from_fn(width, height, |x, y| {
                let basis = self.basis(x as f64, y as f64);
                self.factors[k].iter().zip(basis).map(|(f, b)| f * b).sum::<f64>() as f32
            })
        };
        Field { x: part(0), y: part(1) }
    }

    fn basis(&self, x: f64, y: f64) -> [f64; TERMS] {
        let (x, y) = ((x - self.middle[0]) / self.scale, (y - self.middle[1]) / self.scale);
        [1.0, x, y, x * x, x * y, y * y]
    }
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
