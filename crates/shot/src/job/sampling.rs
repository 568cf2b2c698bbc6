//! How a result is sampled: all that decides it beside the adapter and the edit.

use super::Shown;
use lora_edit_store::Hasher;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

use crate::base::{BaseError, content_hash};

/// How the flow is integrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Sampler {
    /// First order.
    Euler,
    /// Multistep predictor and corrector.
    UniPc,
    /// DPM-Solver++(2M), midpoint.
    DpmPp,
}

/// Whose noise levels and times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ScheduleKind {
    /// In full precision, as the embedded model was trained.
    #[default]
    Exact,
    /// As Wan's published code: times truncated to whole numbers.
    Wan,
}

/// An adapter of another make, folded in beside the shot's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StackedLora {
    /// Its file.
    pub path: PathBuf,
    /// 1 is as it was made; 0 leaves it out.
    pub strength: f64,
    /// Hash of its content: another file under the same name is another LoRA.
    pub content: String,
    /// Of a model with two experts, the one it is for; both without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expert: Option<NoiseExpert>,
}

/// The experts of Wan 2.2 A14B.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NoiseExpert {
    /// For high noise levels, the first steps.
    High,
    /// For low noise levels.
    Low,
}

impl NoiseExpert {
    /// The expert that a LoRA's file name says, as published pairs are named: `high_noise`, `HighNoise`, `low-noise`.
    fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        match (plain.contains("highnoise"), plain.contains("lownoise")) {
            (true, false) => Some(Self::High),
            (false, true) => Some(Self::Low),
            _ => None,
        }
    }
}

impl StackedLora {
    /// Reads `PATH` or `PATH:STRENGTH` and the file's content. What follows the last colon counts as a strength only if
    /// it is a number, so `C:/x.safetensors` is a path.
    ///
    /// # Errors
    /// When the file cannot be read; names it.
    pub fn read(text: &str) -> Result<Self, BaseError> {
        let split = text.rsplit_once(':');
        let strength = split.and_then(|(_, number)| number.parse().ok()).filter(|s: &f64| s.is_finite());
        let path = match (split, strength) {
            (Some((path, _)), Some(_)) => path,
            _ => text,
        };
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        let (content, expert) = (lora_hash(&path)?, NoiseExpert::of_name(&path));
        Ok(Self { content, path, strength: strength.unwrap_or(1.0), expert })
    }

    /// Whether the file is still the one it was.
    ///
    /// # Errors
    /// When it cannot be read; names it.
    pub fn is_unchanged(&self) -> Result<bool, BaseError> {
        Ok(lora_hash(&self.path)? == self.content)
    }
}

fn lora_hash(path: &Path) -> Result<String, BaseError> {
    let mut hasher = Hasher::new("lora");
    content_hash(&mut hasher, "file", path)?;
    Ok(hasher.finish())
}

/// How the result is sampled. All of it goes into the [`ResultId`](crate::ResultId), LoRAs by their content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sampling {
    /// Network evaluations.
    pub steps: usize,
    /// The integrator.
    pub sampler: Sampler,
    /// Shift of the schedule towards noise; 1 is none.
    pub shift: f64,
    /// Classifier-free guidance; 1 is none. Of a model with two experts, that of the high-noise one.
    pub guidance: f64,
    /// Seed of the starting noise.
    pub seed: u64,
    /// Leaves the adapter out, to see what it is worth.
    pub without_adapter: bool,
    /// Guidance of the low-noise expert, where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance_low: Option<f64>,
    /// Whose noise levels.
    #[serde(skip_serializing_if = "is_exact")]
    pub schedule: ScheduleKind,
    /// What the edited shot shows, in words, for bases that take text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prompt: String,
    /// What guidance leads away from, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub negative_prompt: String,
    /// Adapters beside the shot's own, in the order they are added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lora: Vec<StackedLora>,
    /// Steps at which the first block changes less than this reuse the others' last answer; 0 computes every step.
    #[serde(skip_serializing_if = "is_zero")]
    pub step_cache: f64,
    /// Whether the painted frames are carried along the surface by the plate's own motion, so that the model generates
    /// only what they do not show; published models are shown grey in the whole mask.
    #[serde(default, skip_serializing_if = "is_false")]
    pub carry: bool,
    /// What of a pass the model is shown.
    #[serde(skip_serializing_if = "Shown::is_whole")]
    pub shown: Shown,
    /// Frames the model makes at once, at most; longer shots are made in overlapping passes.
    #[serde(skip_serializing_if = "is_nanos_window")]
    pub window: usize,
}

