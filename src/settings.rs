//! The table's values as typed settings: what a render reads, and what a button reads.

mod work;

use std::path::PathBuf;

use lora_edit_shot::job::{Recipe, Sampling};
use lora_edit_shot::models;
use lora_edit_shot::{ColourSpace, FrameRange, ResultId};
use ofx::{Effect, Error, Result};

use crate::describe::SOURCE;
use crate::params::{self, Param};

pub use work::Way;

/// What the node gives out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The edit over the plate.
    Comp,
    /// The edit alone, multiplied by the mask.
    Edit,
    /// The mask in all channels.
    Mask,
    /// How far the comp is from the plate.
    Difference,
    /// The plate.
    Source,
}

/// What a render does without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMissing {
    /// Fails the frame.
    Error,
    /// Passes the plate through.
    Source,
}

/// How the mask's clip is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskUse {
    /// Off: everything is inside.
    pub apply: bool,
    /// Inside becomes outside.
    pub invert: bool,
}

/// Everything a render reads.
#[derive(Clone, Debug)]
pub struct Look {
    /// Painted frames.
    pub keys: FrameRange,
    /// How to read the mask.
    pub mask: MaskUse,
    /// 0 shows the plate, 1 the edit.
    pub mix: f32,
    /// Whether key frames show the painted pixels.
    pub hold_keys: bool,
    /// What to give out.
    pub output: Output,
    /// What to do without a result.
    pub on_missing: OnMissing,
    /// Colour space of Edited.
    pub edit_space: ColourSpace,
    /// The store.
    pub cache: PathBuf,
    /// The result to show.
    pub result: Option<ResultId>,
}

/// Everything a button reads.
#[derive(Clone, Debug)]
pub struct Order {
    /// The frames of the shot.
    pub frames: FrameRange,
    /// Painted frames.
    pub keys: FrameRange,
    /// Frames of the clip Reference to learn from.
    pub references: FrameRange,
    /// How to read the mask.
    pub mask: MaskUse,
    /// Colour space of Source.
    pub input_space: ColourSpace,
    /// Colour space of Edited.
    pub edit_space: ColourSpace,
    /// Name of the base model.
    pub model: String,
    /// Where the user says models are.
    pub model_dir: Option<PathBuf>,
    /// How to train.
    pub recipe: Recipe,
    /// How to sample.
    pub sampling: Sampling,
    /// How to go about it, which changes nothing of what is made.
    pub way: Way,
    /// The store.
    pub cache: PathBuf,
}

impl Look {
    /// Reads the parameters for a render at `time`.
    ///
    /// # Errors
    /// A parameter the host refuses to read, or a key list that is none.
    pub fn read(effect: &Effect<'_>, time: f64) -> Result<Self> {
        Ok(Self {
            keys: keys(effect)?,
            mask: mask_use(effect)?,
            mix: effect.value_at::<f64>(params::MIX.name, time)?.clamp(0.0, 1.0) as f32,
            hold_keys: effect.value(params::HOLD_KEYS.name)?,
            output: output(effect)?,
            on_missing: on_missing(effect)?,
            edit_space: space(effect, &params::EDIT_SPACE)?,
            cache: cache(effect)?,
            result: ResultId::parse(&text(effect, &params::RESULT_ID)?).ok(),
        })
    }
}

impl Order {
    /// Reads the parameters for a job.
    ///
    /// # Errors
    /// A parameter the host refuses to read, or a key list or frame range that is none.
    pub fn read(effect: &Effect<'_>) -> Result<Self> {
        let model_dir = text(effect, &params::MODEL_DIR)?;
        let model = text(effect, &params::MODEL)?.trim().to_owned();
        let defaults = models::defaults(&model);
        let frames = frames(effect)?
            .ok_or_else(|| Error::failed("Source has no frame range: set frameRange to Custom"))?;
        let keys = keys(effect)?;
        let references = references(effect)?;
        let mut recipe =
            work::recipe(effect, defaults.recipe)?.for_shot(&frames, &keys, defaults.geometry.most_frames);
        // A reference has no other use.
        if !references.is_empty() && effect.value::<i32>(params::STAGE2_EPOCHS.name)? < 0 {
            recipe.stage2_epochs = recipe.stage2_epochs.max(Recipe::STAGE2_EPOCHS);
        }
        Ok(Self {
            frames,
            keys,
            references,
            mask: mask_use(effect)?,
            input_space: space(effect, &params::INPUT_SPACE)?,
            edit_space: space(effect, &params::EDIT_SPACE)?,
            model,
            model_dir: (!model_dir.is_empty()).then(|| model_dir.into()),
            recipe,
            sampling: work::sampling(effect, defaults.sampling)?,
            way: Way::read(effect)?,
            cache: cache(effect)?,
        })
    }
}

