//! Picture files as they come: any channel order, any window, and broken ones.
#![allow(clippy::unwrap_used)] // helpers of tests may panic too

use exr::prelude::*;
use lora_edit_shot::image_io::{self, ImageError, Window};
use lora_edit_shot::mask::Channel;
use lora_edit_shot::{Frame, Rect};
use std::path::{Path, PathBuf};

type Channels = Vec<(&'static str, FlatSamples)>;

fn numbered(width: usize, height: usize, channels: usize) -> Frame {
    Frame::from_fn(width, height, channels, |x, y, p| {
        p.iter_mut().enumerate().for_each(|(c, value)| *value = (x + 10 * y) as f32 + c as f32 * 0.25);
    })
}

fn in_dir(dir: &tempfile::TempDir, name: &str) -> PathBuf {
    dir.path().join(name)
}

/// A file with the channels given, each filled with one value.
fn write_exr(path: &Path, channels: &[(&str, FlatSamples)], size: (usize, usize), at: (i32, i32)) {
    let list = channels.iter().map(|(name, samples)| AnyChannel::new(*name, samples.clone())).collect();
    let mut layer =
        Layer::new(size, LayerAttributes::default(), Encoding::default(), AnyChannels::sort(list));
    layer.attributes.layer_position = Vec2(at.0, at.1);
    let mut image = Image::from_layer(layer);
    image.attributes.display_window = IntegerBounds::new((0, 0), (4, 3));
    image.write().to_file(path).unwrap();
}

fn floats(value: f32, count: usize) -> FlatSamples {
    FlatSamples::F32(vec![value; count])
}

#[test]
fn exr_keeps_values_above_one_and_odd_sizes() {
    let dir = tempfile::tempdir().unwrap();
    for channels in [1, 3, 4] {
        let (frame, path) = (numbered(7, 5, channels), in_dir(&dir, "new folder/a.exr"));
        image_io::write_exr_half(&path, &frame).unwrap();
        assert_eq!(image_io::read_frame(&path).unwrap(), frame, "{channels} channels, half");
        image_io::write_exr_float(&path, &frame).unwrap();
        assert_eq!(image_io::read_frame(&path).unwrap(), frame, "{channels} channels, float");
        assert_eq!(image_io::read_size(&path).unwrap(), [7, 5]);
    }
}

#[test]
fn half_files_never_hold_infinity_and_float_files_hold_the_bits() {
    let dir = tempfile::tempdir().unwrap();
    let path = in_dir(&dir, "a.exr");
    let frame = Frame::from_data(2, 1, 1, vec![f32::INFINITY, -1e9]).unwrap();
    image_io::write_exr_half(&path, &frame).unwrap();
    assert_eq!(image_io::read_frame(&path).unwrap().data, [65504.0, -65504.0]);
    let frame = Frame::from_data(2, 1, 1, vec![f32::NAN, 0.1]).unwrap();
    image_io::write_exr_float(&path, &frame).unwrap();
    let read = image_io::read_frame(&path).unwrap();
    assert!(read.data[0].is_nan() && read.data[1] == 0.1);
}

#[test]
fn channels_are_found_by_name_whatever_their_order_or_type() {
    let dir = tempfile::tempdir().unwrap();
    let path = in_dir(&dir, "a.exr");
    let half = |value: f32| FlatSamples::F16(vec![f16::from_f32(value); 12]);
    let cases: [(Channels, &[f32]); 8] = [
        (vec![("B", half(3.0)), ("R", floats(1.0, 12)), ("G", floats(2.0, 12))], &[1.0, 2.0, 3.0]),
        (vec![("A", half(0.5)), ("B", half(3.0)), ("G", half(2.0)), ("R", half(1.0))], &[1.0, 2.0, 3.0, 0.5]),
        (vec![("Y", half(4.0)), ("A", half(0.5))], &[4.0, 4.0, 4.0, 0.5]),
        (vec![("Y", half(4.0))], &[4.0]),
        (vec![("A", half(0.75))], &[0.75]),
        (vec![("depth.Z", floats(9.0, 12))], &[9.0]),
        (
            vec![
                ("R", half(1.0)),
                ("G", half(2.0)),
                ("B", half(3.0)),
                ("mask.A", half(0.5)),
                ("Z", half(8.0)),
            ],
            &[1.0, 2.0, 3.0],
        ),
        (
            vec![("beauty.R", half(1.0)), ("beauty.G", half(2.0)), ("beauty.B", half(3.0)), ("Z", half(8.0))],
            &[1.0, 2.0, 3.0],
        ),
    ];
    for (channels, pixel) in cases {
        write_exr(&path, &channels, (4, 3), (0, 0));
        let frame = image_io::read_frame(&path).unwrap();
        let names: Vec<_> = channels.iter().map(|(name, _)| name).collect();
        assert_eq!(frame, Frame::filled(4, 3, pixel), "{names:?}");
    }
    write_exr(&path, &[("N.X", floats(1.0, 12)), ("Z", floats(1.0, 12))], (4, 3), (0, 0));
    assert!(matches!(image_io::read_frame(&path), Err(ImageError::Unreadable { .. })));
}

#[test]
fn the_data_window_is_placed_in_the_display_window() {
    let dir = tempfile::tempdir().unwrap();
    let path = in_dir(&dir, "a.exr");
    let values = |w: usize, h: usize| FlatSamples::F32((1..=w * h).map(|i| i as f32).collect());
    // A small window inside, one larger than the picture, one that hangs over a corner, one outside.
    let cases = [
        ((2, 1), (1, 1), [0., 0., 0., 0., 0., 1., 2., 0., 0., 0., 0., 0.]),
        ((6, 5), (-1, -1), [8., 9., 10., 11., 14., 15., 16., 17., 20., 21., 22., 23.]),
        ((3, 2), (2, -1), [0., 0., 4., 5., 0., 0., 0., 0., 0., 0., 0., 0.]),
        ((2, 2), (50, 50), [0.; 12]),
    ];
    for (size, at, expected) in cases {
        write_exr(&path, &[("Y", values(size.0, size.1))], size, at);
        assert_eq!(image_io::read_frame(&path).unwrap().data, expected, "{size:?} at {at:?}");
    }
}

#[test]
fn a_crop_is_written_at_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = in_dir(&dir, "a.exr");
    let crop = Rect::new(1, 2, 4, 4);
    image_io::write_exr_half_in(&path, &numbered(3, 2, 3), &Window::crop([5, 6], crop)).unwrap();
    let read = image_io::read_frame(&path).unwrap();
    assert_eq!(read.size(), [5, 6]);
    assert_eq!(read.crop_reflect(crop), numbered(3, 2, 3));
    assert_eq!(read.pixel(0, 0), &[0.0; 3]);
}

