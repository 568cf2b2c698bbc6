//! The four buttons: what they write, what they start, and the one line they leave when they cannot.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod common;

use std::collections::BTreeMap;

use common::{FIRST, LAST, Stage, WIDTH, input, leftovers, number, press, set_int, text};
use lora_edit_shot::JobId;
use lora_edit_shot::job::{Job, JobKind, Recipe, Sampler, Sampling};
use lora_edit_shot::package::{EditPackage, ShotPackage};
use ofx_host::{Bounds, Components, Frames, Image, InstanceOptions, MessageKind, ParamValue};

/// Presses `button` on a node changed by `change`, and expects a failure in one line with all of `words`.
fn expect_failure(stage: &Stage, button: &str, words: &[&str], change: impl FnOnce(&mut InstanceOptions)) {
    let node = stage.node_with(change);
    let status = press(&node, button);
    assert!(status.starts_with("failed: "), "{status}");
    assert!(words.iter().all(|word| status.contains(word)), "'{status}' lacks one of {words:?}");
    let said = stage.said();
    let told = said
        .iter()
        .any(|m| m.kind == MessageKind::Error && status.ends_with(&m.text) && !m.text.contains('\n'));
    assert!(told, "{said:?}");
    assert_eq!(text(&node, "jobId"), "", "nothing was started");
    assert_eq!(press(&node, "refresh"), status, "the reason stays readable");
    assert!(leftovers(stage.cache.path()).is_empty());
    stage.expect_no_violations();
}

fn without_frame(missing: i64, frame: impl Fn(i64) -> Image) -> Frames {
    let mut frames = Frames::from_fn(FIRST, LAST, frame);
    frames.0.remove(&missing);
    frames
}

#[test]
fn train_writes_the_shot_and_a_job_and_generate_the_edit_too() {
    let stage = Stage::new();
    let node = stage.node();
    assert!(press(&node, "train").starts_with("Train started"));
    let train = job(&stage, &text(&node, "jobId"));
    assert_eq!((train.kind, train.adapter.as_str()), (JobKind::Train, text(&node, "adapterId").as_str()));
    assert_eq!(text(&node, "resultId"), "");
    let shot = ShotPackage::read(&stage.cache.path().join("shots").join(train.shot.as_str())).unwrap();
    assert_eq!(shot.frames.len() as i64, LAST - FIRST + 1);
    assert_eq!(shot.id(), train.shot);
    common::eventually("the engine ended", || press(&node, "refresh").contains("died"));

    assert!(press(&node, "generate").starts_with("Generate started"));
    let generate = job(&stage, &text(&node, "jobId"));
    assert_eq!((generate.kind, &generate.adapter), (JobKind::Generate, &train.adapter));
    assert_eq!(generate.result.as_ref().unwrap().as_str(), text(&node, "resultId"));
    let edit = generate.edit.unwrap();
    let edit = EditPackage::read(&stage.cache.path().join("edits").join(edit.as_str())).unwrap();
    assert_eq!(edit.keys.frames(), [FIRST as i32]);
    assert!(leftovers(stage.cache.path()).is_empty());
    stage.expect_no_violations();
}

fn job(stage: &Stage, id: &str) -> Job {
    Job::read(stage.cache.path(), &JobId::parse(id).unwrap()).unwrap()
}

#[test]
fn the_table_reaches_the_job() {
    let stage = Stage::new();
    let node = stage.node();
    for (name, value) in [("rank", 8), ("trainSteps", 7), ("samplerSteps", 5), ("seed", 42)] {
        set_int(&node, name, value);
    }
    let _status = node.set("learningRate", ParamValue::Doubles(vec![0.002])).unwrap();
    press(&node, "generate");
    let job = job(&stage, &text(&node, "jobId"));
    assert_eq!((job.recipe.rank, job.recipe.alpha, job.recipe.steps), (8, 8.0, 7));
    assert_eq!(job.recipe.learning_rate, 0.002);
    assert_eq!(job.recipe.seed, Recipe::NANO.seed, "another take of the generation costs no training");
    let sampling = job.sampling.unwrap();
    assert_eq!((sampling.steps, sampling.seed, sampling.without_adapter), (5, 42, false));
}

