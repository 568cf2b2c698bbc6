//! What the transformer holds beside its weights: in a pass forward, and in a training step.
//!
//! Counted in rows: one tensor (tokens, width) in the type that is computed with. Follows `block.rs`, `attention.rs` and the
//! kernels; a change of what these keep is a change here.

use crate::config::TransformerConfig;

use super::{Machine, Memory, Residency};

/// What one clip is to the transformer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clip {
    /// Tokens.
    pub tokens: u64,
    /// Numbers of one channel of the latent.
    pub cells: u64,
    /// Tokens of the text.
    pub text: u64,
    /// Tokens of the CLIP image; 0 where it is not taken.
    pub image: u64,
}

/// Sizes in bytes that the sums below are made of.
struct Rows<'a> {
    config: &'a TransformerConfig,
    clip: Clip,
    machine: Machine,
}

impl Rows<'_> {
    fn number(&self) -> u64 {
        match self.machine {
            Machine::Cpu => 4,
            Machine::Gpu => 2,
        }
    }

    /// (tokens, width)
    fn row(&self) -> u64 {
        self.number() * self.clip.tokens * self.config.dim() as u64
    }

    /// (tokens, inner width of the feed-forward layers)
    fn wide(&self) -> u64 {
        self.number() * self.clip.tokens * self.config.ffn_dim as u64
    }

    /// (text tokens, width)
    fn text(&self) -> u64 {
        self.number() * self.clip.text * self.config.dim() as u64
    }

    /// (image tokens, width)
    fn image(&self) -> u64 {
        self.number() * self.clip.image * self.config.dim() as u64
    }

    /// The logarithms that one attention keeps for its gradient.
    fn logarithms(&self) -> u64 {
        4 * self.clip.tokens * self.config.num_attention_heads as u64
    }

    /// Latents around the network, in f32 (tables of angles, the joined input and its patches, what the solver or the loss
    /// remembers), and the embedded text and image.
    fn around(&self) -> u64 {
        let channels = (3 * self.config.in_channels + 5 * self.config.out_channels) as u64;
        let angles = 4 * self.clip.tokens * self.config.attention_head_dim as u64;
        let prompt = 4 * self.clip.text * self.config.text_dim as u64;
        4 * channels * self.clip.cells + angles + prompt + 2 * (self.text() + self.image())
    }

    /// Attention's parts before they are joined; a GPU writes its result in place.
    fn parts(&self) -> u64 {
        if self.machine == Machine::Cpu { self.row() } else { 0 }
    }

    /// The most that one block holds on the way forward, its input included, where nothing is kept for a gradient.
    fn forward(&self) -> u64 {
        // Input, normed, queries, keys, values, result.
        let itself = 6 * self.row() + self.parts();
        // Both inputs and normed states so far, queries, what is seen of the text and then of the image.
        let images = if self.clip.image > 0 { 1 } else { 0 };
        let context = (6 + images) * self.row() + self.parts() + 3 * self.text().max(self.image());
        // Three inputs and their normed states, the hidden layer before and after its activation.
        let feed_forward = 6 * self.row() + 2 * self.wide();
        itself.max(context).max(feed_forward)
    }

    /// What the graph of one block keeps for the way back.
    fn graph(&self) -> u64 {
        let images = if self.clip.image > 0 { 2 } else { 0 };
        // Input; self attention: normed, q and k three times each, v, seen, out; input; cross attention: normed, q twice,
        // seen, (seen of the image, sum), out; input; normed, out.
        let rows = 1 + 10 + 1 + 5 + images + 1 + 2;
        let logarithms = if images > 0 { 3 } else { 2 } * self.logarithms();
        rows * self.row() + 2 * self.wide() + 3 * self.text() + images * self.image() + logarithms
    }

    /// The most that the way back holds beside the graph: candle adds each gradient to a tensor of zeros, so that three
    /// of its size are there at a time.
    fn backward(&self) -> u64 {
        // The activation's gradient; or attention's three gradients, in parts and joined.
        let feed_forward = 4 * self.wide() + 2 * self.row();
        let attention = 8 * self.row() + self.parts();
        feed_forward.max(attention)
    }
}

/// Bytes that a call without gradients holds; two calls one after the other hold no more, but for a latent.
pub(super) fn sampling(config: &TransformerConfig, clip: Clip, machine: Machine) -> u64 {
    let rows = Rows { config, clip, machine };
    rows.forward() + rows.around() + decoded(config, machine)
}

/// Bytes that a training step holds beside weights, adapter and optimiser.
pub(super) fn training(config: &TransformerConfig, clip: Clip, machine: Machine, memory: Memory) -> u64 {
    let rows = Rows { config, clip, machine };
    let blocks = config.num_layers as u64;
    // Streamed blocks are always computed anew.
    let kept = match memory.recompute || memory.residency == Residency::Streamed {
        true => blocks * rows.row() + rows.graph(),
        false => blocks * rows.graph(),
    };
    kept + rows.backward() + rows.around() + decoded(config, machine)
}

/// Rows of a stored weight in f32, before they are multiplied (`kernels/stored.rs`); on a GPU a library's working space.
fn decoded(config: &TransformerConfig, machine: Machine) -> u64 {
    match machine {
        Machine::Cpu if config.dim() >= crate::transformer::STORED_FROM => 8 << 20,
        Machine::Cpu => 0,
        Machine::Gpu => 256 << 20,
    }
}
