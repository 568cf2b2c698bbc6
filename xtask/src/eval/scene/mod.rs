//! A procedural shot: a body that moves before a backdrop, in light that may change, with something in front or not.
//!
//! All light is scene-linear. The edit changes the body's colour alone; body, light, blur and what is in front are
//! computed once for both, so that the edited truth is exact and equals the source wherever the mask is 0.

mod bodies;
mod cloth;
mod front;
mod kinds;
mod light;
mod limb;
mod render;

pub use kinds::Kind;
pub use render::{motion, render};

use super::geometry::{Track, Vec2, turned};
use super::palette::Rgb;
use super::texture::{Looks, Texture};
use front::{Front, Seen};
use light::Light;

/// Time over the shot: 0 at the first frame, 1 at the last.
pub type Time = f32;

/// A point of a body's surface.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Which part of the body.
    pub part: usize,
    /// Where on it, -1..1 on both axes.
    pub uv: Vec2,
}

/// What is seen of a body at a picture position.
#[derive(Clone, Copy, Debug)]
pub struct Hit {
    /// The surface point.
    pub point: Point,
    /// How much light it reflects towards the camera, over its colour.
    pub shade: f32,
    /// Light added by its gloss.
    pub gloss: f32,
}

/// Something that moves and has a surface.
pub trait Body {
    /// What is seen of it at a picture position.
    fn hit(&self, at: Vec2, time: Time) -> Option<Hit>;
    /// Where a surface point is in the picture, if it faces the camera.
    fn place(&self, point: Point, time: Time) -> Option<Vec2>;
}

/// One shot.
pub struct Scene {
    body: Box<dyn Body>,
    /// One for each part of the body.
    looks: Vec<Looks>,
    backdrop: Backdrop,
    light: Light,
    front: Option<Front>,
    /// Part of a frame's time for which the shutter is open.
    shutter: f32,
}

/// What stands behind, under a camera that pans, rolls and zooms.
struct Backdrop {
    texture: Texture,
    /// Half the texture's extent in heights of the picture.
    half: Vec2,
    pan: [Track; 2],
    roll: Track,
    zoom: Track,
}

impl Backdrop {
    fn colour(&self, at: Vec2, time: Time) -> Rgb {
        let turned = turned(at, self.roll.at(time));
        let zoom = self.zoom.at(time);
        let position = |axis: usize| (turned[axis] / zoom + self.pan[axis].at(time)) / self.half[axis];
        self.texture.at([position(0), position(1)])
    }
}

/// One ray's light, with and without the edit.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    source: Rgb,
    truth: Rgb,
    /// Whether it shows the body; smoke before it does not hide it.
    body: bool,
}

impl Scene {
    fn sample(&self, at: Vec2, time: Time) -> Sample {
        let gain = self.light.gain(at, time);
        let seen = self.front.as_ref().map_or(Seen::Nothing, |front| front.at(at, time));
        if let Seen::Solid(colour) = seen {
            let colour = exposed(colour, gain, 0.0);
            return Sample { source: colour, truth: colour, body: false };
        }
        let sample = self.behind_front(at, time, gain);
        let Seen::Veil { colour, alpha } = seen else { return sample };
        let veil = exposed(colour, gain, 0.0);
        let over = |below: Rgb| std::array::from_fn(|i| below[i] + (veil[i] - below[i]) * alpha);
        Sample { source: over(sample.source), truth: over(sample.truth), body: sample.body }
    }

    fn behind_front(&self, at: Vec2, time: Time, gain: f32) -> Sample {
        let Some(hit) = self.body.hit(at, time) else {
            let colour = exposed(self.backdrop.colour(at, time), gain, 0.0);
            return Sample { source: colour, truth: colour, body: false };
        };
        let looks = &self.looks[hit.point.part];
        let gloss = hit.gloss + self.light.glint(at, time);
        let lit = |texture: &Texture| exposed(texture.at(hit.point.uv), gain * hit.shade, gloss * gain);
        Sample { source: lit(&looks.source), truth: lit(&looks.edited), body: true }
    }

    /// Where the surface point seen at `at` was at another time, if it is seen at both.
    pub fn carried(&self, at: Vec2, from: Time, to: Time) -> Option<Vec2> {
        let point = self.visible(at, from)?;
        let there = self.body.place(point, to)?;
        let found = self.visible(there, to)?;
        let near = (0..2).all(|axis| (found.uv[axis] - point.uv[axis]).abs() < 0.02);
        (found.part == point.part && near).then_some(there)
    }

    /// The body's point that is seen at a picture position, with nothing solid before it.
    fn visible(&self, at: Vec2, time: Time) -> Option<Point> {
        let hidden = self.front.as_ref().is_some_and(|front| matches!(front.at(at, time), Seen::Solid(_)));
        self.body.hit(at, time).filter(|_| !hidden).map(|hit| hit.point)
    }
}

/// What a camera records: colour times light, plus gloss, at most 1.
fn exposed(colour: Rgb, gain: f32, gloss: f32) -> Rgb {
    colour.map(|value| (value * gain + gloss).clamp(0.0, 1.0))
}
