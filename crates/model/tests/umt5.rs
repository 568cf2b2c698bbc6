//! The text encoder against transformers, under all namings, and what it says when files are wrong.
#![allow(clippy::unwrap_used)] // a test may panic

use std::collections::HashMap;

use candle_core::{DType, Device, IndexOp, Tensor};
use lora_edit_model::{ModelError, Umt5Config, Umt5Encoder, Weights};

mod support;
use support::{Fixture, assert_close, relative_error};
#[path = "support/files.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod files;
use files::umt5_gguf_name;

const LIMIT: f64 = 1e-4;
/// For weights rounded to the 8 bits of bf16.
const BF16_LIMIT: f64 = 2e-2;
/// Tokens of the fixture's second text; the rest is padding.
const SHORT: usize = 37;

type Tensors = HashMap<String, Tensor>;

fn fixture() -> Fixture {
    Fixture::read("umt5")
}

fn renamed(tensors: Tensors, rename: impl Fn(&str) -> String) -> Tensors {
    tensors.into_iter().map(|(name, tensor)| (rename(&name), tensor)).collect()
}

fn official(fixture: &Fixture) -> Tensors {
    let names = fixture.names();
    renamed(fixture.model_tensors(), |name| names[name].clone())
}

fn load(fixture: &Fixture, tensors: Tensors) -> Umt5Encoder {
    Umt5Encoder::load(&Weights::from_tensors(tensors), fixture.config()).unwrap()
}

fn forward(model: &Umt5Encoder, fixture: &Fixture) -> Tensor {
    model.forward(&fixture.tensor("input_ids"), &fixture.tensor("attention_mask")).unwrap()
}

#[test]
fn the_states_equal_transformers_under_every_naming() {
    let fixture = fixture();
    let expected = fixture.tensor("output");
    let mut tied = fixture.model_tensors();
    let shared = tied.remove("shared.weight").unwrap();
    tied.insert("encoder.embed_tokens.weight".into(), shared);
    let namings = [
        ("transformers", fixture.model_tensors()),
        ("transformers, embed_tokens", tied),
        ("official", official(&fixture)),
        ("gguf", renamed(official(&fixture), umt5_gguf_name)),
    ];
    for (naming, tensors) in namings {
        assert_close(naming, &forward(&load(&fixture, tensors), &fixture), &expected, LIMIT);
    }
}

#[test]
fn a_streamed_network_gives_the_same() {
    let fixture = fixture();
    let weights = Weights::from_tensors(fixture.model_tensors());
    let streamed = Umt5Encoder::streamed(&weights, fixture.config()).unwrap();
    let whole = load(&fixture, fixture.model_tensors());
    assert_eq!(relative_error(&forward(&streamed, &fixture), &forward(&whole, &fixture)), 0.0);
}

#[test]
fn weights_kept_in_bf16_give_nearly_the_same() {
    let fixture = fixture();
    let narrow = |(name, t): (String, Tensor)| (name, t.to_dtype(DType::BF16).unwrap());
    let tensors = fixture.model_tensors().into_iter().map(narrow).collect();
    let out = forward(&load(&fixture, tensors), &fixture);
    assert_close("bf16", &out, &fixture.tensor("output"), BF16_LIMIT);
    // Transformers with the same rounded weights in f32.
    assert_close("bf16 against bf16", &out, &fixture.tensor("output_bf16"), LIMIT);
}

#[test]
fn padding_is_not_seen_and_left_out_of_what_wan_takes() {
    let fixture = fixture();
    let model = load(&fixture, fixture.model_tensors());
    let ids = fixture.tensor("input_ids").i(1..).unwrap().to_dtype(DType::U32).unwrap();
    let mask = fixture.tensor("attention_mask").i(1..).unwrap().to_dtype(DType::U32).unwrap();
    let states = model.encode(&ids, &mask, 160).unwrap();
    assert_eq!(states.dims(), [1, 160, 32]);
    let expected = fixture.tensor("output").i((1.., ..SHORT)).unwrap();
    assert_close("tokens", &states.narrow(1, 0, SHORT).unwrap(), &expected, LIMIT);
    let rest: f32 = states.i((.., SHORT..)).unwrap().abs().unwrap().sum_all().unwrap().to_scalar().unwrap();
    assert_eq!(rest, 0.0);

    // Without the padding there is nothing else to see: the same states.
    let (ids, mask) = (ids.narrow(1, 0, SHORT).unwrap(), mask.narrow(1, 0, SHORT).unwrap());
    assert_close("unpadded", &model.forward(&ids, &mask).unwrap(), &expected, LIMIT);
    let error = model.encode(&ids, &mask, 36).unwrap_err().to_string();
    assert!(error.contains("37 tokens are more than 36"), "{error}");
}

