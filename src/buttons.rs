//! What the four buttons do: order work, stop it, and bring its outcome into the viewer.

use std::path::Path;

use lora_edit_shot::base::{self, BaseModel};
use lora_edit_shot::ingest::{Ingested, job_for};
use lora_edit_shot::job::{self, Engine, Job, JobKind, JobState, JobStatus};
use lora_edit_shot::models::Family;
use lora_edit_shot::result::ResultReader;
use lora_edit_shot::{JobId, ResultId};
use lora_edit_store::Store;
use ofx::{Effect, Error, MessageKind, Result};

use crate::analyse;
use crate::engine::Detached;
use crate::params;
use crate::settings::{self, Order};
use crate::status;

/// Does what the button `name` says. What goes wrong is told to the user here, in the status and as a
/// message: to the host the press was handled. False for a parameter that is no button.
pub fn press(effect: &Effect<'_>, name: &str) -> bool {
    let told = match name {
        _ if name == params::TRAIN.name => order(effect, JobKind::Train),
        _ if name == params::GENERATE.name => order(effect, JobKind::Generate),
        _ if name == params::STOP.name => stop(effect),
        _ if name == params::REFRESH.name => refresh(effect),
        _ => return false,
    };
    let line = told.unwrap_or_else(|error| failed(effect, &error));
    if let Err(error) = effect.set(params::STATUS.name, line.as_str()) {
        log::warn!("{line} (status not set: {error})");
    }
    true
}

