//! Every network under every naming and in every kind of file that it is published in, from f32 and from bf16 numbers,
//! against diffusers and transformers. Files are written and opened as people have them.
#![allow(clippy::unwrap_used)] // a test may panic

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use lora_edit_model::{ClipVision, Umt5Encoder, WanTransformer, WanVae, Weights};

mod support;
use support::{Fixture, assert_close, stored_in_bf16};
#[path = "support/files.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod files;
use files::{Gguf, umt5_gguf_name, write_gguf};

/// Of f32 numbers.
const LIMIT: f64 = 1e-4;
/// Of numbers rounded to bf16, or to f16, against the network that was not rounded.
const BF16_LIMIT: f64 = 2e-2;

type Tensors = HashMap<String, Tensor>;

/// What a network is stored as.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Numbers {
    F32,
    Bf16,
}

const NUMBERS: [Numbers; 2] = [Numbers::F32, Numbers::Bf16];

impl Numbers {
    fn limit(self) -> f64 {
        if self == Self::F32 { LIMIT } else { BF16_LIMIT }
    }
}

/// Writes the tensors as `kind`, `safetensors` or `gguf`.
fn write(folder: &Path, kind: &str, tensors: &Tensors, numbers: Numbers) -> PathBuf {
    let path = folder.join(format!("network.{kind}"));
    match kind {
        "gguf" => {
            write_gguf(&path, &sorted(tensors).map(|(name, t)| gguf(name, t, numbers)).collect::<Vec<_>>())
        }
        _ if numbers == Numbers::Bf16 => {
            candle_core::safetensors::save(&stored_in_bf16(tensors.clone()), &path).unwrap();
        }
        _ => candle_core::safetensors::save(tensors, &path).unwrap(),
    }
    path
}

fn sorted(tensors: &Tensors) -> impl Iterator<Item = (&String, &Tensor)> {
    tensors.iter().collect::<BTreeMap<_, _>>().into_iter()
}

/// As converters write it: matrices in the small type, all else in f32, the patch embedding in five dimensions.
fn gguf(name: &str, tensor: &Tensor, numbers: Numbers) -> Gguf {
    let values = tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let whole = Gguf::floats(name, tensor.dims(), &values);
    if numbers == Numbers::F32 || tensor.rank() != 2 {
        return whole;
    }
    let bytes = values.iter().flat_map(|&v| half::bf16::from_f32(v).to_le_bytes()).collect();
    Gguf { kind: 30, bytes, ..whole }
}

fn prefixed(prefix: &str, tensors: &Tensors) -> Tensors {
    tensors.iter().map(|(name, t)| (format!("{prefix}{name}"), t.clone())).collect()
}

/// The fixture's tensors in f32 under official names, where each is one tensor there too.
fn official(fixture: &Fixture) -> Tensors {
    let names = fixture.names();
    in_f32(fixture).into_iter().map(|(name, t)| (names[&name].clone(), t)).collect()
}

fn in_f32(fixture: &Fixture) -> Tensors {
    let wide = |(name, t): (String, Tensor)| (name, t.to_dtype(DType::F32).unwrap());
    fixture.model_tensors().into_iter().map(wide).collect()
}

/// Runs a network out of files of every naming and both types of numbers; `cells` counts them, so that none is forgotten.
fn check(
    name: &str,
    namings: &[(&str, &str, Tensors)],
    cells: usize,
    run: impl Fn(&Weights) -> Vec<(String, Tensor, Tensor)>,
) {
    let folder = tempfile::tempdir().unwrap();
    let mut checked = 0;
    for (naming, kind, tensors) in namings {
        for numbers in NUMBERS {
            let path = write(folder.path(), kind, tensors, numbers);
            for (part, ours, expected) in run(&Weights::open(&path).unwrap()) {
                let what = format!("{name}{part}, {naming}, {kind}, {numbers:?}");
                assert_close(&what, &ours, &expected, numbers.limit());
            }
            checked += 1;
        }
    }
    assert_eq!(checked, cells, "{name}");
}

