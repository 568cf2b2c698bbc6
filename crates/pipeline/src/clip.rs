//! A window of a shot as the model takes it: frames and masks in the window's order, padded to 4n+1 by reflection.

use lora_edit_shot::Frame;
use lora_edit_shot::job::Shown;
use lora_edit_shot::package::{ShotFrame, ShotPackage};

use crate::looks::Look;
use crate::windows::Window;

/// A padded window of a shot, in working code values.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// Working frames, 4n+1 of them.
    pub frames: Vec<Frame>,
    /// Generation masks, one per frame, above 0 = generate.
    pub masks: Vec<Frame>,
    /// The artist's soft masks, one per frame.
    pub comp_masks: Vec<Frame>,
    /// What the model is shown whole at a frame, mask or not; grey covers the mask of all others.
    pub held: Vec<Option<Frame>>,
    /// Whether a frame is a draft: shown as it is where it is to be generated too, not grey.
    pub drafted: Vec<bool>,
    /// How many of the frames are the window's; the rest is padding.
    pub kept: usize,
}

impl Clip {
    /// The frames of `window` and their masks; nothing is held.
    pub fn of(shot: &ShotPackage, window: Window) -> Self {
        let order = window.padded();
        let picked = |part: fn(&ShotFrame) -> &Frame| -> Vec<Frame> {
            order.iter().map(|&position| part(&shot.frames[position]).clone()).collect()
        };
        let frames = picked(|frame| &frame.source);
        Self {
            held: vec![None; frames.len()],
            drafted: vec![false; frames.len()],
            frames,
            masks: picked(|frame| &frame.generation_mask),
            comp_masks: picked(|frame| &frame.comp_mask),
            kept: window.frames(),
        }
    }

    /// One picture with its mask: to learn a look from. Nothing is held, so that the look must be learnt.
    pub fn still(frame: Frame, mask: Frame) -> Self {
        Self {
            frames: vec![frame],
            comp_masks: vec![mask.clone()],
            masks: vec![mask],
            held: vec![None],
            drafted: vec![false],
            kept: 1,
        }
    }

    /// The same clip, its pixels inside the artist's mask in another look. What is held stays as it is.
    pub fn recoloured(&self, look: &Look) -> Self {
        let shown = self.frames.iter().zip(&self.comp_masks);
        Self { frames: shown.map(|(frame, mask)| look.apply(frame, mask)).collect(), ..self.clone() }
    }

    /// The same clip, of which the model is shown only this.
    pub fn showing(mut self, shown: Shown) -> Self {
        match shown {
            Shown::Whole => {}
            Shown::FirstFrame => {
                self.masks.iter_mut().for_each(|mask| mask.data.fill(1.0));
                self.drafted.fill(false);
            }
            Shown::Surroundings => self.held.fill(None),
        }
        self
    }

    /// The same clip with its own first frame held: what the shot is learnt from.
    pub fn holding_its_first(self) -> Self {
        let first = self.frames.first().cloned();
        Self { held: first.into_iter().map(Some).chain(self.held.into_iter().skip(1)).collect(), ..self }
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
            comp_mask: Frame::filled(16, 16, &[0.5]),
            generation_mask: Frame::filled(16, 16, &[number as f32]),
        };
        let (input_space, working_space) = (ColourSpace::Srgb, WorkingSpace::Srgb);
        let info = ShotInfo { fit, frames: FrameRange::span(1, frames), input_space, working_space };
        ShotPackage { info, frames: (1..=frames).map(frame).collect() }
    }

    fn numbers(clip: &Clip) -> Vec<f32> {
        assert!(
            clip.frames.iter().zip(&clip.masks).all(|(frame, mask)| frame.data[0] == mask.data[0] / 100.0)
        );
        clip.masks.iter().map(|mask| mask.data[0]).collect()
    }

    #[test]
    fn the_end_is_padded_by_reflection_with_its_masks() {
        let clip = Clip::of(&shot(6), Window::whole(6));
        assert_eq!(numbers(&clip), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 5.0, 4.0, 3.0]);
        assert_eq!(clip.kept, 6);
    }

    #[test]
    fn a_window_backwards_has_frames_and_masks_backwards() {
        let clip = Clip::of(&shot(9), Window { first: 6, last: 2 });
        assert_eq!(numbers(&clip), [7.0, 6.0, 5.0, 4.0, 3.0]);
        assert_eq!(clip.kept, 5);
    }

    #[test]
    fn a_clip_of_4n_plus_1_frames_stays_as_it_is() {
        assert_eq!(Clip::of(&shot(9), Window::whole(9)).frames.len(), 9);
        assert_eq!(Clip::of(&shot(1), Window::whole(1)).frames.len(), 1);
    }

    #[test]
    fn parts_of_the_condition_are_left_out_alone() {
        let mut clip = Clip::of(&shot(5), Window::whole(5)).holding_its_first();
        clip.drafted[2] = true;
        assert_eq!(clip.clone().showing(Shown::Whole), clip);
        let first = clip.clone().showing(Shown::FirstFrame);
        assert!(first.masks.iter().all(|mask| mask.data == [1.0; 256]) && !first.drafted.contains(&true));
        assert_eq!((&first.held, &first.frames), (&clip.held, &clip.frames));
        let around = clip.clone().showing(Shown::Surroundings);
        assert_eq!(around, Clip { held: vec![None; 5], ..clip });
    }

    #[test]
    fn the_first_frame_is_held_in_the_look_it_is_learnt_in() {
        let clip = Clip::of(&shot(5), Window::whole(5)).recoloured(&Look::draw(1, 0)).holding_its_first();
        assert_eq!(clip.held[0].as_ref(), Some(&clip.frames[0]));
        assert!(clip.held[1..].iter().all(Option::is_none));
    }
}