#[test]
fn png_rounds_to_eight_bits_and_clamps() {
    let dir = tempfile::tempdir().unwrap();
    let path = in_dir(&dir, "a.png");
    for pixel in [&[0.5f32][..], &[0.2, 1.7, -1.0], &[0.2, 0.4, f32::NAN, 0.5]] {
        image_io::write_frame(&path, &Frame::filled(3, 2, pixel)).unwrap();
        let read = image_io::read_frame(&path).unwrap();
        assert_eq!(read.channels, pixel.len());
        for (got, want) in read.pixel(2, 1).iter().zip(pixel) {
            let want = if want.is_nan() { 0.0 } else { want.clamp(0.0, 1.0) };
            assert!((got - want).abs() <= 0.5 / 255.0 + 1e-6, "{got} for {want}");
        }
    }
}

#[test]
fn sixteen_bit_and_other_formats_are_scaled_to_one() {
    let dir = tempfile::tempdir().unwrap();
    let deep = image::ImageBuffer::from_fn(3, 2, |x, _| image::Rgb([x as u16 * 1000, 65535, 0]));
    for name in ["a.png", "a.tiff"] {
        let path = in_dir(&dir, name);
        image::DynamicImage::ImageRgb16(deep.clone()).save(&path).unwrap();
        let frame = image_io::read_frame(&path).unwrap();
        assert_eq!(frame.pixel(2, 1), &[2000.0 / 65535.0, 1.0, 0.0], "{name}");
        assert_eq!(image_io::read_size(&path).unwrap(), [3, 2]);
    }
    let grey = image::ImageBuffer::from_pixel(2, 2, image::LumaA([51u8, 102]));
    let path = in_dir(&dir, "ga.png");
    image::DynamicImage::ImageLumaA8(grey).save(&path).unwrap();
    assert_eq!(image_io::read_frame(&path).unwrap(), Frame::filled(2, 2, &[0.2, 0.2, 0.2, 0.4]));
    let path = in_dir(&dir, "a.jpg");
    image::DynamicImage::ImageRgb8(image::ImageBuffer::from_pixel(8, 8, image::Rgb([200; 3])))
        .save(&path)
        .unwrap();
    let jpeg = image_io::read_frame(&path).unwrap();
    assert!((jpeg.pixel(4, 4)[0] - 200.0 / 255.0).abs() < 0.02);
}

