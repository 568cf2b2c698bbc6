//! The fit: what it must hold for any plate, mask and model size.
#![allow(clippy::unwrap_used)] // helpers of tests may panic too

use lora_edit_shot::fit::{DEFAULT_PADDING, LEAST_SIDE};
use lora_edit_shot::{Fit, Frame, FrameError, Rect};

const NANO: (usize, usize) = (192 * 128, 16);

fn plan(size: [u32; 2], bounds: Rect) -> Fit {
    Fit::plan(size, bounds, NANO.0, NANO.1, DEFAULT_PADDING)
}

fn sizes() -> impl Iterator<Item = ([u32; 2], Rect)> {
    let plates = [[1920u32, 1080], [257, 131], [63, 401], [4096, 2161], [40, 30], [17, 5], [192, 128]];
    plates.into_iter().flat_map(|[w, h]| {
        let (x, y) = (w as i32, h as i32);
        let boxes = [
            Rect::new(0, 0, x, y),
            Rect::new(x / 3, y / 3, x / 3 + 1, y / 3 + 1),
            Rect::new(0, y / 2, x / 4 + 1, y),
            Rect::new(x - 3, 0, x, y),
            Rect::new(x / 5, y / 7, x * 4 / 5 + 1, y / 2 + 1),
        ];
        boxes.into_iter().map(move |bounds| ([w, h], bounds))
    })
}

/// A smooth picture, the same over the plate in any size.
fn smooth(size: [u32; 2]) -> Frame {
    Frame::from_fn(size[0] as usize, size[1] as usize, 3, |x, y, p| {
        let (u, v) = (x as f32 / 40.0, y as f32 / 33.0);
        p.copy_from_slice(&[0.5 + 0.4 * u.sin(), 0.5 + 0.4 * (u + v).cos(), 0.5 + 0.4 * v.sin()]);
    })
}

#[test]
fn the_crop_holds_the_mask_and_the_size_obeys_the_model() {
    for (size, bounds) in sizes() {
        for (area, multiple) in [NANO, (480 * 832, 16), (100, 32)] {
            let fit = Fit::plan(size, bounds, area, multiple, DEFAULT_PADDING);
            let [w, h] = fit.working_size.map(|side| side as usize);
            let what = format!("{size:?} {bounds:?} {area} {multiple}: {fit:?}");
            assert!(fit.crop.contains(&bounds), "{what}");
            assert!(w % multiple == 0 && h % multiple == 0 && w > 0 && h > 0, "{what}");
            assert!(w * h <= area.max(multiple * multiple), "{what}");
        }
    }
}

#[test]
fn pixels_stay_square_within_a_pixel() {
    for (size, bounds) in sizes() {
        let fit = plan(size, bounds);
        let scale = fit.working_size[0] as f64 / fit.crop.width() as f64;
        let expected = fit.working_size[1] as f64 / scale;
        assert!(
            (expected - fit.crop.height() as f64).abs() <= 1.5 / scale.min(1.0),
            "{size:?} {bounds:?} {fit:?}"
        );
    }
}

#[test]
fn small_crops_are_not_enlarged_beyond_the_least_side() {
    for (size, bounds) in sizes() {
        let fit = plan(size, bounds);
        let scale = fit.working_size[0] as f64 / fit.crop.width() as f64;
        let shorter = fit.crop.width().min(fit.crop.height());
        let limit = (LEAST_SIDE as f64 / shorter as f64).max(1.0);
        assert!(scale <= limit * 1.35, "{size:?} {bounds:?}: {scale} above {limit}, {fit:?}");
    }
    let fit = plan([1920, 1080], Rect::new(900, 500, 960, 560));
    assert_eq!(
        [fit.crop.width() as u32, fit.crop.height() as u32],
        fit.working_size,
        "a small crop is taken 1:1"
    );
}

#[test]
fn the_crop_stays_inside_a_plate_that_is_large_enough() {
    let plate = [1920, 1080];
    for bounds in [Rect::new(0, 0, 300, 200), Rect::new(1800, 900, 1920, 1080), Rect::new(0, 500, 1920, 520)]
    {
        let fit = plan(plate, bounds);
        let reaches_out = fit.crop.width() > 1920 || fit.crop.height() > 1080;
        assert!(reaches_out || Rect::of_size(plate).contains(&fit.crop), "{fit:?}");
    }
}

