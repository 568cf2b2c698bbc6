//! What hosts are shown: every clip and every row of the table, alike in both contexts.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod common;

use common::{Stage, number, text};
use lora_edit_ofx::params::{self, Kind, Page, Role};
use lora_edit_shot::job::Sampling;
use ofx_host::{ParamKind, ParamValue};

#[test]
fn both_contexts_have_every_parameter_and_page_of_the_table() {
    let stage = Stage::new();
    let wanted: Vec<&str> =
        params::TABLE.iter().map(|p| p.name).chain(Page::ALL.into_iter().map(Page::name)).collect();
    for context in ["Filter", "General"] {
        let found = stage.plugin.params_of(context).unwrap();
        let names: Vec<&str> = found.iter().map(|info| info.name.as_str()).collect();
        assert_eq!(names, wanted, "{context}");
    }
    stage.expect_no_violations();
}

#[test]
fn both_contexts_have_the_clips_and_the_choices() {
    let stage = Stage::new();
    for context in ["Filter", "General"] {
        let node = stage.node_with(|options| options.context = context.to_owned());
        assert_eq!(node.clips(), ["Source", "Mask", "Edited", "Reference", "Output"], "{context}");
        assert_eq!(node.param("inputSpace").unwrap().options, params::SPACE_ITEMS);
        assert_eq!(node.param("train").unwrap().kind, ParamKind::PushButton);
    }
    stage.expect_no_violations();
}

#[test]
fn defaults_are_left_to_the_model() {
    let stage = Stage::new();
    let node = stage.node();
    for name in ["rank", "trainSteps", "samplerSteps", "sampler", "checkpointEvery"] {
        assert_eq!(number(&node, name), 0, "{name}");
    }
    for name in ["lookVariants", "stage2Epochs"] {
        assert_eq!(number(&node, name), -1, "{name}");
    }
    let rates =
        ["learningRate", "maskLossWeight", "stage2Rate", "guidance", "guidanceLow", "shift", "stepCache"];
    for name in rates.into_iter().chain(["memoryLimit"]) {
        assert_eq!(node.value(name).unwrap(), ParamValue::Doubles(vec![0.0]), "{name}");
    }
    for name in ["prompt", "negativePrompt", "sourcePrompt", "promptPrefix", "targets", "lora"] {
        assert_eq!(text(&node, name), "", "{name}");
    }
    assert_eq!(number(&node, "seed") as u64, Sampling::default().seed);
    assert_eq!(text(&node, "model"), "nano");
}

#[test]
fn the_nodes_memory_is_hidden_and_saved_and_its_readouts_are_neither() {
    let stage = Stage::new();
    let node = stage.node();
    let saved = node.saved().unwrap();
    for param in params::TABLE.iter().filter(|p| p.kind != Kind::Button) {
        let secret = node.flag(param.name, c"OfxParamPropSecret").unwrap();
        let enabled = node.flag(param.name, c"OfxParamPropEnabled").unwrap();
        assert_eq!(secret, matches!(param.role, Role::Memory | Role::Bookmark), "{}", param.name);
        assert_eq!(enabled, param.role != Role::Readout, "{}", param.name);
        assert_eq!(saved.contains_key(param.name), param.role != Role::Readout, "{}", param.name);
    }
}
