//! Writes a procedural shot to disk, as a plate department and a roto artist would deliver it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use lora_edit_shot::colour::to_linear;
use lora_edit_shot::image_io::{read_frame, write_exr_float};
use lora_edit_shot::{ColourSpace, Frame, Pattern};

use super::scene::{self, Motion};

/// Shots start at 1001.
pub const FIRST: i32 = 1001;

/// The demo's sequences on disk: scene-linear EXR, and the mask as one channel.
pub struct DemoShot {
    folder: PathBuf,
    /// Number of frames.
    pub frames: usize,
}

impl DemoShot {
    /// Renders `frames` instants of `motion` into `folder`. Painted frames exist at `painted` alone.
    pub fn render(folder: &Path, frames: usize, motion: &Motion, painted: &[i32]) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let shot = Self { folder: folder.to_owned(), frames };
        for (index, number) in shot.numbers().enumerate() {
            let instant = scene::render(motion, index as f32 / (frames - 1).max(1) as f32);
            let truth = linear(instant.truth);
            write_exr_float(&shot.path("source", number)?, &linear(instant.source))?;
            write_exr_float(&shot.path("mask", number)?, &instant.mask)?;
            write_exr_float(&shot.path("truth", number)?, &truth)?;
            if painted.contains(&number) {
                write_exr_float(&shot.path("edited", number)?, &truth)?;
            }
        }
        Ok(shot)
    }

    /// Frame numbers, in order.
    pub fn numbers(&self) -> std::ops::RangeInclusive<i32> {
        FIRST..=self.last()
    }

    /// The last frame's number.
    pub fn last(&self) -> i32 {
        FIRST + self.frames as i32 - 1
    }

    /// The pattern of one sequence: `source`, `mask`, `edited` or `truth`.
    pub fn pattern(&self, name: &str) -> String {
        self.folder.join(format!("{name}.%04d.exr")).display().to_string()
    }

    /// One picture of a sequence.
    pub fn picture(&self, name: &str, number: i32) -> Result<Frame> {
        Ok(read_frame(&self.path(name, number)?)?)
    }

    fn path(&self, name: &str, number: i32) -> Result<PathBuf> {
        Ok(Pattern::parse(&self.pattern(name))?.path(number))
    }
}

fn linear(mut frame: Frame) -> Frame {
    frame.data.iter_mut().for_each(|value| *value = to_linear(ColourSpace::Srgb, *value));
    frame
}
