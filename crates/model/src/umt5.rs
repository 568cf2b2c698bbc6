//! The text encoder umT5: token ids in, one state per token out. Inference only.

use std::path::Path;

use candle_core::{DType, Error, Result, Tensor, bail};

use crate::encoder_names::official_umt5_name;
use crate::error::{Loaded, ModelError};
use crate::kernels::rms_norm;
use crate::umt5_block::{Block, padding_bias, position_buckets};
use crate::umt5_config::Umt5Config;
use crate::weights::Weights;

/// The encoder half of umT5, of any size.
///
/// umT5-XXL has 5.7 milliard parameters, 23 GB in f32. [`Umt5Encoder::open_streamed`] holds none of them: a prompt is
/// encoded once for a whole shot, so reading each block when its turn comes costs one pass over the file.
pub struct Umt5Encoder {
    config: Umt5Config,
    parts: Parts,
    norm: Tensor,
}

/// Where the large tensors are between two calls.
enum Parts {
    Memory {
        embedding: Tensor,
        blocks: Vec<Block>,
    },
    /// Under official names.
    Disk(Weights),
}

impl Umt5Encoder {
    /// Builds the network from weights under official, transformers' or GGUF's names.
    ///
    /// # Errors
    /// Names the tensor and the file when one is missing or has another shape than `config` says.
    pub fn load(weights: &Weights, config: Umt5Config) -> Loaded<Self> {
        let weights = weights.renamed(official_umt5_name);
        let blocks = (0..config.num_layers).map(|i| Block::load(&weights, i, &config));
        let parts = Parts::Memory {
            blocks: blocks.collect::<Loaded<_>>()?,
            embedding: embedding(&weights, &config)?,
        };
        Ok(Self { norm: weights.tensor("norm.weight", &[config.d_model])?, parts, config })
    }

    /// The same network, whose blocks are read from `weights` at every call and dropped again.
    ///
    /// At most one block is in memory (0.8 GB for umT5-XXL in f32), or the token embedding (4.2 GB): it is still
    /// widened whole to look a few rows up.
    ///
    /// # Errors
    /// As [`Umt5Encoder::load`]; all shapes are checked here.
    pub fn streamed(weights: &Weights, config: Umt5Config) -> Loaded<Self> {
        let weights = weights.renamed(official_umt5_name);
        for (name, shape) in large_tensors(&config) {
            check(&weights, &name, &shape)?;
        }
        Ok(Self {
            norm: weights.tensor("norm.weight", &[config.d_model])?,
            parts: Parts::Disk(weights),
            config,
        })
    }

    /// Builds the network from a file, or a folder of them; its sizes are in the folder's `config.json`, or told by
    /// the tensors where there is none.
    ///
    /// # Errors
    /// As [`Umt5Encoder::load`], and when the files cannot be read.
    pub fn open(path: &Path) -> Loaded<Self> {
        let weights = Weights::open(path)?;
        Self::load(&weights, Umt5Config::of(path, &weights)?)
    }

    /// As [`Umt5Encoder::open`], but [`Umt5Encoder::streamed`].
    ///
    /// # Errors
    /// As [`Umt5Encoder::open`].
    pub fn open_streamed(path: &Path) -> Loaded<Self> {
        let weights = Weights::open(path)?;
        Self::streamed(&weights, Umt5Config::of(path, &weights)?)
    }

    /// The sizes of the network.
    pub fn config(&self) -> &Umt5Config {
        &self.config
    }

    /// The states (B, L, d_model) after the last block and its norm, those of padding included.
    ///
    /// - `input_ids` (B, L): u32 or i64
    /// - `attention_mask` (B, L): 0 where a token is padding, which no other token sees
    ///
    /// # Errors
    /// When shapes do not fit, an id is not in the vocabulary, or a streamed block cannot be read.
    pub fn forward(&self, input_ids: &Tensor, attention_mask: &Tensor) -> Result<Tensor> {
        let (_, tokens) = input_ids.dims2()?;
        if attention_mask.dims() != input_ids.dims() {
            bail!("ids are {:?}, their mask is {:?}", input_ids.dims(), attention_mask.dims());
        }
        let mut x = self.embed(input_ids)?;
        let positions = position_buckets(tokens, &self.config)?.to_device(x.device())?;
        let padding = padding_bias(attention_mask)?;
        for i in 0..self.config.num_layers {
            x = self.with_block(i, |block| block.forward(&x, &positions, &padding))?;
        }
        rms_norm(&x, &self.norm, self.config.layer_norm_epsilon)
    }

