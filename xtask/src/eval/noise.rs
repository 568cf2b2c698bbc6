//! Noise in three dimensions: gradient noise, its octaves, and cells.

use super::geometry::Vec3;

/// Gradient noise (Perlin 2002), about -1..1, features of about one unit.
pub fn gradient(p: Vec3, seed: u32) -> f32 {
    let cell = p.map(f32::floor);
    let local: Vec3 = std::array::from_fn(|i| p[i] - cell[i]);
    let weight = local.map(|t| t * t * t * (t * (t * 6.0 - 15.0) + 10.0));
    let corner = |i: usize| {
        let step = [i & 1, i >> 1 & 1, i >> 2];
        let at: [i32; 3] = std::array::from_fn(|k| cell[k] as i32 + step[k] as i32);
        let to: Vec3 = std::array::from_fn(|k| local[k] - step[k] as f32);
        slope(lattice(at, seed), to)
    };
    let along_x = |i: usize| lerp(corner(i), corner(i + 1), weight[0]);
    let plane = |i: usize| lerp(along_x(i), along_x(i + 2), weight[1]);
    lerp(plane(0), plane(4), weight[2])
}

/// Octaves of gradient noise, each half as strong and twice as fine as the one before (a 1/f spectrum), about -1..1.
pub fn fractal(p: Vec3, octaves: u32, seed: u32) -> f32 {
    (0..octaves)
        .map(|octave| {
            let scale = (1 << octave) as f32;
            gradient(p.map(|x| x * scale), seed.wrapping_add(octave)) / scale
        })
        .sum()
}

/// Octaves of folded noise, 0..about 1.5: creases where the noise crosses zero.
pub fn turbulence(p: Vec3, octaves: u32, seed: u32) -> f32 {
    (0..octaves)
        .map(|octave| {
            let scale = (1 << octave) as f32;
            gradient(p.map(|x| x * scale), seed.wrapping_add(octave)).abs() / scale
        })
        .sum()
}

/// The nearest of the points that are strewn one to a unit cell (Worley 1996).
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// Distance to the nearest point.
    pub nearest: f32,
    /// Distance to the second nearest.
    pub second: f32,
    /// A number in 0..1 that belongs to the nearest point.
    pub id: f32,
}

/// The cell that `p` lies in.
pub fn cell(p: Vec3, seed: u32) -> Cell {
    let base = p.map(|x| x.floor() as i32);
    let mut found = Cell { nearest: f32::MAX, second: f32::MAX, id: 0.0 };
    for i in 0..27 {
        let at = [base[0] + i % 3 - 1, base[1] + i / 3 % 3 - 1, base[2] + i / 9 - 1];
        let hash = lattice(at, seed);
        let point = |k: usize| at[k] as f32 + (hash >> (8 * k) & 255) as f32 / 255.0;
        let distance = (0..3).map(|k| (p[k] - point(k)).powi(2)).sum::<f32>().sqrt();
        if distance < found.nearest {
            found = Cell { nearest: distance, second: found.nearest, id: (hash >> 24) as f32 / 255.0 };
        } else {
            found.second = found.second.min(distance);
        }
    }
    found
}

/// A number in 0..1 for a whole number.
pub fn of_index(index: i32, seed: u32) -> f32 {
    (lattice([index, 0, 0], seed) >> 8) as f32 / (1u32 << 24) as f32
}

fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// One of the twelve directions to a cube's edges, along `to`.
fn slope(hash: u32, to: Vec3) -> f32 {
    let [x, y, z] = to;
    let (a, b) = match hash >> 28 {
        0..=3 => (x, y),
        4..=7 => (x, z),
        8..=11 => (y, z),
        _ => (y, x),
    };
    (if hash & 1 << 26 == 0 { a } else { -a }) + (if hash & 1 << 27 == 0 { b } else { -b })
}

/// 32 bits that depend on a lattice point alone.
fn lattice(at: [i32; 3], seed: u32) -> u32 {
    let mut h = seed.wrapping_mul(0x9E37_79B1);
    for k in at {
        h = (h ^ k as u32).wrapping_mul(0x85EB_CA6B);
        h ^= h >> 15;
    }
    h = h.wrapping_mul(0xC2B2_AE35);
    h ^ h >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_smooth_bounded_and_balanced() {
        let value = |i: i32| gradient([i as f32 * 0.01, 0.3, 7.7], 5);
        let values: Vec<f32> = (0..20_000).map(value).collect();
        assert!(values.iter().all(|v| v.abs() <= 1.5));
        let jump = values.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
        assert!(jump < 0.05, "{jump}");
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.1, "{mean}");
    }

    #[test]
    fn cells_are_ordered_and_named() {
        for i in 0..200 {
            let here = cell([i as f32 * 0.37, i as f32 * 0.11, 0.5], 9);
            assert!(here.nearest <= here.second && (0.0..=1.0).contains(&here.id));
        }
    }

    #[test]
    fn another_seed_is_another_noise() {
        let differs = (0..100).filter(|&i| {
            let p = [i as f32 * 0.37, 0.2, 0.1];
            (fractal(p, 3, 1) - fractal(p, 3, 2)).abs() > 0.05
        });
        assert!(differs.count() > 60);
    }
}
