//! The way of a surface through a shot: where each pixel of each frame is in the key frame.

use rayon::prelude::*;

use crate::field::Field;
use crate::plane::Plane;
use crate::register::{Asked, Effort, LIGHT, colour_error, disagreement, register};
use crate::view::{Pyramid, Smear};

/// From one frame to the next: everything must be found.
const STEP: Effort = Effort { whole: 6, own: 4, tie: 4e-3, hold: 3e-4, gather: 2.0, light: LIGHT };
/// Against the key frame, once nearly there.
const AGAINST_KEY: Effort = Effort { whole: 4, own: 3, tie: 4e-3, hold: 1e-4, gather: 2.0, light: LIGHT };
/// Only the whole's motion, to see which start is best.
const TRIAL: Effort = Effort { own: 0, ..STEP };
/// The motion of the outline.
const OUTLINE: Effort = Effort { whole: 8, own: 0, light: 0.0, ..STEP };

/// A surface's way through a shot.
pub struct Way {
    /// For each frame, where its pixels are in the key frame.
    pub fields: Vec<Field>,
    /// For each frame, where its pixels are in its neighbour nearer the key.
    pub steps: Vec<Field>,
    /// What each frame's exposure sees in the key frame; none where the shot has no motion blur.
    pub smears: Option<Vec<Smear>>,
}

/// Frames whose motion is searched side by side; after each such batch it is asked whether to go on.
const BATCH: usize = 4;

/// For each frame, where its pixels are in frame `key`; nothing where `go_on`, told how many frames are done, says no.
///
/// From the key on, frame by frame in both directions: the motion to the neighbour nearer the key, then that one's own
/// way, then corrected against the key frame itself, so that errors do not add up.
pub fn track(frames: &[Pyramid], key: usize, go_on: &mut dyn FnMut(usize) -> bool) -> Option<Way> {
    let nearer = |t: usize| if t > key { t - 1 } else { t + 1 };
    let solid = &frames[key].finest().solid;
    let mut fields = vec![Field::still(solid.width, solid.height); frames.len()];
    let mut steps = fields.clone();
    let order: Vec<usize> = (key + 1..frames.len()).chain((0..key).rev()).collect();
    for (batch, times) in order.chunks(BATCH).enumerate() {
        let found = times.par_iter().map(|&t| between(&frames[t], &frames[nearer(t)]));
        for (&t, step) in times.iter().zip(found.collect::<Vec<_>>()) {
            fields[t] = corrected(&frames[t], &frames[key], step.then(&fields[nearer(t)]), None);
            steps[t] = step;
        }
        if !go_on((batch * BATCH + times.len()).min(order.len())) {
            return None;
        }
    }
    let (fields, smears) = blurred(frames, key, fields);
    Some(Way { fields, steps, smears })
}

/// A field to the key frame, corrected against it. What the field does not find there is left where it is: what has come
/// round since must not be found in the key frame.
fn corrected(target: &Pyramid, key: &Pyramid, field: Field, smear: Option<&Smear>) -> Field {
    let seen = key.finest().through(&field, None).solid;
    let asked = Asked { seen: Some(&seen), smear };
    best(target, key, judged(target, key, field, asked), &AGAINST_KEY, asked)
}

/// Exposures that are tried, as parts of the time from frame to frame.
const SHUTTERS: [f32; 6] = [0.15, 0.3, 0.45, 0.6, 0.75, 0.9];

/// Finds how long the exposure is, and corrects the fields with it if there is motion blur.
fn blurred(frames: &[Pyramid], key: usize, fields: Vec<Field>) -> (Vec<Field>, Option<Vec<Smear>>) {
    let error = |fields: &[Field], shutter: f32| -> f32 {
        let smears = (shutter > 0.0).then(|| exposures(fields, shutter));
        let each = (0..frames.len())
            .into_par_iter()
            .filter(|&t| t != key)
            .map(|t| colour_error(&frames[t], &frames[key], &fields[t], smears.as_ref().map(|s| &s[t])));
        each.sum()
    };
    let sharp = error(&fields, 0.0);
    let tried = SHUTTERS.map(|shutter| (shutter, error(&fields, shutter)));
    let (shutter, least) = tried.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0.0, sharp));
    if least > 0.95 * sharp {
        return (fields, None);
    }
    let smears = exposures(&fields, shutter);
    let better = (0..frames.len()).into_par_iter().map(|t| match t == key {
        true => fields[t].clone(),
        false => corrected(&frames[t], &frames[key], fields[t].clone(), Some(&smears[t])),
    });
    let fields: Vec<Field> = better.collect();
    let smears = exposures(&fields, shutter);
    (fields, Some(smears))
}

/// What each frame sees of the key frame while the shutter is open for this part of the time from frame to frame.
fn exposures(fields: &[Field], shutter: f32) -> Vec<Smear> {
    let last = fields.len() - 1;
    let path = |t: usize| {
        let (before, after) = (t.saturating_sub(1), (t + 1).min(last));
        let part = shutter / (after - before).max(1) as f32;
        Smear { path: fields[after].with(&fields[before], |after, before| part * (after - before)) }
    };
    (0..fields.len()).map(path).collect()
}

/// The motion from one frame to its neighbour.
fn between(target: &Pyramid, moving: &Pyramid) -> Field {
    let (from, to) = (centre(&target.finest().solid), centre(&moving.finest().solid));
    let solid = &target.finest().solid;
    let shifted = |shift| Field::shifted(solid.width, solid.height, shift);
    let (still, shifted) = (shifted([0.0; 2]), shifted([to[0] - from[0], to[1] - from[1]]));
    // Where light moves over the surface, only fine detail tells the two motions apart, and the outline leads there.
    let (outline, _) =
        register(&target.outline(), &moving.outline(), &shifted, usize::MAX, &OUTLINE, Asked::default());
    let tried = [(&still, usize::MAX), (&shifted, usize::MAX), (&outline, 1)];
    let tried =
        tried.map(|(start, coarsest)| register(target, moving, start, coarsest, &TRIAL, Asked::default()));
    let outline = judged(target, moving, outline, Asked::default());
    let start = tried.into_iter().rev().fold(outline, better);
    best(target, moving, start, &STEP, Asked::default())
}

fn judged(target: &Pyramid, moving: &Pyramid, field: Field, asked: Asked<'_>) -> (Field, f32) {
    let error = disagreement(target, moving, &field, asked);
    (field, error)
}

/// The field of the smaller error; the later of two alike.
fn better(a: (Field, f32), b: (Field, f32)) -> (Field, f32) {
    if b.1 <= a.1 { b } else { a }
}

/// Goes on from a field, and keeps what agrees better at full detail: from a coarser level, where light that moves can
/// look like the surface, a registration may come back worse.
fn best(target: &Pyramid, moving: &Pyramid, start: (Field, f32), effort: &Effort, asked: Asked<'_>) -> Field {
    let mut found = start;
    for coarsest in [2, 1, 0] {
        let next = register(target, moving, &found.0, coarsest, effort, asked);
        if next.1 < found.1 {
            found = next;
        }
    }
    found.0
}

fn centre(mask: &Plane) -> [f32; 2] {
    let mut sums = [0.0f64; 3];
    for (i, v) in mask.data.iter().enumerate() {
        let (x, y, v) = ((i % mask.width) as f64, (i / mask.width) as f64, f64::from(*v));
        sums.iter_mut().zip([v * x, v * y, v]).for_each(|(sum, v)| *sum += v);
    }
    if sums[2] > 0.0 { [(sums[0] / sums[2]) as f32, (sums[1] / sums[2]) as f32] } else { [0.0; 2] }
}
