//! The Wan transformer: latent, noise level, text and image in; velocity of the flow out.

use std::path::Path;

use candle_core::{Result, Tensor, bail};

use crate::attention::Context;
use crate::block::Block;
use crate::config::TransformerConfig;
use crate::embeddings::{ImageEmbedding, Patches, TimeEmbedding, TwoLayers, embed_text};
use crate::error::Loaded;
use crate::kernels::layer_norm;
use crate::linear::Linear;
use crate::names::official_transformer_name;
use crate::rope::RopeTable;
use crate::weights::{Scope, Weights};

/// Wan 2.1 image-to-video (with CLIP) or text-to-video, and either expert of Wan 2.2 A14B.
pub struct WanTransformer {
    config: TransformerConfig,
    patches: Patches,
    text: TwoLayers,
    time: TimeEmbedding,
    image: Option<ImageEmbedding>,
    blocks: Vec<Block>,
    head: Head,
}

impl WanTransformer {
    /// Builds the network from weights under official or diffusers' names.
    ///
    /// # Errors
    /// Names the tensor and the file when one is missing or has another shape than `config` says.
    pub fn load(weights: &Weights, config: TransformerConfig) -> Loaded<Self> {
        let weights = weights.renamed(official_transformer_name);
        let (w, dim) = (weights.under(""), config.dim());
        let block = |i: usize| Block::load(&w.under(&format!("blocks.{i}")), &config);
        Ok(Self {
            patches: Patches::load(&w, &config)?,
            text: TwoLayers::load(&w, "text_embedding", config.text_dim, dim)?,
            time: TimeEmbedding::load(&w, &config)?,
            image: config.image_dim.map(|size| ImageEmbedding::load(&w, size, dim)).transpose()?,
            blocks: (0..config.num_layers).map(block).collect::<Loaded<_>>()?,
            head: Head::load(&w.under("head"), &config)?,
            config,
        })
    }

    /// Builds the network from a folder that holds `config.json` and safetensors.
    ///
    /// # Errors
    /// As [`WanTransformer::load`], and when the files cannot be read.
    pub fn open(folder: &Path) -> Loaded<Self> {
        Self::load(&Weights::open(folder)?, TransformerConfig::read(folder)?)
    }

    /// The sizes of the network.
    pub fn config(&self) -> &TransformerConfig {
        &self.config
    }

    /// The velocity `noise - clean` at each latent cell.
    ///
    /// - `x` (B, in_channels, F, h, w): noisy latent, then mask and condition; sizes are multiples of the patch
    /// - `t` (B,), or (B, tokens) where tokens differ: 1000 times the noise level
    /// - `text` (B, L, text_dim): padded by the caller as the model expects
    /// - `image` (B, tokens, image_dim): CLIP states, exactly where the model takes them
    ///
    /// Gives (B, out_channels, F, h, w). Gradients reach `x` and every low-rank pair.
    ///
    /// # Errors
    /// When shapes do not fit, or an image is missing or unwanted.
    pub fn forward(&self, x: &Tensor, t: &Tensor, text: &Tensor, image: Option<&Tensor>) -> Result<Tensor> {
        let grid = self.patches.grid(x)?;
        let table = RopeTable::new(grid, self.config.attention_head_dim)?;
        let (time, time_in_blocks) = self.time.forward(t)?;
        let context = Context { text: embed_text(&self.text, text)?, image: self.embed_image(image)? };
        let mut x = self.patches.embed(x)?;
        for block in &self.blocks {
            x = block.forward(&x, &time_in_blocks, &context, &table)?;
        }
        self.patches.join(&self.head.forward(&x, &time)?, grid)
    }

    fn embed_image(&self, image: Option<&Tensor>) -> Result<Option<Tensor>> {
        match (&self.image, image) {
            (Some(embedding), Some(image)) => Ok(Some(embedding.forward(image)?)),
            (None, None) => Ok(None),
            (Some(_), None) => bail!("the transformer takes CLIP image states and got none"),
            (None, Some(_)) => bail!("the transformer takes no CLIP image states"),
        }
    }

    /// Every linear layer of every block under its official path, such as `blocks.0.self_attn.q`.
    pub fn linears(&self) -> Vec<(String, &Linear)> {
        let mut all = Vec::new();
        for (i, block) in self.blocks.iter().enumerate() {
            let named = block.linears().into_iter();
            all.extend(named.map(|(name, linear)| (format!("blocks.{i}.{name}"), linear)));
        }
        all
    }

    /// The same, to hang adapters on.
    pub fn linears_mut(&mut self) -> Vec<(String, &mut Linear)> {
        let mut all = Vec::new();
        for (i, block) in self.blocks.iter_mut().enumerate() {
            let named = block.linears_mut().into_iter();
            all.extend(named.map(|(name, linear)| (format!("blocks.{i}.{name}"), linear)));
        }
        all
    }
}

/// The last norm and projection.
struct Head {
    eps: f64,
    modulation: Tensor,
    head: Linear,
}

impl Head {
    fn load(w: &Scope<'_>, config: &TransformerConfig) -> Loaded<Self> {
        let (dim, patch) = (config.dim(), config.patch_size.iter().product::<usize>());
        let modulation = w.in_f32().tensor("modulation", &[1, 2, dim])?;
        Ok(Self { eps: config.eps, modulation, head: w.linear("head", dim, config.out_channels * patch)? })
    }

    /// x (B, S, dim), time (B, T, dim) -> (B, S, patch * out_channels)
    fn forward(&self, x: &Tensor, time: &Tensor) -> Result<Tensor> {
        let part = |i: usize| time.broadcast_add(&self.modulation.narrow(1, i, 1)?);
        self.head.forward(&layer_norm(x, &(part(1)? + 1.0)?, &part(0)?, self.eps)?)
    }
}
