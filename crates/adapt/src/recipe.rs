//! What is trained on a shot, and how.

use lora_edit_model::flow::shifted;
use lora_edit_model::names::BLOCK_LINEARS;
use serde::{Deserialize, Serialize};

use crate::error::{AdaptError, Result};

/// The shape of an adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AdapterConfig {
    /// Inner width of each low-rank pair, at least 1.
    pub rank: usize,
    /// The pair is scaled by `alpha / rank`.
    pub alpha: f64,
    /// The adapted layers of each block, such as `self_attn.q`; by default all but those of the CLIP image, as published.
    pub targets: Vec<String>,
}

/// How the learning rate goes on over a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Schedule {
    /// As published.
    Constant,
    /// Falls along half a cosine, almost to nothing at the last step: a short training at a high rate ends settled.
    Cosine,
}

impl Schedule {
    /// The part of the rate that is used at step `step` of `steps`, counted from 0.
    pub fn factor(self, step: usize, steps: usize) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Cosine => 0.5 + 0.5 * (std::f64::consts::PI * step as f64 / steps.max(1) as f64).cos(),
        }
    }
}

/// All noise levels.
const WHOLE: [f64; 2] = [0.0, 1.0];

fn is_whole(range: &[f64; 2]) -> bool {
    *range == WHOLE
}

/// All that decides the result of a training besides the shot and the base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Recipe {
    /// The shape of the adapter.
    pub adapter: AdapterConfig,
    /// Optimiser steps.
    pub steps: usize,
    /// AdamW's rate, at its start if it falls.
    pub learning_rate: f64,
    /// How the rate goes on from there.
    pub schedule: Schedule,
    /// Noise levels are drawn evenly from 0..1, then shifted towards noise by this; 1 is as published.
    pub timestep_shift: f64,
    /// The part of 0..1 that noise levels are drawn from: an expert of Wan 2.2 A14B is asked on its own part alone.
    #[serde(skip_serializing_if = "is_whole")]
    pub noise_range: [f64; 2],
    /// AdamW's decay of the first and the second moment.
    pub betas: [f64; 2],
    /// AdamW's decoupled weight decay.
    pub weight_decay: f64,
    /// Largest norm of the whole gradient; longer ones are shortened to it.
    pub clip_norm: f64,
    /// Decides the adapter's start, and the time and noise of each step.
    pub seed: u64,
    /// Weight of the loss where the mask says generate, against 1 where it says keep.
    pub mask_loss_weight: f64,
}

impl Default for AdapterConfig {
    fn default() -> Self {
        Self { rank: 16, alpha: 16.0, targets: BLOCK_LINEARS.map(String::from).to_vec() }
    }
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            adapter: AdapterConfig::default(),
            steps: 100,
            learning_rate: 1e-4,
            schedule: Schedule::Constant,
            timestep_shift: 1.0,
            noise_range: WHOLE,
            betas: [0.9, 0.99],
            weight_decay: 0.01,
            clip_norm: 1.0,
            seed: 0,
            mask_loss_weight: 1.0,
        }
    }
}

impl AdapterConfig {
    /// Whether the layer of this official path, such as `blocks.3.ffn.0`, is adapted.
    pub fn adapts(&self, path: &str) -> bool {
        let in_block = path.strip_prefix("blocks.").and_then(|rest| rest.split_once('.'));
        in_block.is_some_and(|(_, layer)| self.targets.iter().any(|target| target == layer))
    }
}

impl Recipe {
    /// The noise level for `uniform` in 0..1: shifted, and within the recipe's range.
    pub fn noise_level(&self, uniform: f64) -> f64 {
        let shift = self.timestep_shift;
        // The inverse of the shift: the range is that of levels, not of what is drawn.
        let [low, high] = self.noise_range.map(|level| level / (shift - (shift - 1.0) * level));
        shifted(low + uniform * (high - low), shift)
    }

