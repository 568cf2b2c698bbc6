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
use crate::trust::Trust;
use crate::windows::Window;

/// Below this the model is asked.
const KNOWN: f32 = 0.5;

/// What is carried to each frame of a shot; nothing at frames that no key reaches.
pub(crate) type Carry = Vec<Option<Carried>>;

/// What a generation begins with beside the plate.
pub(crate) struct Drafts {
    pub carry: Carry,
    /// How far what the model makes of them counts.
    pub trust: Trust,
}

impl Drafts {
    /// Nothing is carried to any of so many frames.
    pub fn none(frames: usize) -> Self {
        Self { carry: vec![None; frames], trust: Trust::default() }
    }
}

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

    /// What `carry` makes of the way from frame `key` over `range`, which holds it; nothing where the key shows too little of
    /// the surface. `None` when stopped meanwhile.
    fn carried(
        &mut self,
        (key, range): (usize, Range<usize>),
        progress: &mut Progress<'_>,
        carry: impl FnOnce(&Followed, &Shot) -> Vec<Carried>,
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
        Some(followed.map_or_else(Vec::new, |followed| carry(followed, &self.prepared)))
    }

    /// Carries all painted frames of `edit` through `shot`, each as far as the next, by `carry_along`: as paint, or as a
    /// coat. `None` when stopped meanwhile.
    pub(crate) fn carry_edit(
        &mut self,
        shot: &ShotPackage,
        edit: &EditPackage,
        carry_along: fn(&Followed, &Shot, &Frame) -> Vec<Carried>,
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
            let carried = self.carried((key, first..end), progress, |followed, shot| {
                carry_along(followed, shot, painted)
            })?;
            for (i, carried) in carried.into_iter().enumerate() {
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
        let carried =
            self.along(window, progress, |followed, shot| followed.carry_coat(shot, &clip.frames[0]))?;
        let mut draft = clip.clone();
        for (index, position, carried) in reached(window, &carried) {
            if let Err(error) = show(&mut draft, index, &shot.frames[position], carried) {
                return Some(Err(error));
            }
        }
        Some(Ok(draft))
    }

    /// What a training window is to aim at where its clip is recoloured: the look in the light that the draft has. `None`
    /// when stopped meanwhile.
    pub fn aim(
        &mut self,
        shot: &ShotPackage,
        window: Window,
        clip: &Clip,
        progress: &mut Progress<'_>,
    ) -> Option<Vec<Frame>> {
        let carried = self.along(window, progress, |followed, shot| followed.carry(shot, &clip.frames[0]))?;
        let mut aim = clip.frames.clone();
        for (index, position, carried) in reached(window, &carried) {
            aim[index] = in_its_light(&shot.frames[position], carried, &aim[index]);
        }
        Some(aim)
    }

    /// What `carry` makes of a window's way from its first frame, by positions from its lowest.
    fn along(
        &mut self,
        window: Window,
        progress: &mut Progress<'_>,
        carry: impl FnOnce(&Followed, &Shot) -> Vec<Carried>,
    ) -> Option<Vec<Carried>> {
        let (low, high) = (window.first.min(window.last), window.first.max(window.last));
        self.carried((window.first, low..high + 1), progress, carry)
    }
}

/// What is carried to the frames of a window after its first: the index in the clip, the position in the shot, the paint.
fn reached(window: Window, carried: &[Carried]) -> impl Iterator<Item = (usize, usize, &Carried)> {
    let low = window.first.min(window.last);
    let later =
        window.padded().into_iter().enumerate().filter(move |(_, position)| *position != window.first);
    later.filter_map(move |(index, position)| Some((index, position, carried.get(position - low)?)))
}

