//! Samples of every depth and channel layout to interleaved f32 RGBA and back.

use half::f16;

use crate::{Components, Depth};

/// Reads pixels: `bytes` holds whole pixels, `out` four floats for each of them. Integers become
/// 0..1; RGB gets alpha 1; alpha alone gets black.
pub(crate) fn decode(depth: Depth, components: Components, bytes: &[u8], out: &mut [f32]) {
    match depth {
        Depth::Byte => spread(components, bytes, out, |[b]| f32::from(b) / 255.0),
        Depth::Short => spread(components, bytes, out, |b| f32::from(u16::from_ne_bytes(b)) / 65535.0),
        Depth::Half => spread(components, bytes, out, |b| f16::from_ne_bytes(b).to_f32()),
        Depth::Float => spread(components, bytes, out, f32::from_ne_bytes),
    }
}

/// Writes pixels: the inverse of [`decode`]. Integers are rounded and clamped; what the layout has
/// no room for is dropped.
pub(crate) fn encode(depth: Depth, components: Components, rgba: &[f32], bytes: &mut [u8]) {
    match depth {
        Depth::Byte => gather(components, rgba, bytes, |v| [quantise(v, 255.0) as u8]),
        Depth::Short => gather(components, rgba, bytes, |v| (quantise(v, 65535.0) as u16).to_ne_bytes()),
        Depth::Half => gather(components, rgba, bytes, |v| f16::from_f32(v).to_ne_bytes()),
        Depth::Float => gather(components, rgba, bytes, f32::to_ne_bytes),
    }
}

fn quantise(value: f32, max: f32) -> f32 {
    (value * max).round().clamp(0.0, max)
}

fn spread<const N: usize>(
    components: Components,
    bytes: &[u8],
    out: &mut [f32],
    sample: impl Fn([u8; N]) -> f32,
) {
    let (samples, _) = bytes.as_chunks::<N>();
    let (pixels, _) = out.as_chunks_mut::<4>();
    match components {
        Components::Rgba => {
            for (value, bytes) in pixels.as_flattened_mut().iter_mut().zip(samples) {
                *value = sample(*bytes);
            }
        }
        Components::Rgb => {
            for (pixel, rgb) in pixels.iter_mut().zip(samples.as_chunks::<3>().0) {
                *pixel = [sample(rgb[0]), sample(rgb[1]), sample(rgb[2]), 1.0];
            }
        }
        Components::Alpha => {
            for (pixel, alpha) in pixels.iter_mut().zip(samples) {
                *pixel = [0.0, 0.0, 0.0, sample(*alpha)];
            }
        }
    }
}

fn gather<const N: usize>(
    components: Components,
    rgba: &[f32],
    bytes: &mut [u8],
    sample: impl Fn(f32) -> [u8; N],
) {
    let (samples, _) = bytes.as_chunks_mut::<N>();
    let (pixels, _) = rgba.as_chunks::<4>();
    match components {
        Components::Rgba => {
            for (bytes, value) in samples.iter_mut().zip(pixels.as_flattened()) {
                *bytes = sample(*value);
            }
        }
        Components::Rgb => {
            for (rgb, pixel) in samples.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
                *rgb = [sample(pixel[0]), sample(pixel[1]), sample(pixel[2])];
            }
        }
        Components::Alpha => {
            for (alpha, pixel) in samples.iter_mut().zip(pixels) {
                *alpha = sample(pixel[3]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(depth: Depth, components: Components, bytes: &[u8]) -> Vec<u8> {
        let mut rgba = vec![9.0; bytes.len() / depth.bytes() / components.count() * 4];
        decode(depth, components, bytes, &mut rgba);
        let mut back = vec![0; bytes.len()];
        encode(depth, components, &rgba, &mut back);
        back
    }

    #[test]
    fn every_stored_value_comes_back_exactly() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(round_trip(Depth::Byte, Components::Rgba, &bytes), bytes);
        let shorts: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_ne_bytes).collect();
        assert_eq!(round_trip(Depth::Short, Components::Alpha, &shorts), shorts);
        let finite = (0..=u16::MAX).filter(|bits| !f16::from_bits(*bits).is_nan());
        let halves: Vec<u8> = finite.flat_map(u16::to_ne_bytes).take(3 * 2 * 10000).collect();
        assert_eq!(round_trip(Depth::Half, Components::Rgb, &halves), halves);
        let floats: Vec<u8> =
            [-1e30_f32, 0.1, 70000.0, f32::MIN_POSITIVE].into_iter().flat_map(f32::to_ne_bytes).collect();
        assert_eq!(round_trip(Depth::Float, Components::Rgba, &floats), floats);
    }

    #[test]
    fn layouts_fill_what_they_lack() {
        let mut rgba = [9.0; 8];
        decode(Depth::Byte, Components::Rgb, &[255, 0, 51, 0, 255, 102], &mut rgba);
        assert_eq!(rgba, [1.0, 0.0, 0.2, 1.0, 0.0, 1.0, 0.4, 1.0]);
        decode(Depth::Byte, Components::Alpha, &[51, 255], &mut rgba);
        assert_eq!(rgba, [0.0, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn integers_are_rounded_and_clamped() {
        let mut bytes = [7; 4];
        encode(Depth::Byte, Components::Rgba, &[-0.5, 0.5, 1.5, f32::NAN], &mut bytes);
        assert_eq!(bytes, [0, 128, 255, 0]);
    }
}
