//! Picture files: EXR, PNG, JPEG and TIFF in; EXR and PNG out, whole or not at all.

mod exr_file;

use crate::frame::Frame;
use crate::mask::{self, Channel};
use crate::rect::Rect;
pub use exr_file::{Window, read_planes, write_planes};
use image::{DynamicImage, ImageReader};
use lora_edit_store::files;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A picture file that cannot be used; each names the file.
#[derive(Debug, Error)]
pub enum ImageError {
    /// The file is not there.
    #[error("{}: no such file", .0.display())]
    Missing(PathBuf),
    /// The file is there but cannot be read as a picture.
    #[error("{}: cannot be read: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// The file cannot be written.
    #[error("{}: cannot be written: {why}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
}

impl ImageError {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Missing(path) | Self::Unreadable { path, .. } | Self::Unwritable { path, .. } => path,
        }
    }

    /// Whether the file is not there at all.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing(_))
    }

    fn unreadable(path: &Path, why: impl ToString) -> Self {
        Self::Unreadable { path: path.to_path_buf(), why: why.to_string() }
    }

    fn unwritable(path: &Path, why: impl ToString) -> Self {
        Self::Unwritable { path: path.to_path_buf(), why: why.to_string() }
    }

    fn io(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing(path.to_path_buf()),
            _ => Self::unreadable(path, error),
        }
    }
}

/// Lets plain file errors of `files::fill_whole` meet those of the encoders.
struct Refused(String);

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Reads a picture as it is stored: 1 channel for grey, 3 for RGB, 4 where there is alpha. Integer
/// files are scaled to 0..1; nothing is converted, NaN stays NaN. An EXR file comes out at its display
/// window's size with the data window in its place and zeros around.
pub fn read_frame(path: &Path) -> Result<Frame, ImageError> {
    if is_exr(path) { exr_file::read(path) } else { read_integer(path) }
}

/// [`read_frame`] brought to RGBA: grey repeated, a missing alpha 1.
pub fn read_rgba(path: &Path) -> Result<Frame, ImageError> {
    read_frame(path).map(|frame| if frame.channels == 4 { frame } else { frame.to_rgba() })
}

/// [`read_frame`] as a mask of one channel in 0..1.
pub fn read_mask(path: &Path, channel: Channel) -> Result<Frame, ImageError> {
    Ok(mask::from_frame(&read_frame(path)?, channel))
}

/// Width and height from the file's header; of an EXR file its display window's.
pub fn read_size(path: &Path) -> Result<[u32; 2], ImageError> {
    if is_exr(path) {
        return exr_file::read_size(path);
    }
    let (width, height) = reader(path)?.into_dimensions().map_err(|e| ImageError::unreadable(path, e))?;
    Ok([width, height])
}

/// Writes EXR with half floats, ZIP; grey as `Y`, else `R G B (A)`. Values beyond the range of a half
/// become its brightest.
pub fn write_exr_half(path: &Path, frame: &Frame) -> Result<(), ImageError> {
    exr_file::write(path, frame, &Window::of(frame), true)
}

/// Writes EXR with 32-bit floats, ZIP: the exact values.
pub fn write_exr_float(path: &Path, frame: &Frame) -> Result<(), ImageError> {
    exr_file::write(path, frame, &Window::of(frame), false)
}

/// As [`write_exr_half`], with the frame lying somewhere in a larger picture.
pub fn write_exr_half_in(path: &Path, frame: &Frame, window: &Window) -> Result<(), ImageError> {
    exr_file::write(path, frame, window, true)
}

/// Writes PNG with 8 bits; values are display values, clamped to 0..1.
pub fn write_png8(path: &Path, frame: &Frame) -> Result<(), ImageError> {
    let bytes = frame.data.iter().map(|&value| (value.clamp(0.0, 1.0) * 255.0).round() as u8).collect();
    let (width, height) = (frame.width as u32, frame.height as u32);
    let picture = match frame.channels {
        1 => image::GrayImage::from_raw(width, height, bytes).map(DynamicImage::from),
        3 => image::RgbImage::from_raw(width, height, bytes).map(DynamicImage::from),
        _ => image::RgbaImage::from_raw(width, height, bytes).map(DynamicImage::from),
    };
    let picture = picture.ok_or_else(|| ImageError::unwritable(path, "frame data of the wrong length"))?;
    whole(path, |temporary| {
        picture.save_with_format(temporary, image::ImageFormat::Png).map_err(|e| Refused(e.to_string()))
    })
}

/// Writes by the extension: `.exr` as half floats, `.png` with 8 bits.
pub fn write_frame(path: &Path, frame: &Frame) -> Result<(), ImageError> {
    match extension(path).as_str() {
        "exr" => write_exr_half(path, frame),
        "png" => write_png8(path, frame),
        other => Err(ImageError::unwritable(path, format!("no format for '.{other}' (exr, png)"))),
    }
}

fn whole(path: &Path, fill: impl FnOnce(&Path) -> Result<(), Refused>) -> Result<(), ImageError> {
    files::fill_whole(path, fill).map_err(|Refused(why)| ImageError::unwritable(path, why))
}

fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}

fn is_exr(path: &Path) -> bool {
    extension(path) == "exr"
}

type Buffered = io::BufReader<std::fs::File>;

fn reader(path: &Path) -> Result<ImageReader<Buffered>, ImageError> {
    let opened = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
    opened.map_err(|error| ImageError::io(path, &error))
}

fn read_integer(path: &Path) -> Result<Frame, ImageError> {
    let picture = reader(path)?.decode().map_err(|error| ImageError::unreadable(path, error))?;
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let (channels, data) = match picture {
        DynamicImage::ImageLuma8(p) => (1, from_u8(&p)),
        DynamicImage::ImageLuma16(p) => (1, from_u16(&p)),
        DynamicImage::ImageLumaA8(p) => (4, spread(&from_u8(&p))),
        DynamicImage::ImageLumaA16(p) => (4, spread(&from_u16(&p))),
        DynamicImage::ImageRgb8(p) => (3, from_u8(&p)),
        DynamicImage::ImageRgb16(p) => (3, from_u16(&p)),
        DynamicImage::ImageRgba8(p) => (4, from_u8(&p)),
        DynamicImage::ImageRgba16(p) => (4, from_u16(&p)),
        DynamicImage::ImageRgb32F(p) => (3, p.into_raw()),
        other => (4, other.into_rgba32f().into_raw()),
    };
    Frame::from_data(width, height, channels, data).map_err(|error| ImageError::unreadable(path, error))
}

fn from_u8(values: &[u8]) -> Vec<f32> {
    values.iter().map(|&value| f32::from(value) / 255.0).collect()
}

fn from_u16(values: &[u16]) -> Vec<f32> {
    values.iter().map(|&value| f32::from(value) / 65535.0).collect()
}

/// Grey and alpha to RGBA.
fn spread(values: &[f32]) -> Vec<f32> {
    values.chunks_exact(2).flat_map(|p| [p[0], p[0], p[0], p[1]]).collect()
}

/// Where a crop's pixels stand in the full picture.
impl Window {
    /// A picture that is its own full frame.
    pub fn of(frame: &Frame) -> Self {
        Self { display: frame.size(), data: [0, 0] }
    }

    /// A crop that lies at `crop` in a frame of size `full`.
    pub fn crop(full: [u32; 2], crop: Rect) -> Self {
        Self { display: full, data: [crop.x1, crop.y1] }
    }
}
