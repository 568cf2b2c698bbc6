//! Generation: painted frames and the greyed source in, the shot's edited frames out, pass by pass.

use lora_edit_model::sample::Denoised;
use lora_edit_shot::job::Sampling;
use lora_edit_shot::metrics::SquaredError;
use lora_edit_shot::package::{EditPackage, ShotPackage};
use lora_edit_shot::{Frame, mask};

use crate::base::Base;
use crate::clip::Clip;
use crate::failure::JobError;
use crate::pixels::frames_from_video;
use crate::progress::Progress;
use crate::report::composite;
use crate::sampling::sampled;
use crate::windows::{self, Pass};

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
    pub frames: Vec<Frame>,
    /// The passes, in order.
    pub passes: Vec<MadePass>,
    /// Wall time of sampling and decoding.
    pub seconds: f64,
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

/// Generates all frames of `shot` from the painted ones of `edit`, each pass from pure noise.
///
/// # Errors
/// When no frame of the shot is painted, or the arithmetic fails.
pub fn generate(
    base: &Base,
    shot: &ShotPackage,
    edit: &EditPackage,
    sampling: &Sampling,
    progress: &mut Progress<'_>,
) -> Result<Generation, JobError> {
    let positions: Vec<usize> =
        edit.keys.iter().filter_map(|key| shot.info.frames.position(key)).collect();
    let passes = windows::generation(shot.frames.len(), &positions, sampling.window);
    in_passes(shot, edit, &passes, progress, |clip, progress| pictures(base, clip, sampling, progress))
}

/// What one pass gives: its frames without the padding and the seconds they took, or the step it was stopped at.
pub(crate) enum Pictures {
    Made(Vec<Frame>, f64),
    Stopped(usize),
}

fn pictures(
    base: &Base,
    clip: &Clip,
    sampling: &Sampling,
    progress: &mut Progress<'_>,
) -> Result<Pictures, JobError> {
    progress.stage("encode");
    let condition = base.condition(clip)?;
    progress.stage("sample");
    let latents = match sampled(base, &condition, sampling, progress)? {
        Denoised::Finished(latents) => latents,
        Denoised::Stopped(step) => return Ok(Pictures::Stopped(step)),
    };
    let sampled_in = progress.seconds();
    progress.stage("decode");
    let mut frames = frames_from_video(&base.decode(&latents)?)?;
    frames.truncate(clip.kept);
    Ok(Pictures::Made(frames, sampled_in + progress.seconds()))
}

/// Makes one pass after the other with `make` and lays them together.
pub(crate) fn in_passes(
    shot: &ShotPackage,
    edit: &EditPackage,
    passes: &[Pass],
    progress: &mut Progress<'_>,
    mut make: impl FnMut(&Clip, &mut Progress<'_>) -> Result<Pictures, JobError>,
) -> Result<Generation, JobError> {
    let mut made = Made { shot, frames: vec![None; shot.frames.len()] };
    let (mut done, mut seconds) = (Vec::with_capacity(passes.len()), 0.0);
    for (index, pass) in passes.iter().enumerate() {
        progress.part(index, passes.len());
        match make(&made.clip(edit, pass)?, progress)? {
            Pictures::Stopped(step) => return Ok(Generation::Stopped(step)),
            Pictures::Made(frames, taken) => {
                let disagreement = made.disagreement(pass, &frames)?;
                made.lay(pass, frames);
                done.push(MadePass { pass: *pass, disagreement });
                seconds += taken;
            }
        }
    }
    progress.part(0, 1);
    let frames = made.frames.into_iter().collect::<Option<Vec<_>>>();
    let frames = frames.ok_or_else(|| no_key(shot, edit))?;
    Ok(Generation::Finished(Generated { frames, passes: done, seconds }))
}

fn no_key(shot: &ShotPackage, edit: &EditPackage) -> JobError {
    let message = format!("key frames {}: none is among the frames {}", edit.keys, shot.info.frames);
    JobError::new(lora_edit_shot::job::FailureKind::Usage, message)
}

/// The frames made so far.
struct Made<'a> {
    shot: &'a ShotPackage,
    frames: Vec<Option<Frame>>,
}

impl Made<'_> {
    /// What the model is shown for a pass: painted frames wherever it meets them, and at its start what the pass
    /// before made, as it will be seen: over the plate.
    fn clip(&self, edit: &EditPackage, pass: &Pass) -> Result<Clip, JobError> {
        let mut clip = Clip::of(self.shot, pass.window);
        for (index, position) in pass.window.padded().into_iter().enumerate() {
            let frame = &self.shot.frames[position];
            let made = self.frames[position].as_ref().filter(|_| index < pass.lead());
            clip.held[index] = match (edit.at(frame.number), made) {
                (Some(painted), _) => Some(painted.clone()),
                (None, Some(made)) => Some(composite(frame, made)?),
                (None, None) => None,
            };
        }
        Ok(clip)
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
