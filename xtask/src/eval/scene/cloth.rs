//! A cloth that hangs from its upper edge and waves in the wind.

use std::f32::consts::TAU;

use super::{Body, Hit, Point, Time};
use crate::eval::geometry::{Track, Vec2, Vec3, dot, normalised, turned};
use crate::eval::seeds::Rng;

const WAVES: usize = 4;
/// Enough that a position is found to a hundredth of a pixel: each step leaves less than half of the error.
const STEPS: usize = 9;

/// One wave that runs over the cloth.
#[derive(Clone, Copy, Debug)]
struct Wave {
    direction: Vec2,
    /// Height of its crests, in heights of the picture.
    height: f32,
    /// Crests that pass during the shot.
    cycles: f32,
    phase: f32,
}

/// The cloth.
#[derive(Clone, Debug)]
pub struct Cloth {
    half: Vec2,
    middle: [Track; 2],
    roll: Track,
    waves: [Wave; WAVES],
    light: Vec3,
}

/// Height of the cloth over its plane and the slope of it, per height of the picture.
struct Relief {
    height: f32,
    slope: Vec2,
}

impl Cloth {
    /// Draws one of this half extent.
    pub fn draw(rng: &mut Rng, half: Vec2) -> Self {
        let wave = |rng: &mut Rng, order: f32| Wave {
            direction: turned([TAU * order * rng.range(1.0, 1.6), 0.0], rng.range(-0.7, 0.7)),
            height: rng.range(0.020, 0.030) / order,
            cycles: rng.either(0.7, 1.7),
            phase: rng.unit(),
        };
        let waves = [1.0, 1.5, 2.3, 3.4].map(|order| wave(rng, order));
        Self {
            half,
            middle: [Track::draw(rng, 0.0, (0.05, 0.2), 0.03), Track::draw(rng, 0.0, (0.0, 0.06), 0.02)],
            roll: Track::draw(rng, 0.0, (0.0, 0.15), 0.04),
            waves,
            light: normalised([rng.either(0.5, 1.0), rng.range(-0.9, -0.3), -1.0]),
        }
    }

    /// How loose the cloth is: held at its upper edge, free at the lower one.
    fn looseness(&self, y: f32) -> f32 {
        0.25 + 0.75 * ((y / self.half[1] + 1.0) / 2.0).clamp(0.0, 1.0)
    }

    fn relief(&self, [x, y]: Vec2, time: Time) -> Relief {
        let loose = self.looseness(y);
        let mut relief = Relief { height: 0.0, slope: [0.0; 2] };
        for wave in &self.waves {
            let angle =
                wave.direction[0] * x + wave.direction[1] * y - TAU * (wave.cycles * time + wave.phase);
            let (sin, cos) = angle.sin_cos();
            relief.height += loose * wave.height * sin;
            (0..2).for_each(|axis| relief.slope[axis] += loose * wave.height * wave.direction[axis] * cos);
        }
        relief
    }

    /// How far a point of the cloth is displaced in the picture: the crests are seen from above and from the side.
    fn displaced(&self, local: Vec2, time: Time) -> Vec2 {
        let height = self.relief(local, time).height;
        [0.55 * height, 0.8 * height]
    }

    fn local(&self, at: Vec2, time: Time) -> Vec2 {
        let middle = self.middle.map(|track| track.at(time));
        turned([at[0] - middle[0], at[1] - middle[1]], -self.roll.at(time))
    }
}

impl Body for Cloth {
    fn hit(&self, at: Vec2, time: Time) -> Option<Hit> {
        let seen = self.local(at, time);
        let mut local = seen;
        for _ in 0..STEPS {
            let displaced = self.displaced(local, time);
            local = [seen[0] - displaced[0], seen[1] - displaced[1]];
        }
        let uv = [local[0] / self.half[0], local[1] / self.half[1]];
        if uv[0].abs() > 1.0 || uv[1].abs() > 1.0 {
            return None;
        }
        let slope = self.relief(local, time).slope;
        let normal = normalised([slope[0], slope[1], -1.0]);
        let shade = 0.28 + 0.80 * dot(normal, self.light).max(0.0);
        Some(Hit { point: Point { part: 0, uv }, shade, gloss: 0.0 })
    }

    fn place(&self, point: Point, time: Time) -> Option<Vec2> {
        let local = [point.uv[0] * self.half[0], point.uv[1] * self.half[1]];
        let displaced = self.displaced(local, time);
        let [x, y] = turned([local[0] + displaced[0], local[1] + displaced[1]], self.roll.at(time));
        let middle = self.middle.map(|track| track.at(time));
        Some([x + middle[0], y + middle[1]])
    }
}
