//! Light that changes: exposure, a moving shadow, a highlight that wanders over the body.

use super::Time;
use crate::eval::geometry::{Track, Vec2, smooth_step, turned};
use crate::eval::noise::fractal;

/// The light of a shot.
#[derive(Clone, Copy, Debug)]
pub struct Light {
    /// Gain over the whole picture.
    pub exposure: Track,
    /// A shadow that falls on everything.
    pub shadow: Option<Shadow>,
    /// A highlight on the body.
    pub glint: Option<Glint>,
}

/// The soft edge of a shadow that passes, ragged as of branches.
#[derive(Clone, Copy, Debug)]
pub struct Shadow {
    /// Direction in which it passes.
    pub angle: f32,
    /// Where its middle is along that direction, in heights of the picture.
    pub position: Track,
    /// Half its width.
    pub width: f32,
    /// How much light it takes, 0..1.
    pub depth: f32,
    /// Its raggedness.
    pub seed: u32,
}

/// A soft highlight.
#[derive(Clone, Copy, Debug)]
pub struct Glint {
    /// Where its middle is in the picture.
    pub position: [Track; 2],
    /// Its radius, in heights of the picture.
    pub radius: f32,
    /// Scene-linear light added in its middle.
    pub strength: f32,
}

impl Light {
    /// Light that stays.
    pub fn steady() -> Self {
        Self { exposure: Track::fixed(1.0), shadow: None, glint: None }
    }

    /// The gain at a picture position.
    pub fn gain(&self, at: Vec2, time: Time) -> f32 {
        self.exposure.at(time) * self.shadow.map_or(1.0, |shadow| shadow.gain(at, time))
    }

    /// Light that the highlight adds on the body.
    pub fn glint(&self, at: Vec2, time: Time) -> f32 {
        self.glint.map_or(0.0, |glint| {
            let [x, y] = glint.position.map(|track| track.at(time));
            let square = ((at[0] - x).powi(2) + (at[1] - y).powi(2)) / (glint.radius * glint.radius);
            glint.strength * (-square).exp()
        })
    }
}

impl Shadow {
    fn gain(&self, at: Vec2, time: Time) -> f32 {
        let along = turned(at, self.angle)[0] - self.position.at(time);
        let ragged = 0.12 * fractal([3.0 * at[0], 3.0 * at[1], 2.0 * time], 3, self.seed);
        let inside = self.width - (along + ragged).abs();
        1.0 - self.depth * smooth_step(-0.04, 0.04, inside)
    }
}
