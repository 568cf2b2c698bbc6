//! Painted frames carried along the surface, before the model is asked: it is shown them, and generates what they lack.
//!
//! Not in the paper, whose condition is grey in the whole mask. What the plate's own motion tells exactly, a small model
//! would only paint again less well (docs/carry.md has the figures).

use std::collections::HashMap;
use std::ops::Range;

use lora_edit_motion::carry::{Carried, Followed, Shot};
use lora_edit_motion::plane::Plane;
use lora_edit_shot::Frame;
use lora_edit_shot::package::{EditPackage, ShotFrame, ShotPackage};

use crate::clip::Clip;
use crate::failure::JobError;
use crate::progress::Progress;
use crate::report::composite;
use crate::windows::Window;

/// How much of what the model generates counts where the carried paint is not known at all; the rest is the carried
/// paint continued. Chosen on the training seeds of `cargo xtask eval`.
const GENERATED: f32 = 0.5;
/// Below this the model is asked.
const KNOWN: f32 = 0.5;

/// What is carried to each frame of a shot; nothing at frames that no key reaches.
pub(crate) type Carry = Vec<Option<Carried>>;

/// A shot's surface, followed from a frame once and then at hand: training and generation both begin with it.
pub struct Carrier {
    prepared: Shot,
    /// By key and range of positions.
    followed: HashMap<(usize, Range<usize>), Option<Followed>>,
}

impl Carrier {
    /// Of a shot's working frames.
    pub fn new(shot: &ShotPackage) -> Self {
        let sources: Vec<&Frame> = shot.frames.iter().map(|frame| &frame.source).collect();
        let masks: Vec<&Frame> = shot.frames.iter().map(|frame| &frame.comp_mask).collect();
        let prepared = Shot::new(&sources, &masks, shot.info.working_space);
        Self { prepared, followed: HashMap::new() }
    }

    /// `painted`, frame `key`, carried to the frames of `range`, which holds it; nothing where the key shows too little of the
    /// surface. `None` when stopped meanwhile.
    pub fn carry(
        &mut self,
        (key, range): (usize, Range<usize>),
        painted: &Frame,
        progress: &mut Progress<'_>,
    ) -> Option<Vec<Carried>> {
        let at = (key, range.clone());
        if !self.followed.contains_key(&at) {
            let frames = (range.len() - 1).max(1);
            let go_on = &mut |done: usize| !progress.even_step(done.min(frames), frames);
            let followed = match self.prepared.follow(key, range, go_on) {
                Ok(None) => return None,
                Ok(followed) => followed,
                Err(little) => {
                    log::warn!("frame {} of the shot, from 1, carries no paint: {little}", key + 1);
                    None
                }
            };
            self.followed.insert(at.clone(), followed);
        }
        let followed = self.followed.get(&at)?.as_ref();
        Some(followed.map_or_else(Vec::new, |followed| followed.carry(&self.prepared, painted)))
    }

    /// Carries all painted frames of `edit` through `shot`, each as far as the next; `None` when stopped meanwhile.
    pub fn carry_edit(
        &mut self,
        shot: &ShotPackage,
        edit: &EditPackage,
        progress: &mut Progress<'_>,
    ) -> Option<Carry> {
        progress.stage("carry");
        let painted = edit.keys.iter().zip(&edit.frames);
        let mut keys: Vec<(usize, &Frame)> =
            painted.filter_map(|(key, frame)| Some((shot.info.frames.position(key)?, frame))).collect();
        keys.sort_by_key(|(position, _)| *position);
        let mut carry: Carry = vec![None; shot.frames.len()];
        for (index, &(key, painted)) in keys.iter().enumerate() {
            let first = index.checked_sub(1).map_or(0, |before| keys[before].0 + 1);
            let end = keys.get(index + 1).map_or(shot.frames.len(), |after| after.0);
            progress.part(index, keys.len());
            let span = Span { key, first };
            for (i, carried) in self.carry((key, first..end), painted, progress)?.into_iter().enumerate() {
                let seen = carry[first + i].take();
                carry[first + i] = Some(match seen {
                    Some(before) => span.joined(before, carried, first + i),
                    None => carried,
                });
            }
        }
        progress.part(0, 1);
        Some(carry)
    }

    /// What a training window learns from where its first frame is carried: the clip as it will be shown in generation, in
    /// its look. `None` when stopped meanwhile.
    pub fn draft(
        &mut self,
        shot: &ShotPackage,
        window: Window,
        clip: &Clip,
        progress: &mut Progress<'_>,
    ) -> Option<Result<Clip, JobError>> {
        let (low, high) = (window.first.min(window.last), window.first.max(window.last));
        let carried = self.carry((window.first, low..high + 1), &clip.frames[0], progress)?;
        let mut draft = clip.clone();
        for (index, position) in window.padded().into_iter().enumerate().skip(1) {
            if let Some(carried) = carried.get(position - low)
                && position != window.first
                && let Err(error) = show(&mut draft, index, &shot.frames[position], carried)
            {
                return Some(Err(error));
            }
        }
        Some(Ok(draft))
    }
}

/// The frames that a key's paint is carried to, and those before it that the key before reaches too.
struct Span {
    key: usize,
    first: usize,
}

impl Span {
    /// Both keys' paint at a frame between them: the nearer one's and the better known counts more.
    fn joined(&self, before: Carried, after: Carried, at: usize) -> Carried {
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

/// Shows a clip's frame what is carried to it: over the plate, to be generated only where it is not known.
pub(crate) fn show(
    clip: &mut Clip,
    index: usize,
    frame: &ShotFrame,
    carried: &Carried,
) -> Result<(), JobError> {
    clip.frames[index] = composite(frame, &carried.picture)?;
    clip.drafted[index] = true;
    let mask = &mut clip.masks[index];
    for ((generate, known), comp) in mask.data.iter_mut().zip(&carried.known.data).zip(&frame.comp_mask.data)
    {
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
