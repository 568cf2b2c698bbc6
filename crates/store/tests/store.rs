//! The store as several writers and readers use it at once.
#![allow(clippy::unwrap_used)] // helpers of tests may panic too

use lora_edit_store::{EvictPolicy, Held, LeaseError, LeaseTiming, Process, Store, StoreError, default_root};
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

const QUICK: LeaseTiming =
    LeaseTiming { heartbeat: Duration::from_millis(20), stale: Duration::from_millis(600) };

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().join("made/for/us")).unwrap().with_timing(QUICK);
    (dir, store)
}

fn fill(text: &str) -> impl FnOnce(&Path) -> std::io::Result<()> + use<'_> {
    move |dir| {
        std::fs::write(dir.join("a"), text)?;
        std::fs::write(dir.join("b"), text)
    }
}

fn held(store: &Store, name: &str) -> Held {
    match store.lease(name) {
        Err(LeaseError::Held(held)) => held,
        other => panic!("expected it to be held: {other:?}"),
    }
}

fn lease_file(store: &Store, name: &str) -> std::path::PathBuf {
    store.root().join("leases").join(format!("{name}.lease"))
}

fn forge(store: &Store, name: &str, owner: &Process) {
    let owner = serde_json::to_value(owner).unwrap();
    let mut record = owner.as_object().unwrap().clone();
    record.insert("token".into(), "forged".into());
    std::fs::create_dir_all(store.root().join("leases")).unwrap();
    std::fs::write(lease_file(store, name), serde_json::to_vec(&record).unwrap()).unwrap();
}

fn aged(path: &Path, age: Duration) {
    std::fs::File::open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

fn elsewhere() -> Process {
    Process { pid: 1, host: "some-other-machine".into(), start: None }
}

#[test]
fn an_entry_is_seen_whole_or_not_at_all() {
    let (_dir, store) = store();
    let path = store
        .put_dir("shots", "id", |dir| {
            std::fs::write(dir.join("a"), "half")?;
            assert!(!store.contains("shots", "id"));
            assert!(store.list("shots").unwrap().is_empty(), "nothing to be seen while it is filled");
            std::fs::write(dir.join("b"), "whole")
        })
        .unwrap();
    assert_eq!(path, store.path("shots", "id"));
    assert_eq!(store.list("shots").unwrap(), ["id"]);
    assert_eq!(std::fs::read(path.join("b")).unwrap(), b"whole");
}

#[test]
fn a_failed_fill_leaves_nothing_and_hands_its_error_on() {
    let (_dir, store) = store();
    let error = store.put_dir("shots", "id", |dir| {
        std::fs::write(dir.join("a"), "half")?;
        Err(std::io::Error::other("frame 1003 is missing"))
    });
    assert_eq!(error.unwrap_err().to_string(), "frame 1003 is missing");
    assert_eq!(std::fs::read_dir(store.root().join("shots")).unwrap().count(), 0);
}

#[test]
fn an_entry_that_is_there_is_not_filled_again() {
    let (_dir, store) = store();
    store.put_dir("shots", "id", fill("first")).unwrap();
    let path = store.put_dir("shots", "id", |_| -> std::io::Result<()> { panic!("not again") }).unwrap();
    assert_eq!(std::fs::read(path.join("a")).unwrap(), b"first");
}

#[test]
fn writers_at_once_leave_one_whole_entry() {
    let (_dir, store) = store();
    let barrier = Barrier::new(4);
    std::thread::scope(|scope| {
        for text in ["1", "2", "3", "4"] {
            let (store, barrier) = (&store, &barrier);
            scope.spawn(move || {
                let filled = store.put_dir("shots", "id", |dir| {
                    barrier.wait();
                    fill(text)(dir)
                });
                filled.unwrap();
            });
        }
    });
    let read = |name: &str| std::fs::read(store.path("shots", "id").join(name)).unwrap();
    assert_eq!(read("a"), read("b"), "both files are of one writer");
    assert_eq!(std::fs::read_dir(store.root().join("shots")).unwrap().count(), 1);
}

#[test]
fn files_are_replaced_in_one_step() {
    let (_dir, store) = store();
    store.put_file("adapters/x.json", b"one").unwrap();
    let path = store.fill_file("adapters/x.json", |to| std::fs::write(to, "two")).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"two");
    let error = store.fill_file("adapters/x.json", |_| Err("no room")).unwrap_err();
    assert_eq!(error.to_string(), "no room");
    assert_eq!(std::fs::read(&path).unwrap(), b"two");
    assert!(store.contains("adapters", "x.json"));
    assert_eq!(store.list("adapters").unwrap(), ["x.json"]);
    assert!(store.list("nothing").unwrap().is_empty());
}

