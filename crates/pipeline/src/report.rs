//! The report that lies in each result's folder: figures, pictures and the loss curve.

use std::fs;
use std::path::Path;

use lora_edit_adapt::HeldBack;
use lora_edit_shot::composite::{Composite, Layer};
use lora_edit_shot::image_io::write_png8;
use lora_edit_shot::metrics::{self, SquaredError};
use lora_edit_shot::package::{EditPackage, ShotFrame, ShotPackage};
use lora_edit_shot::sheet::ContactSheet;
use lora_edit_shot::{ColourSpace, Frame, WorkingSpace, colour, mask};
use serde::{Deserialize, Serialize};

use crate::failure::JobError;
use crate::joins::Join;
use crate::losses;

/// Frames shown on the contact sheet, at most.
const SHOWN: usize = 6;

/// `qc.json`. Levels in dB are PSNR of working code values, pooled over all frames; null where there is no pixel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Qc {
    /// Largest difference between composite and source where the comp mask is 0, at working size. Must be 0.
    pub max_diff_outside_mask: f32,
    /// The generated picture against the source where nothing was to be generated: what the model alone keeps.
    pub psnr_outside_mask_db: Option<f64>,
    /// The generated picture against the source inside the mask: how much the edit changed.
    pub psnr_in_mask_to_source_db: Option<f64>,
    /// The generated picture against the painted one inside the mask, at the key frames.
    pub psnr_key_in_mask_db: Option<f64>,
    /// Where two passes of a generation meet; a shot that the model makes at once has none.
    #[serde(default)]
    pub joins: Vec<Join>,
    /// Median change of the mean colour inside the mask from one frame to the next, joins left out: what a colour step
    /// at a join is to be compared with.
    #[serde(default)]
    pub colour_step_elsewhere: Option<f64>,
    /// Part of the mask in which paint was carried along the plate's motion; null where none was. The rest is generated.
    #[serde(default)]
    pub carried_part: Option<f64>,
    /// How far the model counts where carried paint is known, and where it is not; the rest is carried paint. Measured on
    /// the plate (see [`crate::trust`]).
    #[serde(default)]
    pub model_share: Option<[f32; 2]>,
    /// Values that are not a number in the generated pictures. Must be 0.
    pub nan_count: usize,
    /// Pixels above 1 in linear light, in the source's crop and in the result.
    pub pixels_above_one: [usize; 2],
    /// Training steps of the adapter; null without one.
    pub train_steps: Option<usize>,
    /// Mean wall time of a training step.
    pub train_seconds_per_step: Option<f64>,
    /// Mean loss of the last tenth of the steps.
    pub final_loss: Option<f32>,
    /// Wall time of sampling and decoding.
    pub sample_seconds: f64,
    /// Wall time of the job so far: training too, if this job trained.
    pub wall_seconds: f64,
    /// Largest resident memory of the process, in bytes; null where the system does not say.
    pub peak_memory_bytes: Option<u64>,
    /// Seed of the starting noise.
    pub seed: u64,
    /// Bytes that the job was planned to hold at most, and that its process has held.
    #[serde(default)]
    pub planned_bytes: Option<u64>,
    /// See `plannedBytes`.
    #[serde(default)]
    pub peak_bytes: Option<u64>,
}

/// Measures the generated working frames, one per frame of the shot. Times, memory and training are left to the caller.
///
/// # Errors
/// When sizes do not agree.
pub fn measure(shot: &ShotPackage, edit: &EditPackage, generated: &[Layer]) -> Result<Qc, JobError> {
    let mut figures = Figures::default();
    for (frame, generated) in shot.frames.iter().zip(generated) {
        figures.add(frame, generated, edit.at(frame.number), shot.info.working_space)?;
    }
    Ok(Qc {
        max_diff_outside_mask: figures.max_diff,
        psnr_outside_mask_db: level(figures.outside),
        psnr_in_mask_to_source_db: level(figures.inside),
        psnr_key_in_mask_db: level(figures.key),
        joins: Vec::new(),
        colour_step_elsewhere: None,
        carried_part: None,
        model_share: None,
        nan_count: figures.nan,
        pixels_above_one: figures.above_one,
        train_steps: None,
        train_seconds_per_step: None,
        final_loss: None,
        sample_seconds: 0.0,
        wall_seconds: 0.0,
        peak_memory_bytes: peak_memory(),
        seed: 0,
        planned_bytes: None,
        peak_bytes: None,
    })
}

#[derive(Default)]
struct Figures {
    max_diff: f32,
    outside: SquaredError,
    inside: SquaredError,
    key: SquaredError,
    nan: usize,
    above_one: [usize; 2],
}

