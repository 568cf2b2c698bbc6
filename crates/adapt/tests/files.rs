//! Adapter files: every spelling reads the same, what is written is what others read, and wrong files are refused.
#![allow(clippy::unwrap_used)] // tests

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use lora_edit_adapt::{AdaptError, Adapter, AdapterConfig, AdapterContents, Precision, Provenance};

mod support;
use support::{Fixture, path, relative_error, values};

fn tensors(path: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

fn metadata(path: &Path) -> HashMap<String, String> {
    let bytes = std::fs::read(path).unwrap();
    safetensors::SafeTensors::read_metadata(&bytes).unwrap().1.metadata().clone().unwrap()
}

fn provenance() -> Provenance {
    Provenance {
        base: "nano".into(),
        base_fingerprint: "fe01".into(),
        shot: "0a1b".into(),
        frames: "1001-1049".into(),
        recipe: r#"{"rank":3}"#.into(),
        step: 300,
        final_loss: 0.012_345_679,
        version: "0.1.0".into(),
    }
}

#[test]
fn every_spelling_gives_pefts_output() {
    let fixture = Fixture::read("peft_i2v");
    for name in ["adapter_native", "adapter_diffusers", "adapter_down_up", "adapter_kohya"] {
        let adapter = Adapter::load(&path(name)).unwrap();
        assert!(adapter.layers().len() == 20 && adapter.ignored().is_empty(), "{name}");
        let mut model = fixture.model();
        adapter.attach(&mut model, 1.0).unwrap();
        let error = relative_error(&fixture.predict(&model), &fixture.tensor("out_adapted"));
        assert!(error < 1e-4, "{name}: {error}");
    }
}

/// `adapter_native` was loaded by diffusers when the fixtures were made, and gave the same output as peft.
#[test]
fn the_written_file_is_the_one_that_diffusers_loads() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("adapter.safetensors");
    let (_, adapter) = Fixture::read("peft_i2v").adapted();
    adapter.save(&file, Precision::Bf16, &provenance()).unwrap();
    let (written, expected) = (tensors(&file), tensors(&path("adapter_native")));
    assert_eq!(written.len(), expected.len());
    for (key, expected) in expected {
        let written = &written[&key];
        assert_eq!((written.dtype(), written.dims()), (expected.dtype(), expected.dims()), "{key}");
        assert_eq!(values(written), values(&expected), "{key}");
    }
    assert_eq!(metadata(&file)["format"], "pt");
}

#[test]
fn alpha_equal_to_rank_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("adapter.safetensors");
    let config = AdapterConfig { rank: 3, alpha: 3.0, ..Default::default() };
    let adapter = Adapter::new(&Fixture::read("peft_i2v_clip").model(), &config, 1).unwrap();
    adapter.save(&file, Precision::Bf16, &provenance()).unwrap();
    let mut keys: Vec<_> = tensors(&file).into_keys().collect();
    keys.sort();
    assert_eq!(keys.len(), 40);
    assert_eq!(keys[0], "diffusion_model.blocks.0.cross_attn.k.lora_A.weight");
    assert_eq!(keys[39], "diffusion_model.blocks.1.self_attn.v.lora_B.weight");
    assert!(Adapter::load(&file).unwrap().layers().iter().all(|layer| layer.alpha == 3.0));
}

#[test]
fn saved_and_loaded_is_bit_equal() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("adapter.safetensors");
    let model = Fixture::read("peft_i2v").model();
    for (precision, dtype) in [(Precision::F32, DType::F32), (Precision::Bf16, DType::BF16)] {
        let adapter = Adapter::new(&model, &AdapterConfig { rank: 5, ..Default::default() }, 1).unwrap();
        adapter.save(&file, precision, &provenance()).unwrap();
        let loaded = Adapter::load(&file).unwrap();
        let loaded: HashMap<_, _> = loaded.parameters().into_iter().collect();
        assert_eq!(loaded.len(), 40);
        for (name, var) in adapter.parameters() {
            let stored = var.to_dtype(dtype).unwrap();
            assert_eq!(values(loaded[&name]), values(&stored), "{name}");
        }
    }
}

#[test]
fn provenance_is_kept_and_foreign_files_have_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("adapter.safetensors");
    let (_, adapter) = Fixture::read("peft_i2v").adapted();
    adapter.save(&file, Precision::Bf16, &provenance()).unwrap();
    assert_eq!(Provenance::read(&file).unwrap(), Some(provenance()));
    assert_eq!(Provenance::read(&path("adapter_native")).unwrap(), None);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary is left");
}

#[test]
#[cfg(unix)]
fn written_files_are_readable_by_others() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (ours, plain) = (folder.path().join("adapter.safetensors"), folder.path().join("plain"));
    let (_, adapter) = Fixture::read("peft_i2v").adapted();
    adapter.save(&ours, Precision::Bf16, &provenance()).unwrap();
    std::fs::write(&plain, b"").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&ours), mode(&plain));
}