#[test]
fn the_training_is_as_the_node_says() {
    let stage = Stage::new();
    let node = stage.node_with(|options| {
        options.params.insert("targets".into(), saved("ffn, self_attn"));
        options.params.insert("promptPrefix".into(), saved(" r3d,"));
    });
    // 0 of these is a number, not the model's own.
    for (name, value) in [("lookVariants", 0), ("stage2Epochs", 0), ("keepBest", 0), ("previews", 0)] {
        set_int(&node, name, value);
    }
    set_int(&node, "checkpointEvery", 25);
    for (name, value) in [("maskLossWeight", 3.0), ("stage2Rate", 0.5), ("memoryLimit", 1.5)] {
        let _status = node.set(name, ParamValue::Doubles(vec![value])).unwrap();
    }
    press(&node, "generate");
    let job = job(&stage, &text(&node, "jobId"));
    let expected = Recipe {
        targets: "self_attn,ffn".parse().unwrap(),
        prompt_prefix: "r3d,".to_owned(),
        look_variants: 0,
        stage2_epochs: 0,
        keep_best: false,
        mask_loss_weight: 3.0,
        stage2_rate: 0.5,
        ..Recipe::NANO
    };
    assert_eq!(job.recipe, expected);
    assert_eq!((job.checkpoint_every, job.previews, job.memory_limit), (Some(25), false, Some(3 << 29)));
    stage.expect_no_violations();
}

#[test]
fn layers_that_are_none_are_told_with_those_that_are() {
    let words = ["targets", "'attention'", "self_attn, cross_attn, ffn"];
    expect_failure(&Stage::new(), "train", &words, |options| {
        options.params.insert("targets".into(), saved("attention"));
    });
}

#[test]
fn an_untouched_node_leaves_all_to_the_model() {
    let stage = Stage::new();
    let node = stage.node();
    press(&node, "generate");
    let job = job(&stage, &text(&node, "jobId"));
    assert_eq!((job.recipe, job.sampling), (Recipe::NANO, Some(Sampling::NANO)));
    assert_eq!((job.checkpoint_every, job.previews, job.memory_limit), (None, true, None));
}

#[test]
fn words_and_loras_reach_the_job() {
    let stage = Stage::new();
    let lora = stage.cache.path().join("few steps.safetensors");
    std::fs::write(&lora, "weights").unwrap();
    let node = stage.node_with(|options| {
        for (name, value) in
            [("prompt", " a red car "), ("sourcePrompt", "a blue car"), ("negativePrompt", "rain")]
        {
            options.params.insert(name.into(), saved(value));
        }
        let list = format!("{}:0.5; {}", lora.display(), lora.display());
        options.params.insert("lora".into(), saved(&list));
    });
    for (name, value) in [("guidance", 4.5), ("guidanceLow", 3.0), ("shift", 8.0), ("stepCache", 0.05)] {
        let _status = node.set(name, ParamValue::Doubles(vec![value])).unwrap();
    }
    set_int(&node, "sampler", 3);
    press(&node, "generate");
    let job = job(&stage, &text(&node, "jobId"));
    assert_eq!(job.recipe.source_prompt, "a blue car");
    let sampling = job.sampling.unwrap();
    assert_eq!((sampling.prompt.as_str(), sampling.negative_prompt.as_str()), ("a red car", "rain"));
    assert_eq!((sampling.guidance, sampling.guidance_low, sampling.shift), (4.5, Some(3.0), 8.0));
    assert_eq!((sampling.step_cache, sampling.sampler), (0.05, Sampler::DpmPp));
    let strengths: Vec<f64> = sampling.lora.iter().map(|lora| lora.strength).collect();
    assert_eq!(strengths, [0.5, 1.0]);
    assert!(sampling.lora.iter().all(|found| found.path == lora && !found.content.is_empty()));
}

