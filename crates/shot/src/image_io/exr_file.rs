//! OpenEXR files: which channels make the picture, and where its window lies.

use super::{ImageError, Refused, whole};
use crate::frame::Frame;
use crate::ids::stored_half;
use exr::error::Error;
use exr::image::{AnyChannel, AnyChannels, Encoding, FlatSamples, Image, Layer};
use exr::math::Vec2;
use exr::meta::MetaData;
use exr::meta::attribute::{IntegerBounds, LineOrder};
use exr::meta::header::LayerAttributes;
use exr::prelude::{ReadChannels, ReadLayers, WritableImage, read as exr_reader};
use half::f16;
use std::path::Path;

type Channels = AnyChannels<FlatSamples>;

/// The most pixels a header may ask for: a broken one must not take the machine's memory.
const MOST_PIXELS: u64 = 1 << 28;

/// Where pixels lie: the size of the full picture, and the top left corner of the pixels in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Width and height of the display window, which starts at 0,0.
    pub display: [u32; 2],
    /// Column and row of the first pixel.
    pub data: [i32; 2],
}

pub(super) fn read(path: &Path) -> Result<Frame, ImageError> {
    let (layer, display) = read_layer(path)?;
    let picked = pick(&layer.channel_data.list);
    if picked.is_empty() {
        return Err(ImageError::unreadable(path, "holds no colour, grey or alpha channel"));
    }
    let placed = Placement::of(&layer, display);
    let channels = picked.len();
    let mut frame = Frame::new(display.size.0, display.size.1, channels);
    for (index, channel) in picked.into_iter().enumerate() {
        let values: Vec<f32> = layer.channel_data.list[channel].sample_data.values_as_f32().collect();
        placed.copy(&values, &mut frame, index);
    }
    Ok(frame)
}

pub(super) fn read_size(path: &Path) -> Result<[u32; 2], ImageError> {
    let meta = exr::meta::MetaData::read_from_file(path, false).map_err(|error| cannot_read(path, error))?;
    let size = meta.headers.first().map(|header| header.shared_attributes.display_window.size);
    let size = size.ok_or_else(|| ImageError::unreadable(path, "holds no picture"))?;
    Ok([size.0 as u32, size.1 as u32])
}

/// Reads named channels of the first part, each as a frame of one channel at the data window's size.
pub fn read_planes<const N: usize>(path: &Path, names: &[&str; N]) -> Result<[Frame; N], ImageError> {
    let (layer, _) = read_layer(path)?;
    let plane = |name: &&str| {
        let channel = layer.channel_data.list.iter().find(|channel| channel.name == **name);
        let channel = channel.ok_or_else(|| ImageError::unreadable(path, format!("no channel '{name}'")))?;
        let values = channel.sample_data.values_as_f32().collect();
        Frame::from_data(layer.size.0, layer.size.1, 1, values).map_err(|e| ImageError::unreadable(path, e))
    };
    let planes = names.iter().map(plane).collect::<Result<Vec<Frame>, ImageError>>()?;
    planes.try_into().map_err(|_| ImageError::unreadable(path, "too few channels"))
}

/// Writes frames of one channel and one size as named channels of half floats, ZIP.
pub fn write_planes(path: &Path, planes: &[(&str, &Frame)]) -> Result<(), ImageError> {
    let (_, first) = planes.first().ok_or_else(|| ImageError::unwritable(path, "no channels"))?;
    for (_, plane) in planes {
        plane.expect_size(first.size()).map_err(|error| ImageError::unwritable(path, error))?;
    }
    let channels = planes.iter().map(|(name, plane)| {
        let halves = plane.data.iter().map(|&value| stored_half(value)).collect();
        AnyChannel::new(*name, FlatSamples::F16(halves))
    });
    write_channels(path, (first.width, first.height), channels.collect(), &Window::of(first))
}

pub(super) fn write(path: &Path, frame: &Frame, window: &Window, half: bool) -> Result<(), ImageError> {
    let names: &[&str] = if frame.channels == 1 { &["Y"] } else { &["R", "G", "B", "A"] };
    let channels = names.iter().take(frame.channels).enumerate().map(|(index, name)| {
        let values = frame.data.iter().skip(index).step_by(frame.channels);
        AnyChannel::new(
            *name,
            match half {
                true => FlatSamples::F16(values.map(|&value| bright_half(value)).collect()),
                false => FlatSamples::F32(values.copied().collect()),
            },
        )
    });
    write_channels(path, (frame.width, frame.height), channels.collect(), window)
}

/// NaN is kept, so that a figure can count it; infinity is not.
fn bright_half(value: f32) -> f16 {
    if value.is_nan() { f16::NAN } else { stored_half(value) }
}

fn write_channels(
    path: &Path,
    size: (usize, usize),
    channels: Vec<AnyChannel<FlatSamples>>,
    window: &Window,
) -> Result<(), ImageError> {
    // Blocks in order, however many threads compress them: the same picture is the same file.
    let encoding = Encoding {
        compression: exr::compression::Compression::ZIP16,
        line_order: LineOrder::Increasing,
        ..Encoding::FAST_LOSSLESS
    };
    let channels = AnyChannels::sort(channels.into_iter().collect());
    let mut layer = Layer::new(size, LayerAttributes::default(), encoding, channels);
    layer.attributes.layer_position = Vec2(window.data[0], window.data[1]);
    let mut image = Image::from_layer(layer);
    image.attributes.display_window =
        IntegerBounds::new((0, 0), (window.display[0] as usize, window.display[1] as usize));
    whole(path, |temporary| image.write().to_file(temporary).map_err(|error| Refused(error.to_string())))
}