#[test]
fn an_adapter_of_another_base_is_refused_and_changes_nothing() {
    let fixture = Fixture::read("peft_i2v");
    let mut model = fixture.model();
    let attach = |keys: &[(&str, [usize; 2])], model: &mut _| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("foreign.safetensors");
        let zeros = |shape: [usize; 2]| Tensor::zeros(&shape, DType::F32, &Device::Cpu).unwrap();
        let tensors: HashMap<_, _> =
            keys.iter().map(|&(key, shape)| (key.to_owned(), zeros(shape))).collect();
        candle_core::safetensors::save(&tensors, &file).unwrap();
        Adapter::load(&file).and_then(|adapter| adapter.attach(model, 1.0)).unwrap_err()
    };
    let fitting =
        [("blocks.0.self_attn.q.lora_A.weight", [2, 24]), ("blocks.0.self_attn.q.lora_B.weight", [24, 2])];
    let with = |more: [(&'static str, [usize; 2]); 2]| [fitting, more].concat();

    let other = with([("blocks.1.ffn.0.lora_A.weight", [2, 24]), ("blocks.1.ffn.0.lora_B.weight", [96, 2])]);
    let error = attach(&other, &mut model);
    let expected =
        "adapter does not fit the base: blocks.1.ffn.0 is [96, 24] in the adapter, [40, 24] in the base";
    assert_eq!(error.to_string(), expected);
    let deeper = with([("blocks.2.ffn.0.lora_A.weight", [2, 24]), ("blocks.2.ffn.0.lora_B.weight", [40, 2])]);
    let error = attach(&deeper, &mut model);
    assert_eq!(error.to_string(), "adapter does not fit the base: no layer blocks.2.ffn.0 in it");
    let half = [fitting[0]];
    assert!(
        attach(&half, &mut model)
            .to_string()
            .ends_with("half of the pair of blocks.0.self_attn.q is missing")
    );
    let unlike = [fitting[0], ("blocks.0.self_attn.q.lora_B.weight", [24, 3])];
    assert!(attach(&unlike, &mut model).to_string().ends_with("A [2, 24] and B [24, 3] are no pair"));
    assert!(model.linears().iter().all(|(_, linear)| linear.low_rank.is_empty()));
}

#[test]
fn files_that_are_no_adapter_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.safetensors");
    assert!(matches!(Adapter::load(&missing), Err(AdaptError::Unreadable { .. })));

    let broken = folder.path().join("broken.safetensors");
    let whole = std::fs::read(path("adapter_native")).unwrap();
    for bytes in
        [&b"short"[..], &b"a text file, and not a short one"[..], &whole[..900], &whole[..whole.len() - 1]]
    {
        std::fs::write(&broken, bytes).unwrap();
        let error = Adapter::load(&broken).unwrap_err();
        assert!(matches!(error, AdaptError::BadFile { .. }), "{error}");
        assert!(error.to_string().contains("broken.safetensors"), "{error}");
    }
    let error = Adapter::load(&path("adamw")).unwrap_err();
    assert!(error.to_string().ends_with("no low-rank pair of a block in it (but constant.0.0)"), "{error}");

    let (_, adapter) = Fixture::read("peft_i2v").adapted();
    let nowhere = folder.path().join("no/such/folder/adapter.safetensors");
    let error = adapter.save(&nowhere, Precision::F32, &provenance()).unwrap_err();
    assert!(matches!(error, AdaptError::Unwritable { .. }), "{error}");
}

/// Each byte of the header flipped in its turn: nothing panics, and what cannot be read is named.
#[test]
fn a_flipped_header_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.safetensors");
    let config = AdapterConfig { rank: 2, alpha: 3.0, targets: vec!["self_attn.q".into()] };
    let adapter = Adapter::new(&Fixture::read("peft_i2v").model(), &config, 1).unwrap();
    adapter.save(&broken, Precision::Bf16, &Provenance::default()).unwrap();
    let whole = std::fs::read(&broken).unwrap();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let (mut refused, mut bytes) = (0, whole.clone());
    for at in 0..header {
        bytes[at] ^= 1 << (at % 7);
        std::fs::write(&broken, &bytes).unwrap();
        for error in
            [Adapter::load(&broken).err(), AdapterContents::read(&broken).err()].into_iter().flatten()
        {
            refused += 1;
            assert!(matches!(error, AdaptError::BadFile { .. }), "byte {at}: {error}");
            assert!(error.to_string().contains("broken.safetensors: "), "byte {at}: {error}");
        }
        bytes[at] = whole[at];
    }
    assert!(refused > header / 2, "{refused} of {header}");
}

