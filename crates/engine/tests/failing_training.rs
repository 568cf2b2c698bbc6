//! Trainings that cannot go on as they should: the loss is no number, the disk is full, the adapter comes apart.

#![allow(clippy::unwrap_used)] // a test may stop where it stands

mod common;

use std::fs;
use std::process::Command;

use common::{Ended, Workplace, assert_all_whole, finish};

fn show(place: &Workplace, summary: &serde_json::Value) -> serde_json::Value {
    let run = place.run(&["adapters", "show", "--json", summary["adapterId"].as_str().unwrap()]);
    serde_json::from_str(&run.stdout).unwrap()
}

fn only_checkpoint(place: &Workplace) -> std::path::PathBuf {
    let names = place.cached("checkpoints");
    assert_eq!(names.len(), 1, "{names:?}");
    place.path("cache/checkpoints").join(&names[0])
}

#[test]
fn a_loss_that_is_no_number_stops_the_training_and_keeps_the_last_good_checkpoint() {
    let place = Workplace::new();
    let wild = ["--train-steps", "40", "--learning-rate", "1e20", "--checkpoint-every", "1"];
    let run = place.edit(&wild);
    let done = *run.train_steps().last().unwrap();
    let (fatal, kept) =
        (format!("step {}: the ", done + 1), format!("the checkpoint of step {done} is kept"));
    run.failed(1, &[&fatal, "not finite", "learning rate", &kept]);
    let told = run.events().pop().unwrap();
    assert_eq!((&told["event"], &told["kind"]), (&"failed".into(), &"other".into()));
    assert!(told["message"].as_str().unwrap().contains(&kept), "{told}");
    assert!(!place.has_adapter());
    let checkpoint = fs::read(only_checkpoint(&place)).unwrap();
    assert_all_whole(&place.path("cache"));
    let losses = place.cached("adapters").into_iter().find(|name| name.ends_with(".loss.csv")).unwrap();
    let losses = fs::read_to_string(place.path("cache/adapters").join(losses)).unwrap();
    assert_eq!(losses.lines().count() as u64, done + 1);
    // Again it ends at the same step, and says so.
    let again = place.edit(&wild);
    again.failed(1, &[&fatal, &kept]);
    assert!(again.train_steps().is_empty());
    assert!(fs::read(only_checkpoint(&place)).unwrap() == checkpoint);
}

/// Which rate drives this random model how far apart is found out; the rule must hold for each.
#[test]
fn where_the_training_comes_apart_an_earlier_adapter_is_taken() {
    let place = Workplace::new();
    let mut came_apart = 0;
    for rate in ["0.001", "10", "20", "30"] {
        // Grey and many looks: what this rule was found with.
        let recipe = ["--carry", "false", "--look-variants", "16"];
        let steps = [&["--train-steps", "100", "--learning-rate", rate][..], &recipe].concat();
        let run = place.edit(&steps);
        if run.code != Some(0) {
            run.failed(1, &["not finite"]);
            continue;
        }
        let summary = run.summary();
        let shown = show(&place, &summary);
        let measured = shown["training"]["heldBack"].as_array().unwrap();
        let [half, end] = [0, 1].map(|i| measured[i][1].as_f64().unwrap());
        assert_eq!([&measured[0][0], &measured[1][0]], [&50, &100]);
        let expected = if half * 1.1 < end { 50 } else { 100 };
        let taken = [&shown["training"]["step"], &shown["contents"]["provenance"]["step"]];
        assert_eq!(taken, [&expected, &expected], "rate {rate}: {half} {end}");
        assert!(place.cached("checkpoints").is_empty());
        if expected == 50 {
            came_apart += 1;
            let last = place.edit(&[steps, vec!["--keep-best", "false"]].concat()).summary();
            assert_ne!(last["adapterId"], summary["adapterId"]);
            assert_eq!(show(&place, &last)["training"]["step"], 100);
        }
    }
    assert!(came_apart > 0, "no rate drives it apart");
}

/// The program where no file can grow longer than about 150 KB: writing beyond fails as on a full disk, of which a
/// checkpoint of rank 32 (380 KB) is the only case.
#[cfg(unix)]
fn on_a_full_disk(command: &Command) -> Command {
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap \"\" XFSZ; ulimit -f 300; exec \"$@\"", "sh"]).arg(command.get_program());
    limited.args(command.get_args()).current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    use std::process::Stdio;
    limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    limited
}

/// Runs a training until it told of `steps` steps, then asks it to stop.
#[cfg(unix)]
fn stop_after(mut command: Command, steps: usize) -> Ended {
    use std::io::{BufRead, BufReader};
    let mut child = command.spawn().unwrap();
    let mut stdout = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        stdout += &(line.unwrap() + "\n");
        if stdout.matches("\"loss\"").count() == steps {
            Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        }
    }
    Ended { stdout, ..finish(child) }
}

#[test]
#[cfg(unix)]
fn on_a_full_disk_the_last_good_checkpoint_stays() {
    let place = Workplace::new();
    let long = ["--train-steps", "100000", "--checkpoint-every", "5", "--rank", "32"];
    let first = stop_after(place.edit_command(&long), 7);
    assert_eq!(first.code, Some(143), "{first:?}");
    let (done, checkpoint) = (*first.train_steps().last().unwrap(), only_checkpoint(&place));
    let good = fs::read(&checkpoint).unwrap();
    assert!(good.len() > 320_000);

    let full = stop_after(on_a_full_disk(&place.edit_command(&long)), 12);
    let kept = format!("the checkpoint of step {done} is kept");
    full.failed(1, &["no checkpoint of step", "cannot be written", &kept]);
    // It went on training meanwhile, and said each time that it could not write.
    assert!(full.train_steps().len() >= 12);
    assert!(full.stderr.matches(&kept).count() >= 2, "{full:?}");
    assert!(fs::read(only_checkpoint(&place)).unwrap() == good, "the good checkpoint is harmed");

    // With room again it goes on from there.
    let resumed = stop_after(place.edit_command(&long), 1);
    assert_eq!((resumed.code, resumed.train_steps()[0]), (Some(143), done + 1));
}

#[test]
#[cfg(unix)]
fn a_training_without_room_for_checkpoints_still_ends_with_its_adapter() {
    let place = Workplace::new();
    let steps = ["--train-steps", "12", "--checkpoint-every", "5", "--rank", "32"];
    let limited = finish(on_a_full_disk(&place.edit_command(&steps)).spawn().unwrap());
    assert!(limited.stderr.contains("no checkpoint of step 5"), "{limited:?}");
    assert!(limited.stderr.contains("there is no checkpoint yet"), "{limited:?}");
    let limited = limited.summary();
    let free = place.edit(&[&steps[..], &["--cache", "other"]].concat()).summary();
    let name = format!("{}.safetensors", free["adapterId"].as_str().unwrap());
    assert_eq!(limited["adapterId"], free["adapterId"]);
    let read = |cache: &str| fs::read(place.path(cache).join("adapters").join(&name)).unwrap();
    assert!(read("cache") == read("other"));
}
