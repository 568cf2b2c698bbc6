//! Pictures on disk: EXR as stored, PNG scaled to 0..1; no colour is changed.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use exr::prelude as ex;
use parking_lot::Mutex;

use crate::image::{Bounds, Components, Image};
use crate::sequence::Pattern;
use crate::source::{FrameSource, SourceError};

/// A picture with the size of the frame it belongs to, which its bounds may exceed or not fill.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The pixels.
    pub image: Arc<Image>,
    /// Width and height of the frame.
    pub format: (usize, usize),
}

/// Reads an EXR (R, G, B, A or one channel; half, float or integer) or a PNG.
///
/// # Errors
/// What the reader says.
pub fn read(path: &Path) -> Result<Picture, String> {
    if is_exr(path) { read_exr(path) } else { read_png(path) }
}

/// Writes an EXR of 32-bit floats, or a PNG of 8 bits, through a temporary name.
///
/// # Errors
/// What the writer says.
pub fn write(path: &Path, image: &Image, format: (usize, usize)) -> Result<(), String> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let written =
        if is_exr(path) { write_exr(&temporary, image, format) } else { write_png(&temporary, image) };
    let result = written.and_then(|()| std::fs::rename(&temporary, path).map_err(|error| error.to_string()));
    result.map_err(|error| {
        // Whatever was written of it is of no use; that it may not be there is fine.
        let _ = std::fs::remove_file(&temporary);
        format!("{}: {error}", path.display())
    })
}

fn is_exr(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("exr"))
}

/// The place of a data window: EXR counts downwards from the display window's top.
fn place(position: ex::Vec2<i32>, size: ex::Vec2<usize>, display: ex::IntegerBounds) -> Bounds {
    let left = position.x() - display.position.x();
    let top = position.y() - display.position.y();
    let upper = display.size.height() as i32 - top;
    Bounds { x1: left, y1: upper - size.height() as i32, x2: left + size.width() as i32, y2: upper }
}

fn read_exr(path: &Path) -> Result<Picture, String> {
    use ex::{ReadChannels, ReadLayers};
    let reader = ex::read().no_deep_data().largest_resolution_level().all_channels().first_valid_layer();
    let file = reader.all_attributes().from_file(path).map_err(|error| error.to_string())?;
    let layer = &file.layer_data;
    let display = file.attributes.display_window;
    let bounds = place(layer.attributes.layer_position, layer.size, display);
    let planes = planes(&layer.channel_data.list)?;
    let components = match planes.len() {
        4 => Components::Rgba,
        3 => Components::Rgb,
        _ => Components::Alpha,
    };
    let image = Arc::new(interleave(&planes, bounds, components));
    Ok(Picture { image, format: (display.size.width(), display.size.height()) })
}

/// The planes that make the picture, in its order.
fn planes(list: &[ex::AnyChannel<ex::FlatSamples>]) -> Result<Vec<Vec<f32>>, String> {
    let named: BTreeMap<String, &ex::FlatSamples> =
        list.iter().map(|channel| (channel.name.to_string(), &channel.sample_data)).collect();
    let all = |names: &[&str]| -> Option<Vec<Vec<f32>>> {
        names.iter().map(|&name| Some(named.get(name)?.values_as_f32().collect())).collect()
    };
    let known = all(&["R", "G", "B", "A"]).or_else(|| all(&["R", "G", "B"])).or_else(|| all(&["Y"]));
    let known = known.or_else(|| all(&["A"])).or_else(|| all(&["R"]));
    let single = || (list.len() == 1).then(|| vec![list[0].sample_data.values_as_f32().collect()]);
    let names: Vec<&String> = named.keys().collect();
    known.or_else(single).ok_or_else(|| format!("channels {names:?}: neither R, G, B nor one alone"))
}

