//! Guidance, two experts, known frames and the step cache, on the fixtures' networks.
#![allow(clippy::unwrap_used)] // a test may panic

use std::ops::ControlFlow;
use std::path::PathBuf;

use candle_core::{DType, Tensor};
use lora_edit_model::WanTransformer;
use lora_edit_model::flow::noise;
use lora_edit_model::guidance::{Expert, Inputs, StepCaches};
use lora_edit_model::sample::{Denoise, Denoised, Sampler};
use lora_edit_model::schedule::{Convention, Schedule};

mod support;
use support::{Fixture, assert_close, relative_error, rms_error};

fn model(name: &str) -> WanTransformer {
    let fixture = Fixture::read(name);
    WanTransformer::load(&fixture.diffusers_weights(), fixture.config()).unwrap()
}

fn text(seed: u64) -> Tensor {
    noise(seed, (1, 9, 16)).unwrap()
}

#[test]
fn guidance_asks_twice_and_is_skipped_at_one() {
    let model = model("transformer_t2v");
    let x = noise(1, (1, 16, 2, 4, 4)).unwrap();
    let (prompt, negative) = (text(2), text(3));
    let plain = Inputs { condition: None, known_frames: 0, text: &prompt, negative: None, image: None };
    let guided = Inputs { negative: Some(&negative), ..plain };
    let opposite = Inputs { text: &negative, ..plain };
    let ask = |inputs: &Inputs<'_>, scale| {
        let mut caches = StepCaches::new(0.0);
        let v = inputs.velocity(&model, &x, 600.0, scale, Some(&mut caches)).unwrap();
        (v, caches.prompt.counts().1 + caches.negative.counts().1)
    };
    let (conditional, _) = ask(&plain, 5.0);
    let (unconditional, _) = ask(&opposite, 5.0);
    let (v, asked) = ask(&guided, 4.0);
    let expected = ((&conditional * 4.0).unwrap() - (&unconditional * 3.0).unwrap()).unwrap();
    assert_close("guided", &v, &expected, 1e-5);
    assert_eq!(asked, 2);
    assert!(relative_error(&conditional, &unconditional) > 1e-3, "the prompts make no difference");
    let (v, asked) = ask(&guided, 1.0);
    assert_close("at 1", &v, &conditional, 0.0);
    assert_eq!(asked, 1);
}

#[test]
fn known_frames_are_told_time_zero() {
    let model = model("transformer_ti2v");
    let (x, prompt) = (noise(1, (2, 48, 3, 4, 6)).unwrap(), noise(2, (2, 9, 16)).unwrap());
    let inputs = Inputs { condition: None, known_frames: 1, text: &prompt, negative: None, image: None };
    let times: Vec<f32> = (0..36).map(|i| if i % 18 < 6 { 0.0 } else { 712.0 }).collect();
    let times = Tensor::from_vec(times, (2, 18), x.device()).unwrap();
    let expected = model.forward(&x, &times, &prompt, None).unwrap();
    assert_close("known", &inputs.velocity(&model, &x, 712.0, 1.0, None).unwrap(), &expected, 0.0);
    let too_many = Inputs { known_frames: 4, ..inputs };
    let error = too_many.velocity(&model, &x, 712.0, 1.0, None).unwrap_err().to_string();
    assert!(error.contains("4 known latent frames of 3"), "{error}");
}

#[test]
fn the_condition_is_joined_behind_the_latent() {
    let model = model("transformer_i2v");
    let (x, condition) = (noise(1, (1, 16, 3, 4, 6)).unwrap(), noise(2, (1, 20, 3, 4, 6)).unwrap());
    let prompt = text(3);
    let inputs =
        Inputs { condition: Some(&condition), known_frames: 0, text: &prompt, negative: None, image: None };
    let joined = Tensor::cat(&[&x, &condition], 1).unwrap();
    let t = Tensor::new(&[333f32], x.device()).unwrap();
    let expected = model.forward(&joined, &t, &prompt, None).unwrap();
    assert_close("joined", &inputs.velocity(&model, &x, 333.0, 1.0, None).unwrap(), &expected, 0.0);
}

