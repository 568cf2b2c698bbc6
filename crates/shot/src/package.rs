//! What lies in the store's folders: a shot, an edit, and the record of a result.

use crate::colour::{ColourSpace, WorkingSpace};
use crate::composite::Layer;
use crate::fit::Fit;
use crate::frame::{Frame, FrameError};
use crate::ids::{AdapterId, EditId, JobId, ResultId, ShotId, hash_frame};
use crate::image_io::{self, ImageError};
use crate::job::{BaseRef, Recipe, Sampling};
use crate::range::FrameRange;
use crate::sequence::padded;
use lora_edit_store::{Hasher, files};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Version of the records this build writes and reads.
const VERSION: u32 = 1;
/// Channel of `mask.####.exr` that holds the soft comp mask.
const COMP: &str = "A";
/// Channel of `mask.####.exr` that holds the generation mask.
const GENERATION: &str = "generation.A";

/// Why a package cannot be read or written.
#[derive(Debug, Error)]
pub enum PackageError {
    /// One of its pictures.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A picture that does not have the shot's working size.
    #[error("frame {frame}: {why}")]
    Frame {
        /// Its number.
        frame: i32,
        /// What is wrong.
        #[source]
        why: FrameError,
    },
    /// Its record.
    #[error("{}: {why}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// `shot.json`: all that a shot is, but for its pictures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShotInfo {
    /// Which part of the plate at which size.
    pub fit: Fit,
    /// The frames, in order.
    pub frames: FrameRange,
    /// How the host's or the files' values are to be read; results are written in it.
    pub input_space: ColourSpace,
    /// The code values of the working pictures.
    pub working_space: WorkingSpace,
}

/// One frame of a shot at working size.
#[derive(Debug, Clone, PartialEq)]
pub struct ShotFrame {
    /// Its number.
    pub number: i32,
    /// The unedited source: RGB working code values.
    pub source: Frame,
    /// The artist's soft mask, one channel.
    pub comp_mask: Frame,
    /// Where to generate: one channel, 0 or 1.
    pub generation_mask: Frame,
}

/// A shot as the engine gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct ShotPackage {
    /// The record.
    pub info: ShotInfo,
    /// One entry for each of `info.frames`, in order.
    pub frames: Vec<ShotFrame>,
}

/// `edit.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EditInfo {
    keys: FrameRange,
    #[serde(default, skip_serializing_if = "is_zero")]
    references: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A painted still off the timeline, such as another view of the same thing: an example of the look.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// RGB working code values, at a working size of its own.
    pub picture: Frame,
    /// What of it counts: one channel, 0 or 1.
    pub mask: Frame,
}

/// Painted frames at working size, each at its frame number.
#[derive(Debug, Clone, PartialEq)]
pub struct EditPackage {
    /// At which frames.
    pub keys: FrameRange,
    /// One RGB picture in working code values for each key, in order.
    pub frames: Vec<Frame>,
    /// Painted stills off the timeline, if any.
    pub references: Vec<Reference>,
}

/// `result.json`: what a result was made from. It repeats the shot's record, so that a render reads
/// nothing but the result's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultInfo {
    /// The shot.
    pub shot: ShotId,
    /// The edit.
    pub edit: EditId,
    /// The adapter.
    pub adapter: AdapterId,
    /// The job that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The base model.
    pub base: BaseRef,
    /// How the adapter was tuned.
    pub recipe: Recipe,
    /// How the result was sampled.
    pub sampling: Sampling,
    /// The shot's record; `generated.####.exr` is in its `input_space` at its fit's working size.
    pub info: ShotInfo,
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    record: T,
}

/// `NAME.####.exr` for a frame number.
pub fn frame_file(name: &str, frame: i32) -> String {
    format!("{name}.{}.exr", padded(frame, 4))
}

impl ShotInfo {
    /// Reads `shot.json` in a shot's folder.
    pub fn read(dir: &Path) -> Result<Self, PackageError> {
        read_record(&dir.join("shot.json"))
    }
}

