//! Pixels to tensors and back: the only file that knows both.

use candle_core::{Device, Result, Tensor};
use lora_edit_shot::Frame;

/// Working frames (code values, 3 or 4 channels, one size) -> video (1, 3, T, H, W) in [-1, 1].
pub fn video_from_frames(frames: &[Frame], device: &Device) -> Result<Tensor> {
    let Some(first) = frames.first() else { candle_core::bail!("a video of no frames") };
    let (w, h) = (first.width, first.height);
    let mut planes = Vec::with_capacity(3 * frames.len() * w * h);
    for channel in 0..3 {
        for frame in frames {
            if (frame.width, frame.height) != (w, h) || frame.channels < 3 {
                candle_core::bail!("frames of one video differ in size");
            }
            let pixels = frame.data.chunks_exact(frame.channels);
            planes.extend(pixels.map(|pixel| 2.0 * pixel[channel].clamp(0.0, 1.0) - 1.0));
        }
    }
    Tensor::from_vec(planes, (1, 3, frames.len(), h, w), device)
}

/// Video (1, 3, T, H, W) in [-1, 1] -> working frames, 3 channels, clamped to [0, 1]. NaN stays NaN, to be counted.
pub fn frames_from_video(video: &Tensor) -> Result<Vec<Frame>> {
    let (_, channels, count, h, w) = video.dims5()?;
    // (1, 3, T, H, W) -> (T, H, W, 3)
    let interleaved = video.squeeze(0)?.permute((1, 2, 3, 0))?.contiguous()?;
    let values = interleaved.flatten_all()?.to_vec1::<f32>()?;
    let mut frames = vec![Frame::new(w, h, channels); count];
    for (frame, pixels) in frames.iter_mut().zip(values.chunks_exact(w * h * channels)) {
        for (to, from) in frame.data.iter_mut().zip(pixels) {
            *to = (0.5 * (from + 1.0)).clamp(0.0, 1.0);
        }
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: usize, height: usize, offset: f32) -> Frame {
        let mut frame = Frame::new(width, height, 3);
        for (i, value) in frame.data.iter_mut().enumerate() {
            *value = offset + i as f32 / 1000.0;
        }
        frame
    }

    #[test]
    fn a_video_holds_its_pixels_by_channel_frame_row_column() {
        let frames = [ramp(4, 3, 0.1), ramp(4, 3, 0.5)];
        let video = video_from_frames(&frames, &Device::Cpu).unwrap();
        assert_eq!(video.dims(), [1, 3, 2, 3, 4]);
        let value = video.to_device(&Device::Cpu).unwrap().squeeze(0).unwrap();
        let picked = value.get(2).unwrap().get(1).unwrap().get(1).unwrap().get(3).unwrap();
        let expected = 2.0 * frames[1].pixel(3, 1)[2] - 1.0;
        assert!((picked.to_scalar::<f32>().unwrap() - expected).abs() < 1e-6);
    }

    #[test]
    fn frames_survive_the_way_there_and_back() {
        let frames = [ramp(4, 3, 0.1), ramp(4, 3, 0.5)];
        let back = frames_from_video(&video_from_frames(&frames, &Device::Cpu).unwrap()).unwrap();
        for (a, b) in frames.iter().zip(&back) {
            assert!(a.data.iter().zip(&b.data).all(|(x, y)| (x - y).abs() < 1e-6));
        }
    }

    #[test]
    fn nan_is_not_hidden() {
        let video =
            Tensor::new(&[f32::NAN, 0.0, 9.0], &Device::Cpu).unwrap().reshape((1, 3, 1, 1, 1)).unwrap();
        let frame = frames_from_video(&video).unwrap().remove(0);
        assert!(frame.data[0].is_nan());
        assert_eq!(frame.data[1..], [0.5, 1.0]);
    }
}
