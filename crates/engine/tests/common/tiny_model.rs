//! A base model of random weights in the layout of nano, small enough to train in milliseconds.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

const DIM: usize = 24;
const FFN: usize = 32;
const LAYERS: usize = 2;
const VAE_DIM: usize = 8;
const Z: usize = 16;

/// Writes `folder/NAME/{vae,transformer}/{config.json,diffusion_pytorch_model.safetensors}`.
pub fn write_tiny_model(folder: &Path, name: &str) {
    let root = folder.join(name);
    write_network(&root.join("transformer"), transformer_config(), transformer());
    write_network(&root.join("vae"), vae_config(), vae());
}

fn write_network(folder: &Path, config: serde_json::Value, weights: Weights) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let views = weights.tensors.iter().map(|(name, (shape, bytes))| {
        (name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    let file = folder.join("diffusion_pytorch_model.safetensors");
    safetensors::serialize_to_file(views.collect::<HashMap<_, _>>(), None, &file).unwrap();
}

fn transformer_config() -> serde_json::Value {
    serde_json::json!({
        "_class_name": "WanTransformer3DModel", "patch_size": [1, 2, 2], "num_attention_heads": 2,
        "attention_head_dim": DIM / 2, "in_channels": 36, "out_channels": Z, "text_dim": 32, "freq_dim": 256,
        "ffn_dim": FFN, "num_layers": LAYERS, "cross_attn_norm": true, "qk_norm": "rms_norm_across_heads",
        "eps": 1e-6, "image_dim": null, "added_kv_proj_dim": null, "rope_max_seq_len": 1024
    })
}

fn vae_config() -> serde_json::Value {
    serde_json::json!({
        "_class_name": "AutoencoderKLWan", "base_dim": VAE_DIM, "decoder_base_dim": VAE_DIM, "z_dim": Z,
        "dim_mult": [1, 1, 1], "num_res_blocks": 1, "attn_scales": [], "temperal_downsample": [true, true],
        "dropout": 0.0, "latents_mean": vec![0.0; Z], "latents_std": vec![1.0; Z], "is_residual": false,
        "in_channels": 12, "out_channels": 12, "patch_size": 2,
        "scale_factor_temporal": 4, "scale_factor_spatial": 8
    })
}

/// Named f32 tensors filled from a small generator of our own, so that every test sees the same model.
#[derive(Default)]
pub struct Weights {
    pub tensors: HashMap<String, (Vec<usize>, Vec<u8>)>,
    pub state: u64,
}

impl Weights {
    fn uniform(&mut self) -> f32 {
        self.state = self.state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub fn random(&mut self, name: &str, shape: &[usize], size: f32) {
        let values: Vec<u8> =
            (0..shape.iter().product()).flat_map(|_| (size * self.uniform()).to_le_bytes()).collect();
        self.tensors.insert(name.into(), (shape.to_vec(), values));
    }

    pub fn ones(&mut self, name: &str, shape: &[usize]) {
        let values = (0..shape.iter().product()).flat_map(|_| 1f32.to_le_bytes()).collect();
        self.tensors.insert(name.into(), (shape.to_vec(), values));
    }

    /// A weight of any rank (out, in, ..) with its bias.
    pub fn affine(&mut self, name: &str, shape: &[usize]) {
        let fan_in: usize = shape[1..].iter().product();
        let size = (3.0 / fan_in as f32).sqrt();
        self.random(&format!("{name}.weight"), shape, size);
        self.random(&format!("{name}.bias"), &shape[..1], 0.05);
    }
}

fn transformer() -> Weights {
    let mut w = Weights::default();
    w.affine("patch_embedding", &[DIM, 36, 1, 2, 2]);
    w.affine("text_embedding.0", &[DIM, 32]);
    w.affine("text_embedding.2", &[DIM, DIM]);
    w.affine("time_embedding.0", &[DIM, 256]);
    w.affine("time_embedding.2", &[DIM, DIM]);
    w.affine("time_projection.1", &[6 * DIM, DIM]);
    for layer in 0..LAYERS {
        transformer_block(&mut w, &format!("blocks.{layer}"));
    }
    w.random("head.modulation", &[1, 2, DIM], 0.2);
    w.affine("head.head", &[4 * Z, DIM]);
    w
}

fn transformer_block(w: &mut Weights, block: &str) {
    w.random(&format!("{block}.modulation"), &[1, 6, DIM], 0.2);
    for attention in ["self_attn", "cross_attn"] {
        for linear in ["q", "k", "v", "o"] {
            w.affine(&format!("{block}.{attention}.{linear}"), &[DIM, DIM]);
        }
        w.ones(&format!("{block}.{attention}.norm_q.weight"), &[DIM]);
        w.ones(&format!("{block}.{attention}.norm_k.weight"), &[DIM]);
    }
    w.ones(&format!("{block}.norm3.weight"), &[DIM]);
    w.random(&format!("{block}.norm3.bias"), &[DIM], 0.05);
    w.affine(&format!("{block}.ffn.0"), &[FFN, DIM]);
    w.affine(&format!("{block}.ffn.2"), &[DIM, FFN]);
}

fn vae() -> Weights {
    let mut w = Weights { state: 7, ..Weights::default() };
    encoder(&mut w);
    w.affine("conv1", &[2 * Z, 2 * Z, 1, 1, 1]);
    w.affine("conv2", &[Z, Z, 1, 1, 1]);
    decoder(&mut w);
    w
}

/// Three levels of one residual block each; the first two halve space and time.
fn encoder(w: &mut Weights) {
    w.affine("encoder.conv1", &[VAE_DIM, 12, 3, 3, 3]);
    for level in 0..3 {
        residual(w, &format!("encoder.downsamples.{}", 2 * level), VAE_DIM, VAE_DIM);
        if level < 2 {
            let resample = format!("encoder.downsamples.{}", 2 * level + 1);
            w.affine(&format!("{resample}.resample.1"), &[VAE_DIM, VAE_DIM, 3, 3]);
            w.affine(&format!("{resample}.time_conv"), &[VAE_DIM, VAE_DIM, 3, 1, 1]);
        }
    }
    middle(w, "encoder");
    head(w, "encoder", 2 * Z);
}

/// Three levels of two residual blocks each; resampling halves the channels, so later levels begin with a shortcut.
fn decoder(w: &mut Weights) {
    w.affine("decoder.conv1", &[VAE_DIM, Z, 3, 3, 3]);
    middle(w, "decoder");
    for level in 0..3 {
        let entering = if level == 0 { VAE_DIM } else { VAE_DIM / 2 };
        residual(w, &format!("decoder.upsamples.{}", 3 * level), VAE_DIM, entering);
        residual(w, &format!("decoder.upsamples.{}", 3 * level + 1), VAE_DIM, VAE_DIM);
        if level < 2 {
            let resample = format!("decoder.upsamples.{}", 3 * level + 2);
            w.affine(&format!("{resample}.resample.1"), &[VAE_DIM / 2, VAE_DIM, 3, 3]);
            w.affine(&format!("{resample}.time_conv"), &[2 * VAE_DIM, VAE_DIM, 3, 1, 1]);
        }
    }
    head(w, "decoder", 12);
}

fn middle(w: &mut Weights, half: &str) {
    residual(w, &format!("{half}.middle.0"), VAE_DIM, VAE_DIM);
    w.ones(&format!("{half}.middle.1.norm.gamma"), &[VAE_DIM, 1, 1]);
    w.affine(&format!("{half}.middle.1.to_qkv"), &[3 * VAE_DIM, VAE_DIM, 1, 1]);
    w.affine(&format!("{half}.middle.1.proj"), &[VAE_DIM, VAE_DIM, 1, 1]);
    residual(w, &format!("{half}.middle.2"), VAE_DIM, VAE_DIM);
}

fn residual(w: &mut Weights, name: &str, out: usize, entering: usize) {
    w.ones(&format!("{name}.residual.0.gamma"), &[entering, 1, 1, 1]);
    w.affine(&format!("{name}.residual.2"), &[out, entering, 3, 3, 3]);
    w.ones(&format!("{name}.residual.3.gamma"), &[out, 1, 1, 1]);
    w.affine(&format!("{name}.residual.6"), &[out, out, 3, 3, 3]);
    if entering != out {
        w.affine(&format!("{name}.shortcut"), &[out, entering, 1, 1, 1]);
    }
}

fn head(w: &mut Weights, half: &str, out: usize) {
    w.ones(&format!("{half}.head.0.gamma"), &[VAE_DIM, 1, 1, 1]);
    w.affine(&format!("{half}.head.2"), &[out, VAE_DIM, 3, 3, 3]);
}
