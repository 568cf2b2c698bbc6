//! Adapters that cross between programs: ours in diffusers' pipeline, and what diffusers and peft write, here.
#![allow(clippy::unwrap_used)] // tests

use std::path::Path;

use candle_core::Tensor;
use lora_edit_adapt::{Adapter, AdapterConfig, Precision, Provenance};
use lora_edit_model::flow;
use lora_edit_model::guidance::Expert;

mod support;
use support::{Fixture, path, relative_error};

const LIMIT: f64 = 1e-4;

/// As a training would leave it: alpha is the rank, as published, and no tensor is zero.
fn ours() -> Adapter {
    let config = AdapterConfig { rank: 4, alpha: 4.0, ..Default::default() };
    let adapter = Adapter::new(&Fixture::read("peft_i2v").model(), &config, 3).unwrap();
    for (seed, layer) in adapter.layers().iter().enumerate() {
        layer.b.set(&(flow::noise(seed as u64, layer.b.shape()).unwrap() * 0.3).unwrap()).unwrap();
    }
    adapter
}

fn write(path: &Path) {
    let provenance = Provenance {
        base: "tiny".into(),
        base_fingerprint: "fe01".into(),
        shot: "0a1b".into(),
        frames: "1001-1009".into(),
        recipe: r#"{"rank":4}"#.into(),
        step: 300,
        final_loss: 0.5,
        version: "0.1.0".into(),
    };
    ours().save(path, Precision::Bf16, &provenance).unwrap();
}

/// The relative error of the network under `adapter` from an output that another program gave.
fn error(adapter: &Adapter, expected: &str) -> f64 {
    let fixture = Fixture::read("peft_i2v");
    let mut model = fixture.model();
    let plain = fixture.predict(&model);
    adapter.attach(&mut model, 1.0).unwrap();
    let out: Tensor = fixture.predict(&model);
    assert!(relative_error(&out, &plain) > 0.05, "{expected}: the adapter changes nothing");
    relative_error(&out, &Fixture::read("portable").tensor(expected))
}

#[test]
#[ignore = "writes the file that fixtures/make_portable.py hands to diffusers"]
fn write_the_adapter() {
    write(&path("adapter_written"));
}

#[test]
fn diffusers_pipeline_gives_our_output_with_the_file_we_write() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("adapter.safetensors");
    write(&file);
    // The very bytes that diffusers was given.
    assert_eq!(std::fs::read(&file).unwrap(), std::fs::read(path("adapter_written")).unwrap());
    let found = error(&Adapter::load(&file).unwrap(), "out.written");
    assert!(found < LIMIT, "{found}");
}

#[test]
fn each_expert_has_its_pairs_out_of_a_file_of_both() {
    for (expert, rank, output) in [(Expert::High, 3, "out.high"), (Expert::Low, 2, "out.low")] {
        let adapter = Adapter::load_expert(&path("adapter_experts"), expert).unwrap();
        assert!(adapter.layers().len() == 20 && adapter.layers().iter().all(|layer| layer.rank() == rank));
        assert_eq!(adapter.ignored().len(), 40, "those of the other");
        let found = error(&adapter, output);
        assert!(found < LIMIT, "{output}: {found}");
    }
}

#[test]
fn a_file_of_one_network_serves_as_either_expert() {
    let adapter = Adapter::load_expert(&path("adapter_diffusers"), Expert::Low).unwrap();
    assert!(adapter.layers().len() == 20 && adapter.layers().iter().all(|layer| layer.alpha == 6.0));
}

#[test]
fn a_folder_that_peft_saved_is_read_with_its_configuration() {
    let file = path("adapter_peft/adapter_model");
    let adapter = Adapter::load(&file).unwrap();
    assert!(adapter.layers().len() == 20 && adapter.ignored().is_empty());
    let found = error(&adapter, "out.peft");
    assert!(found < LIMIT, "{found}");
    // Without it the scale would be another.
    let folder = tempfile::tempdir().unwrap();
    let lone = folder.path().join("adapter_model.safetensors");
    std::fs::copy(file, &lone).unwrap();
    assert!(error(&Adapter::load(&lone).unwrap(), "out.peft") > 0.01);
}
