//! Points, rotations, and values that change smoothly over a shot.

use std::f32::consts::TAU;

use super::seeds::Rng;

/// A position in the picture, in heights of the picture from its middle (y downwards), or on a surface.
pub type Vec2 = [f32; 2];
/// A position or direction in space: x to the right, y downwards, z away from the camera.
pub type Vec3 = [f32; 3];

/// Sum of products.
pub fn dot(a: Vec3, b: Vec3) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// The direction of a vector that is not zero.
pub fn normalised(v: Vec3) -> Vec3 {
    let length = dot(v, v).sqrt();
    v.map(|x| x / length)
}

/// Turns a point of the plane.
pub fn turned([x, y]: Vec2, angle: f32) -> Vec2 {
    let (sin, cos) = angle.sin_cos();
    [cos * x - sin * y, sin * x + cos * y]
}

/// 0 below `low`, 1 above `high`, smooth between.
pub fn smooth_step(low: f32, high: f32, value: f32) -> f32 {
    let t = ((value - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Between two colours or points.
pub fn mix<const N: usize>(a: [f32; N], b: [f32; N], t: f32) -> [f32; N] {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * t)
}

/// A rotation.
#[derive(Clone, Copy, Debug)]
pub struct Rotation([Vec3; 3]);

impl Rotation {
    /// By `angle` about a unit axis (Rodrigues).
    pub fn about(axis: Vec3, angle: f32) -> Self {
        let (sin, cos) = angle.sin_cos();
        let [x, y, z] = axis;
        let skew = [[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]];
        Self(std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                let same = if i == j { cos } else { 0.0 };
                same + sin * skew[i][j] + (1.0 - cos) * axis[i] * axis[j]
            })
        }))
    }

    /// First about z, then x, then y: roll, pitch, yaw.
    pub fn of_angles(yaw: f32, pitch: f32, roll: f32) -> Self {
        let about = |axis, angle| Self::about(axis, angle);
        let roll_pitch = about([1.0, 0.0, 0.0], pitch).after(about([0.0, 0.0, 1.0], roll));
        about([0.0, 1.0, 0.0], yaw).after(roll_pitch)
    }

    /// This one done after `first`.
    pub fn after(self, first: Self) -> Self {
        let column = |j: usize| [first.0[0][j], first.0[1][j], first.0[2][j]];
        Self(std::array::from_fn(|i| std::array::from_fn(|j| dot(self.0[i], column(j)))))
    }

    /// A vector turned.
    pub fn apply(&self, v: Vec3) -> Vec3 {
        self.0.map(|row| dot(row, v))
    }

    /// A vector turned back.
    pub fn undo(&self, v: Vec3) -> Vec3 {
        std::array::from_fn(|j| (0..3).map(|i| self.0[i][j] * v[i]).sum())
    }
}

/// A value over the shot, u in 0..1: a middle, a steady drift and a sway.
#[derive(Clone, Copy, Debug, Default)]
pub struct Track {
    /// Value at the shot's middle.
    pub middle: f32,
    /// Change from the first frame to the last.
    pub drift: f32,
    /// Amplitude of the sway.
    pub sway: f32,
    /// Its cycles within the shot.
    pub cycles: f32,
    /// Its phase in cycles.
    pub phase: f32,
}

impl Track {
    /// A value that stays.
    pub fn fixed(value: f32) -> Self {
        Self { middle: value, ..Self::default() }
    }

    /// A value that drifts and sways; `drift` has either sign.
    pub fn draw(rng: &mut Rng, middle: f32, drift: (f32, f32), sway: f32) -> Self {
        Self {
            middle,
            drift: rng.either(drift.0, drift.1),
            sway: rng.range(0.3, 1.0) * sway,
            cycles: rng.range(0.5, 1.3),
            phase: rng.unit(),
        }
    }

    /// The value at `u`.
    pub fn at(&self, u: f32) -> f32 {
        self.middle + self.drift * (u - 0.5) + self.sway * (TAU * (self.cycles * u + self.phase)).sin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_keeps_lengths_and_can_be_undone() {
        let rotation = Rotation::of_angles(0.4, -0.7, 1.1);
        let v = [0.3, -0.5, 0.9];
        let turned = rotation.apply(v);
        assert!((dot(turned, turned) - dot(v, v)).abs() < 1e-5);
        let back = rotation.undo(turned);
        assert!((0..3).all(|i| (back[i] - v[i]).abs() < 1e-5), "{back:?}");
        let quarter = Rotation::about([0.0, 0.0, 1.0], TAU / 4.0).apply([1.0, 0.0, 0.0]);
        assert!((quarter[1] - 1.0).abs() < 1e-6, "{quarter:?}");
    }

    #[test]
    fn a_track_drifts_as_far_as_it_says() {
        let track = Track { middle: 2.0, drift: 3.0, ..Track::default() };
        assert_eq!((track.at(0.0), track.at(0.5), track.at(1.0)), (0.5, 2.0, 3.5));
    }
}
