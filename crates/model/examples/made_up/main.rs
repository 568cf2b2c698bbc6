//! Writes a model of made-up weights at a published model's true shapes, to measure with, not to use.
//!
//! `cargo run -p lora-edit-model --example made_up -- OUT --model wan2.1-i2v-14b [--blocks N] [--vae] [--text] [--image] [--hollow]`

mod files;
mod shapes;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};

use files::write;
use shapes::Transformer;

/// Writes bf16 safetensors in diffusers' layout: `transformer/`, and as asked for `vae/`, `text_encoder/`, `image_encoder/`.
#[derive(Parser)]
struct Args {
    /// The folder to write to.
    out: PathBuf,
    /// Whose shapes.
    #[arg(long, value_enum)]
    model: Model,
    /// Blocks of the transformer; those of the published model where not given.
    #[arg(long)]
    blocks: Option<usize>,
    /// Also Wan 2.1's VAE (of half its width with `100m`).
    #[arg(long)]
    vae: bool,
    /// Also umT5-XXL: 11 GB.
    #[arg(long)]
    text: bool,
    /// Also CLIP ViT-H/14's vision tower: 1.3 GB.
    #[arg(long)]
    image: bool,
    /// True headers over zeros that take no room on disk.
    #[arg(long)]
    hollow: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Model {
    #[value(name = "wan2.1-i2v-14b")]
    I2v14b,
    #[value(name = "wan2.1-fun-1.3b-inp")]
    FunInp1_3b,
    /// 10 blocks of width 768, as in the benchmarks.
    #[value(name = "100m")]
    Small,
}

impl Model {
    fn sizes(self) -> Transformer {
        let large =
            Transformer { width: 5120, ffn: 13_824, heads: 40, blocks: 40, text: 4096, image: Some(1280) };
        match self {
            Self::I2v14b => large,
            Self::FunInp1_3b => Transformer { width: 1536, ffn: 8960, heads: 12, blocks: 30, ..large },
            Self::Small => {
                Transformer { width: 768, ffn: 3072, heads: 12, blocks: 10, text: 768, image: None }
            }
        }
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    let part = |name: &str| args.out.join(name);
    let published = args.model.sizes();
    let sizes = Transformer { blocks: args.blocks.unwrap_or(published.blocks), ..published };
    let tensors: Vec<_> =
        sizes.outside().into_iter().chain((0..sizes.blocks).flat_map(|i| sizes.block(i))).collect();
    let stem = "diffusion_pytorch_model";
    told(&part("transformer"), write(&part("transformer"), stem, &tensors, args.hollow)?);
    configure(&part("transformer"), &transformer_config(&sizes))?;
    if args.vae {
        let base = if args.model == Model::Small { 48 } else { 96 };
        told(&part("vae"), write(&part("vae"), stem, &shapes::vae(base), args.hollow)?);
        configure(
            &part("vae"),
            &json!({ "_class_name": "AutoencoderKLWan", "base_dim": base, "z_dim": 16 }),
        )?;
    }
    if args.text {
        told(&part("text_encoder"), write(&part("text_encoder"), "model", &shapes::umt5(24), args.hollow)?);
    }
    if args.image {
        told(&part("image_encoder"), write(&part("image_encoder"), "model", &shapes::clip(32), args.hollow)?);
    }
    Ok(())
}

fn transformer_config(sizes: &Transformer) -> Value {
    json!({
        "_class_name": "WanTransformer3DModel",
        "patch_size": [1, 2, 2],
        "num_attention_heads": sizes.heads,
        "attention_head_dim": sizes.width / sizes.heads,
        "in_channels": 36,
        "out_channels": 16,
        "text_dim": sizes.text,
        "freq_dim": 256,
        "ffn_dim": sizes.ffn,
        "num_layers": sizes.blocks,
        "cross_attn_norm": true,
        "qk_norm": "rms_norm_across_heads",
        "eps": 1e-6,
        "image_dim": sizes.image,
        "added_kv_proj_dim": sizes.image.map(|_| sizes.width),
    })
}

fn configure(folder: &Path, config: &Value) -> Result<()> {
    let path = folder.join("config.json");
    fs::write(&path, serde_json::to_vec_pretty(config)?).with_context(|| path.display().to_string())
}

fn told(folder: &Path, bytes: u64) {
    println!("{}: {:.2} GB", folder.display(), bytes as f64 / 1e9);
}
