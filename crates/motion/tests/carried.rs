//! Paint carried along a card, beside what the painted card would look like.

mod scene;

use lora_edit_motion::carry::{Carried, Shot, TooLittle};
use lora_edit_shot::colour::{linear_to_srgb, to_linear};
use lora_edit_shot::{ColourSpace, Frame, WorkingSpace};
use scene::{Scene, painted, plate, psnr};

struct Made {
    frames: Vec<Frame>,
    masks: Vec<Frame>,
    truth: Vec<Frame>,
    carried: Vec<Carried>,
}

fn prepared(frames: &[Frame], masks: &[Frame]) -> Shot {
    let (frames, masks): (Vec<_>, Vec<_>) = (frames.iter().collect(), masks.iter().collect());
    Shot::new(&frames, &masks, WorkingSpace::Srgb)
}

fn carried(frames: &[Frame], masks: &[Frame], key: usize, paint: &Frame) -> Vec<Carried> {
    let shot = prepared(frames, masks);
    let followed = shot.follow(key, 0..frames.len(), &mut |_| true).expect("the key shows the card");
    followed.expect("nobody stopped it").carry(&shot, paint)
}

fn made(scene: &Scene, key: usize) -> Made {
    let (frames, masks) = scene.render(plate);
    let (truth, _) = scene.render(painted);
    // The key is painted over its own plate: in that frame's light.
    let carried = carried(&frames, &masks, key, &truth[key]);
    Made { frames, masks, truth, carried }
}

/// The worst frame's agreement where the paint is said to be known, and everywhere inside, in dB.
fn worst(made: &Made) -> [f32; 2] {
    let each = made.carried.iter().zip(&made.truth).zip(&made.masks).map(|((carried, truth), mask)| {
        let known = psnr(&carried.picture, truth, mask, |i| carried.known.data[i] > 0.9);
        [known, psnr(&carried.picture, truth, mask, |_| true)]
    });
    let worst = each.fold([f32::INFINITY; 2], |a, b| [a[0].min(b[0]), a[1].min(b[1])]);
    println!("known {:.1} dB, all {:.1} dB", worst[0], worst[1]);
    worst
}

fn assert_finite(carried: &[Carried]) {
    for (t, carried) in carried.iter().enumerate() {
        assert!(carried.picture.data.iter().all(|v| v.is_finite()), "picture {t}");
        assert!(carried.known.data.iter().all(|v| (-1e-3..=1.001).contains(v)), "known {t}");
    }
}

#[test]
fn paint_goes_with_the_card() {
    let [known, all] = worst(&made(&Scene::new(5), 0));
    assert!(known > 35.0 && all > 30.0, "{known} {all}");
}

#[test]
fn the_plates_own_surface_goes_with_the_paint() {
    let made = made(&Scene::new(5), 0);
    for (t, carried) in made.carried.iter().enumerate() {
        let (surface, believed) = (carried.surface.to_rgb(), carried.surface.channel(3));
        let own = psnr(&surface, &made.frames[t], &made.masks[t], |i| believed.data[i] > 0.9);
        assert!(own > 35.0, "frame {t}: {own} dB");
        let many =
            believed.data.iter().zip(&made.masks[t].data).filter(|(b, m)| **b > 0.9 && **m == 1.0).count();
        let solid = made.masks[t].data.iter().filter(|m| **m == 1.0).count();
        assert!(10 * many > 9 * solid, "frame {t}: {many} of {solid} pixels");
    }
}