impl Figures {
    fn add(
        &mut self,
        frame: &ShotFrame,
        layer: &Layer,
        painted: Option<&Frame>,
        working: WorkingSpace,
    ) -> Result<(), JobError> {
        let (source, comp) = (&frame.source, &frame.comp_mask);
        let (composite, generated) = (composite(frame, layer)?, &layer.picture);
        self.max_diff = self.max_diff.max(metrics::max_abs_diff(&composite, source, Some(comp))?);
        let outside = mask::invert(&frame.generation_mask);
        self.outside = self.outside.joined(SquaredError::of(generated, source, Some(&outside))?);
        self.inside = self.inside.joined(SquaredError::of(generated, source, Some(comp))?);
        if let Some(painted) = painted {
            self.key = self.key.joined(SquaredError::of(generated, painted, Some(comp))?);
        }
        self.nan += metrics::nan_count(generated);
        self.above_one[0] += metrics::above_one(&linear(source, working));
        self.above_one[1] += metrics::above_one(&linear(&composite, working));
        Ok(())
    }
}

/// The generated working frame over the plate, as it will be seen.
pub(crate) fn composite(frame: &ShotFrame, generated: &Layer) -> Result<Frame, JobError> {
    Ok(Composite { generated, crop: generated.picture.rect(), mix: 1.0 }
        .frame(&frame.source, &frame.comp_mask)?)
}

fn level(error: SquaredError) -> Option<f64> {
    (error.values > 0).then(|| error.psnr()).filter(|level| level.is_finite())
}

fn linear(frame: &Frame, working: WorkingSpace) -> Frame {
    let mut linear = frame.clone();
    colour::frame_from_working(&mut linear, ColourSpace::Linear, working);
    linear
}

/// The process's largest resident memory so far, in bytes.
pub fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Writes `qc.json`, `contact.png` and, of a trained adapter, `loss.csv` and `loss.png` into a result's folder.
///
/// # Errors
/// When a file cannot be written.
pub fn write(
    dir: &Path,
    shot: &ShotPackage,
    edit: &EditPackage,
    generated: &[Layer],
    qc: &Qc,
    losses: &[f32],
    held_back: &[HeldBack],
) -> Result<(), JobError> {
    fs::write(dir.join("qc.json"), serde_json::to_vec_pretty(qc)?)?;
    contact_sheet(shot, edit, generated, qc)?.write_png(&dir.join("contact.png"))?;
    if !losses.is_empty() {
        fs::write(dir.join("loss.csv"), losses::csv(losses, held_back))?;
        write_png8(&dir.join("loss.png"), &losses::picture(losses, held_back))?;
    }
    Ok(())
}

fn contact_sheet(
    shot: &ShotPackage,
    edit: &EditPackage,
    generated: &[Layer],
    qc: &Qc,
) -> Result<ContactSheet, JobError> {
    let shown = evenly(shot.frames.len(), SHOWN);
    let display = |frame: &Frame| display(frame, shot.info.working_space);
    let pick = |of: &dyn Fn(usize) -> Frame| shown.iter().map(|&i| of(i)).collect::<Vec<_>>();
    let composites: Vec<Frame> =
        shown.iter().map(|&i| composite(&shot.frames[i], &generated[i])).collect::<Result<_, _>>()?;
    let painted = shown.iter().map(|&i| edit.at(shot.frames[i].number).map(&display));
    Ok(ContactSheet::new("LoRA-Edit result, working size")
        .caption(&caption(qc))
        .headings(shown.iter().map(|&i| shot.frames[i].number))
        .row("source", pick(&|i| display(&shot.frames[i].source)))
        .row("comp mask", pick(&|i| shot.frames[i].comp_mask.to_rgb()))
        .row("generation mask", pick(&|i| shot.frames[i].generation_mask.to_rgb()))
        .row_with_gaps("painted", painted.collect::<Vec<_>>())
        .row("generated", pick(&|i| display(&generated[i].picture)))
        .row("composite", composites.iter().map(&display).collect::<Vec<_>>()))
}

fn caption(qc: &Qc) -> String {
    let level = |db: Option<f64>| db.map_or("-".to_string(), |db| format!("{db:.1} dB"));
    let training = match (qc.train_steps, qc.train_seconds_per_step) {
        (Some(steps), Some(seconds)) => format!("{steps} steps at {seconds:.2} s"),
        _ => "no adapter".to_string(),
    };
    format!(
        "key in mask {}, outside {}, outside after composite {}, {training}, seed {}",
        level(qc.psnr_key_in_mask_db),
        level(qc.psnr_outside_mask_db),
        qc.max_diff_outside_mask,
        qc.seed
    )
}

