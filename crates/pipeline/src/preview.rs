//! What an adapter in training makes of its own shot so far: a strip of pictures to look at while it goes on.
//!
//! The first window of the training is generated from its own first frame, unedited, as it is learnt in stage 1. That
//! draws noise of its own and changes nothing, so the training goes on as if nobody had looked.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use lora_edit_adapt::{TrainInput, without_gradients};
use lora_edit_model::WanTransformer;
use lora_edit_model::flow::noise;
use lora_edit_model::guidance::Inputs;
use lora_edit_model::sample::{Denoise, Denoised};
use lora_edit_shot::Frame;
use lora_edit_shot::job::{Job, Sampling};
use lora_edit_shot::models;
use lora_edit_shot::package::ShotPackage;
use lora_edit_shot::sheet::ContactSheet;

use crate::adapter_files::AdapterFiles;
use crate::base::Base;
use crate::failure::JobError;
use crate::pixels::frames_from_video;
use crate::report::{display, evenly};
use crate::sampling::{sampler, schedule};
use crate::windows::{self, Window};

/// Frames on a strip, at most.
const SHOWN: usize = 5;
/// Columns of a picture on the strip, at most.
const COLUMNS: usize = 320;
/// Sampling steps, at most: more show finer detail, not whether motion and background are learnt.
const STEPS: usize = 8;
/// The part of the training's time that previews may take.
const SHARE: f64 = 0.1;

/// Makes the previews of one training.
pub(crate) struct Preview<'a> {
    shot: &'a ShotPackage,
    window: Window,
    /// The window as the training is given it.
    input: TrainInput,
    sampling: Sampling,
    budget: Budget,
}

impl<'a> Preview<'a> {
    /// Of a training that `job` asks for, whose first window is `input`. Nothing where previews are not wanted, and of a
    /// model with two experts, of which one alone makes no picture.
    pub fn of(shot: &'a ShotPackage, job: &Job, base: &Base, input: &TrainInput) -> Option<Self> {
        let recipe = &job.recipe;
        let windows = windows::training(shot.frames.len(), recipe.train_window, recipe.reversed);
        let window = windows.first().copied().filter(|_| job.previews && base.expert().is_none())?;
        let wanted = job.sampling.clone().unwrap_or_else(|| models::defaults(&job.base.name).sampling);
        let sampling = Sampling { steps: wanted.steps.min(STEPS), seed: recipe.seed, ..wanted };
        Some(Self { shot, window, input: input.clone(), sampling, budget: Budget::default() })
    }

    /// Whether the next one stays within what previews may take, after steps that took `trained` seconds in all.
    pub fn is_affordable(&self, steps: usize, trained: f64) -> bool {
        // A pass forward is at most half of a training step; what decoding takes is known after the first.
        let guess = 0.5 * self.sampling.steps as f64 * trained / steps.max(1) as f64;
        self.budget.allows(guess, trained)
    }

    /// Makes one, after `step`, and writes it; its path within the store. Nothing when it `is_stopped` meanwhile.
    ///
    /// # Errors
    /// When the arithmetic fails or the file cannot be written.
    pub fn write(
        &mut self,
        base: &mut Base,
        files: &AdapterFiles,
        step: usize,
        is_stopped: impl Fn() -> bool,
    ) -> Result<Option<PathBuf>, JobError> {
        let began = Instant::now();
        let frames = self.frames(base, is_stopped);
        let written = frames.and_then(|frames| {
            frames.map(|frames| files.write_preview(&self.strip(&frames, step))).transpose()
        });
        let seconds = began.elapsed().as_secs_f64();
        log::info!("preview after step {step} in {seconds:.1} s");
        // One that failed took its time too.
        self.budget.spend(seconds);
        written
    }

    fn frames(&self, base: &mut Base, is_stopped: impl Fn() -> bool) -> Result<Option<Vec<Frame>>, JobError> {
        let sampled = without_gradients(base.transformer_mut()?, |model| self.sampled(model, is_stopped))?;
        let Denoised::Finished(latents) = sampled else { return Ok(None) };
        Ok(Some(frames_from_video(&base.decode(&latents)?)?))
    }

    fn sampled(
        &self,
        model: &WanTransformer,
        is_stopped: impl Fn() -> bool,
    ) -> candle_core::Result<Denoised> {
        let TrainInput { latents, condition, text, image, .. } = &self.input;
        let start = noise(self.sampling.seed, latents.shape().clone())?.to_device(latents.device())?;
        let inputs = Inputs {
            condition: Some(condition),
            known_frames: 0,
            text,
            negative: None,
            image: image.as_ref(),
        };
        let schedule = &schedule(&self.sampling);
        let way = Denoise { sampler: sampler(self.sampling.sampler), schedule, known: None };
        let on_step = |_| if is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        way.run(start, |x, t| inputs.velocity(model, x, t, 1.0, None), on_step)
    }

    fn strip(&self, generated: &[Frame], step: usize) -> ContactSheet {
        let space = self.shot.info.working_space;
        let shown = evenly(self.window.frames(), SHOWN);
        let plates: Vec<_> = shown.iter().map(|&index| &self.shot.frames[self.window.at(index)]).collect();
        let [width, height] = self.shot.info.fit.working_size.map(|side| side as usize);
        let columns = width.min(COLUMNS);
        ContactSheet::new("LoRA-Edit training preview")
            .caption(&format!("the shot unedited, after step {step}, {} sampling steps", self.sampling.steps))
            .cell_size(columns, height * columns / width.max(1))
            .headings(plates.iter().map(|plate| plate.number))
            .row("source", plates.iter().map(|plate| display(&plate.source, space)))
            .row("generated", shown.iter().map(|&index| display(&generated[index], space)))
    }
}

/// What previews have taken, in seconds.
#[derive(Debug, Default)]
struct Budget {
    spent: f64,
    last: Option<f64>,
}

impl Budget {
    /// Whether another one fits beside a training of so many seconds so far; the first takes what is guessed.
    fn allows(&self, guess: f64, trained: f64) -> bool {
        self.spent + self.last.unwrap_or(guess) <= SHARE * trained
    }

    fn spend(&mut self, seconds: f64) {
        self.spent += seconds;
        self.last = Some(seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_take_a_tenth_of_the_training_at_most() {
        let mut budget = Budget::default();
        assert!(!budget.allows(4.0, 39.0) && budget.allows(4.0, 41.0));
        // It took longer than was guessed: the next one waits for it too.
        budget.spend(6.0);
        assert!(!budget.allows(4.0, 119.0) && budget.allows(4.0, 121.0));
        budget.spend(2.0);
        assert!(!budget.allows(4.0, 99.0) && budget.allows(4.0, 101.0));
    }
}
