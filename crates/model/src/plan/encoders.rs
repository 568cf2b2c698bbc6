//! What the encoders of text and image hold beside their weights. They work in f32 on the CPU, wherever the rest works.

use crate::clip_config::ClipVisionConfig;
use crate::umt5_config::Umt5Config;

/// Bytes of the text encoder at so many tokens: five score matrices of all heads, and a few states.
pub(super) fn text(config: &Umt5Config, tokens: u64) -> u64 {
    let scores = 5 * config.num_heads as u64 * tokens * tokens;
    let states = tokens * (4 * config.d_model + 3 * config.d_ff + 6 * config.inner()) as u64;
    4 * (scores + states)
}

/// Bytes of the image encoder at one image.
pub(super) fn image(config: &ClipVisionConfig) -> u64 {
    let tokens = config.tokens() as u64;
    let states = tokens * (10 * config.hidden_size + 2 * config.intermediate_size) as u64;
    4 * (states + 3 * 4 * (config.image_size * config.image_size) as u64)
}
