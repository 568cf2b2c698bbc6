//! How long following takes: `cargo test -p lora-edit-motion --test speed -- --ignored --nocapture`.

mod scene;

use std::time::Instant;

use lora_edit_motion::carry::Shot;
use lora_edit_shot::WorkingSpace;
use scene::{Scene, painted, plate};

/// A hash of all values' bits: what is only made faster keeps it, but for rounding.
fn mark(values: impl Iterator<Item = f32>) -> u64 {
    values
        .fold(0xcbf2_9ce4_8422_2325, |hash, v| (hash ^ u64::from(v.to_bits())).wrapping_mul(0x100_0000_01b3))
}

#[test]
#[ignore = "a measurement"]
fn twenty_five_frames_of_a_surface_of_200_by_180() {
    let mut scene = Scene::new(25);
    (scene.size, scene.card, scene.shift) = ([320, 256], [90.0, 80.0], [2.0, 0.8]);
    (scene.turn, scene.zoom) = (0.008, 1.004);
    let (frames, masks) = scene.render(plate);
    let key = scene.render(painted).0.swap_remove(0);
    let (frames, masks): (Vec<_>, Vec<_>) = (frames.iter().collect(), masks.iter().collect());
    let start = Instant::now();
    let shot = Shot::new(&frames, &masks, WorkingSpace::Srgb);
    let prepared = start.elapsed();
    let followed = shot.follow(0, 0..25, &mut |_| true).unwrap().unwrap();
    let tracked = start.elapsed();
    let carried = followed.carry(&shot, &key);
    let done = start.elapsed();
    let sum: f64 = carried.iter().flat_map(|c| &c.picture.data).map(|v| f64::from(*v)).sum();
    let hash = mark(carried.iter().flat_map(|c| c.picture.data.iter().copied()));
    println!(
        "prepared {prepared:.2?}, followed {:.2?}, carried {:.2?}; sum {sum:.4}, mark {hash:016x}",
        tracked - prepared,
        done - tracked
    );
}
