//! From a scene to the frames of a shot, by supersampling in space and, for motion blur, in time.

use lora_edit_shot::Frame;

use super::{Sample, Scene, Time};
use crate::eval::geometry::Vec2;
use crate::eval::shot::Format;

/// Samples per pixel and axis without motion blur, and with it.
const SAMPLES: [usize; 2] = [4, 6];

/// One frame, in scene-linear light.
pub struct Instant {
    /// The plate, RGB.
    pub source: Frame,
    /// Part of the pixel, and of the shutter's time, that shows the body. One channel; exactly 0 and 1 where none or
    /// all of it does.
    pub mask: Frame,
    /// The plate as it would have been filmed with the body painted, RGB.
    pub truth: Frame,
}

/// Renders frame `index` of a shot.
pub fn render(scene: &Scene, format: &Format, index: usize) -> Instant {
    let [width, height] = format.size;
    let mut instant = Instant {
        source: Frame::new(width, height, 3),
        mask: Frame::new(width, height, 1),
        truth: Frame::new(width, height, 3),
    };
    let moments = moments(scene, format, index);
    for y in 0..height {
        for x in 0..width {
            let pixel = pixel(scene, format, [x, y], &moments);
            instant.source.pixel_mut(x, y).copy_from_slice(&pixel.source);
            instant.truth.pixel_mut(x, y).copy_from_slice(&pixel.truth);
            instant.mask.pixel_mut(x, y)[0] = pixel.coverage;
        }
    }
    instant
}

/// The time of each sample of a pixel: spread over the shutter's opening, neighbours far apart in time.
fn moments(scene: &Scene, format: &Format, index: usize) -> Vec<Time> {
    let count = SAMPLES[usize::from(scene.shutter > 0.0)].pow(2);
    let step = 1.0 / (format.frames - 1).max(1) as f32;
    let moment = |sample: usize| {
        let part = ((sample * 7) % count) as f32 + 0.5;
        (index as f32 + scene.shutter * (part / count as f32 - 0.5)) * step
    };
    (0..count).map(moment).collect()
}

struct Pixel {
    source: [f32; 3],
    truth: [f32; 3],
    coverage: f32,
}

fn pixel(scene: &Scene, format: &Format, [x, y]: [usize; 2], moments: &[Time]) -> Pixel {
    let side = SAMPLES[usize::from(scene.shutter > 0.0)];
    let (mut source, mut truth, mut covered) = ([0.0f32; 3], [0.0f32; 3], 0usize);
    for (sample, &time) in moments.iter().enumerate() {
        let offset = |i: usize| (i as f32 + 0.5) / side as f32;
        let at = format.position([x as f32 + offset(sample % side), y as f32 + offset(sample / side)]);
        let Sample { source: plain, truth: painted, body } = scene.sample(at, time);
        for channel in 0..3 {
            source[channel] += plain[channel];
            truth[channel] += painted[channel];
        }
        covered += usize::from(body);
    }
    let mean = |sum: [f32; 3]| sum.map(|value| value / moments.len() as f32);
    Pixel { source: mean(source), truth: mean(truth), coverage: covered as f32 / moments.len() as f32 }
}

/// For each pixel whose middle shows the body: where its surface point was in the frame before, in pixels.
pub fn motion(scene: &Scene, format: &Format, index: usize) -> Vec<Option<Vec2>> {
    let time = |index: usize| index as f32 / (format.frames - 1).max(1) as f32;
    let (now, before) = (time(index), time(index.saturating_sub(1)));
    let [width, height] = format.size;
    let origin = |i: usize| {
        let at = format.position([(i % width) as f32 + 0.5, (i / width) as f32 + 0.5]);
        scene.carried(at, now, before).map(|there| format.pixel(there))
    };
    (0..width * height).map(origin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::scene::Kind;
    use crate::eval::seeds::Split;

    const SMALL: Format = Format { size: [96, 56], frames: 9 };

    #[test]
    fn truth_is_the_source_outside_the_mask_and_differs_inside() {
        for kind in Kind::ALL {
            let scene = kind.scene(Split::Train, 0, &SMALL);
            for index in [0, 4, 8] {
                let Instant { source, mask, truth } = render(&scene, &SMALL, index);
                let mut changed = 0;
                for (i, cover) in mask.data.iter().enumerate() {
                    let same =
                        (0..3).all(|c| source.data[3 * i + c].to_bits() == truth.data[3 * i + c].to_bits());
                    assert!(same || *cover > 0.0, "{kind:?} {index}: pixel {i} changed outside the mask");
                    changed += usize::from(!same);
                }
                // A post may hide most of a small edit for a while.
                assert!(changed > 40, "{kind:?} {index}: {changed} pixels changed");
                assert!(mask.data.contains(&0.0) && mask.data.contains(&1.0), "{kind:?}");
                assert!(mask.data.iter().any(|&v| 0.0 < v && v < 1.0), "{kind:?}: no soft edge");
                assert!(truth.data.iter().chain(&source.data).all(|v| (0.0..=1.0).contains(v)), "{kind:?}");
            }
        }
    }

    #[test]
    fn seeds_repeat_and_differ() {
        for kind in Kind::ALL {
            let first = |split, index| render(&kind.scene(split, index, &SMALL), &SMALL, 0).truth;
            assert_eq!(first(Split::Train, 1), first(Split::Train, 1), "{kind:?}");
            assert_ne!(first(Split::Train, 1), first(Split::Train, 2), "{kind:?}");
            assert_ne!(first(Split::Train, 1), first(Split::Test, 1), "{kind:?}");
        }
    }

    #[test]
    fn the_body_moves_and_its_points_are_found_again() {
        for kind in Kind::ALL {
            let scene = kind.scene(Split::Train, 0, &SMALL);
            let mut longest = 0.0f32;
            let mut found = 0;
            for index in 1..SMALL.frames {
                for (i, origin) in motion(&scene, &SMALL, index).into_iter().enumerate() {
                    let Some([x, y]) = origin else { continue };
                    let [dx, dy] = [x - (i % 96) as f32 - 0.5, y - (i / 96) as f32 - 0.5];
                    longest = longest.max(dx.hypot(dy));
                    found += 1;
                }
            }
            assert!(longest > 0.8 && longest < 40.0, "{kind:?}: {longest} pixels at most");
            assert!(found > 300, "{kind:?}: {found} points");
        }
    }

    #[test]
    fn a_carried_point_shows_the_same_surface() {
        for kind in Kind::ALL {
            let scene = kind.scene(Split::Train, 2, &SMALL);
            for i in (0..96 * 56).step_by(7) {
                let at = SMALL.position([(i % 96) as f32 + 0.5, (i / 96) as f32 + 0.5]);
                let Some(there) = scene.carried(at, 0.5, 0.6) else { continue };
                let (here, there) = (scene.visible(at, 0.5).unwrap(), scene.visible(there, 0.6).unwrap());
                assert!(
                    (here.uv[0] - there.uv[0]).abs() < 2e-3 && (here.uv[1] - there.uv[1]).abs() < 2e-3,
                    "{kind:?}"
                );
            }
        }
    }
}
