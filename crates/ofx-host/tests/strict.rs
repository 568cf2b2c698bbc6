//! Every breach a plug-in can commit is named, and a good plug-in is not blamed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod rogue;

use std::collections::BTreeMap;
use std::sync::Arc;

use ofx_host::{
    Bounds, Components, Frames, Host, HostOptions, Image, Input, Instance, InstanceError, InstanceOptions,
    ParamValue, Plugin, Project, RowOrder, Rule, SavedParam,
};

fn picture(frame: i64) -> Image {
    let bounds = Bounds { x1: -3, y1: 2, x2: 4, y2: 7 };
    Image::from_fn(bounds, Components::Rgba, |x, y, pixel| {
        pixel.copy_from_slice(&[x as f32, y as f32, frame as f32, 1.0]);
    })
}

fn options(how: &str, rows: RowOrder) -> InstanceOptions {
    let frames = Input::new(Arc::new(Frames::from_fn(1, 3, picture)));
    let how = SavedParam::Value(ParamValue::Text(how.to_owned()));
    InstanceOptions {
        context: "Filter".to_owned(),
        rows,
        project: Project { size: Some((7, 5)), offset: (0, 0), range: (1, 3), frame_rate: 24.0 },
        inputs: BTreeMap::from([("Source".to_owned(), frames)]),
        params: BTreeMap::from([("how".to_owned(), how)]),
        ..InstanceOptions::default()
    }
}

struct Outcome {
    rules: Vec<Rule>,
    image: Result<Image, InstanceError>,
    count: ParamValue,
    point: ParamValue,
}

/// Creates, presses and renders once.
fn run(how: &str, rows: RowOrder) -> Outcome {
    let host = Host::new(HostOptions::default());
    // SAFETY: a plug-in of this test's own, linked in.
    let plugin = unsafe { Plugin::from_entry_points(&host, rogue::entry_points(), None) }.unwrap();
    assert_eq!((plugin.id(), plugin.version()), ("org.example.Rogue", (1, 2)));
    let instance = Instance::create(&plugin, options(how, rows)).unwrap();
    host.session().set_time(1.0);
    let _ = instance.press("go").unwrap();
    let image = instance.render_frame(2.0).map(|rendered| rendered.image);
    let (count, point) = (instance.value("count").unwrap(), instance.value("point").unwrap());
    instance.destroy().unwrap();
    let rules = host.session().violations().iter().map(|violation| violation.rule).collect();
    Outcome { rules, image, count, point }
}

/// One test, for a plug-in's global state belongs to one host at a time.
#[test]
fn each_breach_is_named_and_the_good_are_not_blamed() {
    for rows in [RowOrder::BottomUp, RowOrder::Negative] {
        let good = run("good", rows);
        assert_eq!((good.rules, good.image.unwrap()), (vec![], picture(2)));
    }
    assert_eq!(run("count", RowOrder::BottomUp).count, ParamValue::Ints(vec![5]));
    assert_eq!(run("point", RowOrder::BottomUp).point, ParamValue::Doubles(vec![0.5, 1.5, 2.5]));

    let breaches = [
        ("leak", Rule::ImageLeaked),
        ("released twice", Rule::BadHandle),
        ("other frame", Rule::FrameNotAnnounced),
        ("set in render", Rule::ParamSetOutOfTurn),
        ("write beyond", Rule::MemoryOverwritten),
        ("write input", Rule::MemoryOverwritten),
        ("row not written", Rule::OutputNotWritten),
        ("define late", Rule::DefineOutOfTurn),
        ("own thread", Rule::OutsideAction),
        ("untrapped", Rule::BadAnswer),
        ("fetch when created", Rule::ImageOutOfTurn),
        ("fetch on own edit", Rule::ImageOutOfTurn),
        ("endless", Rule::EndlessChange),
        ("too large", Rule::BadValue),
        ("null text", Rule::NullPointer),
        ("progress left open", Rule::ProgressUnbalanced),
        ("progress not started", Rule::ProgressUnbalanced),
        ("edit left open", Rule::NotBalanced),
        ("no such handle", Rule::BadHandle),
        ("wrong type", Rule::WrongType),
        ("read-only", Rule::PropertyNotWritable),
        ("describe too late", Rule::PropertyNotWritable),
    ];
    for (how, rule) in breaches {
        let rules = run(how, RowOrder::BottomUp).rules;
        assert!(rules.contains(&rule), "{how}: {rules:?} lacks {rule:?}");
    }
}
