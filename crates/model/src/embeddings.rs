//! What goes into the blocks: patches, time, text and image as tokens; and patches out of tokens.

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor, bail};

use crate::config::TransformerConfig;
use crate::error::Loaded;
use crate::frozen::Frozen;
use crate::kernels::frozen::FrozenWeight;
use crate::kernels::{gelu_tanh, layer_norm};
use crate::linear::Linear;
use crate::weights::Scope;

/// Longest period of the sinusoidal time embedding.
const MAX_PERIOD: f64 = 10_000.0;
/// Added under the root of the image embedding's norms, PyTorch's default.
const IMAGE_EPS: f64 = 1e-5;

/// Two linear layers with an activation between.
pub(crate) struct TwoLayers {
    first: Linear,
    second: Linear,
}

impl TwoLayers {
    /// Layers `{name}.0` and `{name}.2`, inputs -> hidden -> outputs.
    pub fn load(w: &Scope<'_>, name: &str, inputs: usize, dim: usize) -> Loaded<Self> {
        let w = w.under(name);
        Ok(Self { first: w.linear("0", inputs, dim)?, second: w.linear("2", dim, dim)? })
    }

    pub fn forward(&self, x: &Tensor, activation: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        self.second.forward(&activation(&self.first.forward(x)?)?)
    }

    /// The tensor of this name, such as `0.weight`.
    pub fn frozen(&mut self, name: &str) -> Option<Frozen<'_>> {
        match name.split_once('.')? {
            ("0", own) => self.first.frozen(own),
            ("2", own) => self.second.frozen(own),
            _ => None,
        }
    }
}

/// CLIP image states to tokens.
pub(crate) struct ImageEmbedding {
    /// (1, tokens of both images, image_dim), where the model takes a first and a last frame.
    positions: Option<Tensor>,
    norm_in: [Tensor; 2],
    first: Linear,
    second: Linear,
    norm_out: [Tensor; 2],
}

impl ImageEmbedding {
    pub fn load(w: &Scope<'_>, image_dim: usize, config: &TransformerConfig) -> Loaded<Self> {
        let (dim, w) = (config.dim(), w.under("img_emb"));
        let positions = config.pos_embed_seq_len.map(|tokens| w.tensor("emb_pos", &[1, tokens, image_dim]));
        let w = w.under("proj");
        let exact = w.in_f32();
        let norm = |name: &str, size| -> Loaded<[Tensor; 2]> {
            Ok([exact.under(name).tensor("weight", &[size])?, exact.under(name).tensor("bias", &[size])?])
        };
        Ok(Self {
            positions: positions.transpose()?,
            norm_in: norm("0", image_dim)?,
            first: w.linear("1", image_dim, image_dim)?,
            second: w.linear("3", image_dim, dim)?,
            norm_out: norm("4", dim)?,
        })
    }

    /// (B, tokens, image_dim) -> (B, tokens, dim); of two images also (2 B, tokens / 2, image_dim), as diffusers passes.
    pub fn forward(&self, image: &Tensor) -> Result<Tensor> {
        let x = match &self.positions {
            Some(positions) => place_images(image, positions)?,
            None => image.clone(),
        };
        let x = layer_norm(&x, &self.norm_in[0], &self.norm_in[1], IMAGE_EPS)?;
        let x = self.second.forward(&self.first.forward(&x)?.gelu_erf()?)?;
        layer_norm(&x, &self.norm_out[0], &self.norm_out[1], IMAGE_EPS)
    }

    /// The tensor of this name, such as `proj.1.weight`.
    pub fn frozen(&mut self, name: &str) -> Option<Frozen<'_>> {
        let Some(name) = name.strip_prefix("proj.") else {
            return self.positions.as_mut().filter(|_| name == "emb_pos").map(Frozen::Small);
        };
        match name.split_once('.')? {
            ("0", own) => Frozen::of_norm(&mut self.norm_in, own),
            ("1", own) => self.first.frozen(own),
            ("3", own) => self.second.frozen(own),
            ("4", own) => Frozen::of_norm(&mut self.norm_out, own),
            _ => None,
        }
    }
}

/// The tokens of a first and a last frame side by side, each with what was learnt of its position.
fn place_images(image: &Tensor, positions: &Tensor) -> Result<Tensor> {
    let (_, tokens, channels) = positions.dims3()?;
    if !(image.dim(0)? * image.dim(1)?).is_multiple_of(tokens) {
        bail!("image states {:?} do not hold {tokens} tokens of a first and a last frame", image.dims());
    }
    image.reshape(((), tokens, channels))?.broadcast_add(positions)
}

/// The noise level, for the blocks and for the head.
pub(crate) struct TimeEmbedding {
    layers: TwoLayers,
    projection: Linear,
    frequencies: usize,
}

impl TimeEmbedding {
    pub fn load(w: &Scope<'_>, config: &TransformerConfig) -> Loaded<Self> {
        // In f32 on every device: a few tokens, and what they say scales every row of every block.
        let (w, dim) = (&w.in_f32(), config.dim());
        let layers = TwoLayers::load(w, "time_embedding", config.freq_dim, dim)?;
        let projection = w.linear("time_projection.1", dim, 6 * dim)?;
        Ok(Self { layers, projection, frequencies: config.freq_dim })
    }

