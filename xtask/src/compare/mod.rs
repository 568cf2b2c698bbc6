//! `cargo xtask compare`: stage 1 alone, stage 2 with a later key, and small training windows, on shots whose edited
//! truth is known.

mod measure;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::bundle::Built;
use crate::demo::emptied;
use crate::demo::scene::Motion;
use crate::demo::shot::{DemoShot, FIRST};
use measure::Figures;

/// What the comparison's command line can change.
#[derive(Args)]
pub struct Options {
    /// Folder that receives shots, results, figures and contact sheets (emptied first, unless --keep)
    #[arg(long, default_value = "target/compare")]
    out: PathBuf,
    /// Frames of each shot; the later key is the middle one
    #[arg(long, default_value_t = 17)]
    frames: usize,
    /// Which motions, counted from 0, instead of all
    #[arg(long, value_delimiter = ',')]
    motions: Vec<usize>,
    /// Go on in the folder: what its caches hold is not trained or generated again
    #[arg(long)]
    keep: bool,
    /// Training steps of stage 1 instead of the model's
    #[arg(long)]
    train_steps: Option<u32>,
    /// The program lora-edit, instead of building it
    #[arg(long)]
    engine: Option<PathBuf>,
    /// Cargo profile to build it with
    #[arg(long, default_value = "dev")]
    profile: String,
}

/// One way to do the same edit.
struct Variant {
    name: &'static str,
    folder: &'static str,
    /// Whether the middle frame is painted too.
    later_key: bool,
    flags: &'static [&'static str],
}

const VARIANTS: [Variant; 6] = [
    Variant { name: "no adapter", folder: "none", later_key: false, flags: &["--without-adapter"] },
    Variant { name: "stage 1", folder: "stage1", later_key: false, flags: &[] },
    Variant {
        name: "stage 1, 9-frame windows",
        folder: "windows9",
        later_key: false,
        flags: &["--train-window", "9"],
    },
    Variant {
        name: "stage 1, a later key anchored",
        folder: "anchored",
        later_key: true,
        flags: &["--stage2-epochs", "0"],
    },
    Variant {
        name: "stage 1 + 2, the later key learnt too",
        folder: "stage2",
        later_key: true,
        flags: &["--stage2-epochs", "10", "--stage2-rate", "1"],
    },
    Variant {
        name: "the same, stage 2 at a tenth of the rate",
        folder: "stage2_gently",
        later_key: true,
        flags: &["--stage2-epochs", "10", "--stage2-rate", "0.1"],
    },
];

/// One cell of the table.
struct Outcome {
    figures: Figures,
    summary: Value,
}

/// Renders the shots, does every variant, prints the table and writes `table.md` and `figures.json`.
///
/// # Errors
/// A failed build or run, and a plate that changed outside the mask.
pub fn run(options: &Options) -> Result<()> {
    let out = if options.keep { made(&options.out)? } else { emptied(&options.out)? };
    let engine = match &options.engine {
        Some(engine) => engine.canonicalize().with_context(|| engine.display().to_string())?,
        None => Built::build(&options.profile)?.engine,
    };
    let mut rows = Vec::new();
    let chosen = |index: &usize| options.motions.is_empty() || options.motions.contains(index);
    for (_, motion) in Motion::ALL.iter().enumerate().filter(|(index, _)| chosen(index)) {
        let folder = out.join(motion.name.replace(' ', "_"));
        let middle = FIRST + options.frames as i32 / 2;
        let shot = DemoShot::render(&folder.join("shot"), options.frames, motion, &[FIRST, middle])?;
        let bench = Bench { engine: &engine, folder: &folder, shot: &shot, middle, options };
        for variant in &VARIANTS {
            let outcome =
                bench.play(variant).with_context(|| format!("{}: {}", motion.name, variant.name))?;
            println!("{}: {}: {}", motion.name, variant.name, outcome.figures);
            rows.push((motion.name, variant.name, outcome));
        }
    }
    let table = table(&rows);
    std::fs::write(out.join("table.md"), &table)?;
    std::fs::write(out.join("figures.json"), serde_json::to_string_pretty(&json_of(&rows))?)?;
    println!("\n{table}");
    let worst = rows.iter().map(|row| row.2.figures.outside).fold(0.0, f32::max);
    ensure!(worst == 0.0, "the plate changed outside the mask by {worst}");
    Ok(())
}

