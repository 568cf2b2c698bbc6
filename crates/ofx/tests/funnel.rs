//! The entry funnel as hosts meet it: in any order, twice, with things missing, with plug-ins that fail.
#![allow(missing_docs, clippy::unwrap_used)]

mod fake;

use std::ffi::CStr;
use std::ptr::{null, null_mut};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use fake::{EMPTY_MESSAGES, Fake, LACKS, Set, call, doubles, host, image, ints, plain, text};
use ofx::entry::Entry;
use ofx::{
    Change, ClipPreferences, Context, ContextDescriptor, Depth, Effect, EffectDescriptor, Error,
    FramesNeeded, Host, Identity, Instance, Plugin, RenderArgs, Reply, Result, Status, StringMode, sys,
};

/// What the next renders do, by the frame: 1 fails, 2 panics, 3 stops, others write 7.
struct Probe;

struct Node {
    changes: AtomicUsize,
    meet: Barrier,
}

static ENTRY: Entry<Probe> = Entry::new();

impl Plugin for Probe {
    const IDENTIFIER: &'static CStr = c"org.lora-edit.test.Probe";
    const VERSION: (u32, u32) = (1, 2);
    type Instance = Node;

    fn describe(_host: &Host, effect: &EffectDescriptor<'_>) -> Result<()> {
        effect.label("Probe").contexts(&[Context::Filter]).depths(&[Depth::Float]);
        Ok(())
    }

    fn describe_in_context(_host: &Host, _context: Context, effect: &ContextDescriptor<'_>) -> Result<()> {
        effect.define_clip("Source")?.optional(false);
        effect.define_int("rank", 16, 1..=128)?.label("Rank");
        effect.define_string("status", "", StringMode::Label)?;
        Ok(())
    }

    fn create_instance(effect: &Effect<'_>) -> Result<Node> {
        match effect.duration() {
            Some(0.0) => Err(Error::failed("nothing to do")),
            _ => Ok(Node { changes: AtomicUsize::new(0), meet: Barrier::new(2) }),
        }
    }
}

impl Instance for Node {
    fn render(&self, effect: &Effect<'_>, args: &RenderArgs) -> Result<()> {
        match args.time {
            1.0 => Err(Error::failed("frame 1 is bad")),
            2.0 => panic!("frame 2 is worse"),
            3.0 => Err(Error::Stopped),
            4.0 => {
                self.meet.wait();
                Ok(())
            }
            _ => {
                effect.output(args.time)?.fill(args.window, [7.0; 4]);
                Ok(())
            }
        }
    }

    fn is_identity(&self, _effect: &Effect<'_>, args: &RenderArgs) -> Result<Option<Identity>> {
        Ok((args.time == 5.0).then(|| Identity { clip: "Source".into(), time: 6.0 }))
    }

    fn frames_needed(&self, _effect: &Effect<'_>, time: f64, needed: &mut FramesNeeded<'_>) -> Result<()> {
        if time == 5.0 { needed.clip("Source", 4.0, 6.0) } else { Ok(()) }
    }

    fn clip_preferences(&self, _effect: &Effect<'_>, preferences: &mut ClipPreferences<'_>) -> Result<()> {
        preferences.frame_varying(true);
        Ok(())
    }

    /// Comes back as a host does when a handler sets a parameter.
    fn instance_changed(&self, effect: &Effect<'_>, change: &Change) -> Result<Reply> {
        self.changes.fetch_add(1, Ordering::SeqCst);
        assert!(change.is_press("train"), "{change:?}");
        let handle = effect.props().pointer(c"self", 0)?;
        let nested = pressed("rank", sys::kOfxChangePluginEdited);
        assert_eq!(
            call(&ENTRY, sys::kOfxActionInstanceChanged, handle, &nested, &Set::default()),
            Status::OK
        );
        match self.changes.load(Ordering::SeqCst) {
            1 => Ok(Reply::Done),
            count => Err(Error::Failed(format!("{count} changes"))),
        }
    }
}

fn pressed(name: &str, reason: &CStr) -> Set {
    let name = std::ffi::CString::new(name).unwrap();
    Set::default()
        .with(sys::kOfxPropType, text(sys::kOfxTypeParameter))
        .with(sys::kOfxPropName, text(&name))
        .with(sys::kOfxPropChangeReason, text(reason))
}

fn at(time: f64) -> Set {
    Set::default()
        .with(sys::kOfxPropTime, doubles([time]))
        .with(sys::kOfxImageEffectPropRenderWindow, ints([0, 0, 2, 1]))
        .with(sys::kOfxImageEffectPropRenderScale, doubles([1.0, 1.0]))
}

fn load<P: Plugin>(entry: &Entry<P>) {
    entry.set_host(host(Set::default()).1);
    assert_eq!(plain(entry, sys::kOfxActionLoad, null()), Status::OK);
}

/// The output's memory, which renders write behind Rust's back.
struct Shown(*const [f32; 8]);

impl Shown {
    fn ends(&self) -> (f32, f32) {
        // SAFETY: the memory was leaked, and no render runs while a test looks.
        let values = unsafe { self.0.read_volatile() };
        (values[0], values[7])
    }
}

