//! The truth through the model's VAE and back: what no model on that VAE can exceed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lora_edit_shot::ingest::{Ingest, IngestSettings, Ingested, MaskOptions, MaskPass, ModelGeometry};
use lora_edit_shot::{ColourSpace, Fit, Frame, FrameRange, WorkingSpace, colour};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize_to_file};

use super::answer::{Answer, Clip, composited};
use super::shot::Shot;

/// The example `forward` and the weights of a VAE.
pub struct Vae {
    /// The built example.
    pub program: PathBuf,
    /// The VAE's folder.
    pub weights: PathBuf,
}

impl Vae {
    /// The truth as the product would take it in (crop and working size), encoded, decoded and laid over the plate.
    pub fn ceiling(&self, shot: &Shot, scratch: &Path) -> Result<(Answer, Clip)> {
        std::fs::create_dir_all(scratch)?;
        let taken = taken_in(shot)?;
        let pictures: Vec<Frame> = taken.shot.frames.into_iter().map(|frame| frame.source).collect();
        let info = taken.shot.info;
        let decoded = self.round_trip(&pictures, scratch)?;
        let full = decoded.iter().map(|picture| restored(picture, &info.fit, info.working_space));
        let full = full.collect::<Result<Vec<_>>>()?;
        std::fs::remove_dir_all(scratch)?;
        Ok((Answer::VaeAlone, composited(shot, &full)))
    }

    fn round_trip(&self, pictures: &[Frame], scratch: &Path) -> Result<Vec<Frame>> {
        let [clip, latents, output] = ["clip", "latents", "output"].map(|name| scratch.join(name));
        write_clip(&clip, pictures)?;
        self.run("vae-encode", &clip, &latents)?;
        let renamed = scratch.join("renamed");
        rename_output(&latents, &renamed)?;
        self.run("vae-decode", &renamed, &output)?;
        read_clip(&output, pictures)
    }

    fn run(&self, module: &str, input: &Path, output: &Path) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.arg(module).arg("--weights").arg(&self.weights);
        let status = command.arg("--input").arg(input).arg("--output").arg(output).status();
        let status = status.context("the example `forward`")?;
        ensure!(status.success(), "{module} failed ({status})");
        Ok(())
    }
}

/// The truth in the place of the plate, as the product's ingest hands it to the model.
fn taken_in(shot: &Shot) -> Result<Ingested> {
    let settings = IngestSettings {
        frames: FrameRange::of(shot.format.numbers()),
        keys: FrameRange::of([]),
        input_space: ColourSpace::Linear,
        edit_space: ColourSpace::Linear,
        mask: MaskOptions::default(),
        model: ModelGeometry::default(),
    };
    let mut masks = MaskPass::new(settings, shot.source[0].size())?;
    for (number, mask) in shot.format.numbers().zip(&shot.mask) {
        masks.mask(number, mask)?;
    }
    let mut ingest: Ingest = masks.plan()?;
    for ((number, truth), mask) in shot.format.numbers().zip(&shot.truth).zip(&shot.mask) {
        ingest.source(number, truth, Some(mask))?;
    }
    Ok(ingest.finish()?)
}

/// A working picture back in its place in the plate's frame, in linear light. What lies outside the crop is black; the
/// mask never reaches there.
fn restored(working: &Frame, fit: &Fit, space: WorkingSpace) -> Result<Frame> {
    let mut crop = fit.invert(working)?;
    colour::frame_from_working(&mut crop, ColourSpace::Linear, space);
    let [width, height] = fit.source_size.map(|length| length as i32);
    let black = [0.0; 3];
    Ok(Frame::from_fn(width as usize, height as usize, 3, |x, y, out| {
        let (x, y) = (x as i32 - fit.crop.x1, y as i32 - fit.crop.y1);
        let inside = x >= 0 && y >= 0 && x < crop.width as i32 && y < crop.height as i32;
        out.copy_from_slice(if inside { crop.pixel(x as usize, y as usize) } else { &black });
    }))
}

/// `sample` (1, 3, frames, height, width) in -1..1. A VAE takes 4k + 1 frames; the last is repeated until it fits.
fn write_clip(path: &Path, pictures: &[Frame]) -> Result<()> {
    let first = pictures.first().context("a shot has frames")?;
    let frames = (pictures.len() - 1).div_ceil(4) * 4 + 1;
    let picture = |index: usize| &pictures[index.min(pictures.len() - 1)];
    let mut bytes = Vec::with_capacity(frames * first.data.len() * 4);
    for channel in 0..3 {
        for index in 0..frames {
            let values = picture(index).data.iter().skip(channel).step_by(3);
            values.for_each(|value| bytes.extend((2.0 * value - 1.0).to_le_bytes()));
        }
    }
    write_tensor(path, "sample", vec![1, 3, frames, first.height, first.width], &bytes)
}

fn read_clip(path: &Path, like: &[Frame]) -> Result<Vec<Frame>> {
    let bytes = std::fs::read(path)?;
    let output = SafeTensors::deserialize(&bytes)?.tensor("output")?;
    let (width, height) = (like[0].width, like[0].height);
    let &[1, 3, frames, h, w] = output.shape() else { anyhow::bail!("decoded {:?}", output.shape()) };
    ensure!((w, h) == (width, height) && frames >= like.len(), "decoded {:?}", output.shape());
    let values = output.data();
    let value = |at: usize| f32::from_le_bytes([values[at], values[at + 1], values[at + 2], values[at + 3]]);
    let picture = |index: usize| {
        Frame::from_fn(width, height, 3, |x, y, out| {
            for (channel, out) in out.iter_mut().enumerate() {
                *out = (value(4 * (((channel * frames + index) * height + y) * width + x)) + 1.0) / 2.0;
            }
        })
    };
    Ok((0..like.len()).map(picture).collect())
}

fn rename_output(from: &Path, to: &Path) -> Result<()> {
    let bytes = std::fs::read(from)?;
    let tensor = SafeTensors::deserialize(&bytes)?.tensor("output")?;
    write_tensor(to, "latents", tensor.shape().to_vec(), tensor.data())
}

fn write_tensor(path: &Path, name: &str, shape: Vec<usize>, bytes: &[u8]) -> Result<()> {
    let view = TensorView::new(Dtype::F32, shape, bytes)?;
    serialize_to_file(HashMap::from([(name, view)]), None, path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_is_written_and_read_back() {
        let folder = std::env::temp_dir().join(format!("eval-ceiling-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let picture = |i: usize| Frame::from_fn(4, 2, 3, |x, y, p| p.fill((x + 4 * y + i) as f32 / 16.0));
        let pictures: Vec<Frame> = (0..3).map(picture).collect();
        let (clip, output) = (folder.join("clip"), folder.join("output"));
        write_clip(&clip, &pictures).unwrap();
        let bytes = std::fs::read(&clip).unwrap();
        let tensor = SafeTensors::deserialize(&bytes).unwrap();
        let sample = tensor.tensor("sample").unwrap();
        assert_eq!(sample.shape(), [1, 3, 5, 2, 4]);
        write_tensor(&output, "output", sample.shape().to_vec(), sample.data()).unwrap();
        let back = read_clip(&output, &pictures).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        for (a, b) in pictures.iter().zip(&back) {
            assert!(a.data.iter().zip(&b.data).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }
}