    /// # Errors
    /// When a value makes no sense; names it.
    pub fn check(&self) -> Result<()> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let is_part = |[low, high]: [f64; 2]| 0.0 <= low && low < high && high <= 1.0;
        let decay = |beta: f64| (0.0..1.0).contains(&beta);
        let wrong = match self {
            _ if self.adapter.rank == 0 => "rank is 0",
            _ if self.adapter.targets.is_empty() => "no layer is to be adapted",
            _ if !positive(self.adapter.alpha) => "alpha is not positive",
            _ if !positive(self.learning_rate) => "learning rate is not positive",
            _ if !positive(self.timestep_shift) => "timestep shift is not positive",
            _ if !is_part(self.noise_range) => "noise range is no part of 0..1",
            _ if !positive(self.clip_norm) => "clip norm is not positive",
            _ if !positive(self.mask_loss_weight) => "mask loss weight is not positive",
            _ if !self.betas.into_iter().all(decay) => "betas are not in [0, 1)",
            _ if !(0.0..1.0).contains(&self.weight_decay) => "weight decay is not in [0, 1)",
            _ => return Ok(()),
        };
        Err(AdaptError::Recipe(wrong.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_layers_are_adapted_and_no_others() {
        let config = AdapterConfig::default();
        assert!(config.adapts("blocks.0.self_attn.q") && config.adapts("blocks.39.ffn.2"));
        for other in ["blocks.0.cross_attn.k_img", "blocks.0.cross_attn.v_img", "head.head", "self_attn.q"] {
            assert!(!config.adapts(other), "{other}");
        }
    }

    #[test]
    fn json_is_camel_case_and_may_be_partial() {
        let recipe: Recipe =
            serde_json::from_str(r#"{"learningRate": 0.001, "adapter": {"rank": 4}}"#).unwrap();
        let adapter = AdapterConfig { rank: 4, ..Default::default() };
        assert_eq!(recipe, Recipe { learning_rate: 1e-3, adapter, ..Default::default() });
        let text = serde_json::to_string(&recipe).unwrap();
        assert_eq!(serde_json::from_str::<Recipe>(&text).unwrap(), recipe);
    }

    #[test]
    fn noise_levels_fill_their_range_and_no_more() {
        for timestep_shift in [1.0, 3.0] {
            let recipe = Recipe { timestep_shift, noise_range: [0.25, 0.9], ..Default::default() };
            let levels = [0.0, 0.5, 1.0].map(|uniform| recipe.noise_level(uniform));
            assert!((levels[0] - 0.25).abs() < 1e-12 && (levels[2] - 0.9).abs() < 1e-12, "{levels:?}");
            let whole = Recipe { timestep_shift, ..Default::default() };
            assert_eq!(whole.noise_level(0.375), shifted(0.375, timestep_shift));
        }
        for noise_range in [[0.5, 0.5], [-0.1, 1.0], [0.0, 1.1], [f64::NAN, 1.0]] {
            assert!(Recipe { noise_range, ..Default::default() }.check().is_err(), "{noise_range:?}");
        }
    }

    #[test]
    fn a_cosine_falls_from_all_to_almost_nothing() {
        assert_eq!(Schedule::Cosine.factor(0, 100), 1.0);
        assert!((Schedule::Cosine.factor(50, 100) - 0.5).abs() < 1e-12);
        let last = Schedule::Cosine.factor(99, 100);
        assert!(last > 0.0 && last < 1e-3, "{last}");
        assert_eq!(Schedule::Constant.factor(99, 100), 1.0);
    }

    #[test]
    fn senseless_values_are_named() {
        let reason = |recipe: Recipe| recipe.check().unwrap_err().to_string();
        let adapter = AdapterConfig { rank: 0, ..Default::default() };
        assert_eq!(reason(Recipe { adapter, ..Default::default() }), "recipe: rank is 0");
        let recipe = Recipe { learning_rate: f64::NAN, ..Default::default() };
        assert_eq!(reason(recipe), "recipe: learning rate is not positive");
        assert!(Recipe::default().check().is_ok());
    }
}
