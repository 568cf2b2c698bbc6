//! Base models of random weights with all of Wan's parts, in the layouts that people have.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::tiny_model::Weights;

/// One head of 128 channels, as in every published model: files without a configuration tell no more.
const DIM: usize = 128;
const FFN: usize = 64;
const LAYERS: usize = 2;
const TEXT: usize = 32;
const IMAGE: usize = 64;
const Z: usize = 16;
/// Rows of the token embedding: more than the tokeniser of the fixtures has tokens.
const VOCABULARY: usize = 448;

/// The folders that the same weights are written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One file per part under `diffusion_models`, `text_encoders`, `vae` and `clip_vision`; the tokeniser within the
    /// text encoder's file.
    ComfyUi,
    /// Parts side by side under their published names, the transformer in shards.
    Official,
    /// A folder per part, with configurations.
    Diffusers,
}

/// Which model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Wan 2.1 image-to-video, which takes CLIP's states.
    WithImage,
    /// Wan 2.2 A14B: two experts, no CLIP.
    TwoExperts,
}

/// Writes the model to `folder`; the same seed everywhere.
pub fn write(folder: &Path, kind: Kind, layout: Layout) {
    let transformers: Vec<Weights> = match kind {
        Kind::WithImage => vec![transformer(1, true)],
        Kind::TwoExperts => vec![transformer(2, false), transformer(3, false)],
    };
    for (weights, expert) in transformers.into_iter().zip(["high", "low"]) {
        write_transformer(folder, weights, expert, kind, layout);
    }
    write_vae(folder, layout);
    write_text(folder, layout);
    if kind == Kind::WithImage {
        save(&image_path(folder, layout), image().tensors, &[]);
    }
}

/// The image encoder's file.
pub fn image_path(folder: &Path, layout: Layout) -> PathBuf {
    folder.join(match layout {
        Layout::ComfyUi => "clip_vision/clip_vision_h.safetensors",
        Layout::Official => "models_clip_open-clip.safetensors",
        Layout::Diffusers => "image_encoder/model.safetensors",
    })
}

/// Writes files under ComfyUI's names whose headers are those of a published model, of one number per tensor: whole as
/// far as headers tell. Wan 2.1 Fun 1.3B InP, or Wan 2.2 I2V A14B.
pub fn write_headers(folder: &Path, kind: Kind) {
    let (width, layers, names): (_, _, &[&str]) = match kind {
        Kind::WithImage => (1536, 30, &["wan2.1_fun_inp_1.3B"]),
        Kind::TwoExperts => (5120, 40, &["wan2.2_i2v_high_noise_14B", "wan2.2_i2v_low_noise_14B"]),
    };
    for (seed, name) in (1..).zip(names) {
        let mut tensors = headers(transformer(seed, kind == Kind::WithImage), layers, "blocks.");
        let patches = [width, 36, 1, 2, 2];
        let zeros = vec![0; 4 * patches.iter().product::<usize>()];
        tensors.insert("patch_embedding.weight".into(), (patches.to_vec(), zeros));
        save(&folder.join(format!("diffusion_models/{name}.safetensors")), tensors, &[]);
    }
    save(&folder.join("vae/wan_2.1_vae.safetensors"), vae_headers(), &[]);
    let words = fs::read(tokenizer()).unwrap();
    let path = folder.join("text_encoders/umt5_xxl.safetensors");
    save(&path, headers(text(), 24, "blocks."), &[("spiece_model", &words)]);
    if kind == Kind::WithImage {
        save(&image_path(folder, Layout::ComfyUi), headers(image(), 32, "visual.transformer."), &[]);
    }
}

/// Every tensor of the published autoencoder, as small as may be: it is known by the width of its decoder.
fn vae_headers() -> Tensors {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures/published.json");
    let table: serde_json::Value = serde_json::from_slice(&fs::read(table).unwrap()).unwrap();
    let names = table["vae_21"]["plain"].as_object().unwrap().keys();
    let shape = |name: &str| if name == "decoder.conv_in.weight" { vec![384] } else { vec![1] };
    let tensor = |name: &String| (name.clone(), (shape(name), vec![0; 4 * shape(name)[0]]));
    names.map(tensor).collect()
}

/// The first number of each tensor, and the first block's as often as there are blocks.
fn headers(weights: Weights, layers: usize, blocks: &str) -> Tensors {
    let first = format!("{blocks}0.");
    let mut tensors = Tensors::new();
    for (name, (shape, data)) in weights.tensors {
        let mut put = |name: String| tensors.insert(name, (vec![1; shape.len()], data[..4].to_vec()));
        match name.strip_prefix(&first) {
            Some(rest) => (0..layers).for_each(|layer| drop(put(format!("{blocks}{layer}.{rest}")))),
            None if !name.starts_with(blocks) => drop(put(name)),
            None => {}
        }
    }
    tensors
}

type Tensors = HashMap<String, (Vec<usize>, Vec<u8>)>;

