//! Paint carried along a surface, in the light of each frame, and mended by the plate where it goes with the plate's pattern.

use std::fmt;
use std::ops::Range;

use lora_edit_shot::colour::{from_working, to_working};
use lora_edit_shot::mask::bounds;
use lora_edit_shot::{ColourSpace, Frame, Rect, WorkingSpace};
use rayon::prelude::*;

use crate::edge::Edge;
use crate::fill::{Paint, Seen, follows};
use crate::light::{Change, Fit, Light};
use crate::pattern::{mended, shares};
use crate::plane::{Plane, root};
use crate::track::{Way, track};
use crate::view::{Pyramid, View, Warped};

/// Coverage from which on a pixel shows the surface alone.
pub const SOLID: f32 = 0.98;

/// Pixels round the surface that are looked at too.
const MARGIN: i32 = 8;

/// A shot's pictures, prepared.
pub struct Shot {
    working: WorkingSpace,
    /// Width and height of the frames.
    size: [u32; 2],
    /// The part of them that is looked at: the surface in all frames, and a little round it.
    part: Rect,
    /// In working code values, for matching.
    code: Vec<Pyramid>,
    /// In scene-linear light, going on beyond the mask's edge.
    light: Vec<[Plane; 3]>,
    solid: Vec<Plane>,
    edges: Vec<Edge>,
}

/// A shot's surface, followed from one frame.
pub struct Followed {
    key: usize,
    range: Range<usize>,
    way: Way,
}

/// A key frame to be carried, with what of the plate's pattern its paint goes with.
struct Key {
    plate: View,
    paint: View,
    shares: View,
}

/// A frame with the paint carried to it.
#[derive(Debug, Clone)]
pub struct Carried {
    /// RGB, working code values, of use inside the mask alone.
    pub picture: Frame,
    /// RGB of the plate's own surface, which the paint is laid over, in working code values: what is under it at the mask's
    /// soft edge. Alpha says how far it is to be believed, 0..1.
    pub surface: Frame,
    /// How far each pixel is to be believed, 0..1.
    pub known: Plane,
}

impl Shot {
    /// Of working frames (RGB code values) and the soft masks of the surface, one size.
    pub fn new(frames: &[&Frame], masks: &[&Frame], working: WorkingSpace) -> Self {
        let size = frames.first().map_or([0; 2], |frame| frame.size());
        let part = masks.iter().filter_map(|mask| bounds(mask, 0.0)).reduce(|a, b| a.union(&b));
        let part = part.unwrap_or(Rect::of_size(size)).expanded(MARGIN).intersect(&Rect::of_size(size));
        let frames: Vec<Frame> = frames.iter().map(|frame| frame.crop_reflect(part)).collect();
        let masks: Vec<Plane> = masks.iter().map(|mask| Plane::of(&mask.crop_reflect(part), 0)).collect();
        let solid: Vec<Plane> = masks.iter().map(solid).collect();
        let code = frames.par_iter().zip(&solid);
        let code = code.map(|(frame, solid)| {
            Pyramid::of(std::array::from_fn(|c| Plane::of(frame, c).spread(solid)), solid.clone())
        });
        let code = code.collect();
        let linear: Vec<[Plane; 3]> = frames.par_iter().map(|frame| linear_planes(working, frame)).collect();
        let light = linear.par_iter().zip(&solid);
        let light = light.map(|(frame, solid)| frame.each_ref().map(|plane| plane.spread(solid))).collect();
        let edges = linear.into_par_iter().zip(masks).map(|(frame, mask)| Edge::new(frame, mask)).collect();
        Self { working, size, part, code, light, solid, edges }
    }

    /// Follows the surface from frame `key` over the frames of `range`, which holds it; nothing where `go_on`, told how
    /// many frames are done, says no.
    ///
    /// # Errors
    /// When the key frame shows too little of the surface to follow.
    pub fn follow(
        &self,
        key: usize,
        range: Range<usize>,
        go_on: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Option<Followed>, TooLittle> {
        let shown = self.solid[key].data.iter().sum::<f32>() as usize;
        if shown < LEAST {
            return Err(TooLittle(shown));
        }
        let way = track(&self.code[range.clone()], key - range.start, go_on);
        Ok(way.map(|way| Followed { key, range, way }))
    }
}

/// Pixels of the surface that a key frame must show at least.
const LEAST: usize = 64;

/// A key frame that shows too little of the surface: so many pixels with nothing else in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLittle(pub usize);

impl fmt::Display for TooLittle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pixels lie wholly inside the mask, {LEAST} are needed to follow the surface", self.0)
    }
}

