//! Models of the Wan family, tiny: every layout from files to files, words, pictures, experts and LoRAs.
#![allow(clippy::unwrap_used)] // a test may stop where it stands

mod common;

use std::fs;

use common::tiny_wan::{self, Kind, Layout};
use common::{Ended, Workplace};
use lora_edit_shot::Frame;

const LAYOUTS: [(Layout, &str); 3] =
    [(Layout::ComfyUi, "comfy"), (Layout::Official, "official"), (Layout::Diffusers, "folders")];

/// A shot, and a model of this kind in ComfyUI's layout, named `wan`.
fn place(kind: Kind) -> Workplace {
    let place = Workplace::new();
    tiny_wan::write(&place.path("models/wan"), kind, Layout::ComfyUi);
    place
}

fn edit(place: &Workplace, more: &[&str]) -> Ended {
    let few = ["--train-steps", "2", "--look-variants", "0"];
    let model: &[&str] = if more.contains(&"--model") { &[] } else { &["--model", "wan"] };
    place.edit(&[model, &few, more].concat())
}

/// One frame of the result, of a run that kept the plate and generated all of the mask: beside carried paint a network of
/// random weights counts nothing.
fn picture(place: &Workplace, more: &[&str]) -> Frame {
    let summary = edit(place, &[&["--carry", "false"], more].concat()).summary();
    assert_eq!(summary["maxDiffOutsideMask"], 0.0, "{summary}");
    assert_eq!(summary["qc"]["nanCount"], 0, "{summary}");
    place.read("out/result", 1004)
}

fn stages(run: &Ended) -> Vec<String> {
    let events = run.events();
    let stages = events.iter().filter(|event| event["event"] == "stage");
    stages.map(|event| event["name"].as_str().unwrap().to_owned()).collect()
}

fn reads(run: &Ended) -> Vec<String> {
    stages(run).into_iter().filter(|stage| stage.starts_with("read ")).collect()
}

#[test]
fn every_layout_of_the_same_weights_gives_the_same_pictures() {
    for kind in [Kind::WithImage, Kind::TwoExperts] {
        let place = Workplace::new();
        let made = LAYOUTS.map(|(layout, name)| {
            tiny_wan::write(&place.path("models").join(name), kind, layout);
            picture(&place, &["--model", name, "--prompt", "a red square", "--guidance", "3"])
        });
        assert_eq!(made[0], made[1], "{kind:?}: ComfyUI and official");
        assert_eq!(made[0], made[2], "{kind:?}: ComfyUI and diffusers");
        assert_ne!(made[0], place.read("source", 1004), "{kind:?}");
    }
}

#[test]
fn encoders_are_read_for_what_is_new_and_only_then() {
    let place = place(Kind::WithImage);
    let prompt = ["--prompt", "a red square"];
    // Once each for the plate's and the edit's words and picture.
    assert_eq!(reads(&edit(&place, &prompt)), ["read text", "read picture", "read text", "read picture"]);
    let again = edit(&place, &[&prompt[..], &["--seed", "2"]].concat());
    assert_eq!(again.summary()["generated"], true);
    assert!(reads(&again).is_empty(), "{:?}", stages(&again));
    assert_eq!(reads(&edit(&place, &["--prompt", "a blue square"])), ["read text"]);
    place.paint([0.9, 0.9, 0.1]);
    assert_eq!(reads(&edit(&place, &prompt)), ["read picture"]);
    // The plate's own words and picture are known too.
    let retrained = edit(&place, &[&prompt[..], &["--rank", "3"]].concat());
    assert_eq!(retrained.summary()["trained"], true);
    assert!(reads(&retrained).is_empty(), "{:?}", stages(&retrained));
}

