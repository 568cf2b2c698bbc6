//! The sizes of the text encoder.

use std::path::Path;

use serde::Deserialize;

use crate::config::read_json;
use crate::encoder_names::official_umt5_name;
use crate::error::{Loaded, ModelError};
use crate::weights::Weights;

/// The sizes of a umT5 encoder, under transformers' names (`UMT5Config`).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Umt5Config {
    /// Rows of the token embedding; a few more than the tokenizer has tokens.
    pub vocab_size: usize,
    /// Channels of the states.
    pub d_model: usize,
    /// Channels of each head; heads times this need not be the width.
    pub d_kv: usize,
    /// Inner size of the feed-forward layers.
    pub d_ff: usize,
    /// Number of blocks.
    pub num_layers: usize,
    /// Heads of each attention.
    pub num_heads: usize,
    /// Rows of each block's table of relative positions; a multiple of four.
    pub relative_attention_num_buckets: usize,
    /// Distance in tokens from which all positions share the last row.
    pub relative_attention_max_distance: usize,
    /// Added under the root of every normalisation.
    pub layer_norm_epsilon: f64,
    /// `gated-gelu` in every published model.
    pub feed_forward_proj: String,
}

impl Default for Umt5Config {
    /// umT5-XXL, which Wan 2.1 and 2.2 use.
    fn default() -> Self {
        Self {
            vocab_size: 256_384,
            d_model: 4096,
            d_kv: 64,
            d_ff: 10_240,
            num_layers: 24,
            num_heads: 64,
            relative_attention_num_buckets: 32,
            relative_attention_max_distance: 128,
            layer_norm_epsilon: 1e-6,
            feed_forward_proj: "gated-gelu".into(),
        }
    }
}

impl Umt5Config {
    /// Reads a `config.json`, or the one in a folder.
    ///
    /// # Errors
    /// When it cannot be read or describes a network that is not supported.
    pub fn read(path: &Path) -> Loaded<Self> {
        let (path, config) = read_json::<Self>(path)?;
        match config.unsupported() {
            Some(reason) => Err(ModelError::config(&path, reason)),
            None => Ok(config),
        }
    }

    /// Works the sizes out from the tensors, in any spelling; what they do not tell is as in umT5-XXL.
    ///
    /// # Errors
    /// When a tensor that tells a size is missing or has not two dimensions.
    pub fn detect(weights: &Weights) -> Loaded<Self> {
        let weights = &weights.renamed(official_umt5_name);
        let (vocab_size, d_model) = matrix(weights, "token_embedding.weight")?;
        let (buckets, num_heads) = matrix(weights, "blocks.0.pos_embedding.embedding.weight")?;
        let (inner, _) = matrix(weights, "blocks.0.attn.q.weight")?;
        let (d_ff, _) = matrix(weights, "blocks.0.ffn.gate.0.weight")?;
        let is_block = |i: &usize| weights.contains(&format!("blocks.{i}.attn.q.weight"));
        let config = Self {
            vocab_size,
            d_model,
            d_kv: inner / num_heads.max(1),
            d_ff,
            num_layers: (0..).take_while(is_block).count(),
            num_heads,
            relative_attention_num_buckets: buckets,
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

    /// Channels of all heads together.
    pub(crate) fn inner(&self) -> usize {
        self.num_heads * self.d_kv
    }

    fn unsupported(&self) -> Option<&'static str> {
        let (buckets, distance) = (self.relative_attention_num_buckets, self.relative_attention_max_distance);
        let sizes = [self.vocab_size, self.d_model, self.d_kv, self.d_ff, self.num_heads, buckets];
        [
            (self.feed_forward_proj == "gated-gelu", "only feed_forward_proj gated-gelu is supported"),
            (sizes.iter().all(|&size| size > 0), "a size is zero"),
            (buckets.is_multiple_of(4), "relative_attention_num_buckets must be a multiple of 4"),
            (distance > buckets / 4, "relative_attention_max_distance must exceed a quarter of the buckets"),
        ]
        .into_iter()
        .find_map(|(fine, reason)| (!fine).then_some(reason))
    }
}

/// Rows and columns of a matrix that tells a size.
pub(crate) fn matrix(weights: &Weights, name: &str) -> Loaded<(usize, usize)> {
    match weights.shape(name) {
        Some(&[rows, columns]) => Ok((rows, columns)),
        Some(shape) => {
            Err(ModelError::weights(weights.source(), format!("{name} is {shape:?}, not a matrix")))
        }
        None => Err(ModelError::MissingTensor { name: name.into(), file: weights.source().into() }),
    }
}
