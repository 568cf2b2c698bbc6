//! The memory plan: told before the work, kept to, and a refusal that says what would fit.
#![allow(clippy::unwrap_used)] // a test may stop where it stands

mod common;

use common::{Ended, Workplace};

/// The plan that a run told of, in bytes.
fn planned(run: &Ended) -> u64 {
    let plan = run.events().into_iter().find(|event| event["event"] == "plan").expect("a plan");
    assert!(plan["table"].as_str().unwrap().contains("peak"), "{plan}");
    plan["peakBytes"].as_u64().unwrap()
}

#[test]
fn a_plan_is_told_before_the_work_and_lies_in_the_report() {
    let place = Workplace::new();
    let run = place.edit(&[]);
    let told = run.events().iter().map(|event| event["event"].clone()).collect::<Vec<_>>();
    let at = |kind: &str| told.iter().position(|event| event == kind).unwrap();
    assert!(at("plan") < at("step"), "{told:?}");
    let qc = &run.summary()["qc"];
    assert_eq!(qc["plannedBytes"].as_u64(), Some(planned(&run)));
    assert!(cfg!(not(target_os = "linux")) || qc["peakBytes"].as_u64().unwrap() > 1 << 20, "{qc}");
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() {
    let place = Workplace::new();
    let run = place.edit(&["--memory-limit", "1MiB"]);
    run.failed(5, &["1 MiB", "the least is"]);
    assert!(run.train_steps().is_empty() && !place.has_adapter());
    let plan = |limit| {
        place.run(&[
            "models",
            "plan",
            "tiny",
            "--model-dir",
            "models",
            "--frames",
            "5",
            "--memory-limit",
            limit,
        ])
    };
    plan("1MiB").failed(5, &["the least is"]);
    let run = plan("4GiB");
    assert!(run.code == Some(0) && run.stdout.contains("peak "), "{run:?}");
}

/// A limit below what the fastest way takes leads to another way, not to another adapter.
#[test]
fn under_a_limit_it_is_done_another_way_with_the_same_result() {
    let place = Workplace::new();
    let plenty = place.edit(&[]);
    let limit = planned(&plenty) - 1;
    let tight = place.edit(&["--cache", "other", "--memory-limit", &limit.to_string()]);
    assert!(tight.code == Some(0) && planned(&tight) <= limit, "{tight:?}");
    let file = |run: &Ended, cache: &str| {
        let id = run.summary()["adapterId"].as_str().unwrap().to_owned();
        std::fs::read(place.path(&format!("{cache}/adapters/{id}.safetensors"))).unwrap()
    };
    assert_eq!(file(&plenty, "cache"), file(&tight, "other"));
}

#[test]
fn a_job_keeps_its_limit_until_another_is_given() {
    let place = Workplace::new();
    place.edit(&["--memory-limit", "1MiB"]).failed(5, &["1 MiB", "the least is"]);
    let job = place.cached("jobs").remove(0);
    place.run(&["work", &job]).failed(5, &["1 MiB", "the least is"]);
    let run = place.run(&["work", &job, "--memory-limit", "8GiB"]);
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn a_limit_that_is_no_amount_is_refused() {
    let place = Workplace::new();
    let run = place.edit(&["--memory-limit", "much"]);
    assert!(run.code == Some(2) && run.stderr.contains("'much' is not an amount of memory"), "{run:?}");
    let mut command = place.edit_command(&[]);
    command.env("LORA_EDIT_MEMORY_LIMIT", "a lot");
    common::finish(command.spawn().unwrap()).failed(2, &["LORA_EDIT_MEMORY_LIMIT", "a lot"]);
}
