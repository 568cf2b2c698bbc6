//! Colour: what hosts and files hand over, and the display-like code values the model sees.

use crate::frame::Frame;
use crate::rect::Rect;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The largest finite half float; whatever is brighter, infinity too, becomes this.
pub const BRIGHTEST: f32 = 65504.0;

/// How the values of a host's picture or of a file are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColourSpace {
    /// Scene-linear light.
    Linear,
    /// sRGB code values, as in an 8-bit picture file.
    Srgb,
}

/// Code values in 0..1 that the model sees, chosen once per shot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkingSpace {
    /// sRGB, for plates within 0..1.
    Srgb,
    /// ARRI LogC3 at EI 800, for plates above 1: code 1.0 is linear 55.1.
    LogC3,
}

/// A name that is no colour space.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("'{0}' is no colour space (linear, srgb)")]
pub struct UnknownSpace(String);

impl FromStr for ColourSpace {
    type Err = UnknownSpace;

    fn from_str(name: &str) -> Result<Self, UnknownSpace> {
        match name.to_ascii_lowercase().as_str() {
            "linear" => Ok(Self::Linear),
            "srgb" => Ok(Self::Srgb),
            _ => Err(UnknownSpace(name.to_string())),
        }
    }
}

impl fmt::Display for ColourSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linear => "linear",
            Self::Srgb => "srgb",
        })
    }
}

impl fmt::Display for WorkingSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Srgb => "srgb",
            Self::LogC3 => "logc3",
        })
    }
}

impl WorkingSpace {
    /// The space for a shot whose brightest linear value within the crop is `peak`.
    pub fn for_peak(peak: f32) -> Self {
        if peak > 1.0 { Self::LogC3 } else { Self::Srgb }
    }
}

/// NaN becomes 0, infinities the brightest half float of their sign.
pub fn finite(value: f32) -> f32 {
    if value.is_nan() { 0.0 } else { value.clamp(-BRIGHTEST, BRIGHTEST) }
}

/// sRGB code to linear light (IEC 61966-2-1), going on above 1 and mirrored below 0.
pub fn srgb_to_linear(code: f32) -> f32 {
    let c = code.abs();
    let linear = if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
    linear.copysign(code)
}

/// Linear light to sRGB code, going on above 1 and mirrored below 0.
pub fn linear_to_srgb(linear: f32) -> f32 {
    let l = linear.abs();
    // 0.04045 / 12.92, so that both directions change branch at the same value.
    let code = if l <= 0.003_130_805 { l * 12.92 } else { 1.055 * l.powf(1.0 / 2.4) - 0.055 };
    code.copysign(linear)
}

/// ARRI's published LogC3 constants for EI 800.
mod logc3 {
    pub const CUT: f32 = 0.010591;
    pub const A: f32 = 5.555556;
    pub const B: f32 = 0.052272;
    pub const C: f32 = 0.247190;
    pub const D: f32 = 0.385537;
    pub const E: f32 = 5.367655;
    pub const F: f32 = 0.092809;
}

/// Linear light to LogC3 (EI 800) code; below the cut, negatives too, a straight line.
pub fn linear_to_logc3(linear: f32) -> f32 {
    use logc3::*;
    if linear > CUT { C * (A * linear + B).log10() + D } else { E * linear + F }
}

/// LogC3 (EI 800) code to linear light.
pub fn logc3_to_linear(code: f32) -> f32 {
    use logc3::*;
    if code > E * CUT + F { (10f32.powf((code - D) / C) - B) / A } else { (code - F) / E }
}

/// Any value to linear light; never NaN, never infinite.
pub fn to_linear(space: ColourSpace, value: f32) -> f32 {
    let value = finite(value);
    match space {
        ColourSpace::Linear => value,
        ColourSpace::Srgb => finite(srgb_to_linear(value)),
    }
}

/// A host's or file's value to a working code value; never NaN, never infinite. Values outside
/// 0..1 stay outside: what feeds the model clamps.
pub fn to_working(space: ColourSpace, working: WorkingSpace, value: f32) -> f32 {
    let value = finite(value);
    match (space, working) {
        (ColourSpace::Srgb, WorkingSpace::Srgb) => value,
        (ColourSpace::Linear, WorkingSpace::Srgb) => linear_to_srgb(value),
        (space, WorkingSpace::LogC3) => linear_to_logc3(to_linear(space, value)),
    }
}

