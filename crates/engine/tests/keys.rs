//! `lora-edit edit` with keys at any time, with references, and over shots longer than the model takes.
#![allow(clippy::unwrap_used)] // a test may stop where it stands

mod common;

use common::{Ended, Workplace, mask, plate};
use lora_edit_shot::{Frame, FrameRange};

const BLUE: [f32; 3] = [0.1, 0.3, 0.9];

/// The square of the common shot goes to and fro over this many frames.
fn step(index: usize) -> usize {
    let there = index % 12;
    there.min(12 - there)
}

/// A shot of `frames`, painted at `keys`.
fn shot(frames: usize, keys: &[i32]) -> Workplace {
    let place = Workplace::new();
    for (index, frame) in (1001..).take(frames).enumerate() {
        place.write("source", frame, &plate(step(index), [0.8, 0.2, 0.1]));
        place.write("mask", frame, &mask(step(index)));
    }
    std::fs::remove_file(place.frame_path("edited", 1001)).unwrap();
    keys.iter().for_each(|key| place.write("edited", *key, &plate(step((key - 1001) as usize), BLUE)));
    place
}

fn range(frames: usize) -> String {
    FrameRange::span(1001, 1000 + frames as i32).to_string()
}

/// Outside the mask every written frame has the plate's own bits; inside it is changed.
fn expect_the_plate_outside(place: &Workplace, frames: usize) {
    for (index, frame) in (1001..).take(frames).enumerate() {
        let (out, source) = (place.read("out/result", frame), plate(step(index), [0.8, 0.2, 0.1]));
        let mask = mask(step(index));
        let pixels = out.data.chunks_exact(4).zip(source.data.chunks_exact(4)).zip(&mask.data);
        let mut changed = 0;
        for ((out, source), &mask) in pixels {
            let same = out.iter().zip(source).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same || mask > 0.0, "frame {frame}");
            changed += usize::from(!same);
        }
        assert!(changed >= 16 * 16, "frame {frame}: {changed} pixels changed");
    }
}

/// A key frame comes out as painted, to the bit, where the mask is whole.
fn expect_held(place: &Workplace, key: i32) {
    let (out, painted) = (place.read("out/result", key), place.read("edited", key));
    let mask = mask(step((key - 1001) as usize));
    let inside = (0..mask.data.len()).filter(|i| mask.data[*i] == 1.0);
    let differing = inside.filter(|i| out.data[4 * i..4 * i + 3] != painted.data[4 * i..4 * i + 3]).count();
    assert_eq!(differing, 0, "key {key}");
}

fn recipe(place: &Workplace, run: &Ended) -> serde_json::Value {
    let folder = run.summary()["resultFolder"].as_str().unwrap().to_owned();
    let record = std::fs::read(place.path(&folder).join("result.json")).unwrap();
    serde_json::from_slice::<serde_json::Value>(&record).unwrap()["recipe"].clone()
}

#[test]
fn a_key_in_the_middle_edits_the_frames_before_it_too() {
    let place = shot(9, &[1005]);
    let run = place.edit(&["--keys", "1005", "--frames", &range(9)]);
    let summary = run.summary();
    assert_eq!(summary["maxDiffOutsideMask"], 0.0);
    expect_the_plate_outside(&place, 9);
    expect_held(&place, 1005);
    assert_eq!(recipe(&place, &run)["reversed"], true, "frames before the key are learnt backwards");
    assert_eq!(summary["qc"]["joins"].as_array().unwrap().len(), 1, "one pass back, one forth");
    assert_eq!(summary["qc"]["nanCount"], 0);
    assert_eq!(run.train_steps().len(), 12, "one key is no second stage");
}

#[test]
fn a_key_at_the_last_frame_is_generated_backwards_alone() {
    let place = shot(6, &[1006]);
    let summary = place.edit(&["--keys", "1006", "--frames", &range(6)]).summary();
    expect_the_plate_outside(&place, 6);
    expect_held(&place, 1006);
    assert_eq!(summary["qc"]["joins"].as_array().unwrap().len(), 0);
}

