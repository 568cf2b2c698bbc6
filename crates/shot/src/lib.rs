//! Pictures: frames, masks, colour, geometry, ranges, image files and the job protocol.
//!
//! Row 0 of a [`Frame`] is the top row; a [`Rect`] counts pixels from the top left of the source
//! frame. Nothing here knows OpenFX or tensors.
#![forbid(unsafe_code)]

pub mod base;
pub mod colour;
pub mod composite;
pub mod fit;
pub mod frame;
pub mod ids;
pub mod image_io;
pub mod ingest;
pub mod job;
pub mod mask;
pub mod metrics;
pub mod models;
pub mod package;
pub mod plot;
pub mod range;
pub mod rect;
pub mod resize;
pub mod result;
pub mod sequence;
pub mod sheet;
mod text;

pub use colour::{ColourSpace, WorkingSpace};
pub use fit::Fit;
pub use frame::{Frame, FrameError};
pub use ids::{AdapterId, EditId, JobId, ResultId, ShotId};
pub use range::FrameRange;
pub use rect::Rect;
pub use sequence::Pattern;
