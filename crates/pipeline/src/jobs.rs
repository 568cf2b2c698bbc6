//! One job from the store: learn what is not learnt yet, generate what is not generated yet.

use std::path::Path;
use std::time::Instant;

use candle_core::Device;
use lora_edit_model::device;
use lora_edit_model::guidance::Expert;
use lora_edit_model::plan::Machine;
use lora_edit_shot::composite::Layer;
use lora_edit_shot::image_io::write_exr_half;
use lora_edit_shot::job::{Event, FailureKind, Job, JobKind, Recipe, Sampling};
use lora_edit_shot::models;
use lora_edit_shot::package::{EditPackage, ResultInfo, ShotPackage};
use lora_edit_shot::{EditId, ResultId, ShotId, colour};
use lora_edit_store::Store;

use crate::adapter_files::AdapterFiles;
use crate::base::{Base, Load};
use crate::carried::Carrier;
use crate::encoders::Encoders;
use crate::failure::JobError;
use crate::generate::{Generated, Generation, generate};
use crate::joins;
use crate::learn::{Lesson, learn};
use crate::memory::{self, Extent, Plans, Resources, limit};
use crate::parts::{Parts, of_job};
use crate::progress::Progress;
use crate::report;
use crate::samples;
use crate::stack::Stack;
use crate::told::{Picture, Teller, Told, refuse_idle, refuse_words};

/// How a job ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All that was asked for is in the store.
    Done {
        /// Whether this run trained; otherwise the adapter was there, or not wanted.
        trained: bool,
        /// Whether this run generated; otherwise the result was there, or not asked for.
        generated: bool,
    },
    /// Stopped on request; a training goes on from this step next time.
    Stopped {
        /// Steps of the interrupted stage done.
        step: usize,
    },
}

/// What a generation is made from, as the job names it.
struct Wanted<'a> {
    edit: &'a EditId,
    sampling: &'a Sampling,
    result: &'a ResultId,
}

/// Does `job` on the store at `root` with what the machine gives: trains the adapter unless it is there,
/// generates the result unless it is there. Both appear in the store whole or not at all. `events` hears of every stage and step; `stop` is asked after
/// each step.
///
/// # Errors
/// When another process holds the adapter, something the job names is missing or does not fit, or the work fails.
pub fn run_job(
    root: &Path,
    job: &Job,
    resources: &Resources,
    events: &mut dyn FnMut(Event),
    stop: &dyn Fn() -> bool,
) -> Result<Outcome, JobError> {
    let store = Store::open(root)?;
    let wanted = wanted(job)?;
    if is_done(&store, job, wanted.as_ref()) {
        return Ok(Outcome::Done { trained: false, generated: false });
    }
    let lease = store.lease(&format!("adapters/{}", job.adapter))?;
    // Stage 1 is another adapter, which other jobs of the shot may want too.
    let first = job.first_stage.as_ref().filter(|first| !AdapterFiles::of(&store, first).exist());
    let first = first.map(|first| store.lease(&format!("adapters/{first}"))).transpose()?;
    let is_lost = || lease.is_lost() || first.as_ref().is_some_and(|first| first.is_lost());
    let stop = || stop() || is_lost();
    let outcome = {
        let (began, progress) = (Instant::now(), Progress::new(events, &stop));
        Run { store, job, resources, wanted, began, progress, planned: None }.run()
    };
    match outcome {
        Ok(Outcome::Stopped { .. }) if is_lost() => Err(lease_lost(job)),
        outcome => outcome,
    }
}

fn lease_lost(job: &Job) -> JobError {
    let message =
        format!("adapter {}: another process took it over while this one was suspended", job.adapter);
    JobError::new(FailureKind::Lock, message)
}

fn wanted(job: &Job) -> Result<Option<Wanted<'_>>, JobError> {
    match (job.kind, &job.edit, &job.sampling, &job.result) {
        (JobKind::Train, ..) if job.first_stage.is_some() => {
            Err(JobError::new(FailureKind::Usage, "a training alone has no edit to learn from in stage 2"))
        }
        (JobKind::Train, ..) => Ok(None),
        (JobKind::Generate, Some(edit), Some(sampling), Some(result)) => {
            Ok(Some(Wanted { edit, sampling, result }))
        }
        _ => Err(JobError::new(FailureKind::Usage, "the job asks for a result and names no edit")),
    }
}

fn is_done(store: &Store, job: &Job, wanted: Option<&Wanted<'_>>) -> bool {
    match wanted {
        Some(wanted) => store.contains("results", wanted.result.as_str()),
        None => AdapterFiles::of(store, &job.adapter).exist(),
    }
}

struct Run<'a> {
    store: Store,
    job: &'a Job,
    resources: &'a Resources,
    wanted: Option<Wanted<'a>>,
    began: Instant,
    progress: Progress<'a>,
    /// Bytes that it was planned to hold.
    planned: Option<u64>,
}