#[test]
fn a_lora_that_is_not_there_is_named() {
    expect_failure(&Stage::new(), "generate", &["lora", "/no/such.safetensors"], |options| {
        options.params.insert("lora".into(), saved("/no/such.safetensors:0.5"));
    });
}

/// A stand-in engine that knows where a published model is.
const KNOWING_ENGINE: &str = r#"#!/bin/sh
if [ "$1 $2 $3 $4" = "models locate wan2.1-i2v-14b-480p --json" ]; then
    echo '{"name":"wan2.1-i2v-14b-480p","folder":"/m","fingerprint":"f00d","parts":{"vae":"/m/vae"}}'
fi
exit 0
"#;
/// One that does not have it.
const LACKING_ENGINE: &str = r#"#!/bin/sh
echo "warning: something else" >&2
echo "error: model 'wan2.1-i2v-14b-480p' lacks text encoder; lora-edit models fetch it" >&2
exit 6
"#;

#[test]
fn a_published_model_is_asked_for_from_the_engine_and_brings_its_own_defaults() {
    let published = |options: &mut InstanceOptions| {
        options.params.insert("model".into(), saved("wan2.1-i2v-14b-480p"));
    };
    let stage = Stage::with_engine(Some(KNOWING_ENGINE));
    let node = stage.node_with(published);
    press(&node, "generate");
    let job = job(&stage, &text(&node, "jobId"));
    assert_eq!((job.base.name.as_str(), job.base.fingerprint.as_str()), ("wan2.1-i2v-14b-480p", "f00d"));
    let defaults = lora_edit_shot::models::defaults("wan2.1-i2v-14b-480p");
    assert_eq!(job.recipe.prompt_prefix, Recipe::PUBLISHED_PREFIX);
    assert_eq!((job.recipe, job.sampling), (defaults.recipe, Some(defaults.sampling)));
    common::eventually("the engine ended", || press(&node, "refresh").contains("died"));
    let _status = node.set("promptPrefix", ParamValue::Text("-".to_owned())).unwrap();
    press(&node, "generate");
    assert_eq!(self::job(&stage, &text(&node, "jobId")).recipe.prompt_prefix, "");
    let said = ["wan2.1-i2v-14b-480p", "lacks text encoder", "models fetch"];
    expect_failure(&Stage::with_engine(Some(LACKING_ENGINE)), "generate", &said, published);
}

#[test]
fn a_repainted_frame_keeps_the_adapter_and_asks_for_another_result() {
    let stage = Stage::new();
    let node = stage.finished_node();
    let (adapter, result) = (text(&node, "adapterId"), text(&node, "resultId"));
    let repainted = Frames::from_fn(FIRST, FIRST, |frame| {
        let mut image = common::edited(frame);
        let centre = (30 * WIDTH + 40) * 4;
        image.data[centre] = 0.9;
        image
    });
    let _status = node.connect("Edited", Some(input(repainted))).unwrap();
    assert!(press(&node, "generate").starts_with("Generate started"));
    assert_eq!(text(&node, "adapterId"), adapter);
    assert_ne!(text(&node, "resultId"), result);
}

#[test]
fn what_is_made_already_is_not_made_again() {
    let stage = Stage::new();
    let node = stage.finished_node();
    let events = std::fs::read(stage.job_folder(&node).join("events.jsonl")).unwrap();
    assert!(press(&node, "generate").contains("up to date"));
    assert_eq!(std::fs::read(stage.job_folder(&node).join("events.jsonl")).unwrap(), events);

    let adapter = stage.cache.path().join("adapters");
    std::fs::create_dir_all(&adapter).unwrap();
    std::fs::write(adapter.join(text(&node, "adapterId") + ".safetensors"), "").unwrap();
    assert!(press(&node, "train").contains("up to date"));
}

