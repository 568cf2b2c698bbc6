//! The kinds of shots and how one is drawn from a seed.

use std::f32::consts::TAU;

use clap::ValueEnum;

use super::bodies::{Ball, Card};
use super::cloth::Cloth;
use super::front::Front;
use super::light::{Glint, Light, Shadow};
use super::limb::{LOWER, Limb, UPPER};
use super::{Backdrop, Body, Scene};
use crate::eval::geometry::{Track, Vec2, Vec3, normalised};
use crate::eval::material::{Family, Material};
use crate::eval::seeds::{Rng, Split};
use crate::eval::shot::Format;
use crate::eval::texture::{Chart, Looks, Texture};

/// What a shot is about. The order is part of the seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// A card that pans, turns and zooms, with perspective
    Plane,
    /// A ball that turns, so that its unseen side comes round
    Ball,
    /// Cloth that waves, with shading
    Cloth,
    /// A card or ball that a post passes in front of; the roto leaves the post out
    Occluded,
    /// Exposure that changes, a shadow that passes, a highlight that wanders
    Light,
    /// Fast motion with motion blur and a soft mask
    Blur,
    /// A limb of two parts that turn against each other
    Limb,
    /// Smoke that drifts before the body; the roto does not know of it
    Smoke,
}

impl Kind {
    /// All, in the order of the table.
    pub const ALL: [Self; 8] = [
        Self::Plane,
        Self::Ball,
        Self::Cloth,
        Self::Occluded,
        Self::Light,
        Self::Blur,
        Self::Limb,
        Self::Smoke,
    ];

    /// Its name in the table and in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plane => "plane",
            Self::Ball => "ball",
            Self::Cloth => "cloth",
            Self::Occluded => "occluded",
            Self::Light => "light",
            Self::Blur => "blur",
            Self::Limb => "limb",
            Self::Smoke => "smoke",
        }
    }

    /// Draws shot `index` of a split.
    pub fn scene(self, split: Split, index: u32, format: &Format) -> Scene {
        let mut rng = Rng::new(split.seed(self as u8, index));
        let rng = &mut rng;
        let (body, looks) = self.body(rng);
        Scene {
            body,
            looks,
            backdrop: backdrop(rng, format.aspect()),
            light: if self == Self::Light { changing_light(rng) } else { Light::steady() },
            front: match self {
                Self::Occluded => Some(post(rng)),
                Self::Smoke => Some(smoke(rng)),
                _ => None,
            },
            shutter: if self == Self::Blur { rng.range(0.5, 0.7) } else { 0.0 },
        }
    }

    fn body(self, rng: &mut Rng) -> (Box<dyn Body>, Vec<Looks>) {
        match self {
            Self::Plane => card(rng, Motion::Wide),
            Self::Ball => ball(rng, (1.7, 2.8)),
            Self::Cloth => cloth(rng),
            Self::Blur => card(rng, Motion::Fast),
            Self::Limb => limb(rng),
            _ if rng.chance(0.6) => card(rng, Motion::Calm),
            _ => ball(rng, (0.3, 0.6)),
        }
    }
}

/// How a card moves.
#[derive(Clone, Copy, PartialEq)]
enum Motion {
    Calm,
    Wide,
    Fast,
}

fn card(rng: &mut Rng, motion: Motion) -> (Box<dyn Body>, Vec<Looks>) {
    let half = [rng.range(0.24, 0.33), rng.range(0.18, 0.26)];
    let reach = if motion == Motion::Calm { 0.4 } else { 1.0 };
    let track = |rng: &mut Rng, drift: f32, sway: f32| {
        Track::draw(rng, 0.0, (0.4 * reach * drift, reach * drift), reach * sway)
    };
    let x = if motion == Motion::Fast { swing(rng, 0.28) } else { track(rng, 0.55, 0.03) };
    let y = if motion == Motion::Fast { swing(rng, 0.10) } else { track(rng, 0.15, 0.02) };
    let distance = Track { middle: 1.1, ..track(rng, 0.35, 0.02) };
    let card = Card {
        half,
        corner: rng.range(0.01, 0.08),
        position: [x, y, distance],
        yaw: track(rng, 1.0, 0.1),
        pitch: track(rng, 0.5, 0.08),
        roll: track(rng, 0.6, 0.05),
        light: light_direction(rng),
    };
    (Box::new(card), vec![Looks::draw(rng, Chart::Flat(half), &Family::FLAT, false)])
}

/// To and fro about once in the shot, at rest at the first frame, so that the painted frame is sharp.
fn swing(rng: &mut Rng, amplitude: f32) -> Track {
    let sway = rng.either(0.85, 1.15) * amplitude;
    Track { sway, cycles: rng.range(0.9, 1.3), phase: 0.25, ..Track::default() }
}

fn ball(rng: &mut Rng, spin: (f32, f32)) -> (Box<dyn Body>, Vec<Looks>) {
    let radius = rng.range(0.27, 0.36);
    let ball = Ball {
        position: [Track::draw(rng, 0.0, (0.05, 0.35), 0.03), Track::draw(rng, 0.0, (0.0, 0.08), 0.02)],
        radius: Track::draw(rng, radius, (0.0, 0.05), 0.0),
        axis: normalised([rng.range(-0.5, 0.5), 1.0, rng.range(-0.5, 0.5)]),
        spin: from_rest(Track::draw(rng, 0.0, spin, 0.05)),
        light: light_direction(rng),
        gloss: rng.range(0.0, 0.35),
    };
    (Box::new(ball), vec![Looks::draw(rng, Chart::Sphere(radius), &Family::SOLID, true)])
}

