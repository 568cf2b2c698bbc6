//! Scripts over image sequences, with a plug-in made with crate `ofx` in the same process.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_int};
use std::path::Path;

use ofx::{
    Change, Components, Context, ContextDescriptor, Depth, Effect, EffectDescriptor, Identity, MessageKind,
    RenderArgs, Reply, StringMode,
};
use ofx_host::script::RunOptions;
use ofx_host::{Bounds, EntryPoints, Image, Plugin, Report, Rule, Script, files, sequence::Pattern};

struct Scale;
ofx::export_plugin!(Scale);

impl ofx::Plugin for Scale {
    const IDENTIFIER: &'static CStr = c"org.example.Scale";
    const VERSION: (u32, u32) = (1, 0);
    type Instance = Node;

    fn describe(_host: &ofx::Host, effect: &EffectDescriptor<'_>) -> ofx::Result<()> {
        effect.label("Scale").grouping("Test").contexts(&[Context::General]).depths(&[Depth::Float]);
        effect.temporal_access(true);
        Ok(())
    }

    fn describe_in_context(
        _host: &ofx::Host,
        _context: Context,
        effect: &ContextDescriptor<'_>,
    ) -> ofx::Result<()> {
        effect.define_clip("Source")?.components(&[Components::Rgba]).temporal_access(true);
        effect.define_clip("Mask")?.components(&[Components::Alpha]).optional(true).mask(true);
        effect.define_clip("Output")?.components(&[Components::Rgba]);
        effect.define_double("scale", 1.0, 0.0..=10.0)?.animates(true);
        effect.define_string("status", "idle", StringMode::Label)?;
        effect.define_int("polls", 0, 0..=100)?;
        for button in ["sum", "refresh", "overstep"] {
            effect.define_button(button)?;
        }
        Ok(())
    }

    fn create_instance(_effect: &Effect<'_>) -> ofx::Result<Node> {
        Ok(Node)
    }
}

struct Node;

impl ofx::Instance for Node {
    fn render(&self, effect: &Effect<'_>, args: &RenderArgs) -> ofx::Result<()> {
        let scale: f64 = effect.value_at("scale", args.time)?;
        let source = effect.source()?.image(args.time)?.ok_or("no source")?;
        let mask = effect.clip("Mask")?.image(args.time)?;
        let mut output = effect.output(args.time)?;
        let width = args.window.width();
        let (mut row, mut cover) = (vec![0.0; 4 * width], vec![1.0; 4 * width]);
        for y in args.window.y1..args.window.y2 {
            source.read_row(y, args.window.x1, &mut row);
            if let Some(mask) = &mask {
                mask.read_row(y, args.window.x1, &mut cover);
            }
            for (pixel, cover) in row.chunks_exact_mut(4).zip(cover.chunks_exact(4)) {
                pixel.iter_mut().for_each(|value| *value *= scale as f32 * cover[3]);
            }
            output.write_row(y, args.window.x1, &row);
        }
        Ok(())
    }

    fn is_identity(&self, effect: &Effect<'_>, args: &RenderArgs) -> ofx::Result<Option<Identity>> {
        let one = effect.value_at::<f64>("scale", args.time)? == 1.0;
        Ok(one.then(|| Identity { clip: "Source".into(), time: args.time }))
    }

    fn instance_changed(&self, effect: &Effect<'_>, change: &Change) -> ofx::Result<Reply> {
        if change.is_press("sum") {
            sum(effect)?;
        }
        if change.is_press("refresh") {
            let polls: i32 = effect.value("polls")?;
            effect.set("polls", polls + 1)?;
            effect.set("status", if polls < 2 { "working" } else { "Done" })?;
        }
        if change.is_press("overstep") {
            effect.set("polls", 101)?;
        }
        Ok(Reply::Done)
    }
}

fn sum(effect: &Effect<'_>) -> ofx::Result<()> {
    let source = effect.source()?;
    let (first, last) = source.frame_range().ok_or("no frame range")?;
    let progress = effect.progress("Summing", "sum");
    for frame in first as i64..=last as i64 {
        if progress.update((frame as f64 - first) / (last - first + 1.0)) {
            effect.message(MessageKind::Message, "cancelled by the user");
            return Ok(());
        }
        source.image(frame as f64)?.ok_or_else(|| format!("frame {frame} of Source is missing"))?;
    }
    effect.set("status", format!("summed {first} to {last}"))
}

unsafe extern "C" {
    fn OfxGetNumberOfPlugins() -> c_int;
    fn OfxGetPlugin(index: c_int) -> *mut openfx_sys::OfxPlugin;
}

fn run(folder: &Path, script: &str) -> Report {
    let script = Script::parse(script, folder, &BTreeMap::new()).unwrap();
    let options = RunOptions::default();
    let host = script.host(&options);
    let points =
        EntryPoints { number_of_plugins: OfxGetNumberOfPlugins, plugin: OfxGetPlugin, set_host: None };
    // SAFETY: the functions `export_plugin!` defines in this binary.
    let plugin = unsafe { Plugin::from_entry_points(&host, points, None) }.unwrap();
    script.run_with(&host, &plugin, &options)
}

fn picture(frame: i64) -> Image {
    let bounds = Bounds::of_size(9, 6);
    Image::from_fn(bounds, ofx_host::Components::Rgba, |x, y, pixel| {
        pixel.copy_from_slice(&[x as f32 * 0.1, y as f32 * 3.7, frame as f32, 0.5]);
    })
}

