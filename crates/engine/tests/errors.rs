//! Each input that cannot be used: one line that names it, and the right exit code.

mod common;

use std::fs;

use common::Workplace;
use lora_edit_shot::Frame;

#[test]
fn a_missing_source_frame() {
    let place = Workplace::new();
    fs::remove_file(place.frame_path("source", 1003)).unwrap();
    let run = place.edit(&[]);
    run.failed(3, &["source frame 1003", "source.1003.exr", "no such file"]);
    let told = run.events().pop().unwrap();
    assert_eq!((&told["event"], &told["kind"]), (&"failed".into(), &"inputFrame".into()));
}

#[test]
fn a_missing_painted_frame() {
    let place = Workplace::new();
    fs::remove_file(place.frame_path("edited", 1001)).unwrap();
    place.edit(&[]).failed(3, &["edited frame 1001", "edited.1001.exr"]);
}

#[test]
fn an_unreadable_file() {
    let place = Workplace::new();
    let whole = fs::read(place.frame_path("source", 1002)).unwrap();
    fs::write(place.frame_path("source", 1002), &whole[..whole.len() / 2]).unwrap();
    place.edit(&[]).failed(3, &["source frame 1002", "source.1002.exr"]);
    fs::write(place.frame_path("mask", 1004), b"not a picture").unwrap();
    place.edit(&[]).failed(3, &["mask frame 1004", "mask.1004.exr"]);
}

#[test]
fn a_frame_of_another_size() {
    let place = Workplace::new();
    place.write("source", 1004, &Frame::filled(70, 56, &[0.5; 4]));
    place.edit(&[]).failed(3, &["1004", "70x56", "72x56", "source.1004.exr"]);
}

#[test]
fn a_mask_of_another_size() {
    let place = Workplace::new();
    place.write("mask", 1002, &Frame::filled(36, 28, &[1.0]));
    place.edit(&[]).failed(3, &["mask", "1002", "36x28", "mask.1002.exr"]);
}

#[test]
fn a_painted_frame_of_another_size() {
    let place = Workplace::new();
    place.write("edited", 1001, &Frame::filled(144, 112, &[0.5; 3]));
    place.edit(&[]).failed(3, &["edited", "1001", "144x112", "edited.1001.exr"]);
}

#[test]
fn an_empty_mask() {
    let place = Workplace::new();
    (1001..=1005).for_each(|frame| place.write("mask", frame, &Frame::new(72, 56, 1)));
    place.edit(&[]).failed(3, &["mask is empty", "1001-1005", "mask.####.exr"]);
}

#[test]
fn no_model() {
    let place = Workplace::new();
    place.edit(&["--model", "absent"]).failed(6, &["model 'absent' not found", "models/absent"]);
    let weights = place.path("models/tiny/vae/diffusion_pytorch_model.safetensors");
    let whole = fs::read(&weights).unwrap();
    fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    place.edit(&[]).failed(6, &["vae/diffusion_pytorch_model.safetensors"]);
}

#[test]
fn a_key_that_is_not_a_frame_of_the_shot() {
    let place = Workplace::new();
    place.edit(&["--keys", "1001,1006"]).failed(2, &["key frame 1006", "1001-1005"]);
    place.edit(&["--keys", "1003"]).failed(3, &["edited frame 1003", "no such file"]);
}

#[test]
fn a_reference_that_cannot_be_used() {
    let place = Workplace::new();
    place.edit(&["--reference", "absent.png"]).failed(3, &["reference absent.png", "no such file"]);
    place.edit(&["--reference", "absent.##.png"]).failed(3, &["reference absent.##.png", "no such file"]);
    place.write("still", 1, &Frame::filled(40, 40, &[0.5; 3]));
    place.edit(&["--reference", "still.0001.exr"]).failed(3, &["reference still.0001.exr", "alpha"]);
}

#[test]
fn patterns_and_ranges_that_make_no_sense() {
    let place = Workplace::new();
    place.edit(&["--frames", "1005-1001"]).failed(2, &["1005-1001", "backwards"]);
    place.edit(&["--output", "out/result.exr"]).failed(2, &["out/result.exr", "no frame number"]);
    place.edit(&["--output", "out/result.%04d.mov"]).failed(2, &["not an .exr"]);
    place.edit(&["--output", "source.####.exr"]).failed(2, &["1001", "overwrite an input"]);
    for wrong in [["--mix", "2"], ["--rank", "0"], ["--sampler-steps", "0"], ["--learning-rate", "-1"]] {
        let run = place.edit(&wrong);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains(wrong[0]), "{run:?}");
    }
    assert_eq!(place.run(&["edit"]).code, Some(2));
}

#[test]
fn a_job_that_is_not_there() {
    let place = Workplace::new();
    let id = "0123456789abcdef0123456789abcdef";
    place.run(&["work", id]).failed(4, &[id, "cache"]);
    place.run(&["work", "nonsense"]).failed(2, &["'nonsense'"]);
    place.run(&["status", "0123"]).failed(4, &["0123"]);
    place.run(&["adapters", "show", "0123"]).failed(4, &["0123"]);
}

/// With CUDA or without it: no machine has this many GPUs.
#[test]
fn a_device_that_is_not_there() {
    let place = Workplace::new();
    place.edit(&["--device", "cuda:4096"]).failed(5, &["device cuda:4096"]);
}
