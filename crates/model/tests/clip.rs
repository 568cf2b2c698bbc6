//! The image encoder against transformers, under all namings, and what it says when files are wrong.
#![allow(clippy::unwrap_used)] // a test may panic

use std::collections::{BTreeMap, HashMap};

use candle_core::{DType, Device, Tensor};
use lora_edit_model::clip::pixel_values;
use lora_edit_model::{ClipVision, ClipVisionConfig, ModelError, Weights};

mod support;
use support::{Fixture, assert_close, relative_error};

const LIMIT: f64 = 1e-4;
/// For weights rounded to the 8 bits of bf16.
const BF16_LIMIT: f64 = 2e-2;
/// Preprocessing is two small products: nothing but the order of the sums differs.
const PIXEL_LIMIT: f64 = 1e-5;

type Tensors = HashMap<String, Tensor>;

fn fixture() -> Fixture {
    Fixture::read("clip")
}

fn renamed(tensors: Tensors, rename: impl Fn(&str) -> String) -> Tensors {
    tensors.into_iter().map(|(name, tensor)| (rename(&name), tensor)).collect()
}

/// As official files have it: queries, keys and values in one tensor, ones before the shapes of two more; a text tower
/// beside it.
fn official(fixture: &Fixture) -> Tensors {
    let (names, mut fused, mut tensors) = (fixture.names(), BTreeMap::new(), Tensors::new());
    for (name, tensor) in fixture.model_tensors() {
        match names[&name].strip_suffix(']').and_then(|name| name.split_once('[')) {
            Some((name, part)) => {
                fused.entry(name.to_owned()).or_insert_with(BTreeMap::new).insert(part.to_owned(), tensor);
            }
            None => {
                tensors.insert(names[&name].clone(), tensor);
            }
        }
    }
    for (name, parts) in fused {
        tensors.insert(name, Tensor::cat(&parts.into_values().collect::<Vec<_>>(), 0).unwrap());
    }
    let ones = |name: &str, shape: (usize, usize, usize)| tensors[name].reshape(shape).unwrap();
    let (class, positions) =
        (ones("visual.cls_embedding", (1, 1, 32)), ones("visual.pos_embedding", (1, 17, 32)));
    tensors.insert("visual.cls_embedding".into(), class);
    tensors.insert("visual.pos_embedding".into(), positions);
    let other = Tensor::zeros((7, 7), DType::F32, &Device::Cpu).unwrap();
    for name in ["textual.token_embedding.weight", "textual.head.0.weight", "transformer.0.norm1.weight"] {
        tensors.insert(name.into(), other.clone());
    }
    tensors
}

/// OpenCLIP's names, from the official ones.
fn open_clip(fixture: &Fixture) -> Tensors {
    let mut tensors = official(fixture);
    tensors.retain(|name, _| name.starts_with("visual."));
    let flat = |t: &Tensor| t.reshape((t.elem_count() / 32, 32)).unwrap();
    let (class, positions) = (&tensors["visual.cls_embedding"], &tensors["visual.pos_embedding"]);
    let (class, positions) = (class.flatten_all().unwrap(), flat(positions));
    tensors.insert("visual.cls_embedding".into(), class);
    tensors.insert("visual.pos_embedding".into(), positions);
    let pairs = [
        ("cls_embedding", "class_embedding"),
        ("pos_embedding", "positional_embedding"),
        ("patch_embedding", "conv1"),
        ("pre_norm", "ln_pre"),
        ("post_norm", "ln_post"),
        ("transformer.", "transformer.resblocks."),
        ("norm1", "ln_1"),
        ("norm2", "ln_2"),
        ("attn.to_qkv.", "attn.in_proj_"),
        ("attn.proj.", "attn.out_proj."),
        ("mlp.0", "mlp.c_fc"),
        ("mlp.2", "mlp.c_proj"),
    ];
    renamed(tensors, |name| pairs.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to)))
}

fn load(fixture: &Fixture, tensors: Tensors) -> ClipVision {
    ClipVision::load(&Weights::from_tensors(tensors), fixture.config()).unwrap()
}

fn forward(model: &ClipVision, fixture: &Fixture) -> Tensor {
    model.penultimate(&fixture.tensor("pixel_values_large")).unwrap()
}

fn images(fixture: &Fixture, name: &str) -> Tensor {
    let pixels = fixture.tensor(name).to_dtype(DType::F32).unwrap();
    ((pixels / 127.5).unwrap() - 1.0).unwrap()
}

#[test]
fn the_states_equal_transformers_under_every_naming() {
    let fixture = fixture();
    let prefixed = renamed(fixture.model_tensors(), |name| format!("vision_model.{name}"));
    let bare = renamed(open_clip(&fixture), |name| name.trim_start_matches("visual.").to_owned());
    let namings = [
        ("transformers 5", fixture.model_tensors()),
        ("transformers", prefixed),
        ("official", official(&fixture)),
        ("OpenCLIP", open_clip(&fixture)),
        ("OpenCLIP without prefix", bare),
    ];
    for (naming, tensors) in namings {
        assert_close(naming, &forward(&load(&fixture, tensors), &fixture), &fixture.tensor("output"), LIMIT);
    }
}

#[test]
fn quick_gelu_equals_transformers() {
    let fixture = fixture();
    let config = ClipVisionConfig { hidden_act: "quick_gelu".into(), ..fixture.config() };
    let model = ClipVision::load(&Weights::from_tensors(fixture.model_tensors()), config).unwrap();
    let out = forward(&model, &fixture);
    assert_close("quick_gelu", &out, &fixture.tensor("output_quick_gelu"), LIMIT);
    assert!(relative_error(&out, &fixture.tensor("output")) > 10.0 * LIMIT);
}

