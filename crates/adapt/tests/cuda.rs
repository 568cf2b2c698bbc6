//! Training on an NVIDIA GPU against the same training on the CPU.
//!
//! `cargo test -p lora-edit-adapt --features cuda --test cuda -- --ignored`
#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used)] // a test may panic

use std::ops::ControlFlow;

use candle_core::Tensor;
use lora_edit_adapt::{Adapter, AdapterConfig, Recipe, TrainInput, TrainState, checkpoint, train};
use lora_edit_model::Placement;
use lora_edit_model::device::{DeviceWish, choose};

mod support;
use support::Fixture;

fn losses(fixture: &Fixture, placement: &Placement, steps: usize) -> Vec<f32> {
    let adapter = AdapterConfig { rank: 4, alpha: 4.0, ..Default::default() };
    let recipe = Recipe { adapter, steps, learning_rate: 1e-2, seed: 7, ..Default::default() };
    let mut model = fixture.model_on(placement);
    let adapter = Adapter::create(&mut model, &recipe.adapter, recipe.seed).unwrap();
    let mut state = TrainState::new(&adapter, &recipe).unwrap();
    let there = |t: &Tensor| t.to_device(&placement.device).unwrap();
    let input = fixture.input();
    let input = TrainInput {
        latents: there(&input.latents),
        condition: there(&input.condition),
        text: there(&input.text),
        image: input.image.as_ref().map(there),
        loss_weight: None,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let sample = |_| Ok(input.clone());
    let outcome =
        train(&model, &adapter, &recipe, &mut state, sample, |_| ControlFlow::Continue(())).unwrap();
    checkpoint::save(&path, &adapter, &recipe, &state).unwrap();
    assert_eq!(checkpoint::resume(&path, &adapter, &recipe).unwrap().steps_done(), steps);
    outcome.losses
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn losses_on_the_gpu_follow_those_on_the_cpu() {
    let gpu = choose(DeviceWish::Cuda(0)).unwrap();
    for name in ["peft_i2v", "peft_i2v_clip"] {
        let fixture = Fixture::read(name);
        let expected = losses(&fixture, &Placement::default(), 20);
        let f32_there = Placement { device: gpu.clone(), ..Placement::default() };
        for (placement, limit) in [(f32_there, 1e-3), (Placement::of_transformer(&gpu), 5e-2)] {
            let found = losses(&fixture, &placement, 20);
            for (step, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let off = (found - expected).abs() / expected;
                assert!(off < limit, "{name} {:?}, step {step}: {found} against {expected}", placement.dtype);
            }
        }
    }
}
