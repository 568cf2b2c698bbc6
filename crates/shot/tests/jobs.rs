//! The job protocol as its two sides use it, with engines that die in every way.
#![allow(clippy::unwrap_used)] // helpers of tests may panic too

use lora_edit_shot::job::{
    self, BaseRef, EXIT_STOPPED, Event, EventLog, FailureKind, Job, JobState, JobStatus, Recipe, Sampling,
};
use lora_edit_shot::models::defaults;
use lora_edit_shot::{EditId, JobId, ShotId};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command};

fn job() -> Job {
    let base = BaseRef { name: "nano".into(), fingerprint: "abc".into(), model_dir: None };
    Job::train(ShotId::parse(&"1".repeat(32)).unwrap(), base, Recipe::default())
}

fn generation(seed: u64) -> Job {
    let edit = EditId::parse(&"2".repeat(32)).unwrap();
    let Job { shot, base, recipe, .. } = job();
    Job::generate(shot, edit, base, recipe, Sampling { seed, ..Sampling::default() })
}

fn state(root: &Path, id: &JobId) -> JobState {
    JobStatus::read(root, id).unwrap().state
}

fn step(step: usize) -> Event {
    Event::Step { stage: "train".into(), step, of: 100, loss: Some(0.25), seconds_left: Some(75.0) }
}

/// A process that will not end by itself, noted as the job's.
fn engine_of(root: &Path, id: &JobId) -> Child {
    let child = Command::new("sleep").arg("60").spawn().unwrap();
    job::write_pid(root, id, child.id()).unwrap();
    child
}

fn append(root: &Path, id: &JobId, text: &str) {
    let path = job::folder(root, id).join("events.jsonl");
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_job_reads_back_and_its_id_covers_every_field() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = [job(), generation(1), generation(2)];
    for job in &jobs {
        let id = job.write(dir.path()).unwrap();
        assert_eq!((&Job::read(dir.path(), &id).unwrap(), id), (job, job.id()));
    }
    assert_ne!(jobs[0].id(), jobs[1].id());
    assert_ne!(jobs[1].result, jobs[2].result);
    assert_eq!(jobs[0].adapter, jobs[2].adapter, "a generation reuses the adapter");
    let longer = Recipe { steps: Recipe::NANO.steps + 1, ..Recipe::default() };
    assert_ne!(Job::train(job().shot, job().base, longer).adapter, job().adapter);
    let way = Job { previews: false, checkpoint_every: Some(5), memory_limit: Some(1 << 30), ..job() };
    assert_eq!(way.id(), job().id(), "how it is gone about makes no other job");
    let elsewhere = BaseRef { model_dir: Some("/models".into()), ..job().base };
    assert_eq!(Job::train(job().shot, elsewhere, Recipe::default()).adapter, job().adapter);
}

#[test]
fn job_files_are_camel_case_and_tolerate_new_settings() {
    let text = serde_json::to_string(&generation(1)).unwrap();
    for key in ["\"learningRate\"", "\"maskLossWeight\"", "\"withoutAdapter\"", "\"kind\":\"generate\""] {
        assert!(text.contains(key), "{key} in {text}");
    }
    // Adapters and jobs keep their ids: what is as it always was is not written.
    for key in ["targets", "promptPrefix", "previews", "memoryLimit"] {
        assert!(!text.contains(key), "{key} in {text}");
    }
    let older = r#"{"rank": 8}"#;
    let read: Recipe = serde_json::from_str(older).unwrap();
    assert_eq!(read, Recipe { rank: 8, carry: false, ..Recipe::default() }, "older ones carried nothing");
    let published = Recipe::published();
    let text = serde_json::to_string(&published).unwrap();
    assert_eq!(serde_json::from_str::<Recipe>(&text).unwrap(), published);
}

#[test]
fn the_published_prefix_is_told_to_published_models_alone() {
    let recipe = |name: &str| defaults(name).recipe;
    let published = recipe("wan2.1-i2v-14b-480p");
    assert_eq!(published.prefixed("a red car"), "p3rs0n, a red car");
    assert_eq!(published.prefixed(""), "p3rs0n,");
    assert_eq!(recipe("wan2.2-i2v-a14b").prompt_prefix, published.prompt_prefix);
    assert_eq!(recipe("nano").prefixed("a red car"), "a red car");
    assert_eq!(recipe("nano").prefixed(""), "");
}

