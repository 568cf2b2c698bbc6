//! What the model's answer is worth beside carried paint, tried out on the plate, whose every frame is known.

use lora_edit_motion::carry::Followed;
use lora_edit_shot::job::Sampling;
use lora_edit_shot::package::{EditPackage, ShotFrame, ShotPackage};
use lora_edit_shot::{Frame, FrameRange, mask};

use crate::base::Base;
use crate::carried::{Carrier, Drafts, in_its_light};
use crate::failure::JobError;
use crate::generate::{Made, Pictures, opening, pictures};
use crate::looks::Look;
use crate::progress::Progress;
use crate::trust::{Measured, Trust};
use crate::windows::Pass;

/// Looks of the plate that are tried. Two kinds of looks are drawn in turn.
const LOOKS: usize = 2;
/// Looks that a training learns are counted from 0: none of these is among them, so that learning by heart shows.
const UNSEEN: usize = 1 << 20;
/// Coverage from which on a pixel shows the surface alone.
const SOLID: f32 = 0.98;

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
        let worn = |frame: &ShotFrame| match look {
            Some(look) => look.apply(&frame.source, &frame.comp_mask),
            None => frame.source.clone(),
        };
        let plate = &self.keys_as(worn);
        let Some(carry) = carrier.carry_edit(self.shot, plate, Followed::carry_coat, progress) else {
            return Ok(None);
        };
        let lit = match look {
            Some(_) => carrier.carry_edit(self.shot, plate, Followed::carry, progress),
            None => Some(vec![None; carry.len()]),
        };
        let Some(lit) = lit else { return Ok(None) };
        let truth = |position: usize| {
            let frame = &self.shot.frames[position];
            match &lit[position] {
                Some(carried) => in_its_light(frame, carried, &worn(frame)),
                None => worn(frame),
            }
        };
        let made = Made::none(self.shot, Drafts { carry: carry.clone(), trust: Trust::default() });
        let (clip, picture) = (made.clip(plate, self.pass)?, opening(self.pass, self.shot, self.edit));
        let Pictures::Made(answer, _) = pictures(base, &clip, picture, self.sampling, progress)? else {
            return Ok(None);
        };
        let mut measured = Measured::default();
        for index in 0..answer.frames.len() {
            let position = self.pass.window.at(index);
            let frame = &self.shot.frames[position];
            if let (None, Some(carried), Some(change)) =
                (plate.at(frame.number), &carry[position], answer.change(index))
            {
                // At soft edges the picture is mixed with what is behind: nothing of the model's doing.
                let solid = mask::threshold(&frame.comp_mask, SOLID);
                measured.add(&truth(position), carried, &change, &solid);
            }
        }
        Ok(Some(measured))
    }

    /// The edit's keys, painted as `worn` says.
    fn keys_as(&self, worn: impl Fn(&ShotFrame) -> Frame) -> EditPackage {
        let place = |key: i32| self.shot.info.frames.position(key);
        let own = |key| place(key).map(|place| (key, worn(&self.shot.frames[place])));
        let (keys, frames): (Vec<i32>, Vec<Frame>) = self.edit.keys.iter().filter_map(own).unzip();
        EditPackage { keys: FrameRange::of(keys), frames, references: Vec::new() }
    }
}
