//! The Wan transformer: latent, noise level, text and image in; velocity of the flow out.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, IndexOp, Result, Tensor, bail};

use crate::attention::Context;
use crate::block::Block;
use crate::config::TransformerConfig;
use crate::embeddings::{ImageEmbedding, Patches, TimeEmbedding, Times, TwoLayers, embed_text};
use crate::error::Loaded;
use crate::frozen::Frozen;
use crate::kernels::layer_norm;
use crate::linear::Linear;
use crate::names::official_transformer_name;
use crate::residency::{Blocks, Memory};
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
    pub(crate) blocks: Blocks,
    pub(crate) memory: Memory,
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
        Self::load_with(weights, config, &Memory::default())
    }

    /// [`WanTransformer::load`], using memory in another way.
    ///
    /// # Errors
    /// As there.
    pub fn load_with(weights: &Weights, config: TransformerConfig, memory: &Memory) -> Loaded<Self> {
        let weights = weights.renamed(official_transformer_name);
        let (w, dim) = (weights.under(""), config.dim());
        let of_blocks = if dim >= STORED_FROM { w.staying_stored() } else { w.clone() };
        Ok(Self {
            patches: Patches::load(&w, &config)?,
            text: TwoLayers::load(&w, "text_embedding", config.text_dim, dim)?,
            time: TimeEmbedding::load(&w, &config)?,
            image: config.image_dim.map(|size| ImageEmbedding::load(&w, size, &config)).transpose()?,
            blocks: Blocks::load(&of_blocks, &config, memory.residency)?,
            memory: *memory,
            head: Head::load(&w.under("head"), &config)?,
            rope: Mutex::new(None),
            config,
        })
    }

    /// Builds the network from a folder of weights or one file of them. Its sizes are told by the `config.json` in the
    /// folder or beside the file, where there is none by the tensors.
    ///
    /// # Errors
    /// As [`WanTransformer::load`], and when the files cannot be read.
    pub fn open(path: &Path) -> Loaded<Self> {
        Self::open_on(path, &Placement::default())
    }

    /// [`WanTransformer::open`], placed elsewhere.
    ///
    /// # Errors
    /// As there, and when the device has no room.
    pub fn open_on(path: &Path, placement: &Placement) -> Loaded<Self> {
        Self::open_with(path, placement, &Memory::default())
    }

    /// [`WanTransformer::open_on`], using memory in another way.
    ///
    /// # Errors
    /// As there.
    pub fn open_with(path: &Path, placement: &Placement, memory: &Memory) -> Loaded<Self> {
        let weights = Weights::open(path)?.placed(placement);
        let folder = if path.is_dir() { Some(path) } else { path.parent() };
        let config = match folder.map(|folder| folder.join("config.json")).filter(|file| file.is_file()) {
            Some(file) => TransformerConfig::read(&file)?,
            None => TransformerConfig::detect(&weights)?,
        };
        Self::load_with(&weights, config, memory)
    }

    /// The sizes of the network.
    pub fn config(&self) -> &TransformerConfig {
        &self.config
    }

    /// How the network uses memory.
    pub fn memory(&self) -> Memory {
        self.memory
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
    /// result is of the type of `x`. Gradients reach `x` and every low-rank pair; what is kept for them keeps streamed
    /// blocks too, so train with [`WanTransformer::gradients`] and sample with [`WanTransformer::forward_cached`].
    ///
    /// # Errors
    /// When shapes do not fit, or an image is missing or unwanted.
    pub fn forward(&self, x: &Tensor, t: &Tensor, text: &Tensor, image: Option<&Tensor>) -> Result<Tensor> {
        let (mut x, call) = self.enter(x, t, text, image)?;
        self.blocks.each(0..self.blocks.len(), |_, block| {
            x = call.through(block, &x)?;
            Ok(())
        })?;
        self.leave(&x, &call)
    }

    /// [`WanTransformer::forward`] where nothing is trained: no gradients, and nothing is kept for them. With a `cache`
    /// it may reuse the last step's blocks.
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
        let (x, call) = self.enter(&x.detach(), t, text, image)?;
        let through = |blocks: Range<usize>, mut x: Tensor| {
            self.blocks.each(blocks, |_, block| {
                x = call.through(&block.without_gradients(), &x)?;
                Ok(())
            })?;
            Ok(x)
        };
        let count = self.blocks.len();
        let x = match cache.filter(|_| count > 0) {
            Some(cache) => cache.blocks(&x, through(0..1, x.clone())?, |x| through(1..count, x))?,
            None => through(0..count, x)?,
        };
        self.leave(&x, &call)
    }

    /// The input's tokens, (B, tokens, dim), and what every block is given beside them.
    pub(crate) fn enter(
        &self,
        x: &Tensor,
        t: &Tensor,
        text: &Tensor,
        image: Option<&Tensor>,
    ) -> Result<(Tensor, Call)> {
        let grid = self.patches.grid(x)?;
        let table = self.rope_table(grid)?;
        let times = self.time.forward(t)?;
        let (found, own) = (x.dtype(), self.patches.weight().dtype());
        let image = image.map(|image| image.to_dtype(own)).transpose()?;
        let text = embed_text(&self.text, &text.to_dtype(own)?)?;
        let context = Context { text, image: self.embed_image(image.as_ref())? };
        let x = self.patches.embed(&x.to_dtype(own)?)?;
        Ok((x, Call { grid, table, times, context, found }))
    }

    /// What the last block gave, (B, tokens, dim), -> (B, out_channels, F, h, w) in the input's type.
    pub(crate) fn leave(&self, x: &Tensor, call: &Call) -> Result<Tensor> {
        self.patches.join(&self.head.forward(x, &call.times)?, call.grid)?.to_dtype(call.found)
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

    /// The tensor of this official name, such as `blocks.0.norm3.weight` or `head.head.bias`, to add to it.
    pub fn frozen(&mut self, name: &str) -> Option<Frozen<'_>> {
        let (part, own) = name.split_once('.')?;
        match part {
            "patch_embedding" => self.patches.frozen(own),
            "text_embedding" => self.text.frozen(own),
            "time_embedding" | "time_projection" => self.time.frozen(name),
            "img_emb" => self.image.as_mut()?.frozen(own),
            "blocks" => {
                let (i, own) = own.split_once('.')?;
                self.blocks.iter_mut().nth(i.parse().ok()?)?.frozen(own)
            }
            "head" => self.head.frozen(own),
            _ => None,
        }
    }
}

/// What a call gives to every block.
pub(crate) struct Call {
    grid: [usize; 3],
    table: Arc<RopeTable>,
    times: Times,
    context: Context,
    /// The input's type.
    found: DType,
}

impl Call {
    /// x (B, S, dim) -> (B, S, dim)
    pub fn through(&self, block: &Block, x: &Tensor) -> Result<Tensor> {
        block.forward(x, &self.times, &self.context, &self.table)
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

    fn frozen(&mut self, name: &str) -> Option<Frozen<'_>> {
        match name.strip_prefix("head.") {
            Some(own) => self.head.frozen(own),
            None => (name == "modulation").then_some(Frozen::Small(&mut self.modulation)),
        }
    }

    /// x (B, S, dim) -> (B, S, patch * out_channels)
    fn forward(&self, x: &Tensor, times: &Times) -> Result<Tensor> {
        let part = |i: usize| times.spread(&times.head.broadcast_add(&self.modulation.i((0, i))?)?);
        self.head.forward(&layer_norm(x, &(part(1)? + 1.0)?, &part(0)?, self.eps)?)
    }
}