/// A roto that is soft two pixels beyond the card, where the plate shows no part of it.
#[test]
fn a_surface_that_the_plate_does_not_show_is_not_believed() {
    let (frames, masks) = Scene::new(3).render(plate);
    let soft = |mask: &Frame| {
        let solid = |x: usize, y: usize| mask.pixel(x, y)[0] == 1.0;
        let near = |x: usize, y: usize| {
            let reach = |v: usize, end: usize| v.saturating_sub(2)..(v + 3).min(end);
            reach(x, mask.width).any(|x| reach(y, mask.height).any(|y| solid(x, y)))
        };
        Frame::from_fn(mask.width, mask.height, 1, |x, y, out| {
            out[0] = if solid(x, y) { 1.0 } else { 0.5 * f32::from(near(x, y)) };
        })
    };
    let grown: Vec<Frame> = masks.iter().map(soft).collect();
    let carried = &carried(&frames, &grown, 0, &frames[0])[2];
    let beyond = |i: &usize| masks[2].data[*i] == 0.0 && grown[2].data[*i] == 0.5;
    let band: Vec<usize> = (0..masks[2].data.len()).filter(beyond).collect();
    let mean = |value: &dyn Fn(usize) -> f32| band.iter().map(|i| value(*i)).sum::<f32>() / band.len() as f32;
    let (known, believed) = (mean(&|i| carried.known.data[i]), mean(&|i| carried.surface.data[4 * i + 3]));
    assert!(
        known > 0.3 && believed < 0.6 * known,
        "{} pixels: {known} known, {believed} believed",
        band.len()
    );
}

#[test]
fn the_key_frame_keeps_its_paint() {
    let made = made(&Scene::new(4), 1);
    let key = psnr(&made.carried[1].picture, &made.truth[1], &made.masks[1], |_| true);
    assert!(key > 50.0, "{key} dB");
}

#[test]
fn paint_takes_each_frames_light() {
    let light = |t: f32, x: f32, _: f32| {
        [(1.0 + 0.1 * t) * (1.0 - 0.4 / (1.0 + (-(x - 40.0 - 5.0 * t) / 6.0).exp())), 0.02 * t]
    };
    let [known, all] = worst(&made(&Scene { light, ..Scene::new(5) }, 0));
    assert!(known > 30.0 && all > 27.0, "{known} {all}");
}

#[test]
fn paint_is_blurred_as_the_plate_is() {
    let [known, all] = worst(&made(&Scene::setting_off(), 0));
    assert!(known > 27.0 && all > 25.0, "{known} {all}");
}

/// The plate is a dye of itself: carried as one, what its way gets wrong is mended by the plate.
#[test]
fn a_dye_is_mended_by_the_plate_and_a_coat_is_not() {
    let (frames, masks) = Scene::setting_off().render(plate);
    let shot = prepared(&frames, &masks);
    let followed = shot.follow(0, 0..4, &mut |_| true).unwrap().unwrap();
    let last = |carried: Vec<Carried>| psnr(&carried[3].picture, &frames[3], &masks[3], |_| true);
    let (dye, coat) = (last(followed.carry(&shot, &frames[0])), last(followed.carry_coat(&shot, &frames[0])));
    println!("dye {dye:.1} dB, coat {coat:.1} dB");
    assert!(dye > coat + 3.0, "dye {dye} dB, coat {coat} dB");
}

#[test]
fn what_a_post_hid_in_the_key_frame_is_continued() {
    let made = made(&Scene { post: Some([52.0, 4.0]), ..Scene::new(5) }, 0);
    let [known, all] = worst(&made);
    assert!(known > 32.0 && all > 22.0, "{known} {all}");
    assert_finite(&made.carried);
}

#[test]
fn a_key_that_shows_too_little_is_refused() {
    let (frames, mut masks) = Scene::new(2).render(plate);
    masks[1].data.fill(0.0);
    let error = prepared(&frames, &masks).follow(1, 0..2, &mut |_| true).err();
    assert_eq!(error, Some(TooLittle(0)));
    assert!(prepared(&frames, &masks).follow(0, 0..2, &mut |_| false).unwrap().is_none());
}

#[test]
fn a_frame_without_the_surface_stops_nothing() {
    for empty in [1, 3] {
        let (frames, mut masks) = Scene::new(4).render(plate);
        masks[empty].data.fill(0.0);
        assert_finite(&carried(&frames, &masks, 0, &frames[0]));
    }
}

