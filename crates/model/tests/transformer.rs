//! The transformer against diffusers, under both namings, and what it says when files are wrong.
#![allow(clippy::unwrap_used)] // a test may panic

use std::collections::BTreeSet;

use candle_core::{DType, Device, Tensor};
use lora_edit_model::names::official_transformer_name;
use lora_edit_model::{ModelError, TransformerConfig, WanTransformer, Weights};

mod support;
use support::{Fixture, assert_close};

const LIMIT: f64 = 1e-4;

fn forward(model: &WanTransformer, fixture: &Fixture, t: &str, image: Option<&Tensor>) -> Tensor {
    model.forward(&fixture.tensor("x"), &fixture.tensor(t), &fixture.tensor("text"), image).unwrap()
}

fn models(fixture: &Fixture) -> Vec<(&'static str, WanTransformer)> {
    let config = || fixture.config::<TransformerConfig>();
    let load = |weights: Weights| WanTransformer::load(&weights, config()).unwrap();
    vec![
        ("diffusers names", load(fixture.diffusers_weights())),
        ("official", load(fixture.official_weights())),
    ]
}

#[test]
fn image_to_video_with_clip_equals_diffusers() {
    let fixture = Fixture::read("transformer_i2v_clip");
    let image = fixture.tensor("image");
    for (naming, model) in models(&fixture) {
        let out = forward(&model, &fixture, "timestep", Some(&image));
        assert_close(&format!("2.1 with CLIP, {naming}"), &out, &fixture.tensor("out"), LIMIT);
    }
}

#[test]
fn image_to_video_without_clip_equals_diffusers() {
    let fixture = Fixture::read("transformer_i2v");
    for (naming, model) in models(&fixture) {
        for (t, expected) in [("timestep", "out"), ("timestep_per_token", "out_per_token")] {
            let out = forward(&model, &fixture, t, None);
            assert_close(&format!("2.2 A14B, {naming}, {t}"), &out, &fixture.tensor(expected), LIMIT);
        }
    }
}

#[test]
fn every_diffusers_name_becomes_the_official_one_and_official_names_stay() {
    for name in ["transformer_i2v_clip", "transformer_i2v"] {
        for (diffusers, official) in Fixture::read(name).names() {
            assert_eq!(official_transformer_name(&diffusers), official);
            assert_eq!(official_transformer_name(&official), official);
        }
    }
}

#[test]
fn sizes_are_told_by_the_tensors() {
    let fixture = Fixture::read("transformer_i2v_clip");
    for weights in [fixture.diffusers_weights(), fixture.official_weights()] {
        let detected = TransformerConfig::detect(&weights).unwrap();
        let heads = fixture.config::<TransformerConfig>();
        // The width of this one is below one head of 128.
        let expected = TransformerConfig { num_attention_heads: 0, attention_head_dim: 128, ..heads };
        assert_eq!(detected, expected);
    }
}

#[test]
fn linears_have_official_paths_and_weights() {
    let fixture = Fixture::read("transformer_i2v_clip");
    let names = fixture.names();
    let (_, mut model) = models(&fixture).remove(0);
    let known: BTreeSet<_> = names.values().cloned().collect();
    let paths: Vec<_> = model.linears().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths.len(), 24);
    assert!(paths.iter().all(|path| known.contains(&format!("{path}.weight"))));
    let mutable: Vec<_> = model.linears_mut().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, mutable);
    let tensors = fixture.model_tensors();
    for (path, linear) in model.linears() {
        let diffusers = names.iter().find(|(_, official)| **official == format!("{path}.weight")).unwrap().0;
        assert_close(&path, &linear.weight.dense().unwrap(), &tensors[diffusers], 0.0);
    }
}

#[test]
fn the_model_reads_from_a_folder_of_shards() {
    let fixture = Fixture::read("transformer_i2v");
    let folder = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (fixture.model_tensors(), fixture.model_tensors());
    one.retain(|name, _| name.len() % 2 == 0);
    two.retain(|name, _| name.len() % 2 == 1);
    for (shard, name) in
        [(one, "model-00001-of-00002.safetensors"), (two, "model-00002-of-00002.safetensors")]
    {
        candle_core::safetensors::save(&shard, folder.path().join(name)).unwrap();
    }
    let config = r#"{"_class_name": "WanTransformer3DModel", "num_attention_heads": 2, "attention_head_dim": 12,
        "in_channels": 36, "text_dim": 16, "freq_dim": 32, "ffn_dim": 40, "num_layers": 2, "rope_max_seq_len": 1024}"#;
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    let model = WanTransformer::open(folder.path()).unwrap();
    assert_close("shards", &forward(&model, &fixture, "timestep", None), &fixture.tensor("out"), LIMIT);
}

#[test]
fn a_missing_tensor_is_named_with_its_file() {
    let fixture = Fixture::read("transformer_i2v");
    let mut tensors = fixture.model_tensors();
    tensors.remove("blocks.1.attn2.to_out.0.bias").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lost.safetensors");
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let error = WanTransformer::load(&Weights::open(&path).unwrap(), fixture.config()).err().unwrap();
    let expected = format!("{}: no tensor blocks.1.cross_attn.o.bias", path.display());
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_tensor_of_another_shape_is_named_with_both_shapes() {
    let fixture = Fixture::read("transformer_i2v");
    let mut tensors = fixture.model_tensors();
    tensors.insert(
        "blocks.0.ffn.net.2.weight".into(),
        Tensor::zeros((24, 41), DType::F32, &Device::Cpu).unwrap(),
    );
    let weights = Weights::from_tensors(tensors);
    let error = WanTransformer::load(&weights, fixture.config()).err().unwrap();
    assert!(matches!(error, ModelError::WrongShape { .. }));
    assert!(
        error.to_string().contains("tensor blocks.0.ffn.2.weight is [24, 41], expected [24, 40]"),
        "{error}"
    );
}

#[test]
fn files_that_are_not_there_or_broken_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let message = |weights: Result<Weights, ModelError>| weights.err().unwrap().to_string();
    assert!(message(Weights::open(&path)).contains("model.safetensors"));
    assert!(message(Weights::open(folder.path())).contains("no .safetensors file"));
    std::fs::write(&path, b"not weights").unwrap();
    assert!(message(Weights::open(&path)).contains("model.safetensors"));
    std::fs::write(folder.path().join("config.json"), r#"{"qk_norm": null}"#).unwrap();
    let error = TransformerConfig::read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("config.json: only qk_norm"), "{error}");
}

#[test]
fn wrong_inputs_are_refused() {
    let fixture = Fixture::read("transformer_i2v");
    let (_, model) = models(&fixture).remove(0);
    let (t, text) = (fixture.tensor("timestep"), fixture.tensor("text"));
    let odd = fixture.tensor("x").narrow(3, 0, 3).unwrap();
    let error = model.forward(&odd, &t, &text, None).unwrap_err().to_string();
    assert!(error.contains("not a multiple of the patch"), "{error}");
    let error = model.forward(&fixture.tensor("x"), &t, &text, Some(&text)).unwrap_err().to_string();
    assert!(error.contains("takes no CLIP"), "{error}");
}
