//! Generation: painted frames and the greyed source in, the shot's edited frames out, pass by pass.

use candle_core::Tensor;
use lora_edit_model::sample::Denoised;
use lora_edit_motion::carry::Carried;
use lora_edit_shot::composite::Layer;
use lora_edit_shot::job::{Sampling, Shown};
use lora_edit_shot::metrics::SquaredError;
use lora_edit_shot::package::{EditPackage, ShotPackage};
use lora_edit_shot::{Frame, mask};

use crate::base::Base;
use crate::carried::{self, Carrier, Drafts};
use crate::clip::Clip;
use crate::failure::JobError;
use crate::parts::MASK_CHANNELS;
use crate::pixels::frames_from_video;
use crate::progress::Progress;
use crate::rehearsal::Rehearsal;
use crate::report::composite;
use crate::sampling::sampled;
use crate::told::Picture;
use crate::trust::Trust;
use crate::windows::{self, Pass, Window};

/// What came of a generation.
#[derive(Debug)]
pub enum Generation {
    /// All frames are made.
    Finished(Generated),
    /// Stopped on request after this step; nothing is kept.
    Stopped(usize),
}

/// A shot's generated frames, and how they were made.
#[derive(Debug, Clone)]
pub struct Generated {
    /// One per frame of the shot, in working code values.
    pub frames: Vec<Layer>,
    /// The passes, in order.
    pub passes: Vec<MadePass>,
    /// Wall time of sampling and decoding.
    pub seconds: f64,
    /// Part of the mask in which carried paint is known, and how far the model counted beside it; nothing where none was
    /// carried.
    pub carried: Option<(f64, Trust)>,
}

/// A pass that was made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MadePass {
    /// Its frames.
    pub pass: Pass,
    /// Root mean square difference, inside the mask, between what this pass and those before it made of the frames
    /// they share; nothing where it shares none.
    pub disagreement: Option<f64>,
}

/// Generates all frames of `shot` from the painted ones of `edit`, each pass from pure noise. With `carrier`, and if the
/// sampling says so, only what the painted frames carried along the surface do not show.
///
/// # Errors
/// When no frame of the shot is painted, or the arithmetic fails.
pub fn generate(
    base: &mut Base,
    shot: &ShotPackage,
    edit: &EditPackage,
    sampling: &Sampling,
    carrier: Option<&mut Carrier>,
    progress: &mut Progress<'_>,
) -> Result<Generation, JobError> {
    let positions: Vec<usize> = edit.keys.iter().filter_map(|key| shot.info.frames.position(key)).collect();
    let passes = windows::generation(shot.frames.len(), &positions, sampling.window);
    let drafts = match (carrier.filter(|_| sampling.carry), passes.first()) {
        (Some(carrier), Some(pass)) => {
            Rehearsal { shot, edit, pass, sampling }.drafts(base, carrier, progress)?
        }
        _ => Some(Drafts::none(shot.frames.len())),
    };
    let Some(drafts) = drafts else { return Ok(Generation::Stopped(0)) };
    let mut opening = passes.iter().map(|pass| opening(pass, shot, edit));
    in_passes(shot, edit, &passes, drafts, progress, |clip, progress| {
        let picture = opening.next().ok_or_else(|| no_key(shot, edit))?;
        pictures(base, clip, picture, sampling, progress)
    })
}

/// What the image branch is shown for a pass: the painted frame that it begins with, or else the last one on the way
/// there. What was made of it since is no better picture of the look.
pub(crate) fn opening(pass: &Pass, shot: &ShotPackage, edit: &EditPackage) -> Picture {
    let place = |key: &i32| shot.info.frames.position(*key);
    let Window { first, last } = pass.window;
    let key = match first <= last {
        true => edit.keys.iter().filter(|key| place(key).is_some_and(|key| key <= first)).max(),
        false => edit.keys.iter().filter(|key| place(key).is_some_and(|key| key >= first)).min(),
    };
    Picture::Painted(key.or_else(|| edit.keys.first()).unwrap_or_default())
}

/// What one pass gives and the seconds it took, or the step it was stopped at.
pub(crate) enum Pictures {
    Made(Answer, f64),
    Stopped(usize),
}

/// What the model made of a clip: its frames, without the padding.
pub(crate) struct Answer {
    pub frames: Vec<Frame>,
    /// The clip as it was shown, through the VAE and back, where paint was carried: what the model changed is the difference. What
    /// the VAE alone costs is not to be taken for an answer.
    pub shown: Vec<Frame>,
}

impl Answer {
    /// What the model changed in a frame; nothing where no paint was carried.
    pub fn change(&self, index: usize) -> Option<Frame> {
        let (mut change, shown) = (self.frames.get(index)?.clone(), self.shown.get(index)?);
        change.data.iter_mut().zip(&shown.data).for_each(|(v, shown)| *v -= shown);
        Some(change)
    }
}

