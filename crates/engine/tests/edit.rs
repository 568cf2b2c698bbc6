//! `lora-edit edit` from files to files: what comes out, and what is not done twice.

mod common;

use std::fs;

use common::{FRAMES, Workplace, mask, plate};
use lora_edit_shot::FrameRange;

#[test]
fn a_shot_is_edited_and_the_plate_keeps_its_bits() {
    let place = Workplace::new();
    let run = place.edit(&[]);
    let summary = run.summary();
    assert_eq!(run.train_steps(), (1..=12).collect::<Vec<_>>());
    assert_eq!((&summary["trained"], &summary["generated"]), (&true.into(), &true.into()));
    assert_eq!(summary["maxDiffOutsideMask"], 0.0);
    assert_eq!(summary["qc"]["nanCount"], 0);
    // Paint was carried, and how far the model counts beside it was measured.
    let shares = summary["qc"]["modelShare"].as_array().expect("two shares");
    assert!(shares.iter().all(|share| (0.0..=1.0).contains(&share.as_f64().unwrap())), "{shares:?}");
    for (step, frame) in FrameRange::parse(FRAMES).unwrap().iter().enumerate() {
        let (out, source) = (place.read("out/result", frame), plate(step, [0.8, 0.2, 0.1]));
        let mask = mask(step);
        assert_eq!(out.size(), source.size());
        let pixels = out.data.chunks_exact(4).zip(source.data.chunks_exact(4)).zip(&mask.data);
        let (mut kept, mut changed) = (0, 0);
        for ((out, source), &mask) in pixels {
            let same = out.iter().zip(source).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same || mask > 0.0);
            kept += usize::from(same);
            changed += usize::from(!same);
        }
        assert!(kept > changed && changed >= 16 * 16, "frame {frame}: {changed} pixels changed");
    }
    // The painted frame is held: inside the mask it is as painted, to the bit.
    let (out, painted) = (place.read("out/result", 1001), place.read("edited", 1001));
    assert_eq!(out.pixel(28, 26), painted.pixel(28, 26));
    let folder = summary["resultFolder"].as_str().unwrap();
    for file in [
        "result.json",
        "qc.json",
        "contact.png",
        "loss.csv",
        "loss.png",
        "generated.1005.exr",
        "surface.1005.exr",
    ] {
        assert!(place.path(folder).join(file).is_file(), "{file}");
    }
}

#[test]
fn the_same_inputs_again_train_nothing_and_generate_nothing() {
    let place = Workplace::new();
    let first = place.edit(&[]).summary();
    let before = place.read("out/result", 1004);
    fs::remove_dir_all(place.path("out")).unwrap();
    let again = place.edit(&[]);
    let summary = again.summary();
    assert_eq!((&summary["trained"], &summary["generated"]), (&false.into(), &false.into()));
    assert_eq!(summary["resultId"], first["resultId"]);
    assert!(again.events().iter().all(|event| event["stage"] != "train" && event["stage"] != "sample"));
    assert_eq!(place.read("out/result", 1004), before);
}

#[test]
fn a_repainted_frame_reuses_the_adapter() {
    let place = Workplace::new();
    let first = place.edit(&[]).summary();
    place.paint([0.9, 0.9, 0.1]);
    let run = place.edit(&[]);
    let summary = run.summary();
    assert_eq!((&summary["trained"], &summary["generated"]), (&false.into(), &true.into()));
    assert_eq!(summary["adapterId"], first["adapterId"]);
    assert_ne!(summary["resultId"], first["resultId"]);
    assert!(run.train_steps().is_empty());
}

#[test]
fn another_seed_is_another_take_of_the_same_adapter() {
    let place = Workplace::new();
    // Where carried paint shows all and the model counts nothing, every take is the same.
    let alone = ["--carry", "false"];
    place.edit(&alone).summary();
    let one = place.read("out/result", 1005);
    let summary = place.edit(&[&alone[..], &["--seed", "2"]].concat()).summary();
    assert_eq!((&summary["trained"], &summary["generated"]), (&false.into(), &true.into()));
    assert_ne!(place.read("out/result", 1005), one);
}

#[test]
fn the_same_job_in_another_cache_gives_the_same_pictures() {
    let place = Workplace::new();
    place.edit(&[]).summary();
    let one = place.read("out/result", 1003);
    let other = place.edit(&["--cache", "other"]).summary();
    assert_eq!(other["trained"], true);
    assert_eq!(place.read("out/result", 1003), one);
}

#[test]
fn without_the_adapter_nothing_is_trained() {
    let place = Workplace::new();
    let run = place.edit(&["--without-adapter"]);
    let summary = run.summary();
    assert_eq!((&summary["trained"], &summary["generated"]), (&false.into(), &true.into()));
    assert!(place.cached("adapters").is_empty());
    assert_eq!(summary["qc"]["trainSteps"], serde_json::Value::Null);
}

#[test]
fn mix_zero_gives_the_plate_and_keys_need_not_be_held() {
    let place = Workplace::new();
    place.edit(&["--mix", "0"]).summary();
    assert_eq!(place.read("out/result", 1003), place.read("source", 1003));
    place.edit(&["--hold-keys", "false"]).summary();
    assert_ne!(place.read("out/result", 1001).pixel(28, 26), place.read("edited", 1001).pixel(28, 26));
}

#[test]
fn a_bright_plate_is_worked_on_in_log_and_stays_bright() {
    let place = Workplace::new();
    for (step, frame) in FrameRange::parse(FRAMES).unwrap().iter().enumerate() {
        let mut bright = plate(step, [12.0, 6.0, 3.0]);
        bright
            .data
            .chunks_exact_mut(4)
            .for_each(|pixel| pixel[..3].iter_mut().for_each(|value| *value *= 4.0));
        place.write("source", frame, &bright);
    }
    place.write("edited", 1001, &place.read("source", 1001));
    let summary = place.edit(&[]).summary();
    let result = place.path(summary["resultFolder"].as_str().unwrap());
    let record = fs::read_to_string(result.join("result.json")).unwrap();
    assert!(record.contains("logc3"), "{record}");
    let above_one = &summary["qc"]["pixelsAboveOne"];
    assert!(above_one[0].as_u64() > Some(1000) && above_one[1].as_u64() > Some(0), "{above_one}");
    let out = place.read("out/result", 1004);
    assert!(out.data.iter().all(|value| value.is_finite()));
    assert_eq!(out.pixel(71, 0), [69.0, -2.0, 4e-7, 0.25]);
}

#[test]
fn without_a_mask_the_whole_frame_is_edited() {
    let place = Workplace::new();
    let mut command = place.command(&["edit", "--source", "source.%04d.exr", "--edited", "edited.1001.exr"]);
    command.args(["--frames", "1001-1003", "--output", "out/result.####.exr", "--model", "tiny"]);
    command.args(["--model-dir", "models", "--train-steps", "2", "--rank", "1", "--sampler-steps", "2"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (out, source) = (place.read("out/result", 1003), place.read("source", 1003));
    let changed = out.data.chunks_exact(4).zip(source.data.chunks_exact(4)).filter(|(a, b)| a[..3] != b[..3]);
    assert!(changed.count() > 72 * 56 * 9 / 10);
    assert_eq!(out.pixel(71, 0)[3], 0.25);
}

#[test]
fn a_painting_in_the_wrong_space_is_warned_of() {
    let place = Workplace::new();
    let run = place.edit(&["--edit-space", "srgb"]);
    let warnings = run.summary()["warnings"].to_string();
    assert!(warnings.contains("1001") && warnings.contains("looks like linear"), "{warnings}");
    assert!(run.stderr.contains("warning: "));
}