#[test]
fn weights_kept_in_bf16_give_nearly_the_same() {
    let fixture = fixture();
    let narrow = |(name, t): (String, Tensor)| (name, t.to_dtype(DType::BF16).unwrap());
    let tensors = fixture.model_tensors().into_iter().map(narrow).collect();
    let out = forward(&load(&fixture, tensors), &fixture);
    assert_close("bf16", &out, &fixture.tensor("output"), BF16_LIMIT);
    assert!(relative_error(&out, &fixture.tensor("output")) > LIMIT, "the weights were not rounded");
}

#[test]
fn images_are_prepared_as_the_original_does() {
    let fixture = fixture();
    for size in ["large", "small"] {
        let ours = pixel_values(&images(&fixture, &format!("pixels_{size}")), 28).unwrap();
        assert_close(size, &ours, &fixture.tensor(&format!("pixel_values_{size}")), PIXEL_LIMIT);
    }
    let model = load(&fixture, fixture.model_tensors());
    let out = model.encode(&images(&fixture, "pixels_large")).unwrap();
    assert_close("from the image", &out, &fixture.tensor("output"), LIMIT);
}

#[test]
fn the_last_block_is_not_needed() {
    let fixture = fixture();
    let mut tensors = fixture.model_tensors();
    tensors.retain(|name, _| !name.starts_with("encoder.layers.2.") && !name.starts_with("post_"));
    assert_close(
        "two blocks",
        &forward(&load(&fixture, tensors), &fixture),
        &fixture.tensor("output"),
        LIMIT,
    );
}

#[test]
fn sizes_are_told_by_the_tensors() {
    let fixture = fixture();
    for tensors in [fixture.model_tensors(), official(&fixture), open_clip(&fixture)] {
        // This one is narrower than one head of 64.
        let error = ClipVisionConfig::detect(&Weights::from_tensors(tensors)).unwrap_err().to_string();
        assert!(error.contains("a size is zero"), "{error}");
    }
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let mut tensors = Tensors::from([
        ("vision_model.embeddings.patch_embedding.weight".into(), zeros(&[1280, 3, 14, 14])),
        ("vision_model.embeddings.position_embedding.weight".into(), zeros(&[257, 1280])),
        ("vision_model.encoder.layers.0.mlp.fc1.weight".into(), zeros(&[5120, 1280])),
    ]);
    for i in 0..32 {
        tensors.insert(format!("vision_model.encoder.layers.{i}.layer_norm1.weight"), zeros(&[1280]));
    }
    let detected = ClipVisionConfig::detect(&Weights::from_tensors(tensors)).unwrap();
    assert_eq!(detected, ClipVisionConfig::default());
}

#[test]
fn a_folder_opens() {
    let fixture = fixture();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    candle_core::safetensors::save(&fixture.model_tensors(), &file).unwrap();
    let vision = r#"{"model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 28, "patch_size": 7, "hidden_act": "gelu"}"#;
    for config in [vision.to_owned(), format!(r#"{{"model_type": "clip", "vision_config": {vision}}}"#)] {
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let model = ClipVision::open(folder.path()).unwrap();
        assert_close("folder", &forward(&model, &fixture), &fixture.tensor("output"), LIMIT);
    }
    std::fs::write(folder.path().join("config.json"), r#"{"hidden_act": "relu"}"#).unwrap();
    let error = ClipVision::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("config.json: only hidden_act gelu"), "{error}");
}

#[test]
fn a_missing_tensor_is_named() {
    let fixture = fixture();
    let message = |mut tensors: Tensors, lost: &str| {
        tensors.remove(lost).unwrap();
        ClipVision::load(&Weights::from_tensors(tensors), fixture.config()).err().unwrap().to_string()
    };
    let found = message(official(&fixture), "visual.transformer.1.attn.to_qkv.weight");
    assert_eq!(found, "tensors in memory: no tensor visual.transformer.1.attn.to_qkv.weight");
    let found = message(fixture.model_tensors(), "encoder.layers.1.self_attn.k_proj.bias");
    assert_eq!(found, "tensors in memory: no tensor visual.transformer.1.attn.k_proj.bias");
    let found = message(fixture.model_tensors(), "embeddings.class_embedding");
    assert_eq!(found, "tensors in memory: no tensor visual.cls_embedding");
}

#[test]
fn a_tensor_of_another_shape_is_named_with_both_shapes() {
    let fixture = fixture();
    let mut tensors = fixture.model_tensors();
    let positions = Tensor::zeros((26, 32), DType::F32, &Device::Cpu).unwrap();
    tensors.insert("embeddings.position_embedding.weight".into(), positions);
    let error = ClipVision::load(&Weights::from_tensors(tensors), fixture.config()).err().unwrap();
    assert!(matches!(error, ModelError::WrongShape { .. }));
    assert!(error.to_string().contains("visual.pos_embedding is [26, 32], expected [1, 17, 32]"), "{error}");
}

#[test]
fn wrong_inputs_are_refused() {
    let fixture = fixture();
    let model = load(&fixture, fixture.model_tensors());
    let error = model.penultimate(&images(&fixture, "pixels_large")).unwrap_err().to_string();
    assert!(error.contains("expected (B, 3, 28, 28)"), "{error}");
    let grey = images(&fixture, "pixels_large").narrow(1, 0, 1).unwrap();
    assert!(pixel_values(&grey, 28).unwrap_err().to_string().contains("expected (B, 3, H, W)"));
}