#[test]
fn a_result_is_brought_into_the_viewer_once() {
    let stage = Stage::new();
    let node = stage.node();
    press(&node, "generate");
    press(&node, "refresh");
    assert_eq!(number(&node, "revision"), 0);
    stage.finish(&node);
    assert!(press(&node, "refresh").contains("done in"));
    assert_eq!(number(&node, "revision"), 1);
    press(&node, "refresh");
    press(&node, "generate");
    assert_eq!(number(&node, "revision"), 1);
}

#[test]
fn cancelling_starts_nothing() {
    let stage = Stage::new();
    let node = stage.node();
    stage.host.session().cancel_progress_at(Some(0.5));
    assert!(press(&node, "train").starts_with("cancelled"));
    assert_eq!(text(&node, "jobId"), "");
    assert!(stage.said().is_empty());
    assert!(!stage.cache.path().join("shots").exists());
    stage.expect_no_violations();
}

#[test]
fn buttons_without_a_job_say_so() {
    let stage = Stage::new();
    let node = stage.node();
    assert!(press(&node, "stop").contains("no job yet"));
    assert!(press(&node, "refresh").contains("no job yet"));
}

#[test]
fn an_order_that_fails_after_a_job_was_done_does_not_look_done() {
    let stage = Stage::new();
    let node = stage.finished_node();
    assert!(press(&node, "refresh").contains("done in"));
    let _status = node.connect("Edited", None).unwrap();
    assert!(press(&node, "generate").starts_with("failed: Edited"));
    assert!(press(&node, "refresh").starts_with("failed: Edited"));
}

#[test]
fn a_missing_source_frame_is_named() {
    expect_failure(&Stage::new(), "train", &["Source", "1003"], |options| {
        options.inputs.insert("Source".into(), input(without_frame(1003, common::source)));
    });
}

#[test]
fn a_missing_mask_frame_is_named() {
    expect_failure(&Stage::new(), "train", &["Mask", "1004"], |options| {
        options.inputs.insert("Mask".into(), input(without_frame(1004, common::mask)));
    });
}

#[test]
fn a_missing_painted_frame_is_named_and_does_not_keep_from_training() {
    let absent = |options: &mut InstanceOptions| {
        options.inputs.insert("Edited".into(), input(Frames::from_fn(1007, 1007, common::edited)));
    };
    expect_failure(&Stage::new(), "generate", &["Edited", "1001"], absent);
    let stage = Stage::new();
    assert!(press(&stage.node_with(absent), "train").starts_with("Train started"));
}

#[test]
fn clips_that_are_not_connected_are_named() {
    for (clip, button) in [("Mask", "train"), ("Edited", "generate")] {
        expect_failure(&Stage::new(), button, &[clip, "not connected"], |options| {
            options.inputs.remove(clip);
        });
    }
}

#[test]
fn a_mask_of_another_size_is_named_with_both_sizes() {
    expect_failure(&Stage::new(), "train", &["Mask", "1001", "48x32", "96x64"], |options| {
        let half = |_| Image::from_fn(Bounds::of_size(48, 32), Components::Alpha, |_, _, p| p[0] = 1.0);
        options.inputs.insert("Mask".into(), input(Frames::from_fn(FIRST, LAST, half)));
    });
}

#[test]
fn a_plate_that_changes_its_size_is_named_at_its_frame() {
    expect_failure(&Stage::new(), "train", &["Source", "1003", "90x64"], |options| {
        let frames = Frames::from_fn(FIRST, LAST, |frame| match frame {
            1003 => Image::black(Bounds::of_size(90, 64), Components::Rgba),
            _ => common::source(frame),
        });
        options.inputs.insert("Source".into(), input(frames));
    });
}

#[test]
fn an_empty_mask_is_told_with_its_frames() {
    expect_failure(&Stage::new(), "train", &["mask", "empty", "1001-1005"], |options| {
        let empty = |_| Image::black(common::bounds(), Components::Alpha);
        options.inputs.insert("Mask".into(), input(Frames::from_fn(FIRST, LAST, empty)));
    });
}