impl Sampling {
    /// What suits `nano`: one step, the mean of what it can tell. More of them leave what a model of its size makes up, another
    /// with each seed: on a ball whose unseen side comes round (a train shot, three seeds) 19.8 to 20.5 dB instead of 20.2 to 20.6.
    pub const NANO: Self = Self {
        steps: 1,
        sampler: Sampler::Euler,
        shift: 3.0,
        guidance: 1.0,
        seed: 1,
        without_adapter: false,
        guidance_low: None,
        schedule: ScheduleKind::Exact,
        prompt: String::new(),
        negative_prompt: String::new(),
        lora: Vec::new(),
        step_cache: 0.0,
        carry: true,
        shown: Shown::Whole,
        window: 33,
    };

    /// Whether any step is guided away from the negative prompt.
    pub fn is_guided(&self) -> bool {
        self.guidance != 1.0 || self.guidance_low.is_some_and(|guidance| guidance != 1.0)
    }

    /// The same without what changes no result: where LoRAs lie, and a negative prompt that is not used.
    pub(super) fn by_content(&self) -> Self {
        let mut sampling = self.clone();
        sampling.lora.iter_mut().for_each(|lora| lora.path = PathBuf::new());
        if !self.is_guided() {
            sampling.negative_prompt.clear();
        }
        sampling
    }
}

impl Default for Sampling {
    fn default() -> Self {
        Self::NANO
    }
}

fn is_exact(schedule: &ScheduleKind) -> bool {
    *schedule == ScheduleKind::Exact
}

fn is_nanos_window(frames: &usize) -> bool {
    *frames == Sampling::NANO.window
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lora_is_a_path_with_a_strength_and_known_by_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.safetensors");
        std::fs::write(&path, b"one").unwrap();
        let text = path.to_string_lossy().into_owned();
        let read = |text: &str| StackedLora::read(text).unwrap();
        assert_eq!((read(&text).strength, read(&format!("{text}:-0.5")).strength), (1.0, -0.5));
        assert_eq!(read(&format!("{text}:0.25")).path, path);
        let expert = |name: &str| NoiseExpert::of_name(Path::new(name));
        assert_eq!(expert("a_high_noise_lora.safetensors"), Some(NoiseExpert::High));
        assert_eq!(expert("A-LowNoise.safetensors"), Some(NoiseExpert::Low));
        assert_eq!((expert("high.safetensors"), expert("high_noise/a.safetensors")), (None, None));
        let first = read(&text);
        assert!(first.is_unchanged().unwrap());
        std::fs::write(&path, b"two").unwrap();
        assert!(!first.is_unchanged().unwrap());
        let error = StackedLora::read("/no/such:file.safetensors").unwrap_err().to_string();
        assert!(error.contains("/no/such:file.safetensors"), "{error}");
    }

    #[test]
    fn what_changes_no_result_is_no_part_of_its_identity() {
        let lora = |path: &str, content: &str| StackedLora {
            path: path.into(),
            strength: 1.0,
            content: content.into(),
            expert: None,
        };
        let with = |lora| Sampling { lora: vec![lora], ..Sampling::NANO }.by_content();
        assert_eq!(with(lora("/a", "x")), with(lora("/b", "x")));
        assert_ne!(with(lora("/a", "x")), with(lora("/a", "y")));
        let negative = |guidance| Sampling { guidance, negative_prompt: "grey".into(), ..Sampling::NANO };
        assert_eq!(negative(1.0).by_content().negative_prompt, "");
        assert_eq!(negative(5.0).by_content().negative_prompt, "grey");
    }

    #[test]
    fn settings_of_older_results_keep_their_identity() {
        let text = serde_json::to_string(&Sampling { steps: 4, carry: false, ..Sampling::NANO }).unwrap();
        let old =
            r#"{"steps":4,"sampler":"euler","shift":3.0,"guidance":1.0,"seed":1,"withoutAdapter":false}"#;
        assert_eq!(text, old);
        assert!(!serde_json::from_str::<Sampling>(old).unwrap().carry, "older results carried nothing");
    }
}