#[test]
fn words_and_guidance_decide_and_the_negative_prompt_only_with_guidance() {
    let place = place(Kind::WithImage);
    let with = |more: &[&str]| {
        let summary = edit(&place, &[&["--carry", "false"], more].concat()).summary();
        (summary["resultId"].to_string(), place.read("out/result", 1004))
    };
    let red = with(&["--prompt", "a red square"]);
    assert_ne!(red.1, with(&["--prompt", "a blue square"]).1);
    let guided = with(&["--prompt", "a red square", "--guidance", "5"]);
    assert_ne!(red.1, guided.1);
    let rain = ["--prompt", "a red square", "--negative-prompt", "rain"];
    assert_eq!(red.0, with(&rain).0, "without guidance it is not asked");
    assert_ne!(guided.1, with(&[&rain[..], &["--guidance", "5"]].concat()).1);
}

#[test]
fn words_of_the_plate_belong_to_the_adapter_and_those_of_the_edit_to_the_result() {
    let place = place(Kind::WithImage);
    let ids = |more: &[&str]| {
        let summary = edit(&place, more).summary();
        (summary["adapterId"].to_string(), summary["resultId"].to_string())
    };
    let first = ids(&["--source-prompt", "a square"]);
    let other = ids(&["--source-prompt", "a square", "--prompt", "a red square"]);
    assert!(first.0 == other.0 && first.1 != other.1);
    assert_ne!(first.0, ids(&["--source-prompt", "a box"]).0);
}

/// As if it had been written before both prompts, in training and in generation.
#[test]
fn a_prefix_stands_before_both_prompts() {
    let place = place(Kind::WithImage);
    let guided = ["--guidance", "4"];
    let with = |more: &[&str]| picture(&place, &[&guided[..], more].concat());
    let prefixed = ["--prompt-prefix", "p3rs0n,", "--source-prompt", "a square", "--prompt", "a red square"];
    let made = with(&prefixed);
    assert_eq!(made, with(&["--source-prompt", "p3rs0n, a square", "--prompt", "p3rs0n, a red square"]));
    assert_ne!(made, with(&["--source-prompt", "a square", "--prompt", "p3rs0n, a red square"]));
    assert_ne!(made, with(&["--source-prompt", "p3rs0n, a square", "--prompt", "a red square"]));
    // Without words of one's own it is the prompt.
    assert_eq!(
        with(&["--prompt-prefix", "p3rs0n,"]),
        with(&["--source-prompt", "p3rs0n,", "--prompt", "p3rs0n,"])
    );
    let ids = |more: &[&str]| edit(&place, more).summary()["adapterId"].to_string();
    assert_eq!(ids(&["--prompt-prefix", ""]), ids(&[]), "none is as it always was");
    assert_ne!(ids(&["--prompt-prefix", "p3rs0n,"]), ids(&[]));
}

#[test]
fn samplers_shift_and_step_cache_reach_the_sampling() {
    let place = place(Kind::WithImage);
    let steps = ["--sampler-steps", "4"];
    let with = |more: &[&str]| picture(&place, &[&steps[..], more].concat());
    let plain = with(&[]);
    for more in [["--sampler", "unipc"], ["--sampler", "dpmpp"], ["--shift", "1"], ["--step-cache", "1000"]] {
        assert_ne!(with(&more), plain, "{more:?}");
    }
    assert_eq!(with(&["--sampler", "euler"]), plain);
}

#[test]
fn a_stacked_lora_counts_by_its_strength_and_content() {
    let place = place(Kind::WithImage);
    let lora = place.path("few_steps.safetensors");
    tiny_wan::write_lora(&lora, 0.5);
    let plain = picture(&place, &[]);
    let one = picture(&place, &["--lora", "few_steps.safetensors"]);
    assert_ne!(one, plain);
    assert_eq!(picture(&place, &["--lora", "few_steps.safetensors:0"]), plain);
    assert_eq!(picture(&place, &["--lora", "few_steps.safetensors:1.0"]), one);
    let half = "few_steps.safetensors:0.5";
    let twice = picture(&place, &["--lora", half, "--lora", half]);
    let off =
        |a: &Frame, b: &Frame| a.data.iter().zip(&b.data).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    assert!(off(&twice, &one) < 1e-2 * off(&one, &plain).max(1e-3), "two halves make one");
    tiny_wan::write_lora(&lora, 0.4);
    assert_ne!(picture(&place, &["--lora", "few_steps.safetensors"]), one);
}

