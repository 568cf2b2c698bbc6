//! The Wan transformer: latent, noise level, text and image in; velocity of the flow out.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Device, IndexOp, Result, Tensor, bail};

use crate::attention::Context;
use crate::block::Block;
use crate::config::TransformerConfig;
use crate::embeddings::{ImageEmbedding, Patches, TimeEmbedding, Times, TwoLayers, embed_text};
use crate::error::Loaded;
use crate::kernels::layer_norm;
use crate::linear::Linear;
use crate::names::official_transformer_name;
use crate::rope::RopeTable;
use crate::step_cache::StepCache;
use crate::weights::{Placement, Scope, Weights};

/// Width from which blocks leave their weights as they lie in their file: narrower networks are small, and clips of few
/// tokens would pay more for decoding than for multiplying.
pub(crate) const STORED_FROM: usize = 1024;

/// Wan 2.1 image-to-video (with CLIP, of one frame or of the first and the last) or text-to-video, Wan 2.2 TI2V 5B,
/// and either expert of Wan 2.2 A14B.
pub struct WanTransformer {
    config: TransformerConfig,
    patches: Patches,
    text: TwoLayers,
    time: TimeEmbedding,
    image: Option<ImageEmbedding>,
    blocks: Vec<Block>,
    head: Head,
    /// Of the grid seen last.
    rope: Mutex<Option<([usize; 3], Arc<RopeTable>)>>,
}

impl WanTransformer {
    /// Builds the network from weights under official or diffusers' names.
    ///
    /// # Errors
    /// Names the tensor and the file when one is missing or has another shape than `config` says.
    pub fn load(weights: &Weights, config: TransformerConfig) -> Loaded<Self> {
        let weights = weights.renamed(official_transformer_name);
        let (w, dim) = (weights.under(""), config.dim());
        let of_blocks = if dim >= STORED_FROM { w.staying_stored() } else { w.clone() };
        let block = |i: usize| Block::load(&of_blocks.under(&format!("blocks.{i}")), &config);
        Ok(Self {
            patches: Patches::load(&w, &config)?,
            text: TwoLayers::load(&w, "text_embedding", config.text_dim, dim)?,
            time: TimeEmbedding::load(&w, &config)?,
            image: config.image_dim.map(|size| ImageEmbedding::load(&w, size, &config)).transpose()?,
            blocks: (0..config.num_layers).map(block).collect::<Loaded<_>>()?,
            head: Head::load(&w.under("head"), &config)?,
            rope: Mutex::new(None),
            config,
        })
    }

    /// Builds the network from a folder that holds `config.json` and safetensors.
    ///
    /// # Errors
    /// As [`WanTransformer::load`], and when the files cannot be read.
    pub fn open(folder: &Path) -> Loaded<Self> {
        Self::open_on(folder, &Placement::default())
    }

    /// [`WanTransformer::open`], placed elsewhere.
    ///
    /// # Errors
    /// As there, and when the device has no room.
    pub fn open_on(folder: &Path, placement: &Placement) -> Loaded<Self> {
        Self::load(&Weights::open(folder)?.placed(placement), TransformerConfig::read(folder)?)
    }

    /// The sizes of the network.
    pub fn config(&self) -> &TransformerConfig {
        &self.config
    }

    /// The velocity `noise - clean` at each latent cell.
    ///
    /// - `x` (B, in_channels, F, h, w): noisy latent, then mask and condition; sizes are multiples of the patch
    /// - `t` (B,), or (B, tokens) where tokens differ: 1000 times the noise level; on the CPU, wherever the network is
    /// - `text` (B, L, text_dim): padded by the caller as the model expects
    /// - `image` (B, tokens, image_dim): CLIP states, exactly where the model takes them; those of a first and a last
    ///   frame one after the other, along the tokens or along the batch
    ///
    /// Gives (B, out_channels, F, h, w). `x`, text and image lie on the network's device and are brought to its type; the
    /// result is of the type of `x`. Gradients reach `x` and every low-rank pair.
    ///
    /// # Errors
    /// When shapes do not fit, or an image is missing or unwanted.
    pub fn forward(&self, x: &Tensor, t: &Tensor, text: &Tensor, image: Option<&Tensor>) -> Result<Tensor> {
        self.forward_cached(x, t, text, image, None)
    }

    /// [`WanTransformer::forward`], which with a `cache` may reuse the last step's blocks; no gradients then.
    ///
    /// # Errors
    /// As there.
    pub fn forward_cached(
        &self,
        x: &Tensor,
        t: &Tensor,
        text: &Tensor,
        image: Option<&Tensor>,
        cache: Option<&mut StepCache>,
    ) -> Result<Tensor> {
        let grid = self.patches.grid(x)?;
        let table = self.rope_table(grid)?;
        let times = self.time.forward(t)?;
        let (found, own) = (x.dtype(), self.patches.weight().dtype());
        let image = image.map(|image| image.to_dtype(own)).transpose()?;
        let text = embed_text(&self.text, &text.to_dtype(own)?)?;
        let context = Context { text, image: self.embed_image(image.as_ref())? };
        let x = self.patches.embed(&x.to_dtype(own)?)?;
        let through = |blocks: &[Block], x: Tensor| {
            blocks.iter().try_fold(x, |x, block| block.forward(&x, &times, &context, &table))
        };
        let x = match (cache, self.blocks.split_first()) {
            (Some(cache), Some((first, others))) => {
                let after_first = first.forward(&x, &times, &context, &table)?;
                cache.blocks(&x, after_first, |x| through(others, x))?
            }
            _ => through(&self.blocks, x)?,
        };
        self.patches.join(&self.head.forward(&x, &times)?, grid)?.to_dtype(found)
    }

    /// The device the network lies on.
    pub fn device(&self) -> &Device {
        self.patches.weight().device()
    }

    /// The table of the grid, kept for the next call: every step of a training or sampling has the same.
    fn rope_table(&self, grid: [usize; 3]) -> Result<Arc<RopeTable>> {
        let mut kept = self.rope.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, table)) = kept.as_ref().filter(|(of, _)| *of == grid) {
            return Ok(table.clone());
        }
        let table = RopeTable::new(grid, self.config.attention_head_dim)?.to_device(self.device())?;
        let table = Arc::new(table);
        *kept = Some((grid, table.clone()));
        Ok(table)
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

    /// x (B, S, dim) -> (B, S, patch * out_channels)
    fn forward(&self, x: &Tensor, times: &Times) -> Result<Tensor> {
        let part = |i: usize| times.spread(&times.head.broadcast_add(&self.modulation.i((0, i))?)?);
        self.head.forward(&layer_norm(x, &(part(1)? + 1.0)?, &part(0)?, self.eps)?)
    }
}