#[test]
fn names_cannot_leave_the_store_or_hide_in_it() {
    let (_dir, store) = store();
    for name in ["", "..", "../x", "/etc", "a/../b", ".hidden", "a/.b", "a\\b", "a~b"] {
        assert!(matches!(store.put_dir("shots", name, fill("x")), Err(StoreError::Name(_))), "{name}");
        assert!(matches!(store.put_file(name, b""), Err(StoreError::Name(_))), "{name}");
        assert!(matches!(store.lease(name), Err(LeaseError::Store(StoreError::Name(_)))), "{name}");
        assert!(!store.contains("shots", name));
    }
}

#[test]
fn a_lease_admits_one_and_comes_back_on_drop() {
    let (_dir, store) = store();
    let lease = store.lease("adapters/x").unwrap();
    let other = held(&store, "adapters/x");
    assert_eq!(other.pid, std::process::id());
    assert!(other.to_string().contains("'adapters/x' is in use by process"), "{other}");
    assert!(store.lease("adapters/y").is_ok(), "another name is free");
    drop(lease);
    assert!(store.lease("adapters/x").is_ok());
}

#[test]
fn threads_never_hold_the_same_lease_at_once() {
    let (_dir, store) = store();
    let (inside, most, turns) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while turns.load(Ordering::SeqCst) < 20 {
            let Ok(_lease) = store.lease("job") else {
                std::thread::yield_now();
                continue;
            };
            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(1));
            inside.fetch_sub(1, Ordering::SeqCst);
            turns.fetch_add(1, Ordering::SeqCst);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
        scope.spawn(work);
    });
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[test]
fn heartbeats_keep_a_lease_beyond_the_stale_time() {
    let (_dir, store) = store();
    let lease = store.lease("job").unwrap();
    std::thread::sleep(QUICK.stale + QUICK.stale / 2);
    assert!(held(&store, "job").age < QUICK.stale);
    assert!(!lease.is_lost());
}