#[test]
fn two_keys_are_learnt_in_a_second_stage_that_only_the_later_one_renews() {
    let place = shot(9, &[1001, 1009]);
    let words = ["--keys", "1001,1009", "--frames", "1001-1009", "--stage2-epochs", "2"];
    let run = place.edit(&words);
    let summary = run.summary();
    expect_the_plate_outside(&place, 9);
    [1001, 1009].iter().for_each(|key| expect_held(&place, *key));
    let steps = run.train_steps();
    assert_eq!(
        steps.len(),
        12 + 2 * (1 + 9),
        "stage 1, then two rounds of the shot once and the key nine times"
    );
    let adapters = |place: &Workplace| {
        place.cached("adapters").iter().filter(|name| name.ends_with(".safetensors")).count()
    };
    assert_eq!(adapters(&place), 2);

    place.write("edited", 1001, &plate(0, [0.9, 0.9, 0.1]));
    let repainted = place.edit(&words);
    assert!(repainted.train_steps().is_empty(), "the first key repainted needs no training");
    assert_eq!(repainted.summary()["adapterId"], summary["adapterId"]);
    assert_ne!(repainted.summary()["resultId"], summary["resultId"]);

    place.write("edited", 1009, &plate(8, [0.2, 0.9, 0.1]));
    let later = place.edit(&words);
    assert_eq!(later.train_steps().len(), 20, "a later one renews stage 2 alone");
    assert_ne!(later.summary()["adapterId"], summary["adapterId"]);

    let without = place.edit(&["--keys", "1001,1009", "--frames", "1001-1009", "--stage2-epochs", "0"]);
    assert!(without.train_steps().is_empty(), "stage 1 is there");
    assert_eq!(adapters(&place), 3);
}

#[test]
fn a_reference_of_another_size_is_learnt_from() {
    let place = shot(5, &[1001]);
    place.write(
        "still",
        1,
        &Frame::from_fn(50, 90, 4, |x, y, p| {
            let inside = (10..40).contains(&x) && (30..60).contains(&y);
            p.copy_from_slice(&[0.1, 0.3, 0.9, f32::from(inside)]);
        }),
    );
    let words = ["--reference", "still.####.exr", "--stage2-epochs", "1"];
    let run = place.edit(&words);
    assert_eq!(run.train_steps().len(), 12 + 10);
    expect_the_plate_outside(&place, 5);
    assert!(place.edit(&words).train_steps().is_empty());
    let by_default = place.edit(&words[..2]);
    assert_eq!(by_default.train_steps().len(), 10 * 10, "a reference has no use without stage 2");
}

#[test]
fn a_shot_longer_than_the_model_takes_is_made_in_overlapping_passes() {
    let place = shot(70, &[1001, 1040]);
    let words =
        ["--keys", "1001,1040", "--frames", &range(70), "--stage2-epochs", "1", "--look-variants", "1"];
    let run = place.edit(&words);
    let summary = run.summary();
    assert_eq!(summary["maxDiffOutsideMask"], 0.0);
    expect_the_plate_outside(&place, 70);
    [1001, 1040].iter().for_each(|key| expect_held(&place, *key));
    assert_eq!(recipe(&place, &run)["trainWindow"], 0, "nobody said how long");
    let adapter = format!("cache/adapters/{}.json", summary["adapterId"].as_str().unwrap());
    let adapter: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.path(&adapter)).unwrap()).unwrap();
    assert_eq!(adapter["recipe"]["trainWindow"], 33, "learnt in windows too");
    // 1001-1040 in two passes, 1040-1070 in one.
    let joins = summary["qc"]["joins"].as_array().unwrap().clone();
    assert_eq!(joins.len(), 2, "{joins:?}");
    assert_eq!(joins[1]["frame"], 1040);
    assert!(joins[0]["disagreement"].as_f64().is_some_and(|d| (0.0..1.0).contains(&d)), "{joins:?}");
    assert!(joins.iter().all(|join| join["colourStep"].as_f64().is_some()), "{joins:?}");
    assert!(summary["qc"]["colourStepElsewhere"].as_f64().is_some());
}

#[test]
fn training_in_small_windows_gives_an_adapter_of_its_own() {
    let place = shot(17, &[1001]);
    let whole = place.edit(&["--frames", &range(17)]).summary();
    let windows = place.edit(&["--frames", &range(17), "--train-window", "9"]);
    assert_eq!(recipe(&place, &windows)["trainWindow"], 9);
    assert_ne!(windows.summary()["adapterId"], whole["adapterId"]);
    assert_eq!(
        windows.summary()["qc"]["joins"].as_array().unwrap().len(),
        0,
        "generated at once all the same"
    );
}