impl std::error::Error for TooLittle {}

fn linear(working: WorkingSpace, v: f32) -> f32 {
    from_working(ColourSpace::Linear, working, v)
}

fn solid(mask: &Plane) -> Plane {
    mask.mapped(|v| f32::from(v >= SOLID))
}

fn with_alpha(colours: &Frame, alpha: &Plane) -> Frame {
    Frame::from_fn(colours.width, colours.height, 4, |x, y, out| {
        out[..3].copy_from_slice(colours.pixel(x, y));
        out[3] = alpha.at(x, y);
    })
}

fn linear_planes(working: WorkingSpace, frame: &Frame) -> [Plane; 3] {
    std::array::from_fn(|c| Plane::of(frame, c).mapped(|v| linear(working, v)))
}

impl Followed {
    /// `painted`, the key frame in working code values, as it looks in every frame of the range. `shot` is the one that
    /// was followed.
    pub fn carry(&self, shot: &Shot, painted: &Frame) -> Vec<Carried> {
        self.carried_by(shot, painted, shares)
    }

    /// The same as if it were a coat. The plate is a dye of itself, as is each of its looks: mended, it would be shown as it
    /// is, and nothing could be learnt from what carrying it gets wrong.
    pub fn carry_coat(&self, shot: &Shot, painted: &Frame) -> Vec<Carried> {
        self.carried_by(shot, painted, |_, _, solid| std::array::from_fn(|_| solid.mapped(|_| 0.0)))
    }

    fn carried_by(
        &self,
        shot: &Shot,
        painted: &Frame,
        shares: impl Fn(&[Plane; 3], &[Plane; 3], &Plane) -> [Plane; 3],
    ) -> Vec<Carried> {
        let solid = &shot.solid[self.key];
        let painted = linear_planes(shot.working, &painted.crop_reflect(shot.part));
        let (plate, paint) = (&shot.light[self.key], painted.each_ref().map(|plane| plane.spread(solid)));
        let (follows, shares) = (follows(plate, &paint, solid), shares(plate, &paint, solid));
        let [plate, paint] = shot.edges[self.key].surfaces(&painted, plate, &paint);
        let view = |colour| View::new(colour, solid.clone());
        let key = Key { plate: view(plate), paint: view(paint), shares: view(shares) };
        let Range { start, end } = self.range;
        let carried = (start..end).into_par_iter().map(|t| self.carried(shot, t, &key));
        let (mut paints, surfaces): (Vec<Paint>, Vec<[Plane; 3]>) = carried.unzip();
        let known: Vec<Plane> = paints.iter().map(|paint| paint.known.clone()).collect();
        for t in (self.key + 1..end).chain((start..self.key).rev()) {
            let nearer = if t > self.key { t - 1 } else { t + 1 };
            paints[t - start] =
                self.filled(shot, t, nearer, &paints[t - start], &paints[nearer - start], follows);
        }
        let each = (start..end).zip(paints.iter().zip(&surfaces)).zip(known);
        let framed = |((t, (paint, surface)), known): ((usize, (&Paint, &[Plane; 3])), Plane)| {
            let believed = known.with(&shot.edges[t].explained_by(surface), |known, mix| known * mix);
            let surface = with_alpha(&shot.framed(surface), &shot.placed(&believed));
            Carried { picture: shot.framed(&paint.colour), surface, known: shot.placed(&known) }
        };
        each.map(framed).collect()
    }

    /// The key frame's paint in the light of frame `t`, known where the key frame shows it, and the plate's key frame the same way.
    fn carried(&self, shot: &Shot, t: usize, key: &Key) -> (Paint, [Plane; 3]) {
        let at = t - self.range.start;
        let (field, smear) = (&self.way.fields[at], self.way.smears.as_ref().map(|smears| &smears[at]));
        let [plate, paint, shares] =
            [&key.plate, &key.paint, &key.shares].map(|view| view.through(field, smear));
        let (now, solid) = (&shot.light[t], &shot.solid[t]);
        let light = light(now, solid, &plate);
        let lit = light.lit(&plate.colour);
        let both = solid.with(&plate.solid, |a, b| a * b);
        // A spline goes a little beyond what it passes through.
        let shares = shares.colour.map(|plane| plane.mapped(|share| share.max(0.0)));
        // What the plate mends needs no belief.
        let whole = shares.each_ref().map(|plane| plane.mapped(|share| share.min(1.0)));
        let alike = alike(now, &mended(&lit, &whole, now, &lit, &both));
        // A pixel beyond the outline's, which is mixed with what lies behind, goes on from it.
        let near = plate.solid.blurred(1.0).mapped(|v| (4.0 * v).clamp(0.0, 1.0));
        let paint = Paint {
            colour: mended(&light.lit(&paint.colour), &shares, now, &lit, &both),
            known: near.with(&alike, |near, alike| near * alike),
        };
        (paint, lit)
    }

