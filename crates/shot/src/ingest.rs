//! From full-size frames to what the engine gets: the crop, the working pictures, the ids and the job.
//!
//! Two passes, since the crop comes from all masks: [`MaskPass`] looks at the masks alone, [`Ingest`] then
//! takes the frames one by one and keeps only their working size.

use crate::base::BaseModel;
use crate::colour::{self, ColourSpace, WorkingSpace};
use crate::fit::{DEFAULT_PADDING, Fit};
use crate::frame::{Frame, FrameError};
use crate::job::{BaseRef, FailureKind, Job, Recipe, Sampling};
use crate::mask::{self, Channel};
use crate::package::{EditPackage, Reference, ShotFrame, ShotInfo, ShotPackage};
use crate::range::FrameRange;
use crate::rect::Rect;
use lora_edit_store::{Store, StoreError};
use std::path::Path;
use thiserror::Error;

mod compare;

/// Pixels by which the generation mask reaches beyond the roto, at working size.
pub const MASK_GROWTH: usize = 4;

/// Why a shot cannot be taken in. Each names the frame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IngestError {
    /// An empty frame range.
    #[error("the frame range holds no frame")]
    NoFrames,
    /// A key frame outside the shot.
    #[error("key frame {key} is not among the frames {frames}")]
    Key {
        /// The key.
        key: i32,
        /// The shot's frames.
        frames: FrameRange,
    },
    /// A reference of which nothing counts.
    #[error("reference {0}: its alpha says what of it counts, and it has none")]
    NoAlpha(usize),
    /// A picture of another size than the plate's first.
    #[error("{what} of frame {frame}: {why}")]
    Size {
        /// "source", "mask", "edited" or "reference".
        what: &'static str,
        /// Its number.
        frame: i32,
        /// Both sizes.
        #[source]
        why: FrameError,
    },
    /// A mask that selects nothing in any frame.
    #[error("the mask is empty in all frames {0}: nothing to edit")]
    EmptyMask(FrameRange),
    /// A frame that never came.
    #[error("{what} of frame {frame} is missing")]
    Absent {
        /// "source" or "edited".
        what: &'static str,
        /// Its number.
        frame: i32,
    },
}

impl IngestError {
    /// Whose fault it is; also the program's exit code.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::NoFrames | Self::Key { .. } => FailureKind::Usage,
            Self::Size { .. } | Self::EmptyMask(_) | Self::Absent { .. } | Self::NoAlpha(_) => {
                FailureKind::InputFrame
            }
        }
    }
}

/// What a base model can see at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelGeometry {
    /// Width and height are multiples of this.
    pub multiple: usize,
    /// Pixels of one working frame, at most.
    pub area_px: usize,
    /// Frames of one clip, at most.
    pub most_frames: usize,
}

/// What suits `nano`.
impl Default for ModelGeometry {
    fn default() -> Self {
        Self { multiple: 16, area_px: 384 * 224, most_frames: 33 }
    }
}

/// How a picture becomes the mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskOptions {
    /// Which channel.
    pub channel: Channel,
    /// Edit outside instead of inside.
    pub invert: bool,
    /// Working pixels by which the generation mask is grown.
    pub growth: usize,
}

impl Default for MaskOptions {
    fn default() -> Self {
        Self { channel: Channel::Auto, invert: false, growth: MASK_GROWTH }
    }
}

impl MaskOptions {
    /// The soft comp mask in a picture: one channel, 0..1.
    pub fn read(&self, picture: &Frame) -> Frame {
        let soft = mask::from_frame(picture, self.channel);
        if self.invert { mask::invert(&soft) } else { soft }
    }
}

/// All that is chosen before the first picture is seen.
#[derive(Debug, Clone, PartialEq)]
pub struct IngestSettings {
    /// The shot's frames.
    pub frames: FrameRange,
    /// At which frames a painted picture counts; none for a training alone.
    pub keys: FrameRange,
    /// What the plate's numbers mean.
    pub input_space: ColourSpace,
    /// What the painted pictures' numbers mean.
    pub edit_space: ColourSpace,
    /// How masks are read.
    pub mask: MaskOptions,
    /// What the model takes.
    pub model: ModelGeometry,
}

impl IngestSettings {
    /// Fails where range or keys cannot be done; [`MaskPass::new`] asks this too.
    pub fn check(&self) -> Result<(), IngestError> {
        self.frames.first().ok_or(IngestError::NoFrames)?;
        match self.keys.iter().find(|&key| !self.frames.contains(key)) {
            Some(key) => Err(IngestError::Key { key, frames: self.frames.clone() }),
            None => Ok(()),
        }
    }
}

