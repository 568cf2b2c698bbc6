//! The files of an edit: patterns checked, pictures read, every error with its frame and file.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use lora_edit_pipeline::JobError;
use lora_edit_shot::image_io::{read_frame, read_size};
use lora_edit_shot::ingest::{IngestError, IngestSettings, Ingested, MaskOptions, MaskPass};
use lora_edit_shot::job::FailureKind;
use lora_edit_shot::{Frame, FrameRange, Pattern};

use crate::cli::EditArgs;

/// Where an edit's pictures are.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The plate.
    pub source: Pattern,
    /// The roto, if any.
    pub mask: Option<Pattern>,
    /// The painted frames.
    pub edited: Pattern,
    /// Painted stills off the timeline.
    pub references: Vec<PathBuf>,
    /// The result.
    pub output: Pattern,
    /// The shot's frames.
    pub frames: FrameRange,
    /// At which the painted ones count.
    pub keys: FrameRange,
}

impl Inputs {
    /// Reads patterns and ranges from the command line.
    ///
    /// # Errors
    /// When one makes no sense, or the result would be written over an input.
    pub fn parse(args: &EditArgs) -> Result<Self, JobError> {
        let pattern = |text: &str| Pattern::parse(text).map_err(usage);
        let frames = FrameRange::parse(&args.frames).map_err(usage)?;
        let keys = match &args.keys {
            Some(keys) => FrameRange::parse(keys).map_err(usage)?,
            None => FrameRange::of(frames.first()),
        };
        let (source, edited, output) =
            (pattern(&args.source)?, pattern(&args.edited)?, pattern(&args.output)?);
        let mask = args.mask.as_deref().map(pattern).transpose()?;
        if !args.reference.is_empty() && args.model.stage2_epochs == Some(0) {
            return Err(usage("--reference is learnt from in stage 2, which --stage2-epochs 0 leaves out"));
        }
        let references = args.reference.iter().map(|text| stills(&pattern(text)?));
        let references = references.collect::<Result<Vec<_>, JobError>>()?.concat();
        let inputs = Self { source, mask, edited, references, output, frames, keys };
        inputs.check_output()?;
        Ok(inputs)
    }

