//! The painted frame carried by dense optical flow: what is done today without a model. Runs `flow_carried.py`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use lora_edit_shot::Frame;
use serde_json::json;

use super::answer::{Answer, Clip, composited, display, light};
use super::shot::Shot;

/// A Python that has OpenCV.
pub struct Flow {
    python: PathBuf,
}

impl Flow {
    /// `BENCH_PYTHON`, else the one that `benchmarks/setup.sh` made; the reason where there is none with OpenCV.
    pub fn find(root: &Path) -> Result<Self, String> {
        let installed = root.join("benchmarks/.venv/bin/python");
        let python = std::env::var_os("BENCH_PYTHON").map_or(installed, PathBuf::from);
        let asked = Command::new(&python).args(["-c", "import cv2, numpy"]).stderr(Stdio::null()).status();
        if asked.is_ok_and(|status| status.success()) {
            return Ok(Self { python });
        }
        Err(format!(
            "{} has no OpenCV (run benchmarks/setup.sh, or set BENCH_PYTHON to a Python that has benchmarks/requirements.txt)",
            python.display()
        ))
    }

    /// Carries the painted frame through the shot both ways. `scratch` receives the exchanged files.
    pub fn carry(&self, root: &Path, shot: &Shot, scratch: &Path) -> Result<Vec<(Answer, Clip)>> {
        std::fs::create_dir_all(scratch)?;
        let [width, height] = shot.format.size;
        let meta = json!({ "width": width, "height": height, "frames": shot.format.frames });
        std::fs::write(scratch.join("clip.json"), meta.to_string())?;
        write_raw(&scratch.join("source.f32"), shot.source.iter().map(display))?;
        write_raw(&scratch.join("painted.f32"), [display(shot.painted())])?;
        write_raw(&scratch.join("mask.f32"), shot.mask.iter().cloned())?;
        let script = root.join("benchmarks/flow_carried.py");
        let status =
            Command::new(&self.python).arg(script).arg(scratch).status().context("flow_carried.py")?;
        ensure!(status.success(), "flow_carried.py failed ({status})");
        let ways = [(Answer::FlowDirect, "direct.f32"), (Answer::FlowAccumulated, "accumulated.f32")];
        let answers = ways.map(|(answer, file)| {
            let pictures = read_raw(&scratch.join(file), shot)?.into_iter().map(light).collect::<Vec<_>>();
            Ok((answer, composited(shot, &pictures)))
        });
        let answers = answers.into_iter().collect::<Result<Vec<_>>>();
        std::fs::remove_dir_all(scratch)?;
        answers
    }
}

/// Frames one after the other as 32-bit floats, little-endian.
fn write_raw(path: &Path, frames: impl IntoIterator<Item = Frame>) -> Result<()> {
    let values = frames.into_iter().flat_map(|frame| frame.data);
    let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
    std::fs::write(path, bytes).with_context(|| path.display().to_string())
}

fn read_raw(path: &Path, shot: &Shot) -> Result<Vec<Frame>> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let [width, height] = shot.format.size;
    ensure!(bytes.len() == 12 * width * height * shot.format.frames, "{}: wrong length", path.display());
    let frame = |bytes: &[u8]| {
        let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        Ok(Frame::from_data(width, height, 3, values)?)
    };
    bytes.chunks_exact(12 * width * height).map(frame).collect()
}
