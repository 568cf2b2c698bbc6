//! Frame ranges and file patterns as users type them.
#![allow(clippy::unwrap_used)] // helpers of tests may panic too

use lora_edit_shot::range::{padded_4n1, reflected_indices};
use lora_edit_shot::{FrameRange, Pattern};
use std::path::Path;

fn frames(text: &str) -> Vec<i32> {
    FrameRange::parse(text).unwrap().frames().to_vec()
}

#[test]
fn ranges_of_every_spelling() {
    assert_eq!(frames("1001-1004"), [1001, 1002, 1003, 1004]);
    assert_eq!(frames("1001, 1042, 1080-1090x5"), [1001, 1042, 1080, 1085, 1090]);
    assert_eq!(frames("1-9:4"), [1, 5, 9]);
    assert_eq!(frames("1-10:4,"), [1, 5, 9]);
    assert_eq!(frames("-5--3"), [-5, -4, -3]);
    assert_eq!(frames("-2-1"), [-2, -1, 0, 1]);
    assert_eq!(frames(" 7 - 9 "), [7, 8, 9]);
    assert_eq!(frames("3,1,2,2"), [1, 2, 3]);
    assert_eq!(frames("1001-1001"), [1001]);
    assert_eq!(frames("5x3"), [5]);
}

#[test]
fn what_is_no_range_is_named() {
    for (text, part) in [
        ("", "no frame"),
        (" , ", "no frame"),
        ("10-1", "backwards"),
        ("1-5x0", "step"),
        ("1-5x-1", "step"),
        ("a-b", "'a'"),
        ("1001-10O5", "'10O5'"),
        ("1-", "''"),
        ("1..5", "'1..5'"),
        ("1-2000000000", "million"),
        ("99999999999", "no frame number"),
    ] {
        let error = FrameRange::parse(text).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains(&format!("'{text}'")), "{error}");
    }
}

#[test]
fn a_range_prints_short_and_reads_back() {
    for text in ["1001-1025", "1001,1042,1080-1082", "-5--3,0", "7"] {
        let range = FrameRange::parse(text).unwrap();
        assert_eq!(range.to_string(), text);
        let json = serde_json::to_string(&range).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<FrameRange>(&json).unwrap(), range);
    }
    assert_eq!(FrameRange::span(3, 5).to_string(), "3-5");
    assert!(FrameRange::span(5, 3).is_empty());
    let empty = serde_json::to_string(&FrameRange::default()).unwrap();
    assert!(serde_json::from_str::<FrameRange>(&empty).unwrap().is_empty());
}

#[test]
fn a_range_answers_for_single_frames() {
    let range = FrameRange::parse("1001-1009x4").unwrap();
    assert_eq!((range.first(), range.last(), range.len()), (Some(1001), Some(1009), 3));
    assert!(range.contains(1005) && !range.contains(1004));
    assert_eq!((range.position(1009), range.position(1000)), (Some(2), None));
    assert_eq!(range.iter().next_back(), Some(1009));
}

#[test]
fn clips_are_padded_by_reflection() {
    let counts = [0, 1, 2, 5, 6, 17, 24, 25, 26].map(padded_4n1);
    assert_eq!(counts, [0, 1, 5, 5, 9, 17, 25, 25, 29]);
    assert_eq!(reflected_indices(6, 9), [0, 1, 2, 3, 4, 5, 4, 3, 2]);
    assert_eq!(reflected_indices(2, 5), [0, 1, 0, 1, 0]);
    assert_eq!(reflected_indices(1, 1), [0]);
}

#[test]
fn patterns_of_every_spelling() {
    let path = |pattern: &str, frame| Pattern::parse(pattern).unwrap().path(frame);
    for pattern in ["a b/src.%04d.exr", "a b/src.####.exr", "a b/src.@@@@.exr"] {
        assert_eq!(path(pattern, 1001), Path::new("a b/src.1001.exr"));
        assert_eq!(path(pattern, 7), Path::new("a b/src.0007.exr"));
        assert_eq!(path(pattern, 123_456), Path::new("a b/src.123456.exr"));
        assert_eq!(path(pattern, -5), Path::new("a b/src.-005.exr"));
    }
    assert_eq!(path("%d.png", 12), Path::new("12.png"));
    assert_eq!(path("f#_x.png", 12), Path::new("f12_x.png"));
    assert_eq!(path("%06d", 12), Path::new("000012"));
    let still = Pattern::parse("dir/50%.d/photo@2x.png");
    assert!(still.as_ref().is_ok_and(Pattern::is_still), "fields stand in the name only: {still:?}");
    assert_eq!(still.unwrap().path(9), Path::new("dir/50%.d/photo@2x.png"));
}

#[test]
fn what_is_no_pattern_is_named() {
    for text in
        ["", "dir/", "a.%04d.%04d.exr", "a.%4d.exr", "a.%s.exr", "a.%0xd.exr", "##.@@.png", "a.%099d.exr"]
    {
        let error = Pattern::parse(text).unwrap_err().to_string();
        assert!(error.contains(&format!("'{text}'")), "{error}");
    }
}

#[test]
fn frames_on_disk_are_those_of_the_pattern() {
    let dir = tempfile::tempdir().unwrap();
    let names = [
        "s.1001.exr",
        "s.1003.exr",
        "s.0009.exr",
        "s.9.exr",
        "s.01001.exr",
        "s.1002.png",
        "t.1001.exr",
        "s.x.exr",
    ];
    names.iter().for_each(|name| std::fs::write(dir.path().join(name), "").unwrap());
    let pattern = Pattern::parse(&dir.path().join("s.####.exr").to_string_lossy()).unwrap();
    assert_eq!(pattern.frames_on_disk().unwrap().frames(), [9, 1001, 1003]);
    assert!(pattern.exists(1003) && !pattern.exists(1002));
    assert!(Pattern::parse("/no/such/folder/a.%d.exr").unwrap().frames_on_disk().is_err());
}
