//! Jobs that are stopped or killed: nothing half-written is seen, and the next run goes on.

#![allow(clippy::unwrap_used)] // a test may stop where it stands

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command};

use common::{Ended, Workplace, assert_all_whole, finish, wait_for};

/// Steps of a training long enough to be interrupted.
const MANY: &str = "100000";

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
    let child = place.edit_command(&["--train-steps", MANY]).spawn().unwrap();
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
    assert!(place.cached("adapters").is_empty() && place.cached("results").is_empty());
    assert_all_whole(&place.path("cache"));
    let status = place.run(&["status"]);
    assert!(status.stdout.contains("killed or crashed"), "{status:?}");

    let resumed = stop_after_a_step(place.edit_command(&["--train-steps", MANY]));
    assert_eq!(resumed.code, Some(143), "{resumed:?}");
    assert!(resumed.train_steps()[0] > 10, "{:?}", resumed.train_steps());
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

    let resumed = stop_after_a_step(place.edit_command(&["--train-steps", MANY]));
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
    place.edit(&["--train-steps", MANY]).failed(7, &["by another process"]);
    place.edit(&["--train-steps", MANY, "--seed", "9"]).failed(7, &["in use by process", "adapters/"]);
    signal(&child, "-TERM");
    assert_eq!(finish(child).code, Some(143));
}
