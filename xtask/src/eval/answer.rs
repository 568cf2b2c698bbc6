//! The answers that are compared, and the simple ones among them.

use lora_edit_motion::carry::Carried;
use lora_edit_shot::composite::{Composite, Layer, blend};
use lora_edit_shot::{ColourSpace, Frame, WorkingSpace, colour};
use serde::Serialize;

use super::shot::Shot;

/// Who made an edited shot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The plate as it is.
    NoEdit,
    /// The painted frame at every frame.
    FirstHeld,
    /// The painted frame carried by each frame's own flow to the first.
    FlowDirect,
    /// The painted frame carried by flow from frame to frame.
    FlowAccumulated,
    /// The painted frame carried by the product's own motion, no model.
    Carried,
    /// The same, and the truth where the paint is not known: no model exceeds it that keeps what is known.
    CarriedRestTrue,
    /// The product without the shot's adapter.
    WithoutLora,
    /// The product.
    Ours,
    /// The truth through the model's VAE and back: what no model on that VAE exceeds.
    VaeAlone,
    /// The truth itself: what is left of warp error.
    Truth,
}

/// A shot's frames in scene-linear light, over the plate.
pub type Clip = Vec<Frame>;

/// Pictures laid over the plate by the soft mask, in linear light, as the product's composite does it.
pub fn composited<'a>(shot: &Shot, pictures: impl IntoIterator<Item = &'a Frame>) -> Clip {
    let over = |((picture, source), mask): ((&Frame, &Frame), &Frame)| {
        let mut out = source.clone();
        for (index, value) in out.data.iter_mut().enumerate() {
            *value = blend(*value, picture.data[index], mask.data[index / 3]);
        }
        out
    };
    pictures.into_iter().zip(&shot.source).zip(&shot.mask).map(over).collect()
}

/// The answers that need no other program.
pub fn simple(shot: &Shot) -> Vec<(Answer, Clip)> {
    let held = composited(shot, std::iter::repeat_n(shot.painted(), shot.format.frames));
    vec![
        (Answer::NoEdit, shot.source.clone()),
        (Answer::FirstHeld, held),
        (Answer::Truth, shot.truth.clone()),
    ]
}

/// The painted frame carried along the surface in each frame's light: what the product begins with. Beside it what the best of
/// models could make of that.
pub fn carried(shot: &Shot) -> [(Answer, Clip); 2] {
    let working: Vec<Frame> = shot.source.iter().map(display).collect();
    let (frames, masks): (Vec<&Frame>, Vec<&Frame>) = (working.iter().collect(), shot.mask.iter().collect());
    let prepared = lora_edit_motion::carry::Shot::new(&frames, &masks, WorkingSpace::Srgb);
    let followed = prepared.follow(0, 0..shot.source.len(), &mut |_| true).ok().flatten();
    let carried = followed.map_or_else(Vec::new, |way| way.carry(&prepared, &display(shot.painted())));
    let alone: Clip = match carried.is_empty() {
        true => shot.source.clone(),
        false => carried.iter().enumerate().map(|(t, carried)| over(shot, t, carried)).collect(),
    };
    let rest = alone.iter().zip(&shot.truth).enumerate();
    let rest = rest.map(|(t, (alone, truth))| rest_true(alone, truth, carried.get(t)));
    let rest = rest.collect();
    [(Answer::Carried, alone), (Answer::CarriedRestTrue, rest)]
}

/// What is carried to frame `t`, as the product lays it over the plate.
fn over(shot: &Shot, t: usize, carried: &Carried) -> Frame {
    let (picture, surface) = (light(carried.picture.clone()), Some(light(carried.surface.clone())));
    let composite =
        Composite { generated: &Layer { picture, surface }, crop: shot.source[t].rect(), mix: 1.0 };
    composite.frame(&shot.source[t], &shot.mask[t]).expect("one size")
}

/// `alone` with the truth where the paint is not known.
fn rest_true(alone: &Frame, truth: &Frame, carried: Option<&Carried>) -> Frame {
    let mut out = alone.clone();
    let known = |pixel: usize| carried.map_or(0.0, |carried| carried.known.data[pixel].clamp(0.0, 1.0));
    for (i, (value, truth)) in out.data.iter_mut().zip(&truth.data).enumerate() {
        *value = blend(*truth, *value, known(i / alone.channels));
    }
    out
}

/// As a screen shows it: sRGB code values in 0..1.
pub fn display(frame: &Frame) -> Frame {
    colour::to_display(frame, ColourSpace::Linear)
}

/// Display code values back to light; alpha stays.
pub fn light(mut frame: Frame) -> Frame {
    let colours = frame.channels.min(3);
    let pixels = frame.data.chunks_exact_mut(frame.channels);
    pixels.for_each(|pixel| {
        pixel[..colours].iter_mut().for_each(|v| *v = colour::to_linear(ColourSpace::Srgb, *v))
    });
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::scene::Kind;
    use crate::eval::seeds::Split;
    use crate::eval::shot::Format;
    use lora_edit_motion::plane::Plane;

    #[test]
    fn the_truth_laid_over_the_plate_is_the_truth_at_full_coverage_and_the_plate_at_none() {
        let shot = Shot::render(Kind::Ball, Split::Train, 0, Format { size: [96, 56], frames: 2 });
        let over = composited(&shot, &shot.truth);
        for (i, cover) in shot.mask[1].data.iter().enumerate() {
            let wanted = if *cover == 0.0 { &shot.source[1] } else { &shot.truth[1] };
            let exact = *cover == 0.0 || *cover == 1.0;
            assert!(!exact || over[1].data[3 * i] == wanted.data[3 * i], "pixel {i}");
        }
    }

    #[test]
    fn the_first_frame_held_is_exact_at_the_first_frame_inside() {
        let shot = Shot::render(Kind::Plane, Split::Train, 0, Format { size: [96, 56], frames: 2 });
        let (_, held) = &simple(&shot)[1];
        let full = shot.mask[0].data.iter().position(|cover| *cover == 1.0).unwrap();
        assert_eq!(held[0].pixel(full % 96, full / 96), shot.truth[0].pixel(full % 96, full / 96));
    }

    #[test]
    fn the_rest_is_the_truth_where_paint_is_not_known() {
        let [alone, truth] = [0.2, 0.8].map(|level| Frame::filled(3, 1, &[level; 3]));
        let known = Plane { width: 3, height: 1, data: vec![1.0, 0.0, 0.5] };
        let carried = Carried { picture: alone.clone(), surface: Frame::filled(3, 1, &[0.0; 4]), known };
        let red =
            |carried| rest_true(&alone, &truth, carried).data.iter().step_by(3).copied().collect::<Vec<_>>();
        assert_eq!(red(Some(&carried)), [0.2, 0.8, 0.5]);
        assert_eq!(red(None), [0.8; 3], "nothing was carried");
    }
}