    fn filled(
        &self,
        shot: &Shot,
        t: usize,
        nearer: usize,
        own: &Paint,
        before: &Paint,
        follows: f32,
    ) -> Paint {
        let step = &self.way.steps[t - self.range.start];
        let plate = View::new(shot.light[nearer].clone(), shot.solid[nearer].clone()).through(step, None);
        let light = light(&shot.light[t], &shot.solid[t], &plate);
        let seen = View::new(before.colour.clone(), shot.solid[nearer].clone()).through(step, None);
        let seen = Seen { colour: seen.colour, known: seen.solid };
        let inside = shot.solid[t].blurred(1.0).mapped(|v| f32::from(v > 1e-3));
        own.clone().or(&seen, &light).continued(&inside, &shot.light[t], step, follows)
    }
}

/// How far two pictures of a surface agree, 0..1, loosely over a pixel's surroundings.
fn alike(now: &[Plane; 3], lit: &[Plane; 3]) -> Plane {
    let square =
        |i: usize| (0..3).map(|c| (root(now[c].data[i]) - root(lit[c].data[i])).powi(2)).sum::<f32>();
    let squares = Plane { data: (0..now[0].data.len()).map(square).collect(), ..now[0].clone() };
    squares.blurred(1.5).mapped(|square| 1.0 / (1.0 + square / (3.0 * TOLERANCE * TOLERANCE)))
}

/// Code values by which plate and carried plate may differ where the paint is half believed.
const TOLERANCE: f32 = 0.1;

/// How gains alone are fitted, far and near. Nearer, a pattern that lies a fraction of a pixel off is taken for light: 0.2 to 0.6 dB
/// on `train` shots of a cloth, a limb and a post.
const GAINS: [Fit; 2] = [
    Fit { sigma: 8.0, noise: 0.01, gain: 0.5, offset: 0.2, tint: 0.005 }.of_gain(),
    Fit { sigma: 3.0, noise: 0.01, gain: 0.2, offset: 0.1, tint: 0.005 }.of_gain(),
];
/// How gains and offsets are fitted, far and near. Veils change from place to place: as far as [`GAINS`] it was 1.7 and 0.8 dB worse
/// on `train` shots with smoke, 0.1 on two of changing light.
const BOTH: [Fit; 2] = [
    Fit { sigma: 5.0, noise: 0.01, gain: 0.5, offset: 0.2, tint: 0.0025 },
    Fit { sigma: 2.0, noise: 0.01, gain: 0.4, offset: 0.2, tint: 0.0025 },
];

/// The light of a frame beside the key frame's: loosely over far surroundings, then closely over near ones.
fn light(now: &[Plane; 3], solid: &Plane, plate: &Warped) -> Light {
    let weight = &solid.with(&plate.solid, |a, b| (a * b).powi(2));
    let change = Change { now, before: &plate.colour, weight };
    let same = Light::same(weight.width, weight.height);
    let [gain, both] = [GAINS, BOTH].map(|[far, near]| same.fitted(&far, &change).fitted(&near, &change));
    gain.unless(&both, &change)
}

impl Shot {
    /// A part's colours at their place in a whole frame.
    fn framed(&self, colour: &[Plane; 3]) -> Frame {
        let [left, top] = [self.part.x1 as usize, self.part.y1 as usize];
        let mut whole = Frame::new(self.size[0] as usize, self.size[1] as usize, 3);
        for y in 0..colour[0].height {
            for x in 0..colour[0].width {
                let code =
                    |c: usize| to_working(ColourSpace::Linear, self.working, colour[c].at(x, y).max(0.0));
                whole.pixel_mut(left + x, top + y).copy_from_slice(&[0, 1, 2].map(code));
            }
        }
        whole
    }

    /// A part's plane at its place in a whole frame.
    fn placed(&self, plane: &Plane) -> Plane {
        let [left, top] = [self.part.x1 as usize, self.part.y1 as usize];
        let mut whole = Plane::filled(self.size[0] as usize, self.size[1] as usize, 0.0);
        for y in 0..plane.height {
            let at = (top + y) * whole.width + left;
            whole.data[at..at + plane.width].copy_from_slice(&plane.data[y * plane.width..][..plane.width]);
        }
        whole
    }
}
