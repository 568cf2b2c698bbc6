//! A card's way through a shot, beside the true one.

mod scene;

use lora_edit_motion::track::track;
use scene::{Scene, plate, pyramids};

fn assert_near(scene: &Scene, key: usize) {
    assert_within(scene, key, [0.02, 0.15]);
}

/// The mean and the largest distance from the true place, in pixels.
fn assert_within(scene: &Scene, key: usize, bounds: [f32; 2]) {
    let way = scene.tracked(key);
    let (mean, most) = scene.distance(&way.fields, key, 2.0);
    assert!(mean < bounds[0] && most < bounds[1], "mean {mean}, most {most}; {bounds:?} wanted");
}

#[test]
fn a_card_that_shifts_turns_and_zooms_is_followed() {
    assert_near(&Scene::new(5), 0);
}

#[test]
fn from_a_key_in_the_middle_it_is_followed_both_ways() {
    assert_near(&Scene::new(5), 2);
    assert_near(&Scene::new(4), 3);
}

#[test]
fn large_steps_are_followed() {
    assert_near(&Scene { shift: [8.0, -3.0], size: [112, 72], ..Scene::new(4) }, 0);
}

#[test]
fn light_that_changes_over_it_does_not_lead_astray() {
    let light = |t: f32, x: f32, _: f32| {
        let shadow = 1.0 - 0.4 / (1.0 + (-(x - 30.0 - 8.0 * t) / 6.0).exp());
        [(1.0 + 0.08 * t) * shadow, 0.01 * t]
    };
    assert_within(&Scene { light, ..Scene::new(5) }, 0, [0.05, 0.35]);
}

#[test]
fn a_post_in_front_does_not_lead_astray() {
    assert_near(&Scene { post: Some([52.0, 4.0]), ..Scene::new(5) }, 0);
}

#[test]
fn motion_blur_is_found_where_there_is_some() {
    let blurred = Scene::setting_off();
    assert!(Scene { shutter: 0.0, ..blurred.clone() }.tracked(0).smears.is_none());
    let way = blurred.tracked(0);
    let smears = way.smears.as_ref().expect("a shutter open half the time shows");
    let path = smears[2].path.x.at(48, 32).hypot(smears[2].path.y.at(48, 32));
    assert!((2.0..4.5).contains(&path), "{path} pixels, about 3 wanted");
    let (mean, most) = blurred.distance(&way.fields, 0, 4.0);
    assert!(mean < 0.04 && most < 0.3, "mean {mean}, most {most}");
}

#[test]
fn the_same_pictures_give_the_same_way() {
    let scene = Scene::new(3);
    let (a, b) = (scene.tracked(0), scene.tracked(0));
    for (a, b) in a.fields.iter().chain(&a.steps).zip(b.fields.iter().chain(&b.steps)) {
        assert!(a.x == b.x && a.y == b.y);
    }
}

#[test]
fn it_stops_when_told_to_and_says_how_far_it_is() {
    let (frames, masks) = Scene::new(6).render(plate);
    let pyramids = pyramids(&frames, &masks);
    let mut told = Vec::new();
    assert!(
        track(&pyramids, 2, &mut |done| {
            told.push(done);
            true
        })
        .is_some()
    );
    assert_eq!(told, [4, 5]);
    assert!(track(&pyramids, 2, &mut |_| false).is_none());
}
