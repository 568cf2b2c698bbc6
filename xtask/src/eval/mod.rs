//! `cargo xtask eval`: procedural shots with known edited truth, edited by the product and by what is done without a
//! model, all scored alike.

mod ablation;
mod answer;
mod ceiling;
mod flow;
mod geometry;
mod letters;
mod material;
mod noise;
mod palette;
mod product;
mod repaint;
mod report;
mod scene;
mod score;
mod seeds;
mod sheet;
mod shot;
mod texture;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use lora_edit_shot::Frame;
use serde_json::json;

use crate::bundle::{Built, cargo_build, program};
use ablation::Variants;
use answer::{Answer, Clip, display};
use ceiling::Vae;
use flow::Flow;
use product::{Product, Times};
use report::{Report, ShotReport};
use scene::Kind;
use score::Figures;
use seeds::Split;
use shot::{Format, Shot};

/// What the command line can change.
#[derive(Args)]
pub struct Options {
    /// Folder that receives shots, results, contact sheets, eval.md and eval.json
    #[arg(long, default_value = "target/eval")]
    out: PathBuf,
    /// Which shots: `test` for figures that are reported, `train` for choosing settings
    #[arg(long, value_enum, default_value_t = Split::Test)]
    split: Split,
    /// Kinds of shots, with commas [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    kinds: Vec<Kind>,
    /// Shots of each kind
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    seeds: u32,
    /// Index of the first shot
    #[arg(long, default_value_t = 0)]
    first_seed: u32,
    /// Picture size
    #[arg(long, default_value = "384x224", value_parser = size)]
    size: [usize; 2],
    /// Frames of each shot
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(2..))]
    frames: u32,
    /// Only what needs no model: minutes less
    #[arg(long)]
    baselines: bool,
    /// Measure what the model's VAE alone does to the truth, with --baselines too
    #[arg(long)]
    ceiling: bool,
    /// Run the product in variants, to see what each part of the method is worth, and nothing else: hours on two cores
    #[arg(long, value_enum, value_name = "VARIANTS", num_args = 0..=1, default_missing_value = "all", conflicts_with = "baselines")]
    ablation: Option<Variants>,
    /// The program `lora-edit`, built already [default: built now]
    #[arg(long)]
    engine: Option<PathBuf>,
    /// The base model
    #[arg(long, default_value = "nano")]
    model: String,
    /// Folder in which base models lie [default: the embedded model's]
    #[arg(long)]
    model_dir: Option<PathBuf>,
    /// Cargo profile to build the product with
    #[arg(long, default_value = "dev")]
    profile: String,
    /// Flags for `lora-edit edit`, after `--`
    #[arg(last = true)]
    flags: Vec<String>,
}

fn size(text: &str) -> Result<[usize; 2], String> {
    let sides = text.split_once('x').and_then(|(w, h)| Some([w.parse().ok()?, h.parse().ok()?]));
    sides.filter(|[w, h]| *w >= 64 && *h >= 48).ok_or_else(|| "WIDTHxHEIGHT, at least 64x48".into())
}

impl Options {
    fn format(&self) -> Format {
        Format { size: self.size, frames: self.frames as usize }
    }

    fn indices(&self) -> std::ops::Range<u32> {
        self.first_seed..self.first_seed + self.seeds
    }

    fn kinds(&self) -> Vec<Kind> {
        if self.kinds.is_empty() { Kind::ALL.to_vec() } else { self.kinds.clone() }
    }

    fn settings(&self) -> String {
        let [width, height] = self.size;
        let (split, seeds) = (if self.split == Split::Test { "test" } else { "train" }, self.seeds);
        let flags = if self.flags.is_empty() { "the default recipe".into() } else { self.flags.join(" ") };
        let product =
            if self.baselines { "no product run".into() } else { format!("model `{}`, {flags}", self.model) };
        format!(
            "{split} split, {seeds} shot(s) of each kind from index {}, {} frames of {width}x{height}; {product}.",
            self.first_seed, self.frames
        )
    }
}

/// Renders, edits and scores all shots asked for; fails when the product changed the plate outside the mask.
///
/// # Errors
/// A build or a program that fails, files that cannot be written.
pub fn run(options: &Options) -> Result<()> {
    std::fs::create_dir_all(&options.out)?;
    let out = options.out.canonicalize()?;
    let bench = Bench::prepare(options, &out)?;
    if let (Some(variants), Some(product)) = (options.ablation, &bench.product) {
        return ablation::run(options, variants, &out, product);
    }
    let mut report = Report { settings: options.settings(), missing: bench.missing(), shots: Vec::new() };
    report.missing.iter().for_each(|line| eprintln!("not measured: {line}"));
    for kind in options.kinds() {
        for index in options.indices() {
            report.shots.push(bench.shot(kind, index).with_context(|| format!("{} {index}", kind.name()))?);
            // After each shot, so that a long run that is stopped leaves what it has.
            write(&out, &report)?;
        }
    }
    println!("{}", report.markdown());
    println!("Look at {}", out.join("KIND-INDEX.png").display());
    let outside = report.outside();
    ensure!(outside == 0.0, "the plate changed outside the mask by {outside}");
    Ok(())
}

