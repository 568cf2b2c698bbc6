//! The VAE's normalisation over channels, with or without the activation after it. Inference only.

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use super::simd::{sigmoid, vectorised};
use super::slices::with_values;

/// The least length a pixel's channels are divided by.
const LEAST_LENGTH: f32 = 1e-12;
/// Pixels whose sums are held at a time.
const BLOCK: usize = 1024;

/// `x / max(|x|, 1e-12) sqrt(C) gain` for `x` (T, C, H, W) and `gain` (C), the length taken over the channels of
/// each pixel; then `x sigmoid(x)` if `activate`.
pub(crate) fn channel_norm(x: &Tensor, gain: &[f32], activate: bool) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if super::cuda::takes(x) {
        return super::cuda::channel_norm(x, gain, activate);
    }
    let (frames, channels, rows, columns) = x.dims4()?;
    let pixels = rows * columns;
    let scales = with_values(x, |x| Ok(scales(x, channels, pixels)))?;
    let out = with_values(x, |x| {
        let mut out = vec![0f32; x.len()];
        let planes = out.par_chunks_exact_mut(pixels.max(1)).zip(x.par_chunks_exact(pixels.max(1)));
        planes.enumerate().for_each(|(plane, (out, x))| {
            let (frame, gain) = (plane / channels, gain[plane % channels]);
            let scales = &scales[frame * pixels..(frame + 1) * pixels];
            scale_plane(out, x, scales, gain, activate);
        });
        Ok(out)
    })?;
    Tensor::from_vec(out, (frames, channels, rows, columns), &Device::Cpu)
}

vectorised! {
    fn scale_plane(out: &mut [f32], x: &[f32], scales: &[f32], gain: f32, activate: bool) {
        let normed = out.iter_mut().zip(x.iter().zip(scales));
        if activate {
            for (out, (x, scale)) in normed {
                let y = x * scale * gain;
                *out = y * sigmoid(y);
            }
        } else {
            for (out, (x, scale)) in normed {
                *out = x * scale * gain;
            }
        }
    }

    /// Adds the squares of all channels (pixels apart) of the pixels from `from` on.
    fn add_squares(sums: &mut [f32], x: &[f32], pixels: usize, from: usize) {
        for plane in x.chunks_exact(pixels) {
            let values = &plane[from..from + sums.len()];
            for (sum, x) in sums.iter_mut().zip(values) {
                *sum += x * x;
            }
        }
    }
}

/// What each pixel is multiplied with: `sqrt(C) / length`.
fn scales(x: &[f32], channels: usize, pixels: usize) -> Vec<f32> {
    let frames = x.len() / (channels * pixels).max(1);
    let mut scales = vec![0f32; frames * pixels];
    let blocks = pixels.div_ceil(BLOCK).max(1);
    let size = pixels.div_ceil(blocks).max(1);
    // Frames are cut apart first, so that no block spans two of them.
    scales.par_chunks_mut(pixels.max(1)).zip(x.par_chunks(channels * pixels.max(1))).for_each(
        |(scales, x)| {
            scales.par_chunks_mut(size).enumerate().for_each(|(block, scales)| {
                add_squares(scales, x, pixels, block * size);
                let root = (channels as f32).sqrt();
                scales.iter_mut().for_each(|s| *s = root / s.sqrt().max(LEAST_LENGTH));
            });
        },
    );
    scales
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::NoiseStream;

    #[test]
    fn equals_the_definition() {
        let mut random = NoiseStream::new(4);
        let (x, gain) = (random.normal((3, 5, 7, 300)).unwrap(), random.normal(5).unwrap());
        let length = x.sqr().unwrap().sum_keepdim(1).unwrap().sqrt().unwrap();
        let normed = (x.broadcast_div(&length).unwrap() * 5f64.sqrt()).unwrap();
        let plain = normed.broadcast_mul(&gain.reshape((1, 5, 1, 1)).unwrap()).unwrap();
        let gain: Vec<f32> = gain.to_vec1().unwrap();
        for (activate, expected) in [(false, plain.clone()), (true, plain.silu().unwrap())] {
            let ours = channel_norm(&x, &gain, activate).unwrap();
            let off = (ours - expected).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
            assert!(off.to_scalar::<f32>().unwrap() < 1e-5, "activate {activate}");
        }
    }

    #[test]
    fn black_pixels_stay_black() {
        let x = Tensor::zeros((1, 2, 1, 3), candle_core::DType::F32, &Device::Cpu).unwrap();
        let y: Vec<f32> =
            channel_norm(&x, &[2.0, 3.0], true).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(y, [0.0; 6]);
    }
}
