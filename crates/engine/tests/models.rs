//! `models list`, `check` and `fetch`: what is found, what is said of it, and downloads from a hub on this machine.
#![allow(clippy::unwrap_used)] // a test may stop where it stands

mod common;
#[path = "common/hub.rs"]
mod hub;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Ended, Workplace, finish};
use hub::{COMMIT, Hub};

const MODEL: &str = "wan2.1-fun-1.3b-inp";
const REPO: &str = "alibaba-pai/Wan2.1-Fun-1.3B-InP";
const TRANSFORMER: &str = "diffusion_pytorch_model.safetensors";

fn bytes(count: usize, seed: u8) -> Vec<u8> {
    (0..count).map(|i| (i * 7 + i / 251) as u8 ^ seed).collect()
}

/// A hub with the files of the smallest published model, but small, and one that is not wanted.
fn small_hub() -> Hub {
    let files = vec![
        ("README.md", bytes(50, 9)),
        ("config.json", bytes(100, 1)),
        (TRANSFORMER, bytes(5000, 2)),
        ("Wan2.1_VAE.pth", bytes(600, 3)),
        ("models_t5_umt5-xxl-enc-bf16.pth", bytes(700, 4)),
        ("google/umt5-xxl/spiece.model", bytes(80, 5)),
        ("models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth", bytes(900, 6)),
    ];
    Hub { files, ..Hub::default() }
}

fn fetch(place: &Workplace, endpoint: &str, more: &[&str]) -> Ended {
    let mut command = place.command(&[&["models", "fetch", MODEL], more].concat());
    for proxy in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    command.env("HF_ENDPOINT", endpoint).env_remove("HF_HUB_OFFLINE");
    finish(command.spawn().unwrap())
}

/// All wanted files are at `folder` as the hub has them, and nothing else.
fn assert_fetched(folder: &Path) {
    let mut there = Vec::new();
    collect(folder, &mut there);
    let wanted: Vec<_> = small_hub().files.into_iter().filter(|(path, _)| *path != "README.md").collect();
    for (path, bytes) in &wanted {
        assert!(fs::read(folder.join(path)).unwrap() == *bytes, "{path}");
    }
    assert_eq!(there.len(), wanted.len(), "{there:?}");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path().is_dir() {
            true => collect(&entry.path(), files),
            false => files.push(entry.path()),
        }
    }
}

