//! Generation with other programs' LoRAs: each alone and several at their strengths, against diffusers.
#![allow(clippy::unwrap_used)] // tests

use std::ops::ControlFlow;

use candle_core::Tensor;
use lora_edit_adapt::Adapter;
use lora_edit_model::WanTransformer;
use lora_edit_model::guidance::Inputs;
use lora_edit_model::sample::{Denoise, Denoised, Sampler};
use lora_edit_model::schedule::Schedule;

mod support;
use support::{Fixture, path, relative_error};

const LIMIT: f64 = 1e-4;
const SPELLINGS: [&str; 4] = ["native", "diffusers", "down_up", "kohya"];

fn with_adapters(base: &Fixture, adapters: &[(&str, f64)]) -> WanTransformer {
    let mut model = base.model();
    for (name, strength) in adapters {
        Adapter::load(&path(name)).unwrap().attach(&mut model, *strength).unwrap();
    }
    model
}

fn check(what: &str, found: &Tensor, expected: &Tensor) {
    let error = relative_error(found, expected);
    println!("{what}: relative error {error:.1e}");
    assert!(error < LIMIT, "{what}: {error}");
}

/// The strengths of `fixtures/make_stack.py`.
fn stack(base: &Fixture) -> WanTransformer {
    with_adapters(base, &[("adapter_native", 0.8), ("adapter_second_kohya", -0.6)])
}

#[test]
fn every_spelling_gives_what_diffusers_makes_of_it() {
    let (base, expected) = (Fixture::read("peft_i2v"), Fixture::read("stack"));
    let plain = base.predict(&base.model());
    for kind in ["adapter_", "adapter_second_"] {
        for spelling in SPELLINGS {
            let name = format!("{kind}{spelling}");
            let out = base.predict(&with_adapters(&base, &[(&name, 1.0)]));
            check(&name, &out, &expected.tensor(&format!("out.{name}")));
            assert!(relative_error(&out, &plain) > 0.05, "{name} changes nothing");
        }
    }
}

#[test]
fn several_at_their_strengths_give_diffusers_output() {
    let (base, expected) = (Fixture::read("peft_i2v"), Fixture::read("stack"));
    check("both", &base.predict(&stack(&base)), &expected.tensor("out.stack"));
    // The order in which they are attached says nothing.
    let turned = with_adapters(&base, &[("adapter_second_native", -0.6), ("adapter_down_up", 0.8)]);
    check("the other way round", &base.predict(&turned), &expected.tensor("out.stack"));
}

#[test]
fn generation_with_several_ends_where_diffusers_does() {
    let (base, expected) = (Fixture::read("peft_i2v"), Fixture::read("stack"));
    let (condition, text) = (base.tensor("condition"), base.tensor("text"));
    let inputs =
        Inputs { condition: Some(&condition), known_frames: 0, text: &text, negative: None, image: None };
    let schedule = &Schedule::exact(vec![1.0, 0.75, 0.375, 0.0]);
    for (name, model) in [("latent.base", base.model()), ("latent.stack", stack(&base))] {
        let way = Denoise { sampler: Sampler::Euler, schedule, known: None };
        let velocity = |x: &Tensor, t| inputs.velocity(&model, x, t, 1.0, None);
        let ended = way.run(base.tensor("noise"), velocity, |_| ControlFlow::Continue(())).unwrap();
        let Denoised::Finished(latent) = ended else { panic!("stopped") };
        check(name, &latent, &expected.tensor(name));
    }
}
