//! How an adapter is tuned: all that decides it beside the shot and the base.

use serde::{Deserialize, Serialize};

use super::{Shown, Targets};
use crate::range::FrameRange;

/// How the adapter is tuned. All of it goes into the [`AdapterId`](crate::AdapterId).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Recipe {
    /// Rank of the adapter.
    pub rank: usize,
    /// Its strength is `alpha / rank`.
    pub alpha: f64,
    /// The layers it adapts.
    #[serde(skip_serializing_if = "Targets::are_all")]
    pub targets: Targets,
    /// Optimiser steps.
    pub steps: usize,
    /// AdamW's rate, at its start if it falls.
    pub learning_rate: f64,
    /// Whether the rate falls along half a cosine; constant as published otherwise.
    pub cosine: bool,
    /// Shift of the trained noise levels towards noise, where the motion is decided; 1 is uniform, as published.
    pub timestep_shift: f64,
    /// Seed of noise, timesteps and the adapter's start.
    pub seed: u64,
    /// Weight of the loss within the generation mask; 1 is plain MSE.
    pub mask_loss_weight: f64,
    /// Recoloured variants of the plate trained on beside it, so that its look cannot be memorised; 0 is as published.
    pub look_variants: usize,
    /// Whether an earlier step's adapter is taken where the training came apart; published is the last one always.
    pub keep_best: bool,
    /// What the unedited shot shows, in words, for bases that take text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source_prompt: String,
    /// What stands before every prompt, in training and in generation, for bases that take text: a word that means the
    /// shot and nothing else.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prompt_prefix: String,
    /// Whether the model is shown each window's first frame carried along the surface, as it will be in generation (see
    /// [`Sampling::carry`](super::Sampling::carry)); grey in the whole mask is as published.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub carry: bool,
    /// What of a window the model is shown.
    #[serde(skip_serializing_if = "Shown::is_whole")]
    pub shown: Shown,
    /// Frames of a training window, 4n+1: overlapping windows of the shot are learnt one by one, in less memory; 0 is
    /// the whole shot, where the model takes it at once.
    pub train_window: usize,
    /// Whether the shot is learnt backwards too, for frames before the first key.
    pub reversed: bool,
    /// Rounds of stage 2 over the later key frames and the references; 0 leaves it out.
    pub stage2_epochs: usize,
    /// Learning rate of stage 2, as a part of that of stage 1; 1 is as published.
    pub stage2_rate: f64,
}

impl Recipe {
    /// What suits `nano`: rates and steps measured on two cores, the rest as published but for the recoloured variants.
    pub const NANO: Self = Self {
        rank: 16,
        alpha: 16.0,
        targets: Targets::ALL,
        steps: 100,
        learning_rate: 3e-3,
        cosine: false,
        // Sampled in one step from pure noise, it learns most of all near there. On 16 small `train` shots: 0.03 dB.
        timestep_shift: 10.0,
        seed: 1,
        mask_loss_weight: 1.0,
        // 8 would do where the painted frame shows all; what comes round gains 0.1 to 0.2 dB.
        look_variants: 16,
        keep_best: true,
        source_prompt: String::new(),
        prompt_prefix: String::new(),
        carry: true,
        shown: Shown::Whole,
        train_window: 0,
        reversed: false,
        // Learnt by a network of its size, one example costs more of the shot than it gives (docs/windows.md).
        stage2_epochs: 0,
        stage2_rate: 0.1,
    };

    /// What the published code puts before each caption that it trains on and generates from: the default of "Prompt
    /// Prefix" in `predata_app.py`, which `predata_additional.py` and `inference.py` take up from `prefix.txt`.
    pub const PUBLISHED_PREFIX: &str = "p3rs0n,";

    /// Rounds of stage 2 as published.
    pub const STAGE2_EPOCHS: usize = 10;

    /// The same recipe for a shot of `frames`, painted at `keys`, with a model that takes `most_frames` at once: a
    /// window that holds all of the shot is none, and one whose first frame is not painted is learnt backwards too.
    pub fn for_shot(self, frames: &FrameRange, keys: &FrameRange, most_frames: usize) -> Self {
        // Windows are of 4n+1 frames, 5 at least: no other number may make another id.
        let window = match self.train_window.min(most_frames) {
            0 => 0,
            window => (window.max(5) - 1) / 4 * 4 + 1,
        };
        let train_window = if frames.len() > window { window } else { 0 };
        let reversed = keys.first().is_some_and(|key| frames.first().is_some_and(|first| key > first));
        Self { train_window, reversed: self.reversed || reversed, ..self }
    }

    /// What a base that takes text is told of `prompt`: as published, a space after the prefix.
    pub fn prefixed(&self, prompt: &str) -> String {
        let words = [self.prompt_prefix.as_str(), prompt].into_iter().filter(|words| !words.is_empty());
        words.collect::<Vec<_>>().join(" ")
    }

    /// What stage 1 depends on: nothing of stage 2.
    pub fn of_first_stage(&self) -> Self {
        Self { stage2_epochs: 0, stage2_rate: 1.0, ..self.clone() }
    }

    /// What the published code trains with on Wan 2.1 I2V 14B, with the base in bf16.
    pub fn published() -> Self {
        Self {
            steps: 100,
            learning_rate: 1e-4,
            timestep_shift: 1.0,
            look_variants: 0,
            prompt_prefix: Self::PUBLISHED_PREFIX.to_owned(),
            stage2_epochs: Self::STAGE2_EPOCHS,
            stage2_rate: 1.0,
            carry: false,
            ..Self::NANO
        }
    }
}

impl Default for Recipe {
    fn default() -> Self {
        Self::NANO
    }
}
