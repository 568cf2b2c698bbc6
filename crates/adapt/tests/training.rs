//! The training loop on a tiny transformer: it learns, repeats itself exactly, resumes exactly, stops and complains.
#![allow(clippy::unwrap_used)] // tests

use std::ops::ControlFlow;

use candle_core::Tensor;
use lora_edit_adapt::{
    AdaptError, Adapter, AdapterConfig, HeldBack, Recipe, StepReport, TrainInput, TrainOutcome, TrainState,
    checkpoint, flow_loss, held_back_loss, train,
};
use lora_edit_model::{Memory, Placement, Residency, WanTransformer, flow};

mod support;
use support::{Fixture, tiny, tiny_input, values};

fn go_on(_: &StepReport<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn recipe(steps: usize) -> Recipe {
    let adapter = AdapterConfig { rank: 4, alpha: 4.0, ..Default::default() };
    Recipe { adapter, steps, learning_rate: 1e-2, seed: 7, ..Default::default() }
}

/// A fixture's network with a fresh adapter.
fn fresh(fixture: &Fixture, recipe: &Recipe) -> (WanTransformer, Adapter) {
    let mut model = fixture.model();
    let adapter = Adapter::create(&mut model, &recipe.adapter, recipe.seed).unwrap();
    (model, adapter)
}

fn bits(adapter: &Adapter) -> Vec<Vec<u32>> {
    let bits = |t: &Tensor| values(t).into_iter().map(|v| (v as f32).to_bits()).collect();
    adapter.parameters().into_iter().map(|(_, var)| bits(var)).collect()
}

fn run(fixture: &Fixture, recipe: &Recipe) -> (Adapter, TrainOutcome) {
    let (model, adapter) = fresh(fixture, recipe);
    let mut state = TrainState::new(&adapter, recipe).unwrap();
    let outcome = train(&model, &adapter, recipe, &mut state, |_| Ok(fixture.input()), go_on).unwrap();
    (adapter, outcome)
}

#[test]
fn every_way_of_using_memory_trains_the_same_bytes() {
    let (fixture, recipe) = (Fixture::read("peft_i2v_clip"), recipe(4));
    let (expected, _) = run(&fixture, &recipe);
    for residency in [Residency::Resident, Residency::Streamed] {
        let mut model = fixture.model_with(&Placement::default(), &Memory { residency, recompute: true });
        let adapter = Adapter::create(&mut model, &recipe.adapter, recipe.seed).unwrap();
        let mut state = TrainState::new(&adapter, &recipe).unwrap();
        train(&model, &adapter, &recipe, &mut state, |_| Ok(fixture.input()), go_on).unwrap();
        assert!(bits(&adapter) == bits(&expected), "{residency:?}");
    }
}

/// Blocks whose first adapted layer comes late, or whose last comes early, are walked through as whole ones are.
#[test]
fn an_adapter_of_some_layers_trains_alike_in_every_way_and_resumes() {
    let (fixture, folder) = (Fixture::read("peft_i2v_clip"), tempfile::tempdir().unwrap());
    let file = folder.path().join("checkpoint.safetensors");
    for part in ["self_attn", "cross_attn", "ffn"] {
        let mut recipe = recipe(4);
        recipe.adapter.targets.retain(|layer| layer.starts_with(part));
        let (expected, _) = run(&fixture, &recipe);
        assert!(expected.layers().iter().all(|layer| layer.path.contains(part)));
        let memory = Memory { residency: Residency::Streamed, recompute: true };
        let mut model = fixture.model_with(&Placement::default(), &memory);
        let adapter = Adapter::create(&mut model, &recipe.adapter, recipe.seed).unwrap();
        let mut state = TrainState::new(&adapter, &recipe).unwrap();
        let stop = |report: &StepReport<'_>| match report.step {
            2 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        train(&model, &adapter, &recipe, &mut state, |_| Ok(fixture.input()), stop).unwrap();
        checkpoint::save(&file, &adapter, &recipe, &state).unwrap();

        let (model, adapter) = fresh(&fixture, &recipe);
        let mut state = checkpoint::resume(&file, &adapter, &recipe).unwrap();
        train(&model, &adapter, &recipe, &mut state, |_| Ok(fixture.input()), go_on).unwrap();
        assert!(bits(&adapter) == bits(&expected), "{part}");
    }
}

/// The mean over noise levels and noises that the training has not seen.
fn validation_loss(model: &WanTransformer, input: &TrainInput) -> f64 {
    let loss = |i: u64| {
        let noise = flow::noise(1000 + i, input.latents.shape()).unwrap();
        values(&flow_loss(model, input, &noise, 0.1 + 0.2 * i as f64, 1.0).unwrap())[0]
    };
    (0..5).map(loss).sum::<f64>() / 5.0
}

/// Whoever sees the noisy clip but has not learnt it gets at best 1.58 over these noise levels (the linear estimate
/// for white noise on a white clip), so that less proves memory.
#[test]
fn overfits_one_sample() {
    let recipe = recipe(400);
    let mut model = tiny();
    let adapter = Adapter::create(&mut model, &recipe.adapter, recipe.seed).unwrap();
    let before = validation_loss(&model, &tiny_input());
    let mut state = TrainState::new(&adapter, &recipe).unwrap();
    let outcome = train(&model, &adapter, &recipe, &mut state, |_| Ok(tiny_input()), go_on).unwrap();
    let after = validation_loss(&model, &tiny_input());
    assert!(outcome.finished && outcome.losses.len() == 400);
    assert!(before > 2.0 && after < 1.0, "{before} -> {after}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let fixture = Fixture::read("peft_i2v_clip");
    let (first, again) = (run(&fixture, &recipe(4)), run(&fixture, &recipe(4)));
    assert_eq!(first.1.losses, again.1.losses);
    assert_eq!(bits(&first.0), bits(&again.0));
    let other = run(&fixture, &Recipe { seed: 8, ..recipe(4) });
    assert_ne!(first.1.losses, other.1.losses);
}

#[test]
fn a_resumed_training_equals_an_uninterrupted_one() {
    let (fixture, recipe) = (Fixture::read("peft_i2v"), recipe(6));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let (expected, uninterrupted) = run(&fixture, &recipe);

    let (model, adapter) = fresh(&fixture, &recipe);
    let mut state = TrainState::new(&adapter, &recipe).unwrap();
    let stop_at_3 = |report: &StepReport<'_>| {
        checkpoint::save(&path, &adapter, &recipe, report.state).unwrap();
        if report.step == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let stopped = train(&model, &adapter, &recipe, &mut state, |_| Ok(fixture.input()), stop_at_3).unwrap();
    assert!(!stopped.finished);
    assert_eq!(stopped.losses, uninterrupted.losses[..3]);

    let (model, adapter) = fresh(&fixture, &Recipe { seed: 99, ..recipe.clone() });
    let mut state = checkpoint::resume(&path, &adapter, &recipe).unwrap();
    assert_eq!(state.steps_done(), 3);
    let mut seen = Vec::new();
    let sample = |step| {
        seen.push(step);
        Ok(fixture.input())
    };
    let outcome = train(&model, &adapter, &recipe, &mut state, sample, go_on).unwrap();
    assert_eq!(seen, [3, 4, 5]);
    assert!(outcome.finished);
    assert_eq!(outcome.losses, uninterrupted.losses);
    assert_eq!(bits(&adapter), bits(&expected));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary is left");
}

#[test]
fn held_back_losses_are_part_of_a_checkpoint() {
    let (fixture, recipe) = (Fixture::read("peft_i2v"), recipe(1));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let (_, adapter) = fresh(&fixture, &recipe);
    let mut state = TrainState::new(&adapter, &recipe).unwrap();
    state.held_back = vec![HeldBack { step: 50, loss: 0.625 }, HeldBack { step: 16_777_215, loss: 0.1 }];
    checkpoint::save(&path, &adapter, &recipe, &state).unwrap();
    assert_eq!(checkpoint::resume(&path, &adapter, &recipe).unwrap().held_back, state.held_back);
}

/// By its definition, at the middles of three parts of the noise levels, and with noise that a training never meets.
#[test]
fn held_back_loss_is_a_mean_over_fixed_noise() {
    let fixture = Fixture::read("peft_i2v_clip");
    let (mut model, adapter) = fixture.adapted();
    let recipe = Recipe { mask_loss_weight: 3.0, ..recipe(4) };
    let held_back = |model: &mut _, recipe: &Recipe| held_back_loss(model, &fixture.input(), recipe).unwrap();
    let found = held_back(&mut model, &recipe);
    assert_eq!(found.to_bits(), held_back(&mut model, &recipe).to_bits());
    assert_ne!(found, held_back(&mut model, &Recipe { seed: 8, ..recipe.clone() }));
    assert_ne!(found, held_back(&mut model, &Recipe { timestep_shift: 3.0, ..recipe.clone() }));
    let over_noises = |seeds: std::ops::Range<u64>| {
        let loss = |seed: u64| {
            let noise = flow::noise(seed, fixture.input().latents.shape()).unwrap();
            let sigma = (f64::from(u32::try_from(seed % 3).unwrap()) + 0.5) / 3.0;
            values(&flow_loss(&model, &fixture.input(), &noise, sigma, 3.0).unwrap())[0]
        };
        let count = (seeds.end - seeds.start) as f64;
        seeds.map(loss).sum::<f64>() / count
    };
    let expected = over_noises(3000..3060);
    assert!((f64::from(found) - expected).abs() < 0.2 * expected, "{found} against {expected}");

    // The pairs are trained as before, and what is measured follows them.
    let mut state = TrainState::new(&adapter, &recipe).unwrap();
    train(&model, &adapter, &recipe, &mut state, |_| Ok(fixture.input()), go_on).unwrap();
    assert_ne!(found, held_back(&mut model, &recipe));
}

#[test]
fn a_checkpoint_of_another_recipe_or_base_changes_nothing() {
    let (fixture, recipe) = (Fixture::read("peft_i2v"), recipe(1));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let (_, adapter) = fresh(&fixture, &recipe);
    checkpoint::save(&path, &adapter, &recipe, &TrainState::new(&adapter, &recipe).unwrap()).unwrap();
    let before = bits(&adapter);

    let error = checkpoint::resume(&path, &adapter, &Recipe { seed: 1, ..recipe.clone() }).unwrap_err();
    assert!(error.to_string().contains("another recipe"), "{error}");
    let config = AdapterConfig { rank: 2, ..recipe.adapter.clone() };
    let narrow = Adapter::new(&fixture.model(), &config, 0).unwrap();
    let error = checkpoint::resume(&path, &narrow, &recipe).unwrap_err();
    assert!(error.to_string().contains("no first.blocks.0.self_attn.q.lora_A.weight"), "{error}");
    let error = checkpoint::resume(&support::path("adapter_native"), &adapter, &recipe).unwrap_err();
    assert!(error.to_string().contains("not a training checkpoint"), "{error}");
    assert_eq!(bits(&adapter), before);
}

#[test]
fn reports_count_from_one_and_estimate_the_rest() {
    let (fixture, recipe) = (Fixture::read("peft_i2v"), recipe(3));
    let (model, adapter) = fresh(&fixture, &recipe);
    let mut state = TrainState::new(&adapter, &recipe).unwrap();
    let mut reports = Vec::new();
    let on_step = |report: &StepReport<'_>| {
        assert_eq!(report.state.losses.last(), Some(&report.loss));
        reports.push((report.step, report.of, report.seconds_left, report.seconds));
        ControlFlow::Continue(())
    };
    train(&model, &adapter, &recipe, &mut state, |_| Ok(fixture.input()), on_step).unwrap();
    assert_eq!(reports.iter().map(|r| (r.0, r.1)).collect::<Vec<_>>(), [(1, 3), (2, 3), (3, 3)]);
    assert!(reports[0].2 > 0.0 && reports[2].2 == 0.0 && reports.iter().all(|r| r.3 > 0.0));
}

#[test]
fn a_loss_that_is_not_finite_names_its_step_and_leaves_the_adapter() {
    let (fixture, recipe) = (Fixture::read("peft_i2v"), recipe(5));
    let (model, adapter) = fresh(&fixture, &recipe);
    let mut state = TrainState::new(&adapter, &recipe).unwrap();
    let mut before = Vec::new();
    let sample = |step| {
        let mut input = fixture.input();
        if step == 2 {
            before = bits(&adapter);
            input.latents = (input.latents * f64::INFINITY)?;
        }
        Ok(input)
    };
    let error = train(&model, &adapter, &recipe, &mut state, sample, go_on).unwrap_err();
    assert!(matches!(error, AdaptError::NotFinite { step: 3, what: "loss" }), "{error}");
    assert_eq!(state.steps_done(), 2);
    assert_eq!(bits(&adapter), before);
}

#[test]
fn a_detached_adapter_is_not_trained_in_silence() {
    let (fixture, recipe) = (Fixture::read("peft_i2v"), recipe(1));
    let model = fixture.model();
    let adapter = Adapter::new(&model, &recipe.adapter, 0).unwrap();
    let mut state = TrainState::new(&adapter, &recipe).unwrap();
    let error = train(&model, &adapter, &recipe, &mut state, |_| Ok(fixture.input()), go_on).unwrap_err();
    assert!(error.to_string().contains("no gradient reached blocks.0.self_attn.q.lora_A.weight"), "{error}");
}

#[test]
fn mask_weight_is_a_weighted_mean() {
    let fixture = Fixture::read("peft_i2v");
    let model = fixture.model();
    let mut input = fixture.input();
    // Generate in latent frame 1, but for its last mask channel: one touched frame is enough.
    let keep = Tensor::ones((1, 4, 3, 4, 6), candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
    let hole = Tensor::zeros((1, 1, 1, 4, 6), candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
    let mask = keep.slice_assign(&[0..1, 2..3, 1..2, 0..4, 0..6], &hole).unwrap();
    input.condition = Tensor::cat(&[mask, input.condition.narrow(1, 4, 16).unwrap()], 1).unwrap();
    let noise = fixture.tensor("noise");
    let loss =
        |input: &TrainInput, weight| values(&flow_loss(&model, input, &noise, 0.5, weight).unwrap())[0];

    let weights = |frame: usize, weight: f32| {
        let map: Vec<f32> = (0..72).map(|i| if i / 24 == frame { weight } else { 1.0 }).collect();
        let map = Tensor::from_vec(map, (1, 1, 3, 4, 6), &candle_core::Device::Cpu).unwrap();
        TrainInput { loss_weight: Some(map), ..input.clone() }
    };
    let (plain, weighted) = (loss(&input, 1.0), loss(&input, 3.0));
    assert!((loss(&weights(1, 3.0), 1.0) - weighted).abs() < 1e-6 * weighted);
    assert!((loss(&weights(1, 1.0), 3.0) - plain).abs() < 1e-6 * plain);
    // The weighted mean by its definition, from the loss with frame 1 left out.
    let others = loss(&weights(1, 0.0), 1.0);
    let inside = 3.0 * plain - 2.0 * others;
    assert!((weighted - (2.0 * others + 3.0 * inside) / 5.0).abs() < 1e-5 * weighted);
    assert!((weighted - plain).abs() > 1e-3 * plain);
}
