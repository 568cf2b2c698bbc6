//! Jobs that are stopped or killed: nothing half-written is seen, and the next run goes on.

#![allow(clippy::unwrap_used)] // a test may stop where it stands

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command};
use std::time::Duration;

use common::{Ended, Workplace, assert_all_whole, finish, wait_for};

/// A training long enough to be interrupted.
const LONG: [&str; 4] = ["--train-steps", "100000", "--checkpoint-every", "10"];

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

fn events(place: &Workplace) -> String {
    let jobs = place.path("cache/jobs");
    let entries = fs::read_dir(jobs).into_iter().flatten().flatten();
    entries.filter_map(|job| fs::read_to_string(job.path().join("events.jsonl")).ok()).collect()
}

/// Starts a long training and waits for its first checkpoint.
fn start_training(place: &Workplace) -> Child {
    let child = place.edit_command(&LONG).spawn().unwrap();
    wait_for("a checkpoint", || place.cached("checkpoints").iter().any(|name| !name.starts_with('.')));
    child
}

/// Runs a training until its first step, then asks it to stop.
fn stop_after_a_step(mut command: Command) -> Ended {
    let mut child = command.spawn().unwrap();
    let (mut stdout, mut asked) = (String::new(), false);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        stdout += &(line.unwrap() + "\n");
        if !asked && stdout.contains("\"loss\"") {
            signal(&child, "-TERM");
            asked = true;
        }
    }
    Ended { stdout, ..finish(child) }
}

#[test]
fn kill_9_leaves_nothing_half_written_and_the_next_run_goes_on() {
    let place = Workplace::new();
    let child = start_training(&place);
    signal(&child, "-KILL");
    assert_eq!(finish(child).code, None);
    assert!(place.cached("results").is_empty() && !place.has_adapter());
    assert_all_whole(&place.path("cache"));
    let status = place.run(&["status"]);
    assert!(status.stdout.contains("killed or crashed"), "{status:?}");

    let resumed = stop_after_a_step(place.edit_command(&LONG));
    assert_eq!(resumed.code, Some(143), "{resumed:?}");
    assert!(resumed.train_steps()[0] > 10, "{:?}", resumed.train_steps());
}

/// Runs `command`, and kills it a moment after the training told of step `last`; the steps it told of.
fn kill_after(mut command: Command, last: u64, moment: Duration) -> Vec<u64> {
    let mut child = command.spawn().unwrap();
    let mut stdout = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        stdout += &(line + "\n");
        if event["stage"] == "train" && event["step"].as_u64() >= Some(last) {
            std::thread::sleep(moment);
            break;
        }
    }
    signal(&child, "-KILL");
    let ended = Ended { stdout, ..finish(child) };
    assert_eq!(ended.code, None, "{ended:?}");
    ended.train_steps()
}

/// A training of 120 steps with a checkpoint after each second one is killed six times, at moments from a generator,
/// in a step or in writing; what it ends with is what an undisturbed one ends with, to the bit.
#[test]
fn killed_again_and_again_it_ends_as_if_nothing_had_been() {
    let place = Workplace::new();
    let steps = ["--train-steps", "120", "--checkpoint-every", "2"];
    let (mut dice, mut last) = (20_240_817u64, 0);
    for _ in 0..6 {
        dice = dice.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let (further, moment) = (5 + (dice >> 40) % 10, Duration::from_micros((dice >> 45) % 10_000));
        let told = kill_after(place.edit_command(&steps), last + further, moment);
        // The checkpoint of the last step told of may be the one that the kill hit.
        assert!(told[0] + 1 >= last, "began at {} after {last}", told[0]);
        last = *told.last().unwrap();
        assert!(!place.has_adapter());
        assert_all_whole(&place.path("cache"));
    }
    let whole = place.edit(&steps);
    assert!(whole.train_steps()[0] > 2, "{:?}", whole.train_steps());
    let whole = whole.summary();
    let outputs: Vec<_> =
        (1001..=1005).map(|frame| fs::read(place.frame_path("out/result", frame)).unwrap()).collect();
    let undisturbed = place.edit(&[&steps[..], &["--cache", "other"]].concat()).summary();
    assert_eq!(whole["adapterId"], undisturbed["adapterId"]);

    let adapter = format!("adapters/{}.safetensors", whole["adapterId"].as_str().unwrap());
    let losses = adapter.replace(".safetensors", ".loss.csv");
    for file in [&adapter, &losses] {
        let read = |cache: &str| fs::read(place.path(cache).join(file)).unwrap();
        assert!(read("cache") == read("other"), "{file} differs");
    }
    let result = |summary: &serde_json::Value| place.path(summary["resultFolder"].as_str().unwrap());
    for (frame, output) in (1001..=1005).zip(outputs) {
        let read = |summary| fs::read(result(summary).join(format!("generated.{frame:04}.exr"))).unwrap();
        assert!(read(&whole) == read(&undisturbed), "generated frame {frame} differs");
        assert!(output == fs::read(place.frame_path("out/result", frame)).unwrap(), "frame {frame} differs");
    }
    assert!(place.cached("checkpoints").is_empty(), "{:?}", place.cached("checkpoints"));
}

