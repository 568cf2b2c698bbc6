//! The linear system of one step of a registration: each pixel's own evidence, tied to that of its neighbours.

use rayon::prelude::*;

use crate::plane::Plane;

/// What each pixel says about its displacement: a symmetric 2x2 matrix and a right-hand side, both 0 where it says nothing.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// xx, xy, yy.
    pub matrix: [Plane; 3],
    /// x, y.
    pub side: [Plane; 2],
}

/// Displacements (x, y) that minimise the evidence's error plus `tie` times the squared difference of neighbours within
/// `domain` (above 0); 0 outside it. Conjugate gradients with the pixel's own block as preconditioner.
pub fn solve(evidence: &Evidence, domain: &Plane, tie: f32, rounds: usize) -> [Plane; 2] {
    let system = System::new(evidence, domain, tie);
    let mut state = State::start(&system, evidence);
    let first = state.product;
    for _ in 0..rounds {
        if state.product <= 1e-6 * first {
            break;
        }
        state.round(&system);
    }
    system.planes(&state.found, domain)
}

/// Pixels that one task takes: sums are added up task by task in order, so that they do not depend on who took which.
const TASK: usize = 4096;

/// The pixels of the domain in one row after the other.
struct System {
    own: Vec<[f32; 3]>,
    /// Their inverses.
    inverse: Vec<[f32; 3]>,
    /// Left, right, upper and lower neighbours by number; where there is none, the number behind the last.
    around: Vec<[u32; 4]>,
    place: Vec<u32>,
    tie: f32,
}

impl System {
    fn new(evidence: &Evidence, domain: &Plane, tie: f32) -> Self {
        let (width, all) = (domain.width, domain.data.len());
        let place: Vec<u32> = (0..all).filter(|&i| domain.data[i] > 0.0).map(|i| i as u32).collect();
        let mut number = vec![place.len() as u32; all];
        place.iter().enumerate().for_each(|(n, &i)| number[i as usize] = n as u32);
        let none = place.len() as u32;
        let neighbours = |&i: &u32| {
            let i = i as usize;
            let left = if !i.is_multiple_of(width) { number[i - 1] } else { none };
            let right = if !(i + 1).is_multiple_of(width) { number[i + 1] } else { none };
            let above = if i >= width { number[i - width] } else { none };
            [left, right, above, number.get(i + width).copied().unwrap_or(none)]
        };
        let around: Vec<[u32; 4]> = place.iter().map(neighbours).collect();
        let own: Vec<[f32; 3]> = place
            .iter()
            .zip(&around)
            .map(|(&i, around)| {
                // A pixel that nothing is known of and that has no neighbour stays where it is.
                let ties = tie * around.iter().filter(|&&n| n != none).count() as f32 + 1e-9;
                let [xx, xy, yy] = [0, 1, 2].map(|k| evidence.matrix[k].data[i as usize]);
                [xx + ties, xy, yy + ties]
            })
            .collect();
        let inverse = own.iter().map(|&own| inverse(own)).collect();
        Self { own, inverse, around, place, tie }
    }

    /// The product with a vector, which has a 0 behind its last element.
    fn applied(&self, x: &[[f32; 2]], n: usize) -> [f32; 2] {
        let (own, [a, b]) = (self.own[n], x[n]);
        let around = self.around[n].map(|n| x[n as usize]);
        let sum = |k: usize| around[0][k] + around[1][k] + (around[2][k] + around[3][k]);
        [own[0] * a + own[1] * b - self.tie * sum(0), own[1] * a + own[2] * b - self.tie * sum(1)]
    }

    fn preconditioned(&self, x: [f32; 2], n: usize) -> [f32; 2] {
        let [xx, xy, yy] = self.inverse[n];
        [xx * x[0] + xy * x[1], xy * x[0] + yy * x[1]]
    }

    fn planes(&self, found: &[[f32; 2]], domain: &Plane) -> [Plane; 2] {
        std::array::from_fn(|k| {
            let mut plane = Plane::filled(domain.width, domain.height, 0.0);
            self.place.iter().zip(found).for_each(|(&i, found)| plane.data[i as usize] = found[k]);
            plane
        })
    }
}

/// Of a symmetric 2x2 matrix: xx, xy, yy.
fn inverse([xx, xy, yy]: [f32; 3]) -> [f32; 3] {
    let det = (xx * yy - xy * xy).max(1e-20);
    [yy / det, -xy / det, xx / det]
}

/// Where the rounds are.
struct State {
    found: Vec<[f32; 2]>,
    residual: Vec<[f32; 2]>,
    /// The residual, preconditioned.
    better: Vec<[f32; 2]>,
    /// The direction, and a 0 behind it.
    towards: Vec<[f32; 2]>,
    /// The system's product with it.
    turned: Vec<[f32; 2]>,
    /// Of the residual and itself preconditioned.
    product: f64,
}

impl State {
    fn start(system: &System, evidence: &Evidence) -> Self {
        let side = |&i: &u32| [0, 1].map(|k| evidence.side[k].data[i as usize]);
        let residual: Vec<[f32; 2]> = system.place.iter().map(side).collect();
        let better: Vec<_> = (0..residual.len()).map(|n| system.preconditioned(residual[n], n)).collect();
        let product = residual.iter().zip(&better).map(|(a, b)| dot(*a, *b)).sum();
        let mut towards = better.clone();
        towards.push([0.0; 2]);
        let nothing = vec![[0.0; 2]; residual.len()];
        Self { found: nothing.clone(), residual, better, towards, turned: nothing, product }
    }