impl ShotPackage {
    /// The id: a hash of the record and of all pictures as they will be stored.
    pub fn id(&self) -> ShotId {
        let mut hasher = Hasher::new("shot");
        hasher.field("info", serde_json::to_vec(&self.info).unwrap_or_default());
        for frame in &self.frames {
            hasher.number("frame", i64::from(frame.number));
            hash_frame(&mut hasher, "source", &frame.source);
            hash_frame(&mut hasher, "comp mask", &frame.comp_mask);
            hash_frame(&mut hasher, "generation mask", &frame.generation_mask);
        }
        ShotId::of(&hasher)
    }

    /// Writes the shot into a folder that is there (the store's temporary one).
    pub fn write(&self, dir: &Path) -> Result<(), PackageError> {
        for frame in &self.frames {
            self.check(frame)?;
            image_io::write_exr_half(&dir.join(frame_file("source", frame.number)), &frame.source)?;
            let path = dir.join(frame_file("mask", frame.number));
            let planes = [(COMP, &frame.comp_mask), (GENERATION, &frame.generation_mask)];
            image_io::write_planes(&path, &planes)?;
        }
        write_record(&dir.join("shot.json"), &self.info)
    }

    /// Reads a shot from its folder.
    pub fn read(dir: &Path) -> Result<Self, PackageError> {
        let info = ShotInfo::read(dir)?;
        let mut package = Self { frames: Vec::with_capacity(info.frames.len()), info };
        for number in package.info.frames.clone().iter() {
            let frame = read_shot_frame(dir, number)?;
            package.check(&frame)?;
            package.frames.push(frame);
        }
        Ok(package)
    }

    fn check(&self, frame: &ShotFrame) -> Result<(), PackageError> {
        for picture in [&frame.source, &frame.comp_mask, &frame.generation_mask] {
            let checked = picture.expect_size(self.info.fit.working_size);
            checked.map_err(|why| PackageError::Frame { frame: frame.number, why })?;
        }
        Ok(())
    }
}

fn read_shot_frame(dir: &Path, number: i32) -> Result<ShotFrame, PackageError> {
    let source = image_io::read_frame(&dir.join(frame_file("source", number)))?;
    let masks = image_io::read_planes(&dir.join(frame_file("mask", number)), &[COMP, GENERATION])?;
    let [comp_mask, generation_mask] = masks;
    Ok(ShotFrame { number, source, comp_mask, generation_mask })
}

impl EditPackage {
    /// The id: a hash of the key list and of all pictures as they will be stored.
    pub fn id(&self) -> EditId {
        let mut hasher = Hasher::new("edit");
        hasher.field("keys", self.keys.to_string());
        self.frames.iter().for_each(|frame| hash_frame(&mut hasher, "edited", frame));
        self.references.iter().for_each(|reference| reference.hash(&mut hasher));
        EditId::of(&hasher)
    }

    /// A hash of what stage 2 learns from, the later keys and the references; `None` where there are none. The first
    /// key is not among them: repainted alone, it needs no training.
    pub fn examples(&self) -> Option<String> {
        let mut hasher = Hasher::new("examples");
        for (key, frame) in self.later_keys() {
            hasher.number("key", i64::from(key));
            hash_frame(&mut hasher, "edited", frame);
        }
        self.references.iter().for_each(|reference| reference.hash(&mut hasher));
        let none = self.keys.len() < 2 && self.references.is_empty();
        (!none).then(|| hasher.finish())
    }

    /// The painted frames but for the first, with their numbers.
    pub fn later_keys(&self) -> impl Iterator<Item = (i32, &Frame)> {
        self.keys.iter().zip(&self.frames).skip(1)
    }

    /// The painted picture at a frame, if that is a key.
    pub fn at(&self, frame: i32) -> Option<&Frame> {
        self.frames.get(self.keys.position(frame)?)
    }

    /// Writes the edit into a folder that is there (the store's temporary one).
    pub fn write(&self, dir: &Path) -> Result<(), PackageError> {
        for (key, frame) in self.keys.iter().zip(&self.frames) {
            image_io::write_exr_half(&dir.join(frame_file("edited", key)), frame)?;
        }
        for (index, reference) in (1..).zip(&self.references) {
            reference.write(dir, index)?;
        }
        let references = self.references.len();
        write_record(&dir.join("edit.json"), &EditInfo { keys: self.keys.clone(), references })
    }

