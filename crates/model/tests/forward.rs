//! The example `forward` on the fixtures' files: every module, both layouts of files, and the whole denoising loop.
#![allow(clippy::unwrap_used)] // a test may panic

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use clap::Parser;

#[path = "../examples/forward/harness.rs"]
#[allow(dead_code)] // the test uses the flags through the parser
mod harness;
mod support;
use support::{Fixture, assert_close};

const LIMIT: f64 = 1e-4;

/// Writes a fixture's network in diffusers' layout; gives the folder.
fn diffusers_layout(fixture: &Fixture, folder: &Path) -> PathBuf {
    let file = folder.join("diffusion_pytorch_model.safetensors");
    candle_core::safetensors::save(&fixture.model_tensors(), file).unwrap();
    std::fs::write(folder.join("config.json"), fixture.config::<serde_json::Value>().to_string()).unwrap();
    folder.to_owned()
}

/// The same under official names; gives the file, beside which `config.json` lies.
fn official_file(fixture: &Fixture, folder: &Path) -> PathBuf {
    let names = fixture.names();
    let tensors: HashMap<_, _> =
        fixture.model_tensors().into_iter().map(|(name, t)| (names[&name].clone(), t)).collect();
    let file = folder.join("wan.safetensors");
    candle_core::safetensors::save(&tensors, &file).unwrap();
    std::fs::write(folder.join("config.json"), fixture.config::<serde_json::Value>().to_string()).unwrap();
    file
}

/// Runs the program's code with `arguments`, as words, and gives its output.
fn run(
    module: &str,
    weights: &Path,
    inputs: &[(&str, Tensor)],
    arguments: &[&str],
) -> anyhow::Result<Tensor> {
    let folder = tempfile::tempdir()?;
    let (input, output) = (folder.path().join("in.safetensors"), folder.path().join("out.safetensors"));
    candle_core::safetensors::save(&inputs.iter().cloned().collect::<HashMap<_, _>>(), &input)?;
    let paths = [("--weights", weights), ("--input", &input), ("--output", &output)];
    let paths = paths.iter().flat_map(|(flag, path)| [(*flag).to_owned(), path.display().to_string()]);
    let words = ["forward", module].into_iter().map(str::to_owned).chain(paths);
    harness::run(&harness::Args::try_parse_from(
        words.chain(arguments.iter().map(|&word| word.to_owned())),
    )?)?;
    Ok(candle_core::safetensors::load(&output, &Device::Cpu)?["output"].clone())
}

/// The network in both layouts.
fn layouts(fixture: &Fixture) -> (tempfile::TempDir, [PathBuf; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("diffusers"), folder.path().join("official"));
    [&one, &two].into_iter().for_each(|path| std::fs::create_dir(path).unwrap());
    let paths = [diffusers_layout(fixture, &one), official_file(fixture, &two)];
    (folder, paths)
}

#[test]
fn every_transformer_runs_from_both_layouts() {
    for (name, image) in
        [("transformer_flf2v", true), ("transformer_ti2v", false), ("transformer_t2v", false)]
    {
        let fixture = Fixture::read(name);
        let (_folder, paths) = layouts(&fixture);
        let mut names = vec!["hidden_states", "timestep", "encoder_hidden_states"];
        names.extend(image.then_some("encoder_hidden_states_image"));
        let inputs: Vec<_> = names.into_iter().map(|name| (name, fixture.tensor(name))).collect();
        for path in paths {
            let out = run("transformer", &path, &inputs, &[]).unwrap();
            assert_close(&path.display().to_string(), &out, &fixture.tensor("out"), LIMIT);
        }
    }
}

#[test]
fn both_vaes_encode_and_decode_from_both_layouts() {
    for name in ["vae_21_odd", "vae_22"] {
        let fixture = Fixture::read(name);
        let (_folder, paths) = layouts(&fixture);
        let pixels = fixture.tensor("pixels").narrow(2, 0, 9).unwrap().to_dtype(DType::F32).unwrap();
        let video = ((pixels / 127.5).unwrap() - 1.0).unwrap();
        for path in paths {
            let latent = run("vae-encode", &path, &[("sample", video.clone())], &[]).unwrap();
            assert_close(name, &latent, &fixture.tensor("latent_9_stored"), LIMIT);
            let pixels = run("vae-decode", &path, &[("latents", fixture.tensor("latent_in"))], &[]).unwrap();
            assert_close(name, &pixels, &fixture.tensor("decoded_stored"), LIMIT);
        }
    }
}