#[test]
fn padding_grows_with_the_mask_and_an_empty_mask_means_all() {
    let fit = plan([2000, 2000], Rect::new(600, 600, 1400, 1400));
    assert!(fit.crop.contains(&Rect::new(400, 400, 1600, 1600)), "{fit:?}");
    assert!(plan([500, 300], Rect::default()).crop.contains(&Rect::new(0, 0, 500, 300)));
}

#[test]
fn there_and_back_keeps_a_smooth_picture_in_its_place() {
    for (size, bounds) in sizes().filter(|(size, _)| size[0] < 1000) {
        let (fit, plate) = (plan(size, bounds), smooth(size));
        let back = fit.invert(&fit.apply(&plate).unwrap()).unwrap();
        assert_eq!(back.size(), fit.crop_size());
        let truth = plate.crop_reflect(fit.crop);
        let shrunk = fit.crop.width() as f32 / fit.working_size[0] as f32;
        let mut worst = 0f32;
        // The mirror's edge is a kink that no filter keeps: what counts is the plate itself.
        let inside = fit.crop.intersect(&Rect::of_size(size)).moved(-fit.crop.x1, -fit.crop.y1);
        for y in inside.y1..inside.y2 {
            for x in inside.x1..inside.x2 {
                let (a, b) = (back.pixel(x as usize, y as usize), truth.pixel(x as usize, y as usize));
                a.iter().zip(b).for_each(|(a, b)| worst = worst.max((a - b).abs()));
            }
        }
        assert!(worst < 0.004 + 0.01 * shrunk, "{size:?} {bounds:?} shrunk {shrunk}: {worst}");
    }
}

#[test]
fn an_unscaled_crop_is_exact() {
    let plate = smooth([401, 303]);
    let fit = plan([401, 303], Rect::new(100, 100, 150, 140));
    assert_eq!(fit.crop_size(), fit.working_size);
    let working = fit.apply(&plate).unwrap();
    assert_eq!(working, plate.crop_reflect(fit.crop));
    assert_eq!(fit.invert(&working).unwrap(), working);
}

#[test]
fn a_mask_stays_a_mask_and_covers_the_same_place() {
    let size = [701, 397];
    let bounds = Rect::new(300, 100, 437, 333);
    let mask = Frame::from_fn(701, 397, 1, |x, y, p| {
        let inside = (300..437).contains(&x) && (100..333).contains(&y);
        p[0] = f32::from(inside);
    });
    let fit = plan(size, bounds);
    let small = fit.apply_mask(&mask).unwrap();
    assert!(small.data.iter().all(|value| (0.0..=1.0 + 1e-6).contains(value)));
    let area = |mask: &Frame| mask.data.iter().map(|&v| f64::from(v)).sum::<f64>();
    let pixel = (fit.crop.width() * fit.crop.height()) as f64 / (small.width * small.height) as f64;
    assert!((area(&small) * pixel / area(&mask) - 1.0).abs() < 0.01);
}

#[test]
fn frames_of_another_size_are_refused() {
    let fit = plan([640, 360], Rect::new(10, 10, 50, 50));
    let wrong = FrameError::Size { expected: [640, 360], found: [641, 360] };
    assert_eq!(fit.apply(&Frame::new(641, 360, 3)), Err(wrong.clone()));
    assert_eq!(fit.apply_mask(&Frame::new(641, 360, 1)), Err(wrong.clone()));
    assert_eq!(wrong.to_string(), "frame is 641x360, 640x360 expected");
    assert!(fit.invert(&Frame::new(1, 1, 3)).is_err());
}

#[test]
fn json_keeps_every_edge() {
    let fit = plan([40, 30], Rect::new(0, 0, 40, 30));
    assert!(fit.crop.x1 < 0, "this one reaches outside");
    let text = serde_json::to_string(&fit).unwrap();
    assert!(text.contains("sourceSize") && text.contains("workingSize"));
    assert_eq!(serde_json::from_str::<Fit>(&text).unwrap(), fit);
}
