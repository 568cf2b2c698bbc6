//! Rendering from a result in the store: exact plate outside the mask, and nothing done where nothing is due.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod common;

use common::{
    FIRST, HEIGHT, LAST, Stage, WIDTH, bits, edited, eventually, input, mask, press, set_int, source, text,
};
use lora_edit_shot::composite::take_out;
use ofx_host::{
    Bounds, Components, Depth, Frames, Image, Instance, ParamValue, RenderOptions, Rendered, RowOrder, Status,
};

fn render(node: &Instance, frame: i64) -> Rendered {
    node.render_frame(frame as f64).unwrap()
}

fn set_mix(node: &Instance, mix: f64) {
    let _status = node.set("mix", ParamValue::Doubles(vec![mix])).unwrap();
}

/// Calls `check` with the source's, the rendered and the mask's pixel at each place.
fn compare(out: &Image, frame: i64, mut check: impl FnMut(i32, i32, &[f32], &[f32], f32)) {
    let (source, mask) = (source(frame), mask(frame));
    for y in 0..HEIGHT as i32 {
        for x in 0..WIDTH as i32 {
            let pixel = |image: &Image| image.pixel(x, y).unwrap().to_vec();
            check(x, y, &pixel(&source), &pixel(out), pixel(&mask)[0]);
        }
    }
}

fn expect_composite(stage: &Stage, node: &Instance, out: &Image, frame: i64, mix: f32) {
    let result = stage.result(node);
    let (generated, crop) = (result.frame(frame as i32).unwrap(), result.info().info.fit.crop);
    let mut touched = 0;
    compare(out, frame, |x, y, source, out, mask| {
        assert_eq!(out[3].to_bits(), source[3].to_bits(), "alpha at {x},{y}");
        if mask * mix == 0.0 {
            let same = out.iter().zip(source).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "outside the mask at {x},{y}: {out:?} is not {source:?}");
            return;
        }
        touched += 1;
        let row_from_top = HEIGHT as i32 - 1 - y;
        let at = ((x - crop.x1) as usize, (row_from_top - crop.y1) as usize);
        let new = generated.picture.pixel(at.0, at.1);
        let mut behind = source.to_vec();
        if let Some(surface) = &generated.surface {
            take_out(&mut behind, 4, surface.pixel(at.0, at.1), &[mask], mix);
        }
        for i in 0..3 {
            let expected = behind[i] + mask * mix * (new[i] - behind[i]);
            assert!((out[i] - expected).abs() < 1e-5, "{x},{y} channel {i}: {} for {expected}", out[i]);
        }
    });
    assert!(touched > 200, "{touched} pixels");
}

#[test]
fn the_result_lies_inside_the_mask_and_the_plate_is_bit_exact_outside() {
    let stage = Stage::new();
    let node = stage.finished_node();
    for frame in [1002, 1004, 1003] {
        let rendered = render(&node, frame);
        assert_eq!(rendered.identity, None);
        expect_composite(&stage, &node, &rendered.image, frame, 1.0);
    }
    set_mix(&node, 0.5);
    expect_composite(&stage, &node, &render(&node, 1003).image, 1003, 0.5);
    stage.expect_no_violations();
}

#[test]
fn rows_that_run_down_in_memory_change_nothing() {
    let stage = Stage::new();
    let upright = stage.finished_node();
    let turned = stage.node_with(|options| {
        options.rows = RowOrder::Negative;
        options.params = upright.saved().unwrap();
    });
    assert_eq!(bits(&render(&upright, 1003).image), bits(&render(&turned, 1003).image));
    stage.expect_no_violations();
}

fn empty_mask(_frame: i64) -> Image {
    Image::black(common::bounds(), Components::Alpha)
}