    /// The states as Wan's transformer takes them: zero where there is no token, and `length` rows for each text.
    ///
    /// Gives (B, length, d_model); Wan's `length` is 512.
    ///
    /// # Errors
    /// As [`Umt5Encoder::forward`], and when there are more than `length` tokens.
    pub fn encode(&self, input_ids: &Tensor, attention_mask: &Tensor, length: usize) -> Result<Tensor> {
        let (_, tokens) = input_ids.dims2()?;
        if tokens > length {
            bail!("{tokens} tokens are more than {length}");
        }
        let states = self.forward(input_ids, attention_mask)?;
        let kept = attention_mask.ne(0u32)?.unsqueeze(2)?.to_dtype(states.dtype())?;
        states.broadcast_mul(&kept)?.pad_with_zeros(1, 0, length - tokens)
    }

    /// (B, L) -> (B, L, d_model)
    fn embed(&self, input_ids: &Tensor) -> Result<Tensor> {
        let (batch, tokens) = input_ids.dims2()?;
        let ids = input_ids.to_dtype(DType::U32)?.flatten_all()?;
        let rows = match &self.parts {
            Parts::Memory { embedding, .. } => embedding.index_select(&ids, 0)?,
            Parts::Disk(weights) => {
                embedding(weights, &self.config).map_err(Error::wrap)?.index_select(&ids, 0)?
            }
        };
        rows.reshape((batch, tokens, self.config.d_model))
    }

    fn with_block(&self, i: usize, f: impl FnOnce(&Block) -> Result<Tensor>) -> Result<Tensor> {
        match &self.parts {
            Parts::Memory { blocks, .. } => f(&blocks[i]),
            Parts::Disk(weights) => f(&Block::load(weights, i, &self.config).map_err(Error::wrap)?),
        }
    }
}

fn embedding(weights: &Weights, config: &Umt5Config) -> Loaded<Tensor> {
    weights.tensor("token_embedding.weight", &[config.vocab_size, config.d_model])
}

/// Name and shape of all that is read at every call of a streamed network.
fn large_tensors(config: &Umt5Config) -> Vec<(String, Vec<usize>)> {
    let (dim, inner, hidden) = (config.d_model, config.inner(), config.d_ff);
    let in_block = [
        ("norm1", vec![dim]),
        ("attn.q", vec![inner, dim]),
        ("attn.k", vec![inner, dim]),
        ("attn.v", vec![inner, dim]),
        ("attn.o", vec![dim, inner]),
        ("pos_embedding.embedding", vec![config.relative_attention_num_buckets, config.num_heads]),
        ("norm2", vec![dim]),
        ("ffn.gate.0", vec![hidden, dim]),
        ("ffn.fc1", vec![hidden, dim]),
        ("ffn.fc2", vec![dim, hidden]),
    ];
    let of_block =
        |i| in_block.iter().map(move |(name, shape)| (format!("blocks.{i}.{name}.weight"), shape.clone()));
    let embedding = ("token_embedding.weight".to_owned(), vec![config.vocab_size, dim]);
    std::iter::once(embedding).chain((0..config.num_layers).flat_map(of_block)).collect()
}

fn check(weights: &Weights, name: &str, expected: &[usize]) -> Loaded<()> {
    let (name, file) = (name.to_owned(), weights.source().to_owned());
    match weights.shape(&name) {
        None => Err(ModelError::MissingTensor { name, file }),
        Some(found) if found != expected => {
            Err(ModelError::WrongShape { found: found.to_vec(), expected: expected.to_vec(), name, file })
        }
        Some(_) => Ok(()),
    }
}
