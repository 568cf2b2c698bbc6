//! A workplace for one test: a tiny model, a small shot, a cache, and the real program.
#![allow(dead_code, clippy::unwrap_used)] // each test program uses its part; a test may stop where it stands

mod tiny_model;
pub mod tiny_wan;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use lora_edit_shot::image_io::{read_frame, write_exr_float};
use lora_edit_shot::{Frame, FrameRange};
use tempfile::TempDir;

/// The shot's frames.
pub const FRAMES: &str = "1001-1005";
/// Longer than any of these jobs takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A temporary folder with all that an edit needs.
pub struct Workplace {
    folder: TempDir,
}

/// A program that ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Its output.
    pub stdout: String,
    /// Its messages.
    pub stderr: String,
}

impl Workplace {
    /// A shot of five frames of 72 x 56: a square moves to the right over a ramp; the first frame is painted.
    pub fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        tiny_model::write_tiny_model(&place.path("models"), "tiny");
        for (step, frame) in FrameRange::parse(FRAMES).unwrap().iter().enumerate() {
            place.write("source", frame, &plate(step, [0.8, 0.2, 0.1]));
            place.write("mask", frame, &mask(step));
        }
        place.paint([0.1, 0.3, 0.9]);
        place
    }

    /// A path within the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The file of one frame of a sequence.
    pub fn frame_path(&self, sequence: &str, frame: i32) -> PathBuf {
        self.path(&format!("{sequence}.{frame:04}.exr"))
    }

    /// Writes one frame of a sequence.
    pub fn write(&self, sequence: &str, frame: i32, picture: &Frame) {
        write_exr_float(&self.frame_path(sequence, frame), picture).unwrap();
    }

    /// Reads one frame of a sequence.
    pub fn read(&self, sequence: &str, frame: i32) -> Frame {
        read_frame(&self.frame_path(sequence, frame)).unwrap()
    }

    /// Paints the first frame's square in another colour.
    pub fn paint(&self, colour: [f32; 3]) {
        self.write("edited", 1001, &plate(0, colour));
    }

    /// The program with this environment alone.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lora-edit"));
        command.args(arguments).current_dir(self.folder.path());
        command.env_remove("LORA_EDIT_MODELS").env("LORA_EDIT_CACHE", self.path("cache"));
        command.env_remove("HF_HUB_CACHE").env_remove("HF_TOKEN").env("HF_HOME", self.path("huggingface"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// `edit` on the shot, with what `more` says last.
    pub fn edit_command(&self, more: &[&str]) -> Command {
        let mut arguments = vec!["edit", "--source", "source.%04d.exr", "--mask", "mask.####.exr"];
        arguments.extend(["--edited", "edited.%04d.exr", "--keys", "1001", "--frames", FRAMES]);
        arguments.extend(["--input-space", "linear", "--edit-space", "linear", "--seed", "1"]);
        arguments.extend(["--model", "tiny", "--model-dir", "models", "--output", "out/result.%04d.exr"]);
        arguments.extend(["--train-steps", "12", "--rank", "2", "--sampler-steps", "3", "--json"]);
        // A flag given twice is an error: what `more` names replaces its default.
        for flag in more.iter().filter(|word| word.starts_with("--")) {
            if let Some(at) = arguments.iter().position(|word| word == flag) {
                arguments.drain(at..at + 2);
            }
        }
        arguments.extend(more);
        self.command(&arguments)
    }

    /// Runs `edit` to its end.
    pub fn edit(&self, more: &[&str]) -> Ended {
        ended(self.edit_command(more).output().unwrap())
    }

    /// Runs any command to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments).output().unwrap())
    }

    /// Whether an adapter's weights are in the cache.
    pub fn has_adapter(&self) -> bool {
        self.cached("adapters").iter().any(|name| name.ends_with(".safetensors"))
    }

    /// Names in a folder of the cache, those of no entry too.
    pub fn cached(&self, kind: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path("cache").join(kind)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Waits for a child, to the end of its output.
pub fn finish(child: Child) -> Ended {
    ended(child.wait_with_output().unwrap())
}

fn ended(output: Output) -> Ended {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Ended {
    /// The JSON objects on stdout.
    pub fn events(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The last one, of a run that went well.
    pub fn summary(&self) -> serde_json::Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        let last = self.events().pop().unwrap();
        assert_eq!(last["event"], "summary", "{last}");
        last
    }

    /// The training steps told of.
    pub fn train_steps(&self) -> Vec<u64> {
        let events = self.events();
        let steps = events.iter().filter(|event| event["event"] == "step" && event["stage"] == "train");
        steps.map(|event| event["step"].as_u64().unwrap()).collect()
    }

    /// Asserts a failure with this exit code and one line that names all of `named`.
    pub fn failed(&self, code: i32, named: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        let errors: Vec<&str> = self.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!((errors.len(), self.stderr.lines().last()), (1, errors.first().copied()), "{self:?}");
        for name in named {
            assert!(errors[0].contains(name), "'{}' does not name '{name}'", errors[0]);
        }
    }
}

/// Waits until `reached`, or fails.
pub fn wait_for(what: &str, mut reached: impl FnMut() -> bool) {
    let began = Instant::now();
    while !reached() {
        assert!(began.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Every safetensors file below `folder` can be read whole.
pub fn assert_all_whole(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if path.is_dir() && !hidden {
            assert_all_whole(&path);
        } else if path.extension().is_some_and(|e| e == "safetensors") && !hidden {
            let bytes = fs::read(&path).unwrap();
            safetensors::SafeTensors::deserialize(&bytes)
                .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
    }
}

fn inside(step: usize, x: usize, y: usize) -> bool {
    (20 + 2 * step..36 + 2 * step).contains(&x) && (18..34).contains(&y)
}

/// The plate, RGBA; one corner is far above 1 outside the mask and one value is negative.
pub fn plate(step: usize, colour: [f32; 3]) -> Frame {
    Frame::from_fn(72, 56, 4, |x, y, pixel| {
        let ramp = [x as f32 / 72.0, y as f32 / 56.0, 0.3];
        let shown = if inside(step, x, y) { colour } else { ramp };
        pixel.copy_from_slice(&[shown[0], shown[1], shown[2], 1.0]);
        if (x, y) == (71, 0) {
            pixel.copy_from_slice(&[17.25, -0.5, 1e-7, 0.25]);
        }
    })
}

/// The roto: 1 inside the square, soft at its edge.
pub fn mask(step: usize) -> Frame {
    Frame::from_fn(72, 56, 1, |x, y, pixel| {
        let near = inside(step, x + 1, y) || (x > 0 && inside(step, x - 1, y));
        pixel[0] = if inside(step, x, y) {
            1.0
        } else if near {
            0.5
        } else {
            0.0
        };
    })
}