fn write(out: &Path, report: &Report) -> Result<()> {
    std::fs::write(out.join("eval.md"), report.markdown())?;
    let figures = json!({ "settings": report.settings, "missing": report.missing, "shots": report.shots });
    std::fs::write(out.join("eval.json"), serde_json::to_string_pretty(&figures)? + "\n")?;
    Ok(())
}

/// Everything that answers.
struct Bench<'a> {
    options: &'a Options,
    out: &'a Path,
    flow: Result<Flow, String>,
    product: Option<Product>,
    vae: Option<Vae>,
}

impl<'a> Bench<'a> {
    fn prepare(options: &'a Options, out: &'a Path) -> Result<Self> {
        let root = crate::root().canonicalize()?;
        let models = options.model_dir.clone().unwrap_or_else(|| product::embedded_models(&root));
        let product = (!options.baselines).then(|| {
            Ok::<_, anyhow::Error>(Product {
                engine: match &options.engine {
                    Some(engine) => engine.canonicalize()?,
                    None => Built::build(&options.profile)?.engine,
                },
                models: models.clone(),
                model: options.model.clone(),
                cache: out.join("cache"),
                flags: options.flags.clone(),
            })
        });
        let vae = options.ceiling.then(|| {
            let selection = ["--package", "lora-edit-model", "--example", "forward"];
            let messages = cargo_build(&selection, &options.profile)?;
            let weights = models.join(&options.model).join("vae");
            Ok::<_, anyhow::Error>(Vae { program: program(&messages, "forward")?, weights })
        });
        Ok(Self {
            options,
            out,
            flow: Flow::find(&root),
            product: product.transpose()?,
            vae: vae.transpose()?,
        })
    }

    fn missing(&self) -> Vec<String> {
        let flow = self.flow.as_ref().err().map(|why| format!("flow-carried: {why}"));
        let product = self.product.is_none().then(|| "ours, without LoRA: --baselines".to_string());
        let vae = self.vae.is_none().then(|| "VAE alone: asked for by --ceiling".to_string());
        [flow, product, vae].into_iter().flatten().collect()
    }

    /// Renders a shot, gathers all answers, scores them and draws the contact sheet.
    fn shot(&self, kind: Kind, index: u32) -> Result<ShotReport> {
        let shot = Shot::render(kind, self.options.split, index, self.options.format());
        let (answers, times) = self.answers(&shot)?;
        let truth: Vec<Frame> = shot.truth.iter().map(display).collect();
        let score = |(answer, clip): (&Answer, &Clip)| Ok((*answer, Figures::of(&shot, clip, &truth)?));
        let figures = answers.iter().map(score).collect::<Result<BTreeMap<_, _>>>()?;
        let report = ShotReport { kind, index, figures, times };
        let sheet = sheet::contact_sheet(&shot, &answers, &report);
        sheet.write_png(&self.out.join(format!("{}.png", shot.name())))?;
        eprintln!("{}", summary(&shot, &report));
        Ok(report)
    }

    fn answers(&self, shot: &Shot) -> Result<(BTreeMap<Answer, Clip>, Option<Times>)> {
        let folder = self.out.join("shots").join(shot.name());
        let mut answers: BTreeMap<Answer, Clip> = answer::simple(shot).into_iter().collect();
        let mut times = None;
        answers.extend(answer::carried(shot));
        if let Ok(flow) = &self.flow {
            answers.extend(flow.carry(&crate::root(), shot, &folder.join("flow"))?);
        }
        if let Some(vae) = &self.vae {
            answers.extend([vae.ceiling(shot, &folder.join("vae"))?]);
        }
        if let Some(product) = &self.product {
            let (made, took) = product.edit(shot, &shot.write(&folder)?)?;
            answers.extend(made);
            times = Some(took);
        }
        Ok((answers, times))
    }
}

/// What is said while the run goes on.
fn summary(shot: &Shot, report: &ShotReport) -> String {
    let said = report.figures.iter().filter(|(answer, _)| **answer != Answer::Truth);
    let said = said.map(|(answer, figures)| format!("{answer:?} {:.2}", figures.psnr));
    format!("{}: {} dB", shot.name(), said.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(size("384x224"), Ok([384, 224]));
        assert!(size("384").is_err() && size("10x10").is_err() && size("ax5").is_err());
    }
}
