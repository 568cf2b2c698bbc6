//! Generation: the edited first frame and the greyed source in, the shot's edited frames out.

use lora_edit_model::sample::Denoised;
use lora_edit_shot::Frame;
use lora_edit_shot::job::Sampling;

use crate::base::Base;
use crate::clip::Clip;
use crate::failure::JobError;
use crate::pixels::frames_from_video;
use crate::progress::Progress;
use crate::sampling::sampled;

/// What came of a generation.
#[derive(Debug)]
pub enum Generation {
    /// The shot's frames in working code values, without the padding; seconds spent sampling and decoding.
    Finished {
        /// One per frame of the shot.
        frames: Vec<Frame>,
        /// Wall time.
        seconds: f64,
    },
    /// Stopped on request after this step; nothing is kept.
    Stopped(usize),
}

/// Generates the clip that begins with `edited` (working code values), from pure noise.
///
/// # Errors
/// When the arithmetic fails.
pub fn generate(
    base: &mut Base,
    clip: &Clip,
    edited: &Frame,
    sampling: &Sampling,
    progress: &mut Progress<'_>,
) -> Result<Generation, JobError> {
    progress.stage("encode");
    let condition = base.condition(edited, clip)?;
    progress.stage("sample");
    let latents = match sampled(base, &condition, sampling, progress)? {
        Denoised::Finished(latents) => latents,
        Denoised::Stopped(step) => return Ok(Generation::Stopped(step)),
    };
    let sampled_in = progress.seconds();
    progress.stage("decode");
    let mut frames = frames_from_video(&base.decode(&latents)?)?;
    frames.truncate(clip.kept);
    Ok(Generation::Finished { frames, seconds: sampled_in + progress.seconds() })
}
