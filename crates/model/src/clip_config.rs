//! The sizes of the image encoder.

use std::path::Path;

use serde::Deserialize;

use crate::config::read_json;
use crate::encoder_names::{has_vision_prefix, official_clip_name};
use crate::error::{Loaded, ModelError};
use crate::umt5_config::matrix;
use crate::weights::Weights;

/// The sizes of a CLIP vision tower, under transformers' names (`CLIPVisionConfig`).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct ClipVisionConfig {
    /// Channels of the states.
    pub hidden_size: usize,
    /// Inner size of the feed-forward layers.
    pub intermediate_size: usize,
    /// Number of blocks, the last one included, whose output Wan does not use.
    pub num_hidden_layers: usize,
    /// Heads of each attention.
    pub num_attention_heads: usize,
    /// Side of the image in pixels.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// `gelu` (by the error function) or `quick_gelu`.
    pub hidden_act: String,
    /// Added under the root of every normalisation.
    pub layer_norm_eps: f64,
}

impl Default for ClipVisionConfig {
    /// ViT-H/14, which Wan 2.1 uses.
    fn default() -> Self {
        Self {
            hidden_size: 1280,
            intermediate_size: 5120,
            num_hidden_layers: 32,
            num_attention_heads: 16,
            image_size: 224,
            patch_size: 14,
            hidden_act: "gelu".into(),
            layer_norm_eps: 1e-5,
        }
    }
}

impl ClipVisionConfig {
    /// Reads a `config.json`, or the one in a folder; of one for both towers the `vision_config`.
    ///
    /// # Errors
    /// When it cannot be read or describes a network that is not supported.
    pub fn read(path: &Path) -> Loaded<Self> {
        let (path, mut json) = read_json::<serde_json::Value>(path)?;
        let vision = json.get_mut("vision_config").map(serde_json::Value::take).unwrap_or(json);
        let config: Self = serde_json::from_value(vision).map_err(|e| ModelError::config(&path, e))?;
        match config.unsupported() {
            Some(reason) => Err(ModelError::config(&path, reason)),
            None => Ok(config),
        }
    }

    /// Works the sizes out from the tensors, in any spelling.
    ///
    /// The tensors do not tell the heads: they are taken to have 80 channels where the network is 1280 wide (ViT-H)
    /// and 64 elsewhere. The activation and the norms are taken to be ViT-H's.
    ///
    /// # Errors
    /// When a tensor that tells a size is missing or has another number of dimensions.
    pub fn detect(weights: &Weights) -> Loaded<Self> {
        let weights = &official_names(weights);
        let name = "visual.patch_embedding.weight";
        let (hidden_size, patch_size) = match weights.shape(name) {
            Some(&[dim, _, rows, _]) => (dim, rows),
            Some(_) => {
                return Err(ModelError::weights(weights.source(), format!("{name} has not four dimensions")));
            }
            None => {
                return Err(ModelError::MissingTensor { name: name.into(), file: weights.source().into() });
            }
        };
        let tokens = weights.shape("visual.pos_embedding").map_or(0, |shape| shape.iter().product::<usize>());
        let patches = (tokens / hidden_size.max(1)).saturating_sub(1);
        let (intermediate_size, _) = matrix(weights, "visual.transformer.0.mlp.0.weight")?;
        let is_block = |i: &usize| weights.contains(&format!("visual.transformer.{i}.norm1.weight"));
        let config = Self {
            hidden_size,
            intermediate_size,
            num_hidden_layers: (0..).take_while(is_block).count(),
            num_attention_heads: hidden_size / if hidden_size == 1280 { 80 } else { 64 },
            image_size: patches.isqrt() * patch_size,
            patch_size,
            ..Self::default()
        };
        match config.unsupported() {
            Some(reason) => Err(ModelError::weights(weights.source(), reason)),
            None => Ok(config),
        }
    }

    /// What `config.json` in the folder `path` says, or else the tensors.
    pub(crate) fn of(path: &Path, weights: &Weights) -> Loaded<Self> {
        if path.join("config.json").is_file() { Self::read(path) } else { Self::detect(weights) }
    }

    /// Patches of an image, and the class token.
    pub fn tokens(&self) -> usize {
        (self.image_size / self.patch_size).pow(2) + 1
    }

    fn unsupported(&self) -> Option<&'static str> {
        let (dim, heads) = (self.hidden_size, self.num_attention_heads);
        let sizes =
            [dim, heads, self.intermediate_size, self.num_hidden_layers, self.image_size, self.patch_size];
        let positive = sizes.iter().all(|&size| size > 0);
        let activation = ["gelu", "quick_gelu"].contains(&self.hidden_act.as_str());
        [
            (positive, "a size is zero"),
            (positive && dim.is_multiple_of(heads), "hidden_size must be a multiple of num_attention_heads"),
            (
                positive && self.image_size.is_multiple_of(self.patch_size),
                "image_size must be a multiple of patch_size",
            ),
            (activation, "only hidden_act gelu and quick_gelu are supported"),
        ]
        .into_iter()
        .find_map(|(fine, reason)| (!fine).then_some(reason))
    }
}

/// The weights under official names; another tower's keep theirs.
pub(crate) fn official_names(weights: &Weights) -> Weights {
    let prefixed = has_vision_prefix(weights.tensor_names());
    weights.renamed(|name| official_clip_name(name, prefixed))
}