#[test]
fn a_mask_that_is_a_bounding_box_is_no_mismatch() {
    let stage = Stage::new();
    let node = stage.node_with(|options| {
        let boxed = |_| {
            let bounds = Bounds { x1: 30, y1: 20, x2: 50, y2: 40 };
            Image::from_fn(bounds, Components::Alpha, |_, _, p| p[0] = 1.0)
        };
        options.inputs.insert("Mask".into(), input(Frames::from_fn(FIRST, LAST, boxed)));
    });
    assert!(press(&node, "train").starts_with("Train started"));
    let shot = job(&stage, &text(&node, "jobId")).shot;
    let shot = ShotPackage::read(&stage.cache.path().join("shots").join(shot.as_str())).unwrap();
    assert!(shot.info.fit.crop.contains(&lora_edit_shot::Rect::new(30, 24, 50, 44)), "{:?}", shot.info.fit);
}

#[test]
fn a_key_frame_that_cannot_be_read_as_one_is_told() {
    let keys = |list: &str| BTreeMap::from([("keyFrames".to_owned(), saved(list))]);
    expect_failure(&Stage::new(), "generate", &["keyFrames"], |o| o.params.extend(keys("one")));
    expect_failure(&Stage::new(), "generate", &["keyFrames"], |o| o.params.extend(keys("")));
    expect_failure(&Stage::new(), "generate", &["key frame 900", "1001"], |o| o.params.extend(keys("900")));
    expect_failure(&Stage::new(), "generate", &["Edited", "1002"], |o| o.params.extend(keys("1002")));
}

#[test]
fn later_keys_and_references_reach_the_job_as_a_second_stage() {
    let stage = Stage::new();
    let node = stage.node();
    let engine_ends = || common::eventually("the engine ended", || press(&node, "refresh").contains("died"));
    press(&node, "train");
    let first = text(&node, "adapterId");
    engine_ends();
    let painted = || input(Frames::from_fn(FIRST, FIRST + 1, common::edited));
    let _status = node.connect("Edited", Some(painted())).unwrap();
    let set = |name: &str, value: &str| node.set(name, ParamValue::Text(value.to_owned())).unwrap();
    let _status = set("keyFrames", &format!("{FIRST},{}", FIRST + 1));
    set_int(&node, "stage2Epochs", 3);
    press(&node, "generate");
    let two_keys = job(&stage, &text(&node, "jobId"));
    assert_eq!((two_keys.recipe.stage2_epochs, two_keys.recipe.reversed), (3, false));
    assert_eq!(two_keys.first_stage.map(|id| id.to_string()), Some(first), "Train made stage 1");
    engine_ends();

    let _status = set("keyFrames", &(FIRST + 1).to_string());
    let _status = node.connect("Reference", Some(painted())).unwrap();
    let _status = set("referenceFrames", &FIRST.to_string());
    press(&node, "generate");
    let referred = job(&stage, &text(&node, "jobId"));
    assert!(referred.first_stage.is_some() && referred.recipe.reversed, "{referred:?}");
}

fn saved(text: &str) -> ofx_host::SavedParam {
    ofx_host::SavedParam::Value(ParamValue::Text(text.to_owned()))
}

#[test]
fn a_bundle_without_its_engine_says_where_it_should_be() {
    expect_failure(&Stage::with_engine(None), "train", &["engine program", "lora-edit", "not found"], |_| ());
}

#[test]
fn a_model_that_is_nowhere_is_named() {
    let stage = Stage::new();
    stage.lose_model();
    expect_failure(&stage, "generate", &["model 'elsewhere'"], |options| {
        options.params.insert("model".into(), saved("elsewhere"));
    });
}

#[test]
fn a_store_that_cannot_be_written_is_named() {
    let stage = Stage::new();
    let file = stage.cache.path().join("file");
    std::fs::write(&file, "").unwrap();
    expect_failure(&stage, "train", &["file"], |options| {
        options.params.insert("cacheDir".into(), saved(&file.join("below").display().to_string()));
    });
}