/// The first pass: where the masks are.
#[derive(Debug)]
pub struct MaskPass {
    settings: IngestSettings,
    size: [u32; 2],
    bounds: Rect,
    masked: bool,
}

impl MaskPass {
    /// Starts with the plate's size; fails where range or keys cannot be done.
    pub fn new(settings: IngestSettings, source_size: [u32; 2]) -> Result<Self, IngestError> {
        settings.check()?;
        Ok(Self { settings, size: source_size, bounds: Rect::default(), masked: false })
    }

    /// Looks at one frame's mask picture. Without any call the whole frame is edited.
    pub fn mask(&mut self, frame: i32, picture: &Frame) -> Result<(), IngestError> {
        check_size("mask", frame, picture, self.size)?;
        self.masked = true;
        if let Some(found) = mask::bounds(&self.settings.mask.read(picture), 0.0) {
            self.bounds = self.bounds.union(&found);
        }
        Ok(())
    }

    /// Plans the crop. Fails when there were masks and all are empty.
    pub fn plan(self) -> Result<Ingest, IngestError> {
        if self.masked && self.bounds.is_empty() {
            return Err(IngestError::EmptyMask(self.settings.frames));
        }
        let model = self.settings.model;
        let fit = Fit::plan(self.size, self.bounds, model.area_px, model.multiple, DEFAULT_PADDING);
        let (frames, painted, references) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Ingest { settings: self.settings, fit, peak: 0.0, frames, painted, references })
    }
}

/// The second pass: takes the frames in, any order, each once.
#[derive(Debug)]
pub struct Ingest {
    settings: IngestSettings,
    fit: Fit,
    peak: f32,
    /// Working size; the source still in the input space, since the working space depends on all frames.
    frames: Vec<ShotFrame>,
    /// Working size, in the edit space.
    painted: Vec<(i32, Frame)>,
    /// Each at its own working size, in the edit space.
    references: Vec<Reference>,
}

impl Ingest {
    /// Which part of the plate the model will see.
    pub fn fit(&self) -> &Fit {
        &self.fit
    }

    /// Takes one plate frame with its mask picture; without one the whole frame is edited.
    pub fn source(&mut self, frame: i32, source: &Frame, mask: Option<&Frame>) -> Result<(), IngestError> {
        let options = self.settings.mask;
        let whole = || Frame::filled(source.width, source.height, &[1.0]);
        let soft = mask.map_or_else(whole, |picture| options.read(picture));
        let comp_mask = self.fit.apply_mask(&soft).map_err(size_error("mask", frame))?;
        let rgb = self.fit.apply(&source.to_rgb()).map_err(size_error("source", frame))?;
        self.peak = self.peak.max(colour::peak_linear(source, self.settings.input_space, self.fit.crop));
        let generation_mask = mask::generation(&comp_mask, options.growth);
        self.frames.push(ShotFrame { number: frame, source: rgb, comp_mask, generation_mask });
        Ok(())
    }

    /// Takes the painted picture of a key frame.
    pub fn key(&mut self, frame: i32, edited: &Frame) -> Result<(), IngestError> {
        let rgb = self.fit.apply(&edited.to_rgb()).map_err(size_error("edited", frame))?;
        self.painted.push((frame, rgb));
        Ok(())
    }

    /// Takes a painted still off the timeline, of any size; its alpha is its mask. Working pixels of it are cut out as
    /// the shot's are.
    pub fn reference(&mut self, still: &Frame) -> Result<(), IngestError> {
        let number = self.references.len() + 1;
        let soft = mask::from_frame(still, Channel::Alpha);
        let bounds = mask::bounds(&soft, 0.0).filter(|_| still.channels == 4);
        let (bounds, model) = (bounds.ok_or(IngestError::NoAlpha(number))?, self.settings.model);
        let fit = Fit::plan(still.size(), bounds, model.area_px, model.multiple, DEFAULT_PADDING);
        let wrong = |why| IngestError::Size { what: "reference", frame: number as i32, why };
        let picture = fit.apply(&still.to_rgb()).map_err(wrong)?;
        let soft = fit.apply_mask(&soft).map_err(wrong)?;
        let mask = mask::generation(&soft, self.settings.mask.growth);
        self.references.push(Reference { picture, mask });
        Ok(())
    }

