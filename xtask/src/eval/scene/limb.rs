//! A limb of two parts that turn against each other: an arm in a sleeve, a lamp's joint.

use super::{Body, Hit, Point, Time};
use crate::eval::geometry::{Track, Vec2, turned};

/// The upper part.
pub const UPPER: usize = 0;
/// The lower part, which lies in front at the joint.
pub const LOWER: usize = 1;

/// Two rounded bars; the second hangs on the end of the first.
#[derive(Clone, Copy, Debug)]
pub struct Limb {
    /// Where the upper end is.
    pub shoulder: [Track; 2],
    /// Direction of the upper part, in radians from downwards.
    pub upper_angle: Track,
    /// Bend of the lower part against the upper.
    pub bend: Track,
    /// Lengths of both, in heights of the picture.
    pub lengths: [f32; 2],
    /// Half widths of both.
    pub widths: [f32; 2],
    /// Direction to the light in the picture, a unit vector.
    pub light: Vec2,
}

/// Where one part begins and how it is turned.
struct Bone {
    origin: Vec2,
    angle: f32,
}

impl Limb {
    /// Half the extent of one part's surface: half its length with the round ends, and its half width.
    pub fn half(&self, part: usize) -> Vec2 {
        [self.widths[part], self.lengths[part] / 2.0 + self.widths[part]]
    }

    fn bone(&self, part: usize, time: Time) -> Bone {
        let origin = self.shoulder.map(|track| track.at(time));
        let angle = self.upper_angle.at(time);
        if part == UPPER {
            return Bone { origin, angle };
        }
        let [x, y] = turned([0.0, self.lengths[UPPER]], angle);
        Bone { origin: [origin[0] + x, origin[1] + y], angle: angle + self.bend.at(time) }
    }

    fn hit_part(&self, part: usize, at: Vec2, time: Time) -> Option<Hit> {
        let Bone { origin, angle } = self.bone(part, time);
        let [x, y] = turned([at[0] - origin[0], at[1] - origin[1]], -angle);
        let (length, width) = (self.lengths[part], self.widths[part]);
        let beyond = y - y.clamp(0.0, length);
        let across = x.hypot(beyond) / width;
        if across >= 1.0 {
            return None;
        }
        let half = self.half(part);
        let uv = [x / half[0], (y - length / 2.0) / half[1]];
        Some(Hit { point: Point { part, uv }, shade: self.shade([x, beyond], angle, width), gloss: 0.0 })
    }

    /// Light on a round bar: its normal leans outwards from its middle line.
    fn shade(&self, out: Vec2, angle: f32, width: f32) -> f32 {
        let normal = turned([out[0] / width, out[1] / width], angle);
        let depth = (1.0 - normal[0] * normal[0] - normal[1] * normal[1]).max(0.0).sqrt();
        let facing = 0.6 * (normal[0] * self.light[0] + normal[1] * self.light[1]) + 0.8 * depth;
        0.26 + 0.80 * facing.max(0.0)
    }
}

impl Body for Limb {
    fn hit(&self, at: Vec2, time: Time) -> Option<Hit> {
        self.hit_part(LOWER, at, time).or_else(|| self.hit_part(UPPER, at, time))
    }

    fn place(&self, point: Point, time: Time) -> Option<Vec2> {
        let Bone { origin, angle } = self.bone(point.part, time);
        let half = self.half(point.part);
        let local = [point.uv[0] * half[0], point.uv[1] * half[1] + self.lengths[point.part] / 2.0];
        let [x, y] = turned(local, angle);
        Some([origin[0] + x, origin[1] + y])
    }
}