/// The frames of the shot; none where Source tells no range.
///
/// # Errors
/// A parameter the host refuses to read, or a last frame before the first.
pub fn frames(effect: &Effect<'_>) -> Result<Option<FrameRange>> {
    if effect.value::<i32>(params::FRAME_RANGE.name)? == 0 {
        let range = effect.clip(SOURCE)?.frame_range();
        return Ok(range.map(|(first, last)| FrameRange::span(first.round() as i32, last.round() as i32)));
    }
    let (first, last) = (effect.value(params::FIRST_FRAME.name)?, effect.value(params::LAST_FRAME.name)?);
    if last < first {
        return Err(format!("lastFrame {last} comes before firstFrame {first}").into());
    }
    Ok(Some(FrameRange::span(first, last)))
}

/// The store's root.
///
/// # Errors
/// A parameter the host refuses to read.
pub fn cache(effect: &Effect<'_>) -> Result<PathBuf> {
    let folder = text(effect, &params::CACHE_DIR)?;
    Ok(if folder.is_empty() { lora_edit_store::default_root() } else { folder.into() })
}

/// A string parameter's text.
///
/// # Errors
/// A parameter the host refuses to read.
pub fn text(effect: &Effect<'_>, param: &Param) -> Result<String> {
    effect.value(param.name)
}

fn keys(effect: &Effect<'_>) -> Result<FrameRange> {
    let list = text(effect, &params::KEY_FRAMES)?;
    FrameRange::parse(&list).map_err(|error| format!("keyFrames: {error}").into())
}

fn references(effect: &Effect<'_>) -> Result<FrameRange> {
    let list = text(effect, &params::REFERENCE_FRAMES)?;
    let read = || FrameRange::parse(&list).map_err(|error| format!("referenceFrames: {error}").into());
    if list.trim().is_empty() { Ok(FrameRange::default()) } else { read() }
}

fn mask_use(effect: &Effect<'_>) -> Result<MaskUse> {
    let (apply, invert) = (effect.value(params::MASK_APPLY.name)?, effect.value(params::MASK_INVERT.name)?);
    Ok(MaskUse { apply, invert })
}

fn space(effect: &Effect<'_>, param: &Param) -> Result<ColourSpace> {
    match effect.value::<i32>(param.name)? {
        0 => Ok(ColourSpace::Linear),
        1 => Ok(ColourSpace::Srgb),
        other => Err(unknown_item(param, other)),
    }
}

fn output(effect: &Effect<'_>) -> Result<Output> {
    match effect.value::<i32>(params::OUTPUT.name)? {
        0 => Ok(Output::Comp),
        1 => Ok(Output::Edit),
        2 => Ok(Output::Mask),
        3 => Ok(Output::Difference),
        4 => Ok(Output::Source),
        other => Err(unknown_item(&params::OUTPUT, other)),
    }
}

/// Auto: a farm must see an error, an artist wants to go on working.
fn on_missing(effect: &Effect<'_>) -> Result<OnMissing> {
    match effect.value::<i32>(params::ON_MISSING.name)? {
        0 if effect.host().is_background => Ok(OnMissing::Error),
        0 | 2 => Ok(OnMissing::Source),
        1 => Ok(OnMissing::Error),
        other => Err(unknown_item(&params::ON_MISSING, other)),
    }
}

fn unknown_item(param: &Param, item: i32) -> Error {
    Error::failed(format!("{} has no item {item}", param.name))
}