    fn check_output(&self) -> Result<(), JobError> {
        let path = self.output.path(self.frames.first().unwrap_or_default());
        if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("exr")) {
            return Err(usage(format!("output '{}' is not an .exr", self.output)));
        }
        if self.output.is_still() && self.frames.len() > 1 {
            return Err(usage(format!("output '{}' has no frame number, such as %04d", self.output)));
        }
        let read: HashSet<PathBuf> = [Some(&self.source), self.mask.as_ref(), Some(&self.edited)]
            .into_iter()
            .flatten()
            .flat_map(|pattern| self.frames.iter().map(|frame| absolute(&pattern.path(frame))))
            .chain(self.references.iter().map(|path| absolute(path)))
            .collect();
        match self.frames.iter().find(|&frame| read.contains(&absolute(&self.output.path(frame)))) {
            Some(frame) => Err(usage(format!("output frame {frame} would overwrite an input"))),
            None => Ok(()),
        }
    }

    /// One plate frame as it is stored.
    pub fn source_frame(&self, frame: i32) -> Result<Frame, JobError> {
        read("source", frame, &self.source)
    }

    /// One frame's mask picture, if there is a mask.
    pub fn mask_frame(&self, frame: i32) -> Result<Option<Frame>, JobError> {
        self.mask.as_ref().map(|pattern| read("mask", frame, pattern)).transpose()
    }

    /// One frame's soft comp mask at the plate's size; all 1 without a mask.
    pub fn comp_mask(&self, frame: i32, plate: &Frame, options: &MaskOptions) -> Result<Frame, JobError> {
        let picture = self.mask_frame(frame)?;
        let whole = || Frame::filled(plate.width, plate.height, &[1.0]);
        Ok(picture.map_or_else(whole, |picture| options.read(&picture)))
    }

    /// The painted picture of a key frame.
    pub fn painted_frame(&self, frame: i32) -> Result<Frame, JobError> {
        read("edited", frame, &self.edited)
    }

    /// Takes the shot in: all masks, then all frames one by one.
    ///
    /// # Errors
    /// When a file is missing or unreadable, sizes differ, or the mask is empty.
    pub fn ingest(&self, settings: IngestSettings) -> Result<Ingested, JobError> {
        settings.check().map_err(|error| self.refused(error))?;
        self.expect_files()?;
        let first = settings.frames.first().unwrap_or_default();
        let size =
            read_size(&self.source.path(first)).map_err(|error| input_error("source", first, error))?;
        let mut pass = MaskPass::new(settings, size).map_err(|error| self.refused(error))?;
        for frame in &self.frames {
            if let Some(mask) = self.mask_frame(frame)? {
                pass.mask(frame, &mask).map_err(|error| self.refused(error))?;
            }
        }
        let mut ingest = pass.plan().map_err(|error| self.refused(error))?;
        for frame in &self.frames {
            let (source, mask) = (self.source_frame(frame)?, self.mask_frame(frame)?);
            ingest.source(frame, &source, mask.as_ref()).map_err(|error| self.refused(error))?;
        }
        for key in &self.keys {
            ingest.key(key, &self.painted_frame(key)?).map_err(|error| self.refused(error))?;
        }
        for path in &self.references {
            let still = read_frame(path).map_err(|error| still_error(path, error))?;
            ingest.reference(&still).map_err(|error| still_error(path, error))?;
        }
        ingest.finish().map_err(|error| self.refused(error))
    }

    /// Missing files are told before the first is read.
    fn expect_files(&self) -> Result<(), JobError> {
        let mask = self.mask.as_ref().map(|mask| ("mask", mask, &self.frames));
        let wanted =
            [Some(("source", &self.source, &self.frames)), mask, Some(("edited", &self.edited, &self.keys))];
        for (what, pattern, frames) in wanted.into_iter().flatten() {
            if let Some(frame) = frames.iter().find(|&frame| !pattern.exists(frame)) {
                return Err(input_error(
                    what,
                    frame,
                    format!("{}: no such file", pattern.path(frame).display()),
                ));
            }
        }
        Ok(())
    }

    /// The error with the file that it is about.
    fn refused(&self, error: IngestError) -> JobError {
        let file = match &error {
            IngestError::Size { what: "source", frame, .. } => Some(self.source.path(*frame)),
            IngestError::Size { what: "mask", frame, .. } => self.mask.as_ref().map(|mask| mask.path(*frame)),
            IngestError::Size { frame, .. } => Some(self.edited.path(*frame)),
            IngestError::EmptyMask(_) => self.mask.as_ref().map(|mask| PathBuf::from(mask.to_string())),
            _ => None,
        };
        let kind = error.kind();
        match file {
            Some(file) => JobError::new(kind, format!("{error} ({})", file.display())),
            None => JobError::new(kind, error),
        }
    }
}

/// The files of a pattern of stills: one, or all that are there.
fn stills(pattern: &Pattern) -> Result<Vec<PathBuf>, JobError> {
    let absent = || still_error(Path::new(&pattern.to_string()), "no such file");
    if pattern.is_still() {
        return if pattern.exists(0) { Ok(vec![pattern.path(0)]) } else { Err(absent()) };
    }
    let found =
        pattern.frames_on_disk().map_err(|error| still_error(Path::new(&pattern.to_string()), error))?;
    if found.is_empty() {
        Err(absent())
    } else {
        Ok(found.iter().map(|number| pattern.path(number)).collect())
    }
}

fn still_error(path: &Path, error: impl std::fmt::Display) -> JobError {
    JobError::new(FailureKind::InputFrame, format!("reference {}: {error}", path.display()))
}

fn read(what: &str, frame: i32, pattern: &Pattern) -> Result<Frame, JobError> {
    read_frame(&pattern.path(frame)).map_err(|error| input_error(what, frame, error))
}

fn input_error(what: &str, frame: i32, error: impl std::fmt::Display) -> JobError {
    JobError::new(FailureKind::InputFrame, format!("{what} frame {frame}: {error}"))
}

fn usage(error: impl std::fmt::Display) -> JobError {
    JobError::new(FailureKind::Usage, error)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
