//! The VAE against diffusers over several chunks, in two sizes and under both namings.
#![allow(clippy::unwrap_used)] // a test may panic

use candle_core::{DType, Tensor};
use lora_edit_model::names::official_vae_name;
use lora_edit_model::{VaeConfig, WanVae, Weights};

mod support;
use support::{Fixture, assert_close};

const LIMIT: f64 = 1e-4;
const FIXTURES: [&str; 2] = ["vae_21", "vae_patch"];

fn models(fixture: &Fixture) -> [(&'static str, WanVae); 2] {
    let load = |weights: Weights| WanVae::load(&weights, fixture.config()).unwrap();
    [("diffusers names", load(fixture.diffusers_weights())), ("official", load(fixture.official_weights()))]
}

/// The clip in [-1, 1], all 17 frames.
fn video(fixture: &Fixture) -> Tensor {
    ((fixture.tensor("pixels").to_dtype(DType::F32).unwrap() / 127.5).unwrap() - 1.0).unwrap()
}

#[test]
fn encoding_equals_diffusers_for_every_number_of_chunks() {
    for name in FIXTURES {
        let fixture = Fixture::read(name);
        let video = video(&fixture);
        for (naming, vae) in models(&fixture) {
            for frames in [1, 5, 9, 17] {
                let latent = vae.encode(&video.narrow(2, 0, frames).unwrap()).unwrap();
                assert_eq!(latent.dim(2).unwrap(), vae.config().latent_frames(frames));
                let expected = fixture.tensor(&format!("latent_{frames}"));
                assert_close(&format!("{name} encodes {frames}, {naming}"), &latent, &expected, LIMIT);
            }
        }
    }
}

#[test]
fn decoding_equals_diffusers_for_every_number_of_chunks() {
    for name in FIXTURES {
        let fixture = Fixture::read(name);
        let (latent, expected) = (fixture.tensor("latent_in"), fixture.tensor("decoded"));
        for (naming, vae) in models(&fixture) {
            for latents in [1, 2, 3, 5] {
                let decoded = vae.decode(&latent.narrow(2, 0, latents).unwrap()).unwrap();
                // The decoder is causal: a shorter latent gives the first frames of a longer one.
                let expected = expected.narrow(2, 0, 4 * latents - 3).unwrap();
                assert_close(&format!("{name} decodes {latents}, {naming}"), &decoded, &expected, LIMIT);
            }
        }
    }
}

#[test]
fn clips_of_a_batch_do_not_mix() {
    let fixture = Fixture::read("vae_patch");
    let [(_, vae), _] = models(&fixture);
    let video = video(&fixture).narrow(2, 0, 5).unwrap();
    let other = (&video * 0.5).unwrap();
    let both = vae.encode(&Tensor::cat(&[&video, &other], 0).unwrap()).unwrap();
    for (i, alone) in [vae.encode(&video).unwrap(), vae.encode(&other).unwrap()].iter().enumerate() {
        assert_close(&format!("clip {i}"), &both.narrow(0, i, 1).unwrap(), alone, 0.0);
    }
    let both = vae.decode(&both).unwrap();
    assert_close(
        "decoded",
        &both.narrow(0, 0, 1).unwrap(),
        &vae.decode(&vae.encode(&video).unwrap()).unwrap(),
        0.0,
    );
}

#[test]
fn normalising_is_undone() {
    let fixture = Fixture::read("vae_patch");
    let [(_, vae), _] = models(&fixture);
    let latent = fixture.tensor("latent_5");
    let normalised = vae.normalise(&latent).unwrap();
    // Channel 3 of this fixture has mean 0.3 and deviation 1.6.
    let channel = |t: &Tensor| t.narrow(1, 3, 1).unwrap();
    let expected = ((channel(&latent) - 0.3).unwrap() / 1.6).unwrap();
    assert_close("normalised", &channel(&normalised), &expected, 1e-6);
    assert_close("and back", &vae.denormalise(&normalised).unwrap(), &latent, 1e-6);
}

#[test]
fn every_diffusers_name_becomes_the_official_one_and_official_names_stay() {
    for name in FIXTURES {
        let fixture = Fixture::read(name);
        let config: VaeConfig = fixture.config();
        for (diffusers, official) in fixture.names() {
            assert_eq!(official_vae_name(&diffusers, &config), official);
            assert_eq!(official_vae_name(&official, &config), official);
        }
    }
}

#[test]
fn factors_follow_from_the_sizes() {
    let config: VaeConfig = Fixture::read("vae_patch").config();
    assert_eq!((config.spatial_factor(), config.temporal_factor(), config.latent_frames(17)), (8, 4, 5));
    let wan = VaeConfig::default();
    assert_eq!((wan.spatial_factor(), wan.temporal_factor(), wan.latent_frames(1)), (8, 4, 1));
}

#[test]
fn clips_of_other_sizes_are_refused() {
    let fixture = Fixture::read("vae_21");
    let [(_, vae), _] = models(&fixture);
    let video = video(&fixture);
    let message = |video: Tensor| vae.encode(&video).unwrap_err().to_string();
    assert!(message(video.narrow(2, 0, 4).unwrap()).contains("frames must be 1 + 4n"));
    assert!(message(video.narrow(3, 0, 12).unwrap()).contains("multiples of 8"));
}

#[test]
fn missing_and_unsupported_parts_are_named() {
    let fixture = Fixture::read("vae_21");
    let mut tensors = fixture.model_tensors();
    tensors.remove("decoder.up_blocks.1.resnets.0.conv_shortcut.weight").unwrap();
    let error = WanVae::load(&Weights::from_tensors(tensors), fixture.config()).err().unwrap().to_string();
    assert!(error.contains("no tensor decoder.upsamples.4.shortcut.weight"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    for (config, reason) in [
        (r#"{"attn_scales": [0.5]}"#, "attention outside the middle"),
        (r#"{"is_residual": true, "base_dim": 10, "dim_mult": [1, 7, 7, 7]}"#, "do not divide evenly"),
    ] {
        std::fs::write(&path, config).unwrap();
        let error = VaeConfig::read(&path).unwrap_err().to_string();
        assert!(error.contains("config.json: ") && error.contains(reason), "{error}");
    }
}