pub(crate) fn pictures(
    base: &mut Base,
    clip: &Clip,
    picture: Picture,
    sampling: &Sampling,
    progress: &mut Progress<'_>,
) -> Result<Pictures, JobError> {
    progress.stage("encode");
    let condition = match sampling.shown {
        // Most of the time there is nothing to leave out, and clips are large.
        Shown::Whole => base.condition(clip)?,
        shown => base.condition(&clip.clone().showing(shown))?,
    };
    progress.stage("sample");
    let latents = match sampled(base, (&condition, picture), sampling, progress)? {
        Denoised::Finished(latents) => latents,
        Denoised::Stopped(step) => return Ok(Pictures::Stopped(step)),
    };
    let sampled_in = progress.seconds();
    progress.stage("decode");
    let decoded = |latents: &Tensor| -> Result<Vec<Frame>, JobError> {
        let mut frames = frames_from_video(&base.decode(latents)?)?;
        frames.truncate(clip.kept);
        Ok(frames)
    };
    let shown = match clip.drafted.contains(&true) {
        true => decoded(&condition.narrow(1, MASK_CHANNELS, latents.dim(1)?)?)?,
        false => Vec::new(),
    };
    let answer = Answer { frames: decoded(&latents)?, shown };
    Ok(Pictures::Made(answer, sampled_in + progress.seconds()))
}

/// Makes one pass after the other with `make` and lays them together.
pub(crate) fn in_passes(
    shot: &ShotPackage,
    edit: &EditPackage,
    passes: &[Pass],
    drafts: Drafts,
    progress: &mut Progress<'_>,
    mut make: impl FnMut(&Clip, &mut Progress<'_>) -> Result<Pictures, JobError>,
) -> Result<Generation, JobError> {
    let mut made = Made::none(shot, drafts);
    let (mut done, mut seconds) = (Vec::with_capacity(passes.len()), 0.0);
    for (index, pass) in passes.iter().enumerate() {
        progress.part(index, passes.len());
        match make(&made.clip(edit, pass)?, progress)? {
            Pictures::Stopped(step) => return Ok(Generation::Stopped(step)),
            Pictures::Made(answer, taken) => {
                let frames = made.merged(pass, answer);
                let disagreement = made.disagreement(pass, &frames)?;
                made.lay(pass, frames);
                done.push(MadePass { pass: *pass, disagreement });
                seconds += taken;
            }
        }
    }
    progress.part(0, 1);
    let Drafts { carry, trust } = &made.drafts;
    let carried = carry.iter().any(Option::is_some).then(|| (carried::known_part(shot, carry), *trust));
    let surface = |index: usize| carry.get(index)?.as_ref().map(|carried| carried.surface.clone());
    let layer = |(index, picture): (usize, Option<Frame>)| {
        picture.map(|picture| Layer { picture, surface: surface(index) })
    };
    let frames = made.frames.into_iter().enumerate().map(layer).collect::<Option<Vec<_>>>();
    let frames = frames.ok_or_else(|| no_key(shot, edit))?;
    Ok(Generation::Finished(Generated { frames, passes: done, seconds, carried }))
}

fn no_key(shot: &ShotPackage, edit: &EditPackage) -> JobError {
    let message = format!("key frames {}: none is among the frames {}", edit.keys, shot.info.frames);
    JobError::new(lora_edit_shot::job::FailureKind::Usage, message)
}

/// The frames made so far.
pub(crate) struct Made<'a> {
    shot: &'a ShotPackage,
    drafts: Drafts,
    frames: Vec<Option<Frame>>,
}

impl<'a> Made<'a> {
    /// None so far.
    pub fn none(shot: &'a ShotPackage, drafts: Drafts) -> Self {
        Self { shot, drafts, frames: vec![None; shot.frames.len()] }
    }

    /// What is carried to a frame.
    pub fn carried(&self, position: usize) -> Option<&Carried> {
        self.drafts.carry[position].as_ref()
    }

    /// What the model is shown for a pass: painted frames wherever it meets them, and at its start what the pass
    /// before made, as it will be seen: over the plate.
    pub fn clip(&self, edit: &EditPackage, pass: &Pass) -> Result<Clip, JobError> {
        let mut clip = Clip::of(self.shot, pass.window);
        for (index, position) in pass.window.padded().into_iter().enumerate() {
            let frame = &self.shot.frames[position];
            let made = self.frames[position].as_ref().filter(|_| index < pass.lead());
            clip.held[index] = match (edit.at(frame.number), made) {
                (Some(painted), _) => Some(painted.clone()),
                (None, Some(made)) => Some(composite(frame, &made.clone().into())?),
                (None, None) => None,
            };
            if let (None, Some(carried)) = (&clip.held[index], self.carried(position)) {
                carried::show(&mut clip, index, frame, carried)?;
            }
        }
        Ok(clip)
    }

