//! File name patterns of image sequences: `%04d`, `####`, `@@@@`; a bare path is a still.

use crate::range::FrameRange;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use thiserror::Error;

/// A text that is no usable pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("file pattern '{text}': {why}")]
pub struct PatternError {
    /// The whole text.
    pub text: String,
    /// What is wrong.
    pub why: &'static str,
}

/// Where the files of a sequence are. The frame number stands in the file's name, written as `%d`,
/// `%04d`, a run of `#` (one per digit) or a run of at least two `@`; folders are taken as they are.
/// Without a frame number it names one still that serves every frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    folder: PathBuf,
    name: Name,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Still(String),
    Numbered { before: String, digits: usize, after: String },
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let error = |why| PatternError { text: text.to_string(), why };
        let path = Path::new(text);
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(error("names no file"))?;
        if text.ends_with(['/', '\\']) {
            return Err(error("names no file"));
        }
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        Ok(Self { text: text.to_string(), folder, name: parse_name(name).map_err(error)? })
    }

    /// The file of one frame. A still is the same file for all.
    pub fn path(&self, frame: i32) -> PathBuf {
        self.folder.join(match &self.name {
            Name::Still(name) => name.clone(),
            Name::Numbered { before, digits, after } => {
                format!("{before}{}{after}", padded(frame, *digits))
            }
        })
    }

    /// Whether the file of this frame is there.
    pub fn exists(&self, frame: i32) -> bool {
        self.path(frame).is_file()
    }

    /// Whether this names one file without a frame number.
    pub fn is_still(&self) -> bool {
        matches!(self.name, Name::Still(_))
    }

    /// The frames that are there, from the folder's listing. A still has none of its own.
    pub fn frames_on_disk(&self) -> io::Result<FrameRange> {
        let folder = if self.folder.as_os_str().is_empty() { Path::new(".") } else { &self.folder };
        let mut frames = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            frames.extend(entry?.file_name().to_str().and_then(|name| self.frame_of(name)));
        }
        Ok(FrameRange::of(frames))
    }

    /// The frame number in a file's name, if the name is one of this sequence.
    fn frame_of(&self, file_name: &str) -> Option<i32> {
        let Name::Numbered { before, digits, after } = &self.name else { return None };
        let number = file_name.strip_prefix(before.as_str())?.strip_suffix(after.as_str())?;
        let frame = number.parse().ok()?;
        (padded(frame, *digits) == number).then_some(frame)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::parse(text)
    }
}

/// As C's `%0Nd`: the sign counts as a character.
pub(crate) fn padded(frame: i32, digits: usize) -> String {
    format!("{frame:0digits$}")
}

fn parse_name(name: &str) -> Result<Name, &'static str> {
    let Some((start, end, digits)) = find_field(name)? else { return Ok(Name::Still(name.to_string())) };
    let (before, after) = (name[..start].to_string(), name[end..].to_string());
    if find_field(&after)?.is_some() {
        return Err("holds two frame numbers");
    }
    Ok(Name::Numbered { before, digits, after })
}

/// Start, end and digits of the first frame number field.
fn find_field(name: &str) -> Result<Option<(usize, usize, usize)>, &'static str> {
    let run = |start: usize, c: char| name[start..].chars().take_while(|&other| other == c).count();
    for (start, c) in name.char_indices() {
        match c {
            '#' => return Ok(Some((start, start + run(start, '#'), run(start, '#')))),
            '@' if run(start, '@') > 1 => return Ok(Some((start, start + run(start, '@'), run(start, '@')))),
            '%' => return percent_field(name, start).map(Some),
            _ => {}
        }
    }
    Ok(None)
}

fn percent_field(name: &str, start: usize) -> Result<(usize, usize, usize), &'static str> {
    const WRONG: &str = "a frame number is written %d, %04d, #### or @@@@";
    let (width, _) = name[start + 1..].split_once('d').ok_or(WRONG)?;
    let end = start + 1 + width.len() + 1;
    match width.strip_prefix('0') {
        None if width.is_empty() => Ok((start, end, 1)),
        Some(digits) => match digits.parse() {
            Ok(digits @ 1..=16) => Ok((start, end, digits)),
            _ => Err(WRONG),
        },
        None => Err(WRONG),
    }
}
