//! Wan's other variants against diffusers, under both namings and from bf16 weights: transformers and VAEs.
#![allow(clippy::unwrap_used)] // a test may panic

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use lora_edit_model::names::{official_transformer_name, official_vae_name};
use lora_edit_model::{TransformerConfig, VaeConfig, WanTransformer, WanVae, Weights};

mod support;
use support::{Fixture, assert_close, stored_in_bf16};

/// Of f32 weights.
const LIMIT: f64 = 1e-4;
/// Of weights rounded to bf16, against the network that was not rounded.
const BF16_LIMIT: f64 = 2e-2;
const TRANSFORMERS: [&str; 3] = ["transformer_flf2v", "transformer_ti2v", "transformer_t2v"];
const VAES: [&str; 3] = ["vae_21_odd", "vae_22", "vae_22_odd"];

fn forward(fixture: &Fixture, weights: Weights) -> Tensor {
    let model = WanTransformer::load(&weights, fixture.config()).unwrap();
    let image = model.config().takes_image().then(|| fixture.tensor("encoder_hidden_states_image"));
    let input = |name| fixture.tensor(name);
    let (x, t, text) = (input("hidden_states"), input("timestep"), input("encoder_hidden_states"));
    model.forward(&x, &t, &text, image.as_ref()).unwrap()
}

#[test]
fn every_transformer_equals_diffusers() {
    for name in TRANSFORMERS {
        let fixture = Fixture::read(name);
        let rounded = Weights::from_tensors(stored_in_bf16(fixture.model_tensors()));
        for (naming, weights, limit) in [
            ("diffusers names", fixture.diffusers_weights(), LIMIT),
            ("official", fixture.official_weights(), LIMIT),
            ("bf16", rounded, BF16_LIMIT),
        ] {
            assert_close(
                &format!("{name}, {naming}"),
                &forward(&fixture, weights),
                &fixture.tensor("out"),
                limit,
            );
        }
    }
}

#[test]
fn a_first_and_a_last_image_follow_one_another_along_batch_or_tokens() {
    let fixture = Fixture::read("transformer_flf2v");
    let model = WanTransformer::load(&fixture.diffusers_weights(), fixture.config()).unwrap();
    let input = |name| fixture.tensor(name);
    let (x, t, text) = (input("hidden_states"), input("timestep"), input("encoder_hidden_states"));
    let image = input("encoder_hidden_states_image");
    let joined = image.reshape((2, 514, 8)).unwrap();
    let out = model.forward(&x, &t, &text, Some(&joined)).unwrap();
    assert_close("along the tokens", &out, &input("out"), LIMIT);
    let odd = image.narrow(1, 0, 256).unwrap();
    let error = model.forward(&x, &t, &text, Some(&odd)).unwrap_err().to_string();
    assert!(error.contains("do not hold 514 tokens"), "{error}");
}

#[test]
fn one_time_for_a_clip_is_that_time_for_every_token() {
    let fixture = Fixture::read("transformer_ti2v");
    let model = WanTransformer::load(&fixture.diffusers_weights(), fixture.config()).unwrap();
    let (x, text) = (fixture.tensor("hidden_states"), fixture.tensor("encoder_hidden_states"));
    let per_clip = Tensor::new(&[712f32, 87.0], &Device::Cpu).unwrap();
    let per_token = per_clip.reshape((2, 1)).unwrap().broadcast_as((2, 18)).unwrap();
    let (clip, token) =
        (model.forward(&x, &per_clip, &text, None), model.forward(&x, &per_token, &text, None));
    assert_close("per token", &token.unwrap(), &clip.unwrap(), 1e-6);
}

#[test]
fn every_transformers_sizes_are_told_by_its_tensors() {
    for name in TRANSFORMERS {
        let fixture = Fixture::read(name);
        for weights in [fixture.diffusers_weights(), fixture.official_weights()] {
            let detected = TransformerConfig::detect(&weights).unwrap();
            let config = fixture.config::<TransformerConfig>();
            // The width of these is below one head of 128.
            let expected = TransformerConfig { num_attention_heads: 0, attention_head_dim: 128, ..config };
            assert_eq!(detected, expected, "{name}");
        }
    }
}

/// A published model's tensors that tell its sizes: (official name, shape).
fn published(dim: usize, ffn: usize, layers: usize, latent: [usize; 2], image: usize) -> Weights {
    let mut shapes = vec![
        ("patch_embedding.weight".to_owned(), vec![dim, latent[0], 1, 2, 2]),
        ("head.head.weight".to_owned(), vec![4 * latent[1], dim]),
        ("text_embedding.0.weight".to_owned(), vec![dim, 4096]),
        ("time_embedding.0.weight".to_owned(), vec![dim, 256]),
        ("blocks.0.ffn.0.weight".to_owned(), vec![ffn, dim]),
    ];
    shapes.extend((0..layers).map(|i| (format!("blocks.{i}.self_attn.q.weight"), vec![dim, dim])));
    if image > 0 {
        shapes.push(("img_emb.proj.1.weight".into(), vec![1280, 1280]));
    }
    if image > 257 {
        shapes.push(("img_emb.emb_pos".into(), vec![1, image, 1280]));
    }
    let shaped = |shape: Vec<usize>| {
        // One number seen as the whole tensor: the largest of these would take gigabytes.
        Tensor::zeros((), DType::F32, &Device::Cpu).unwrap().broadcast_as(shape).unwrap()
    };
    Weights::from_tensors(shapes.into_iter().map(|(name, shape)| (name, shaped(shape))).collect())
}