#[test]
fn in_every_depth_a_composited_row_keeps_the_plate_that_a_copied_one_has() {
    let stage = Stage::new();
    let saved = stage.finished_node().saved().unwrap();
    for depth in [Depth::Byte, Depth::Short, Depth::Half, Depth::Float] {
        let node = stage.node_with(|options| {
            options.depth = depth;
            options.params = saved.clone();
        });
        let composited = render(&node, 1003).image;
        let _status = node.connect("Mask", Some(input(Frames::from_fn(FIRST, LAST, empty_mask)))).unwrap();
        let copied = render(&node, 1003).image;
        let mut inside = 0;
        compare(&composited, 1003, |x, y, _, composited, mask| match mask {
            0.0 => assert_eq!(composited, copied.pixel(x, y).unwrap(), "{depth:?} at {x},{y}"),
            _ => inside += usize::from(composited != copied.pixel(x, y).unwrap()),
        });
        assert!(inside > 200, "{depth:?}: {inside} pixels edited");
    }
}

#[test]
fn nothing_to_do_is_the_source_itself() {
    let stage = Stage::new();
    let node = stage.finished_node();
    let is_source = |frame: i64| render(&node, frame).identity == Some(("Source".to_owned(), frame as f64));
    assert!(!is_source(1002));
    set_mix(&node, 0.0);
    assert!(is_source(1002), "mix 0");
    set_mix(&node, 1.0);
    set_int(&node, "output", 4);
    assert!(is_source(1002), "output Source");
    set_int(&node, "output", 0);
    set_int(&node, "frameRange", 1);
    set_int(&node, "firstFrame", 1001);
    set_int(&node, "lastFrame", 1003);
    assert!(!is_source(1003) && is_source(1004), "outside of the shot");
    stage.expect_no_violations();
}

#[test]
fn an_empty_mask_at_a_frame_leaves_the_plate() {
    let stage = Stage::new();
    let saved = stage.finished_node().saved().unwrap();
    let node = stage.node_with(|options| {
        options.params = saved;
        options.inputs.insert("Mask".into(), input(Frames::from_fn(FIRST, LAST, empty_mask)));
    });
    assert_eq!(bits(&render(&node, 1003).image), bits(&source(1003)));
}

#[test]
fn a_key_frame_comes_out_as_painted_inside_the_mask() {
    let stage = Stage::new();
    let node = stage.finished_node();
    let out = render(&node, FIRST).image;
    let painted = edited(FIRST);
    let mut full = 0;
    compare(&out, FIRST, |x, y, source, out, mask| {
        let painted = painted.pixel(x, y).unwrap();
        if mask == 1.0 {
            full += 1;
            assert_eq!(out[..3], painted[..3], "{x},{y}");
        } else if mask == 0.0 {
            assert_eq!(out, source, "{x},{y}");
        }
    });
    assert!(full > 100);
    set_int(&node, "holdKeys", 0);
    expect_composite(&stage, &node, &render(&node, FIRST).image, FIRST, 1.0);
    stage.expect_no_violations();
}

#[test]
fn each_output_shows_what_its_name_says() {
    let stage = Stage::new();
    let node = stage.finished_node();
    let comp = render(&node, 1003).image;
    let output = |item| {
        set_int(&node, "output", item);
        render(&node, 1003).image
    };
    let (edit, mask_out, difference) = (output(1), output(2), output(3));
    compare(&comp, 1003, |x, y, source, comp, mask| {
        let at = |image: &Image| image.pixel(x, y).unwrap().to_vec();
        assert_eq!(at(&mask_out), [mask; 4]);
        let (edit, difference) = (at(&edit), at(&difference));
        assert_eq!(edit[3], mask);
        for i in 0..3 {
            let merged = edit[i] + source[i] * (1.0 - edit[3]);
            assert!((merged - comp[i]).abs() < 1e-5, "{x},{y}: {merged} for {}", comp[i]);
            assert!((difference[i] - (comp[i] - source[i]).abs()).abs() < 1e-6);
        }
    });
}

