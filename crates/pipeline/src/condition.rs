//! The mask-aware condition of an image-to-video transformer: grey painted in pixels, the mask packed on the latent grid.
//!
//! METHOD.md section 1. Generation masks come in as frames of one channel, above 0 = generate; on the latent grid the
//! polarity turns: **1 = keep, 0 = generate**.

use candle_core::{Device, Result, Tensor};
use lora_edit_shot::Frame;

/// The code value painted where the mask says generate: 0 in [-1, 1].
pub const GREY: f32 = 0.5;

/// Latent frames of a clip of `frames` = 1 + 4n pixel frames: 1 + n.
pub fn latent_frames(frames: usize) -> usize {
    1 + (frames.saturating_sub(1)) / 4
}

/// The frames the condition shows: `first` as it is, later frames grey wherever their mask says generate.
///
/// `frames[0]` is replaced by `first`, so the same call serves learning (the source's own first frame) and generation
/// (the edited one).
pub fn shown_frames(first: &Frame, frames: &[Frame], masks: &[Frame]) -> Vec<Frame> {
    let later = frames.iter().zip(masks).skip(1).map(|(frame, mask)| greyed(frame, mask));
    std::iter::once(first.clone()).chain(later).collect()
}

fn greyed(frame: &Frame, mask: &Frame) -> Frame {
    let mut shown = frame.clone();
    let pixels = shown.data.chunks_exact_mut(frame.channels);
    for (pixel, mask) in pixels.zip(mask.data.chunks_exact(mask.channels)) {
        if mask[0] > 0.0 {
            pixel[..3].fill(GREY);
        }
    }
    shown
}

/// The mask channels of the condition, (1, 4, F', h, w), 1 = keep.
///
/// Pixel frame 0 is kept whole and fills all four channels of latent frame 0; latent frame k >= 1, channel c holds
/// pixel frame 4k-3+c. A latent cell is "generate" if any of its `cell` x `cell` pixels is.
pub fn packed_mask(masks: &[Frame], cell: usize, device: &Device) -> Result<Tensor> {
    let Some(first) = masks.first() else { candle_core::bail!("no mask frames") };
    if masks.len() % 4 != 1 {
        candle_core::bail!("a clip of {} frames is not 4n+1", masks.len());
    }
    let (h, w) = (first.height / cell, first.width / cell);
    let kept = vec![1f32; h * w];
    let cells: Vec<Vec<f32>> = masks.iter().skip(1).map(|mask| kept_cells(mask, cell)).collect();
    let mut packed = Vec::with_capacity(4 * latent_frames(masks.len()) * h * w);
    for channel in 0..4 {
        packed.extend_from_slice(&kept);
        for group in cells.chunks_exact(4) {
            packed.extend_from_slice(&group[channel]);
        }
    }
    Tensor::from_vec(packed, (1, 4, latent_frames(masks.len()), h, w), device)
}

/// One mask frame on the latent grid, rows top-down: 1 where none of the cell's pixels is to be generated.
fn kept_cells(mask: &Frame, cell: usize) -> Vec<f32> {
    let (h, w) = (mask.height / cell, mask.width / cell);
    let touched = |x: usize, y: usize| {
        (y * cell..(y + 1) * cell).any(|py| (x * cell..(x + 1) * cell).any(|px| mask.pixel(px, py)[0] > 0.0))
    };
    (0..h)
        .flat_map(|y| (0..w).map(move |x| (x, y)))
        .map(|(x, y)| if touched(x, y) { 0.0 } else { 1.0 })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: usize = 8;

    fn empty() -> Frame {
        Frame::new(24, 16, 1)
    }

    fn with_pixel(x: usize, y: usize) -> Frame {
        let mut mask = empty();
        mask.pixel_mut(x, y)[0] = 0.01;
        mask
    }

    fn at(packed: &Tensor, index: [usize; 4]) -> f32 {
        let [c, f, y, x] = index;
        let values = packed.squeeze(0).unwrap();
        values.get(c).unwrap().get(f).unwrap().get(y).unwrap().get(x).unwrap().to_scalar().unwrap()
    }

    /// A mask in pixel frame p alone must appear in latent frame (p+3)/4, channel p-1 mod 4, and nowhere else.
    #[test]
    fn each_pixel_frame_has_its_own_place() {
        for p in 1..9 {
            let mut masks = vec![empty(); 9];
            masks[p] = with_pixel(17, 9);
            let packed = packed_mask(&masks, CELL, &Device::Cpu).unwrap();
            assert_eq!(packed.dims(), [1, 4, 3, 2, 3]);
            let zeros: f32 = (1.0 - &packed).unwrap().sum_all().unwrap().to_scalar().unwrap();
            assert_eq!(zeros, 1.0, "pixel frame {p}");
            let (k, c) = (p.div_ceil(4), (p - 1) % 4);
            assert_eq!(p, 4 * k - 3 + c);
            assert_eq!(at(&packed, [c, k, 1, 2]), 0.0, "pixel frame {p}");
        }
    }

    #[test]
    fn the_first_frame_is_kept_whatever_its_mask_says() {
        let mut masks = vec![empty(); 5];
        masks[0] = with_pixel(0, 0);
        let packed = packed_mask(&masks, CELL, &Device::Cpu).unwrap();
        assert_eq!(packed.min_all().unwrap().to_scalar::<f32>().unwrap(), 1.0);
    }

    #[test]
    fn any_touched_pixel_makes_its_cell_generate_and_no_other() {
        for (x, y) in [(0, 0), (7, 7), (8, 7), (23, 15)] {
            let cells = kept_cells(&with_pixel(x, y), CELL);
            let expected: Vec<f32> = (0..6).map(|i| f32::from(i != (y / 8) * 3 + x / 8)).collect();
            assert_eq!(cells, expected, "pixel {x},{y}");
        }
    }

    #[test]
    fn a_clip_that_is_not_4n_plus_1_is_refused() {
        assert!(packed_mask(&vec![empty(); 8], CELL, &Device::Cpu).is_err());
    }

    #[test]
    fn what_lies_under_the_mask_of_later_frames_is_never_shown() {
        let frames = |hidden: f32| {
            let mut frame = Frame::filled(24, 16, &[0.3, 0.5, 0.7]);
            frame.pixel_mut(3, 4).fill(hidden);
            vec![frame; 5]
        };
        let (masks, first) = (vec![with_pixel(3, 4); 5], frames(0.4).remove(0));
        assert_eq!(shown_frames(&first, &frames(0.1), &masks), shown_frames(&first, &frames(0.9), &masks));
    }

    #[test]
    fn grey_is_painted_inside_the_mask_of_later_frames_only() {
        let mut source = Frame::new(24, 16, 3);
        source.data.fill(0.9);
        let mut edited = source.clone();
        edited.data.fill(0.2);
        let shown =
            shown_frames(&edited, &[source.clone(), source.clone()], &[with_pixel(3, 4), with_pixel(3, 4)]);
        assert_eq!(shown[0], edited);
        assert_eq!(shown[1].pixel(3, 4), [GREY; 3]);
        assert_eq!(shown[1].data.iter().filter(|v| **v != 0.9).count(), 3);
    }
}
