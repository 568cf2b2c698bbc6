//! The plug-in's own library in the strict host, with a small shot, an empty store and a stand-in engine.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its own part and fails loudly")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lora_edit_shot::image_io::write_exr_half;
use lora_edit_shot::job::{self, Event, EventLog, Job};
use lora_edit_shot::package::{ResultInfo, ShotInfo};
use lora_edit_shot::result::ResultReader;
use lora_edit_shot::{Frame, JobId, ResultId};
use lora_edit_store::Store;
use ofx_host::{
    Bounds, Components, Frames, Host, HostOptions, Image, Input, Instance, InstanceOptions, Message,
    MessageKind, ParamValue, Plugin, Premultiplication, SavedParam,
};
use tempfile::TempDir;

pub const WIDTH: usize = 96;
pub const HEIGHT: usize = 64;
pub const FIRST: i64 = 1001;
pub const LAST: i64 = 1005;
/// A stand-in engine that ends at once and does nothing.
pub const IDLE_ENGINE: &str = "#!/bin/sh\nexit 0\n";
/// A stand-in engine that says it is training and then works for ever. `$2` is the job's folder.
pub const ENDLESS_ENGINE: &str = r#"#!/bin/sh
echo '{"event":"started","pid":'$$',"host":"here"}' >> "$2/events.jsonl"
echo '{"event":"step","stage":"train","step":34,"of":100,"loss":0.5,"secondsLeft":41}' >> "$2/events.jsonl"
exec sleep 600
"#;

/// A bundle with the plug-in, a store, and a host that has loaded it.
pub struct Stage {
    pub host: Host,
    pub plugin: Plugin,
    pub cache: TempDir,
    bundle: TempDir,
}

impl Stage {
    /// In a host without a user interface, with an engine that does nothing.
    pub fn new() -> Self {
        Self::build(Some(IDLE_ENGINE), HostOptions::default())
    }

    pub fn with_engine(script: Option<&str>) -> Self {
        Self::build(script, HostOptions::default())
    }

    /// In a host with somebody in front of it.
    pub fn interactive() -> Self {
        Self::build(Some(IDLE_ENGINE), HostOptions { background: false, ..HostOptions::default() })
    }

