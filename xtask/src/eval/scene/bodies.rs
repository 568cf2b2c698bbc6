//! Rigid bodies: a card in perspective and a ball.

use super::{Body, Hit, Point, Time};
use crate::eval::geometry::{Rotation, Track, Vec2, Vec3, dot, normalised};
use crate::eval::texture::sphere;

/// Distance of the picture plane from the camera, in heights of the picture: a lens of 39 degrees.
const FOCAL: f32 = 1.4;

/// A card with rounded corners that moves and turns in space.
#[derive(Clone, Copy, Debug)]
pub struct Card {
    /// Half its width and height, in heights of the picture at distance [`FOCAL`].
    pub half: Vec2,
    /// Radius of its corners.
    pub corner: f32,
    /// Where its middle is: the picture position at [`FOCAL`], and the distance over [`FOCAL`].
    pub position: [Track; 3],
    /// Turns about the vertical, the horizontal and the line of sight.
    pub yaw: Track,
    /// See `yaw`.
    pub pitch: Track,
    /// See `yaw`.
    pub roll: Track,
    /// Direction to the light, a unit vector.
    pub light: Vec3,
}

/// A card's pose at one time.
struct Pose {
    middle: Vec3,
    rotation: Rotation,
}

impl Card {
    fn pose(&self, time: Time) -> Pose {
        let [x, y, distance] = self.position.map(|track| track.at(time));
        Pose {
            middle: [x, y, distance * FOCAL],
            rotation: Rotation::of_angles(self.yaw.at(time), self.pitch.at(time), self.roll.at(time)),
        }
    }

    fn inside(&self, local: Vec2) -> bool {
        let beyond = |axis: usize| (local[axis].abs() - self.half[axis] + self.corner).max(0.0);
        let within = |axis: usize| local[axis].abs() <= self.half[axis];
        within(0) && within(1) && beyond(0).hypot(beyond(1)) <= self.corner
    }
}

impl Body for Card {
    fn hit(&self, at: Vec2, time: Time) -> Option<Hit> {
        let Pose { middle, rotation } = self.pose(time);
        let (ray, normal) = ([at[0], at[1], FOCAL], rotation.apply([0.0, 0.0, -1.0]));
        let distance = dot(middle, normal) / dot(ray, normal);
        let [x, y, _] = rotation.undo(std::array::from_fn(|i| ray[i] * distance - middle[i]));
        let uv = [x / self.half[0], y / self.half[1]];
        let facing = dot(normal, self.light).max(0.0);
        let hit = Hit { point: Point { part: 0, uv }, shade: 0.42 + 0.62 * facing, gloss: 0.0 };
        (distance > 0.0 && self.inside([x, y])).then_some(hit)
    }

    fn place(&self, point: Point, time: Time) -> Option<Vec2> {
        let Pose { middle, rotation } = self.pose(time);
        let local = rotation.apply([point.uv[0] * self.half[0], point.uv[1] * self.half[1], 0.0]);
        let [x, y, z]: Vec3 = std::array::from_fn(|i| local[i] + middle[i]);
        (z > 0.1).then(|| [x * FOCAL / z, y * FOCAL / z])
    }
}

/// A ball that rolls on: seen from far away, without perspective.
#[derive(Clone, Copy, Debug)]
pub struct Ball {
    /// Where its middle is.
    pub position: [Track; 2],
    /// Its radius, in heights of the picture.
    pub radius: Track,
    /// The axis it turns about, a unit vector.
    pub axis: Vec3,
    /// How far it has turned.
    pub spin: Track,
    /// Direction to the light, a unit vector.
    pub light: Vec3,
    /// How glossy it is, 0..1.
    pub gloss: f32,
}

impl Ball {
    fn middle(&self, time: Time) -> Vec2 {
        self.position.map(|track| track.at(time))
    }

    fn gloss(&self, normal: Vec3) -> f32 {
        let half_way = normalised([self.light[0], self.light[1], self.light[2] - 1.0]);
        self.gloss * dot(normal, half_way).max(0.0).powi(40)
    }
}

impl Body for Ball {
    fn hit(&self, at: Vec2, time: Time) -> Option<Hit> {
        let (middle, radius) = (self.middle(time), self.radius.at(time));
        let [x, y] = [(at[0] - middle[0]) / radius, (at[1] - middle[1]) / radius];
        let depth = 1.0 - x * x - y * y;
        if depth <= 0.0 {
            return None;
        }
        let normal = [x, y, -depth.sqrt()];
        let [a, b, c] = Rotation::about(self.axis, self.spin.at(time)).undo(normal);
        let uv =
            [a.atan2(-c) / std::f32::consts::PI, b.clamp(-1.0, 1.0).asin() / std::f32::consts::FRAC_PI_2];
        let shade = 0.30 + 0.78 * dot(normal, self.light).max(0.0);
        Some(Hit { point: Point { part: 0, uv }, shade, gloss: self.gloss(normal) })
    }

    fn place(&self, point: Point, time: Time) -> Option<Vec2> {
        let normal = Rotation::about(self.axis, self.spin.at(time)).apply(sphere(point.uv));
        let (middle, radius) = (self.middle(time), self.radius.at(time));
        (normal[2] < -0.05).then(|| [middle[0] + radius * normal[0], middle[1] + radius * normal[1]])
    }
}