fn write_transformer(folder: &Path, weights: Weights, expert: &str, kind: Kind, layout: Layout) {
    let alone = kind == Kind::WithImage;
    match layout {
        Layout::ComfyUi if alone => {
            save(&folder.join("diffusion_models/wan2.1_i2v.safetensors"), weights.tensors, &[]);
        }
        Layout::ComfyUi => {
            let name = format!("diffusion_models/wan2.2_i2v_{expert}_noise_14B.safetensors");
            save(&folder.join(name), weights.tensors, &[]);
        }
        Layout::Official => {
            let folder =
                if alone { folder.to_path_buf() } else { folder.join(format!("{expert}_noise_model")) };
            save_shards(&folder, weights.tensors);
            // Official configurations have other keys than diffusers'.
            fs::write(folder.join("config.json"), r#"{"_class_name": "WanModel", "dim": 5120}"#).unwrap();
        }
        Layout::Diffusers => {
            let folder = folder.join(if expert == "high" { "transformer" } else { "transformer_2" });
            save(&folder.join("diffusion_pytorch_model.safetensors"), weights.tensors, &[]);
            let image = alone.then_some((IMAGE, DIM)).unzip();
            let config = serde_json::json!({
                "patch_size": [1, 2, 2], "num_attention_heads": 1, "attention_head_dim": DIM, "in_channels": 36,
                "out_channels": Z, "text_dim": TEXT, "freq_dim": 256, "ffn_dim": FFN, "num_layers": LAYERS,
                "cross_attn_norm": true, "qk_norm": "rms_norm_across_heads", "eps": 1e-6,
                "image_dim": image.0, "added_kv_proj_dim": image.1
            });
            fs::write(folder.join("config.json"), config.to_string()).unwrap();
        }
    }
}

/// The fixture of Wan 2.1's layout, two channels wide.
fn write_vae(folder: &Path, layout: Layout) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures/vae_21.safetensors");
    let bytes = fs::read(fixture).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().clone().unwrap();
    let official: HashMap<String, String> = serde_json::from_str(&metadata["official"]).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let named = |name: &str| match layout {
        Layout::Diffusers => name.to_owned(),
        _ => official[name].clone(),
    };
    let views = file.tensors().into_iter();
    let views = views.filter_map(|(name, view)| Some((named(name.strip_prefix("model.")?), view)));
    let path = match layout {
        Layout::ComfyUi => "vae/wan_2.1_vae.safetensors",
        Layout::Official => "Wan2.1_VAE.safetensors",
        Layout::Diffusers => "vae/diffusion_pytorch_model.safetensors",
    };
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    safetensors::serialize_to_file(views.collect::<HashMap<_, _>>(), None, &path).unwrap();
    if layout == Layout::Diffusers {
        fs::write(folder.join("vae/config.json"), &metadata["config"]).unwrap();
    }
}

fn write_text(folder: &Path, layout: Layout) {
    let (path, folder_of_tokenizer) = match layout {
        Layout::ComfyUi => {
            let words = fs::read(tokenizer()).unwrap();
            let path = folder.join("text_encoders/umt5_xxl.safetensors");
            return save(&path, text().tensors, &[("spiece_model", &words)]);
        }
        Layout::Official => ("models_t5_umt5-xxl-enc.safetensors", "google/umt5-xxl"),
        Layout::Diffusers => ("text_encoder/model.safetensors", "tokenizer"),
    };
    save(&folder.join(path), text().tensors, &[]);
    let target = folder.join(folder_of_tokenizer);
    fs::create_dir_all(&target).unwrap();
    fs::copy(tokenizer(), target.join("spiece.model")).unwrap();
}

fn tokenizer() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures/spiece.model")
}

fn save(path: &Path, tensors: Tensors, bytes: &[(&str, &[u8])]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let views = tensors.iter().map(|(name, (shape, data))| {
        (name.clone(), TensorView::new(Dtype::F32, shape.clone(), data).unwrap())
    });
    let raw = bytes.iter().map(|(name, data)| {
        ((*name).to_owned(), TensorView::new(Dtype::U8, vec![data.len()], data).unwrap())
    });
    safetensors::serialize_to_file(views.chain(raw).collect::<HashMap<_, _>>(), None, path).unwrap();
}

/// With their index, as published: other weights lie in the same folder.
fn save_shards(folder: &Path, tensors: Tensors) {
    let name = |number: usize| format!("diffusion_pytorch_model-{number:05}-of-00002.safetensors");
    let shard = |tensor: &str| name(if tensor.starts_with("blocks.0.") { 1 } else { 2 });
    let map: HashMap<&String, String> = tensors.keys().map(|tensor| (tensor, shard(tensor))).collect();
    let index = serde_json::json!({ "weight_map": map }).to_string();
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("diffusion_pytorch_model.safetensors.index.json"), index).unwrap();
    let (first, second): (Tensors, Tensors) =
        tensors.into_iter().partition(|(name, _)| name.starts_with("blocks.0."));
    for (number, tensors) in [(1, first), (2, second)] {
        save(&folder.join(name(number)), tensors, &[]);
    }
}