    /// Reads an edit from its folder.
    pub fn read(dir: &Path) -> Result<Self, PackageError> {
        let EditInfo { keys, references } = read_record(&dir.join("edit.json"))?;
        let read = |key| image_io::read_frame(&dir.join(frame_file("edited", key)));
        let frames = keys.iter().map(read).collect::<Result<_, _>>()?;
        let references = (1..).take(references).map(|index| Reference::read(dir, index));
        Ok(Self { keys, frames, references: references.collect::<Result<_, _>>()? })
    }
}

impl Reference {
    fn hash(&self, hasher: &mut Hasher) {
        hash_frame(hasher, "reference", &self.picture);
        hash_frame(hasher, "reference mask", &self.mask);
    }

    fn write(&self, dir: &Path, index: i32) -> Result<(), PackageError> {
        image_io::write_exr_half(&dir.join(frame_file("reference", index)), &self.picture)?;
        let planes = [(COMP, &self.mask), (GENERATION, &self.mask)];
        Ok(image_io::write_planes(&dir.join(frame_file("reference_mask", index)), &planes)?)
    }

    fn read(dir: &Path, index: i32) -> Result<Self, PackageError> {
        let picture = image_io::read_frame(&dir.join(frame_file("reference", index)))?;
        let [mask] = image_io::read_planes(&dir.join(frame_file("reference_mask", index)), &[GENERATION])?;
        let checked = mask.expect_size(picture.size());
        checked.map_err(|why| PackageError::Frame { frame: index, why })?;
        Ok(Self { picture, mask })
    }
}

impl ResultInfo {
    /// The id, from the ids and settings it was made from.
    pub fn id(&self) -> ResultId {
        ResultId::new(&self.adapter, &self.edit, &self.sampling)
    }

    /// Writes `result.json` into a result's folder.
    pub fn write(&self, dir: &Path) -> Result<(), PackageError> {
        write_record(&dir.join("result.json"), self)
    }

    /// Reads `result.json` from a result's folder.
    pub fn read(dir: &Path) -> Result<Self, PackageError> {
        read_record(&dir.join("result.json"))
    }

    /// The generated picture of a frame in a result's folder, at working size, in the input space.
    pub fn generated_path(dir: &Path, frame: i32) -> PathBuf {
        dir.join(frame_file("generated", frame))
    }

    /// What the plate's own surface looks like in a frame, where it was followed: RGBA, alpha how far it is known; otherwise as
    /// the generated picture.
    pub fn surface_path(dir: &Path, frame: i32) -> PathBuf {
        dir.join(frame_file("surface", frame))
    }

    /// Reads the generated picture of a frame at the size of the crop, ready for the composite.
    pub fn read_generated(&self, dir: &Path, frame: i32) -> Result<Layer, PackageError> {
        let at_crop =
            |working: Frame| self.info.fit.invert(&working).map_err(|why| PackageError::Frame { frame, why });
        let surface = match image_io::read_frame(&Self::surface_path(dir, frame)) {
            Ok(surface) => Some(at_crop(surface)?),
            Err(error) if error.is_missing() => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Layer { picture: at_crop(image_io::read_frame(&Self::generated_path(dir, frame))?)?, surface })
    }
}

fn write_record(path: &Path, record: &impl Serialize) -> Result<(), PackageError> {
    let broken = |why: String| PackageError::Record { path: path.to_path_buf(), why };
    let text = serde_json::to_vec_pretty(&Versioned { version: VERSION, record });
    let text = text.map_err(|error| broken(error.to_string()))?;
    files::write_whole(path, &text).map_err(|error| broken(error.to_string()))
}

fn read_record<T: DeserializeOwned>(path: &Path) -> Result<T, PackageError> {
    let broken = |why: String| PackageError::Record { path: path.to_path_buf(), why };
    let text = std::fs::read(path).map_err(|error| broken(error.to_string()))?;
    let read: Versioned<T> = serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))?;
    match read.version {
        VERSION => Ok(read.record),
        other => Err(broken(format!("version {other}, this build reads {VERSION}"))),
    }
}