/// The same track with the value 0 at the first frame: what the artist paints is what the camera sees there.
fn from_rest(track: Track) -> Track {
    Track { middle: track.middle - track.at(0.0), ..track }
}

fn cloth(rng: &mut Rng) -> (Box<dyn Body>, Vec<Looks>) {
    let half = [rng.range(0.38, 0.50), rng.range(0.28, 0.34)];
    let cloth = Cloth::draw(rng, half);
    (Box::new(cloth), vec![Looks::draw(rng, Chart::Flat(half), &Family::CLOTH, false)])
}

fn limb(rng: &mut Rng) -> (Box<dyn Body>, Vec<Looks>) {
    let side = rng.either(1.0, 1.0);
    let sway = |rng: &mut Rng, middle: f32, drift: f32, sway: f32| Track {
        middle,
        ..Track::draw(rng, middle, (0.5 * drift, drift), sway)
    };
    let limb = Limb {
        shoulder: [sway(rng, -0.30 * side, 0.12, 0.02), sway(rng, -0.26, 0.05, 0.02)],
        upper_angle: sway(rng, -0.95 * side, 0.6, 0.12),
        bend: sway(rng, -0.55 * side, 1.3, 0.2),
        lengths: [rng.range(0.34, 0.42), rng.range(0.32, 0.40)],
        widths: [rng.range(0.12, 0.15), rng.range(0.10, 0.12)],
        light: [-0.6 * side, -0.8],
    };
    let families = if rng.chance(0.5) { &[Family::Skin][..] } else { &Family::CLOTH[..] };
    let upper = Looks::draw(rng, Chart::Flat(limb.half(UPPER)), families, false);
    let lower = Looks::draw(rng, Chart::Flat(limb.half(LOWER)), families, false);
    (Box::new(limb), vec![upper, lower])
}

fn light_direction(rng: &mut Rng) -> Vec3 {
    normalised([rng.either(0.2, 0.8), rng.range(-0.9, -0.3), -1.0])
}

fn backdrop(rng: &mut Rng, aspect: f32) -> Backdrop {
    let half: Vec2 = [0.5 * aspect + 0.35, 0.75];
    let size = rng.range(1.0, 1.6);
    let material = Material::draw(rng, &Family::BACKDROP, size);
    let (dim, falloff) = (rng.range(0.55, 0.85), rng.range(0.1, 0.35));
    let middle = [rng.range(-0.5, 0.5), rng.range(-0.4, 0.2)];
    let texture = Texture::bake(half, false, |uv| {
        let distance = (uv[0] - middle[0]).hypot(uv[1] - middle[1]);
        material
            .colour([uv[0] * half[0], uv[1] * half[1], 0.0])
            .map(|v| v * (dim - falloff * distance).max(0.1))
    });
    Backdrop {
        texture,
        half,
        pan: [Track::draw(rng, 0.0, (0.05, 0.25), 0.02), Track::draw(rng, 0.0, (0.0, 0.08), 0.02)],
        roll: Track::draw(rng, 0.0, (0.0, 0.06), 0.01),
        zoom: Track::draw(rng, 1.05, (0.0, 0.12), 0.0),
    }
}

fn changing_light(rng: &mut Rng) -> Light {
    let path = |rng: &mut Rng, reach: f32| Track::draw(rng, 0.0, (0.6 * reach, reach), 0.05);
    Light {
        exposure: Track { middle: 0.85, ..Track::draw(rng, 0.0, (0.2, 0.45), 0.08) },
        shadow: Some(Shadow {
            angle: rng.range(0.0, TAU),
            position: path(rng, 1.6),
            width: rng.range(0.10, 0.22),
            depth: rng.range(0.45, 0.7),
            seed: rng.noise_seed(),
        }),
        glint: Some(Glint {
            position: [path(rng, 0.6), path(rng, 0.3)],
            radius: rng.range(0.06, 0.14),
            strength: rng.range(0.2, 0.5),
        }),
    }
}

fn post(rng: &mut Rng) -> Front {
    let width = rng.range(0.09, 0.16);
    let material = Material::draw(rng, &[Family::Wood, Family::Stone, Family::Paint], 1.0);
    Front::Post {
        texture: Texture::bake([width, 1.0], false, |uv| material.colour([uv[1], uv[0] * width, 0.4])),
        across: Track::draw(rng, 0.0, (1.1, 1.6), 0.02),
        lean: rng.range(-0.4, 0.4),
        width,
    }
}

fn smoke(rng: &mut Rng) -> Front {
    let grey = rng.range(0.35, 0.7);
    Front::Smoke {
        colour: [grey, grey * rng.range(0.94, 1.0), grey * rng.range(0.9, 1.02)],
        wind: [rng.either(0.25, 0.6), rng.range(-0.4, -0.1)],
        depth: rng.range(0.6, 0.85),
        seed: rng.noise_seed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_every_kind_once() {
        assert_eq!(Kind::ALL.as_slice(), Kind::value_variants());
        assert!(Kind::ALL.iter().enumerate().all(|(index, kind)| *kind as usize == index));
    }
}
