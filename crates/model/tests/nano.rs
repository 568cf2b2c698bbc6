//! The embedded model as it lies in the bundle: loads by its names, and has learnt something.
#![allow(clippy::unwrap_used)] // a test may panic

use std::path::PathBuf;

use candle_core::{DType, Device, Tensor};
use lora_edit_model::flow::noise;
use lora_edit_model::{WanTransformer, WanVae};

fn folder(part: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../bundle/models/nano").join(part)
}

/// Soft colours drifting to the right, (1, 3, 9, 64, 96) in [-1, 1].
fn drifting() -> Tensor {
    let (frames, rows, columns) = (9, 64, 96);
    let mut values = Vec::new();
    for channel in 0..3 {
        for frame in 0..frames {
            for row in 0..rows {
                for column in 0..columns {
                    let (x, y) = ((column - 2 * frame) as f32 / 20.0, row as f32 / 15.0);
                    values.push(0.7 * (x + channel as f32).sin() * (y - 0.5 * channel as f32).cos());
                }
            }
        }
    }
    let shape = (1, 3, frames as usize, rows as usize, columns as usize);
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn mean(t: &Tensor) -> f32 {
    t.mean_all().unwrap().to_scalar().unwrap()
}

#[test]
fn the_vae_gives_pictures_back() {
    let vae = WanVae::open(&folder("vae")).unwrap();
    let video = drifting();
    let latent = vae.encode(&video).unwrap();
    assert_eq!(latent.dims(), [1, 16, 3, 8, 12]);
    let error = mean(&(vae.decode(&latent).unwrap() - &video).unwrap().sqr().unwrap());
    // Against a peak of 2, from -1 to 1.
    let psnr = 10.0 * (4.0 / error).log10();
    println!("psnr {psnr:.1} dB");
    assert!(psnr > 22.0, "{psnr} dB");
}

#[test]
fn the_transformer_tells_noise_from_picture() {
    let transformer = WanTransformer::open(&folder("transformer")).unwrap();
    let vae = WanVae::open(&folder("vae")).unwrap();
    let config = transformer.config();
    let z = noise(1, (1, 16, 3, 8, 12)).unwrap();
    // All is given: the mask keeps everything and the condition shows the clip.
    let clip = vae.normalise(&vae.encode(&drifting()).unwrap()).unwrap();
    let keep = Tensor::ones((1, 4, 3, 8, 12), DType::F32, &Device::Cpu).unwrap();
    let x = Tensor::cat(&[&z, &keep, &clip], 1).unwrap();
    let t = Tensor::new(&[999f32], &Device::Cpu).unwrap();
    let text = Tensor::zeros((1, config.text_len, config.text_dim), DType::F32, &Device::Cpu).unwrap();
    let v = transformer.forward(&x, &t, &text, None).unwrap();
    let error = mean(&(v - (&z - &clip).unwrap()).unwrap().sqr().unwrap());
    let unknowing = mean(&clip.sqr().unwrap());
    println!("error {error:.3}, of a transformer that sees only noise {unknowing:.3}");
    assert!(error < 0.5 * unknowing, "{error} against {unknowing}");
}