#[test]
fn broken_job_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let id = job().id();
    assert!(Job::read(dir.path(), &id).unwrap_err().to_string().contains("job.json"));
    job().write(dir.path()).unwrap();
    let path = job::folder(dir.path(), &id).join("job.json");
    let later = std::fs::read_to_string(&path).unwrap().replace("\"version\": 1", "\"version\": 7");
    std::fs::write(&path, later).unwrap();
    assert!(Job::read(dir.path(), &id).unwrap_err().to_string().contains("version 7"));
    std::fs::write(&path, "{").unwrap();
    assert!(Job::read(dir.path(), &id).is_err());
}

#[test]
fn events_are_one_tagged_object_per_line() {
    let line = |event: &Event| serde_json::to_string(event).unwrap();
    assert_eq!(
        line(&step(3)),
        r#"{"event":"step","stage":"train","step":3,"of":100,"loss":0.25,"secondsLeft":75.0}"#
    );
    let failed = Event::Failed { kind: FailureKind::InputFrame, message: "two\nlines".into() };
    assert_eq!(line(&failed), r#"{"event":"failed","kind":"inputFrame","message":"two\nlines"}"#);
    for event in
        [Event::Done { seconds: 1.5 }, Event::Stopped { step: 4 }, Event::Stage { name: "x".into() }, failed]
    {
        assert_eq!(serde_json::from_str::<Event>(&line(&event)).unwrap(), event);
    }
}

#[test]
fn a_life_from_waiting_to_done() {
    let dir = tempfile::tempdir().unwrap();
    let id = job().id();
    assert_eq!(state(dir.path(), &id), JobState::Absent);
    job().write(dir.path()).unwrap();
    assert_eq!(state(dir.path(), &id), JobState::Waiting);
    let mut log = EventLog::start(dir.path(), &id).unwrap();
    assert_eq!(state(dir.path(), &id), JobState::Running);
    log.write(&step(40)).unwrap();
    log.write(&Event::Preview { path: "jobs/p.png".into() }).unwrap();
    let status = JobStatus::read(dir.path(), &id).unwrap();
    assert_eq!(status.line(), "train 40/100, loss 0.2500, 1 min 15 s left");
    assert!(!status.is_over());
    log.write(&Event::Done { seconds: 61.0 }).unwrap();
    let status = JobStatus::read(dir.path(), &id).unwrap();
    assert_eq!((status.state.clone(), status.is_over()), (JobState::Done { seconds: 61.0 }, true));
    assert_eq!(status.preview.as_deref(), Some(Path::new("jobs/p.png")));
    assert_eq!(status.line(), "done in 1 min 01 s");
}

#[test]
fn a_killed_engine_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let id = job().write(dir.path()).unwrap();
    let mut child = engine_of(dir.path(), &id);
    assert_eq!(state(dir.path(), &id), JobState::Waiting);
    append(dir.path(), &id, &format!("{{\"event\":\"started\",\"pid\":{},\"host\":\"h\"}}\n", child.id()));
    append(dir.path(), &id, &(serde_json::to_string(&step(7)).unwrap() + "\n"));
    assert_eq!(state(dir.path(), &id), JobState::Running);
    child.kill().unwrap();
    child.wait().unwrap();
    let status = JobStatus::read(dir.path(), &id).unwrap();
    assert_eq!(status.state, JobState::Died);
    assert_eq!(status.line(), "engine was killed or crashed during train 7/100, loss 0.2500");
}

#[test]
fn an_engine_that_dies_before_its_first_word_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let id = job().write(dir.path()).unwrap();
    let mut child = engine_of(dir.path(), &id);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(state(dir.path(), &id), JobState::Died);
}