/// Published and repackaged transformers: the official names with ComfyUI's prefixes or without, and diffusers'.
#[test]
fn every_transformer_in_every_naming_and_file() {
    for name in ["i2v_clip", "i2v", "flf2v", "ti2v", "t2v"] {
        let fixture = Fixture::read(&format!("transformer_{name}"));
        let official = official(&fixture);
        let namings = [
            ("diffusers", "safetensors", in_f32(&fixture)),
            ("official", "safetensors", official.clone()),
            ("ComfyUI, model.diffusion_model.", "safetensors", prefixed("model.diffusion_model.", &official)),
            ("ComfyUI, diffusion_model.", "safetensors", prefixed("diffusion_model.", &official)),
            ("official", "gguf", official),
        ];
        check(name, &namings, 10, |weights| {
            vec![(String::new(), transformer(&fixture, weights), fixture.tensor("out"))]
        });
    }
}

/// The two fixtures that `make.py` wrote name their inputs more briefly than the others.
fn transformer(fixture: &Fixture, weights: &Weights) -> Tensor {
    let brief = fixture.has("x");
    let input = |long: &str, short: &str| fixture.tensor(if brief { short } else { long });
    let model = WanTransformer::load(weights, fixture.config()).unwrap();
    let image = model.config().takes_image().then(|| input("encoder_hidden_states_image", "image"));
    let (x, text) = (input("hidden_states", "x"), input("encoder_hidden_states", "text"));
    model.forward(&x, &fixture.tensor("timestep"), &text, image.as_ref()).unwrap()
}

#[test]
fn both_autoencoders_in_every_naming_over_1_5_9_and_17_frames_and_odd_sizes() {
    // Latents of 3 x 2 and 3 x 1 cells, and of 2 x 2.
    for name in ["vae_21_odd", "vae_22_odd", "vae_22"] {
        let fixture = Fixture::read(name);
        let official = official(&fixture);
        let namings = [
            ("diffusers", "safetensors", in_f32(&fixture)),
            ("official and ComfyUI", "safetensors", official.clone()),
            ("all-in-one", "safetensors", prefixed("first_stage_model.", &official)),
        ];
        check(name, &namings, 6, |weights| autoencoder(&fixture, weights, "stored"));
    }
}

/// Encoded and decoded clips of every number of chunks, and what diffusers makes of the weights in `precision`.
fn autoencoder(fixture: &Fixture, weights: &Weights, precision: &str) -> Vec<(String, Tensor, Tensor)> {
    let vae = WanVae::load(weights, fixture.config()).unwrap();
    let pixels = fixture.tensor("pixels").to_dtype(DType::F32).unwrap();
    let video = ((pixels / 127.5).unwrap() - 1.0).unwrap();
    let mut compared = Vec::new();
    for frames in [1, 5, 9, 17] {
        let latent = vae.encode(&video.narrow(2, 0, frames).unwrap()).unwrap();
        let expected = fixture.tensor(&format!("latent_{frames}_{precision}"));
        compared.push((format!(" encodes {frames}"), latent, expected));
    }
    let known = fixture.tensor(&format!("decoded_{precision}"));
    for frames in [1, 5, 9, 17] {
        let Ok(expected) = known.narrow(2, 0, frames) else { continue };
        let latent = fixture.tensor("latent_in").narrow(2, 0, (frames - 1) / 4 + 1).unwrap();
        compared.push((format!(" decodes {frames}"), vae.decode(&latent).unwrap(), expected));
    }
    compared
}

/// The fixtures' files hold bf16: what they give is compared with the network that was not rounded.
#[test]
fn autoencoders_from_rounded_numbers_are_near_the_whole_ones() {
    for name in ["vae_21_odd", "vae_22_odd", "vae_22"] {
        let fixture = Fixture::read(name);
        for (what, ours, expected) in autoencoder(&fixture, &fixture.diffusers_weights(), "full") {
            assert_close(&format!("{name}{what}, bf16"), &ours, &expected, BF16_LIMIT);
        }
    }
}