/// A LoRA of rank 2 on two layers, as kohya's programs write it, with numbers up to `size`.
pub fn write_lora(path: &Path, size: f32) {
    let mut w = Weights { state: 77, ..Weights::default() };
    for (layer, outputs) in [("blocks_0_self_attn_q", DIM), ("blocks_1_ffn_0", FFN)] {
        w.random(&format!("lora_unet_{layer}.lora_down.weight"), &[2, DIM], size);
        w.random(&format!("lora_unet_{layer}.lora_up.weight"), &[outputs, 2], size);
    }
    save(path, w.tensors, &[]);
}

fn transformer(seed: u64, image: bool) -> Weights {
    let mut w = Weights { state: seed, ..Weights::default() };
    w.affine("patch_embedding", &[DIM, 36, 1, 2, 2]);
    w.affine("text_embedding.0", &[DIM, TEXT]);
    w.affine("text_embedding.2", &[DIM, DIM]);
    w.affine("time_embedding.0", &[DIM, 256]);
    w.affine("time_embedding.2", &[DIM, DIM]);
    w.affine("time_projection.1", &[6 * DIM, DIM]);
    if image {
        norm(&mut w, "img_emb.proj.0", IMAGE);
        w.affine("img_emb.proj.1", &[IMAGE, IMAGE]);
        w.affine("img_emb.proj.3", &[DIM, IMAGE]);
        norm(&mut w, "img_emb.proj.4", DIM);
    }
    for layer in 0..LAYERS {
        transformer_block(&mut w, &format!("blocks.{layer}"), image);
    }
    w.random("head.modulation", &[1, 2, DIM], 0.2);
    w.affine("head.head", &[4 * Z, DIM]);
    w
}

fn transformer_block(w: &mut Weights, block: &str, image: bool) {
    w.random(&format!("{block}.modulation"), &[1, 6, DIM], 0.5);
    for attention in ["self_attn", "cross_attn"] {
        for linear in ["q", "k", "v", "o"] {
            w.affine(&format!("{block}.{attention}.{linear}"), &[DIM, DIM]);
        }
        w.ones(&format!("{block}.{attention}.norm_q.weight"), &[DIM]);
        w.ones(&format!("{block}.{attention}.norm_k.weight"), &[DIM]);
    }
    if image {
        for linear in ["k_img", "v_img"] {
            w.affine(&format!("{block}.cross_attn.{linear}"), &[DIM, DIM]);
        }
        w.ones(&format!("{block}.cross_attn.norm_k_img.weight"), &[DIM]);
    }
    norm(w, &format!("{block}.norm3"), DIM);
    w.affine(&format!("{block}.ffn.0"), &[FFN, DIM]);
    w.affine(&format!("{block}.ffn.2"), &[DIM, FFN]);
}

fn text() -> Weights {
    let mut w = Weights { state: 5, ..Weights::default() };
    w.random("token_embedding.weight", &[VOCABULARY, TEXT], 2.0);
    for layer in 0..LAYERS {
        let block = format!("blocks.{layer}");
        for (name, shape) in
            [("q", [TEXT, TEXT]), ("k", [TEXT, TEXT]), ("v", [TEXT, TEXT]), ("o", [TEXT, TEXT])]
        {
            w.random(&format!("{block}.attn.{name}.weight"), &shape, 0.3);
        }
        w.random(&format!("{block}.pos_embedding.embedding.weight"), &[32, 2], 0.5);
        w.ones(&format!("{block}.norm1.weight"), &[TEXT]);
        w.ones(&format!("{block}.norm2.weight"), &[TEXT]);
        w.random(&format!("{block}.ffn.gate.0.weight"), &[48, TEXT], 0.3);
        w.random(&format!("{block}.ffn.fc1.weight"), &[48, TEXT], 0.3);
        w.random(&format!("{block}.ffn.fc2.weight"), &[TEXT, 48], 0.3);
    }
    w.ones("norm.weight", &[TEXT]);
    w
}

/// 16 patches and the class; the last of the three blocks is not used.
fn image() -> Weights {
    let mut w = Weights { state: 6, ..Weights::default() };
    w.random("visual.cls_embedding", &[1, 1, IMAGE], 0.5);
    w.random("visual.pos_embedding", &[1, 17, IMAGE], 0.5);
    w.random("visual.patch_embedding.weight", &[IMAGE, 3, 7, 7], 0.2);
    norm(&mut w, "visual.pre_norm", IMAGE);
    for layer in 0..3 {
        let block = format!("visual.transformer.{layer}");
        norm(&mut w, &format!("{block}.norm1"), IMAGE);
        w.affine(&format!("{block}.attn.to_qkv"), &[3 * IMAGE, IMAGE]);
        w.affine(&format!("{block}.attn.proj"), &[IMAGE, IMAGE]);
        norm(&mut w, &format!("{block}.norm2"), IMAGE);
        w.affine(&format!("{block}.mlp.0"), &[2 * IMAGE, IMAGE]);
        w.affine(&format!("{block}.mlp.2"), &[IMAGE, 2 * IMAGE]);
    }
    w
}

fn norm(w: &mut Weights, name: &str, size: usize) {
    w.ones(&format!("{name}.weight"), &[size]);
    w.random(&format!("{name}.bias"), &[size], 0.05);
}
