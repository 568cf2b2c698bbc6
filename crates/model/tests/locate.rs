//! Which parts of a model are found where, in the layouts that people have.
#![allow(clippy::unwrap_used)] // a test may stop where it stands

use std::path::{Path, PathBuf};

use lora_edit_model::locate::{Inventory, Located, Published, Role};

#[path = "support/files.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod files;
use files::{write_safetensors, zeros};

/// A network by its telling tensors, small: what is asked here is where it is, not whether it is whole.
fn network(path: &Path, tensors: &[(&str, &[usize])]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let parts: Vec<_> = tensors.iter().map(|(name, shape)| zeros(name, "F8_E4M3", 1, shape)).collect();
    write_safetensors(path, &parts, &[]);
}

fn i2v_14b(path: &Path) {
    network(path, &[("patch_embedding.weight", &[5120, 36, 1, 2, 2]), ("img_emb.proj.1.weight", &[1, 1])]);
}

fn located(root: &Path, model: &str) -> Located {
    Inventory::of(&[root.to_path_buf()]).locate(Published::named(model).unwrap())
}

fn path_of(located: &Located, role: Role) -> Option<PathBuf> {
    located.parts.iter().find(|part| part.role == role).map(|part| part.path.clone())
}

#[test]
fn a_comfyui_tree_has_480p_and_720p_apart() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join("models").join(name);
    i2v_14b(&path("diffusion_models/wan2.1_i2v_480p_14B_fp8_scaled.safetensors"));
    i2v_14b(&path("unet/wan2.1_i2v_720p_14B_fp8_scaled.safetensors"));
    network(&path("vae/wan_2.1_vae.safetensors"), &[("decoder.conv1.weight", &[384, 1])]);
    network(
        &path("clip_vision/clip_vision_h.safetensors"),
        &[("vision_model.embeddings.patch_embedding.weight", &[1])],
    );
    network(&path("text_encoders/umt5.safetensors"), &[("shared.weight", &[1]), ("spiece_model", &[1])]);
    for (name, file) in [("480p", "diffusion_models"), ("720p", "unet")] {
        let found = located(root.path(), &format!("wan2.1-i2v-14b-{name}"));
        let expected = path(&format!("{file}/wan2.1_i2v_{name}_14B_fp8_scaled.safetensors"));
        assert_eq!(path_of(&found, Role::Transformer), Some(expected));
        assert_eq!(path_of(&found, Role::Tokenizer), Some(path("text_encoders/umt5.safetensors")));
        assert!(found.missing.is_empty(), "{:?}", found.missing);
        assert!(found.wanting().contains(&Role::Transformer), "it lacks most of its tensors");
    }
}

#[test]
fn an_official_folder_in_a_hugging_face_cache_is_searched() {
    let root = tempfile::tempdir().unwrap();
    let snapshot = root.path().join("models--Wan-AI--Wan2.2-I2V-A14B/snapshots/0123");
    for expert in ["high_noise_model", "low_noise_model"] {
        let folder = snapshot.join(expert);
        network(
            &folder.join("diffusion_pytorch_model-00001-of-00002.safetensors"),
            &[("patch_embedding.weight", &[5120, 36, 1, 2, 2])],
        );
        network(
            &folder.join("diffusion_pytorch_model-00002-of-00002.safetensors"),
            &[("head.head.bias", &[64])],
        );
    }
    std::fs::create_dir_all(snapshot.join("google/umt5-xxl")).unwrap();
    std::fs::write(snapshot.join("google/umt5-xxl/spiece.model"), "").unwrap();
    let found = located(root.path(), "wan2.2-i2v-a14b");
    assert_eq!(path_of(&found, Role::HighNoise), Some(snapshot.join("high_noise_model")));
    assert_eq!(path_of(&found, Role::LowNoise), Some(snapshot.join("low_noise_model")));
    assert_eq!(path_of(&found, Role::Tokenizer), Some(snapshot.join("google/umt5-xxl")));
    assert_eq!(found.missing, [Role::Vae, Role::Text]);

    std::fs::remove_file(snapshot.join("low_noise_model/diffusion_pytorch_model-00002-of-00002.safetensors"))
        .unwrap();
    let inventory = Inventory::of(&[root.path().to_path_buf()]);
    let reason = inventory.units.iter().find_map(|unit| unit.networks.as_ref().err()).unwrap();
    assert!(reason.contains("diffusion_pytorch_model-00002-of-00002.safetensors: missing"), "{reason}");
}