/// A working code value back to a host's or file's value; never NaN, never infinite.
pub fn from_working(space: ColourSpace, working: WorkingSpace, code: f32) -> f32 {
    let code = finite(code);
    match (space, working) {
        (ColourSpace::Srgb, WorkingSpace::Srgb) => code,
        (ColourSpace::Linear, WorkingSpace::Srgb) => finite(srgb_to_linear(code)),
        (ColourSpace::Linear, WorkingSpace::LogC3) => finite(logc3_to_linear(code)),
        (ColourSpace::Srgb, WorkingSpace::LogC3) => linear_to_srgb(finite(logc3_to_linear(code))),
    }
}

/// [`to_working`] over the colours of a frame; alpha stays.
pub fn frame_to_working(frame: &mut Frame, space: ColourSpace, working: WorkingSpace) {
    map_colours(frame, |value| to_working(space, working, value));
}

/// [`from_working`] over the colours of a frame; alpha stays.
pub fn frame_from_working(frame: &mut Frame, space: ColourSpace, working: WorkingSpace) {
    map_colours(frame, |code| from_working(space, working, code));
}

/// A frame as a screen shows it: sRGB code values clamped to 0..1.
pub fn to_display(frame: &Frame, space: ColourSpace) -> Frame {
    let mut shown = frame.clone();
    map_colours(&mut shown, |value| to_working(space, WorkingSpace::Srgb, value).clamp(0.0, 1.0));
    shown
}

/// The brightest linear colour value of a frame within `rect`; NaN and infinity count as
/// [`finite`] says. Outside the frame there is nothing.
pub fn peak_linear(frame: &Frame, space: ColourSpace, rect: Rect) -> f32 {
    let inside = rect.intersect(&frame.rect());
    if inside.is_empty() {
        return 0.0;
    }
    let columns = inside.x1 as usize * frame.channels..inside.x2 as usize * frame.channels;
    let colours = frame.channels.min(3);
    (inside.y1 as usize..inside.y2 as usize)
        .flat_map(|y| frame.row(y)[columns.clone()].chunks_exact(frame.channels))
        .flat_map(|pixel| &pixel[..colours])
        .fold(0.0, |peak: f32, &value| peak.max(to_linear(space, value)))
}

/// Divides the colours by alpha where alpha is positive. Without alpha nothing changes.
pub fn unpremultiply(frame: &mut Frame) {
    map_pixels(frame, |colours, alpha| {
        if alpha > 0.0 {
            colours.iter_mut().for_each(|value| *value /= alpha);
        }
    });
}

/// Multiplies the colours by alpha. Without alpha nothing changes.
pub fn premultiply(frame: &mut Frame) {
    map_pixels(frame, |colours, alpha| colours.iter_mut().for_each(|value| *value *= alpha));
}

fn map_colours(frame: &mut Frame, map: impl Fn(f32) -> f32 + Sync) {
    let (channels, stride) = (frame.channels, frame.stride().max(1));
    let colours = channels.min(3);
    frame.data.par_chunks_mut(stride).for_each(|row| {
        for pixel in row.chunks_exact_mut(channels) {
            pixel[..colours].iter_mut().for_each(|value| *value = map(*value));
        }
    });
}

