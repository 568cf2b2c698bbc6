//! Where a clip's frames come from.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::image::{Bounds, Components, Image, Premultiplication};

/// Why there is no frame.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// No such frame.
    #[error("frame {frame} is missing{}", .path.as_ref().map(|path| format!(": {}", path.display())).unwrap_or_default())]
    Missing {
        /// Its number.
        frame: i64,
        /// The file that should be there.
        path: Option<PathBuf>,
    },
    /// The file is there and cannot be read.
    #[error("frame {frame} cannot be read: {}: {reason}", .path.display())]
    Unreadable {
        /// Its number.
        frame: i64,
        /// Its file.
        path: PathBuf,
        /// What the reader says.
        reason: String,
    },
}

/// Frames by number.
pub trait FrameSource: Send + Sync {
    /// First and last frame.
    fn range(&self) -> (i64, i64);

    /// The channels its frames have.
    fn components(&self) -> Components;

    /// Where a frame lies in the plane.
    ///
    /// # Errors
    /// Where the frame is missing or its file cannot be read.
    fn bounds(&self, frame: i64) -> Result<Bounds, SourceError>;

    /// A frame.
    ///
    /// # Errors
    /// Where the frame is missing or its file cannot be read.
    fn frame(&self, frame: i64) -> Result<Arc<Image>, SourceError>;

    /// The size of the picture a frame belongs to, which its bounds may exceed or not fill.
    ///
    /// # Errors
    /// Where the frame is missing or its file cannot be read.
    fn format(&self, frame: i64) -> Result<(usize, usize), SourceError> {
        let bounds = self.bounds(frame)?;
        Ok((bounds.width(), bounds.height()))
    }
}

/// Frames in memory.
#[derive(Clone, Debug, Default)]
pub struct Frames(pub BTreeMap<i64, Arc<Image>>);

impl Frames {
    /// Frames made by a function of their number.
    #[must_use]
    pub fn from_fn(first: i64, last: i64, frame: impl Fn(i64) -> Image) -> Self {
        Self((first..=last).map(|number| (number, Arc::new(frame(number)))).collect())
    }
}

impl FrameSource for Frames {
    fn range(&self) -> (i64, i64) {
        let ends = self.0.first_key_value().zip(self.0.last_key_value());
        ends.map_or((0, 0), |((&first, _), (&last, _))| (first, last))
    }

    fn components(&self) -> Components {
        self.0.values().next().map_or(Components::Rgba, |image| image.components)
    }

    fn bounds(&self, frame: i64) -> Result<Bounds, SourceError> {
        Ok(self.frame(frame)?.bounds)
    }

    fn frame(&self, frame: i64) -> Result<Arc<Image>, SourceError> {
        self.0.get(&frame).cloned().ok_or(SourceError::Missing { frame, path: None })
    }
}

/// What happens at times a source has no frames for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outside {
    /// The fetch fails.
    #[default]
    Fail,
    /// The nearest frame of the range, as a Read node does.
    Hold,
}

/// What is connected to a clip.
#[derive(Clone)]
pub struct Input {
    /// Its frames.
    pub source: Arc<dyn FrameSource>,
    /// The components the clip shall have; None takes what fits the frames and the plug-in.
    pub components: Option<Components>,
    /// What the colours are multiplied by; None: opaque without alpha, else premultiplied.
    pub premultiplication: Option<Premultiplication>,
    /// The channel of the frames that becomes a mask's alpha; None: alpha where there is one, else the first.
    pub channel: Option<usize>,
    /// What happens outside of its range.
    pub outside: Outside,
    /// Pixels by which all frames are moved in the plane.
    pub offset: (i32, i32),
    /// First and last frame told to the plug-in; None: the source's.
    pub range: Option<(i64, i64)>,
}

impl Input {
    /// A source with everything else by default.
    #[must_use]
    pub fn new(source: Arc<dyn FrameSource>) -> Self {
        Self {
            source,
            components: None,
            premultiplication: None,
            channel: None,
            outside: Outside::Fail,
            offset: (0, 0),
            range: None,
        }
    }

    /// First and last frame, as told to the plug-in.
    #[must_use]
    pub fn range(&self) -> (i64, i64) {
        self.range.unwrap_or_else(|| self.source.range())
    }

    fn frame_number(&self, time: f64) -> i64 {
        let frame = time.round() as i64;
        let (first, last) = self.range();
        if self.outside == Outside::Hold && first <= last { frame.clamp(first, last) } else { frame }
    }

    /// Where the frame of a time lies in the plane.
    pub(crate) fn bounds(&self, time: f64) -> Result<Bounds, SourceError> {
        let bounds = self.source.bounds(self.frame_number(time))?;
        Ok(bounds.moved(self.offset.0, self.offset.1))
    }

    /// The frame of a time, with the components wanted.
    pub(crate) fn image(&self, time: f64, components: Components) -> Result<Arc<Image>, SourceError> {
        let image = self.source.frame(self.frame_number(time))?;
        if image.components == components && self.offset == (0, 0) {
            return Ok(image);
        }
        let channel = self.channel.unwrap_or(if image.components == Components::Rgba { 3 } else { 0 });
        let mut image = image.to_components(components, channel);
        image.bounds = image.bounds.moved(self.offset.0, self.offset.1);
        Ok(Arc::new(image))
    }

    pub(crate) fn premultiplication(&self) -> Premultiplication {
        let opaque = self.source.components() != Components::Rgba;
        let usual = if opaque { Premultiplication::Opaque } else { Premultiplication::Premultiplied };
        self.premultiplication.unwrap_or(usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_of_the_range_a_source_fails_or_holds() {
        let frames = Frames::from_fn(3, 4, |frame| {
            Image::from_fn(Bounds::of_size(1, 1), Components::Alpha, |_, _, pixel| pixel[0] = frame as f32)
        });
        let mut input = Input::new(Arc::new(frames));
        let error = input.image(9.0, Components::Alpha).unwrap_err();
        assert_eq!(error.to_string(), "frame 9 is missing");
        input.outside = Outside::Hold;
        assert_eq!(input.image(9.0, Components::Alpha).unwrap().data, [4.0]);
        assert_eq!(input.image(3.0, Components::Rgba).unwrap().data, [3.0, 3.0, 3.0, 1.0]);
    }
}
