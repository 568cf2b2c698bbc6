//! Registration: where each pixel of one picture's surface is in another picture.
//!
//! Least squares on the colours, linearised and repeated from coarse to fine, with each pixel's evidence gathered over
//! its surroundings and its step tied to its neighbours' (Bruhn, Weickert, Schnoerr, *Lucas/Kanade meets Horn/Schunck*,
//! 2005). What is known of the mask is used throughout: surroundings never reach over its edge, where another motion
//! begins. Changes of light are fitted beside the motion. Steps are tied, not displacements, so that a turn or a zoom
//! costs nothing once it is found.

use crate::field::Field;
use crate::pair::{Pair, matched};
use crate::plane::Plane;
use crate::view::{Pyramid, Smear};

/// How a registration goes on at each level.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Steps of the whole surface's motion, few numbers.
    pub whole: usize,
    /// Steps of each pixel's own.
    pub own: usize,
    /// How firmly neighbours are tied.
    pub tie: f32,
    /// How firmly a pixel is held to the affine motion of its surroundings.
    pub hold: f32,
    /// Over what surroundings evidence is gathered: a standard deviation in pixels.
    pub gather: f32,
    /// How closely changes of light are followed: a standard deviation in pixels; 0 for light that stays.
    pub light: f32,
}

/// Registers `target` in `moving` from `start` on, over the levels from `coarsest` to the finest; and how badly they then
/// agree, in the light that the effort allows.
pub fn register(
    target: &Pyramid,
    moving: &Pyramid,
    start: &Field,
    coarsest: usize,
    effort: &Effort,
    asked: Asked<'_>,
) -> (Field, f32) {
    let levels = target.0.len().min(moving.0.len());
    let coarsest = coarsest.min(levels - 1);
    let mut error = 1.0;
    let mut field = (0..coarsest).fold(start.clone(), |field, _| field.halved());
    for level in (0..=coarsest).rev() {
        let smear = asked.smear.map(|smear| smear.at_level(level));
        let seen = asked.seen.map(|seen| (0..level).fold(seen.clone(), |seen, _| seen.halved()));
        let (target, moving) = (&target.0[level], &moving.0[level]);
        let pair = Pair { target, moving, smear: smear.as_ref(), seen: seen.as_ref(), effort };
        if level < coarsest {
            field = field.doubled(pair.target.solid.width, pair.target.solid.height);
        }
        (field, error) = pair.register(field, level == levels - 1);
    }
    (field, error)
}

/// What else a registration knows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// The target's motion blur.
    pub smear: Option<&'a Smear>,
    /// Which of the target's pixels are in the other picture, 0..1; all of the surface without. What has come round since
    /// must not be found there.
    pub seen: Option<&'a Plane>,
}

/// How badly `target` and `moving` through `field` agree at full detail, 0..1; where nothing is found, 1.
pub fn disagreement(target: &Pyramid, moving: &Pyramid, field: &Field, asked: Asked<'_>) -> f32 {
    let (target, moving) = (target.finest(), moving.finest());
    Pair { target, moving, smear: asked.smear, seen: asked.seen, effort: &NONE }.look(field).error
}

const NONE: Effort = Effort { whole: 0, own: 0, tie: 0.0, hold: 0.0, gather: 0.0, light: LIGHT };
/// Surroundings over which light is taken to change alike, in pixels.
pub const LIGHT: f32 = 4.0;

/// Mean square colour error of `moving` through `field` where both show the surface, in the light that fits.
pub fn colour_error(target: &Pyramid, moving: &Pyramid, field: &Field, smear: Option<&Smear>) -> f32 {
    let (target, moving) = (target.finest(), moving.finest());
    let warped = moving.through(field, smear);
    let weight = target.solid.with(&warped.solid, |a, b| (a * b).powi(4));
    let lit = matched(target, &warped, &weight, LIGHT);
    let (mut sum, mut total) = (0.0, 1e-6);
    for i in 0..weight.data.len() {
        let square: f32 = (0..3).map(|c| (target.colour[c].data[i] - lit[c].data[i]).powi(2)).sum();
        sum += weight.data[i] * square;
        total += weight.data[i];
    }
    sum / total
}
