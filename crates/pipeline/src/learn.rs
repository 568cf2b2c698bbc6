//! Learning a shot: stage 1 its motion and background from the unedited source alone, stage 2 the look of an edit.

use lora_edit_adapt::{Adapter, TrainInput};
use lora_edit_shot::AdapterId;
use lora_edit_shot::job::{FailureKind, Job, Recipe};
use lora_edit_shot::package::{EditPackage, ShotPackage};
use lora_edit_store::Store;

use crate::adapter_files::AdapterFiles;
use crate::base::Base;
use crate::carried::Carrier;
use crate::failure::JobError;
use crate::preview::Preview;
use crate::progress::Progress;
use crate::samples::{self, Samples};
use crate::stage_two;
use crate::training::{Trainee, adapt_recipe, begin};

/// What a job's adapter is learnt from.
#[derive(Clone, Copy)]
pub struct Lesson<'a> {
    /// The shot.
    pub shot: &'a ShotPackage,
    /// Its painted frames, for stage 2; nothing for a training of the shot alone.
    pub edit: Option<&'a EditPackage>,
    /// Which adapter, how.
    pub job: &'a Job,
    /// Where adapters and checkpoints lie.
    pub store: &'a Store,
}

/// Trains the stages of the job's adapter that are not in the store yet, and writes each; `Ok(Some(step))` when it was
/// stopped there, after a checkpoint. A checkpoint that is there already is gone on from.
///
/// # Errors
/// When the arithmetic fails or files cannot be written.
pub fn learn(
    base: &mut Base,
    lesson: &Lesson<'_>,
    mut carrier: Option<&mut Carrier>,
    progress: &mut Progress<'_>,
) -> Result<Option<usize>, JobError> {
    let Some(first) = &lesson.job.first_stage else {
        return first_stage(base, lesson, &lesson.job.adapter, carrier, progress);
    };
    if !AdapterFiles::of(lesson.store, first).of_expert(base.expert()).exist() {
        // What it leaves depends on nothing of stage 2.
        let job = &Job { recipe: lesson.job.recipe.of_first_stage(), ..lesson.job.clone() };
        let stopped = first_stage(base, &Lesson { job, ..*lesson }, first, carrier.as_deref_mut(), progress)?;
        if stopped.is_some() {
            return Ok(stopped);
        }
    }
    second_stage(base, lesson, first, carrier, progress)
}

fn first_stage(
    base: &mut Base,
    lesson: &Lesson<'_>,
    id: &AdapterId,
    carrier: Option<&mut Carrier>,
    progress: &mut Progress<'_>,
) -> Result<Option<usize>, JobError> {
    let recipe = &lesson.job.recipe;
    progress.stage("encode");
    let Some(inputs) = samples::of_shot(base, lesson.shot, recipe, recipe.steps, carrier, progress)? else {
        return Ok(Some(0));
    };
    let recipe = adapt_recipe(recipe, base.expert());
    let adapter = Adapter::create(base.transformer_mut()?, &recipe.adapter, recipe.seed)?;
    progress.stage("train");
    let order = (0..inputs.len()).collect();
    train(base, lesson, id, &adapter, &recipe, &Samples::new(inputs, order), progress)
}

fn second_stage(
    base: &mut Base,
    lesson: &Lesson<'_>,
    first: &AdapterId,
    carrier: Option<&mut Carrier>,
    progress: &mut Progress<'_>,
) -> Result<Option<usize>, JobError> {
    let Lesson { shot, edit: Some(edit), job, store } = *lesson else {
        return Err(JobError::new(FailureKind::Usage, "stage 2 has no edit to learn from"));
    };
    // The held-back loss is that of the shot, from which stage 2 leads away.
    let job = &Job { recipe: Recipe { keep_best: false, ..job.recipe.clone() }, ..job.clone() };
    progress.stage("encode");
    let epochs = job.recipe.stage2_epochs;
    let Some(replayed) = samples::of_shot(base, shot, &job.recipe, epochs, carrier, progress)? else {
        return Ok(Some(0));
    };
    let examples = samples::of_edit(base, shot, edit)?;
    let recipe = adapt_recipe(
        &Recipe {
            steps: stage_two::steps(epochs, examples.len()),
            learning_rate: job.recipe.learning_rate * job.recipe.stage2_rate,
            seed: stage_two::seed(job.recipe.seed),
            ..job.recipe.clone()
        },
        base.expert(),
    );
    let adapter = Adapter::create(base.transformer_mut()?, &recipe.adapter, recipe.seed)?;
    // From the file, also when this very run trained it: what is learnt must not depend on who trained.
    stage_two::take_over(
        &adapter,
        &Adapter::load(&AdapterFiles::of(store, first).of_expert(base.expert()).weights())?,
    )?;
    let order = stage_two::order(epochs, replayed.len(), examples.len(), recipe.seed);
    let all: Vec<TrainInput> = replayed.into_iter().chain(examples).collect();
    progress.stage("train");
    train(
        base,
        &Lesson { job, ..*lesson },
        &job.adapter,
        &adapter,
        &recipe,
        &Samples::new(all, order),
        progress,
    )
}

/// Trains `adapter`, attached to the base, to the recipe's last step and writes it as `id`.
fn train(
    base: &mut Base,
    lesson: &Lesson<'_>,
    id: &AdapterId,
    adapter: &Adapter,
    recipe: &lora_edit_adapt::Recipe,
    samples: &Samples,
    progress: &mut Progress<'_>,
) -> Result<Option<usize>, JobError> {
    let files = AdapterFiles::of(lesson.store, id).of_expert(base.expert());
    let mut state = begin(&files.checkpoint(), adapter, recipe)?;
    let first = state.steps_done();
    let trainee = Trainee { adapter, recipe, files: &files, job: lesson.job };
    let preview = Preview::of(lesson.shot, lesson.job, base, samples.first_window());
    let outcome = trainee.run(base, &mut state, |step| samples.at(step), preview, progress);
    adapter.detach(base.transformer_mut()?);
    let outcome = outcome?;
    if !outcome.finished {
        return Ok(Some(outcome.losses.len()));
    }
    let seconds_per_step = outcome.seconds / (outcome.losses.len() - first).max(1) as f64;
    trainee.finish(&state, seconds_per_step, lesson.store)?;
    // The last preview is gone by now.
    progress.preview(files.loss_picture());
    Ok(None)
}