/// The part that holds the picture, and the display window.
fn read_layer(path: &Path) -> Result<(Layer<Channels>, IntegerBounds), ImageError> {
    check_header(path)?;
    let image = exr_reader()
        .no_deep_data()
        .largest_resolution_level()
        .all_channels()
        .all_layers()
        .all_attributes()
        .from_file(path)
        .map_err(|error| cannot_read(path, error))?;
    let display = image.attributes.display_window;
    let mut layers = image.layer_data.into_vec();
    let colour = |layer: &Layer<Channels>| pick(&layer.channel_data.list).len() >= 3;
    let best = layers.iter().position(colour).unwrap_or(0);
    if layers.is_empty() {
        return Err(ImageError::unreadable(path, "holds no picture"));
    }
    let layer = layers.swap_remove(best);
    match layer.channel_data.list.iter().find(|channel| channel.sampling != Vec2(1, 1)) {
        Some(channel) => Err(ImageError::unreadable(path, format!("channel {} is subsampled", channel.name))),
        None => Ok((layer, display)),
    }
}

/// Refuses what would not fit into memory before anything is allocated.
fn check_header(path: &Path) -> Result<(), ImageError> {
    let meta = MetaData::read_from_file(path, false).map_err(|error| cannot_read(path, error))?;
    for header in &meta.headers {
        let sizes = [header.layer_size, header.shared_attributes.display_window.size];
        if sizes.iter().any(|size| size.0 as u64 * size.1 as u64 > MOST_PIXELS) {
            return Err(ImageError::unreadable(path, "is larger than 2^28 pixels"));
        }
    }
    Ok(())
}

fn cannot_read(path: &Path, error: Error) -> ImageError {
    match error {
        Error::Io(error) => ImageError::io(path, &error),
        error => ImageError::unreadable(path, error),
    }
}

/// The channels that make the picture, in order: RGB(A), else Y (with A: Y Y Y A), else A, else the
/// only one. All come from one layer: the nameless one before those with names.
fn pick(list: &[AnyChannel<FlatSamples>]) -> Vec<usize> {
    let names: Vec<String> = list.iter().map(|channel| channel.name.to_string()).collect();
    let mut layers: Vec<&str> = names.iter().map(|name| layer_of(name)).collect();
    layers.sort_by_key(|layer| !layer.is_empty());
    let picked = layers.into_iter().map(|layer| pick_in(layer, &names)).find(|picked| !picked.is_empty());
    match picked {
        None if list.len() == 1 => vec![0],
        picked => picked.unwrap_or_default(),
    }
}

fn pick_in(layer: &str, names: &[String]) -> Vec<usize> {
    let find = |channel: &str| {
        let is_it =
            |name: &&String| layer_of(name) == layer && name[layer.len()..].eq_ignore_ascii_case(channel);
        names.iter().position(|name| is_it(&name))
    };
    match ["R", "G", "B", "Y", "A"].map(find) {
        [Some(r), Some(g), Some(b), _, None] => vec![r, g, b],
        [Some(r), Some(g), Some(b), _, Some(a)] => vec![r, g, b, a],
        [_, _, _, Some(y), Some(a)] => vec![y, y, y, a],
        [_, _, _, Some(y), None] => vec![y],
        [Some(only), None, None, None, None] | [_, _, _, None, Some(only)] => vec![only],
        _ => Vec::new(),
    }
}

/// The layer's name with its dot; nothing for a plain channel.
fn layer_of(name: &str) -> &str {
    name.rfind('.').map_or("", |dot| &name[..=dot])
}

/// Where the data window lies within the display window.
struct Placement {
    size: (usize, usize),
    offset: (i64, i64),
}

impl Placement {
    fn of(layer: &Layer<Channels>, display: IntegerBounds) -> Self {
        let at = layer.attributes.layer_position;
        let offset = |data: i32, display: i32| i64::from(data) - i64::from(display);
        Self {
            size: (layer.size.0, layer.size.1),
            offset: (offset(at.0, display.position.0), offset(at.1, display.position.1)),
        }
    }

    /// Copies one channel of the data window into the frame; what lies outside is dropped.
    fn copy(&self, values: &[f32], frame: &mut Frame, channel: usize) {
        let visible = |offset: i64, length: usize, limit: usize| {
            let first = (-offset).clamp(0, length as i64) as usize;
            let last = (limit as i64 - offset).clamp(first as i64, length as i64) as usize;
            first..last
        };
        let columns = visible(self.offset.0, self.size.0, frame.width);
        let channels = frame.channels;
        for y in visible(self.offset.1, self.size.1, frame.height) {
            let from = &values[y * self.size.0..][columns.clone()];
            let left = (columns.start as i64 + self.offset.0) as usize;
            let row = frame.row_mut((y as i64 + self.offset.1) as usize);
            let to = row.iter_mut().skip(left * channels + channel).step_by(channels);
            to.zip(from).for_each(|(to, from)| *to = *from);
        }
    }
}