#[cfg(target_os = "linux")]
#[test]
fn a_dead_owner_on_this_machine_is_not_waited_for() {
    let (_dir, store) = store();
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    forge(&store, "job", &Process::of(child.id()));
    assert_eq!(held(&store, "job").pid, child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(store.lease("job").is_ok());
}

#[test]
fn an_owner_elsewhere_is_waited_for_until_it_is_stale() {
    let (_dir, store) = store();
    forge(&store, "job", &elsewhere());
    assert_eq!(held(&store, "job").host, "some-other-machine");
    aged(&lease_file(&store, "job"), QUICK.stale * 2);
    assert!(store.lease("job").is_ok());
}

#[test]
fn a_half_written_lease_is_respected_until_it_is_stale() {
    let (_dir, store) = store();
    forge(&store, "job", &elsewhere());
    std::fs::write(lease_file(&store, "job"), "{\"pid\":").unwrap();
    assert_eq!(held(&store, "job").host, "unknown");
    aged(&lease_file(&store, "job"), QUICK.stale * 2);
    assert!(store.lease("job").is_ok());
}

#[test]
fn of_many_contenders_for_a_stale_lease_one_wins() {
    for _ in 0..10 {
        let (_dir, store) = store();
        forge(&store, "job", &elsewhere());
        aged(&lease_file(&store, "job"), QUICK.stale * 2);
        let barrier = Barrier::new(4);
        let contend = || {
            barrier.wait();
            let lease = store.lease("job").ok();
            barrier.wait();
            usize::from(lease.is_some())
        };
        let winners: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(contend)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(winners, 1);
    }
}

#[test]
fn a_guard_left_by_a_dead_contender_does_not_block_for_ever() {
    let (_dir, store) = store();
    forge(&store, "job", &elsewhere());
    let guard = store.root().join("leases/job.takeover");
    std::fs::write(&guard, "").unwrap();
    aged(&lease_file(&store, "job"), QUICK.stale * 2);
    assert!(store.lease("job").is_err(), "somebody may be at it");
    aged(&guard, QUICK.stale * 2);
    assert!(store.lease("job").is_ok());
    assert!(!guard.exists());
}

#[test]
fn an_owner_learns_that_its_lease_was_taken() {
    let (_dir, store) = store();
    let lease = store.lease("job").unwrap();
    forge(&store, "job", &elsewhere());
    let lost = (0..100).any(|_| {
        std::thread::sleep(QUICK.heartbeat);
        lease.is_lost()
    });
    assert!(lost);
    drop(lease);
    assert!(lease_file(&store, "job").exists(), "what is another's stays");
}

#[test]
fn eviction_by_age_takes_the_old_and_leaves_the_leased() {
    let (_dir, store) = store();
    for id in ["old", "leased", "new"] {
        store.put_dir("results", id, fill(id)).unwrap();
    }
    for id in ["old", "leased"] {
        aged(&store.path("results", id), Duration::from_secs(1000));
    }
    let lease = store.lease("results/leased").unwrap();
    let policy = EvictPolicy { max_age: Some(Duration::from_secs(500)), max_bytes: None };
    let evicted = store.evict(&["results"], policy).unwrap();
    assert_eq!((evicted.entries, evicted.bytes), (vec!["results/old".to_string()], 6));
    assert_eq!(store.list("results").unwrap(), ["leased", "new"]);
    drop(lease);
    store.evict(&["results"], policy).unwrap();
    assert_eq!(store.list("results").unwrap(), ["new"]);
}

#[test]
fn eviction_by_size_takes_the_longest_unused_first() {
    let (_dir, store) = store();
    for (age, id) in [(300, "a"), (200, "b"), (100, "c")] {
        let path = store.put_dir("shots", id, fill("0123456789")).unwrap();
        aged(&path, Duration::from_secs(age));
    }
    store.put_file("adapters/d.safetensors", &[0; 20]).unwrap();
    store.put_file("adapters/d.json", &[0; 20]).unwrap();
    store.touch("shots", "a").unwrap();
    let policy = EvictPolicy { max_age: None, max_bytes: Some(60) };
    let evicted = store.evict(&["shots", "adapters"], policy).unwrap();
    assert_eq!(evicted.entries, ["shots/b", "shots/c"]);
    assert_eq!(store.list("shots").unwrap(), ["a"]);
    let all = EvictPolicy { max_age: None, max_bytes: Some(0) };
    let lease = store.lease("adapters/d").unwrap();
    assert_eq!(store.evict(&["adapters"], all).unwrap().bytes, 0, "a lease holds all files of its id");
    drop(lease);
    assert_eq!(store.evict(&["adapters"], all).unwrap().bytes, 40);
    assert!(store.list("adapters").unwrap().is_empty());
}

#[test]
fn what_a_killed_writer_left_goes_after_a_day() {
    let (_dir, store) = store();
    store.put_dir("shots", "id", fill("x")).unwrap();
    let left = store.root().join("shots/.other.0123.tmp");
    std::fs::create_dir(&left).unwrap();
    store.evict(&["shots"], EvictPolicy::default()).unwrap();
    assert!(left.exists(), "its writer may be at work");
    aged(&left, Duration::from_secs(25 * 3600));
    store.evict(&["shots"], EvictPolicy::default()).unwrap();
    assert!(!left.exists());
    assert!(store.contains("shots", "id"));
}

#[test]
fn there_is_always_a_place_for_the_store() {
    assert!(!default_root().as_os_str().is_empty());
}
