//! A finished result: one small file per frame, and the composite over the plate.

use crate::colour::{self, ColourSpace};
use crate::composite::{Composite, Layer};
use crate::frame::{Frame, FrameError};
use crate::ids::ResultId;
use crate::package::{PackageError, ResultInfo};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a result cannot be shown.
#[derive(Debug, Error)]
pub enum ResultError {
    /// It is not in the store.
    #[error("result {id} is not in {}", root.display())]
    Missing {
        /// The result.
        id: ResultId,
        /// The store's root.
        root: PathBuf,
    },
    /// A frame that it does not have.
    #[error("frame {0} is outside the result's range")]
    Outside(i32),
    /// Its files.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A plate, mask or painted frame of the wrong size.
    #[error(transparent)]
    Size(#[from] FrameError),
}

/// Reads frames of one result in any order.
#[derive(Debug, Clone)]
pub struct ResultReader {
    dir: PathBuf,
    info: ResultInfo,
}

impl ResultReader {
    /// Opens a result of the store at `root`.
    pub fn open(root: &Path, id: &ResultId) -> Result<Self, ResultError> {
        let dir = root.join("results").join(id.as_str());
        if !dir.join("result.json").is_file() {
            return Err(ResultError::Missing { id: id.clone(), root: root.to_path_buf() });
        }
        let info = ResultInfo::read(&dir)?;
        Ok(Self { dir, info })
    }

    /// What it was made from.
    pub fn info(&self) -> &ResultInfo {
        &self.info
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.dir
    }

    /// Whether it has this frame.
    pub fn contains(&self, frame: i32) -> bool {
        self.info.info.frames.contains(frame)
    }

    /// The generated picture of a frame: RGB, as large as the crop, in the plate's input space.
    pub fn frame(&self, frame: i32) -> Result<Layer, ResultError> {
        if !self.contains(frame) {
            return Err(ResultError::Outside(frame));
        }
        Ok(self.info.read_generated(&self.dir, frame)?)
    }

    /// A painted full frame as large as the crop, in the plate's input space: what a held key shows.
    pub fn painted(&self, edited: &Frame, edit_space: ColourSpace) -> Result<Layer, FrameError> {
        edited.expect_size(self.info.info.fit.source_size)?;
        let mut crop = edited.to_rgb().crop_reflect(self.info.info.fit.crop);
        let input_space = self.info.info.input_space;
        if edit_space != input_space {
            for value in &mut crop.data {
                *value = converted(*value, edit_space, input_space);
            }
        }
        Ok(Layer::from(crop))
    }

    /// Lays `generated` (from [`ResultReader::frame`] or [`ResultReader::painted`]) over the plate inside the
    /// comp mask. Outside it the plate keeps its bits.
    pub fn composite(
        &self,
        generated: &Layer,
        source: &Frame,
        mask: &Frame,
        mix: f32,
    ) -> Result<Frame, FrameError> {
        source.expect_size(self.info.info.fit.source_size)?;
        Composite { generated, crop: self.info.info.fit.crop, mix }.frame(source, mask)
    }
}

fn converted(value: f32, from: ColourSpace, to: ColourSpace) -> f32 {
    let linear = colour::to_linear(from, value);
    match to {
        ColourSpace::Linear => linear,
        ColourSpace::Srgb => colour::linear_to_srgb(linear),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::Fit;
    use crate::image_io::write_exr_half;
    use crate::job::{BaseRef, Recipe, Sampling};
    use crate::package::ShotInfo;
    use crate::{AdapterId, EditId, FrameRange, Rect, ShotId, WorkingSpace};

    fn info() -> ResultInfo {
        let crop = Rect::new(2, 2, 10, 10);
        ResultInfo {
            shot: ShotId::parse(&"1".repeat(32)).unwrap(),
            edit: EditId::parse(&"2".repeat(32)).unwrap(),
            adapter: AdapterId::parse(&"3".repeat(32)).unwrap(),
            job: None,
            base: BaseRef { name: "m".into(), fingerprint: "f".into(), model_dir: None },
            recipe: Recipe::default(),
            sampling: Sampling::default(),
            info: ShotInfo {
                fit: Fit { source_size: [16, 12], crop, working_size: [16, 16] },
                frames: FrameRange::span(5, 6),
                input_space: ColourSpace::Linear,
                working_space: WorkingSpace::Srgb,
            },
        }
    }

    #[test]
    fn a_stored_frame_comes_back_at_the_size_of_the_crop() {
        let root = tempfile::tempdir().unwrap();
        let (info, id) = (info(), info().id());
        assert!(matches!(ResultReader::open(root.path(), &id), Err(ResultError::Missing { .. })));
        let dir = root.path().join("results").join(id.as_str());
        std::fs::create_dir_all(&dir).unwrap();
        write_exr_half(&ResultInfo::generated_path(&dir, 5), &Frame::filled(16, 16, &[2.5, 0.5, 0.25]))
            .unwrap();
        info.write(&dir).unwrap();

        let reader = ResultReader::open(root.path(), &id).unwrap();
        let generated = reader.frame(5).unwrap();
        assert_eq!(generated.picture.size(), [8, 8]);
        assert!((generated.picture.pixel(4, 4)[0] - 2.5).abs() < 1e-3);
        assert_eq!(generated.surface, None, "none was written");
        assert!(matches!(reader.frame(7), Err(ResultError::Outside(7))));

        let source = Frame::filled(16, 12, &[0.1, 0.2, 0.3, 1.0]);
        let mut mask = Frame::new(16, 12, 1);
        mask.pixel_mut(4, 4)[0] = 1.0;
        let out = reader.composite(&generated, &source, &mask, 1.0).unwrap();
        assert!((out.pixel(4, 4)[0] - 2.5).abs() < 1e-3);
        assert_eq!(out.data.iter().zip(&source.data).filter(|(a, b)| a != b).count(), 3);
    }

    #[test]
    fn a_held_key_keeps_its_exact_values_or_changes_space() {
        let root = tempfile::tempdir().unwrap();
        let reader = ResultReader { dir: root.path().to_path_buf(), info: info() };
        let painted = Frame::filled(16, 12, &[0.5, 3.0, -0.25]);
        assert_eq!(
            reader.painted(&painted, ColourSpace::Linear).unwrap(),
            Frame::filled(8, 8, &[0.5, 3.0, -0.25]).into()
        );
        let from_srgb = reader.painted(&painted, ColourSpace::Srgb).unwrap();
        assert!((from_srgb.picture.pixel(0, 0)[0] - 0.214).abs() < 1e-3);
        assert!(reader.painted(&Frame::new(3, 3, 3), ColourSpace::Linear).is_err());
    }
}
