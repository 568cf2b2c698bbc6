//! The linear system of one step of a registration: each pixel's own evidence, tied to that of its neighbours.

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
    let count = system.own.len();
    let mut found = vec![[0.0f32; 2]; count];
    let mut residual = system.side.clone();
    let mut towards: Vec<[f32; 2]> = system.preconditioned(&residual);
    let mut product = dot(&residual, &towards);
    let first = product;
    let mut turned = vec![[0.0f32; 2]; count];
    for _ in 0..rounds {
        if product <= 1e-6 * first {
            break;
        }
        system.apply(&towards, &mut turned);
        let step = (product / dot(&towards, &turned)) as f32;
        for i in 0..count {
            for k in 0..2 {
                found[i][k] += step * towards[i][k];
                residual[i][k] -= step * turned[i][k];
            }
        }
        let next = system.preconditioned(&residual);
        let renewed = dot(&residual, &next);
        let keep = (renewed / product) as f32;
        product = renewed;
        towards.iter_mut().zip(&next).for_each(|(t, n)| (0..2).for_each(|k| t[k] = n[k] + keep * t[k]));
    }
    system.planes(&found, domain)
}

/// The pixels of the domain in one row after the other.
struct System {
    own: Vec<[f32; 3]>,
    side: Vec<[f32; 2]>,
    /// Right and lower neighbours by number.
    right: Vec<Option<u32>>,
    below: Vec<Option<u32>>,
    place: Vec<u32>,
    tie: f32,
}

impl System {
    fn new(evidence: &Evidence, domain: &Plane, tie: f32) -> Self {
        let (width, inside) = (domain.width, |i: usize| domain.data[i] > 0.0);
        let place: Vec<u32> = (0..domain.data.len()).filter(|&i| inside(i)).map(|i| i as u32).collect();
        let mut number = vec![None; domain.data.len()];
        place.iter().enumerate().for_each(|(n, &i)| number[i as usize] = Some(n as u32));
        let right: Vec<_> = place
            .iter()
            .map(|&i| i as usize)
            .map(|i| if (i + 1) % width > 0 { number[i + 1] } else { None })
            .collect();
        let below: Vec<_> =
            place.iter().map(|&i| number.get(i as usize + width).copied().flatten()).collect();
        let mut own: Vec<[f32; 3]> =
            place.iter().map(|&i| std::array::from_fn(|k| evidence.matrix[k].data[i as usize])).collect();
        for n in 0..place.len() {
            for other in [right[n], below[n]].into_iter().flatten() {
                for m in [n, other as usize] {
                    own[m][0] += tie;
                    own[m][2] += tie;
                }
            }
        }
        let side =
            place.iter().map(|&i| std::array::from_fn(|k| evidence.side[k].data[i as usize])).collect();
        // A pixel that nothing is known of and that has no neighbour stays where it is.
        own.iter_mut().for_each(|own| [0, 2].into_iter().for_each(|k| own[k] += 1e-9));
        Self { own, side, right, below, place, tie }
    }

    fn apply(&self, x: &[[f32; 2]], out: &mut [[f32; 2]]) {
        for (n, own) in self.own.iter().enumerate() {
            let [a, b] = x[n];
            out[n] = [own[0] * a + own[1] * b, own[1] * a + own[2] * b];
        }
        for n in 0..x.len() {
            for other in [self.right[n], self.below[n]].into_iter().flatten() {
                let other = other as usize;
                for k in 0..2 {
                    out[n][k] -= self.tie * x[other][k];
                    out[other][k] -= self.tie * x[n][k];
                }
            }
        }
    }

    fn preconditioned(&self, x: &[[f32; 2]]) -> Vec<[f32; 2]> {
        let inverse = |(own, x): (&[f32; 3], &[f32; 2])| {
            let det = (own[0] * own[2] - own[1] * own[1]).max(1e-20);
            [(own[2] * x[0] - own[1] * x[1]) / det, (own[0] * x[1] - own[1] * x[0]) / det]
        };
        self.own.iter().zip(x).map(inverse).collect()
    }

    fn planes(&self, found: &[[f32; 2]], domain: &Plane) -> [Plane; 2] {
        std::array::from_fn(|k| {
            let mut plane = Plane::filled(domain.width, domain.height, 0.0);
            self.place.iter().zip(found).for_each(|(&i, found)| plane.data[i as usize] = found[k]);
            plane
        })
    }
}

fn dot(a: &[[f32; 2]], b: &[[f32; 2]]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a[0]) * f64::from(b[0]) + f64::from(a[1]) * f64::from(b[1])).sum()
}