#[test]
fn both_encoders_run_from_a_folder_and_from_a_file() {
    // The arguments' names, and what the fixture calls them.
    for (module, names) in [
        ("umt5", &[("input_ids", "input_ids"), ("attention_mask", "attention_mask")][..]),
        ("clip", &[("pixel_values", "pixel_values_large")][..]),
    ] {
        let fixture = Fixture::read(module);
        let inputs: Vec<_> = names.iter().map(|&(name, stored)| (name, fixture.tensor(stored))).collect();
        let temporary = tempfile::tempdir().unwrap();
        let folder = diffusers_layout(&fixture, temporary.path());
        // Official names are the business of `umt5.rs` and `clip.rs`.
        for path in [folder.join("diffusion_pytorch_model.safetensors"), folder] {
            let out = run(module, &path, &inputs, &[]).unwrap();
            assert_close(module, &out, &fixture.tensor("output"), LIMIT);
        }
    }
}

/// One run of diffusers' pipeline out of `loops`, and the inputs it began with.
fn pipeline_run(name: &str) -> (Vec<(&'static str, Tensor)>, Tensor) {
    let fixture = Fixture::read("loops");
    let names = ["latents", "condition", "encoder_hidden_states", "negative_encoder_hidden_states"];
    let mut inputs: Vec<_> =
        names.into_iter().map(|key| (key, fixture.tensor(&format!("{name}.{key}")))).collect();
    if name == "clip" {
        inputs.push(("encoder_hidden_states_image", fixture.tensor("clip.encoder_hidden_states_image")));
    }
    (inputs, fixture.tensor(&format!("{name}.out")))
}

#[test]
fn two_experts_sample_as_diffusers_pipeline() {
    let fixture = Fixture::read("transformer_i2v");
    let (_folder, [high, _]) = layouts(&fixture);
    let low_folder = tempfile::tempdir().unwrap();
    let low = diffusers_layout(&fixture, low_folder.path());
    let mut tensors = fixture.model_tensors();
    // The other network of `make_variants.py`.
    let turned = tensors["proj_out.weight"].neg().unwrap();
    tensors.insert("proj_out.weight".into(), turned);
    candle_core::safetensors::save(&tensors, low.join("diffusion_pytorch_model.safetensors")).unwrap();
    let (inputs, expected) = pipeline_run("experts");
    let low = low.display().to_string();
    let flags = ["--schedule", "diffusers", "--steps", "6", "--guidance", "3.5", "--low-guidance", "2"];
    let out = run("sample", &high, &inputs, &[&flags[..], &["--low-weights", &low]].concat()).unwrap();
    assert_close("two experts", &out, &expected, LIMIT);
    let one = run("sample", &high, &inputs, &flags).unwrap();
    assert!(support::relative_error(&one, &expected) > 0.01, "the second expert makes no difference");
}

#[test]
fn known_first_frames_sample_as_diffusers_pipeline_with_the_published_scheduler() {
    let (_folder, [_, weights]) = layouts(&Fixture::read("transformer_ti2v"));
    let (inputs, expected) = pipeline_run("known");
    let out = run("sample", &weights, &inputs, &["--steps", "4"]).unwrap();
    assert_close("known frames", &out, &expected, LIMIT);
}

#[test]
fn clip_states_sample_as_diffusers_pipeline_without_guidance() {
    let (_folder, [weights, _]) = layouts(&Fixture::read("transformer_i2v_clip"));
    let (inputs, expected) = pipeline_run("clip");
    let flags =
        ["--sampler", "euler", "--schedule", "diffusers", "--steps", "3", "--shift", "3", "--guidance", "1"];
    let out = run("sample", &weights, &inputs, &flags).unwrap();
    assert_close("with CLIP", &out, &expected, LIMIT);
    let flags = [&flags[..], &["--step-cache", "0"]].concat();
    assert_close("cache off", &run("sample", &weights, &inputs, &flags).unwrap(), &out, 0.0);
}

#[test]
fn what_is_missing_is_named() {
    let (_folder, [weights, _]) = layouts(&Fixture::read("transformer_t2v"));
    let message =
        |inputs: &[(&str, Tensor)]| run("transformer", &weights, inputs, &[]).unwrap_err().to_string();
    let x = Tensor::zeros((1, 16, 1, 2, 2), DType::F32, &Device::Cpu).unwrap();
    assert!(message(&[]).contains("no hidden_states in the input file"));
    assert!(message(&[("hidden_states", x.to_dtype(DType::U8).unwrap())]).contains("not a float"));
    assert!(message(&[("hidden_states", x)]).contains("no encoder_hidden_states"));
}
