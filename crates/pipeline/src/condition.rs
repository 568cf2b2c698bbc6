//! The mask-aware condition of an image-to-video transformer: grey painted in pixels, the mask packed on the latent grid.
//!
//! METHOD.md section 1. Generation masks come in as frames of one channel, above 0 = generate; on the latent grid the
//! polarity turns: **1 = keep, 0 = generate**.

use candle_core::{Device, Result, Tensor};
use lora_edit_shot::Frame;

use crate::clip::Clip;

/// The code value painted where the mask says generate: 0 in [-1, 1].
pub const GREY: f32 = 0.5;

/// Latent frames of a clip of `frames` = 1 + 4n pixel frames: 1 + n.
pub fn latent_frames(frames: usize) -> usize {
    1 + (frames.saturating_sub(1)) / 4
}

/// The frames the condition shows: what is held as it is, the others grey wherever their mask says generate.
///
/// Held is the first frame (the source's own in learning, the edited one in generation), and whatever else is known: a
/// further key, or frames that the pass before has made. Grey is painted in pixels, so nothing leaks through time. A draft
/// is shown as it is: what of it is to be generated the mask alone says.
pub fn shown_frames(clip: &Clip) -> Vec<Frame> {
    let shown = |i: usize| match &clip.held[i] {
        Some(picture) => picture.clone(),
        None if clip.drafted[i] => clip.frames[i].clone(),
        None => greyed(&clip.frames[i], &clip.masks[i]),
    };
    (0..clip.frames.len()).map(shown).collect()
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
/// Pixel frame 0 fills all four channels of latent frame 0; latent frame k >= 1, channel c holds pixel frame 4k-3+c.
/// So each later frame has a place of its own, and one that is held is marked exactly; the latent it shares with three
/// others shows it as far as the autoencoder can tell them apart, best where it is the last of the four. A latent
/// cell of a frame that is not held is "generate" if any of its `cell` x `cell` pixels is.
pub fn packed_mask(clip: &Clip, cell: usize, device: &Device) -> Result<Tensor> {
    let (Some(first), count) = (clip.masks.first(), clip.masks.len()) else {
        candle_core::bail!("no mask frames")
    };
    if count % 4 != 1 {
        candle_core::bail!("a clip of {count} frames is not 4n+1");
    }
    let (h, w) = (first.height / cell, first.width / cell);
    let cells = |(held, mask): (&Option<Frame>, &Frame)| match held {
        Some(_) => vec![1f32; h * w],
        None => kept_cells(mask, cell),
    };
    let cells: Vec<Vec<f32>> = clip.held.iter().zip(&clip.masks).map(cells).collect();
    let mut packed = Vec::with_capacity(4 * latent_frames(count) * h * w);
    for channel in 0..4 {
        packed.extend_from_slice(&cells[0]);
        for group in cells[1..].chunks_exact(4) {
            packed.extend_from_slice(&group[channel]);
        }
    }
    Tensor::from_vec(packed, (1, 4, latent_frames(count), h, w), device)
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

    /// A clip of these masks over mid-grey frames; the frames `held` are black.
    fn clip(masks: Vec<Frame>, held: &[usize]) -> Clip {
        let frames = vec![Frame::filled(24, 16, &[0.9; 3]); masks.len()];
        let black = |index| held.contains(&index).then(|| Frame::new(24, 16, 3));
        let held = (0..masks.len()).map(black).collect();
        let drafted = vec![false; masks.len()];
        Clip { comp_masks: masks.clone(), kept: masks.len(), frames, masks, held, drafted }
    }

    /// A mask in pixel frame p alone must appear in latent frame (p+3)/4, channel p-1 mod 4, and nowhere else.
    #[test]
    fn each_pixel_frame_has_its_own_place() {
        for p in 1..9 {
            let mut masks = vec![empty(); 9];
            masks[p] = with_pixel(17, 9);
            let packed = packed_mask(&clip(masks, &[0]), CELL, &Device::Cpu).unwrap();
            assert_eq!(packed.dims(), [1, 4, 3, 2, 3]);
            let zeros: f32 = (1.0 - &packed).unwrap().sum_all().unwrap().to_scalar().unwrap();
            assert_eq!(zeros, 1.0, "pixel frame {p}");
            let (k, c) = (p.div_ceil(4), (p - 1) % 4);
            assert_eq!(p, 4 * k - 3 + c);
            assert_eq!(at(&packed, [c, k, 1, 2]), 0.0, "pixel frame {p}");
        }
    }

    /// All frames are to be generated everywhere; the held ones alone are kept, each in its own place.
    #[test]
    fn each_held_frame_is_kept_in_its_own_place_and_no_other() {
        let everywhere = || vec![Frame::filled(24, 16, &[1.0]); 13];
        for p in 1..13 {
            let packed = packed_mask(&clip(everywhere(), &[0, p]), CELL, &Device::Cpu).unwrap();
            let kept: f32 = packed.sum_all().unwrap().to_scalar().unwrap();
            assert_eq!(kept, 6.0 * (4.0 + 1.0), "pixel frame {p}");
            let (k, c) = (p.div_ceil(4), (p - 1) % 4);
            (0..6).for_each(|i| assert_eq!(at(&packed, [c, k, i / 3, i % 3]), 1.0, "pixel frame {p}"));
        }
    }

    #[test]
    fn frames_that_fill_a_latent_frame_are_kept_in_all_of_it() {
        let masks = vec![Frame::filled(24, 16, &[1.0]); 9];
        let packed = packed_mask(&clip(masks, &[0, 1, 2, 3, 4]), CELL, &Device::Cpu).unwrap();
        let least =
            |latent: usize| packed.narrow(2, latent, 1).unwrap().min_all().unwrap().to_scalar::<f32>();
        let most = |latent: usize| packed.narrow(2, latent, 1).unwrap().max_all().unwrap().to_scalar::<f32>();
        assert_eq!((least(0).unwrap(), least(1).unwrap(), most(2).unwrap()), (1.0, 1.0, 0.0));
    }

    #[test]
    fn a_held_first_frame_is_kept_whatever_its_mask_says_and_one_that_is_not_held_is_not() {
        let mut masks = vec![empty(); 5];
        masks[0] = with_pixel(0, 0);
        let least = |held: &[usize]| {
            let packed = packed_mask(&clip(masks.clone(), held), CELL, &Device::Cpu).unwrap();
            packed.min_all().unwrap().to_scalar::<f32>().unwrap()
        };
        assert_eq!((least(&[0]), least(&[])), (1.0, 0.0));
        let still = packed_mask(&clip(vec![with_pixel(0, 0)], &[]), CELL, &Device::Cpu).unwrap();
        assert_eq!(still.dims(), [1, 4, 1, 2, 3]);
        assert!((0..4).all(|channel| at(&still, [channel, 0, 0, 0]) == 0.0), "all channels of a still");
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
        assert!(packed_mask(&clip(vec![empty(); 8], &[0]), CELL, &Device::Cpu).is_err());
    }

    #[test]
    fn what_lies_under_the_mask_of_frames_that_are_not_held_is_never_shown() {
        let with_hidden = |hidden: f32| {
            let mut clip = clip(vec![with_pixel(3, 4); 5], &[0, 3]);
            clip.frames.iter_mut().for_each(|frame| frame.pixel_mut(3, 4).fill(hidden));
            shown_frames(&clip)
        };
        assert_eq!(with_hidden(0.1), with_hidden(0.9));
    }

    #[test]
    fn drafts_are_shown_as_they_are_and_marked_where_they_are_to_be_generated() {
        let mut drafted = clip(vec![with_pixel(3, 4); 5], &[0]);
        drafted.drafted[2] = true;
        let shown = shown_frames(&drafted);
        assert_eq!((shown[2].pixel(3, 4), shown[1].pixel(3, 4)), ([0.9; 3].as_slice(), [GREY; 3].as_slice()));
        let packed = packed_mask(&drafted, CELL, &Device::Cpu).unwrap();
        assert_eq!(at(&packed, [1, 1, 0, 0]), 0.0, "frame 2 is in channel 1 of latent frame 1");
    }

    #[test]
    fn held_frames_are_shown_as_they_are_and_others_grey_inside_the_mask_only() {
        let shown = shown_frames(&clip(vec![with_pixel(3, 4); 5], &[0, 3]));
        for (index, frame) in shown.iter().enumerate() {
            match index {
                0 | 3 => assert_eq!(frame, &Frame::new(24, 16, 3)),
                _ => {
                    assert_eq!(frame.pixel(3, 4), [GREY; 3]);
                    assert_eq!(frame.data.iter().filter(|v| **v != 0.9).count(), 3);
                }
            }
        }
    }
}