#[test]
fn a_last_word_counts_though_the_process_is_gone() {
    for (event, expected) in [
        (r#"{"event":"stopped","step":12}"#, JobState::Stopped { step: 12 }),
        (r#"{"event":"done","seconds":3.0}"#, JobState::Done { seconds: 3.0 }),
        (
            r#"{"event":"failed","kind":"lock","message":"busy"}"#,
            JobState::Failed { kind: FailureKind::Lock, message: "busy".into() },
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let id = job().write(dir.path()).unwrap();
        let mut child = engine_of(dir.path(), &id);
        child.kill().unwrap();
        child.wait().unwrap();
        append(dir.path(), &id, &format!("{event}\n"));
        assert_eq!(state(dir.path(), &id), expected);
    }
}

#[test]
fn a_torn_last_line_is_passed_over_and_ended_by_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let id = job().write(dir.path()).unwrap();
    drop(EventLog::start(dir.path(), &id).unwrap());
    append(dir.path(), &id, "{\"event\":\"step\",\"stage\":\"tr");
    assert_eq!(state(dir.path(), &id), JobState::Running);
    append(dir.path(), &id, "\u{0}\u{0}garbage");
    drop(EventLog::start(dir.path(), &id).unwrap());
    let mut log = EventLog::start(dir.path(), &id).unwrap();
    log.write(&step(5)).unwrap();
    assert_eq!(JobStatus::read(dir.path(), &id).unwrap().step, 5);
    let text = std::fs::read(job::folder(dir.path(), &id).join("events.jsonl")).unwrap();
    assert_eq!(
        text.split(|&byte| byte == b'\n').filter(|line| line.starts_with(b"{\"event\":\"started\"")).count(),
        3
    );
}

#[test]
fn a_new_run_forgets_the_old_ones_end() {
    let dir = tempfile::tempdir().unwrap();
    let id = job().write(dir.path()).unwrap();
    let mut log = EventLog::start(dir.path(), &id).unwrap();
    log.write(&step(30)).unwrap();
    log.write(&Event::Stopped { step: 30 }).unwrap();
    assert_eq!(state(dir.path(), &id), JobState::Stopped { step: 30 });
    job::request_stop(dir.path(), &id).unwrap();
    assert_eq!(job().write(dir.path()).unwrap(), id);
    assert_eq!(state(dir.path(), &id), JobState::Waiting);
    assert!(!job::stop_requested(dir.path(), &id));
}

#[test]
fn writing_a_job_again_does_not_disturb_its_running_engine() {
    let dir = tempfile::tempdir().unwrap();
    let id = job().write(dir.path()).unwrap();
    let mut log = EventLog::start(dir.path(), &id).unwrap();
    log.write(&step(30)).unwrap();
    job::request_stop(dir.path(), &id).unwrap();
    job().write(dir.path()).unwrap();
    assert_eq!(JobStatus::read(dir.path(), &id).unwrap().step, 30);
    assert!(job::stop_requested(dir.path(), &id));
    job::clear_stop(dir.path(), &id).unwrap();
    assert!(!job::stop_requested(dir.path(), &id));
}

#[test]
fn an_engine_elsewhere_is_believed_until_it_is_silent_for_long() {
    let dir = tempfile::tempdir().unwrap();
    let id = job().write(dir.path()).unwrap();
    let pid = job::folder(dir.path(), &id).join("pid");
    std::fs::write(pid, r#"{"pid":1,"host":"some-other-machine"}"#).unwrap();
    append(dir.path(), &id, "{\"event\":\"started\",\"pid\":1,\"host\":\"some-other-machine\"}\n");
    assert_eq!(state(dir.path(), &id), JobState::Running);
    let events =
        std::fs::File::options().append(true).open(job::folder(dir.path(), &id).join("events.jsonl"));
    let long_ago = std::time::SystemTime::now() - job::REMOTE_SILENCE - std::time::Duration::from_secs(9);
    events.unwrap().set_modified(long_ago).unwrap();
    assert_eq!(state(dir.path(), &id), JobState::Died);
}

#[test]
fn every_failure_has_its_exit_code() {
    for (code, kind) in (1..).zip(FailureKind::ALL) {
        assert_eq!(kind.exit_code(), code);
        assert_eq!(FailureKind::from_exit_code(code), Some(kind));
    }
    assert_eq!(FailureKind::InputFrame.exit_code(), 3);
    assert_eq!(FailureKind::Lock.exit_code(), 7);
    assert_eq!(FailureKind::from_exit_code(0), None);
    assert_eq!(FailureKind::from_exit_code(EXIT_STOPPED), None);
    assert_eq!(FailureKind::from_exit_code(101), Some(FailureKind::Other));
}