fn interleave(planes: &[Vec<f32>], bounds: Bounds, components: Components) -> Image {
    let (width, height) = (bounds.width(), bounds.height());
    let mut data = Vec::with_capacity(width * height * planes.len());
    for row in (0..height).rev() {
        for index in row * width..(row + 1) * width {
            data.extend(planes.iter().map(|plane| plane[index]));
        }
    }
    Image { bounds, components, data }
}

fn read_png(path: &Path) -> Result<Picture, String> {
    let decoded = image::ImageReader::open(path).and_then(image::ImageReader::with_guessed_format);
    let decoded = decoded.map_err(|error| error.to_string())?.decode().map_err(|error| error.to_string())?;
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let (components, data) = match decoded.color().channel_count() {
        1 => (Components::Alpha, luma(&decoded)),
        3 => (Components::Rgb, decoded.into_rgb32f().into_raw()),
        _ => (Components::Rgba, decoded.into_rgba32f().into_raw()),
    };
    let row = (width * components.channels()).max(1);
    let data = data.chunks_exact(row).rev().flatten().copied().collect();
    let image = Arc::new(Image { bounds: Bounds::of_size(width, height), components, data });
    Ok(Picture { image, format: (width, height) })
}

fn luma(decoded: &image::DynamicImage) -> Vec<f32> {
    if let Some(eight) = decoded.as_luma8() {
        return eight.as_raw().iter().map(|&value| f32::from(value) / 255.0).collect();
    }
    decoded.to_luma16().into_raw().iter().map(|&value| f32::from(value) / 65535.0).collect()
}

fn write_exr(path: &Path, image: &Image, format: (usize, usize)) -> Result<(), String> {
    use ex::WritableImage;
    let names: &[&str] = match image.components {
        Components::Rgba => &["R", "G", "B", "A"],
        Components::Rgb => &["R", "G", "B"],
        Components::Alpha => &["A"],
    };
    let channels = names.iter().enumerate().map(|(index, &name)| {
        let plane = (0..image.bounds.height()).rev().flat_map(|row| image.row(row).chunks_exact(names.len()));
        ex::AnyChannel::new(name, ex::FlatSamples::F32(plane.map(|pixel| pixel[index]).collect()))
    });
    let size = (image.bounds.width(), image.bounds.height());
    let layer_position = ex::Vec2(image.bounds.x1, format.1 as i32 - image.bounds.y2);
    let attributes = ex::LayerAttributes { layer_position, ..ex::LayerAttributes::default() };
    let encoding = ex::Encoding { compression: ex::Compression::ZIP16, ..ex::Encoding::default() };
    let layer = ex::Layer::new(size, attributes, encoding, ex::AnyChannels::sort(channels.collect()));
    let mut file = ex::Image::from_layer(layer);
    file.attributes.display_window = ex::IntegerBounds::from_dimensions(format);
    file.write().to_file(path).map_err(|error| error.to_string())
}

fn write_png(path: &Path, image: &Image) -> Result<(), String> {
    let byte = |value: &f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    let rows = (0..image.bounds.height()).rev();
    let bytes: Vec<u8> = rows.flat_map(|row| image.row(row).iter().map(byte)).collect();
    let colour = match image.components {
        Components::Rgba => image::ExtendedColorType::Rgba8,
        Components::Rgb => image::ExtendedColorType::Rgb8,
        Components::Alpha => image::ExtendedColorType::L8,
    };
    let (width, height) = (image.bounds.width() as u32, image.bounds.height() as u32);
    let written =
        image::save_buffer_with_format(path, &bytes, width, height, colour, image::ImageFormat::Png);
    written.map_err(|error| error.to_string())
}

/// Frames kept in memory after they were read.
const KEPT_FRAMES: usize = 8;

/// A sequence of files.
pub struct Sequence {
    pattern: Pattern,
    range: (i64, i64),
    components: Components,
    kept: Mutex<VecDeque<(i64, Picture)>>,
}

