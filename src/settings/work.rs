//! How the work that a button orders is to be done: training, sampling, and the way through them.

use lora_edit_shot::job::{Job, NoTargets, Recipe, Sampler, Sampling, StackedLora, Targets};
use ofx::{Effect, Result};

use super::{text, unknown_item};
use crate::params::{self, Param};

/// Bytes of one GiB.
const GIB: f64 = (1u64 << 30) as f64;

/// What is seen, kept and held while the work goes on; the same is made whatever it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    checkpoint_every: Option<usize>,
    previews: bool,
    memory_limit: Option<u64>,
}

impl Way {
    pub(super) fn read(effect: &Effect<'_>) -> Result<Self> {
        let checkpoint_every = Some(count(effect, &params::CHECKPOINT_EVERY, 0)?).filter(|steps| *steps > 0);
        let memory_limit = number(effect, &params::MEMORY_LIMIT)?.map(|gib| (gib * GIB) as u64);
        Ok(Self { checkpoint_every, previews: effect.value(params::PREVIEWS.name)?, memory_limit })
    }

    /// `job`, gone about like this.
    pub fn of(self, job: Job) -> Job {
        let Self { checkpoint_every, previews, memory_limit } = self;
        Job { checkpoint_every, previews, memory_limit, ..job }
    }
}

/// The seed is left out: another take of the generation must not cost another training.
pub(super) fn recipe(effect: &Effect<'_>, default: Recipe) -> Result<Recipe> {
    let rank = count(effect, &params::RANK, default.rank)?;
    Ok(Recipe {
        rank,
        alpha: if rank == default.rank { default.alpha } else { rank as f64 },
        targets: targets(effect, default.targets)?,
        steps: count(effect, &params::TRAIN_STEPS, default.steps)?,
        learning_rate: number(effect, &params::LEARNING_RATE)?.unwrap_or(default.learning_rate),
        mask_loss_weight: number(effect, &params::MASK_LOSS_WEIGHT)?.unwrap_or(default.mask_loss_weight),
        look_variants: count_or_none(effect, &params::LOOK_VARIANTS, default.look_variants)?,
        carry: carry(effect, default.carry)?,
        keep_best: effect.value(params::KEEP_BEST.name)?,
        source_prompt: text(effect, &params::SOURCE_PROMPT)?.trim().to_owned(),
        prompt_prefix: prefix(effect, &default)?,
        train_window: count(effect, &params::TRAIN_WINDOW, default.train_window)?,
        stage2_epochs: count_or_none(effect, &params::STAGE2_EPOCHS, default.stage2_epochs)?,
        stage2_rate: number(effect, &params::STAGE2_RATE)?.unwrap_or(default.stage2_rate),
        ..default
    })
}

fn targets(effect: &Effect<'_>, default: Targets) -> Result<Targets> {
    let list = text(effect, &params::TARGETS)?;
    if list.trim().is_empty() {
        return Ok(default);
    }
    list.parse().map_err(|error: NoTargets| format!("targets: {error}").into())
}

/// An empty text cannot mean no prefix: it means the model's own, as everywhere.
fn prefix(effect: &Effect<'_>, default: &Recipe) -> Result<String> {
    Ok(match text(effect, &params::PROMPT_PREFIX)?.trim() {
        "" => default.prompt_prefix.clone(),
        "-" => String::new(),
        words => words.to_owned(),
    })
}

pub(super) fn sampling(effect: &Effect<'_>, default: Sampling) -> Result<Sampling> {
    let negative = text(effect, &params::NEGATIVE_PROMPT)?.trim().to_owned();
    Ok(Sampling {
        steps: count(effect, &params::SAMPLER_STEPS, default.steps)?,
        sampler: sampler(effect, default.sampler)?,
        shift: number(effect, &params::SHIFT)?.unwrap_or(default.shift),
        guidance: number(effect, &params::GUIDANCE)?.unwrap_or(default.guidance),
        guidance_low: number(effect, &params::GUIDANCE_LOW)?.or(default.guidance_low),
        seed: seed(effect)?,
        prompt: text(effect, &params::PROMPT)?.trim().to_owned(),
        negative_prompt: if negative.is_empty() { default.negative_prompt } else { negative },
        lora: loras(&text(effect, &params::LORA)?)?,
        carry: carry(effect, default.carry)?,
        step_cache: number(effect, &params::STEP_CACHE)?.unwrap_or(default.step_cache),
        ..default
    })
}

fn carry(effect: &Effect<'_>, default: bool) -> Result<bool> {
    match effect.value::<i32>(params::CARRY.name)? {
        0 => Ok(default),
        1 => Ok(true),
        2 => Ok(false),
        other => Err(unknown_item(&params::CARRY, other)),
    }
}

fn sampler(effect: &Effect<'_>, default: Sampler) -> Result<Sampler> {
    match effect.value::<i32>(params::SAMPLER.name)? {
        0 => Ok(default),
        1 => Ok(Sampler::Euler),
        2 => Ok(Sampler::UniPc),
        3 => Ok(Sampler::DpmPp),
        other => Err(unknown_item(&params::SAMPLER, other)),
    }
}

/// `PATH[:STRENGTH]; ...`: their contents are read, since a result is known by them.
fn loras(list: &str) -> Result<Vec<StackedLora>> {
    let named = list.split(';').map(str::trim).filter(|entry| !entry.is_empty());
    named.map(|entry| StackedLora::read(entry).map_err(|error| format!("lora: {error}").into())).collect()
}

/// Nothing where the model's own is wanted: at 0, and at what no limit would let through.
fn number(effect: &Effect<'_>, param: &Param) -> Result<Option<f64>> {
    let value: f64 = effect.value(param.name)?;
    Ok(Some(value).filter(|value| value.is_finite() && *value > 0.0))
}

/// A number of things; the model's own at 0. Hosts may ignore the range.
fn count(effect: &Effect<'_>, param: &Param, default: usize) -> Result<usize> {
    let value = effect.value::<i32>(param.name)?;
    Ok(if value > 0 { value as usize } else { default })
}

/// As [`count`], where 0 is a number too and the model's own is below it.
fn count_or_none(effect: &Effect<'_>, param: &Param, default: usize) -> Result<usize> {
    Ok(usize::try_from(effect.value::<i32>(param.name)?).unwrap_or(default))
}

fn seed(effect: &Effect<'_>) -> Result<u64> {
    Ok(effect.value::<i32>(params::SEED.name)?.max(0) as u64)
}
