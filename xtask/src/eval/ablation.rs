//! What each part of the method is worth: the product in variants, each with one part left out or changed.

use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use lora_edit_shot::Frame;
use serde_json::json;

use super::Options;
use super::answer::display;
use super::product::Product;
use super::report::table_line;
use super::scene::Kind;
use super::score::Figures;
use super::shot::Shot;

/// Which variants are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Variants {
    /// Both
    All,
    /// The method as published, nothing carried
    Alone,
    /// The product, paint carried
    Carried,
}

/// A way to run the product.
pub struct Variant {
    name: &'static str,
    flags: &'static [&'static str],
}

const fn variant(name: &'static str, flags: &'static [&'static str]) -> Variant {
    Variant { name, flags }
}

/// The method as published, nothing carried: whole first, then with one thing changed.
const ALONE: [Variant; 12] = [
    variant("the method alone: rank 16, 100 steps", &[]),
    variant("without LoRA", &["--without-adapter"]),
    variant("without the mask condition", &["--shown", "first-frame"]),
    variant("the same, without LoRA", &["--shown", "first-frame", "--without-adapter"]),
    variant("without the first frame", &["--shown", "surroundings"]),
    variant("without recoloured variants", &["--look-variants", "0"]),
    variant("rank 4", &["--rank", "4"]),
    variant("rank 64", &["--rank", "64"]),
    variant("25 steps", &["--train-steps", "25"]),
    variant("300 steps", &["--train-steps", "300"]),
    variant("windows of 9 frames", &["--train-window", "9"]),
    variant("windows of 5 frames", &["--train-window", "5"]),
];

/// The product, paint carried.
const CARRIED: [Variant; 8] = [
    variant("carried: rank 16, 100 steps", &[]),
    variant("carried, without LoRA", &["--without-adapter"]),
    variant("carried, rank 4", &["--rank", "4"]),
    variant("carried, rank 64", &["--rank", "64"]),
    variant("carried, 25 steps", &["--train-steps", "25"]),
    variant("carried, 300 steps", &["--train-steps", "300"]),
    variant("carried, windows of 9 frames", &["--train-window", "9"]),
    variant("carried, without recoloured variants", &["--look-variants", "0"]),
];

/// In-mask PSNR of a variant on each shot.
struct Row {
    name: &'static str,
    psnr: Vec<f64>,
}

/// Runs every variant on every shot; writes ablation.md and ablation.json as it goes.
///
/// # Errors
/// A program that fails, files that cannot be written.
pub fn run(options: &Options, variants: Variants, out: &Path, product: &Product) -> Result<()> {
    let shots: Vec<Shot> = options
        .kinds()
        .into_iter()
        .flat_map(|kind| options.indices().map(move |index| (kind, index)))
        .map(|(kind, index)| Shot::render(kind, options.split, index, options.format()))
        .collect();
    let kinds: Vec<(Kind, u32)> = shots.iter().map(|shot| (shot.kind, shot.index)).collect();
    let mut rows = Vec::new();
    let alone = ALONE.iter().filter(|_| variants != Variants::Carried);
    let alone = alone.map(|variant| (variant, Some("--carry=false")));
    let carried = CARRIED.iter().filter(|_| variants != Variants::Alone);
    for (variant, more) in alone.chain(carried.map(|variant| (variant, None))) {
        let flags: Vec<&str> = more.into_iter().chain(variant.flags.iter().copied()).collect();
        let psnr = shots.iter().map(|shot| {
            psnr(out, product, shot, &flags).with_context(|| format!("{}: {}", shot.name(), variant.name))
        });
        rows.push(Row { name: variant.name, psnr: psnr.collect::<Result<_>>()? });
        write(options, out, &kinds, &rows)?;
    }
    println!("{}", markdown(&options.settings(), &kinds, &rows));
    Ok(())
}

fn psnr(out: &Path, product: &Product, shot: &Shot, flags: &[&str]) -> Result<f64> {
    let files = shot.write(&out.join("shots").join(shot.name()))?;
    product.run(shot, &files, "variant", flags)?;
    let truth: Vec<Frame> = shot.truth.iter().map(display).collect();
    let psnr = Figures::of(shot, &files.read("variant", &shot.format)?, &truth)?.psnr;
    eprintln!("{} {}: {psnr:.2} dB", shot.name(), flags.join(" "));
    Ok(psnr)
}

fn write(options: &Options, out: &Path, kinds: &[(Kind, u32)], rows: &[Row]) -> Result<()> {
    std::fs::write(out.join("ablation.md"), markdown(&options.settings(), kinds, rows))?;
    let shots: Vec<String> = kinds.iter().map(|(kind, index)| format!("{}-{index}", kind.name())).collect();
    let variants: Vec<_> = rows.iter().map(|row| json!({ "name": row.name, "psnr": row.psnr })).collect();
    let figures = json!({ "settings": options.settings(), "shots": shots, "variants": variants });
    std::fs::write(out.join("ablation.json"), serde_json::to_string_pretty(&figures)? + "\n")?;
    Ok(())
}

/// Variants down, kinds across, each the mean over its shots.
fn markdown(settings: &str, shots: &[(Kind, u32)], rows: &[Row]) -> String {
    let mut kinds: Vec<Kind> = shots.iter().map(|(kind, _)| *kind).collect();
    kinds.dedup();
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    let mut text = format!(
        "{settings}\n\nIn-mask PSNR over frames 2 to the last, in dB:\n\n| variant | {} | average |\n|---|{}\n",
        names.join(" | "),
        "--:|".repeat(kinds.len() + 1)
    );
    for row in rows {
        let of = |kind: &Kind| {
            let own = shots.iter().zip(&row.psnr).filter(|((own, _), _)| own == kind).map(|(_, psnr)| *psnr);
            mean(own.collect())
        };
        let each: Vec<f64> = kinds.iter().map(of).collect();
        let all: Vec<Option<f64>> = each.iter().copied().chain([mean(each.clone())]).map(Some).collect();
        text += &table_line(row.name, &all);
    }
    text
}

fn mean(values: Vec<f64>) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shots_of_a_kind_are_averaged_and_kinds_count_alike() {
        let shots = [(Kind::Plane, 0), (Kind::Plane, 1), (Kind::Ball, 0)];
        let rows = [Row { name: "whole", psnr: vec![20.0, 24.0, 16.0] }];
        let text = markdown("two kinds", &shots, &rows);
        assert!(
            text.starts_with("two kinds\n") && text.contains("| variant | plane | ball | average |"),
            "{text}"
        );
        assert!(text.ends_with("| whole | 22.00 | 16.00 | 19.00 |\n"), "{text}");
    }

    #[test]
    fn no_variant_is_named_or_run_twice() {
        let all = || ALONE.iter().chain(&CARRIED);
        let names: std::collections::BTreeSet<_> = all().map(|variant| variant.name).collect();
        assert_eq!(names.len(), ALONE.len() + CARRIED.len());
        for list in [&ALONE[..], &CARRIED[..]] {
            let flags: std::collections::BTreeSet<_> = list.iter().map(|variant| variant.flags).collect();
            assert_eq!(flags.len(), list.len());
        }
    }
}