#[test]
fn contents_are_told_from_the_header() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("adapter.safetensors");
    let (_, adapter) = Fixture::read("peft_i2v").adapted();
    adapter.save(&file, Precision::Bf16, &provenance()).unwrap();
    let contents = AdapterContents::read(&file).unwrap();
    let expected = AdapterContents {
        provenance: Some(provenance()),
        layers: 20,
        parts: ["cross_attn", "ffn", "self_attn"].map(String::from).to_vec(),
        blocks: 2,
        ranks: vec![3],
        width: Some(24),
        dtypes: vec!["bf16".into()],
        parameters: adapter.parameter_count(),
        ..AdapterContents::default()
    };
    assert_eq!(contents, expected);
    let both = AdapterContents::read(&path("adapter_experts")).unwrap();
    assert_eq!((both.layers, both.ranks, both.low_noise_expert), (40, vec![2, 3], true));
    assert_eq!(both.provenance, None);

    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 2]).unwrap();
    let error = AdapterContents::read(&file).unwrap_err().to_string();
    assert!(error.contains("adapter.safetensors: ") && error.contains("bytes long instead of"), "{error}");
}

#[test]
fn what_pairs_cannot_say_is_named_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("foreign.safetensors");
    let with = |key: &str| {
        let mut all = tensors(&path("adapter_kohya"));
        all.insert(key.to_owned(), Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap());
        candle_core::safetensors::save(&all, &file).unwrap();
    };
    for key in ["diffusion_model.blocks.0.norm3.diff", "diffusion_model.blocks.0.self_attn.q.diff_b"] {
        with(key);
        assert_eq!(Adapter::load(&file).unwrap().ignored(), [key]);
        let contents = AdapterContents::read(&file).unwrap();
        assert_eq!((contents.layers, contents.beside, contents.ignored), (20, 1, vec![]));
    }
    with("lora_te1_text_model.diff");
    assert_eq!(AdapterContents::read(&file).unwrap().ignored, ["lora_te1_text_model.diff"]);
    with("lora_unet_blocks_0_self_attn_q.dora_scale");
    for error in [Adapter::load(&file).err(), AdapterContents::read(&file).err()] {
        let error = error.unwrap().to_string();
        assert!(
            error.contains("DoRA is not supported (lora_unet_blocks_0_self_attn_q.dora_scale)"),
            "{error}"
        );
    }
}

#[test]
fn adapters_stand_side_by_side_at_their_own_strength() {
    let fixture = Fixture::read("peft_i2v");
    let mut model = fixture.model();
    let base = fixture.predict(&model);
    let (one, two) =
        (Adapter::load(&path("adapter_native")).unwrap(), Adapter::load(&path("adapter_kohya")).unwrap());
    // Twice half of the same adapter is the adapter.
    one.attach(&mut model, 0.5).unwrap();
    two.attach(&mut model, 1.0).unwrap();
    two.attach(&mut model, 0.5).unwrap();
    assert!(relative_error(&fixture.predict(&model), &fixture.tensor("out_adapted")) < 1e-4);
    one.detach(&mut model);
    assert!(model.linears().iter().all(|(path, l)| l.low_rank.len() == usize::from(!path.ends_with("_img"))));
    two.detach(&mut model);
    assert!(values(&fixture.predict(&model)) == values(&base), "not bit-equal");
}

#[test]
fn a_fresh_adapter_is_the_identity_and_follows_its_seed() {
    let fixture = Fixture::read("peft_i2v_clip");
    let mut model = fixture.model();
    let base = fixture.predict(&model);
    let adapter = Adapter::create(&mut model, &fixture.config(), 5).unwrap();
    assert!(values(&fixture.predict(&model)) == values(&base), "not bit-equal");

    let again = Adapter::new(&model, &fixture.config(), 5).unwrap();
    let other = Adapter::new(&model, &fixture.config(), 6).unwrap();
    for ((one, two), three) in adapter.layers().iter().zip(again.layers()).zip(other.layers()) {
        assert_eq!(values(&one.a), values(&two.a));
        assert_ne!(values(&one.a), values(&three.a));
        // Kaiming-uniform with a = sqrt 5: within 1 / sqrt(in), of variance 1 / (3 in).
        let (a, inputs) = (values(&one.a), one.a.dims()[1] as f64);
        assert!(a.iter().all(|v| v.abs() <= inputs.powf(-0.5)));
        let variance = a.iter().map(|v| v * v).sum::<f64>() / a.len() as f64;
        assert!((variance * 3.0 * inputs - 1.0).abs() < 0.5, "{}: {variance}", one.path);
    }
    assert_eq!(adapter.parameter_count(), 2 * 3 * (8 * 48 + 2 * 64));
}
