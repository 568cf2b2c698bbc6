//! What the model's answer is worth beside carried paint, tried out on the plate, whose every frame is known.

use lora_edit_motion::carry::{Followed, SOLID};
use lora_edit_shot::job::Sampling;
use lora_edit_shot::package::{EditPackage, ShotFrame, ShotPackage};
use lora_edit_shot::{Frame, FrameRange, mask};

use crate::base::Base;
use crate::carried::{Carrier, Drafts, in_its_light};
use crate::failure::JobError;
use crate::generate::{Answer, Made, Pictures, opening, pictures};
use crate::looks::Look;
use crate::progress::Progress;
use crate::trust::{Measured, Trust};
use crate::windows::Pass;

/// Looks of the plate that are tried. Two kinds of looks are drawn in turn.
const LOOKS: usize = 2;
/// Looks that a training learns are counted from 0: none of these is among them, so that learning by heart shows.
const UNSEEN: usize = 1 << 20;

/// A generation that is about to begin.
pub(crate) struct Rehearsal<'a> {
    pub shot: &'a ShotPackage,
    pub edit: &'a EditPackage,
    /// Its first pass.
    pub pass: &'a Pass,
    pub sampling: &'a Sampling,
}

impl Rehearsal<'_> {
    /// The painted frames carried through the shot, and how far the model is to be trusted beside them; nothing when stopped
    /// meanwhile.
    ///
    /// # Errors
    /// When the arithmetic fails.
    pub fn drafts(
        &self,
        base: &mut Base,
        carrier: &mut Carrier,
        progress: &mut Progress<'_>,
    ) -> Result<Option<Drafts>, JobError> {
        // Beside a look's clip a model that sees a picture would be shown the wrong one.
        let looks: Vec<_> = match base.transformer()?.config().takes_image() {
            true => vec![None],
            false => (0..LOOKS).map(|look| Some(Look::draw(self.sampling.seed, UNSEEN + look))).collect(),
        };
        let mut measured = Measured::default();
        for look in looks {
            let Some(found) = self.tried(look.as_ref(), base, carrier, progress)? else { return Ok(None) };
            measured = measured.joined(&found);
        }
        let trust = measured.trust();
        log::info!("the model's share, measured on the plate: {trust:?}");
        let carry = carrier.carry_edit(self.shot, self.edit, Followed::carry, progress);
        Ok(carry.map(|carry| Drafts { carry, trust }))
    }

    /// Asks the model about the first pass as it will be asked, but with the plate's own frames, in this look, for painted ones.
    fn tried(
        &self,
        look: Option<&Look>,
        base: &mut Base,
        carrier: &mut Carrier,
        progress: &mut Progress<'_>,
    ) -> Result<Option<Measured>, JobError> {
        let Some(trial) = self.trial(look, carrier, progress) else { return Ok(None) };
        let (clip, picture) =
            (trial.made.clip(&trial.keys, self.pass)?, opening(self.pass, self.shot, self.edit));
        let Pictures::Made(answer, _) = pictures(base, &clip, picture, self.sampling, progress)? else {
            return Ok(None);
        };
        Ok(Some(self.compared(&trial, &answer)))
    }

    /// The plate in a look, carried as a coat. Nothing when stopped meanwhile.
    fn trial(
        &self,
        look: Option<&Look>,
        carrier: &mut Carrier,
        progress: &mut Progress<'_>,
    ) -> Option<Trial<'_>> {
        let worn = |frame: &ShotFrame| match look {
            Some(look) => look.apply(&frame.source, &frame.comp_mask),
            None => frame.source.clone(),
        };
        let mut truth: Vec<Frame> = self.shot.frames.iter().map(worn).collect();
        let keys = self.keys_of(&truth);
        let carry = carrier.carry_edit(self.shot, &keys, Followed::carry_coat, progress)?;
        if look.is_some() {
            let lit = carrier.carry_edit(self.shot, &keys, Followed::carry, progress)?;
            for ((frame, truth), lit) in self.shot.frames.iter().zip(&mut truth).zip(lit) {
                *truth = lit.map_or_else(|| truth.clone(), |lit| in_its_light(frame, &lit, truth));
            }
        }
        let made = Made::none(self.shot, Drafts { carry, trust: Trust::default() });
        Some(Trial { keys, truth, made })
    }

    /// The edit's keys, as they are in `frames`.
    fn keys_of(&self, frames: &[Frame]) -> EditPackage {
        let place = |key: i32| self.shot.info.frames.position(key);
        let own = |key| place(key).map(|place| (key, frames[place].clone()));
        let (keys, frames): (Vec<i32>, Vec<Frame>) = self.edit.keys.iter().filter_map(own).unzip();
        EditPackage { keys: FrameRange::of(keys), frames, references: Vec::new() }
    }

    fn compared(&self, trial: &Trial<'_>, answer: &Answer) -> Measured {
        let mut measured = Measured::default();
        for index in 0..answer.frames.len() {
            let position = self.pass.window.at(index);
            let frame = &self.shot.frames[position];
            if let (None, Some(carried), Some(change)) =
                (trial.keys.at(frame.number), trial.made.carried(position), answer.change(index))
            {
                // At soft edges the picture is mixed with what is behind: nothing of the model's doing.
                let solid = mask::threshold(&frame.comp_mask, SOLID);
                measured.add(&trial.truth[position], carried, &change, &solid);
            }
        }
        measured
    }
}