    fn round(&mut self, system: &System) {
        let towards = &self.towards;
        let tasks = self.turned.par_chunks_mut(TASK).enumerate().map(|(task, turned)| {
            let from = task * TASK;
            let each = turned.iter_mut().zip(from..).map(|(turned, n)| {
                *turned = system.applied(towards, n);
                dot(towards[n], *turned)
            });
            each.sum::<f64>()
        });
        let step = (self.product / in_order(tasks)) as f32;
        let renewed = self.advance(system, step);
        let keep = (renewed / self.product) as f32;
        self.product = renewed;
        let pairs = self.towards.iter_mut().zip(&self.better);
        pairs.for_each(|(t, better)| *t = [better[0] + keep * t[0], better[1] + keep * t[1]]);
    }

    /// Goes so far in the direction; the new residual's product with itself preconditioned.
    fn advance(&mut self, system: &System, step: f32) -> f64 {
        let (towards, turned) = (&self.towards, &self.turned);
        let chunks = self.found.par_chunks_mut(TASK).zip(self.residual.par_chunks_mut(TASK));
        let chunks = chunks.zip(self.better.par_chunks_mut(TASK)).enumerate();
        in_order(chunks.map(|(task, ((found, residual), better))| {
            let mut sum = 0.0;
            for j in 0..found.len() {
                let n = task * TASK + j;
                for k in 0..2 {
                    found[j][k] += step * towards[n][k];
                    residual[j][k] -= step * turned[n][k];
                }
                better[j] = system.preconditioned(residual[j], n);
                sum += dot(residual[j], better[j]);
            }
            sum
        }))
    }
}

fn in_order(tasks: impl IndexedParallelIterator<Item = f64>) -> f64 {
    tasks.collect::<Vec<f64>>().into_iter().sum()
}

fn dot(a: [f32; 2], b: [f32; 2]) -> f64 {
    f64::from(a[0]) * f64::from(b[0]) + f64::from(a[1]) * f64::from(b[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIE: f32 = 0.01;

    fn given(width: usize, height: usize) -> Evidence {
        let part = |a: f32, b: f32| Plane::from_fn(width, height, |x, y| (a * x as f32 + b * y as f32).sin());
        let (gx, gy, error) = (part(0.7, 0.3), part(-0.4, 0.9), part(0.1, 0.15));
        let product = |a: &Plane, b: &Plane| a.with(b, |a, b| a * b);
        Evidence {
            matrix: [product(&gx, &gx), product(&gx, &gy), product(&gy, &gy)],
            side: [product(&gx, &error), product(&gy, &error)],
        }
    }

    #[test]
    fn the_solution_solves_the_system_and_ends_with_the_domain() {
        let (width, height) = (90, 60);
        let evidence = given(width, height);
        let domain =
            Plane::from_fn(width, height, |x, y| f32::from((x as f32 - 40.0).hypot(y as f32 - 30.0) < 33.0));
        let [dx, dy] = solve(&evidence, &domain, TIE, 500);
        let (mut off, mut size) = (0.0f32, 0.0f32);
        for i in 0..width * height {
            if domain.data[i] == 0.0 {
                assert_eq!((dx.data[i], dy.data[i]), (0.0, 0.0));
                continue;
            }
            let (x, y) = ((i % width) as isize, (i / width) as isize);
            let tied = |plane: &Plane| -> f32 {
                let each = [(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)].into_iter();
                let inside =
                    each.filter(|&(x, y)| x >= 0 && y >= 0 && x < width as isize && y < height as isize);
                let others =
                    inside.map(|(x, y)| y as usize * width + x as usize).filter(|&j| domain.data[j] > 0.0);
                others.map(|j| TIE * (plane.data[i] - plane.data[j])).sum()
            };
            let [xx, xy, yy] = evidence.matrix.each_ref().map(|m| m.data[i]);
            let left = [
                xx * dx.data[i] + xy * dy.data[i] + tied(&dx),
                xy * dx.data[i] + yy * dy.data[i] + tied(&dy),
            ];
            for k in 0..2 {
                off += (left[k] - evidence.side[k].data[i]).powi(2);
                size += evidence.side[k].data[i].powi(2);
            }
        }
        assert!((off / size).sqrt() < 5e-3, "{}", (off / size).sqrt());
    }

    #[test]
    fn nothing_known_nothing_inside_and_single_lines_do_not_move() {
        let zero = |w: usize, h: usize| Plane::filled(w, h, 0.0);
        for (w, h) in [(1, 1), (1, 7), (7, 1), (5, 4)] {
            let none = Evidence { matrix: [0; 3].map(|_| zero(w, h)), side: [0; 2].map(|_| zero(w, h)) };
            assert_eq!(solve(&none, &Plane::filled(w, h, 1.0), TIE, 60), [zero(w, h), zero(w, h)]);
            assert_eq!(solve(&given(w, h), &zero(w, h), TIE, 60), [zero(w, h), zero(w, h)]);
            let found = solve(&given(w, h), &Plane::filled(w, h, 1.0), 0.0, 60);
            assert!(found.iter().all(|plane| plane.data.iter().all(|v| v.is_finite())));
        }
    }
}
