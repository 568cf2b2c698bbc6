//! The example `train_step` on peft's fixtures: loss and gradients plain, recomputed and offloaded, from both kinds of
//! files and every spelling of the adapter.
#![allow(clippy::unwrap_used)] // tests

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use clap::Parser;

#[path = "../examples/train_step/harness.rs"]
#[allow(dead_code)] // the test uses the flags through the parser
mod harness;
mod support;
use support::{Fixture, path, relative_error, values};

const WAYS: [&[&str]; 4] = [&[], &["--recompute"], &["--offload"], &["--recompute", "--offload"]];

/// A fixture written as the files that the program takes.
struct Files {
    folder: tempfile::TempDir,
    weights: PathBuf,
}

impl Files {
    /// The network with weights of `dtype`, `config.json` beside them.
    fn of(fixture: &Fixture, dtype: DType) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let weights = folder.path().join("transformer");
        std::fs::create_dir(&weights).unwrap();
        let model =
            fixture.below("model.").into_iter().map(|(k, t)| (k, t.to_dtype(dtype).unwrap())).collect();
        write(&weights.join("diffusion_pytorch_model.safetensors"), &model);
        std::fs::write(weights.join("config.json"), fixture.metadata("config")).unwrap();
        let mut input = HashMap::from([
            ("latents".to_owned(), fixture.tensor("x1")),
            ("noise".into(), fixture.tensor("noise")),
            ("condition".into(), fixture.tensor("condition")),
            ("timestep".into(), (fixture.tensor("time") * 1000.0).unwrap()),
            ("encoder_hidden_states".into(), fixture.tensor("text")),
        ]);
        input.extend(fixture.image().map(|image| ("encoder_hidden_states_image".into(), image)));
        write(&folder.path().join("in.safetensors"), &input);
        Self { folder, weights }
    }

    fn run(&self, adapter: &Path, flags: &[&str]) -> anyhow::Result<HashMap<String, Tensor>> {
        let at = |name: &str| self.folder.path().join(name);
        let output = at("out.safetensors");
        let paths = [
            ("--weights", self.weights.clone()),
            ("--adapter", adapter.to_owned()),
            ("--input", at("in.safetensors")),
            ("--output", output.clone()),
        ];
        let words = paths.iter().flat_map(|(flag, path)| [(*flag).to_owned(), path.display().to_string()]);
        let flags = flags.iter().map(|&flag| flag.to_owned());
        let all = ["train_step".to_owned()].into_iter().chain(words).chain(flags);
        harness::run(&harness::Args::try_parse_from(all)?)?;
        Ok(candle_core::safetensors::load(output, &Device::Cpu)?)
    }
}

fn write(path: &Path, tensors: &HashMap<String, Tensor>) {
    candle_core::safetensors::save(tensors, path).unwrap();
}

/// The fixture's adapter, scaled so that it does with alpha = rank what peft's does with its alpha of twice the rank:
/// the gradient by A is peft's then, that by B half of it.
fn adapter_file(fixture: &Fixture, files: &Files) -> PathBuf {
    let file = files.folder.path().join("adapter.safetensors");
    let unscaled = |(key, tensor): (String, Tensor)| {
        let scale = if key.ends_with("lora_B.weight") { 2.0 } else { 1.0 };
        (key, (tensor * scale).unwrap())
    };
    write(&file, &fixture.below("adapter.").into_iter().map(unscaled).collect());
    file
}

fn check(found: &HashMap<String, Tensor>, fixture: &Fixture, what: &str) {
    let error = relative_error(&found["loss"].reshape(1).unwrap(), &fixture.tensor("loss"));
    assert!(error < 1e-5, "{what}: loss off by {error:.1e}");
    let expected = fixture.below("gradient.");
    assert_eq!((found.len(), expected.len()), (41, 40), "{what}");
    for (key, gradient) in expected {
        let scale = if key.ends_with("lora_B.weight") { 0.5 } else { 1.0 };
        let error = relative_error(&found[&format!("grad.{key}")], &(gradient * scale).unwrap());
        assert!(error < 1e-3, "{what}: {key} off by {error:.1e}");
    }
}