impl Run<'_> {
    fn run(mut self) -> Result<Outcome, JobError> {
        self.progress.stage("load");
        let device = device::choose(self.resources.device)?;
        let mut load = Load::on(&device);
        let shot = read_shot(&self.store, &self.job.shot)?;
        let edit = self.wanted.as_ref().map(|wanted| read_edit(&self.store, wanted.edit)).transpose()?;
        let parts = of_job(self.job)?.parts;
        let loras = self.loras(&parts)?;
        let untrained = self.untrained(&parts);
        let plans = self.plan(&parts, &shot, &device, !untrained.is_empty())?;
        plans.apply(&mut load);
        // As much of the shot as fits is learnt at once, where nobody said how much.
        let recipe = Recipe { train_window: plans.train_window(), ..self.job.recipe.clone() };
        let previews = self.job.previews && plans.previews;
        let job = &Job { recipe, previews, ..self.job.clone() };
        let (learning, generating) = self.told(&parts, &shot, edit.as_ref(), &untrained, &job.recipe)?;
        let first = untrained.first().copied().unwrap_or(parts.experts()[0]);
        let mut base = Base::open(&parts, &load, first)?;
        let carries = job.recipe.carry || job.sampling.as_ref().is_some_and(|sampling| sampling.carry);
        let mut carrier = carries.then(|| Carrier::new(&shot));
        let lesson = Lesson { shot: &shot, edit: edit.as_ref(), job, store: &self.store };
        for &expert in &untrained {
            base.turn_to(expert)?;
            base.tell(&learning)?;
            if let Some(step) = learn(&mut base, &lesson, carrier.as_mut(), &mut self.progress)? {
                return Ok(Outcome::Stopped { step });
            }
        }
        let trained = !untrained.is_empty();
        let Some((wanted, edit)) = self.wanted.take().zip(edit) else {
            return Ok(Outcome::Done { trained, generated: false });
        };
        base.tell(&generating)?;
        base.stack(self.stack(&parts, loras, &wanted)?)?;
        match self.generate(&mut base, &shot, &edit, carrier.as_mut(), &wanted)? {
            Some(step) => Ok(Outcome::Stopped { step }),
            None => Ok(Outcome::Done { trained, generated: true }),
        }
    }

    /// What this job will hold, told before it starts.
    fn plan(
        &mut self,
        parts: &Parts,
        shot: &ShotPackage,
        device: &Device,
        trains: bool,
    ) -> Result<Plans, JobError> {
        let (recipe, most) = (&self.job.recipe, models::defaults(&self.job.base.name).geometry.most_frames);
        let extent = Extent::of(shot, most);
        let generation = self.wanted.as_ref().map(|wanted| extent.generation(recipe, wanted.sampling));
        let (training, limit) = (trains.then(|| extent.training(recipe)), limit(self.resources, device)?);
        let plans = Plans::of(parts, training, generation, Machine::of(device), limit)?;
        self.progress.plan(plans.table(), plans.peak());
        self.planned = plans.peak();
        Ok(plans)
    }

    /// The experts that must be trained, the high-noise one last, since its file says that the adapter is there.
    fn untrained(&self, parts: &Parts) -> Vec<Option<Expert>> {
        if self.wanted.as_ref().is_some_and(|wanted| wanted.sampling.without_adapter) {
            return Vec::new();
        }
        let files = AdapterFiles::of(&self.store, &self.job.adapter);
        let experts = parts.experts().into_iter().rev();
        experts.filter(|&expert| !files.of_expert(expert).exist()).collect()
    }

    /// Read first of all: a broken file must not come to light after hours of training.
    fn loras(&self, parts: &Parts) -> Result<Stack, JobError> {
        let loras = self.wanted.as_ref().map(|wanted| wanted.sampling.lora.as_slice());
        Stack::read(loras.unwrap_or_default(), parts.low_noise.is_some())
    }

    /// The shot's adapter comes from its file, also when this very run trained it: a result must not depend on who
    /// trained.
    fn stack(&self, parts: &Parts, mut loras: Stack, wanted: &Wanted<'_>) -> Result<Stack, JobError> {
        if !wanted.sampling.without_adapter {
            let files = AdapterFiles::of(&self.store, &self.job.adapter);
            for expert in parts.experts() {
                loras.add_own(&files.of_expert(expert).weights(), expert, &self.job.base)?;
            }
        }
        Ok(loras)
    }

    /// What the base is told in training, and what in generation: encoded before the large networks are in memory.
    fn told(
        &mut self,
        parts: &Parts,
        shot: &ShotPackage,
        edit: Option<&EditPackage>,
        untrained: &[Option<Expert>],
        recipe: &Recipe,
    ) -> Result<(Told, Told), JobError> {
        let takes_image = parts.transformer_config()?.takes_image();
        let encoders = Encoders::new(&self.store, parts);
        refuse_words(self.job, &encoders)?;
        refuse_idle(self.job, parts, takes_image)?;
        let mut teller = Teller { encoders, takes_image, shot, edit, progress: &mut self.progress };
        let learning = match untrained.is_empty() {
            true => Told::default(),
            false => {
                let prompt = recipe.prefixed(&recipe.source_prompt);
                teller.tell(&prompt, None, &samples::pictures(shot, edit, recipe))?
            }
        };
        let (Some(wanted), Some(edit)) = (&self.wanted, edit) else { return Ok((learning, Told::default())) };
        let Sampling { prompt, negative_prompt, .. } = wanted.sampling;
        let negative = wanted.sampling.is_guided().then_some(negative_prompt.as_str());
        let painted: Vec<Picture> = edit.keys.iter().map(Picture::Painted).collect();
        Ok((learning, teller.tell(&recipe.prefixed(prompt), negative, &painted)?))
    }

    /// `Ok(Some(step))` when it was stopped there.
    fn generate(
        &mut self,
        base: &mut Base,
        shot: &ShotPackage,
        edit: &EditPackage,
        carrier: Option<&mut Carrier>,
        wanted: &Wanted<'_>,
    ) -> Result<Option<usize>, JobError> {
        match generate(base, shot, edit, wanted.sampling, carrier, &mut self.progress)? {
            Generation::Stopped(step) => Ok(Some(step)),
            Generation::Finished(generated) => {
                self.write(shot, edit, &generated, wanted)?;
                Ok(None)
            }
        }
    }

    fn write(
        &mut self,
        shot: &ShotPackage,
        edit: &EditPackage,
        made: &Generated,
        wanted: &Wanted<'_>,
    ) -> Result<(), JobError> {
        let generated = &made.frames;
        self.progress.stage("write");
        let adapter = match wanted.sampling.without_adapter {
            true => None,
            false => AdapterFiles::of(&self.store, &self.job.adapter).summary(),
        };
        let mut qc = report::measure(shot, edit, generated)?;
        (qc.joins, qc.colour_step_elsewhere) = joins::measure(shot, made);
        (qc.sample_seconds, qc.wall_seconds) = (made.seconds, self.began.elapsed().as_secs_f64());
        qc.carried_part = made.carried.map(|(known, _)| known);
        qc.model_share = made.carried.map(|(_, trust)| [trust.known, trust.unknown]);
        qc.seed = wanted.sampling.seed;
        (qc.planned_bytes, qc.peak_bytes) = (self.planned, memory::peak_of_process());
        if let Some((summary, _)) = &adapter {
            qc.train_steps = Some(summary.steps);
            qc.train_seconds_per_step = Some(summary.seconds_per_step);
            qc.final_loss = Some(summary.final_loss);
        }
        let curves = adapter.map(|(summary, losses)| (losses, summary.measured()));
        let (losses, held_back) = curves.unwrap_or_default();
        let info = result_info(self.job, shot, wanted);
        let id = wanted.result.as_str();
        self.store.put_dir("results", id, |dir| {
            write_generated(dir, shot, generated)?;
            report::write(dir, shot, edit, generated, &qc, &losses, &held_back)?;
            info.write(dir).map_err(JobError::from)
        })?;
        self.progress.preview(Path::new("results").join(id).join("contact.png"));
        Ok(())
    }
}

