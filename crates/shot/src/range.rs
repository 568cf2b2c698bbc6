//! Frame ranges and key lists: "1001-1100", "1080-1090x5", "1-9:2", separated by commas.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// More frames than any shot has: a slip of the keyboard must not fill the memory.
const MOST_FRAMES: i64 = 1_000_000;

/// A text that is no frame range.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("frame range '{text}': {why}")]
pub struct RangeError {
    /// The whole text.
    pub text: String,
    /// What is wrong, naming the part.
    pub why: String,
}

/// A sorted list of frame numbers, each once. May be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FrameRange(Vec<i32>);

impl FrameRange {
    /// All frames from `first` to `last`, both included; empty when `last` is before `first`.
    pub fn span(first: i32, last: i32) -> Self {
        Self((first..=last).collect())
    }

    /// These frames, sorted and each once.
    pub fn of(frames: impl IntoIterator<Item = i32>) -> Self {
        let mut frames: Vec<i32> = frames.into_iter().collect();
        frames.sort_unstable();
        frames.dedup();
        Self(frames)
    }

    /// Reads a range such as "1001-1100", "1001, 1042, 1080-1090x5", "-5--1" or "1-9:2".
    pub fn parse(text: &str) -> Result<Self, RangeError> {
        let error = |why: String| RangeError { text: text.to_string(), why };
        let mut frames = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            frames.extend(parse_part(part).map_err(error)?);
        }
        if frames.is_empty() {
            return Err(error("names no frame".to_string()));
        }
        Ok(Self::of(frames))
    }

    /// The frame numbers in order.
    pub fn frames(&self) -> &[i32] {
        &self.0
    }

    /// The frame numbers in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = i32> + ExactSizeIterator + '_ {
        self.0.iter().copied()
    }

    /// The first frame.
    pub fn first(&self) -> Option<i32> {
        self.0.first().copied()
    }

    /// The last frame.
    pub fn last(&self) -> Option<i32> {
        self.0.last().copied()
    }

    /// How many frames.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this frame is in it.
    pub fn contains(&self, frame: i32) -> bool {
        self.0.binary_search(&frame).is_ok()
    }

    /// Where this frame stands in it.
    pub fn position(&self, frame: i32) -> Option<usize> {
        self.0.binary_search(&frame).ok()
    }
}

impl<'a> IntoIterator for &'a FrameRange {
    type Item = i32;
    type IntoIter = std::iter::Copied<std::slice::Iter<'a, i32>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().copied()
    }
}

/// Shortest form that [`FrameRange::parse`] reads: runs as "1001-1025", the rest one by one.
impl fmt::Display for FrameRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = &self.0[..];
        while let Some(&first) = rest.first() {
            let run = (0..).zip(rest).take_while(|(i, frame)| **frame == first + i).count();
            let comma = if rest.len() == self.0.len() { "" } else { "," };
            match run {
                1 => write!(f, "{comma}{first}")?,
                _ => write!(f, "{comma}{first}-{}", rest[run - 1])?,
            }
            rest = &rest[run..];
        }
        Ok(())
    }
}

impl FromStr for FrameRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for FrameRange {
    type Error = RangeError;

    fn try_from(text: String) -> Result<Self, RangeError> {
        if text.is_empty() { Ok(Self::default()) } else { Self::parse(&text) }
    }
}

impl From<FrameRange> for String {
    fn from(range: FrameRange) -> String {
        range.to_string()
    }
}

fn parse_part(part: &str) -> Result<impl Iterator<Item = i32> + use<>, String> {
    let (span, step) = match part.split_once(['x', ':']) {
        Some((span, step)) => (span, number(step, part)?),
        None => (part, 1),
    };
    // A minus before the first digit is a sign, the next one separates.
    let minus = span.char_indices().skip(1).find(|&(_, c)| c == '-');
    let (first, last) = match minus {
        Some((at, _)) => (number(&span[..at], part)?, number(&span[at + 1..], part)?),
        None => (number(span, part)?, number(span, part)?),
    };
    match (i64::from(last) - i64::from(first), step) {
        (_, step) if step < 1 => Err(format!("the step in '{part}' is less than 1")),
        (length, _) if length < 0 => Err(format!("'{part}' runs backwards")),
        (length, step) if length / i64::from(step) >= MOST_FRAMES => {
            Err(format!("'{part}' is more than a million frames"))
        }
        _ => Ok((first..=last).step_by(step as usize)),
    }
}

fn number(text: &str, part: &str) -> Result<i32, String> {
    text.trim().parse().map_err(|_| format!("'{}' in '{part}' is no frame number", text.trim()))
}

/// The next count of the form 4n+1: what a Wan clip can hold. 0 stays 0.
pub fn padded_4n1(count: usize) -> usize {
    if count == 0 { 0 } else { (count - 1).div_ceil(4) * 4 + 1 }
}

/// For each of `padded` positions the index of the frame shown there: the clip itself, then its
/// reflection about the last frame (and back again if it is very short).
pub fn reflected_indices(count: usize, padded: usize) -> Vec<usize> {
    (0..padded).map(|i| crate::frame::reflect(i as i32, count)).collect()
}
