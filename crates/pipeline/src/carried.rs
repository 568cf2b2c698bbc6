//! Painted frames carried along the surface, before the model is asked: it is shown them, and generates what they lack.
//!
//! Not in the paper, whose condition is grey in the whole mask. What the plate's own motion tells exactly, a small model
//! would only paint again less well (docs/carry.md has the figures).

use lora_edit_motion::carry::{Carried, Shot};
use lora_edit_motion::plane::Plane;
use lora_edit_shot::Frame;
use lora_edit_shot::package::{EditPackage, ShotFrame, ShotPackage};

use crate::clip::Clip;
use crate::failure::JobError;
use crate::progress::Progress;
use crate::report::composite;

/// How much of what the model generates counts where the carried paint is not known at all; the rest is the carried
/// paint continued. Chosen on the training seeds of `cargo xtask eval`.
const GENERATED: f32 = 0.5;
/// Below this the model is asked.
const KNOWN: f32 = 0.5;

/// What is carried to each frame of a shot; nothing at frames that no key reaches.
pub(crate) type Carry = Vec<Option<Carried>>;

/// Carries all painted frames of `edit` through `shot`, each as far as the next; `None` when stopped meanwhile.
pub(crate) fn carry(
    shot: &ShotPackage,
    edit: &EditPackage,
    progress: &mut Progress<'_>,
) -> Result<Option<Carry>, JobError> {
    progress.stage("carry");
    let sources: Vec<&Frame> = shot.frames.iter().map(|frame| &frame.source).collect();
    let masks: Vec<&Frame> = shot.frames.iter().map(|frame| &frame.comp_mask).collect();
    let prepared = Shot::new(&sources, &masks, shot.info.working_space);
    let painted = edit.keys.iter().zip(&edit.frames);
    let mut keys: Vec<(usize, &Frame)> =
        painted.filter_map(|(key, frame)| Some((shot.info.frames.position(key)?, frame))).collect();
    keys.sort_by_key(|(position, _)| *position);
    let mut carry: Carry = vec![None; sources.len()];
    for (index, &(key, painted)) in keys.iter().enumerate() {
        let first = index.checked_sub(1).map_or(0, |before| keys[before].0 + 1);
        let end = keys.get(index + 1).map_or(sources.len(), |after| after.0);
        progress.part(index, keys.len());
        let frames = (end - first).saturating_sub(1).max(1);
        match prepared.follow(key, first..end, &mut |done| !progress.even_step(done, frames)) {
            Ok(None) => return Ok(None),
            Ok(Some(followed)) => {
                let span = Span { key, first, end };
                followed.carry(painted).into_iter().enumerate().for_each(|(i, carried)| {
                    let seen = carry[first + i].take();
                    carry[first + i] = Some(match seen {
                        Some(before) => span.joined(before, carried, first + i),
                        None => carried,
                    });
                });
            }
            Err(little) => log::warn!("frame {} carries no paint: {little}", shot.frames[key].number),
        }
    }
    progress.part(0, 1);
    Ok(Some(carry))
}

/// The frames that a key's paint is carried to, and those before it that the key before reaches too.
struct Span {
    key: usize,
    first: usize,
    end: usize,
}

impl Span {
    /// Both keys' paint at a frame between them: the nearer one's and the better known counts more.
    fn joined(&self, before: Carried, after: Carried, at: usize) -> Carried {
        debug_assert!(self.first <= at && at < self.end);
        let part = (at + 1 - self.first) as f32 / (self.key + 1 - self.first) as f32;
        let mut out = before;
        for i in 0..out.known.data.len() {
            let (a, b) = (out.known.data[i], after.known.data[i]);
            let (weight_a, weight_b) = ((1.0 - part) * (a + 0.01), part * (b + 0.01));
            let share = weight_b / (weight_a + weight_b).max(1e-6);
            for c in 0..3 {
                let own = out.picture.data[3 * i + c];
                out.picture.data[3 * i + c] = own + share * (after.picture.data[3 * i + c] - own);
            }
            out.known.data[i] = a.max(b);
        }
        out
    }
}

/// Shows a clip's frame what is carried to it: over the plate, to be generated where it is not known alone.
pub(crate) fn show(clip: &mut Clip, index: usize, frame: &ShotFrame, carried: &Carried) -> Result<(), JobError> {
    clip.frames[index] = composite(frame, &carried.picture)?;
    let mask = &mut clip.masks[index];
    for ((generate, known), comp) in mask.data.iter_mut().zip(&carried.known.data).zip(&frame.comp_mask.data) {
        *generate = f32::from(*generate > 0.0 && *comp > 0.0 && *known < KNOWN);
    }
    Ok(())
}

/// The carried paint as far as it is known, and beside it what was generated.
pub(crate) fn merged(generated: &Frame, carried: &Carried) -> Frame {
    let mut out = carried.picture.clone();
    for (i, known) in carried.known.data.iter().enumerate() {
        let share = (1.0 - known) * GENERATED;
        for c in 3 * i..3 * i + 3 {
            out.data[c] += share * (generated.data[c] - out.data[c]);
        }
    }
    out
}

/// Part of the mask, over all frames, in which the carried paint is known.
pub(crate) fn known_part(shot: &ShotPackage, carry: &Carry) -> f64 {
    let (mut known, mut all) = (0.0, 1e-9);
    for (frame, carried) in shot.frames.iter().zip(carry) {
        let Some(Carried { known: Plane { data, .. }, .. }) = carried else { continue };
        for (comp, here) in frame.comp_mask.data.iter().zip(data) {
            known += f64::from(comp * here);
            all += f64::from(*comp);
        }
    }
    known / all
}