fn failed(effect: &Effect<'_>, error: &Error) -> String {
    if matches!(error, Error::Stopped) {
        return "cancelled: nothing was started".to_owned();
    }
    let text = one_line(&error.to_string());
    effect.message(MessageKind::Error, &text);
    format!("failed: {text}")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Orders a job; one that fails leaves the node without a job, so that Refresh goes on showing why.
fn order(effect: &Effect<'_>, kind: JobKind) -> Result<String> {
    expect_idle(effect, &settings::cache(effect)?)?;
    place(effect, kind).or_else(|error| {
        effect.set(params::JOB_ID.name, "")?;
        Err(error)
    })
}

/// Reads the shot and starts a job, unless what it would make is there. Returns the status.
fn place(effect: &Effect<'_>, kind: JobKind) -> Result<String> {
    let order = Order::read(effect)?;
    let engine = Detached::find().map_err(Error::other)?;
    let model_dir = order.model_dir.as_deref();
    let base = base_model(&engine, &order.model, model_dir)?;
    let ingested = analyse::pull(effect, &order, kind == JobKind::Generate)?;
    warn(effect, &ingested);
    let job = order.way.of(job_for(&ingested, &base, model_dir, order.recipe, order.sampling));
    if is_made(&order.cache, &job) {
        remember(effect, &job)?;
        show_result(effect, &order.cache)?;
        return Ok("done: up to date, nothing to do".to_owned());
    }
    ingested.put(&Store::open(&order.cache).map_err(Error::other)?).map_err(Error::other)?;
    remember(effect, &job)?;
    start(effect, &engine, &order.cache, &job)
}

/// Published models lie in many places and forms, which the program knows; one in a folder of its own is found here.
fn base_model(engine: &Detached, name: &str, model_dir: Option<&Path>) -> Result<BaseModel> {
    match Family::named(name) {
        Some(_) => engine.locate(name, model_dir).map_err(Error::from),
        None => base::find_beside(name, model_dir, engine.folder()).map_err(Error::other),
    }
}

/// Two jobs of one node would fight for the adapter.
fn expect_idle(effect: &Effect<'_>, cache: &Path) -> Result<()> {
    let Some((id, kind)) = last_job(effect, cache)? else { return Ok(()) };
    let state = JobStatus::read(cache, &id).map_err(Error::other)?;
    if is_at_work(cache, &id, &state) {
        return Err(format!(
            "a job is at work already ({}): wait, or press Stop",
            status::line(&state, kind)
        )
        .into());
    }
    Ok(())
}

/// A job that waits and was never given a process is one whose engine could not be started.
fn is_at_work(cache: &Path, id: &JobId, status: &JobStatus) -> bool {
    match status.state {
        JobState::Running => true,
        JobState::Waiting => job::folder(cache, id).join("pid").exists(),
        _ => false,
    }
}

fn warn(effect: &Effect<'_>, ingested: &Ingested) {
    ingested.warnings.iter().for_each(|line| effect.message(MessageKind::Warning, line));
}

/// The ids follow from the inputs, so the node knows its result before there is one. A training keeps
/// the result that is shown.
fn remember(effect: &Effect<'_>, job: &Job) -> Result<()> {
    let _undo = effect.edit_group("LoRA-Edit job")?;
    effect.set(params::ADAPTER_ID.name, job.adapter.as_str())?;
    if let Some(result) = &job.result {
        effect.set(params::RESULT_ID.name, result.as_str())?;
    }
    effect.set(params::JOB_ID.name, job.id().as_str())
}

fn is_made(cache: &Path, job: &Job) -> bool {
    match &job.result {
        Some(result) => ResultReader::open(cache, result).is_ok(),
        None => cache.join("adapters").join(format!("{}.safetensors", job.adapter)).is_file(),
    }
}

fn start(effect: &Effect<'_>, engine: &Detached, cache: &Path, job: &Job) -> Result<String> {
    if job.result.is_some() {
        effect.set(params::SHOWN_ID.name, "")?;
    }
    let id = job.write(cache).map_err(Error::other)?;
    engine.start(cache, &id).map_err(Error::other)?;
    Ok(format!("{} started: press Refresh to see how far it is", status::button(job.kind)))
}

fn stop(effect: &Effect<'_>) -> Result<String> {
    let cache = settings::cache(effect)?;
    let Some((id, _)) = last_job(effect, &cache)? else { return without_job(effect) };
    let state = JobStatus::read(&cache, &id).map_err(Error::other)?;
    if !is_at_work(&cache, &id, &state) {
        return refresh(effect);
    }
    job::request_stop(&cache, &id).map_err(Error::other)?;
    Ok("stopping after this step: press Refresh".to_owned())
}

fn refresh(effect: &Effect<'_>) -> Result<String> {
    let cache = settings::cache(effect)?;
    show_result(effect, &cache)?;
    let Some((id, kind)) = last_job(effect, &cache)? else { return without_job(effect) };
    let state = JobStatus::read(&cache, &id).map_err(Error::other)?;
    Ok(status::line(&state, kind))
}

/// Why the last order failed stays readable.
fn without_job(effect: &Effect<'_>) -> Result<String> {
    let said = settings::text(effect, &params::STATUS)?;
    Ok(if said.is_empty() { "no job yet: press Generate".to_owned() } else { said })
}

/// The node's last job, as far as the store knows it.
fn last_job(effect: &Effect<'_>, cache: &Path) -> Result<Option<(JobId, JobKind)>> {
    let Ok(id) = JobId::parse(&settings::text(effect, &params::JOB_ID)?) else { return Ok(None) };
    if !job::folder(cache, &id).join("job.json").exists() {
        return Ok(None);
    }
    let job = Job::read(cache, &id).map_err(Error::other)?;
    Ok(Some((id, job.kind)))
}

/// Makes the host render again, once for each result that has come.
fn show_result(effect: &Effect<'_>, cache: &Path) -> Result<()> {
    let Ok(id) = ResultId::parse(&settings::text(effect, &params::RESULT_ID)?) else { return Ok(()) };
    let shown = settings::text(effect, &params::SHOWN_ID)?;
    if shown == id.as_str() || ResultReader::open(cache, &id).is_err() {
        return Ok(());
    }
    effect.set(params::SHOWN_ID.name, id.as_str())?;
    let revision: i32 = effect.value(params::REVISION.name)?;
    effect.set(params::REVISION.name, revision.wrapping_add(1).max(0))
}