/// A recoloured frame in the light that carried paint has: what the training is to aim at.
///
/// A look maps the plate's colours, shadows and blur and all, and need not turn what is darker into what is darker. Were
/// that the aim, an adapter would learn to undo the light of the paint that it is shown (a `train` shot whose light changes lost
/// 0.4 dB, one with motion blur 0.7). Where the surface is known the look's own first frame is carried instead, and
/// mended by the plate.
pub(crate) fn in_its_light(frame: &ShotFrame, carried: &Carried, recoloured: &Frame) -> Frame {
    let mut out = recoloured.clone();
    for (i, (known, comp)) in carried.known.data.iter().zip(&frame.comp_mask.data).enumerate() {
        for c in 3 * i..3 * i + 3 {
            out.data[c] += known * comp * (carried.picture.data[c] - out.data[c]);
        }
    }
    out
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
            let joined = |(own, other): (&mut f32, &f32)| *own += share * (other - *own);
            out.picture.data[3 * i..3 * i + 3].iter_mut().zip(&after.picture.data[3 * i..]).for_each(joined);
            out.surface.data[4 * i..4 * i + 4].iter_mut().zip(&after.surface.data[4 * i..]).for_each(joined);
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
    clip.frames[index] = composite(frame, &carried.picture.clone().into())?;
    clip.drafted[index] = true;
    let mask = &mut clip.masks[index];
    for ((generate, known), comp) in mask.data.iter_mut().zip(&carried.known.data).zip(&frame.comp_mask.data)
    {
        *generate = f32::from(*generate > 0.0 && *comp > 0.0 && *known < KNOWN);
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::looks::Look;
    use lora_edit_shot::job::Event;
    use lora_edit_shot::package::ShotInfo;
    use lora_edit_shot::{ColourSpace, Fit, FrameRange, Rect, WorkingSpace};

    /// A patterned square of 32 pixels that moves to the right by a pixel each frame, before grey.
    fn shot(frames: i32) -> ShotPackage {
        let size = [64, 48];
        let inside = |number: i32, x: usize, y: usize| {
            let left = 4 + (number - 1001) as usize;
            (left..left + 32).contains(&x) && (8..40).contains(&y)
        };
        let colour = |number: i32, x: usize, y: usize, out: &mut [f32]| {
            let at = x as f32 - (number - 1001) as f32;
            let wave = (0.7 * at).sin() * (0.5 * y as f32).cos();
            let value = if inside(number, x, y) { 0.5 + 0.3 * wave } else { 0.5 };
            out.copy_from_slice(&[value, 0.8 * value, 0.6 * value]);
        };
        let mask = |number, grown: usize| {
            let near = move |x: usize, y: usize| {
                let reach = |v: usize| v.saturating_sub(grown)..=v + grown;
                reach(x).any(|x| reach(y).any(|y| inside(number, x, y)))
            };
            Frame::from_fn(64, 48, 1, |x, y, out| out[0] = f32::from(near(x, y)))
        };
        let frame = |number| ShotFrame {
            number,
            source: Frame::from_fn(64, 48, 3, |x, y, out| colour(number, x, y, out)),
            comp_mask: mask(number, 0),
            generation_mask: mask(number, 2),
        };
        let fit = Fit { source_size: size, crop: Rect::of_size(size), working_size: size };
        let (input_space, working_space) = (ColourSpace::Srgb, WorkingSpace::Srgb);
        let numbers = FrameRange::span(1001, 1000 + frames);
        let info = ShotInfo { fit, frames: numbers, input_space, working_space };
        ShotPackage { info, frames: (1001..=1000 + frames).map(frame).collect() }
    }

    fn painted(shot: &ShotPackage, key: i32) -> Frame {
        let mut painted = shot.frames[(key - 1001) as usize].source.clone();
        painted.data.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
        painted
    }

    fn edit(shot: &ShotPackage, keys: &[i32]) -> EditPackage {
        let frames = keys.iter().map(|&key| painted(shot, key)).collect();
        EditPackage { keys: FrameRange::of(keys.iter().copied()), frames, references: Vec::new() }
    }

    /// Carries until asked to stop after `steps` answers.
    fn carried(shot: &ShotPackage, keys: &[i32], steps: usize) -> Option<Carry> {
        let asked = std::cell::Cell::new(0);
        let stop = || {
            asked.set(asked.get() + 1);
            asked.get() > steps
        };
        let mut events = |_| ();
        let mut progress = Progress::new(&mut events, &stop);
        Carrier::new(shot).carry_edit(shot, &edit(shot, keys), Followed::carry, &mut progress)
    }

    #[test]
    fn paint_moves_with_the_surface_from_every_key_and_both_ways() {
        let shot = shot(5);
        for keys in [vec![1001], vec![1003], vec![1001, 1005]] {
            let carry = carried(&shot, &keys, 99).unwrap();
            for (frame, carried) in shot.frames.iter().zip(&carry) {
                let (wanted, found) = (painted(&shot, frame.number), carried.as_ref().unwrap());
                // Well inside the square, wherever it is.
                for (x, y) in [(16, 16), (20, 24), (28, 30)] {
                    let (wanted, got) = (wanted.pixel(x, y), found.picture.pixel(x, y));
                    let far = wanted.iter().zip(got).any(|(a, b)| (a - b).abs() > 0.02);
                    assert!(!far, "keys {keys:?}, frame {}, {x},{y}: {got:?}, not {wanted:?}", frame.number);
                }
            }
            let known = known_part(&shot, &carry);
            assert!(known > 0.9 && known <= 1.0, "keys {keys:?}: {known} known");
        }
    }

    #[test]
    fn between_two_keys_the_nearer_and_the_better_known_counts_more() {
        let carried = |level: f32, known: f32| Carried {
            picture: Frame::filled(1, 1, &[level; 3]),
            surface: Frame::filled(1, 1, &[2.0 * level; 4]),
            known: Plane { width: 1, height: 1, data: vec![known] },
        };
        let span = Span { key: 4, first: 1 };
        let joined = |at, known| span.joined(carried(0.0, known), carried(1.0, 1.0), at);
        let level = |at, known| joined(at, known).picture.data[0];
        assert!((level(1, 1.0) - 0.25).abs() < 1e-6 && (level(3, 1.0) - 0.75).abs() < 1e-6);
        assert_eq!(joined(2, 1.0).surface.pixel(0, 0), [1.0; 4], "so does the surface's");
        assert!(level(1, 0.0) > 0.95, "the key before does not show it");
        assert_eq!(joined(1, 0.0).known.data, [1.0]);
    }

    #[test]
    fn a_stop_is_heard_and_an_empty_key_carries_nothing() {
        let mut shot = shot(9);
        assert!(carried(&shot, &[1001], 0).is_none());
        shot.frames[0].comp_mask.data.fill(0.0);
        let carry = carried(&shot, &[1001], 99).unwrap();
        assert!(carry.iter().all(Option::is_none));
    }

    #[test]
    fn the_model_is_shown_the_draft_and_asked_where_it_is_not_known() {
        let shot = shot(5);
        let mut clip = Clip::of(&shot, Window::whole(5));
        let mut carried = Carried {
            picture: Frame::filled(64, 48, &[0.9, 0.1, 0.2]),
            surface: Frame::filled(64, 48, &[0.5; 4]),
            known: Plane { width: 64, height: 48, data: vec![1.0; 64 * 48] },
        };
        carried.known.data[20 * 64 + 20] = 0.2;
        show(&mut clip, 2, &shot.frames[2], &carried).unwrap();
        assert!(clip.drafted[2] && !clip.drafted[1]);
        assert_eq!(clip.frames[2].pixel(20, 20), [0.9, 0.1, 0.2]);
        assert_eq!(
            clip.frames[2].pixel(60, 4),
            shot.frames[2].source.pixel(60, 4),
            "the plate outside the mask"
        );
        assert_eq!(clip.masks[2].data.iter().sum::<f32>(), 1.0, "one pixel is asked for");
        assert_eq!(clip.masks[2].pixel(20, 20), [1.0]);
    }

    #[test]
    fn an_aim_takes_the_paint_where_it_is_known_inside_the_mask() {
        let mut frame = shot(1).frames.remove(0);
        let recoloured = Frame::filled(64, 48, &[0.2; 3]);
        let mut carried = Carried {
            picture: Frame::filled(64, 48, &[0.8; 3]),
            surface: Frame::filled(64, 48, &[0.5; 4]),
            known: Plane { width: 64, height: 48, data: vec![1.0; 64 * 48] },
        };
        carried.known.data[20 * 64 + 20] = 0.25;
        frame.comp_mask.pixel_mut(21, 20)[0] = 0.5;
        let aim = in_its_light(&frame, &carried, &recoloured);
        let red = |x: usize| aim.pixel(x, 20)[0];
        assert!((red(19) - 0.8).abs() < 1e-6 && (red(20) - 0.35).abs() < 1e-6, "{} {}", red(19), red(20));
        assert!((red(21) - 0.5).abs() < 1e-6 && red(60) == 0.2, "{} {}", red(21), red(60));
    }

    /// The plate's negative grows brighter as the light goes; paint of that look does not.
    #[test]
    fn a_look_is_aimed_at_in_the_light_of_the_frame() {
        let mut shot = shot(5);
        for (t, frame) in shot.frames.iter_mut().enumerate() {
            frame.source.data.iter_mut().for_each(|v| *v *= 1.0 - 0.1 * t as f32);
        }
        let negative = [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]];
        let look = Look::Mixed { matrix: negative, offset: [0.5; 3] };
        let clip = Clip::of(&shot, Window::whole(5)).recoloured(&look);
        let (mut events, stop) = (|_: Event| (), || false);
        let mut progress = Progress::new(&mut events, &stop);
        let aim = Carrier::new(&shot).aim(&shot, Window::whole(5), &clip, &mut progress).unwrap();
        // The middle, whose pattern goes with it.
        let level = |frames: &[Frame], t: usize| {
            let middle = (10..30).flat_map(|x| (14..34).map(move |y| (x + t, y)));
            middle.map(|(x, y)| frames[t].pixel(x, y)[0]).sum::<f32>() / 400.0
        };
        assert!(level(&clip.frames, 4) > level(&clip.frames, 0) + 0.05);
        assert!(level(&aim, 4) < level(&aim, 0) - 0.05, "{} {}", level(&aim, 0), level(&aim, 4));
        assert_eq!(aim[0], clip.frames[0], "the first frame is shown as it is");
    }
}