#[test]
fn a_lora_that_cannot_be_used_is_named_before_anything_is_trained() {
    let place = place(Kind::WithImage);
    edit(&place, &["--lora", "absent.safetensors:0.5"]).failed(4, &["LoRA", "absent.safetensors"]);
    fs::write(place.path("broken.safetensors"), b"not a LoRA").unwrap();
    let run = edit(&place, &["--lora", "broken.safetensors"]);
    run.failed(4, &["LoRA", "broken.safetensors"]);
    assert!(run.train_steps().is_empty());
    fs::copy(
        tiny_wan::image_path(&place.path("models/wan"), Layout::ComfyUi),
        place.path("clip.safetensors"),
    )
    .unwrap();
    edit(&place, &["--lora", "clip.safetensors"]).failed(4, &["clip.safetensors", "no low-rank pair"]);
}

#[test]
fn two_experts_learn_and_answer_in_turn() {
    let place = place(Kind::TwoExperts);
    let run = edit(&place, &[]);
    let summary = run.summary();
    assert_eq!(run.train_steps(), [1, 2, 1, 2], "each expert for itself");
    let id = summary["adapterId"].as_str().unwrap();
    let files: Vec<_> =
        place.cached("adapters").into_iter().filter(|name| name.ends_with(".safetensors")).collect();
    assert_eq!(files, [format!("{id}.low_noise.safetensors"), format!("{id}.safetensors")]);
    let base = |file: &str| {
        let bytes = fs::read(place.path("cache/adapters").join(file)).unwrap();
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        header.metadata().clone().unwrap()["lora_edit.base"].clone()
    };
    assert_eq!(
        files.iter().map(|file| base(file)).collect::<Vec<_>>(),
        ["wan, low-noise expert", "wan, high-noise expert"]
    );
    assert_eq!(place.run(&["adapters", "list"]).stdout.lines().count(), 1);
    // One whose file is lost is trained again, and the other is not.
    fs::remove_file(place.path("cache/adapters").join(&files[0])).unwrap();
    assert_eq!(edit(&place, &["--seed", "2"]).train_steps(), [1, 2]);
}

#[test]
fn a_lora_for_one_expert_goes_to_it_alone() {
    let place = place(Kind::TwoExperts);
    let steps = ["--sampler-steps", "4"];
    let with = |lora: &[&str]| picture(&place, &[&steps[..], lora].concat());
    for name in ["distill_high_noise.safetensors", "distill_low_noise.safetensors", "distill.safetensors"] {
        tiny_wan::write_lora(&place.path(name), 0.5);
    }
    let (high, low) = ("distill_high_noise.safetensors", "distill_low_noise.safetensors");
    let plain = with(&[]);
    let (first, second) = (with(&["--lora", high]), with(&["--lora", low]));
    assert_ne!(first, plain, "the high-noise expert");
    assert_ne!(second, plain, "the low-noise expert");
    assert_ne!(first, second);
    assert_eq!(with(&["--lora", high, "--lora", low]), with(&["--lora", "distill.safetensors"]));
}

#[test]
fn the_low_noise_expert_has_its_own_guidance() {
    let place = place(Kind::TwoExperts);
    let guided = ["--prompt", "a red square", "--guidance", "4", "--sampler-steps", "4"];
    let both = picture(&place, &guided);
    assert_ne!(picture(&place, &[&guided[..], &["--guidance-low", "1"]].concat()), both);
    assert_eq!(picture(&place, &[&guided[..], &["--guidance-low", "4"]].concat()), both);
}