/// A new instance over two pixels of source (0.5) and output (-1).
fn instance() -> (&'static Fake, Shown) {
    let source = Box::leak(Box::new([0.5_f32; 8]));
    let output: *mut [f32; 8] = Box::leak(Box::new([-1.0_f32; 8]));
    let fake = Box::leak(Box::new(Fake {
        source_image: Some(image([0, 0, 2, 1], 32, source.as_mut_ptr())),
        output_image: Some(image([0, 0, 2, 1], 32, output.cast())),
        ..Fake::default()
    }));
    fake.props.put(c"self", [fake::Value::Pointer(fake.handle() as usize)]);
    assert_eq!(plain(&ENTRY, sys::kOfxActionCreateInstance, fake.handle()), Status::OK);
    (fake, Shown(output))
}

fn render(fake: &Fake, time: f64) -> Status {
    call(&ENTRY, sys::kOfxImageEffectActionRender, fake.handle(), &at(time), &Set::default())
}

#[test]
fn without_a_host_or_a_mandatory_suite_load_says_what_is_missing() {
    static BARE: Entry<Probe> = Entry::new();
    let missing = Status(sys::kOfxStatErrMissingHostFeature);
    assert_eq!(plain(&BARE, sys::kOfxActionLoad, null()), missing);
    for suite in [sys::kOfxPropertySuite, sys::kOfxImageEffectSuite, sys::kOfxParameterSuite] {
        BARE.set_host(host(Set::default().with(LACKS, text(suite))).1);
        assert_eq!(plain(&BARE, sys::kOfxActionLoad, null()), missing, "{suite:?}");
    }
    load(&BARE);
}

#[test]
fn load_describe_unload_and_all_again_with_another_host() {
    static TWICE: Entry<Probe> = Entry::new();
    for _ in 0..2 {
        load(&TWICE);
        load(&TWICE);
        let effect = Fake::default();
        assert_eq!(plain(&TWICE, sys::kOfxActionDescribe, effect.handle()), Status::OK);
        assert_eq!(effect.props.text(sys::kOfxPropLabel).unwrap(), "Probe");
        assert_eq!(effect.props.int(sys::kOfxImageEffectPropSupportsTiles), Some(0));
        assert_eq!(effect.props.int(sys::kOfxImageEffectPropSupportsMultipleClipDepths), Some(0));
        let context =
            Set::default().with(sys::kOfxImageEffectPropContext, text(sys::kOfxImageEffectContextFilter));
        let describe = sys::kOfxImageEffectActionDescribeInContext;
        assert_eq!(call(&TWICE, describe, effect.handle(), &context, &Set::default()), Status::OK);
        assert_eq!(effect.params.text(c"rank").unwrap(), "OfxParamTypeInteger");
        assert_eq!(effect.params.int(sys::kOfxParamPropDisplayMax), Some(128));
        assert_eq!(plain(&TWICE, sys::kOfxActionUnload, null()), Status::OK);
    }
}

#[test]
fn unknown_actions_are_the_hosts_and_null_is_nobodys() {
    load(&ENTRY);
    assert_eq!(plain(&ENTRY, c"OfxActionFold", null()), Status::REPLY_DEFAULT);
    assert_eq!(plain(&ENTRY, sys::kOfxActionDescribe, null()), Status::BAD_HANDLE);
    assert_eq!(plain(&ENTRY, sys::kOfxActionCreateInstance, null()), Status::BAD_HANDLE);
    assert_eq!(plain(&ENTRY, sys::kOfxImageEffectActionRender, null()), Status::BAD_HANDLE);
    // SAFETY: null is what is tested.
    assert_eq!(Status(unsafe { ENTRY.main(null(), null(), null_mut(), null_mut()) }), Status::BAD_HANDLE);
}

#[test]
fn an_unknown_instance_renders_nothing_and_is_destroyed_gladly() {
    load(&ENTRY);
    let stranger = Fake::default();
    assert_eq!(render(&stranger, 9.0), Status::BAD_HANDLE);
    assert_eq!(plain(&ENTRY, sys::kOfxActionDestroyInstance, stranger.handle()), Status::OK);
    assert_eq!(plain(&ENTRY, sys::kOfxActionSyncPrivateData, stranger.handle()), Status::REPLY_DEFAULT);
}

#[test]
fn a_failed_create_is_reported_and_leaves_no_instance() {
    load(&ENTRY);
    let fake = Fake::default();
    fake.props.put(sys::kOfxImageEffectInstancePropEffectDuration, doubles([0.0]));
    assert_eq!(plain(&ENTRY, sys::kOfxActionCreateInstance, fake.handle()), Status::FAILED);
    assert_eq!(fake.count(|f| &f.persistent), 1);
    assert_eq!(render(&fake, 9.0), Status::BAD_HANDLE);
}

