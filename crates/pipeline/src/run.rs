//! The steps of a training, and what is written on the way: checkpoints, the best adapter so far, the loss curve.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use lora_edit_adapt::{
    AdaptError, HeldBack, Precision, StepReport, TrainInput, TrainOutcome, TrainState, checkpoint,
    held_back_loss, train,
};
use lora_edit_shot::job::FailureKind;

use crate::base::Base;
use crate::best::{best, is_measured};
use crate::failure::JobError;
use crate::pace::Pace;
use crate::preview::Preview;
use crate::progress::Progress;
use crate::training::Trainee;

impl Trainee<'_> {
    /// Goes on to the last step, or until it is asked to stop, which leaves a checkpoint. On the way it writes checkpoints
    /// as the job says, each with a picture by `preview` where that costs little, and measures the held-back loss on what
    /// the first step learns from.
    ///
    /// A checkpoint that cannot be written on the way (the disk is full) is tried again later: the one before it stays.
    ///
    /// # Errors
    /// When the arithmetic fails, or the checkpoint of a stop cannot be written.
    pub fn run(
        &self,
        base: &mut Base,
        state: &mut TrainState,
        sample: impl Fn(usize) -> TrainInput,
        preview: Option<Preview<'_>>,
        progress: &mut Progress<'_>,
    ) -> Result<TrainOutcome, JobError> {
        let first = state.steps_done();
        let saved = Some(first).filter(|&step| step > 0);
        let pace = Pace::new(self.job.checkpoint_every);
        Run { trainee: *self, progress, pace, preview, saved, first, seconds: 0.0 }.run(base, state, &sample)
    }
}

struct Run<'a, 'p> {
    trainee: Trainee<'a>,
    progress: &'a mut Progress<'p>,
    pace: Pace,
    preview: Option<Preview<'a>>,
    /// The step of the checkpoint on disk.
    saved: Option<usize>,
    /// Where this run began.
    first: usize,
    /// Spent in training steps.
    seconds: f64,
}

impl Run<'_, '_> {
    fn run(
        &mut self,
        base: &mut Base,
        state: &mut TrainState,
        sample: &impl Fn(usize) -> TrainInput,
    ) -> Result<TrainOutcome, JobError> {
        let of = self.trainee.recipe.steps;
        // A stop may have come between a step and its measurement.
        self.measure(base, state, sample)?;
        while state.steps_done() < of {
            if self.segment(base, state, sample)? {
                self.save(state).map_err(|error| self.unsaved(state, &error))?;
                return Ok(self.outcome(state, false));
            }
            self.measure(base, state, sample)?;
            if self.pace.is_due(state.steps_done()) {
                match self.save(state) {
                    Ok(()) => self.look(base, state.steps_done()),
                    Err(error) => log::warn!("{}", self.unsaved(state, &error)),
                }
            }
        }
        Ok(self.outcome(state, true))
    }