#[test]
fn a_mask_that_fills_the_frame_is_followed() {
    let scene = Scene { card: [400.0; 2], ..Scene::new(4) };
    let made = made(&scene, 0);
    assert_finite(&made.carried);
    let [known, _] = worst(&made);
    assert!(known > 35.0, "{known} dB");
}

#[test]
fn a_single_frame_is_its_own_paint() {
    let made = made(&Scene::new(1), 0);
    assert_eq!(made.carried.len(), 1);
    assert!(worst(&made)[1] > 50.0);
}

/// Also where it is one pixel wide: the key then shows just the 64 pixels that are needed.
#[test]
fn tiny_frames_are_carried() {
    for size in [[16, 16], [64, 1], [1, 80], [2, 40], [9, 9], [90, 2]] {
        let scene = Scene { size, card: [400.0; 2], shift: [0.4, 0.2], ..Scene::new(3) };
        let made = made(&scene, 0);
        assert_finite(&made.carried);
        assert_eq!(made.carried[2].picture.size(), [size[0] as u32, size[1] as u32]);
    }
}

#[test]
fn flat_black_and_glaring_pictures_give_numbers() {
    for value in [0.0, 1.0, 60000.0, -3.0] {
        let (mut frames, masks) = Scene::new(3).render(plate);
        let paint = frames[0].clone();
        frames.iter_mut().for_each(|frame| frame.data.fill(value));
        assert_finite(&carried(&frames, &masks, 0, &paint));
        assert_finite(&carried(&frames, &masks, 0, &frames[0]));
    }
    let (mut frames, masks) = Scene::new(3).render(plate);
    frames[1].data.iter_mut().step_by(7).for_each(|v| *v = 60000.0);
    assert_finite(&carried(&frames, &masks, 0, &frames[0]));
}

#[test]
fn masks_of_scattered_pixels_give_numbers() {
    let (frames, mut masks) = Scene::new(3).render(plate);
    for (t, mask) in masks.iter_mut().enumerate() {
        mask.data.iter_mut().enumerate().for_each(|(i, v)| *v = f32::from((i + t) % 5 == 0));
    }
    assert_finite(&carried(&frames, &masks, 0, &frames[0]));
}

#[test]
fn the_same_shot_is_painted_the_same() {
    let light = |t: f32, _: f32, _: f32| [1.0 + 0.05 * t, 0.0];
    let scene = Scene { light, ..Scene::setting_off() };
    let (a, b) = (made(&scene, 0).carried, made(&scene, 0).carried);
    for (a, b) in a.iter().zip(&b) {
        assert!(a.picture == b.picture && a.known == b.known);
    }
}

/// The outline's column is a little brighter than the solid surface: its own paint is seen, not the last solid pixel's.
#[test]
fn paint_reaches_the_outline() {
    let cover = |x: usize| {
        if x < 8 {
            0.0
        } else if x == 8 {
            0.7
        } else {
            1.0
        }
    };
    let seen = |level: f32| {
        Frame::from_fn(48, 40, 3, |x, _, out| {
            let own = if x == 8 { level + 0.04 } else { level };
            out.fill(linear_to_srgb(cover(x) * own + (1.0 - cover(x)) * 0.1));
        })
    };
    let mask = Frame::from_fn(48, 40, 1, |x, _, out| out[0] = cover(x));
    let carried = carried(&[seen(0.4)], &[mask], 0, &seen(0.6));
    let at = |frame: &Frame, x: usize| to_linear(ColourSpace::Srgb, frame.pixel(x, 20)[1]);
    let [paint, surface] = [&carried[0].picture, &carried[0].surface].map(|frame| at(frame, 8));
    assert!((paint - 0.64).abs() < 0.01 && (surface - 0.44).abs() < 0.01, "{paint} {surface}");
}
