//! `cargo demo`: the main job on a procedural shot whose edited truth is known, measured.

mod host;
mod measure;
mod picture;
pub mod scene;
pub mod shot;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::bundle::Built;
use measure::Figures;
use scene::Motion;

/// What the demo's command line can change.
#[derive(Args)]
pub struct Options {
    /// Folder that receives frames, pictures and figures (emptied first)
    #[arg(long, default_value = "target/demo")]
    out: PathBuf,
    /// A short run that checks the way, not the quality: fewer frames and steps
    #[arg(long)]
    reduced: bool,
    /// Training steps instead of the node's default
    #[arg(long)]
    train_steps: Option<u32>,
    /// Sampling steps instead of the node's default
    #[arg(long)]
    sampler_steps: Option<u32>,
    /// Cargo profile to build the bundle with
    #[arg(long, default_value = "dev")]
    profile: String,
}

impl Options {
    fn frames(&self) -> usize {
        if self.reduced { 5 } else { 17 }
    }

    fn train_steps(&self) -> Option<u32> {
        self.train_steps.or(self.reduced.then_some(8))
    }

    fn sampler_steps(&self) -> Option<u32> {
        self.sampler_steps.or(self.reduced.then_some(4))
    }
}

/// Builds, renders, runs, measures; fails when the plate outside the mask is not the plate's own bits.
pub fn run(options: &Options) -> Result<()> {
    let out = emptied(&options.out)?;
    let built = Built::build(&options.profile)?;
    let bundle = crate::bundle::bundle(&built, &out.join("bundle"))?;

    let clock = Instant::now();
    let shot = shot::DemoShot::render(&out.join("shot"), options.frames(), &Motion::TRAVEL, &[shot::FIRST])?;
    let stage = host::Stage { bundle: &bundle, host: &built.host, out: &out, shot: &shot, options };
    let runs = stage.play()?;
    let frames = measure::read(&shot, &runs.result, &runs.without_lora)?;
    let figures = measure::figures(&frames)?;
    picture::contact_sheet(&frames, &figures)?.write_png(&out.join("contact.png"))?;
    std::fs::copy(runs.result_folder.join("loss.png"), out.join("loss.png"))
        .context("the result's loss.png")?;

    let qc: Value = serde_json::from_slice(&std::fs::read(runs.result_folder.join("qc.json"))?)?;
    let report = report(&figures, &qc, clock.elapsed().as_secs_f64());
    std::fs::write(out.join("report.json"), serde_json::to_string_pretty(&report)? + "\n")?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    println!("Look at {}", out.join("contact.png").display());
    println!("        {}", out.join("loss.png").display());
    ensure!(figures.outside == 0.0, "the plate changed outside the mask by {}", figures.outside);
    Ok(())
}

/// Renders the demo's shot into `folder` and nothing else.
pub fn shot(folder: &Path, frames: usize) -> Result<()> {
    shot::DemoShot::render(folder, frames, &Motion::TRAVEL, &[shot::FIRST]).map(drop)
}

fn report(figures: &Figures, qc: &Value, total_seconds: f64) -> Value {
    let decibels = |value: f64| (value * 100.0).round() / 100.0;
    json!({
        "psnr_in_mask_db": decibels(figures.result),
        "psnr_in_mask_last_quarter_db": decibels(figures.result_last_quarter),
        "psnr_no_edit_db": decibels(figures.no_edit),
        "psnr_first_frame_held_db": decibels(figures.first_frame_held),
        "psnr_without_lora_db": decibels(figures.without_lora),
        "max_diff_outside_mask": figures.outside,
        "train_seconds_per_step": qc["trainSecondsPerStep"],
        "train_steps": qc["trainSteps"],
        "sample_seconds": qc["sampleSeconds"],
        "total_seconds": (total_seconds * 10.0).round() / 10.0,
    })
}

/// The folder, made anew with nothing in it; its absolute path.
pub fn emptied(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("{} cannot be emptied", folder.display()))?;
    }
    std::fs::create_dir_all(folder)?;
    Ok(folder.canonicalize()?)
}