    fn build(engine: Option<&str>, options: HostOptions) -> Self {
        let (bundle, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = lay_out(bundle.path(), engine);
        let host = Host::new(options);
        let plugin = Plugin::load(&host, &root, Some("org.lora-edit.LoraEdit")).unwrap();
        Self { host, plugin, cache, bundle }
    }

    /// Takes the base model out of the bundle.
    pub fn lose_model(&self) {
        std::fs::remove_dir_all(self.bundle.path().join("LoraEdit.ofx.bundle/Contents/Resources")).unwrap();
    }

    /// The shot connected, its store named.
    pub fn options(&self) -> InstanceOptions {
        let mut options = InstanceOptions::default();
        options.project.range = (FIRST, LAST);
        options.inputs = BTreeMap::from([
            ("Source".to_owned(), input(Frames::from_fn(FIRST, LAST, source))),
            ("Mask".to_owned(), input(Frames::from_fn(FIRST, LAST, mask))),
            ("Edited".to_owned(), input(Frames::from_fn(FIRST, FIRST, edited))),
        ]);
        let cache = SavedParam::Value(ParamValue::Text(self.cache.path().display().to_string()));
        options.params = BTreeMap::from([("cacheDir".to_owned(), cache)]);
        options
    }

    pub fn node(&self) -> Instance {
        self.node_with(|_| ())
    }

    pub fn node_with(&self, change: impl FnOnce(&mut InstanceOptions)) -> Instance {
        let mut options = self.options();
        change(&mut options);
        Instance::create(&self.plugin, options).unwrap()
    }

    /// A node whose result lies in the store.
    pub fn finished_node(&self) -> Instance {
        let node = self.node();
        press(&node, "generate");
        self.finish(&node);
        node
    }

    /// Does what an engine does at the end of the node's job.
    pub fn finish(&self, node: &Instance) {
        let id =
            JobId::parse(&text(node, "jobId")).unwrap_or_else(|_| panic!("no job: {}", text(node, "status")));
        let job = Job::read(self.cache.path(), &id).unwrap();
        self.put_result(&job);
        EventLog::start(self.cache.path(), &id).unwrap().write(&Event::Done { seconds: 2.0 }).unwrap();
    }

    fn put_result(&self, job: &Job) {
        let store = Store::open(self.cache.path()).unwrap();
        let info = ShotInfo::read(&store.path("shots", job.shot.as_str())).unwrap();
        let result = ResultInfo {
            shot: job.shot.clone(),
            edit: job.edit.clone().unwrap(),
            adapter: job.adapter.clone(),
            job: Some(job.id()),
            base: job.base.clone(),
            recipe: job.recipe.clone(),
            sampling: job.sampling.clone().unwrap(),
            info,
        };
        let fill = |dir: &Path| {
            result.write(dir)?;
            result.info.frames.iter().try_for_each(|frame| {
                let picture = generated(result.info.fit.working_size, frame);
                write_exr_half(&ResultInfo::generated_path(dir, frame), &picture)?;
                // Where it was followed: in the later frames, on the left.
                if frame >= 1003 {
                    let surface = Frame::from_fn(picture.width, picture.height, 4, |x, _, p| {
                        p.copy_from_slice(&[0.05, 0.1, 0.2, f32::from(2 * x < picture.width)]);
                    });
                    write_exr_half(&ResultInfo::surface_path(dir, frame), &surface)?;
                }
                Ok(())
            })
        };
        store
            .put_dir::<lora_edit_shot::package::PackageError>("results", result.id().as_str(), fill)
            .unwrap();
    }

    /// The result that the node shows.
    pub fn result(&self, node: &Instance) -> ResultReader {
        ResultReader::open(self.cache.path(), &ResultId::parse(&text(node, "resultId")).unwrap()).unwrap()
    }

    pub fn job_folder(&self, node: &Instance) -> PathBuf {
        job::folder(self.cache.path(), &JobId::parse(&text(node, "jobId")).unwrap())
    }

    /// What the plug-in itself has said, the host's own remarks left out.
    pub fn said(&self) -> Vec<Message> {
        self.host.session().messages().into_iter().filter(|m| m.kind != MessageKind::Host).collect()
    }

    /// Nothing that the plug-in did was against the standard.
    pub fn expect_no_violations(&self) {
        let violations = self.host.session().violations();
        assert!(violations.is_empty(), "{violations:#?}");
    }
}

/// The plug-in as cargo built it for this test.
pub fn library() -> PathBuf {
    let name = format!("{}lora_edit_ofx{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let program = std::env::current_exe().unwrap();
    let folders = program.ancestors().skip(1).take(2);
    folders
        .map(|folder| folder.join(&name))
        .find(|file| file.is_file())
        .expect("cargo built the plug-in's library")
}

/// A copy for each stage: one library in memory knows one host.
fn lay_out(folder: &Path, engine: Option<&str>) -> PathBuf {
    let bundle = folder.join("LoraEdit.ofx.bundle");
    let programs = bundle.join("Contents").join(ofx_host::bundle::architecture());
    let model = bundle.join("Contents/Resources/models/nano");
    std::fs::create_dir_all(&programs).unwrap();
    std::fs::create_dir_all(&model).unwrap();
    std::fs::copy(library(), programs.join("LoraEdit.ofx")).unwrap();
    std::fs::write(model.join("weights.safetensors"), "not read by a plug-in").unwrap();
    if let Some(script) = engine {
        write_program(&programs.join("lora-edit"), script);
    }
    bundle
}

fn write_program(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, script).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

pub fn input(frames: Frames) -> Input {
    Input { premultiplication: Some(Premultiplication::Unpremultiplied), ..Input::new(Arc::new(frames)) }
}

pub fn bounds() -> Bounds {
    Bounds::of_size(WIDTH, HEIGHT)
}

/// A plate with values above 1, below 0 and with soft alpha, different at each frame.
pub fn source(frame: i64) -> Image {
    Image::from_fn(bounds(), Components::Rgba, |x, y, p| {
        let t = (frame - FIRST) as f32;
        p.copy_from_slice(&[x as f32 / 31.0 - 0.1, y as f32 / 47.0 + t * 0.01, 0.3 + t * 0.001, 0.75]);
    })
}

/// A soft disc that moves to the right.
pub fn mask(frame: i64) -> Image {
    Image::from_fn(bounds(), Components::Alpha, |x, y, p| {
        let (dx, dy) = (x as f32 - 40.0 - (frame - FIRST) as f32, y as f32 - 30.0);
        p[0] = (10.5 - (dx * dx + dy * dy).sqrt()).clamp(0.0, 1.0);
    })
}

/// The plate, painted over in green.
pub fn edited(frame: i64) -> Image {
    let (mut image, mask) = (source(frame), mask(frame));
    for (pixel, mask) in image.data.chunks_exact_mut(4).zip(&mask.data) {
        if *mask > 0.0 {
            pixel[..3].copy_from_slice(&[0.1, 0.8, 1.7]);
        }
    }
    image
}

/// What the stand-in engine generates.
fn generated(size: [u32; 2], frame: i32) -> Frame {
    Frame::from_fn(size[0] as usize, size[1] as usize, 3, |x, y, p| {
        p.copy_from_slice(&[2.0 + x as f32 / 64.0, y as f32 / 64.0, frame as f32 / 1000.0]);
    })
}

pub fn text(node: &Instance, param: &str) -> String {
    match node.value(param).unwrap() {
        ParamValue::Text(text) => text,
        other => panic!("{param} is {other:?}"),
    }
}

pub fn number(node: &Instance, param: &str) -> i32 {
    match node.value(param).unwrap() {
        ParamValue::Ints(values) => values[0],
        other => panic!("{param} is {other:?}"),
    }
}

pub fn set_int(node: &Instance, param: &str, value: i32) {
    let _status = node.set(param, ParamValue::Ints(vec![value])).unwrap();
}

/// Presses a button and gives the status line that it leaves.
pub fn press(node: &Instance, button: &str) -> String {
    let _status = node.press(button).unwrap();
    text(node, "status")
}

/// The bits of a picture: equal means equal to the last one.
pub fn bits(image: &Image) -> Vec<u32> {
    image.data.iter().map(|value| value.to_bits()).collect()
}

/// Files below a folder that were left under a temporary name.
pub fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.to_string_lossy().ends_with(".tmp") {
            found.push(path);
        } else if path.is_dir() {
            found.extend(leftovers(&path));
        }
    }
    found
}

/// Asks again until it is true; panics with `what` when that takes too long.
pub fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    for _ in 0..300 {
        if is_true() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{what}");
}