#[test]
fn padding_alone_stays_finite() {
    let fixture = fixture();
    let model = load(&fixture, fixture.model_tensors());
    let ids = Tensor::zeros((1, 3), DType::U32, &Device::Cpu).unwrap();
    let states = model.forward(&ids, &ids).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert!(states.iter().all(|state| state.is_finite()));
}

#[test]
fn sizes_are_told_by_the_tensors() {
    let fixture = fixture();
    for tensors in [fixture.model_tensors(), official(&fixture)] {
        let detected = Umt5Config::detect(&Weights::from_tensors(tensors)).unwrap();
        assert_eq!(detected, fixture.config());
    }
}

#[test]
fn a_folder_with_or_without_config_and_a_file_open() {
    let fixture = fixture();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    candle_core::safetensors::save(&fixture.model_tensors(), &file).unwrap();
    let expected = fixture.tensor("output");
    let check =
        |what: &str, model: Umt5Encoder| assert_close(what, &forward(&model, &fixture), &expected, LIMIT);
    check("file", Umt5Encoder::open(&file).unwrap());
    check("streamed file", Umt5Encoder::open_streamed(&file).unwrap());
    check("folder", Umt5Encoder::open(folder.path()).unwrap());
    let config = r#"{"architectures": ["UMT5EncoderModel"], "vocab_size": 64, "d_model": 32, "d_kv": 12, "d_ff": 40,
        "num_layers": 2, "num_heads": 3, "feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu_new"}"#;
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    check("folder with config", Umt5Encoder::open(folder.path()).unwrap());
    std::fs::write(folder.path().join("config.json"), r#"{"feed_forward_proj": "relu"}"#).unwrap();
    let error = Umt5Encoder::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("config.json: only feed_forward_proj gated-gelu"), "{error}");
}

#[test]
fn a_missing_tensor_is_named() {
    let fixture = fixture();
    for lost in ["encoder.block.1.layer.1.DenseReluDense.wi_1.weight", "shared.weight"] {
        let mut tensors = fixture.model_tensors();
        tensors.remove(lost).unwrap();
        let weights = Weights::from_tensors(tensors);
        let whole = Umt5Encoder::load(&weights, fixture.config()).err().unwrap().to_string();
        let streamed = Umt5Encoder::streamed(&weights, fixture.config()).err().unwrap().to_string();
        let expected = format!("tensors in memory: no tensor {}", fixture.names()[lost]);
        assert_eq!((whole, streamed), (expected.clone(), expected));
    }
}

#[test]
fn a_tensor_of_another_shape_is_named_with_both_shapes() {
    let fixture = fixture();
    let mut tensors = official(&fixture);
    let table = Tensor::zeros((32, 2), DType::F32, &Device::Cpu).unwrap();
    tensors.insert("blocks.1.pos_embedding.embedding.weight".into(), table);
    let weights = Weights::from_tensors(tensors);
    let expected = "tensor blocks.1.pos_embedding.embedding.weight is [32, 2], expected [32, 3]";
    for model in [Umt5Encoder::load, Umt5Encoder::streamed] {
        let error = model(&weights, fixture.config()).err().unwrap();
        assert!(matches!(error, ModelError::WrongShape { .. }));
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn wrong_inputs_are_refused() {
    let fixture = fixture();
    let model = load(&fixture, fixture.model_tensors());
    let mask = fixture.tensor("attention_mask");
    let error = model.forward(&fixture.tensor("input_ids"), &mask.narrow(1, 0, 9).unwrap()).unwrap_err();
    assert!(error.to_string().contains("their mask is [2, 9]"), "{error}");
    let ids = Tensor::new(&[[64u32]], &Device::Cpu).unwrap();
    assert!(model.forward(&ids, &ids).is_err(), "an id beyond the vocabulary passed");
}
