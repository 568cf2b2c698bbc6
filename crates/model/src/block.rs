//! One block of the transformer.

use candle_core::{Result, Tensor};

use crate::attention::{Attention, Context};
use crate::config::TransformerConfig;
use crate::embeddings::Times;
use crate::error::Loaded;
use crate::frozen::Frozen;
use crate::kernels::frozen::FrozenWeight;
use crate::kernels::{gated_add, gelu_tanh, layer_norm};
use crate::linear::Linear;
use crate::names::{BLOCK_LINEARS, IMAGE_LINEARS};
use crate::rope::RopeTable;
use crate::weights::{Scope, Stored, Streamed};

/// Self attention, cross attention and feed-forward layers, the first and last under the time's control.
#[derive(Clone)]
pub(crate) struct Block {
    eps: f64,
    modulation: Tensor,
    self_attn: Attention,
    norm3: [Tensor; 2],
    cross_attn: Attention,
    ffn: [Linear; 2],
}

impl Block {
    pub fn load(w: &Scope<'_>, config: &TransformerConfig) -> Loaded<Self> {
        let dim = config.dim();
        let (exact, norm3) = (w.in_f32(), w.in_f32().under("norm3"));
        Ok(Self {
            eps: config.eps,
            modulation: exact.tensor("modulation", &[1, 6, dim])?,
            self_attn: Attention::load(&w.under("self_attn"), config, false)?,
            norm3: [norm3.tensor("weight", &[dim])?, norm3.tensor("bias", &[dim])?],
            cross_attn: Attention::load(&w.under("cross_attn"), config, config.takes_image())?,
            ffn: [w.linear("ffn.0", dim, config.ffn_dim)?, w.linear("ffn.2", config.ffn_dim, dim)?],
        })
    }

    /// x (B, S, dim) -> (B, S, dim)
    pub fn forward(&self, x: &Tensor, times: &Times, context: &Context, table: &RopeTable) -> Result<Tensor> {
        let time = times.blocks.broadcast_add(&self.modulation)?;
        let part = |i: usize| times.spread(&time.narrow(1, i, 1)?.squeeze(1)?);
        let normed = layer_norm(x, &(part(1)? + 1.0)?, &part(0)?, self.eps)?;
        let x = gated_add(x, &self.self_attn.to_itself(&normed, table)?, &part(2)?)?;
        let normed = layer_norm(&x, &self.norm3[0], &self.norm3[1], self.eps)?;
        let x = (&x + self.cross_attn.to_context(&normed, context)?)?;
        let normed = layer_norm(&x, &(part(4)? + 1.0)?, &part(3)?, self.eps)?;
        let hidden = gelu_tanh(&self.ffn[0].forward(&normed)?)?;
        gated_add(&x, &self.ffn[1].forward(&hidden)?, &part(5)?)
    }

    /// The weights that are to be brought in before the block runs, in the order of its layers.
    pub fn streamed(&self) -> Vec<Streamed> {
        let streamed = |(_, linear): (_, &Linear)| match &linear.weight {
            FrozenWeight::Streamed(weight) => Some(weight.clone()),
            _ => None,
        };
        self.linears().into_iter().filter_map(streamed).collect()
    }

    /// The weights that are computed with as they lie in their file.
    pub fn stored(&self) -> Vec<Stored> {
        let stored = |(_, linear): (_, &Linear)| match &linear.weight {
            FrozenWeight::Stored(weight) => Some(weight.clone()),
            _ => None,
        };
        self.linears().into_iter().filter_map(stored).collect()
    }

    /// This block with `weights` in the places of [`Block::streamed`].
    pub fn with_weights(&self, weights: Vec<Tensor>) -> Self {
        let (mut block, mut weights) = (self.clone(), weights.into_iter());
        for (_, linear) in block.linears_mut() {
            if matches!(linear.weight, FrozenWeight::Streamed(_))
                && let Some(weight) = weights.next()
            {
                linear.weight = FrozenWeight::Dense(weight);
            }
        }
        block
    }

    /// This block, whose adapters are constants: what it computes keeps nothing for a backward pass.
    pub fn without_gradients(&self) -> Self {
        let mut block = self.clone();
        block.linears_mut().into_iter().for_each(|(_, linear)| *linear = linear.without_gradients());
        block
    }

    /// Lets go of the memory that the block's part of the file took.
    pub fn give_back(&self) {
        self.stored().iter().for_each(Stored::give_back);
    }

    /// Every linear layer with its name within the block, in the order of the official checkpoint.
    pub fn linears(&self) -> Vec<(&'static str, &Linear)> {
        let (own, cross) = (&self.self_attn, &self.cross_attn);
        let layers = [&own.q, &own.k, &own.v, &own.o, &cross.q, &cross.k, &cross.v, &cross.o];
        let image = cross.image.iter().flat_map(|image| [&image.k, &image.v]);
        let all = layers.into_iter().chain(image).chain(&self.ffn);
        names(cross.image.is_some()).zip(all).collect()
    }

    /// The same, to be changed.
    pub fn linears_mut(&mut self) -> Vec<(&'static str, &mut Linear)> {
        let (own, cross) = (&mut self.self_attn, &mut self.cross_attn);
        let names = names(cross.image.is_some());
        let own = [&mut own.q, &mut own.k, &mut own.v, &mut own.o];
        let image = cross.image.iter_mut().flat_map(|image| [&mut image.k, &mut image.v]);
        let cross = [&mut cross.q, &mut cross.k, &mut cross.v, &mut cross.o];
        names.zip(own.into_iter().chain(cross).chain(image).chain(&mut self.ffn)).collect()
    }

    /// The tensor of this name within the block.
    pub fn frozen(&mut self, name: &str) -> Option<Frozen<'_>> {
        let (layer, own) = name.rsplit_once('.').unwrap_or(("", name));
        match (layer, layer.split_once(".norm_")) {
            ("", _) => (own == "modulation").then_some(Frozen::Small(&mut self.modulation)),
            ("norm3", _) => Frozen::of_norm(&mut self.norm3, own),
            (_, Some(("self_attn", _))) => self.self_attn.norm(name.strip_prefix("self_attn.")?),
            (_, Some(("cross_attn", _))) => self.cross_attn.norm(name.strip_prefix("cross_attn.")?),
            _ => self.linears_mut().into_iter().find(|(path, _)| *path == layer)?.1.frozen(own),
        }
    }
}

fn names(with_image: bool) -> impl Iterator<Item = &'static str> {
    let (attention, ffn) = BLOCK_LINEARS.split_at(8);
    let image = with_image.then_some(IMAGE_LINEARS).into_iter().flatten();
    attention.iter().copied().chain(image).chain(ffn.iter().copied())
}