    /// Settles the working space and gives the packages.
    pub fn finish(mut self) -> Result<Ingested, IngestError> {
        self.frames.sort_by_key(|frame| frame.number);
        self.painted.sort_by_key(|(frame, _)| *frame);
        self.expect_all()?;
        let working_space = WorkingSpace::for_peak(self.peak);
        let info = ShotInfo {
            fit: self.fit,
            frames: self.settings.frames.clone(),
            input_space: self.settings.input_space,
            working_space,
        };
        for frame in &mut self.frames {
            to_code(&mut frame.source, info.input_space, working_space);
        }
        let shot = ShotPackage { info, frames: self.frames };
        for reference in &mut self.references {
            to_code(&mut reference.picture, self.settings.edit_space, working_space);
        }
        let (edit, warnings) = edit_package(&self.settings, &shot, self.painted, self.references);
        Ok(Ingested { shot, edit, warnings })
    }

    fn expect_all(&self) -> Result<(), IngestError> {
        let came = FrameRange::of(self.frames.iter().map(|frame| frame.number));
        let painted = FrameRange::of(self.painted.iter().map(|(frame, _)| *frame));
        let absent = |what, wanted: &FrameRange, came: &FrameRange| match wanted
            .iter()
            .find(|&frame| !came.contains(frame))
        {
            Some(frame) => Err(IngestError::Absent { what, frame }),
            None => Ok(()),
        };
        absent("source", &self.settings.frames, &came)?;
        absent("edited", &self.settings.keys, &painted)
    }
}

fn edit_package(
    settings: &IngestSettings,
    shot: &ShotPackage,
    painted: Vec<(i32, Frame)>,
    references: Vec<Reference>,
) -> (Option<EditPackage>, Vec<String>) {
    let working = shot.info.working_space;
    let mut warnings = Vec::new();
    let mut frames = Vec::with_capacity(painted.len());
    for (key, mut picture) in painted {
        if let Some(plate) = shot.frames.iter().find(|frame| frame.number == key) {
            warnings.extend(compare::warning(plate, &picture, settings.edit_space, working));
        }
        to_code(&mut picture, settings.edit_space, working);
        frames.push(picture);
    }
    let edit = EditPackage { keys: settings.keys.clone(), frames, references };
    (Some(edit).filter(|edit| !edit.keys.is_empty()), warnings)
}

/// Working code values, clamped to what the model takes.
fn to_code(frame: &mut Frame, space: ColourSpace, working: WorkingSpace) {
    colour::frame_to_working(frame, space, working);
    frame.data.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
}

fn check_size(what: &'static str, frame: i32, picture: &Frame, size: [u32; 2]) -> Result<(), IngestError> {
    picture.expect_size(size).map_err(size_error(what, frame))
}

fn size_error(what: &'static str, frame: i32) -> impl FnOnce(FrameError) -> IngestError {
    move |why| IngestError::Size { what, frame, why }
}

/// A shot taken in, ready for the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Ingested {
    /// The shot.
    pub shot: ShotPackage,
    /// The edit, where there are keys.
    pub edit: Option<EditPackage>,
    /// What the user should know, one line each.
    pub warnings: Vec<String>,
}

impl Ingested {
    /// Puts shot and edit into the store; what is there already stays.
    pub fn put(&self, store: &Store) -> Result<(), StoreError> {
        store.put_dir("shots", self.shot.id().as_str(), |dir| self.shot.write(dir))?;
        if let Some(edit) = &self.edit {
            store.put_dir("edits", edit.id().as_str(), |dir| edit.write(dir))?;
        }
        Ok(())
    }
}

/// The job for a shot, with all its ids: a generation where there is an edit, else a training. `model_dir`
/// is where the user said that models are.
pub fn job_for(
    ingested: &Ingested,
    base: &BaseModel,
    model_dir: Option<&Path>,
    recipe: Recipe,
    sampling: Sampling,
) -> Job {
    let base = BaseRef {
        name: base.name.clone(),
        fingerprint: base.fingerprint.clone(),
        model_dir: model_dir.map(Path::to_path_buf),
    };
    let shot = ingested.shot.id();
    match &ingested.edit {
        Some(edit) => {
            let job = Job::generate(shot, edit.id(), base, recipe, sampling);
            match edit.examples() {
                Some(examples) => job.with_second_stage(&examples),
                None => job,
            }
        }
        None => Job::train(shot, base, recipe),
    }
}

#[cfg(test)]
mod tests;