#[test]
fn published_models_are_told_apart() {
    let image = |size: &TransformerConfig| (size.image_dim, size.added_kv_proj_dim, size.pos_embed_seq_len);
    for (name, weights, expected) in [
        ("I2V 14B", published(5120, 13824, 40, [36, 16], 257), (40, 36, (Some(1280), Some(5120), None))),
        (
            "FLF2V 14B",
            published(5120, 13824, 40, [36, 16], 514),
            (40, 36, (Some(1280), Some(5120), Some(514))),
        ),
        ("I2V A14B", published(5120, 13824, 40, [36, 16], 0), (40, 36, (None, None, None))),
        ("Fun 1.3B InP", published(1536, 8960, 30, [36, 16], 257), (12, 36, (Some(1280), Some(1536), None))),
        ("T2V 1.3B", published(1536, 8960, 30, [16, 16], 0), (12, 16, (None, None, None))),
        ("TI2V 5B", published(3072, 14336, 30, [48, 48], 0), (24, 48, (None, None, None))),
    ] {
        let config = TransformerConfig::detect(&weights).unwrap();
        let found = (config.num_attention_heads, config.in_channels, image(&config));
        assert_eq!(found, expected, "{name}");
        assert_eq!(config.out_channels, if config.in_channels == 48 { 48 } else { 16 }, "{name}");
        assert_eq!(config.num_layers, if config.dim() == 5120 { 40 } else { 30 }, "{name}");
    }
}

#[test]
fn every_vae_equals_diffusers_for_every_number_of_chunks() {
    for name in VAES {
        let fixture = Fixture::read(name);
        let video =
            ((fixture.tensor("pixels").to_dtype(DType::F32).unwrap() / 127.5).unwrap() - 1.0).unwrap();
        for (naming, weights) in
            [("diffusers names", fixture.diffusers_weights()), ("official", fixture.official_weights())]
        {
            let vae = WanVae::load(&weights, fixture.config()).unwrap();
            for frames in [1, 5, 9, 17] {
                let latent = vae.encode(&video.narrow(2, 0, frames).unwrap()).unwrap();
                let what = format!("{name} encodes {frames}, {naming}");
                assert_close(&what, &latent, &fixture.tensor(&format!("latent_{frames}_stored")), LIMIT);
                // The file holds bf16: against the network that was not rounded.
                assert_close(&what, &latent, &fixture.tensor(&format!("latent_{frames}_full")), BF16_LIMIT);
            }
            let (latent, stored) = (fixture.tensor("latent_in"), fixture.tensor("decoded_stored"));
            for latents in [1, 2, 3, 5] {
                let decoded = vae.decode(&latent.narrow(2, 0, latents).unwrap()).unwrap();
                let what = format!("{name} decodes {latents}, {naming}");
                assert_close(&what, &decoded, &stored.narrow(2, 0, 4 * latents - 3).unwrap(), LIMIT);
                if latents == 2 {
                    // The file holds bf16: against the network that was not rounded.
                    assert_close(&what, &decoded, &fixture.tensor("decoded_full"), BF16_LIMIT);
                }
            }
        }
    }
}

#[test]
fn every_name_becomes_the_official_one_and_official_names_stay() {
    for name in TRANSFORMERS {
        for (diffusers, official) in Fixture::read(name).names() {
            assert_eq!(official_transformer_name(&diffusers), official);
            assert_eq!(official_transformer_name(&official), official);
        }
    }
    for name in VAES {
        let fixture = Fixture::read(name);
        let config: VaeConfig = fixture.config();
        for (diffusers, official) in fixture.names() {
            assert_eq!(official_vae_name(&diffusers, &config), official);
            assert_eq!(official_vae_name(&official, &config), official);
        }
    }
}

#[test]
fn the_published_vaes_are_told_apart() {
    let fixture = Fixture::read("vae_22");
    for weights in [fixture.diffusers_weights(), fixture.official_weights()] {
        let detected = VaeConfig::detect(&weights).unwrap();
        assert!(detected.is_residual && (detected.base_dim, detected.decoder_base_dim) == (4, Some(6)));
        assert_eq!((detected.spatial_factor(), detected.z_dim, detected.latents_std.len()), (16, 48, 48));
    }
    let detected = VaeConfig::detect(&Fixture::read("vae_21").official_weights()).unwrap();
    assert_eq!(detected, VaeConfig { base_dim: 2, ..VaeConfig::default() });
}

/// Official names and shapes of the published 2.2 VAE, a few of each kind, as its checkpoint lists them.
#[test]
fn the_default_2_2_sizes_name_the_published_tensors() {
    let config = VaeConfig::wan_22();
    let names: HashMap<&str, &str> = HashMap::from([
        (
            "encoder.down_blocks.1.resnets.0.conv_shortcut.weight",
            "encoder.downsamples.1.downsamples.0.shortcut.weight",
        ),
        (
            "encoder.down_blocks.2.downsampler.time_conv.bias",
            "encoder.downsamples.2.downsamples.2.time_conv.bias",
        ),
        ("encoder.mid_block.attentions.0.to_qkv.weight", "encoder.middle.1.to_qkv.weight"),
        (
            "decoder.up_blocks.0.upsampler.resample.1.weight",
            "decoder.upsamples.0.upsamples.3.resample.1.weight",
        ),
        ("decoder.up_blocks.3.resnets.2.norm2.gamma", "decoder.upsamples.3.upsamples.2.residual.3.gamma"),
        ("post_quant_conv.bias", "conv2.bias"),
    ]);
    for (diffusers, official) in names {
        assert_eq!(official_vae_name(diffusers, &config), official);
    }
}