/// The plate in a look, in place of an edit.
struct Trial<'a> {
    /// Its key frames.
    keys: EditPackage,
    /// What the whole shot is in that look.
    truth: Vec<Frame>,
    made: Made<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use lora_edit_motion::carry::Carried;
    use lora_edit_motion::plane::Plane;
    use lora_edit_shot::job::Event;
    use lora_edit_shot::package::ShotInfo;
    use lora_edit_shot::{ColourSpace, Fit, Rect, WorkingSpace};

    const SIDE: usize = 40;

    /// Five frames of grey, all of it in the mask but a soft first row.
    fn shot() -> ShotPackage {
        let size = [SIDE as u32; 2];
        let crop = Rect::new(0, 0, SIDE as i32, SIDE as i32);
        let soft = Frame::from_fn(SIDE, SIDE, 1, |_, y, out| out[0] = if y == 0 { 0.5 } else { 1.0 });
        let frame = |number: i32| ShotFrame {
            number,
            source: Frame::filled(SIDE, SIDE, &[0.5; 3]),
            comp_mask: soft.clone(),
            generation_mask: Frame::filled(SIDE, SIDE, &[1.0]),
        };
        let info = ShotInfo {
            fit: Fit { source_size: size, crop, working_size: size },
            frames: FrameRange::span(1001, 1005),
            input_space: ColourSpace::Srgb,
            working_space: WorkingSpace::Srgb,
        };
        ShotPackage { info, frames: (1001..=1005).map(frame).collect() }
    }

    /// What is missing is 0.2 everywhere; the model says so where it counts, and nonsense where it must not.
    #[test]
    fn keys_and_soft_edges_do_not_count() {
        let shot = shot();
        let keys = EditPackage {
            keys: FrameRange::of([1001]),
            frames: vec![shot.frames[0].source.clone()],
            references: Vec::new(),
        };
        let pass = Pass { window: crate::windows::Window::whole(5), overlap: 0 };
        let sampling = Sampling::default();
        let rehearsal = Rehearsal { shot: &shot, edit: &keys, pass: &pass, sampling: &sampling };
        let grey = |level: f32| Frame::filled(SIDE, SIDE, &[level; 3]);
        let carried = Carried {
            picture: grey(0.3),
            surface: Frame::filled(SIDE, SIDE, &[0.5; 4]),
            known: Plane::filled(SIDE, SIDE, 0.0),
        };
        let drafts = Drafts { carry: vec![Some(carried); 5], trust: Trust::default() };
        let truth = shot.frames.iter().map(|frame| frame.source.clone()).collect();
        let trial = Trial { keys: keys.clone(), truth, made: Made::none(&shot, drafts) };
        let said = |t: usize| {
            Frame::from_fn(SIDE, SIDE, 3, |_, y, out| out.fill(if t == 0 || y == 0 { -5.0 } else { 0.9 }))
        };
        let answer = Answer { frames: (0..5).map(said).collect(), shown: vec![grey(0.7); 5] };
        let trust = rehearsal.compared(&trial, &answer).trust();
        assert!((trust.unknown - 1.0).abs() < 0.01 && trust.known < 0.01, "{trust:?}");
    }

    /// The plate's own first frame, each frame with fine detail of its own: a dye would be mended by it, a coat is not.
    #[test]
    fn the_plate_is_carried_as_a_coat() {
        let mut shot = shot();
        let value = |x: usize, y: usize, t: usize| {
            let (x, y, t) = (x as f32, y as f32, t as f32);
            0.5 + 0.2 * (0.5 * x).sin() * (0.4 * y).cos() + 0.05 * (1.9 * x + 2.3 * y + 1.7 * t).sin()
        };
        for (t, frame) in shot.frames.iter_mut().enumerate() {
            frame.source = Frame::from_fn(SIDE, SIDE, 3, |x, y, out| out.fill(value(x, y, t)));
        }
        let keys = EditPackage { keys: FrameRange::of([1001]), frames: Vec::new(), references: Vec::new() };
        let pass = Pass { window: crate::windows::Window::whole(5), overlap: 0 };
        let sampling = Sampling::default();
        let rehearsal = Rehearsal { shot: &shot, edit: &keys, pass: &pass, sampling: &sampling };
        let (mut events, stop) = (|_: Event| (), || false);
        let mut progress = Progress::new(&mut events, &stop);
        let mut carrier = Carrier::new(&shot);
        let trial = rehearsal.trial(None, &mut carrier, &mut progress).unwrap();
        let dyed = carrier.carry_edit(&shot, &trial.keys, Followed::carry, &mut progress).unwrap();
        let off = |picture: &Frame| {
            let each = picture.data.iter().zip(&trial.truth[3].data).skip(3 * SIDE * 10).take(3 * SIDE * 20);
            each.map(|(a, b)| (a - b).abs()).sum::<f32>() / (3 * SIDE * 20) as f32
        };
        let (coat, dye) = (&trial.made.carried(3).unwrap().picture, &dyed[3].as_ref().unwrap().picture);
        assert!(off(coat) > 0.01 && off(dye) < 0.5 * off(coat), "coat {}, dye {}", off(coat), off(dye));
    }
}