#[test]
fn a_failed_render_shows_the_source_and_a_message_until_one_succeeds() {
    load(&ENTRY);
    for bad in [1.0, 2.0] {
        let (fake, output) = instance();
        assert_eq!(render(fake, bad), Status::FAILED);
        assert_eq!(output.ends(), (0.5, 0.5), "frame {bad}");
        assert_eq!((fake.count(|f| &f.persistent), fake.count(|f| &f.cleared)), (1, 0));
        assert_eq!(render(fake, 9.0), Status::OK);
        assert_eq!(output.ends(), (7.0, 7.0));
        assert_eq!(fake.count(|f| &f.cleared), 1);
        assert_eq!(render(fake, 9.0), Status::OK);
        assert_eq!(fake.count(|f| &f.cleared), 1);
        assert_eq!(fake.count(|f| &f.fetched), fake.count(|f| &f.released));
    }
}

#[test]
fn a_stopped_render_is_no_failure() {
    load(&ENTRY);
    let (fake, output) = instance();
    assert_eq!(render(fake, 3.0), Status::OK);
    assert_eq!((output.ends(), fake.count(|f| &f.persistent)), ((-1.0, -1.0), 0));
}

#[test]
fn without_an_output_image_a_render_fails() {
    load(&ENTRY);
    let fake = Fake::default();
    assert_eq!(plain(&ENTRY, sys::kOfxActionCreateInstance, fake.handle()), Status::OK);
    assert_eq!(render(&fake, 9.0), Status::FAILED);
}

#[test]
fn renders_of_one_instance_run_at_the_same_time() {
    load(&ENTRY);
    let (fake, _) = instance();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| render(fake, 4.0) == Status::OK);
        assert_eq!(render(fake, 4.0), Status::OK);
        assert!(other.join().unwrap());
    });
}

#[test]
fn a_handlers_own_changes_do_not_come_back_to_it() {
    load(&ENTRY);
    let (fake, _) = instance();
    let press = pressed("train", sys::kOfxChangeUserEdited);
    let changed =
        |inputs| call(&ENTRY, sys::kOfxActionInstanceChanged, fake.handle(), inputs, &Set::default());
    assert_eq!(changed(&press), Status::OK);
    assert_eq!(changed(&press), Status::FAILED, "the guard is open again");
    assert_eq!(fake.count(|f| &f.persistent), 1);
}

#[test]
fn answers_are_written_or_left_to_the_host() {
    load(&ENTRY);
    let (fake, _) = instance();
    let ask = |action, time| {
        let outputs = Set::default();
        (call(&ENTRY, action, fake.handle(), &at(time), &outputs), outputs)
    };
    assert_eq!(ask(sys::kOfxImageEffectActionGetFramesNeeded, 1.0).0, Status::REPLY_DEFAULT);
    let (status, frames) = ask(sys::kOfxImageEffectActionGetFramesNeeded, 5.0);
    let range = |index| frames.double(c"OfxImageClipPropFrameRange_Source", index);
    assert_eq!((status, range(0), range(1)), (Status::OK, Some(4.0), Some(6.0)));
    assert_eq!(ask(sys::kOfxImageEffectActionIsIdentity, 9.0).0, Status::REPLY_DEFAULT);
    let (status, identity) = ask(sys::kOfxImageEffectActionIsIdentity, 5.0);
    assert_eq!((status, identity.text(sys::kOfxPropName).unwrap()), (Status::OK, "Source".to_owned()));
    assert_eq!(identity.double(sys::kOfxPropTime, 0), Some(6.0));
    let (status, preferences) = ask(sys::kOfxImageEffectActionGetClipPreferences, 9.0);
    assert_eq!((status, preferences.int(sys::kOfxImageEffectFrameVarying)), (Status::OK, Some(1)));
    assert_eq!(ask(sys::kOfxImageEffectActionGetRegionOfDefinition, 9.0).0, Status::REPLY_DEFAULT);
}

#[test]
fn missing_arguments_fail_a_render_and_nothing_less() {
    load(&ENTRY);
    let (fake, output) = instance();
    let ask = |action| call(&ENTRY, action, fake.handle(), &Set::default(), &Set::default());
    assert_eq!(ask(sys::kOfxImageEffectActionBeginSequenceRender), Status::REPLY_DEFAULT);
    assert_eq!(ask(sys::kOfxImageEffectActionIsIdentity), Status::REPLY_DEFAULT);
    assert_eq!(fake.count(|f| &f.persistent), 0);
    assert_eq!(ask(sys::kOfxImageEffectActionRender), Status::FAILED);
    assert_eq!((output.ends(), fake.count(|f| &f.persistent)), ((-1.0, -1.0), 1));
}

#[test]
fn a_message_suite_with_nothing_in_it_is_none() {
    static MUTE: Entry<Probe> = Entry::new();
    MUTE.set_host(host(Set::default().with(EMPTY_MESSAGES, ints([1]))).1);
    assert_eq!(plain(&MUTE, sys::kOfxActionLoad, null()), Status::OK);
    let fake = Fake::default();
    fake.props.put(sys::kOfxImageEffectInstancePropEffectDuration, doubles([0.0]));
    assert_eq!(plain(&MUTE, sys::kOfxActionCreateInstance, fake.handle()), Status::FAILED);
    assert_eq!(fake.count(|f| &f.persistent), 0);
}