fn map_pixels(frame: &mut Frame, map: impl Fn(&mut [f32], f32) + Sync) {
    if frame.channels != 4 {
        return;
    }
    let stride = frame.stride().max(1);
    frame.data.par_chunks_mut(stride).for_each(|row| {
        for pixel in row.chunks_exact_mut(4) {
            let alpha = pixel[3];
            map(&mut pixel[..3], alpha);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACES: [ColourSpace; 2] = [ColourSpace::Linear, ColourSpace::Srgb];
    const WORKING: [WorkingSpace; 2] = [WorkingSpace::Srgb, WorkingSpace::LogC3];

    #[test]
    fn published_code_values() {
        let near = |got: f32, want: f32| assert!((got - want).abs() < 5e-4, "{got} for {want}");
        near(linear_to_srgb(0.18), 0.4614);
        near(srgb_to_linear(0.5), 0.21404);
        near(linear_to_logc3(0.18), 0.3910);
        near(linear_to_logc3(0.0), 0.0928);
        near(linear_to_logc3(1.0), 0.5707);
        assert!((logc3_to_linear(1.0) - 55.08).abs() < 0.02, "{}", logc3_to_linear(1.0));
    }

    #[test]
    fn there_and_back_within_a_hundred_thousandth() {
        let linear = (-60..=340).map(|i| if i < 0 { i as f32 * 0.01 } else { 1e-4 * 1.04f32.powi(i) });
        for value in linear {
            for space in SPACES {
                for working in WORKING {
                    // sRGB codes of very bright light are as far as LogC3 goes.
                    let back = from_working(space, working, to_working(space, working, value));
                    let error = (back - value).abs() / value.abs().max(1e-3);
                    let exact = !(space == ColourSpace::Srgb && value > 5.0);
                    assert!(!exact || error < 1e-5, "{space} {working}: {value} came back as {back}");
                }
            }
        }
    }

    #[test]
    fn highlights_survive_the_log_space_and_negatives_keep_their_sign() {
        for value in [1.5f32, 4.0, 16.0, 55.0, 400.0] {
            let code = to_working(ColourSpace::Linear, WorkingSpace::LogC3, value);
            let back = from_working(ColourSpace::Linear, WorkingSpace::LogC3, code);
            assert!((back - value).abs() < 1e-5 * value, "{value} came back as {back}");
            assert!(value > 55.05 || code < 1.0, "{value} is code {code}");
        }
        for working in WORKING {
            let code = to_working(ColourSpace::Linear, working, -0.02);
            assert!(from_working(ColourSpace::Linear, working, code) < -0.0199);
        }
        assert!(to_working(ColourSpace::Linear, WorkingSpace::Srgb, -0.18) < -0.46);
    }

    #[test]
    fn no_input_makes_nan_or_infinity() {
        let wild = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e-45, -0.0];
        for value in wild {
            for space in SPACES {
                for working in WORKING {
                    assert!(to_working(space, working, value).is_finite(), "{space} {working} {value}");
                    assert!(from_working(space, working, value).is_finite(), "{space} {working} {value}");
                }
            }
        }
        assert_eq!(to_working(ColourSpace::Linear, WorkingSpace::Srgb, f32::NAN), 0.0);
    }

    #[test]
    fn curves_rise_across_their_joints() {
        for joint in [0.003_130_8f32, 0.010591] {
            for curve in [linear_to_srgb, linear_to_logc3] {
                let (below, above) = (curve(joint * 0.999), curve(joint * 1.001));
                assert!(below < above && above - below < 1e-3, "{below} to {above} at {joint}");
            }
        }
    }

    #[test]
    fn frames_convert_their_colours_and_keep_alpha() {
        let mut frame = Frame::filled(3, 2, &[0.18, 2.0, -0.5, 0.25]);
        frame_to_working(&mut frame, ColourSpace::Linear, WorkingSpace::LogC3);
        assert!((frame.pixel(2, 1)[0] - 0.391).abs() < 1e-3);
        assert_eq!(frame.pixel(2, 1)[3], 0.25);
        frame_from_working(&mut frame, ColourSpace::Linear, WorkingSpace::LogC3);
        assert!((frame.pixel(0, 0)[1] - 2.0).abs() < 1e-4);
    }

    #[test]
    fn premultiplied_and_back() {
        let mut frame = Frame::from_data(2, 1, 4, vec![0.2, 0.4, 0.6, 0.5, 0.1, 0.2, 0.3, 0.0]).unwrap();
        let before = frame.clone();
        unpremultiply(&mut frame);
        assert_eq!(frame.pixel(0, 0), &[0.4, 0.8, 1.2, 0.5]);
        assert_eq!(frame.pixel(1, 0), before.pixel(1, 0));
        premultiply(&mut frame);
        assert_eq!(frame.pixel(0, 0), before.pixel(0, 0));
    }

    #[test]
    fn the_peak_is_sought_in_the_rectangle_only() {
        let mut frame = Frame::filled(4, 4, &[0.5, 0.25, 0.0, 9.0]);
        frame.pixel_mut(0, 0)[0] = 7.0;
        assert_eq!(peak_linear(&frame, ColourSpace::Linear, frame.rect()), 7.0);
        let inner = Rect::new(1, 0, 9, 9);
        assert_eq!(peak_linear(&frame, ColourSpace::Linear, inner), 0.5);
        assert_eq!(WorkingSpace::for_peak(1.0), WorkingSpace::Srgb);
        assert_eq!(WorkingSpace::for_peak(1.01), WorkingSpace::LogC3);
    }

    #[test]
    fn names_in_text_and_json() {
        assert_eq!("sRGB".parse(), Ok(ColourSpace::Srgb));
        assert_eq!(
            "aces".parse::<ColourSpace>().unwrap_err().to_string(),
            "'aces' is no colour space (linear, srgb)"
        );
        assert_eq!(serde_json::to_string(&WorkingSpace::LogC3).unwrap(), "\"logc3\"");
        assert_eq!(serde_json::to_string(&ColourSpace::Linear).unwrap(), "\"linear\"");
    }
}
