//! What passes before the body: a post that hides it, smoke that veils it.

use super::Time;
use crate::eval::geometry::{Track, Vec2, smooth_step, turned};
use crate::eval::noise::fractal;
use crate::eval::palette::Rgb;
use crate::eval::texture::Texture;

/// Something in front.
pub enum Front {
    /// A round post that crosses the picture. The roto leaves it out.
    Post {
        /// Its bark, paint or stone.
        texture: Texture,
        /// Its middle line's distance from the picture's middle.
        across: Track,
        /// How far it leans.
        lean: f32,
        /// Half its width, in heights of the picture.
        width: f32,
    },
    /// Drifting smoke. The roto does not know of it.
    Smoke {
        /// In scene-linear light.
        colour: Rgb,
        /// Where it drifts over the shot, in heights of the picture.
        wind: Vec2,
        /// How thick it is at most, 0..1.
        depth: f32,
        /// Its shape.
        seed: u32,
    },
}

/// What is seen in front.
pub enum Seen {
    /// Nothing.
    Nothing,
    /// Something that hides all behind it.
    Solid(Rgb),
    /// Something that lets `1 - alpha` through.
    Veil {
        /// In scene-linear light.
        colour: Rgb,
        /// How much it hides.
        alpha: f32,
    },
}

impl Front {
    /// What is seen of it at a picture position.
    pub fn at(&self, at: Vec2, time: Time) -> Seen {
        match self {
            Self::Post { texture, across, lean, width } => {
                let [x, y] = turned(at, *lean);
                let out = (x - across.at(time)) / width;
                if out.abs() >= 1.0 {
                    return Seen::Nothing;
                }
                let shade = 0.35 + 0.65 * (1.0 - out * out).sqrt() * (1.0 - 0.3 * out);
                Seen::Solid(texture.at([out, y]).map(|value| value * shade))
            }
            Self::Smoke { colour, wind, depth, seed } => {
                let [x, y] = [at[0] - wind[0] * time, at[1] - wind[1] * time];
                let thickness = 0.5 + 0.8 * fractal([2.6 * x, 2.6 * y, 1.5 * time], 4, *seed);
                let alpha = depth * smooth_step(0.2, 1.0, thickness);
                Seen::Veil { colour: *colour, alpha }
            }
        }
    }
}
