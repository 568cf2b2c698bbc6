//! Names of image sequences: `%04d`, `####`, `@@@@`, or a still.

use std::path::{Path, PathBuf};

/// A path with at most one place for the frame number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    before: String,
    /// Digits the number is padded to; None for a still.
    digits: Option<usize>,
    after: String,
}

impl Pattern {
    /// Reads a pattern; anything without a place for a number is a still.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        percent(text).or_else(|| run_of(text, '#')).or_else(|| run_of(text, '@')).unwrap_or_else(|| Self {
            before: text.to_owned(),
            digits: None,
            after: String::new(),
        })
    }

    /// Whether it names one file for all times.
    #[must_use]
    pub fn is_still(&self) -> bool {
        self.digits.is_none()
    }

    /// The file of a frame.
    #[must_use]
    pub fn path(&self, frame: i64) -> PathBuf {
        let number = self.digits.map(|digits| format!("{frame:0digits$}")).unwrap_or_default();
        PathBuf::from(format!("{}{number}{}", self.before, self.after))
    }

    /// The numbers of the files on disk, in order; of a still none.
    #[must_use]
    pub fn frames(&self) -> Vec<i64> {
        let (Some(digits), Some(name)) = (self.digits, self.path(0).file_name().map(ToOwned::to_owned))
        else {
            return Vec::new();
        };
        let folder = self.path(0).parent().map(Path::to_owned).unwrap_or_default();
        let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
        let zero = format!("{:0digits$}", 0);
        let name = name.to_string_lossy();
        let own_part = self.before.rsplit('/').next().unwrap_or_default();
        let (before, after) = (own_part, &name[own_part.len() + zero.len()..]);
        let entries = folder.read_dir().into_iter().flatten().flatten();
        let mut frames: Vec<i64> =
            entries.filter_map(|entry| number(entry.file_name().to_str()?, before, after, digits)).collect();
        frames.sort_unstable();
        frames
    }
}

fn percent(text: &str) -> Option<Pattern> {
    let start = text.find('%')?;
    let length = text[start..].find('d')? + 1;
    let digits = &text[start + 1..start + length - 1];
    let digits = if digits.is_empty() { 1 } else { digits.parse().ok()? };
    Some(split(text, start, length, digits))
}

fn run_of(text: &str, sign: char) -> Option<Pattern> {
    let start = text.find(sign)?;
    let length = text[start..].chars().take_while(|&c| c == sign).count();
    Some(split(text, start, length, length))
}

fn split(text: &str, start: usize, length: usize, digits: usize) -> Pattern {
    let (before, after) = (text[..start].to_owned(), text[start + length..].to_owned());
    Pattern { before, digits: Some(digits), after }
}

fn number(name: &str, before: &str, after: &str, digits: usize) -> Option<i64> {
    let middle = name.strip_prefix(before)?.strip_suffix(after)?;
    let frame: i64 = middle.parse().ok()?;
    (format!("{frame:0digits$}") == middle).then_some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_of_writing_a_sequence_are_the_same() {
        for text in ["a/b.%04d.exr", "a/b.####.exr", "a/b.@@@@.exr"] {
            assert_eq!(Pattern::parse(text).path(7), Path::new("a/b.0007.exr"));
        }
        assert_eq!(Pattern::parse("b%d.png").path(1001), Path::new("b1001.png"));
        let still = Pattern::parse("100%.png");
        assert!(still.is_still());
        assert_eq!(still.path(3), Path::new("100%.png"));
    }

    #[test]
    fn frames_on_disk_are_counted_by_their_digits() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["x.0002.png", "x.0010.png", "x.3.png", "x.0004.exr", "y.0005.png"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let pattern = Pattern::parse(&format!("{}/x.%04d.png", folder.path().display()));
        assert_eq!(pattern.frames(), [2, 10]);
    }
}
