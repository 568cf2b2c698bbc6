//! Pictures of what an adapter in training makes of its shot: there to look at, and of no effect on what is trained.
#![allow(clippy::unwrap_used)] // a test may stop where it stands

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Command;

use common::tiny_wan::{self, Kind, Layout};
use common::{Ended, Workplace, finish};
use lora_edit_shot::image_io::read_frame;

/// Long enough for a preview to be worth its time at the first checkpoint.
const STEPS: [&str; 4] = ["--train-steps", "100", "--checkpoint-every", "20"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&STEPS[..], more].concat()
}

/// The pictures told of that are previews.
fn previews(run: &Ended) -> Vec<String> {
    pictures(run).into_iter().filter(|path| path.ends_with(".preview.png")).collect()
}

fn pictures(run: &Ended) -> Vec<String> {
    let events = run.events();
    let told = events.iter().filter(|event| event["event"] == "preview");
    told.map(|event| event["path"].as_str().unwrap().to_owned()).collect()
}

/// Asks a training to stop when it tells of its first preview.
fn stop_at_a_preview(mut command: Command) -> Ended {
    let mut child = command.spawn().unwrap();
    let (mut stdout, mut asked) = (String::new(), false);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        stdout += &(line.unwrap() + "\n");
        if !asked && stdout.contains(".preview.png") {
            let id = child.id().to_string();
            assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
            asked = true;
        }
    }
    Ended { stdout, ..finish(child) }
}

fn adapter(place: &Workplace, cache: &str, run: &Ended) -> Vec<u8> {
    let id = run.summary()["adapterId"].as_str().unwrap().to_owned();
    fs::read(place.path(cache).join(format!("adapters/{id}.safetensors"))).unwrap()
}

#[test]
fn a_training_that_was_looked_at_stopped_and_resumed_is_the_one_that_was_not() {
    let place = Workplace::new();
    let unseen = place.edit(&with(&["--previews", "false", "--cache", "unseen"]));
    assert!(previews(&unseen).is_empty());

    let stopped = stop_at_a_preview(place.edit_command(&STEPS));
    assert_eq!(stopped.code, Some(143), "{stopped:?}");
    let told = previews(&stopped);
    let strip = read_frame(&place.path("cache").join(&told[0])).unwrap();
    // Five pictures of the working size side by side, in two rows.
    assert!(strip.width > 5 * 48 && strip.height > 2 * 48, "{:?}", strip.size());
    let resumed = place.edit(&STEPS);
    assert!(resumed.train_steps()[0] > 20, "{:?}", resumed.train_steps());
    assert!(adapter(&place, "cache", &resumed) == adapter(&place, "unseen", &unseen));
    // It is no longer told of what is gone by now.
    assert!(place.cached("checkpoints").is_empty(), "{:?}", place.cached("checkpoints"));
    let last: Vec<_> = pictures(&resumed).into_iter().rev().take(2).collect();
    assert!(last[0].ends_with("contact.png") && last[1].ends_with(".loss.png"), "{last:?}");
}

#[test]
fn a_preview_that_cannot_be_written_is_a_warning() {
    let place = Workplace::new();
    let unseen = place.edit(&with(&["--previews", "false", "--cache", "unseen"]));
    let id = unseen.summary()["adapterId"].as_str().unwrap().to_owned();
    fs::create_dir_all(place.path(&format!("cache/checkpoints/{id}.preview.png/full"))).unwrap();
    let seen = place.edit(&STEPS);
    assert!(previews(&seen).is_empty() && seen.stderr.contains("no preview after step 20"), "{seen:?}");
    assert!(adapter(&place, "cache", &seen) == adapter(&place, "unseen", &unseen));
}

#[test]
fn one_of_two_experts_makes_no_picture() {
    let place = Workplace::new();
    tiny_wan::write(&place.path("models/wan"), Kind::TwoExperts, Layout::ComfyUi);
    let few = ["--train-steps", "21", "--checkpoint-every", "20", "--sampler-steps", "2"];
    let run = place.edit(&[&few[..], &["--model", "wan", "--look-variants", "0"]].concat());
    assert_eq!((run.code, run.train_steps().len()), (Some(0), 42), "{run:?}");
    assert!(previews(&run).is_empty());
}