#[test]
fn a_model_is_fetched_into_the_named_folder() {
    let place = Workplace::new();
    let (endpoint, hub) = small_hub().start();
    let run = fetch(&place, &endpoint, &["--model-dir", "got"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains(&format!("{TRANSFORMER}\tchecksum right")), "{run:?}");
    assert_fetched(&place.path("got").join(MODEL));
    let first = &hub.lock().unwrap().asked[0].0;
    assert_eq!(first, &format!("/api/models/{REPO}/revision/main?blobs=true"));
}

#[test]
fn without_a_folder_it_goes_into_the_hugging_face_cache() {
    let place = Workplace::new();
    let (endpoint, _) = small_hub().start();
    let run = fetch(&place, &endpoint, &[]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let repository = place.path("huggingface/hub/models--alibaba-pai--Wan2.1-Fun-1.3B-InP");
    assert_fetched(&repository.join("snapshots").join(COMMIT));
    assert_eq!(fs::read_to_string(repository.join("refs/main")).unwrap(), COMMIT);
}

#[test]
fn a_connection_that_breaks_is_taken_up_where_it_broke() {
    let place = Workplace::new();
    let (endpoint, hub) = Hub { cut_after: Some(1000), cuts: 2, ..small_hub() }.start();
    let run = fetch(&place, &endpoint, &["--model-dir", "got"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_fetched(&place.path("got").join(MODEL));
    let asked = hub.lock().unwrap().asked.clone();
    let of_transformer = asked.into_iter().filter(|(path, _)| path.ends_with(TRANSFORMER));
    let ranges: Vec<Option<String>> = of_transformer.map(|(_, range)| range).collect();
    assert_eq!(ranges, [None, Some("bytes=1000-".into()), Some("bytes=2000-".into())]);
}

#[test]
fn what_a_stopped_fetch_left_is_gone_on_from_and_checked() {
    let place = Workplace::new();
    let (endpoint, hub) = Hub { cut_after: Some(0), cuts: usize::MAX, ..small_hub() }.start();
    let folder = place.path("got").join(MODEL);
    fetch(&place, &endpoint, &["--model-dir", "got"]).failed(6, &["the same command goes on"]);
    // Its name says which version of the file it belongs to; a kill may have left any part of it.
    let mut left = Vec::new();
    collect(&folder, &mut left);
    let part = left.iter().find(|path| path.extension().is_some_and(|e| e == "part")).unwrap();
    let name = part.file_name().unwrap().to_string_lossy().into_owned();
    let (_, whole) = small_hub().files.into_iter().find(|(path, _)| name.starts_with(path)).unwrap();
    fs::write(part, &whole[..60]).unwrap();
    hub.lock().unwrap().cuts = 0;
    let run = fetch(&place, &endpoint, &["--model-dir", "got"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("resumed at 0.1 kB"), "{run:?}");
    assert_fetched(&folder);
    assert!(hub.lock().unwrap().asked.iter().any(|(_, range)| range.as_deref() == Some("bytes=60-")));
}

#[test]
fn a_server_without_ranges_begins_anew() {
    let place = Workplace::new();
    let (endpoint, _) = Hub { cut_after: Some(1000), cuts: 1, without_ranges: true, ..small_hub() }.start();
    let run = fetch(&place, &endpoint, &["--model-dir", "got"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_fetched(&place.path("got").join(MODEL));
}

#[test]
fn a_wrong_checksum_is_refused_and_the_file_deleted() {
    let place = Workplace::new();
    let (endpoint, _) = Hub { wrong_sum: Some(TRANSFORMER), ..small_hub() }.start();
    let run = fetch(&place, &endpoint, &["--model-dir", "got"]);
    run.failed(6, &[TRANSFORMER, "wrong checksum", "deleted"]);
    let mut left = Vec::new();
    collect(&place.path("got"), &mut left);
    let names: Vec<_> =
        left.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert!(!names.iter().any(|name| name.starts_with(TRANSFORMER)), "{names:?}");
}

#[test]
fn a_token_is_sent_and_its_lack_is_said() {
    let place = Workplace::new();
    let (endpoint, _) = Hub { token: Some("Bearer secret"), ..small_hub() }.start();
    fetch(&place, &endpoint, &["--model-dir", "got"]).failed(6, &["HF_TOKEN"]);
    fs::create_dir_all(place.path("huggingface")).unwrap();
    fs::write(place.path("huggingface/token"), "secret\n").unwrap();
    let run = fetch(&place, &endpoint, &["--model-dir", "got"]);
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn a_path_that_leaves_the_folder_is_not_written() {
    let place = Workplace::new();
    let mut hub = small_hub();
    hub.files.push(("google/umt5-xxl/../../../../escaped", bytes(10, 7)));
    let (endpoint, _) = hub.start();
    let run = fetch(&place, &endpoint, &["--model-dir", "got"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_fetched(&place.path("got").join(MODEL));
}

#[test]
fn names_that_do_not_exist_and_hubs_that_do_not_answer_are_errors() {
    let place = Workplace::new();
    place.run(&["models", "fetch", "wan9"]).failed(2, &["wan9", MODEL]);
    fetch(&place, "http://127.0.0.1:9", &[]).failed(6, &["http://127.0.0.1:9"]);
}

// list and check

/// A safetensors file whose zeros take no room, where the system can do that.
fn sparse(path: &Path, dtype: &str, width: usize, tensors: &[(&str, &[usize])]) {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, shape) in tensors {
        let offsets = [end, end + width * shape.iter().product::<usize>()];
        end = offsets[1];
        header.insert(
            (*name).into(),
            serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": offsets}),
        );
    }
    let header = serde_json::to_vec(&header).unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, [&(header.len() as u64).to_le_bytes()[..], &header].concat()).unwrap();
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len((8 + header.len() + end) as u64).unwrap();
}

#[test]
fn a_comfyui_tree_is_listed_with_what_is_missing() {
    let place = Workplace::new();
    let models = place.path("comfy/models");
    let patch: (&str, &[usize]) = ("model.diffusion_model.patch_embedding.weight", &[5120, 36, 1, 2, 2]);
    for expert in ["high", "low"] {
        let name = format!("diffusion_models/wan2.2_i2v_{expert}_noise_14B.safetensors");
        sparse(&models.join(name), "F16", 2, &[patch]);
    }
    sparse(
        &models.join("vae/wan_2.1_vae.safetensors"),
        "BF16",
        2,
        &[("decoder.conv1.weight", &[384, 16, 3, 3, 3])],
    );
    fs::write(models.join("vae/broken.safetensors"), b"nothing").unwrap();
    let run = place.run(&["models", "list", "--model-dir", "comfy"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    for line in [
        "wan2.2-i2v-a14b\tincomplete; lora-edit models fetch wan2.2-i2v-a14b",
        "    high-noise transformer\tf16\t1.5 MB\t",
        "    low-noise transformer\tf16",
        "    text encoder\tmissing: models_t5_umt5-xxl-enc-bf16.pth",
        "wan2.1-i2v-14b-480p\tnot found; lora-edit models fetch wan2.1-i2v-14b-480p",
    ] {
        assert!(run.stdout.contains(line), "no '{line}' in {}", run.stdout);
    }
    assert!(run.stdout.contains("lacks 1094 tensors"), "{}", run.stdout);
    assert!(run.stderr.contains("broken.safetensors"), "{run:?}");
}

#[test]
fn a_file_is_said_for_what_it_is() {
    let place = Workplace::new();
    let run = place.run(&["models", "check", "--deep", "models/tiny/transformer"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    for words in
        ["transformer, Wan of other sizes", "numbers in", "f32", "complete", "every number is finite"]
    {
        assert!(run.stdout.contains(words), "no '{words}' in {}", run.stdout);
    }
    let path = place.path("strange.safetensors");
    sparse(&path, "F32", 4, &[("something", &[2])]);
    let run = place.run(&["models", "check", "strange.safetensors"]);
    assert!(run.stdout.contains("unknown"), "{run:?}");
    run.failed(6, &["1 of 1 cannot be used"]);
    place.run(&["models", "check", "nowhere"]).failed(6, &["nowhere: no such file"]);
}

#[test]
fn numbers_that_are_not_finite_are_found_by_a_deep_check() {
    let place = Workplace::new();
    let file = place.path("models/tiny/transformer");
    let file = fs::read_dir(file)
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .find(|p| p.extension().is_some_and(|e| e == "safetensors"))
        .unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&file, bytes).unwrap();
    assert_eq!(place.run(&["models", "check", "models/tiny/transformer"]).code, Some(0));
    let run = place.run(&["models", "check", "--deep", "models/tiny/transformer"]);
    assert_eq!(run.code, Some(6));
    assert!(
        run.stdout.contains("is NaN or infinite") && run.stdout.contains("safetensors: tensor "),
        "{run:?}"
    );
}
