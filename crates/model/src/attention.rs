//! The self and cross attention of a block.

use candle_core::{Result, Tensor};

use crate::config::TransformerConfig;
use crate::error::Loaded;
use crate::frozen::Frozen;
use crate::kernels::{attention, rms_norm, rope};
use crate::linear::Linear;
use crate::rope::RopeTable;
use crate::weights::Scope;

/// Attention with query and key normalised over the full width, all heads together.
#[derive(Clone)]
pub(crate) struct Attention {
    heads: usize,
    eps: f64,
    pub q: Linear,
    pub k: Linear,
    pub v: Linear,
    pub o: Linear,
    norm_q: Tensor,
    norm_k: Tensor,
    pub image: Option<ImageKeys>,
}

/// Keys and values of the CLIP image tokens, which share the text's queries.
#[derive(Clone)]
pub(crate) struct ImageKeys {
    pub k: Linear,
    pub v: Linear,
    norm_k: Tensor,
}

/// What a block's cross attention looks at.
pub(crate) struct Context {
    /// (B, L, dim)
    pub text: Tensor,
    /// (B, image tokens, dim)
    pub image: Option<Tensor>,
}

impl Attention {
    pub fn load(w: &Scope<'_>, config: &TransformerConfig, with_image: bool) -> Loaded<Self> {
        let dim = config.dim();
        let linear = |name| w.linear(name, dim, dim);
        let image = with_image.then(|| ImageKeys::load(w, dim)).transpose()?;
        Ok(Self {
            heads: config.num_attention_heads,
            eps: config.eps,
            q: linear("q")?,
            k: linear("k")?,
            v: linear("v")?,
            o: linear("o")?,
            norm_q: w.in_f32().tensor("norm_q.weight", &[dim])?,
            norm_k: w.in_f32().tensor("norm_k.weight", &[dim])?,
            image,
        })
    }

    /// Every token of `x` (B, S, dim) looks at every other.
    pub fn to_itself(&self, x: &Tensor, table: &RopeTable) -> Result<Tensor> {
        let q = rope(&self.heads_of(&rms_norm(&self.q.forward(x)?, &self.norm_q, self.eps)?)?, table)?;
        let k = rope(&self.heads_of(&rms_norm(&self.k.forward(x)?, &self.norm_k, self.eps)?)?, table)?;
        let v = self.heads_of(&self.v.forward(x)?)?;
        self.o.forward(&attention(&q, &k, &v)?.reshape(x.shape())?)
    }

    /// Every token of `x` (B, S, dim) looks at the text and, beside it, at the image.
    pub fn to_context(&self, x: &Tensor, context: &Context) -> Result<Tensor> {
        let q = self.heads_of(&rms_norm(&self.q.forward(x)?, &self.norm_q, self.eps)?)?;
        let mut seen = self.look(&q, (&self.k, &self.norm_k, &self.v), &context.text)?;
        if let (Some(keys), Some(image)) = (&self.image, &context.image) {
            seen = (seen + self.look(&q, (&keys.k, &keys.norm_k, &keys.v), image)?)?;
        }
        self.o.forward(&seen.reshape(x.shape())?)
    }

    /// The gain of one of its norms.
    pub fn norm(&mut self, name: &str) -> Option<Frozen<'_>> {
        let gain = match name {
            "norm_q.weight" => &mut self.norm_q,
            "norm_k.weight" => &mut self.norm_k,
            "norm_k_img.weight" => &mut self.image.as_mut()?.norm_k,
            _ => return None,
        };
        Some(Frozen::Small(gain))
    }

    fn look(&self, q: &Tensor, (k, norm, v): (&Linear, &Tensor, &Linear), at: &Tensor) -> Result<Tensor> {
        let k = self.heads_of(&rms_norm(&k.forward(at)?, norm, self.eps)?)?;
        attention(q, &k, &self.heads_of(&v.forward(at)?)?)
    }

    /// (B, S, dim) -> (B, S, heads, head_dim)
    fn heads_of(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, tokens, dim) = x.dims3()?;
        x.reshape((batch, tokens, self.heads, dim / self.heads))
    }
}

impl ImageKeys {
    fn load(w: &Scope<'_>, dim: usize) -> Loaded<Self> {
        let (k, v) = (w.linear("k_img", dim, dim)?, w.linear("v_img", dim, dim)?);
        Ok(Self { k, v, norm_k: w.in_f32().tensor("norm_k_img.weight", &[dim])? })
    }
}
