//! The engine as a process of its own: killed, stopped, or refusing to start, the host goes on.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod common;

use std::process::Command;

use common::{ENDLESS_ENGINE, Stage, eventually, leftovers, press, text};
use ofx_host::Instance;

/// A node whose engine trains and does not end by itself.
fn training() -> (Stage, Instance) {
    let stage = Stage::with_engine(Some(ENDLESS_ENGINE));
    let node = stage.node();
    press(&node, "train");
    eventually("the engine trains", || press(&node, "refresh").starts_with("training 34/100"));
    (stage, node)
}

fn pid(stage: &Stage, node: &Instance) -> String {
    let text = std::fs::read_to_string(stage.job_folder(node).join("pid")).unwrap();
    let process: serde_json::Value = serde_json::from_str(&text).unwrap();
    process["pid"].to_string()
}

fn kill(pid: &str) {
    assert!(Command::new("kill").args(["-9", pid]).status().unwrap().success());
}

#[test]
fn killed_with_minus_9_it_leaves_a_status_and_a_living_host() {
    let (stage, node) = training();
    assert_eq!(press(&node, "refresh"), "training 34/100, loss 0.5000, 41 s left");
    kill(&pid(&stage, &node));
    eventually("the death is noticed", || press(&node, "refresh").contains("died"));
    assert_eq!(text(&node, "status"), "engine died while training 34/100: press Train to resume");

    assert!(node.render_frame(1002.0).is_err(), "there is no result, and the host lives to say so");
    assert!(leftovers(stage.cache.path()).is_empty());
    assert!(press(&node, "train").starts_with("Train started"));
    eventually("it trains again", || press(&node, "refresh").starts_with("training 34/100"));
    kill(&pid(&stage, &node));
    stage.expect_no_violations();
}

#[test]
fn one_node_does_not_start_two() {
    let (stage, node) = training();
    let first = pid(&stage, &node);
    for button in ["train", "generate"] {
        let status = press(&node, button);
        assert!(status.starts_with("failed: ") && status.contains("34/100"), "{status}");
    }
    assert_eq!(pid(&stage, &node), first);
    kill(&first);
}

#[test]
fn stop_leaves_a_request_that_the_engine_finds() {
    let (stage, node) = training();
    let request = stage.job_folder(&node).join("stop");
    assert!(!request.exists());
    assert!(press(&node, "stop").starts_with("stopping"));
    assert!(request.exists());
    kill(&pid(&stage, &node));
}

#[cfg(target_os = "linux")]
#[test]
fn it_does_not_die_with_the_terminal_of_its_host() {
    let (stage, node) = training();
    let pid = pid(&stage, &node);
    // Fields after the name, which may hold anything: state, parent, process group.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let group = stat.rsplit(") ").next().and_then(|fields| fields.split(' ').nth(2));
    assert_eq!(group, Some(pid.as_str()), "a process group of its own");
    kill(&pid);
}

#[test]
fn a_program_that_cannot_run_is_named_and_may_be_tried_again() {
    let stage = Stage::with_engine(Some("#!/no/such/interpreter\n"));
    let node = stage.node();
    for button in ["train", "train", "refresh"] {
        let status = press(&node, button);
        assert!(status.starts_with("failed: engine") && status.contains("lora-edit"), "{button}: {status}");
    }
}
