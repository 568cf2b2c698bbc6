//! One shot in memory and on disk, as a plate department and a roto artist would deliver it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lora_edit_shot::image_io::{read_frame, write_exr_float};
use lora_edit_shot::{Frame, Pattern};

use super::geometry::Vec2;
use super::scene::{Kind, Scene, motion, render};
use super::seeds::Split;

/// Shots start at 1001.
pub const FIRST: i32 = 1001;

/// Size and length of the shots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// Number of frames.
    pub frames: usize,
}

impl Format {
    /// Width over height.
    pub fn aspect(&self) -> f32 {
        self.size[0] as f32 / self.size[1] as f32
    }

    /// From pixels (a pixel's middle is at half numbers) to heights of the picture from its middle.
    pub fn position(&self, pixel: Vec2) -> Vec2 {
        let [width, height] = self.size.map(|length| length as f32);
        [(pixel[0] - width / 2.0) / height, (pixel[1] - height / 2.0) / height]
    }

    /// The way back.
    pub fn pixel(&self, position: Vec2) -> Vec2 {
        let [width, height] = self.size.map(|length| length as f32);
        [position[0] * height + width / 2.0, position[1] * height + height / 2.0]
    }

    /// Frame numbers, in order.
    pub fn numbers(&self) -> std::ops::RangeInclusive<i32> {
        FIRST..=FIRST + self.frames as i32 - 1
    }
}

/// A rendered shot: frames in scene-linear light, and where each surface point came from.
pub struct Shot {
    /// Its kind.
    pub kind: Kind,
    /// Its index among the shots of its kind.
    pub index: u32,
    /// Size and length.
    pub format: Format,
    /// The plate.
    pub source: Vec<Frame>,
    /// Coverage of the body, one channel.
    pub mask: Vec<Frame>,
    /// The edited plate as it should be.
    pub truth: Vec<Frame>,
    /// For each frame and pixel: where the surface point that it shows was in the frame before, in pixels.
    pub motion: Vec<Vec<Option<Vec2>>>,
}

impl Shot {
    /// Draws and renders a shot.
    pub fn render(kind: Kind, split: Split, index: u32, format: Format) -> Self {
        let scene: Scene = kind.scene(split, index, &format);
        let mut shot = Self {
            kind,
            index,
            format,
            source: Vec::new(),
            mask: Vec::new(),
            truth: Vec::new(),
            motion: Vec::new(),
        };
        for frame in 0..format.frames {
            let instant = render(&scene, &format, frame);
            shot.source.push(instant.source);
            shot.mask.push(instant.mask);
            shot.truth.push(instant.truth);
            shot.motion.push(motion(&scene, &format, frame));
        }
        shot
    }

    /// What the artist delivers.
    pub fn painted(&self) -> &Frame {
        &self.truth[0]
    }

    /// Its name in file names.
    pub fn name(&self) -> String {
        format!("{}-{}", self.kind.name(), self.index)
    }

    /// Writes source, mask, truth and the one painted frame as sequences of 32-bit EXR.
    pub fn write(&self, folder: &Path) -> Result<ShotFiles> {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let files = ShotFiles { folder: folder.to_owned() };
        for (index, number) in self.format.numbers().enumerate() {
            write_exr_float(&files.path("source", number)?, &self.source[index])?;
            write_exr_float(&files.path("mask", number)?, &self.mask[index])?;
            write_exr_float(&files.path("truth", number)?, &self.truth[index])?;
        }
        write_exr_float(&files.path("edited", FIRST)?, self.painted())?;
        Ok(files)
    }
}

/// A shot on disk.
pub struct ShotFiles {
    folder: PathBuf,
}

impl ShotFiles {
    /// The pattern of one sequence: `source`, `mask`, `edited`, `truth`, or a result's name.
    pub fn pattern(&self, name: &str) -> String {
        self.folder.join(format!("{name}.%04d.exr")).display().to_string()
    }

    /// Reads a sequence, RGB.
    pub fn read(&self, name: &str, format: &Format) -> Result<Vec<Frame>> {
        let read = |number| Ok(read_frame(&self.path(name, number)?)?.to_rgb());
        format.numbers().map(read).collect()
    }

    fn path(&self, name: &str, number: i32) -> Result<PathBuf> {
        Ok(Pattern::parse(&self.pattern(name))?.path(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_pixels_are_each_others_inverse() {
        let format = Format { size: [384, 224], frames: 25 };
        assert_eq!(format.position([192.0, 112.0]), [0.0, 0.0]);
        let [x, y] = format.pixel(format.position([17.5, 200.5]));
        assert!((x - 17.5).abs() < 1e-3 && (y - 200.5).abs() < 1e-3);
        assert_eq!(format.numbers(), 1001..=1025);
    }
}
