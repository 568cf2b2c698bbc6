//! Published models, as far as headers tell: found in any layout, known by their content, and what is missing named.
#![allow(clippy::unwrap_used)] // a test may stop where it stands

mod common;

use std::fs;

use common::tiny_wan::{self, Kind, Layout};
use common::{Ended, Workplace};

const FUN: &str = "wan2.1-fun-1.3b-inp";
const A14B: &str = "wan2.2-i2v-a14b";

fn place(kind: Kind) -> Workplace {
    let place = Workplace::new();
    tiny_wan::write_headers(&place.path("comfy/models"), kind);
    place
}

fn locate(place: &Workplace, name: &str, more: &[&str]) -> Ended {
    place.run(&[&["models", "locate", name, "--json"], more].concat())
}

fn found(run: &Ended) -> serde_json::Value {
    assert_eq!(run.code, Some(0), "{run:?}");
    serde_json::from_str(&run.stdout).unwrap()
}

#[test]
fn the_same_files_are_the_same_model_wherever_they_lie() {
    let place = place(Kind::WithImage);
    let in_comfy = found(&locate(&place, FUN, &["--model-dir", "comfy/models"]));
    for (part, file) in [
        ("transformer", "wan2.1_fun_inp_1.3B.safetensors"),
        ("vae", "wan_2.1_vae.safetensors"),
        ("text", "umt5_xxl.safetensors"),
        ("tokenizer", "umt5_xxl.safetensors"),
        ("image", "clip_vision_h.safetensors"),
    ] {
        assert!(in_comfy["parts"][part].as_str().unwrap().ends_with(file), "{part}: {in_comfy}");
    }
    // The Hugging Face cache is searched without being named.
    let snapshot = place.path("huggingface/hub/models--somebody--Wan/snapshots/0123");
    fs::create_dir_all(&snapshot).unwrap();
    for folder in ["diffusion_models", "vae", "text_encoders", "clip_vision"] {
        for file in fs::read_dir(place.path("comfy/models").join(folder)).unwrap().flatten() {
            fs::rename(file.path(), snapshot.join(file.file_name())).unwrap();
        }
    }
    let in_cache = found(&locate(&place, FUN, &[]));
    assert_eq!(in_cache["fingerprint"], in_comfy["fingerprint"]);
    assert_ne!(in_cache["folder"], in_comfy["folder"]);
}

#[test]
fn the_list_tells_experts_formats_and_what_is_missing() {
    let place = place(Kind::TwoExperts);
    let run = place.run(&["models", "list", "--model-dir", "comfy/models"]);
    let lines: Vec<&str> = run.stdout.lines().collect();
    let at = lines.iter().position(|line| *line == format!("{A14B}\tcomplete")).expect("complete");
    for (line, words) in lines[at + 1..].iter().zip([
        ["high-noise transformer", "f32", "high_noise_14B.safetensors"],
        ["low-noise transformer", "f32", "low_noise_14B.safetensors"],
    ]) {
        assert!(words.iter().all(|word| line.contains(word)) && line.contains(" MB"), "{line}");
    }
    let ti2v = lines.iter().position(|line| line.starts_with("wan2.2-ti2v-5b")).unwrap();
    assert!(lines[ti2v + 1].contains("not for editing"), "{}", lines[ti2v + 1]);
    fs::remove_file(place.path("comfy/models/diffusion_models/wan2.2_i2v_low_noise_14B.safetensors"))
        .unwrap();
    let run = place.run(&["models", "list", "--model-dir", "comfy/models"]);
    assert!(run.stdout.contains(&format!("{A14B}\tincomplete")), "{run:?}");
    assert!(run.stdout.contains("low-noise transformer\tmissing: low_noise_model/"), "{run:?}");
}

#[test]
fn an_edit_names_the_part_that_is_missing() {
    let place = place(Kind::WithImage);
    let edit = || place.edit(&["--model", FUN, "--model-dir", "comfy/models"]);
    // All parts are there, but a tensor is not of its network's size: told before anything is computed.
    edit().failed(6, &["text_encoders/umt5_xxl.safetensors"]);
    fs::remove_file(tiny_wan::image_path(&place.path("comfy/models"), Layout::ComfyUi)).unwrap();
    let lacks = [FUN, "lacks image encoder", "models_clip_open-clip", "lora-edit models fetch"];
    edit().failed(6, &lacks);
    locate(&place, FUN, &["--model-dir", "comfy/models"]).failed(6, &lacks);
}

#[test]
fn both_experts_are_found() {
    let place = place(Kind::TwoExperts);
    let found = found(&locate(&place, A14B, &["--model-dir", "comfy/models"]));
    assert!(found["parts"]["transformer"].as_str().unwrap().contains("high_noise"), "{found}");
    assert!(found["parts"]["lowNoise"].as_str().unwrap().contains("low_noise"), "{found}");
    assert_eq!(found["parts"]["image"], serde_json::Value::Null);
}