#[test]
fn without_a_result_a_farm_gets_an_error_and_an_artist_the_source() {
    let stage = Stage::new();
    let node = stage.node();
    let error = node.render_frame(1002.0).unwrap_err();
    assert_eq!(error.status(), Some(Status::FAILED), "{error}");
    let said = stage.said();
    assert!(
        said.iter().any(|m| m.text.contains("frame 1002") && m.text.contains("press Generate")),
        "{said:?}"
    );
    set_int(&node, "onMissing", 2);
    assert_eq!(bits(&render(&node, 1002).image), bits(&source(1002)));

    let gui = Stage::interactive();
    let node = gui.node();
    assert_eq!(bits(&render(&node, 1002).image), bits(&source(1002)));
    assert!(gui.said().iter().any(|m| m.persistent && m.text.contains("no result yet")));
    set_int(&node, "onMissing", 1);
    assert!(node.render_frame(1002.0).is_err());
}

#[test]
fn an_ordered_but_unfinished_result_is_missing_too() {
    let stage = Stage::new();
    let node = stage.node();
    press(&node, "generate");
    let id = text(&node, "resultId");
    assert!(node.render_frame(1002.0).is_err());
    assert!(stage.said().iter().any(|m| m.text.contains(&id)));
    stage.finish(&node);
    expect_composite(&stage, &node, &render(&node, 1002).image, 1002, 1.0);
}

#[test]
fn a_result_of_another_plate_is_refused_by_name_and_size() {
    let stage = Stage::new();
    let saved = stage.finished_node().saved().unwrap();
    let small = |_| Image::black(Bounds::of_size(48, 32), Components::Rgba);
    let node = stage.node_with(|options| {
        options.params = saved;
        options.inputs.insert("Source".into(), input(Frames::from_fn(FIRST, LAST, small)));
    });
    assert!(node.render_frame(1002.0).is_err());
    let said = stage.said();
    assert!(said.iter().any(|m| m.text.contains("48x32") && m.text.contains("96x64")), "{said:?}");
}

#[test]
fn a_disconnected_mask_is_an_error_that_names_the_way_out() {
    let stage = Stage::new();
    let saved = stage.finished_node().saved().unwrap();
    let node = stage.node_with(|options| {
        options.params = saved;
        options.inputs.remove("Mask");
    });
    assert!(node.render_frame(1002.0).is_err());
    assert!(stage.said().iter().any(|m| m.text.contains("Mask") && m.text.contains("maskApply")));
    set_int(&node, "maskApply", 0);
    let out = render(&node, 1002).image;
    assert_ne!(bits(&out), bits(&source(1002)));
}

#[test]
fn many_frames_at_once_are_the_frames_one_by_one() {
    let stage = Stage::new();
    let node = stage.finished_node();
    let alone: Vec<_> = (FIRST..=LAST).map(|frame| bits(&render(&node, frame).image)).collect();
    let frames: Vec<i64> = (0..40).map(|i| FIRST + (i * 7) % 5).collect();
    let take = |frame: i64, rendered: Rendered| {
        let same = bits(&rendered.image) == alone[(frame - FIRST) as usize];
        if same { Ok(()) } else { Err("differs".to_owned()) }
    };
    node.render(&RenderOptions { frames, threads: 8 }, &take).unwrap();
    stage.expect_no_violations();
}

#[test]
fn a_recreated_node_and_one_in_the_filter_context_render_the_same() {
    let stage = Stage::new();
    let node = stage.finished_node();
    let before = bits(&render(&node, 1003).image);
    let saved = node.saved().unwrap();
    node.destroy().unwrap();
    for context in ["General", "Filter"] {
        let again = stage.node_with(|options| {
            options.context = context.to_owned();
            options.params = saved.clone();
        });
        assert_eq!(bits(&render(&again, 1003).image), before, "{context}");
    }
    eventually("no half-written file", || common::leftovers(stage.cache.path()).is_empty());
}