    fn merged(&self, pass: &Pass, answer: Answer) -> Vec<Frame> {
        let changed = |index: usize| {
            let carried = self.carried(pass.window.at(index))?;
            Some(self.drafts.trust.merged(&answer.change(index)?, carried))
        };
        let merged: Vec<Option<Frame>> = (0..answer.frames.len()).map(changed).collect();
        answer.frames.into_iter().zip(merged).map(|(frame, merged)| merged.unwrap_or(frame)).collect()
    }

    fn disagreement(&self, pass: &Pass, frames: &[Frame]) -> Result<Option<f64>, JobError> {
        let mut error = SquaredError::default();
        for (index, frame) in frames.iter().enumerate().take(pass.overlap) {
            let position = pass.window.at(index);
            let inside = mask::threshold(&self.shot.frames[position].comp_mask, 0.5);
            if let Some(before) = &self.frames[position] {
                error = error.joined(SquaredError::of(before, frame, Some(&inside))?);
            }
        }
        Ok((error.values > 0).then(|| error.mse().sqrt()))
    }

    fn lay(&mut self, pass: &Pass, frames: Vec<Frame>) {
        for (index, frame) in frames.into_iter().enumerate() {
            let seen = &mut self.frames[pass.window.at(index)];
            *seen = Some(match seen.take() {
                Some(before) => faded(before, &frame, pass.weight(index)),
                None => frame,
            });
        }
    }
}