#[test]
fn what_a_model_lacks_is_named() {
    let place = place(Kind::WithImage);
    fs::remove_file(tiny_wan::image_path(&place.path("models/wan"), Layout::ComfyUi)).unwrap();
    edit(&place, &[]).failed(6, &["wan2.1_i2v.safetensors", "no image encoder"]);
    fs::remove_dir_all(place.path("models/wan/vae")).unwrap();
    edit(&place, &[]).failed(6, &["models/wan", "no video autoencoder"]);
    // Its text encoder is a published model's too, as far as the headers say.
    let published = edit(&place, &["--model", "wan2.1-fun-1.3b-inp"]);
    published
        .failed(6, &["wan2.1-fun-1.3b-inp", "Wan2.1_VAE.pth", "lora-edit models fetch wan2.1-fun-1.3b-inp"]);
    let nowhere = edit(&place, &["--model", "wan2.2-i2v-a14b", "--model-dir", "out"]);
    nowhere.failed(6, &["wan2.2-i2v-a14b", "not found", "models fetch wan2.2-i2v-a14b"]);
}

#[test]
fn a_model_without_an_input_for_the_mask_is_refused_by_name() {
    let place = Workplace::new();
    place.edit(&["--model", "wan2.2-ti2v-5b"]).failed(6, &["wan2.2-ti2v-5b", "no input for a mask"]);
    place.run(&["models", "locate", "wan2.2-ti2v-5b"]).failed(6, &["no input for a mask"]);
}

#[test]
fn words_for_a_model_that_takes_none_are_refused() {
    let place = Workplace::new();
    let words =
        [["--prompt", "red"], ["--source-prompt", "red"], ["--prompt-prefix", "red"], ["--guidance", "5"]];
    for more in words {
        place.edit(&more).failed(2, &["model 'tiny' takes no text"]);
    }
}

#[test]
fn locate_says_what_the_plug_in_asks() {
    let place = place(Kind::TwoExperts);
    let run = place.run(&["models", "locate", "wan", "--model-dir", "models", "--json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let found: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let base: lora_edit_shot::base::BaseModel = serde_json::from_value(found.clone()).unwrap();
    assert_eq!((base.name.as_str(), base.fingerprint.len()), ("wan", 32));
    for (part, file) in [
        ("transformer", "wan2.2_i2v_high_noise_14B.safetensors"),
        ("lowNoise", "wan2.2_i2v_low_noise_14B.safetensors"),
        ("vae", "wan_2.1_vae.safetensors"),
        ("text", "umt5_xxl.safetensors"),
        ("tokenizer", "umt5_xxl.safetensors"),
    ] {
        assert!(found["parts"][part].as_str().unwrap().ends_with(file), "{part}: {found}");
    }
    assert_eq!(found["parts"]["image"], serde_json::Value::Null);
    assert!(place.run(&["models", "locate", "wan", "--model-dir", "models"]).stdout.contains("lowNoise\t"));
}

#[test]
fn settings_that_would_change_nothing_or_teach_something_wrong_are_refused() {
    let place = place(Kind::WithImage);
    edit(&place, &["--guidance-low", "3"]).failed(2, &["no low-noise expert"]);
    let looks = ["--model", "wan", "--look-variants", "2"];
    place.edit(&looks).failed(2, &["recoloured variants would not fit"]);
    let words = ["--reference", "edited.png", "--stage2-epochs", "0"];
    edit(&place, &words).failed(2, &["--reference", "--stage2-epochs 0"]);
}

#[test]
fn one_expert_without_the_other_is_no_model() {
    let place = place(Kind::TwoExperts);
    let folder = place.path("models/wan/diffusion_models");
    for (gone, lacks) in [("low", "no low-noise expert"), ("high", "no high-noise expert")] {
        let path = folder.join(format!("wan2.2_i2v_{gone}_noise_14B.safetensors"));
        let aside = path.with_extension("aside");
        fs::rename(&path, &aside).unwrap();
        edit(&place, &[]).failed(6, &[lacks]);
        fs::rename(&aside, &path).unwrap();
    }
}