    /// Trains to the next measurement or checkpoint; whether somebody asked to stop before the last step.
    fn segment(
        &mut self,
        base: &Base,
        state: &mut TrainState,
        sample: &impl Fn(usize) -> TrainInput,
    ) -> Result<bool, JobError> {
        let (began, entered, mut stop) = (Instant::now(), state.steps_done(), false);
        let (pace, progress, before) = (&self.pace, &mut *self.progress, self.seconds);
        let on_step = |report: &StepReport<'_>| {
            let &StepReport { step, of, loss, .. } = report;
            let done = (step - self.first) as f64;
            let left = (before + began.elapsed().as_secs_f64()) / done * (of - step) as f64;
            stop = progress.step(step, of, Some(loss), left) && step < of;
            let pause = stop || is_measured(step, of) || pace.is_due(step);
            if pause { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let outcome = train(
            base.transformer()?,
            self.trainee.adapter,
            self.trainee.recipe,
            state,
            |step| Ok(sample(step)),
            on_step,
        );
        match outcome {
            Ok(outcome) => self.seconds += outcome.seconds,
            Err(error) => return Err(self.failed(state, error)),
        }
        debug_assert!(state.steps_done() > entered, "a segment of no step");
        Ok(stop)
    }

    /// Measures the held-back loss where it is due and not known yet; the best adapter so far is put beside the
    /// checkpoint.
    fn measure(
        &mut self,
        base: &mut Base,
        state: &mut TrainState,
        sample: &impl Fn(usize) -> TrainInput,
    ) -> Result<(), JobError> {
        let step = state.steps_done();
        let known = state.held_back.last().is_some_and(|last| last.step >= step);
        if known || !is_measured(step, self.trainee.recipe.steps) {
            return Ok(());
        }
        let began = Instant::now();
        let loss = held_back_loss(base.transformer_mut()?, &sample(0), self.trainee.recipe)?;
        if !loss.is_finite() {
            return Err(self.failed(state, AdaptError::NotFinite { step, what: "held-back loss" }));
        }
        let seconds = began.elapsed().as_secs_f64();
        log::info!("held-back loss {loss:.4} after step {step}, measured in {seconds:.1} s");
        state.held_back.push(HeldBack { step, loss });
        if best(&state.held_back).is_some_and(|best| best.step == step)
            && let Err(error) = self.save_best(state)
        {
            log::warn!("the best adapter so far, of step {step}, is not kept: {error}");
        }
        Ok(())
    }

    fn save_best(&self, state: &TrainState) -> Result<(), JobError> {
        let path = self.trainee.files.best();
        make_folder_of(&path)?;
        let provenance = self.trainee.files.provenance(self.trainee.job, state, state.losses.len())?;
        Ok(self.trainee.adapter.save(&path, Precision::F32, &provenance)?)
    }

    /// Writes the checkpoint, and the curve of the losses so far for whoever looks on.
    fn save(&mut self, state: &TrainState) -> Result<(), JobError> {
        let path = self.trainee.files.checkpoint();
        self.pace.write(|| {
            make_folder_of(&path)?;
            checkpoint::save(&path, self.trainee.adapter, self.trainee.recipe, state).map_err(JobError::from)
        })?;
        self.saved = Some(state.steps_done());
        self.tell_losses(state);
        Ok(())
    }

    fn tell_losses(&mut self, state: &TrainState) {
        match self.trainee.files.write_losses(&state.losses, &state.held_back) {
            Ok(picture) => self.progress.preview(picture),
            Err(error) => log::warn!("the loss curve is not written: {error}"),
        }
    }

    /// Shows what the adapter makes of the shot so far. Nothing that fails here costs the training more than a warning.
    fn look(&mut self, base: &mut Base, step: usize) {
        let (steps, of) = (step - self.first, self.trainee.recipe.steps);
        let preview = self.preview.as_mut().filter(|preview| preview.is_affordable(steps, self.seconds));
        let Some(preview) = preview.filter(|_| step < of) else { return };
        match preview.write(base, self.trainee.files, step, || self.progress.is_stopped()) {
            Ok(Some(picture)) => self.progress.preview(picture),
            Ok(None) => {}
            Err(error) => log::warn!("no preview after step {step}: {error}"),
        }
    }

    fn outcome(&self, state: &TrainState, finished: bool) -> TrainOutcome {
        TrainOutcome { finished, losses: state.losses.clone(), seconds: self.seconds }
    }

    fn failed(&mut self, state: &TrainState, error: AdaptError) -> JobError {
        if !matches!(error, AdaptError::NotFinite { .. }) {
            return error.into();
        }
        self.tell_losses(state);
        let best = best(&state.held_back).filter(|_| self.trainee.files.best().is_file());
        let best = best.map(|best| {
            format!("; the best adapter, of step {}, is {}", best.step, self.trainee.files.best().display())
        });
        let message = format!("{error}; {}{}", self.kept(), best.unwrap_or_default());
        JobError::new(FailureKind::Other, message)
    }

    fn unsaved(&self, state: &TrainState, error: &JobError) -> JobError {
        let step = state.steps_done();
        JobError::new(error.kind, format!("no checkpoint of step {step}: {error}; {}", self.kept()))
    }

    fn kept(&self) -> String {
        match self.saved {
            Some(step) => format!("the checkpoint of step {step} is kept"),
            None => "there is no checkpoint yet".to_string(),
        }
    }
}

fn make_folder_of(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}