#[test]
fn while_it_trains_and_when_it_is_stopped_the_losses_can_be_seen() {
    let place = Workplace::new();
    let child = start_training(&place);
    let status = place.run(&["status"]).stdout;
    assert!(status.contains("train ") && status.contains(", loss ") && status.contains(" left"), "{status}");
    signal(&child, "-TERM");
    let stopped = finish(child);
    assert_eq!(stopped.code, Some(143));
    let named = |ending: &str| {
        let names = place.cached("adapters");
        place.path("cache/adapters").join(names.iter().find(|name| name.ends_with(ending)).unwrap())
    };
    let losses = fs::read_to_string(named(".loss.csv")).unwrap();
    assert_eq!(losses.lines().count() as u64 - 1, *stopped.train_steps().last().unwrap());
    assert!(losses.lines().nth(1).unwrap().starts_with("1,"), "{losses}");
    assert!(fs::read(named(".loss.png")).unwrap().starts_with(b"\x89PNG"));
    // Losses alone are no adapter.
    assert_eq!(place.run(&["adapters", "list"]).stdout, "");
}

#[test]
fn sigterm_writes_a_checkpoint_and_the_next_run_goes_on_from_there() {
    let place = Workplace::new();
    let child = start_training(&place);
    signal(&child, "-TERM");
    let stopped = finish(child);
    assert_eq!(stopped.code, Some(143), "{stopped:?}");
    let last = *stopped.train_steps().last().unwrap();
    let word = stopped.events().pop().unwrap();
    assert_eq!((&word["event"], word["step"].as_u64()), (&"stopped".into(), Some(last)));
    assert!(place.run(&["status"]).stdout.contains("stopped after step"));

    let resumed = stop_after_a_step(place.edit_command(&LONG));
    assert_eq!(resumed.train_steps()[0], last + 1);
}

#[test]
fn a_stopped_training_that_goes_on_equals_one_that_never_stopped() {
    let place = Workplace::new();
    let steps = ["--train-steps", "40"];
    let stopped = stop_after_a_step(place.edit_command(&steps));
    let whole = place.edit(&steps).summary();
    let undisturbed = place.edit(&["--train-steps", "40", "--cache", "other"]).summary();
    assert_eq!(whole["adapterId"], undisturbed["adapterId"], "{stopped:?}");
    let losses = |cache: &str| {
        let id = whole["adapterId"].as_str().unwrap();
        fs::read_to_string(place.path(cache).join("adapters").join(format!("{id}.loss.csv"))).unwrap()
    };
    assert_eq!(losses("cache"), losses("other"));
    assert!(place.cached("checkpoints").is_empty());
}

#[test]
fn a_stop_file_stops_the_work_and_is_taken_away() {
    let place = Workplace::new();
    let child = start_training(&place);
    let job = place.cached("jobs").remove(0);
    let stop = place.path("cache/jobs").join(&job).join("stop");
    fs::write(&stop, "stop\n").unwrap();
    assert_eq!(finish(child).code, Some(143));
    assert!(!stop.exists());
    let folder = format!("cache/jobs/{job}");
    let mut work = place.command(&["work", &folder]).spawn().unwrap();
    wait_for("a step", || events(&place).matches("\"started\"").count() == 2);
    assert!(work.try_wait().unwrap().is_none());
    signal(&work, "-TERM");
    assert_eq!(finish(work).code, Some(143));
}

#[test]
fn two_engines_do_not_train_the_same_adapter() {
    let place = Workplace::new();
    let child = start_training(&place);
    place.edit(&LONG).failed(7, &["by another process"]);
    place.edit(&[&LONG[..], &["--seed", "9"]].concat()).failed(7, &["in use by process", "adapters/"]);
    signal(&child, "-TERM");
    assert_eq!(finish(child).code, Some(143));
}