fn made(folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    Ok(folder.canonicalize()?)
}

/// One shot and all that its variants need.
struct Bench<'a> {
    engine: &'a Path,
    folder: &'a Path,
    shot: &'a DemoShot,
    middle: i32,
    options: &'a Options,
}

impl Bench<'_> {
    /// Runs the variant; stage 1 is shared by all that have the same, through the cache.
    fn play(&self, variant: &Variant) -> Result<Outcome> {
        let output = self.folder.join(variant.folder).join("result.%04d.exr").display().to_string();
        let keys = if variant.later_key { format!("{FIRST},{}", self.middle) } else { FIRST.to_string() };
        let mut command = Command::new(self.engine);
        command
            .args(["edit", "--json", "--model", "nano", "--model-dir"])
            .arg(crate::root().join("bundle/models").canonicalize()?)
            .args(["--input-space", "linear", "--edit-space", "linear", "--seed", "1", "--keys", &keys])
            .args(["--source", &self.shot.pattern("source"), "--mask", &self.shot.pattern("mask")])
            .args(["--edited", &self.shot.pattern("edited"), "--output", &output])
            .args(["--frames", &format!("{FIRST}-{}", self.shot.last()), "--cache"])
            .arg(self.folder.join("cache"))
            .args(variant.flags);
        if let Some(steps) = self.options.train_steps {
            command.args(["--train-steps", &steps.to_string()]);
        }
        let ended = command.stderr(Stdio::inherit()).output().context("lora-edit does not start")?;
        ensure!(ended.status.success(), "lora-edit failed ({})", ended.status);
        let last = String::from_utf8(ended.stdout)?.lines().last().map(serde_json::from_str::<Value>);
        let summary = last.context("lora-edit said nothing")??;
        let sheet = summary["resultFolder"].as_str().context("a result folder")?;
        let sheet_copy = self.folder.join(format!("{}.png", variant.folder));
        std::fs::copy(self.folder.join(sheet).join("contact.png"), sheet_copy)?;
        let figures = measure::figures(self.shot, &output, &[FIRST, self.middle])?;
        Ok(Outcome { figures, summary })
    }
}

fn table(rows: &[(&str, &str, Outcome)]) -> String {
    let head = "| shot | way | in-mask PSNR, dB | last quarter | training steps | seconds per step |\n|---|---|--:|--:|--:|--:|\n";
    let line = |(motion, variant, outcome): &(&str, &str, Outcome)| {
        let qc = &outcome.summary["qc"];
        let (steps, seconds) = (qc["trainSteps"].as_u64(), qc["trainSecondsPerStep"].as_f64());
        let shown = |text: Option<String>| text.unwrap_or("-".to_owned());
        format!(
            "| {motion} | {variant} | {:.2} | {:.2} | {} | {} |\n",
            outcome.figures.all,
            outcome.figures.last_quarter,
            shown(steps.map(|steps| steps.to_string())),
            shown(seconds.map(|seconds| format!("{seconds:.2}"))),
        )
    };
    std::iter::once(head.to_owned()).chain(rows.iter().map(line)).collect()
}

fn json_of(rows: &[(&str, &str, Outcome)]) -> Value {
    let row = |(motion, variant, outcome): &(&str, &str, Outcome)| {
        json!({
            "motion": motion,
            "variant": variant,
            "psnrInMaskDb": outcome.figures.all,
            "psnrInMaskLastQuarterDb": outcome.figures.last_quarter,
            "qc": outcome.summary["qc"],
        })
    };
    rows.iter().map(row).collect()
}
