//! `lora-edit edit`: the whole job from image sequences to an image sequence.

use std::path::Path;
use std::time::Instant;

use lora_edit_pipeline::parts::usable;
use lora_edit_pipeline::report::Qc;
use lora_edit_pipeline::{JobError, Outcome};
use lora_edit_shot::ColourSpace;
use lora_edit_shot::ingest::{IngestSettings, Ingested, MaskOptions, job_for};
use lora_edit_shot::job::{Event, FailureKind, Job, Recipe, Sampler, Sampling, StackedLora};
use lora_edit_shot::models;
use lora_edit_shot::result::ResultReader;
use lora_edit_store::Store;

use crate::Ending;
use crate::cache;
use crate::cli::{EditArgs, SamplerName, Space};
use crate::inputs::Inputs;
use crate::job::{other, perform};
use crate::output::{self, Layering, result_error};
use crate::progress::{Reporter, json};
use crate::stop::StopRequests;
use crate::summary::{Ids, Summary};

/// Does the edit and tells how it went.
pub fn edit(args: &EditArgs) -> Result<Ending, JobError> {
    let mut reporter = if args.json { Reporter::Json } else { Reporter::for_people() };
    let ended = perform_edit(args, &mut reporter);
    reporter.clear();
    match ended? {
        None => Ok(Ending::Stopped),
        Some(summary) => {
            if args.json {
                json(&summary)
            } else {
                summary.print()
            }
            Ok(Ending::Done)
        }
    }
}

/// `None` when it was stopped.
fn perform_edit(args: &EditArgs, reporter: &mut Reporter) -> Result<Option<Summary>, JobError> {
    let (began, stop) = (Instant::now(), StopRequests::listen()?);
    let prepared = prepare(args, reporter).inspect_err(|error| tell_failure(reporter, error))?;
    let Prepared { inputs, ingested, job, root } = &prepared;
    let (trained, generated) =
        match perform(root, job, &args.model.machine.resources(job.memory_limit)?, stop, &mut |event| {
            reporter.tell(event)
        })? {
            Outcome::Stopped { .. } => return Ok(None),
            Outcome::Done { trained, generated } => (trained, generated),
        };
    let result_id = job.result.as_ref().ok_or_else(|| other("an edit without a result"))?;
    let result = ResultReader::open(root, result_id).map_err(result_error)?;
    let max_diff_outside_mask = write(args, inputs, &result, reporter)?;
    Ok(Some(Summary {
        output: inputs.output.to_string(),
        frames: inputs.frames.to_string(),
        cache: root.clone(),
        job_id: job.id().to_string(),
        ids: Ids::of(job),
        trained,
        generated,
        max_diff_outside_mask,
        qc: read_qc(result.folder()),
        result_folder: result.folder().to_path_buf(),
        total_seconds: began.elapsed().as_secs_f64(),
        warnings: ingested.warnings.clone(),
    }))
}

/// What stands before the work begins.
struct Prepared {
    inputs: Inputs,
    ingested: Ingested,
    job: Job,
    root: std::path::PathBuf,
}

/// Checks and takes in all inputs, and writes shot, edit and job into the store.
fn prepare(args: &EditArgs, reporter: &mut Reporter) -> Result<Prepared, JobError> {
    let inputs = Inputs::parse(args)?;
    let base = usable(&args.model.model, args.model.model_dir.as_deref())?.base;
    // A LoRA that is not there is told of before any picture is read.
    let (recipe, sampling) = (recipe(args, &inputs), sampling(args)?);
    reporter.tell(&Event::Stage { name: "read".into() });
    let ingested = inputs.ingest(settings(args, &inputs))?;
    reporter.clear();
    ingested.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    let root = cache::root(&args.cache);
    ingested.put(&Store::open(&root)?)?;
    let model_dir = args.model.model_dir.as_deref().map(std::path::absolute).transpose()?;
    let mut job = job_for(&ingested, &base, model_dir.as_deref(), recipe, sampling);
    job.checkpoint_every = args.model.checkpoint_every;
    job.previews = args.model.previews;
    job.memory_limit = args.model.machine.memory_limit;
    job.write(&root).map_err(other)?;
    Ok(Prepared { inputs, ingested, job, root })
}

/// Failures before the job's own events: programs that read the events hear of them too.
fn tell_failure(reporter: &mut Reporter, error: &JobError) {
    reporter.tell(&Event::Failed { kind: error.kind, message: error.message.clone() });
}