/// `before`, faded into `after` by `weight`.
fn faded(mut before: Frame, after: &Frame, weight: f32) -> Frame {
    before.data.iter_mut().zip(&after.data).for_each(|(b, a)| *b += weight * (a - *b));
    before
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::generation;
    use lora_edit_motion::plane::Plane;
    use lora_edit_shot::job::Event;
    use lora_edit_shot::package::{ShotFrame, ShotInfo};
    use lora_edit_shot::{ColourSpace, Fit, FrameRange, Rect, WorkingSpace};

    const PAINTED: f32 = 0.9;

    /// Frame 1000 + n of the shot is of level n/1000, its mask is whole.
    fn shot(frames: i32) -> ShotPackage {
        let fit = Fit { source_size: [4, 4], crop: Rect::new(0, 0, 4, 4), working_size: [4, 4] };
        let frame = |number: i32| ShotFrame {
            number,
            source: Frame::filled(4, 4, &[(number - 1000) as f32 / 1000.0; 3]),
            comp_mask: Frame::filled(4, 4, &[1.0]),
            generation_mask: Frame::filled(4, 4, &[1.0]),
        };
        let (input_space, working_space) = (ColourSpace::Srgb, WorkingSpace::Srgb);
        let info =
            ShotInfo { fit, frames: FrameRange::span(1001, 1000 + frames), input_space, working_space };
        ShotPackage { info, frames: (1001..=1000 + frames).map(frame).collect() }
    }

    fn edit(keys: &[i32]) -> EditPackage {
        let frames = vec![Frame::filled(4, 4, &[PAINTED; 3]); keys.len()];
        EditPackage { keys: FrameRange::of(keys.iter().copied()), frames, references: Vec::new() }
    }

    /// Generates with `make` in place of the networks.
    fn generated(
        shot: &ShotPackage,
        edit: &EditPackage,
        most: usize,
        mut make: impl FnMut(usize, &Clip) -> Vec<Frame>,
    ) -> Generated {
        let keys: Vec<usize> = edit.keys.iter().filter_map(|key| shot.info.frames.position(key)).collect();
        let (mut pass, stop, mut events) = (0, || false, |_| ());
        let mut progress = Progress::new(&mut events, &stop);
        let make = |clip: &Clip, _: &mut Progress<'_>| {
            pass += 1;
            Ok(Pictures::Made(Answer { frames: make(pass - 1, clip), shown: Vec::new() }, 1.0))
        };
        let passes = generation(shot.frames.len(), &keys, most);
        match in_passes(shot, edit, &passes, Drafts::none(shot.frames.len()), &mut progress, make).unwrap() {
            Generation::Finished(generated) => generated,
            Generation::Stopped(_) => panic!("stopped"),
        }
    }

    fn levels(frames: &[Layer]) -> Vec<f32> {
        frames.iter().map(|frame| frame.picture.data[0]).collect()
    }

    /// A model that gives back what it is handed: the plate, whichever way the windows run, and keys as painted.
    #[test]
    fn every_frame_comes_back_at_its_own_place() {
        for (frames, keys) in
            [(9, vec![1001]), (9, vec![1009]), (70, vec![1040]), (70, vec![1005, 1030, 1066])]
        {
            let (shot, edit) = (shot(frames), edit(&keys));
            let made = generated(&shot, &edit, 33, |_, clip| {
                let shown =
                    clip.held.iter().zip(&clip.frames).map(|(held, own)| held.as_ref().unwrap_or(own));
                shown.take(clip.kept).cloned().collect()
            });
            let expected = |number: i32| match keys.contains(&number) {
                true => PAINTED,
                false => (number - 1000) as f32 / 1000.0,
            };
            let expected: Vec<f32> = (1001..=1000 + frames).map(expected).collect();
            let far = levels(&made.frames).iter().zip(&expected).any(|(a, b)| (a - b).abs() > 1e-6);
            assert!(!far, "{frames} frames, keys {keys:?}: {:?}", levels(&made.frames));
            assert!(made.passes.iter().all(|pass| pass.disagreement.is_none_or(|d| d < 1e-6)));
        }
    }

    #[test]
    fn a_pass_is_shown_the_keys_it_meets_and_what_the_pass_before_made() {
        let (shot, edit) = (shot(60), edit(&[1001, 1004]));
        let mut held = Vec::new();
        generated(&shot, &edit, 33, |pass, clip| {
            held.push(
                clip.held.iter().map(|held| held.as_ref().map(|frame| frame.data[0])).collect::<Vec<_>>(),
            );
            vec![Frame::filled(4, 4, &[0.5 + 0.1 * pass as f32; 3]); clip.kept]
        });
        let seen = |pass: usize| held[pass].iter().flatten().copied().collect::<Vec<_>>();
        assert_eq!(seen(0), [PAINTED, PAINTED], "both keys and nothing else");
        assert_eq!((held[0][0], held[0][3]), (Some(PAINTED), Some(PAINTED)));
        assert_eq!(held[1][..5], [Some(0.5); 5], "one frame and a whole latent frame of the pass before");
        assert!(held[1][5..].iter().all(Option::is_none));
    }

    #[test]
    fn passes_fade_into_each_other_and_their_disagreement_is_told() {
        let (shot, edit) = (shot(60), edit(&[1001]));
        let made = generated(&shot, &edit, 33, |pass, clip| {
            vec![Frame::filled(4, 4, &[0.2 + 0.4 * pass as f32; 3]); clip.kept]
        });
        let pass = made.passes[1];
        assert!((pass.disagreement.unwrap() - 0.4).abs() < 1e-6, "{pass:?}");
        let levels = levels(&made.frames);
        let fade = &levels[pass.pass.window.at(0)..=pass.pass.window.at(pass.pass.overlap)];
        assert_eq!((fade[0], *fade.last().unwrap()), (0.2, 0.6));
        assert!(fade.windows(2).all(|pair| pair[1] > pair[0]), "{fade:?}");
        assert_eq!(made.seconds, 2.0);
    }

    /// What the VAE alone does to the clip is no answer: the paint keeps its detail, and takes what the model changed.
    #[test]
    fn carried_paint_takes_what_the_model_changed_and_not_what_the_vae_costs() {
        let (shot, edit) = (shot(5), edit(&[1001]));
        let carried = Carried {
            picture: Frame::filled(4, 4, &[0.8; 3]),
            surface: Frame::filled(4, 4, &[0.1, 0.1, 0.1, 0.75]),
            known: Plane::filled(4, 4, 0.0),
        };
        let drafts = Drafts { carry: vec![Some(carried); 5], trust: Trust { known: 0.0, unknown: 0.5 } };
        let (mut events, stop) = (|_: Event| (), || false);
        let mut progress = Progress::new(&mut events, &stop);
        let level = |level: f32| vec![Frame::filled(4, 4, &[level; 3]); 5];
        let make = |_: &Clip, _: &mut Progress<'_>| {
            Ok(Pictures::Made(Answer { frames: level(0.7), shown: level(0.5) }, 1.0))
        };
        let made = in_passes(&shot, &edit, &generation(5, &[0], 33), drafts, &mut progress, make).unwrap();
        let Generation::Finished(made) = made else { panic!("stopped") };
        assert!(levels(&made.frames).iter().all(|level| (level - 0.9).abs() < 1e-6), "{made:?}");
        assert_eq!(made.frames[2].surface.as_ref().unwrap().pixel(1, 1), [0.1, 0.1, 0.1, 0.75]);
    }

    #[test]
    fn an_edit_of_no_frame_of_the_shot_is_refused() {
        let (shot, edit) = (shot(5), edit(&[2000]));
        let (stop, mut events) = (|| false, |_| ());
        let mut progress = Progress::new(&mut events, &stop);
        let make = |_: &Clip, _: &mut Progress<'_>| Ok(Pictures::Stopped(0));
        let error = in_passes(&shot, &edit, &[], Drafts::none(0), &mut progress, make).unwrap_err();
        assert!(error.message.contains("2000") && error.message.contains("1001-1005"), "{error}");
    }
}