    /// The tensor of this name, such as `time_projection.1.bias`.
    pub fn frozen(&mut self, name: &str) -> Option<Frozen<'_>> {
        match name.strip_prefix("time_projection.1.") {
            Some(own) => self.projection.frozen(own),
            None => self.layers.frozen(name.strip_prefix("time_embedding.")?),
        }
    }

    /// Time steps (B,) or (B, tokens), on the CPU.
    pub fn forward(&self, t: &Tensor) -> Result<Times> {
        let t = if t.rank() == 1 { t.unsqueeze(1)? } else { t.clone() };
        let shape = t.dims2()?;
        let steps: Vec<f64> = t.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
        // Of the thousands of tokens of TI2V 5B those of the first frame have one time and all others another.
        let mut distinct: Vec<f64> = Vec::new();
        let mut known = HashMap::new();
        let position = |&t: &f64| {
            *known.entry(t.to_bits()).or_insert_with(|| {
                distinct.push(t);
                distinct.len() as u32 - 1
            })
        };
        let index: Vec<u32> = steps.iter().map(position).collect();
        let device = self.projection.weight.device();
        let waves = sinusoid(&distinct, self.frequencies)?.to_device(device)?;
        let head = self.layers.forward(&waves, Tensor::silu)?;
        let blocks = self.projection.forward(&head.silu()?)?.reshape((distinct.len(), 6, head.dim(1)?))?;
        Ok(Times { head, blocks, index: Tensor::from_vec(index, steps.len(), device)?, shape })
    }
}

/// The noise levels of a call, each embedded once.
pub(crate) struct Times {
    /// (times, dim)
    pub head: Tensor,
    /// (times, 6, dim)
    pub blocks: Tensor,
    /// Which time each clip or token has.
    index: Tensor,
    /// Clips, and tokens of each or 1.
    shape: (usize, usize),
}

impl Times {
    /// (times, dim) -> (B, T, dim), T being 1 or the tokens
    pub fn spread(&self, rows: &Tensor) -> Result<Tensor> {
        let (batch, tokens) = self.shape;
        rows.contiguous()?.index_select(&self.index, 0)?.reshape((batch, tokens, ()))
    }
}

/// Each time's cosines, then sines, of falling frequency: (times, size); the angles in f64.
fn sinusoid(times: &[f64], size: usize) -> Result<Tensor> {
    let half = size / 2;
    let frequency = |i: usize| MAX_PERIOD.powf(-(i as f64) / half as f64);
    let waves = |&t: &f64| {
        let angle = move |i| t * frequency(i);
        (0..half).map(move |i| angle(i).cos()).chain((0..half).map(move |i| angle(i).sin()))
    };
    let values: Vec<f32> = times.iter().flat_map(waves).map(|v| v as f32).collect();
    Tensor::from_vec(values, (times.len(), 2 * half), &Device::Cpu)
}

/// Cuts the latent into patches of `patch` = (frames, rows, columns).
pub(crate) struct Patches {
    patch: [usize; 3],
    embedding: Linear,
}

impl Patches {
    /// The published weight is a convolution's (dim, in, patch...); with stride = size that is a linear layer.
    pub fn load(w: &Scope<'_>, config: &TransformerConfig) -> Loaded<Self> {
        let (dim, patch, w) = (config.dim(), config.patch_size, w.under("patch_embedding"));
        let weight = w.tensor("weight", &[dim, config.in_channels, patch[0], patch[1], patch[2]])?;
        let embedding = Linear::new(weight.flatten_from(1)?, Some(w.tensor("bias", &[dim])?))?;
        Ok(Self { patch, embedding })
    }

    /// The tensor whose device and type the network works with.
    pub fn weight(&self) -> &FrozenWeight {
        &self.embedding.weight
    }

    /// Its `weight`, as a linear layer's, or `bias`.
    pub fn frozen(&mut self, name: &str) -> Option<Frozen<'_>> {
        self.embedding.frozen(name)
    }

    /// The number of tokens of a latent (B, C, F, h, w) along each axis.
    pub fn grid(&self, x: &Tensor) -> Result<[usize; 3]> {
        let (_, _, frames, rows, columns) = x.dims5()?;
        let size = [frames, rows, columns];
        if (0..3).any(|axis| size[axis] % self.patch[axis] != 0 || size[axis] == 0) {
            bail!("latent {size:?} (frames, rows, columns) is not a multiple of the patch {:?}", self.patch);
        }
        Ok([0, 1, 2].map(|axis| size[axis] / self.patch[axis]))
    }

    /// (B, C, F, h, w) -> (B, tokens, dim)
    pub fn embed(&self, x: &Tensor) -> Result<Tensor> {
        let ([f, h, w], [pf, ph, pw]) = (self.grid(x)?, self.patch);
        let (batch, channels) = (x.dim(0)?, x.dim(1)?);
        let x = x.reshape(&[batch, channels, f, pf, h, ph, w, pw][..])?;
        let x = x.permute(&[0, 2, 4, 6, 1, 3, 5, 7][..])?; // B f h w, C pf ph pw
        self.embedding.forward(&x.reshape((batch, f * h * w, channels * pf * ph * pw))?)
    }

    /// (B, tokens, patch * channels), channels fastest, -> (B, channels, F, h, w)
    pub fn join(&self, x: &Tensor, [f, h, w]: [usize; 3]) -> Result<Tensor> {
        let [pf, ph, pw] = self.patch;
        let (batch, _, values) = x.dims3()?;
        let channels = values / (pf * ph * pw);
        let x = x.reshape(&[batch, f, h, w, pf, ph, pw, channels][..])?;
        let x = x.permute(&[0, 7, 1, 4, 2, 5, 3, 6][..])?; // B C, f pf, h ph, w pw
        x.reshape((batch, channels, f * pf, h * ph, w * pw))
    }
}

/// The text states to tokens.
pub(crate) fn embed_text(layers: &TwoLayers, text: &Tensor) -> Result<Tensor> {
    layers.forward(text, gelu_tanh)
}