#[test]
fn the_text_encoder_in_every_naming_and_file() {
    let fixture = Fixture::read("umt5");
    let (theirs, official) = (in_f32(&fixture), official(&fixture));
    // ComfyUI's files have the tokeniser's model in them, as bytes.
    let mut comfy = theirs.clone();
    comfy.insert("spiece_model".into(), Tensor::new(&[7u8, 8, 9], &Device::Cpu).unwrap());
    let all_in_one = prefixed("text_encoders.umt5xxl.transformer.", &theirs);
    let gguf = official.iter().map(|(name, t)| (umt5_gguf_name(name), t.clone())).collect();
    let namings = [
        ("transformers", "safetensors", theirs),
        ("official", "safetensors", official),
        ("ComfyUI", "safetensors", comfy),
        ("all-in-one", "safetensors", all_in_one),
        ("llama.cpp", "gguf", gguf),
    ];
    check("umT5", &namings, 10, |weights| {
        vec![(String::new(), text(&fixture, weights), fixture.tensor("output"))]
    });
}

fn text(fixture: &Fixture, weights: &Weights) -> Tensor {
    let model = Umt5Encoder::load(weights, fixture.config()).unwrap();
    model.forward(&fixture.tensor("input_ids"), &fixture.tensor("attention_mask")).unwrap()
}

/// Queries, keys and values in one tensor.
fn fused_clip(fixture: &Fixture) -> Tensors {
    let (mut thirds, mut whole) = (BTreeMap::<String, BTreeMap<String, Tensor>>::new(), Tensors::new());
    for (name, tensor) in official(fixture) {
        match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
            Some((name, third)) => {
                thirds.entry(name.into()).or_default().insert(third.into(), tensor);
            }
            None => {
                whole.insert(name, tensor);
            }
        }
    }
    let join =
        |parts: BTreeMap<String, Tensor>| Tensor::cat(&parts.into_values().collect::<Vec<_>>(), 0).unwrap();
    whole.extend(thirds.into_iter().map(|(name, parts)| (name, join(parts))));
    whole
}

#[test]
fn the_image_encoder_in_every_naming() {
    let fixture = Fixture::read("clip");
    let theirs = in_f32(&fixture);
    let namings = [
        ("transformers 5", "safetensors", theirs.clone()),
        ("diffusers and ComfyUI", "safetensors", prefixed("vision_model.", &theirs)),
        ("official", "safetensors", fused_clip(&fixture)),
    ];
    check("CLIP", &namings, 6, |weights| {
        vec![(String::new(), image(&fixture, weights), fixture.tensor("output"))]
    });
}

fn image(fixture: &Fixture, weights: &Weights) -> Tensor {
    let model = ClipVision::load(weights, fixture.config()).unwrap();
    model.penultimate(&fixture.tensor("pixel_values_large")).unwrap()
}

/// What `fixtures/make_pth.py` saved, under official names and in the types that the official files have.
#[test]
fn official_torch_files_give_the_same() {
    let open = |name: &str| Weights::open(&files::fixture(name)).unwrap();
    let umt5 = Fixture::read("umt5");
    let states = text(&umt5, &open("umt5.pth"));
    assert_close("umt5.pth", &states, &umt5.tensor("output"), BF16_LIMIT);
    // Transformers with the same rounded weights.
    assert_close("umt5.pth, rounded alike", &states, &umt5.tensor("output_bf16"), LIMIT);
    let clip = Fixture::read("clip");
    assert_close("clip.pth", &image(&clip, &open("clip.pth")), &clip.tensor("output"), BF16_LIMIT);
    for (file, name) in [("vae_21.pth", "vae_21_odd"), ("vae_22.pth", "vae_22_odd")] {
        let fixture = Fixture::read(name);
        for (what, ours, expected) in autoencoder(&fixture, &open(file), "stored") {
            assert_close(&format!("{file}{what}"), &ours, &expected, LIMIT);
        }
    }
}
