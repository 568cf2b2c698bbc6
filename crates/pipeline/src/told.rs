//! What a base is told beside the condition: words, and the picture the clip begins with.

use candle_core::Tensor;
use lora_edit_shot::Frame;
use lora_edit_shot::job::{FailureKind, Job};

use crate::encoders::Encoders;
use crate::failure::JobError;
use crate::progress::Progress;

/// What a base is told beside the condition, as its encoders gave it, on the CPU and without padding.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// (1, tokens, text_dim); nothing of a model without a text encoder.
    pub text: Option<Tensor>,
    /// (1, tokens, text_dim); without it there is no guidance.
    pub negative: Option<Tensor>,
    /// (1, tokens, image_dim)
    pub image: Option<Tensor>,
}

/// Words that would change nothing must not look as if they did.
pub(crate) fn refuse_words(job: &Job, encoders: &Encoders) -> Result<(), JobError> {
    let sampling = job.sampling.as_ref();
    let has_words = !job.recipe.source_prompt.is_empty()
        || sampling.is_some_and(|sampling| !sampling.prompt.is_empty() || sampling.is_guided());
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
    pub progress: &'a mut Progress<'b>,
}

impl Teller<'_, '_> {
    /// States of the words and of the frame that the clip begins with.
    pub fn tell(&mut self, prompt: &str, negative: Option<&str>, picture: &Frame) -> Result<Told, JobError> {
        let progress = &mut *self.progress;
        let mut text = |prompt: &str| self.encoders.text(prompt, &mut || progress.stage("read text"));
        let (text, negative) = (text(prompt)?, negative.map(text).transpose()?.flatten());
        let image = match self.takes_image {
            true => self.encoders.image(picture, &mut || self.progress.stage("read picture"))?,
            false => None,
        };
        Ok(Told { text, negative, image })
    }
}
