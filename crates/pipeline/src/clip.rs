//! A shot as the model takes it: frames and masks padded to 4n+1 by reflection, first frame first.

use lora_edit_shot::Frame;
use lora_edit_shot::package::{ShotFrame, ShotPackage};
use lora_edit_shot::range::{padded_4n1, reflected_indices};

use crate::looks::Look;

/// The padded clip of a shot, in working code values.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// Working frames, 4n+1 of them.
    pub frames: Vec<Frame>,
    /// Generation masks, one per frame, above 0 = generate.
    pub masks: Vec<Frame>,
    /// The artist's soft masks, one per frame.
    pub comp_masks: Vec<Frame>,
    /// How many of the frames are the shot's; the rest is padding.
    pub kept: usize,
}

impl Clip {
    /// Pads the shot's frames and masks alike.
    pub fn from_shot(shot: &ShotPackage) -> Self {
        let kept = shot.frames.len();
        let order = reflected_indices(kept, padded_4n1(kept));
        let padded = |part: fn(&ShotFrame) -> &Frame| {
            order.iter().map(|&index| part(&shot.frames[index]).clone()).collect()
        };
        let (frames, masks) = (padded(|frame| &frame.source), padded(|frame| &frame.generation_mask));
        Self { frames, masks, comp_masks: padded(|frame| &frame.comp_mask), kept }
    }

    /// The same clip, its pixels inside the artist's mask in another look.
    pub fn recoloured(&self, look: &Look) -> Self {
        let shown = self.frames.iter().zip(&self.comp_masks);
        Self { frames: shown.map(|(frame, mask)| look.apply(frame, mask)).collect(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lora_edit_shot::package::ShotInfo;
    use lora_edit_shot::{ColourSpace, Fit, FrameRange, Rect, WorkingSpace};

    fn shot(frames: i32) -> ShotPackage {
        let fit = Fit { source_size: [16, 16], crop: Rect::new(0, 0, 16, 16), working_size: [16, 16] };
        let frame = |number| ShotFrame {
            number,
            source: Frame::filled(16, 16, &[number as f32 / 100.0; 3]),
            comp_mask: Frame::new(16, 16, 1),
            generation_mask: Frame::filled(16, 16, &[number as f32]),
        };
        let (input_space, working_space) = (ColourSpace::Srgb, WorkingSpace::Srgb);
        let info = ShotInfo { fit, frames: FrameRange::span(1, frames), input_space, working_space };
        ShotPackage { info, frames: (1..=frames).map(frame).collect() }
    }

    #[test]
    fn the_end_is_padded_by_reflection_with_its_masks() {
        let clip = Clip::from_shot(&shot(6));
        let numbers: Vec<f32> = clip.masks.iter().map(|mask| mask.data[0]).collect();
        assert_eq!(numbers, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 5.0, 4.0, 3.0]);
        assert!(clip.frames.iter().zip(&numbers).all(|(f, n)| f.data[0] == n / 100.0));
        assert_eq!(clip.kept, 6);
    }

    #[test]
    fn a_clip_of_4n_plus_1_frames_stays_as_it_is() {
        assert_eq!(Clip::from_shot(&shot(9)).frames.len(), 9);
        assert_eq!(Clip::from_shot(&shot(1)).frames.len(), 1);
    }
}