fn write(
    args: &EditArgs,
    inputs: &Inputs,
    result: &ResultReader,
    reporter: &mut Reporter,
) -> Result<f32, JobError> {
    let layering = Layering {
        mask: mask_options(args),
        mix: args.mix,
        hold_keys: args.hold_keys,
        edit_space: edit_space(args),
    };
    reporter.tell(&Event::Stage { name: "output".into() });
    let of = inputs.frames.len();
    output::write(inputs, result, &layering, |step| {
        let stage = "output".to_string();
        reporter.tell(&Event::Step { stage, step, of, loss: None, seconds_left: None });
    })
}

fn read_qc(folder: &Path) -> Option<Qc> {
    serde_json::from_slice(&std::fs::read(folder.join("qc.json")).ok()?).ok()
}

fn settings(args: &EditArgs, inputs: &Inputs) -> IngestSettings {
    IngestSettings {
        frames: inputs.frames.clone(),
        keys: inputs.keys.clone(),
        input_space: colour_space(args.input_space),
        edit_space: edit_space(args),
        mask: mask_options(args),
        model: models::defaults(&args.model.model).geometry,
    }
}

fn mask_options(args: &EditArgs) -> MaskOptions {
    MaskOptions { invert: args.mask_invert, ..MaskOptions::default() }
}

fn edit_space(args: &EditArgs) -> ColourSpace {
    colour_space(args.edit_space.unwrap_or(args.input_space))
}

fn colour_space(space: Space) -> ColourSpace {
    match space {
        Space::Linear => ColourSpace::Linear,
        Space::Srgb => ColourSpace::Srgb,
    }
}

/// The seed is left out: another take of the generation must not cost another training.
fn recipe(args: &EditArgs, inputs: &Inputs) -> Recipe {
    let args = &args.model;
    let defaults = models::defaults(&args.model);
    let default = defaults.recipe;
    // A reference has no other use.
    let wanted = if inputs.references.is_empty() { 0 } else { Recipe::STAGE2_EPOCHS };
    let stage2_epochs = default.stage2_epochs.max(wanted);
    Recipe {
        rank: args.rank.unwrap_or(default.rank),
        alpha: args.rank.map_or(default.alpha, |rank| rank as f64),
        targets: args.targets.unwrap_or(default.targets),
        steps: args.train_steps.unwrap_or(default.steps),
        learning_rate: args.learning_rate.unwrap_or(default.learning_rate),
        mask_loss_weight: args.mask_loss_weight.unwrap_or(default.mask_loss_weight),
        look_variants: args.look_variants.unwrap_or(default.look_variants),
        keep_best: args.keep_best,
        carry: args.generation.carry.unwrap_or(default.carry),
        shown: args.generation.shown,
        source_prompt: args.source_prompt.clone().unwrap_or_default(),
        prompt_prefix: args.prompt_prefix.clone().unwrap_or(default.prompt_prefix),
        train_window: args.train_window.unwrap_or(default.train_window),
        stage2_epochs: args.stage2_epochs.unwrap_or(stage2_epochs),
        stage2_rate: args.stage2_rate.unwrap_or(default.stage2_rate),
        ..default
    }
    .for_shot(&inputs.frames, &inputs.keys, defaults.geometry.most_frames)
}

fn sampling(args: &EditArgs) -> Result<Sampling, JobError> {
    let default = models::defaults(&args.model.model).sampling;
    let args = &args.model.generation;
    let sampler = args.sampler.map_or(default.sampler, |name| match name {
        SamplerName::Euler => Sampler::Euler,
        SamplerName::Unipc => Sampler::UniPc,
        SamplerName::Dpmpp => Sampler::DpmPp,
    });
    Ok(Sampling {
        steps: args.sampler_steps.unwrap_or(default.steps),
        sampler,
        shift: args.shift.unwrap_or(default.shift),
        guidance: args.guidance.unwrap_or(default.guidance),
        guidance_low: args.guidance_low.or(default.guidance_low),
        seed: args.seed,
        without_adapter: args.without_adapter,
        prompt: args.prompt.clone().unwrap_or_default(),
        negative_prompt: args.negative_prompt.clone().unwrap_or(default.negative_prompt),
        lora: args.lora.iter().map(|text| stacked(text)).collect::<Result<_, _>>()?,
        step_cache: args.step_cache,
        carry: args.carry.unwrap_or(default.carry),
        shown: args.shown,
        schedule: default.schedule,
        window: default.window,
    })
}

fn stacked(text: &str) -> Result<StackedLora, JobError> {
    StackedLora::read(text).map_err(|error| JobError::new(FailureKind::Missing, format!("LoRA {error}")))
}
