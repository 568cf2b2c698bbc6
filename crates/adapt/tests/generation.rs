//! A generation with an added LoRA against diffusers' own pipeline with the same file, in every spelling.
#![allow(clippy::unwrap_used)] // tests

use std::ops::ControlFlow;

use candle_core::Tensor;
use lora_edit_adapt::{Adapter, Lora};
use lora_edit_model::WanTransformer;
use lora_edit_model::guidance::Inputs;
use lora_edit_model::sample::{Denoise, Denoised, Sampler};
use lora_edit_model::schedule::{Convention, Schedule};

mod support;
use support::{Fixture, path, relative_error};

const LIMIT: f64 = 1e-4;
const SPELLINGS: [&str; 4] = ["native", "diffusers", "down_up", "kohya"];

/// One run of `fixtures/make_generation.py`: a network and the inputs of its generation.
struct Run {
    name: &'static str,
    base: Fixture,
    expected: Fixture,
}

impl Run {
    fn of(name: &'static str, network: &str) -> Self {
        Self { name, base: Fixture::read(network), expected: Fixture::read("generation") }
    }

    fn stored(&self, part: &str) -> Tensor {
        self.expected.tensor(&format!("{}.{part}", self.name))
    }

    /// From the noise to a latent: four steps of UniPC with guidance, as the pipeline takes them.
    fn generate(&self, model: &WanTransformer) -> Tensor {
        let (condition, text, negative) =
            (self.stored("condition"), self.stored("text"), self.stored("negative"));
        let image = model.config().takes_image().then(|| self.stored("image"));
        let inputs = Inputs {
            condition: Some(&condition),
            known_frames: 0,
            text: &text,
            negative: Some(&negative),
            image: image.as_ref(),
        };
        let schedule = &Schedule::new(Convention::Diffusers, Sampler::UniPc, 4, 5.0);
        let way = Denoise { sampler: Sampler::UniPc, schedule, known: None };
        let velocity = |x: &Tensor, t| inputs.velocity(model, x, t, 4.0, None);
        let ended = way.run(self.stored("latents"), velocity, |_| ControlFlow::Continue(())).unwrap();
        let Denoised::Finished(latent) = ended else { panic!("stopped") };
        latent
    }

    fn check(&self, model: &WanTransformer, what: &str) -> Tensor {
        let latent = self.generate(model);
        let error = relative_error(&latent, &self.stored(&format!("out.{what}")));
        println!("{}, {what}: relative error {error:.1e}", self.name);
        assert!(error < LIMIT, "{}, {what}: {error}", self.name);
        latent
    }

    /// With all of what a file of another make holds.
    fn check_lora(&self, name: &str, strength: f64) {
        let loras = Lora::load(&path(name)).unwrap();
        assert!(loras.len() == 1 && loras[0].expert().is_none());
        let mut model = self.base.model();
        assert!(loras[0].add_to(&mut model, strength).unwrap().is_empty());
        let latent = self.check(&model, name);
        assert!(relative_error(&latent, &self.stored("out.base")) > 0.1, "{name} changes nothing");
    }

    /// The base alone, then with the adapter in each spelling.
    fn check_all(&self, adapter: &str) {
        let plain = self.check(&self.base.model(), "base");
        for spelling in SPELLINGS {
            let name = format!("{adapter}_{spelling}");
            let adapter = Adapter::load(&path(&name)).unwrap();
            assert!(adapter.ignored().is_empty(), "{name}: {:?}", adapter.ignored());
            let mut model = self.base.model();
            adapter.attach(&mut model, 1.0).unwrap();
            let latent = self.check(&model, &name);
            assert!(relative_error(&latent, &plain) > 0.1, "{name} changes nothing");
        }
    }
}

#[test]
fn generation_ends_where_diffusers_pipeline_does() {
    Run::of("plain", "peft_i2v").check_all("adapter_second");
}

#[test]
fn generation_with_pairs_for_the_clip_image_does_too() {
    Run::of("image", "peft_i2v_clip").check_all("adapter_image");
}

#[test]
fn generation_with_a_step_distillation_lora_ends_where_diffusers_does() {
    Run::of("image", "peft_i2v_clip").check_lora("lora_distilled", 1.0);
}

/// At the strength of `fixtures/make_generation.py`.
#[test]
fn generation_with_differences_of_norms_ends_where_that_of_changed_tensors_does() {
    Run::of("image", "peft_i2v_clip").check_lora("lora_differences", 0.5);
}