/// The embedded model's latent after twenty steps that generate all but the first frame, and the evaluations reused
/// and computed.
fn generate(model: &WanTransformer, threshold: Option<f64>) -> (Tensor, (usize, usize)) {
    let (frames, rows, columns) = (3, 8, 12);
    let clean = (noise(4, (1, 16, frames, rows, columns)).unwrap() * 0.5).unwrap();
    let keep = |value: f64, frames| {
        Tensor::full(value as f32, (1, 4, frames, rows, columns), clean.device()).unwrap()
    };
    let mask = Tensor::cat(&[keep(1.0, 1), keep(0.0, frames - 1)], 2).unwrap();
    let condition = Tensor::cat(&[&mask, &clean], 1).unwrap();
    let prompt = Tensor::zeros((1, 1, 32), DType::F32, clean.device()).unwrap();
    let inputs =
        Inputs { condition: Some(&condition), known_frames: 0, text: &prompt, negative: None, image: None };
    let mut caches = threshold.map(StepCaches::new);
    let schedule = &Schedule::new(Convention::Wan, Sampler::UniPc, 20, 5.0);
    let way = Denoise { sampler: Sampler::UniPc, schedule, known: None };
    let velocity = |x: &Tensor, t| inputs.velocity(model, x, t, 1.0, caches.as_mut());
    let start = noise(1, clean.shape()).unwrap();
    let ended = way.run(start, velocity, |_| ControlFlow::Continue(())).unwrap();
    let Denoised::Finished(latent) = ended else { panic!("stopped") };
    (latent, caches.map_or((0, 20), |caches| caches.prompt.counts()))
}

#[test]
fn the_step_cache_trades_steps_for_a_stated_error() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../bundle/models/nano/transformer");
    let model = WanTransformer::open(&folder).unwrap();
    let (exact, _) = generate(&model, None);
    let (same, counts) = generate(&model, Some(0.0));
    assert_eq!(counts, (0, 20));
    assert_close("threshold 0", &same, &exact, 0.0);
    let mut before = 0;
    for (threshold, bound) in [(0.02, 0.01), (0.05, 0.05), (0.1, 0.25)] {
        let (latent, (reused, computed)) = generate(&model, Some(threshold));
        let error = rms_error(&latent, &exact);
        println!("step cache at {threshold}: {reused} of 20 steps reused, rms error {error:.1e}");
        assert_eq!(reused + computed, 20);
        assert!(reused >= before, "a higher threshold reuses at least as much");
        assert!(error < bound, "{error} at {threshold}");
        before = reused;
    }
    assert!(before >= 5, "only {before} steps were reused");
}

#[test]
fn an_expert_that_takes_over_starts_with_empty_caches() {
    let model = model("transformer_t2v");
    let (x, prompt) = (noise(1, (1, 16, 2, 4, 4)).unwrap(), text(2));
    let inputs = Inputs { condition: None, known_frames: 0, text: &prompt, negative: None, image: None };
    let mut caches = StepCaches::new(0.5);
    for expected in [(0, 1), (1, 1)] {
        inputs.velocity(&model, &x, 600.0, 1.0, Some(&mut caches)).unwrap();
        assert_eq!(caches.prompt.counts(), expected);
    }
    caches.reset();
    inputs.velocity(&model, &x, 600.0, 1.0, Some(&mut caches)).unwrap();
    assert_eq!(caches.prompt.counts(), (1, 2));
    // A latent of another size is no step of the same run.
    let larger = noise(1, (1, 16, 2, 4, 6)).unwrap();
    inputs.velocity(&model, &larger, 600.0, 1.0, Some(&mut caches)).unwrap();
    assert_eq!(caches.prompt.counts(), (1, 3));
}

#[test]
fn each_expert_answers_on_its_side_of_the_boundary() {
    let (high, low) = (model("transformer_t2v"), {
        let fixture = Fixture::read("transformer_t2v");
        let mut tensors = fixture.model_tensors();
        // Another network of the same sizes: its last projection turned round.
        let turned = tensors["proj_out.weight"].neg().unwrap();
        tensors.insert("proj_out.weight".into(), turned);
        WanTransformer::load(&lora_edit_model::Weights::from_tensors(tensors), fixture.config()).unwrap()
    });
    let prompt = text(2);
    let inputs = Inputs { condition: None, known_frames: 0, text: &prompt, negative: None, image: None };
    let schedule = &Schedule::new(Convention::Wan, Sampler::DpmPp, 6, 5.0);
    let mut asked = Vec::new();
    let velocity = |x: &Tensor, t| {
        let expert = Expert::at(t, 0.9);
        asked.push((t, expert));
        inputs.velocity(if expert == Expert::High { &high } else { &low }, x, t, 1.0, None)
    };
    let way = Denoise { sampler: Sampler::DpmPp, schedule, known: None };
    way.run(noise(1, (1, 16, 2, 6, 4)).unwrap(), velocity, |_| ControlFlow::Continue(())).unwrap();
    let switch = asked.iter().position(|&(_, expert)| expert == Expert::Low).unwrap();
    // Shift 5: 1000, 961, 909, 833, 714, 500.
    assert_eq!(switch, 3);
    assert!(
        asked[..3].iter().all(|&(t, _)| t >= 900.0)
            && asked[3..].iter().all(|&(t, e)| t < 900.0 && e == Expert::Low)
    );
}