#[test]
fn masks_come_from_alpha_only_where_there_is_alpha() {
    let dir = tempfile::tempdir().unwrap();
    let (rgb, rgba) = (in_dir(&dir, "rgb.png"), in_dir(&dir, "rgba.exr"));
    image_io::write_png8(&rgb, &Frame::filled(2, 2, &[0.2, 0.4, 0.6])).unwrap();
    image_io::write_exr_half(&rgba, &Frame::filled(2, 2, &[0.2, 0.4, 0.6, 0.5])).unwrap();
    assert_eq!(image_io::read_mask(&rgb, Channel::Auto).unwrap().data[0], 0.2);
    assert_eq!(image_io::read_mask(&rgba, Channel::Auto).unwrap().data[0], 0.5);
    assert_eq!(image_io::read_rgba(&rgb).unwrap().pixel(1, 1)[3], 1.0);
}

#[test]
fn missing_and_unreadable_are_told_apart_and_named() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["gone.exr", "gone.png"] {
        let error = image_io::read_frame(&in_dir(&dir, name)).unwrap_err();
        assert!(error.is_missing() && error.to_string().contains(name), "{error}");
        assert!(image_io::read_size(&in_dir(&dir, name)).unwrap_err().is_missing());
    }
    let whole = in_dir(&dir, "whole.exr");
    image_io::write_exr_half(&whole, &numbered(64, 64, 4)).unwrap();
    let bytes = std::fs::read(&whole).unwrap();
    let torn: [&[u8]; 5] =
        [b"", b"no picture at all", &bytes[..40], &bytes[..bytes.len() / 2], &bytes[..bytes.len() - 9]];
    for (index, bytes) in torn.into_iter().enumerate() {
        for name in ["torn.exr", "torn.png", "torn.tiff"] {
            let path = in_dir(&dir, name);
            std::fs::write(&path, bytes).unwrap();
            let error = image_io::read_frame(&path).unwrap_err();
            assert!(!error.is_missing() && error.path() == path, "{index}: {error}");
            assert_eq!(error.to_string().lines().count(), 1, "one line: {error}");
        }
    }
    assert!(!image_io::read_frame(dir.path()).unwrap_err().is_missing(), "a folder is no picture");
}

#[test]
fn a_corrupt_file_never_panics() {
    let dir = tempfile::tempdir().unwrap();
    let path = in_dir(&dir, "a.exr");
    image_io::write_exr_half(&path, &numbered(20, 10, 3)).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for at in (0..bytes.len()).step_by(3) {
        for value in [0x00, 0xff, bytes[at] ^ 0x11] {
            let mut broken = bytes.clone();
            broken[at] = value;
            std::fs::write(&path, &broken).unwrap();
            let _ = image_io::read_frame(&path);
        }
    }
}

#[test]
fn nothing_is_left_of_a_file_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let frame = Frame::new(2, 2, 3);
    let error = image_io::write_frame(&in_dir(&dir, "a.gif"), &frame).unwrap_err();
    assert!(error.to_string().contains("a.gif") && error.to_string().contains("gif'"), "{error}");
    std::fs::write(in_dir(&dir, "file"), "").unwrap();
    let below = in_dir(&dir, "file").join("a.exr");
    assert!(matches!(image_io::write_exr_half(&below, &frame), Err(ImageError::Unwritable { .. })));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