impl Sequence {
    /// The files of a pattern; a still's range is the one given.
    ///
    /// # Errors
    /// Where there is no file, or the first cannot be read.
    pub fn open(pattern: Pattern, still_range: (i64, i64)) -> Result<Self, SourceError> {
        let frames = pattern.frames();
        let ends = frames.first().copied().zip(frames.last().copied());
        let range = ends.unwrap_or(still_range);
        let kept = Mutex::default();
        let mut sequence = Self { pattern, range, components: Components::Rgba, kept };
        sequence.components = sequence.load(range.0)?.image.components;
        Ok(sequence)
    }

    fn load(&self, frame: i64) -> Result<Picture, SourceError> {
        let key = if self.pattern.is_still() { 0 } else { frame };
        if let Some((_, picture)) = self.kept.lock().iter().find(|(kept, _)| *kept == key) {
            return Ok(picture.clone());
        }
        let picture = self.read(frame, &self.pattern.path(frame))?;
        let mut kept = self.kept.lock();
        kept.push_back((key, picture.clone()));
        while kept.len() > KEPT_FRAMES {
            kept.pop_front();
        }
        Ok(picture)
    }

    fn read(&self, frame: i64, path: &Path) -> Result<Picture, SourceError> {
        if !path.exists() {
            return Err(SourceError::Missing { frame, path: Some(path.to_owned()) });
        }
        read(path).map_err(|reason| SourceError::Unreadable { frame, path: path.to_owned(), reason })
    }
}

impl FrameSource for Sequence {
    fn range(&self) -> (i64, i64) {
        self.range
    }

    fn components(&self) -> Components {
        self.components
    }

    fn bounds(&self, frame: i64) -> Result<Bounds, SourceError> {
        Ok(self.load(frame)?.image.bounds)
    }

    fn frame(&self, frame: i64) -> Result<Arc<Image>, SourceError> {
        Ok(self.load(frame)?.image)
    }

    fn format(&self, frame: i64) -> Result<(usize, usize), SourceError> {
        Ok(self.load(frame)?.format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(bounds: Bounds, components: Components) -> Image {
        Image::from_fn(bounds, components, |x, y, pixel| {
            pixel.iter_mut().enumerate().for_each(|(c, v)| *v = x as f32 * 0.37 + y as f32 * 1.7 - c as f32);
        })
    }

    #[test]
    fn exr_gives_back_every_float_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/a.exr");
        let bounds = Bounds { x1: -2, y1: 1, x2: 5, y2: 9 };
        for components in [Components::Rgba, Components::Rgb, Components::Alpha] {
            let image = ramp(bounds, components);
            write(&path, &image, (6, 8)).unwrap();
            let back = read(&path).unwrap();
            assert_eq!((back.image.as_ref(), back.format), (&image, (6, 8)));
        }
        assert_eq!(std::fs::read_dir(folder.path().join("deep")).unwrap().count(), 1);
    }

    #[test]
    fn png_is_scaled_to_one_and_bottom_row_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let image = Image::from_fn(Bounds::of_size(3, 2), Components::Rgb, |x, y, pixel| {
            pixel.copy_from_slice(&[x as f32 / 255.0, y as f32 / 255.0, 1.0]);
        });
        write(&path, &image, (3, 2)).unwrap();
        assert_eq!(*read(&path).unwrap().image, image);
    }

    #[test]
    fn a_missing_frame_is_named_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("{}/a.%04d.exr", folder.path().display());
        let image = ramp(Bounds::of_size(2, 2), Components::Rgba);
        for frame in [1, 3] {
            write(&Pattern::parse(&text).path(frame), &image, (2, 2)).unwrap();
        }
        let sequence = Sequence::open(Pattern::parse(&text), (0, 0)).unwrap();
        assert_eq!(sequence.range(), (1, 3));
        let error = sequence.frame(2).unwrap_err().to_string();
        assert!(error.starts_with("frame 2 is missing: ") && error.ends_with("a.0002.exr"), "{error}");
    }
}