/// A working frame as it is shown.
pub(crate) fn display(frame: &Frame, working: WorkingSpace) -> Frame {
    colour::to_display(&linear(frame, working), ColourSpace::Linear)
}

/// Up to `most` of `count` indices, from the first to the last.
pub(crate) fn evenly(count: usize, most: usize) -> Vec<usize> {
    let shown = count.min(most);
    (0..shown).map(|i| if shown == 1 { 0 } else { i * (count - 1) / (shown - 1) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lora_edit_shot::package::ShotInfo;
    use lora_edit_shot::{Fit, FrameRange, Rect};

    fn shot() -> ShotPackage {
        let fit = Fit { source_size: [32, 16], crop: Rect::new(0, 0, 32, 16), working_size: [32, 16] };
        let (input_space, working_space) = (ColourSpace::Srgb, WorkingSpace::Srgb);
        let info = ShotInfo { fit, frames: FrameRange::span(1, 5), input_space, working_space };
        let inside = |x1: usize, x2: usize| {
            Frame::from_fn(32, 16, 1, |x, _, p| p[0] = f32::from((x1..x2).contains(&x)))
        };
        let frame = |number| ShotFrame {
            number,
            source: Frame::filled(32, 16, &[0.5, 0.25, 0.75]),
            comp_mask: inside(8, 16),
            generation_mask: inside(4, 20),
        };
        ShotPackage { info, frames: (1..=5).map(frame).collect() }
    }

    #[test]
    fn each_figure_looks_at_its_own_pixels() {
        let shot = shot();
        let painted = Frame::filled(32, 16, &[0.6, 0.35, 0.85]);
        let edit =
            EditPackage { keys: FrameRange::of([1]), frames: vec![painted.clone()], references: Vec::new() };
        // Off by 0.1 inside the comp mask, by 0.01 outside the generation mask, anything between.
        let generated = Frame::from_fn(32, 16, 3, |x, y, p| {
            let error = if (8..16).contains(&x) {
                0.1
            } else if (4..20).contains(&x) {
                0.4
            } else {
                0.01
            };
            p.iter_mut().zip(shot.frames[0].source.pixel(x, y)).for_each(|(to, from)| *to = from + error);
        });
        let qc = measure(&shot, &edit, &vec![generated.into(); 5]).unwrap();
        assert!((qc.psnr_in_mask_to_source_db.unwrap() - 20.0).abs() < 0.01, "{qc:?}");
        assert!((qc.psnr_outside_mask_db.unwrap() - 40.0).abs() < 0.01, "{qc:?}");
        assert!(qc.psnr_key_in_mask_db.is_none_or(|db| db > 100.0), "{qc:?}");
        assert_eq!((qc.max_diff_outside_mask, qc.nan_count), (0.0, 0));
    }

    #[test]
    fn nan_is_counted() {
        let edit = EditPackage { keys: FrameRange::default(), frames: Vec::new(), references: Vec::new() };
        let mut broken = Frame::filled(32, 16, &[0.5; 3]);
        broken.data[7] = f32::NAN;
        assert_eq!(measure(&shot(), &edit, &vec![broken.into(); 5]).unwrap().nan_count, 5);
    }

    #[test]
    fn the_report_is_written_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (shot, picture) = (shot(), Frame::filled(32, 16, &[0.5; 3]));
        let generated = vec![Layer::from(picture.clone()); 5];
        let edit = EditPackage { keys: FrameRange::of([1]), frames: vec![picture], references: Vec::new() };
        let qc = measure(&shot, &edit, &generated).unwrap();
        write(dir.path(), &shot, &edit, &generated, &qc, &[0.5, 0.4], &[]).unwrap();
        let read: Qc = serde_json::from_slice(&fs::read(dir.path().join("qc.json")).unwrap()).unwrap();
        assert_eq!(read, qc);
        for file in ["contact.png", "loss.csv", "loss.png"] {
            assert!(dir.path().join(file).metadata().unwrap().len() > 20, "{file}");
        }
    }

    #[test]
    fn the_sheet_shows_first_and_last() {
        assert_eq!(evenly(25, 6), [0, 4, 9, 14, 19, 24]);
        assert_eq!((evenly(1, 6), evenly(3, 6)), (vec![0], vec![0, 1, 2]));
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(peak_memory().is_none_or(|bytes| bytes > 1 << 20));
    }
}