/// The generated frames as hosts want them: half floats in the plate's input space, at working size.
fn write_generated(dir: &Path, shot: &ShotPackage, generated: &[Layer]) -> Result<(), JobError> {
    for (frame, layer) in shot.frames.iter().zip(generated) {
        let layer = layer.map(|picture| {
            let mut out = picture.clone();
            colour::frame_from_working(&mut out, shot.info.input_space, shot.info.working_space);
            out
        });
        write_exr_half(&ResultInfo::generated_path(dir, frame.number), &layer.picture)?;
        if let Some(surface) = &layer.surface {
            write_exr_half(&ResultInfo::surface_path(dir, frame.number), surface)?;
        }
    }
    Ok(())
}

fn result_info(job: &Job, shot: &ShotPackage, wanted: &Wanted<'_>) -> ResultInfo {
    ResultInfo {
        shot: job.shot.clone(),
        edit: wanted.edit.clone(),
        adapter: job.adapter.clone(),
        job: Some(job.id()),
        base: job.base.clone(),
        recipe: job.recipe.clone(),
        sampling: wanted.sampling.clone(),
        info: shot.info.clone(),
    }
}

fn read_shot(store: &Store, id: &ShotId) -> Result<ShotPackage, JobError> {
    if !store.contains("shots", id.as_str()) {
        return Err(missing("shot", id, store));
    }
    Ok(ShotPackage::read(&store.path("shots", id.as_str()))?)
}

fn read_edit(store: &Store, id: &EditId) -> Result<EditPackage, JobError> {
    if !store.contains("edits", id.as_str()) {
        return Err(missing("edit", id, store));
    }
    Ok(EditPackage::read(&store.path("edits", id.as_str()))?)
}

fn missing(what: &str, id: impl std::fmt::Display, store: &Store) -> JobError {
    JobError::new(FailureKind::Missing, format!("{what} {id} is not in {}", store.root().display()))
}