fn write_frames(folder: &Path, frames: impl IntoIterator<Item = i64>) {
    let pattern = Pattern::parse(&folder.join("in.%04d.exr").to_string_lossy());
    frames.into_iter().for_each(|frame| files::write(&pattern.path(frame), &picture(frame), (9, 6)).unwrap());
}

fn assert_ok(report: &Report) {
    assert!(report.ok, "{:?}: {report:#?}", report.failure());
}

/// One test, for a plug-in's global state belongs to one host at a time.
#[test]
fn scripts_drive_a_plugin_over_sequences() {
    renders_what_it_should();
    buttons_messages_and_waiting();
    a_missing_frame_is_named();
    a_broken_rule_fails_the_run();
    a_failing_step_ends_the_run();
}

fn renders_what_it_should() {
    let folder = tempfile::tempdir().unwrap();
    write_frames(folder.path(), 1001..=1004);
    let mask = Image::from_fn(Bounds::of_size(9, 6), ofx_host::Components::Alpha, |x, _, pixel| {
        pixel[0] = if x < 4 { 0.0 } else { 0.5 };
    });
    files::write(&folder.path().join("mask.exr"), &mask, (9, 6)).unwrap();
    let report = run(
        folder.path(),
        r#"{"clips": {"Source": "in.%04d.exr"}, "params": {"scale": 2}, "steps": [
            {"render": {"output": "two.####.exr", "threads": 3, "order": "reverse", "expectIdentity": false}},
            {"set": {"scale": 1}},
            {"render": {"expectIdentity": true, "equals": "in.%04d.exr", "output": "same.%04d.exr"}},
            {"set": {"scale": {"keys": {"1001": 2, "1003": 4}}}},
            {"recreate": true},
            {"connect": {"Mask": "mask.exr"}},
            {"render": {"first": 1002, "last": 1002, "output": "masked.%04d.exr"}}]}"#,
    );
    assert_ok(&report);
    let read = |name: &str| files::read(&folder.path().join(name)).unwrap().image;
    let scaled =
        |frame, scale: f32| picture(frame).data.iter().map(|value| value * scale).collect::<Vec<_>>();
    for frame in 1001..=1004 {
        assert_eq!(read(&format!("two.{frame}.exr")).data, scaled(frame, 2.0));
        assert_eq!(read(&format!("same.{frame}.exr")).data, picture(frame).data);
    }
    let masked = read("masked.1002.exr");
    assert_eq!(masked.pixel(8, 5).unwrap(), &scaled(1002, 1.5)[masked.data.len() - 4..]);
    assert_eq!(masked.pixel(3, 5).unwrap()[..3], [0.0; 3]);
    let frames: Vec<i64> = report.steps[0].frames.iter().map(|frame| frame.frame).collect();
    assert_eq!(frames.len(), 4);
}

fn buttons_messages_and_waiting() {
    let folder = tempfile::tempdir().unwrap();
    write_frames(folder.path(), 1..=4);
    let report = run(
        folder.path(),
        r#"{"clips": {"Source": "in.%04d.exr"}, "steps": [
            {"expect": {"param": "status", "equals": "idle", "remember": "first"}},
            {"press": "sum"},
            {"expect": {"param": "status", "contains": "summed 1 to 4", "notEqualsRemembered": "first"}},
            {"press": "sum", "cancelProgressAt": 0.5},
            {"expectMessage": {"contains": "cancelled", "type": "message"}},
            {"wait": {"param": "status", "contains": "done", "press": "refresh", "pollMilliseconds": 1}},
            {"expect": {"param": "polls", "equals": 3}},
            {"expectMessage": {"contains": "cancelled", "absent": true}},
            {"expectMessage": {"contains": "cancelled", "since": "start"}},
            {"save": {"params": "saved.json"}},
            {"set": {"polls": 50}},
            {"recreate": {"params": "saved.json"}},
            {"expect": {"param": "polls", "atMost": 3}}]}"#,
    );
    assert_ok(&report);
}

fn a_missing_frame_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write_frames(folder.path(), [1, 2, 4]);
    let report = run(
        folder.path(),
        r#"{"clips": {"Source": "in.%04d.exr"}, "steps": [
            {"press": "sum", "expectStatus": "kOfxStatFailed"},
            {"expectMessage": {"contains": "frame 3 is missing", "type": "host"}},
            {"expectMessage": {"contains": "in.0003.exr"}}]}"#,
    );
    assert_ok(&report);
}

fn a_broken_rule_fails_the_run() {
    let folder = tempfile::tempdir().unwrap();
    write_frames(folder.path(), [1]);
    let report = run(
        folder.path(),
        r#"{"clips": {"Source": "in.%04d.exr"}, "steps": [
            {"press": "overstep", "expectStatus": ["kOfxStatFailed", "kOfxStatErrValue"]}]}"#,
    );
    assert!(!report.ok && report.steps[0].ok, "{report:#?}");
    assert_eq!(report.violations[0].rule, Rule::BadValue);
}

fn a_failing_step_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    write_frames(folder.path(), [1]);
    let report = run(
        folder.path(),
        r#"{"clips": {"Source": "in.%04d.exr"}, "steps": [
            {"expect": {"param": "polls", "equals": 1}}, {"log": "never"}]}"#,
    );
    assert_eq!(report.steps.len(), 1);
    assert_eq!(report.failure().unwrap(), "step 1 (expect): polls is 0, expected 1");
}
