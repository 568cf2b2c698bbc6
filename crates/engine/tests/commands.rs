//! The smaller commands, and the help.

mod common;

use std::time::Instant;

use common::Workplace;

#[test]
fn without_arguments_it_helps() {
    let run = Workplace::new().run(&[]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("Usage: lora-edit"), "{run:?}");
}

#[test]
fn help_has_examples_and_exit_codes() {
    let place = Workplace::new();
    for (command, words) in [
        (vec!["--help"], vec!["143", "LORA_EDIT_CACHE", "edit", "work"]),
        (vec!["edit", "--help"], vec!["Examples:", "--train-steps", "--hold-keys", "Exit codes"]),
        (vec!["work", "--help"], vec!["Examples:", "SIGTERM"]),
        (vec!["status", "--help"], vec!["--watch"]),
        (vec!["models", "list", "--help"], vec!["LORA_EDIT_MODELS"]),
        (vec!["models", "check", "--help"], vec!["Examples:", "--deep", "Exit codes"]),
        (vec!["models", "fetch", "--help"], vec!["Examples:", "HF_ENDPOINT"]),
        (vec!["adapters", "show", "--help"], vec!["Example"]),
    ] {
        let run = place.run(&command);
        assert_eq!(run.code, Some(0));
        words.iter().for_each(|word| assert!(run.stdout.contains(word), "{command:?} lacks {word}"));
    }
}

#[test]
fn it_starts_at_once() {
    let place = Workplace::new();
    let quickest = (0..5)
        .map(|_| {
            let began = Instant::now();
            place.run(&["--version"]);
            began.elapsed().as_millis()
        })
        .min();
    assert!(quickest < Some(100), "{quickest:?} ms");
}

#[test]
fn models_and_adapters_are_listed() {
    let place = Workplace::new();
    let models = place.run(&["models", "list", "--model-dir", "models"]);
    assert!(models.stdout.starts_with("tiny\t"), "{models:?}");
    assert_eq!(place.run(&["adapters", "list"]).stdout, "");
    let id = place.edit(&[]).summary()["adapterId"].as_str().unwrap().to_string();
    let list = place.run(&["adapters", "list"]);
    assert!(list.stdout.starts_with(&id) && list.stdout.contains("tiny\trank 2\t12 steps"), "{list:?}");
    let shown = place.run(&["adapters", "show", &id[..6], "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["training"]["recipe"]["rank"], 2);
}

#[test]
fn a_job_from_the_cache_is_done_by_work_and_watched_by_status() {
    let place = Workplace::new();
    let job = place.edit(&[]).summary()["jobId"].as_str().unwrap().to_string();
    std::fs::remove_dir_all(place.path("cache/results")).unwrap();
    let run = place.run(&["work", &job]);
    assert_eq!((run.code, place.cached("results").len()), (Some(0), 1), "{run:?}");
    let status = place.run(&["status", &job[..8], "--watch"]);
    assert_eq!(status.code, Some(0), "{status:?}");
    assert!(status.stdout.contains("done in"));
}

#[test]
fn a_model_that_changed_since_the_job_was_made_is_refused() {
    let place = Workplace::new();
    let job = place.edit(&[]).summary()["jobId"].as_str().unwrap().to_string();
    std::fs::remove_dir_all(place.path("cache/results")).unwrap();
    let config = place.path("models/tiny/vae/config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("\"dropout\":0.0", "\"dropout\":0.1")).unwrap();
    place.run(&["work", &job]).failed(6, &["model 'tiny'", "not the one"]);
}
