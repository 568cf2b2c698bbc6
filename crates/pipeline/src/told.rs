//! What a base is told beside the condition: words, and the picture the clip begins with.

use std::collections::BTreeMap;

use candle_core::Tensor;
use lora_edit_shot::Frame;
use lora_edit_shot::job::{FailureKind, Job};
use lora_edit_shot::package::{EditPackage, ShotPackage};

use crate::encoders::Encoders;
use crate::failure::JobError;
use crate::parts::Parts;
use crate::progress::Progress;

/// What a base is told beside the condition, as its encoders gave it, on the CPU and without padding.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// (1, tokens, text_dim); nothing of a model without a text encoder.
    pub text: Option<Tensor>,
    /// (1, tokens, text_dim); without it there is no guidance.
    pub negative: Option<Tensor>,
    /// (1, tokens, image_dim) for each picture that a clip begins with.
    pub images: BTreeMap<Picture, Tensor>,
}

/// A picture that the image branch is shown: what a clip begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Picture {
    /// The plate at a position of the shot.
    Plate(usize),
    /// The painted frame of this number.
    Painted(i32),
}

impl Picture {
    /// What it shows, in working code values; nothing where there is no such frame.
    fn frame<'a>(self, shot: &'a ShotPackage, edit: Option<&'a EditPackage>) -> Option<&'a Frame> {
        match self {
            Self::Plate(position) => shot.frames.get(position).map(|frame| &frame.source),
            Self::Painted(number) => edit?.at(number),
        }
    }
}

/// Settings that would change nothing, or teach something wrong, must not look as if they did what they say.
pub(crate) fn refuse_idle(job: &Job, parts: &Parts, takes_image: bool) -> Result<(), JobError> {
    let low = job.sampling.as_ref().and_then(|sampling| sampling.guidance_low);
    let reason = match () {
        () if low.is_some() && parts.low_noise.is_none() => "has no low-noise expert: leave out its guidance",
        () if takes_image && job.recipe.look_variants > 0 => {
            "sees the picture that a clip begins with beside it: recoloured variants would not fit"
        }
        () => return Ok(()),
    };
    Err(JobError::new(FailureKind::Usage, format!("model '{}' {reason}", job.base.name)))
}

/// Words that would change nothing must not look as if they did.
pub(crate) fn refuse_words(job: &Job, encoders: &Encoders) -> Result<(), JobError> {
    let sampling = job.sampling.as_ref();
    let has_words = !job.recipe.prefixed(&job.recipe.source_prompt).is_empty()
        || sampling.is_some_and(|sampling| {
            !sampling.prompt.is_empty() || !sampling.negative_prompt.is_empty() || sampling.is_guided()
        });
    if encoders.take_text() || !has_words {
        return Ok(());
    }
    let message = format!("model '{}' takes no text: leave out the prompts and guidance", job.base.name);
    Err(JobError::new(FailureKind::Usage, message))
}

/// Asks the encoders, and says when one must be read.
pub(crate) struct Teller<'a, 'b> {
    pub encoders: Encoders,
    pub takes_image: bool,
    pub shot: &'a ShotPackage,
    pub edit: Option<&'a EditPackage>,
    pub progress: &'a mut Progress<'b>,
}

impl Teller<'_, '_> {
    /// States of the words and of the pictures that clips begin with.
    pub fn tell(
        &mut self,
        prompt: &str,
        negative: Option<&str>,
        pictures: &[Picture],
    ) -> Result<Told, JobError> {
        let progress = &mut *self.progress;
        let mut text = |prompt: &str| self.encoders.text(prompt, &mut || progress.stage("read text"));
        let (text, negative) = (text(prompt)?, negative.map(text).transpose()?.flatten());
        let mut images = BTreeMap::new();
        for &picture in pictures.iter().filter(|_| self.takes_image) {
            let Some(frame) = picture.frame(self.shot, self.edit) else { continue };
            let states = self.encoders.image(frame, &mut || self.progress.stage("read picture"))?;
            images.extend(states.map(|states| (picture, states)));
        }
        Ok(Told { text, negative, images })
    }
}