#[test]
fn plain_recomputed_and_offloaded_equal_peft() {
    for name in ["peft_i2v", "peft_i2v_clip"] {
        let fixture = Fixture::read(name);
        assert_eq!(fixture.config().alpha, 2.0 * fixture.config().rank as f64);
        for dtype in [DType::F32, DType::BF16] {
            let files = Files::of(&fixture, dtype);
            let adapter = adapter_file(&fixture, &files);
            let plain = files.run(&adapter, &[]).unwrap();
            for flags in WAYS {
                let found = files.run(&adapter, flags).unwrap();
                check(&found, &fixture, &format!("{name} {dtype:?} {flags:?}"));
                for (key, tensor) in found {
                    assert!(values(&tensor) == values(&plain[&key]), "{key} {flags:?}: not the same bits");
                }
            }
        }
    }
}

/// The formula in f64 on the velocity of the network, which other tests compare with diffusers'.
#[test]
fn the_loss_is_the_published_formula() {
    let fixture = Fixture::read("peft_i2v");
    let files = Files::of(&fixture, DType::F32);
    let found = files.run(&adapter_file(&fixture, &files), &[]).unwrap();
    let (model, _adapter) = fixture.adapted();
    let (velocity, noise, clean) =
        (values(&fixture.predict(&model)), values(&fixture.tensor("noise")), values(&fixture.tensor("x1")));
    let squares = (0..clean.len()).map(|i| (velocity[i] - (noise[i] - clean[i])).powi(2));
    let expected = squares.sum::<f64>() / clean.len() as f64;
    let loss = values(&found["loss"])[0];
    assert!((loss - expected).abs() < 1e-6 * expected, "{loss} against {expected}");
}

#[test]
fn gradients_have_the_keys_of_any_spelling() {
    let fixture = Fixture::read("peft_i2v");
    let files = Files::of(&fixture, DType::F32);
    let mut all = Vec::new();
    for spelling in ["adapter_native", "adapter_diffusers", "adapter_down_up", "adapter_kohya"] {
        let file = path(spelling);
        let found = files.run(&file, &["--recompute"]).unwrap();
        let keys: Vec<_> = candle_core::safetensors::load(&file, &Device::Cpu).unwrap().into_keys().collect();
        let pairs = keys.iter().filter(|key| !key.ends_with("alpha"));
        assert!(pairs.clone().all(|key| found.contains_key(&format!("grad.{key}"))), "{spelling}");
        assert_eq!((pairs.count(), found.len()), (40, 41), "{spelling}");
        all.push(values(&found["loss"])[0]);
    }
    // The diffusers file has the scale folded in where the others name it, which alpha = rank leaves out.
    assert!(all[0] == all[2] && all[0] == all[3], "{all:?}");
}

#[test]
fn what_does_not_fit_is_named() {
    let fixture = Fixture::read("peft_i2v");
    let files = Files::of(&fixture, DType::F32);
    let adapter = adapter_file(&fixture, &files);
    let input = files.folder.path().join("in.safetensors");
    let whole = candle_core::safetensors::load(&input, &Device::Cpu).unwrap();
    let time = |values: &[f32]| Tensor::new(values, &Device::Cpu).unwrap();
    for (name, tensor, words) in [
        ("noise", None, "no noise in the input file"),
        ("timestep", Some(time(&[1001.0])), "timestep 1001 is not in 0..1000"),
        ("timestep", Some(time(&[1.0, 2.0])), "clips of different times"),
        ("condition", None, "24"),
    ] {
        let mut tensors = whole.clone();
        tensors.remove(name);
        tensors.extend(tensor.map(|tensor| (name.to_owned(), tensor)));
        write(&input, &tensors);
        let error = format!("{:#}", files.run(&adapter, &[]).unwrap_err());
        assert!(error.contains(words), "{name}: {error}");
    }
}
