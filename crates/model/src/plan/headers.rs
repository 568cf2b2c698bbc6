//! What the headers of weight files tell about memory.

use crate::clip_config::{ClipVisionConfig, official_names};
use crate::config::{TransformerConfig, VaeConfig};
use crate::encoder_names::official_umt5_name;
use crate::names::official_transformer_name;
use crate::transformer::STORED_FROM;
use crate::umt5_config::Umt5Config;
use crate::weights::{TensorInfo, Weights};

use super::{Machine, Pairs, Residency};

/// The networks of a model, by their headers.
#[derive(Clone, Debug)]
pub struct Networks {
    /// The diffusion transformer; of a model with two experts both.
    pub transformers: Vec<TransformerSizes>,
    /// The video autoencoder.
    pub vae: VaeSizes,
    /// The text encoder, where one is used.
    pub text: Option<TextSizes>,
    /// The image encoder, where one is used.
    pub image: Option<ImageSizes>,
}

/// Bytes in files, and numbers.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    file: u64,
    numbers: u64,
    /// Bytes in the file of the largest tensor: what is read lies there twice until it is copied.
    largest: u64,
}

/// A block: matrices that may stay as they lie in their file, those that are f32 there, and norms and biases.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    stored: Counted,
    matrices: Counted,
    vectors: Counted,
}

/// A transformer's weights.
#[derive(Clone, Debug)]
pub struct TransformerSizes {
    /// Its sizes.
    pub config: TransformerConfig,
    blocks: Vec<Part>,
    outside: Counted,
    /// Of the numbers outside the blocks, those of the time's layers, which are f32 everywhere.
    of_time: u64,
}

/// A VAE's weights.
#[derive(Clone, Debug)]
pub struct VaeSizes {
    /// Its sizes.
    pub config: VaeConfig,
    all: Counted,
}

/// A text encoder's weights, read block by block.
#[derive(Clone, Debug)]
pub struct TextSizes {
    /// Its sizes.
    pub config: Umt5Config,
    embedding: Counted,
    block: Counted,
}

/// An image encoder's weights.
#[derive(Clone, Debug)]
pub struct ImageSizes {
    /// Its sizes.
    pub config: ClipVisionConfig,
    all: Counted,
}

impl Counted {
    fn of(tensor: &TensorInfo<'_>) -> Self {
        let numbers = tensor.shape.iter().product::<usize>() as u64;
        Self { file: tensor.bytes, numbers, largest: tensor.bytes }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            file: self.file + other.file,
            numbers: self.numbers + other.numbers,
            largest: self.largest.max(other.largest),
        }
    }

    /// In f32, the largest tensor just read.
    fn widened(self) -> u64 {
        4 * self.numbers + self.largest
    }
}

fn sum(parts: impl Iterator<Item = Counted>) -> Counted {
    parts.fold(Counted::default(), Counted::plus)
}

impl Part {
    /// Bytes of the matrices while they are computed with.
    fn matrices(&self, machine: Machine, stays_stored: bool) -> u64 {
        let stored = if stays_stored { self.stored.file } else { number(machine) * self.stored.numbers };
        stored + number(machine) * self.matrices.numbers
    }

    fn numbers(&self) -> u64 {
        self.stored.numbers + self.matrices.numbers + self.vectors.numbers
    }
}

/// Bytes of a number in the type that is computed with.
fn number(machine: Machine) -> u64 {
    match machine {
        Machine::Cpu => 4,
        Machine::Gpu => 2,
    }
}

impl TransformerSizes {
    /// Counts the tensors of `weights`, in either spelling.
    pub fn of(weights: &Weights, config: TransformerConfig) -> Self {
        let weights = weights.renamed(official_transformer_name);
        let mut sizes = Self { blocks: Vec::new(), outside: Counted::default(), of_time: 0, config };
        for tensor in weights.tensors() {
            sizes.count(&tensor);
        }
        sizes
    }

    fn count(&mut self, tensor: &TensorInfo<'_>) {
        let counted = Counted::of(tensor);
        let in_block = tensor.name.strip_prefix("blocks.").and_then(|rest| rest.split_once('.'));
        let Some((index, name)) = in_block.and_then(|(i, name)| Some((i.parse::<usize>().ok()?, name)))
        else {
            let is_time = tensor.name.starts_with("time_");
            self.of_time += if is_time { counted.numbers } else { 0 };
            self.outside = self.outside.plus(counted);
            return;
        };
        if self.blocks.len() <= index {
            self.blocks.resize_with(index + 1, Part::default);
        }
        let is_matrix = name.ends_with(".weight") && tensor.shape.len() == 2;
        let part = &mut self.blocks[index];
        // What is f32 in its file already is read once (`Scope::matrix`).
        let kind = match (is_matrix, tensor.format.as_str()) {
            (false, _) => &mut part.vectors,
            (true, "f32") => &mut part.matrices,
            (true, _) => &mut part.stored,
        };
        *kind = kind.plus(counted);
    }

    /// Whether blocks leave their matrices in their file, as [`crate::WanTransformer::load`] decides.
    fn stays_stored(&self, machine: Machine) -> bool {
        machine == Machine::Cpu && self.config.dim() >= STORED_FROM
    }

    /// Bytes of the blocks that are in memory at a time.
    fn blocks_bytes(&self, machine: Machine, residency: Residency) -> u64 {
        let matrices = self.blocks.iter().map(|block| block.matrices(machine, self.stays_stored(machine)));
        let vectors: u64 = self.blocks.iter().map(|block| 4 * block.vectors.numbers).sum();
        let matrices: u64 = match residency {
            Residency::Resident => matrices.sum(),
            Residency::Streamed => self.in_flight(machine) * matrices.max().unwrap_or(0),
        };
        matrices + vectors
    }

    /// Streamed blocks in memory at a time: the one that is computed with and the next. Of those that stay as they lie in
    /// their file the next is in the system's cache of the file only, which does not count as held.
    fn in_flight(&self, machine: Machine) -> u64 {
        let most = if self.stays_stored(machine) { 1 } else { 2 };
        most.min(self.blocks.len() as u64)
    }

    /// Bytes of the weights while the network is used.
    pub(super) fn bytes(&self, machine: Machine, residency: Residency) -> u64 {
        let outside = match machine {
            Machine::Cpu => 4 * self.outside.numbers,
            Machine::Gpu => 2 * (self.outside.numbers + self.of_time),
        };
        outside + self.blocks_bytes(machine, residency)
    }

    /// Bytes before the network was used for the first time: what stays in its file has not been touched yet.
    pub(super) fn bytes_untouched(&self, machine: Machine, residency: Residency) -> u64 {
        let stored = self.blocks.iter().map(|block| block.stored.file);
        let untouched = match (self.stays_stored(machine), residency) {
            (false, Residency::Resident) => 0,
            (true, Residency::Resident) => stored.sum(),
            (_, Residency::Streamed) => {
                let matrices = |block: &Part| block.matrices(machine, self.stays_stored(machine));
                self.in_flight(machine) * self.blocks.iter().map(matrices).max().unwrap_or(0)
            }
        };
        self.bytes(machine, residency).saturating_sub(untouched)
    }

    /// Bytes when the last tensor has been read.
    pub(super) fn bytes_loading(&self, machine: Machine, residency: Residency) -> u64 {
        let of_file = if machine == Machine::Cpu { self.outside.largest } else { 0 };
        self.bytes_untouched(machine, residency) + of_file
    }

    /// How many numbers the network has.
    pub fn parameters(&self) -> u64 {
        self.outside.numbers + self.blocks.iter().map(Part::numbers).sum::<u64>()
    }

    /// Numbers of the low-rank pairs of an adapter, over all blocks.
    pub(super) fn adapter_numbers(&self, pairs: Pairs) -> u64 {
        let (dim, ffn) = (self.config.dim() as u64, self.config.ffn_dim as u64);
        // Each attention has four layers, all of the width; the feed-forward part has two.
        let attentions = pairs.attentions as u64 * 4 * 2 * dim;
        let feed_forward = if pairs.feed_forward { 2 * (dim + ffn) } else { 0 };
        self.config.num_layers as u64 * pairs.rank as u64 * (attentions + feed_forward)
    }
}

impl VaeSizes {
    /// Counts the tensors of `weights`.
    pub fn of(weights: &Weights, config: VaeConfig) -> Self {
        Self { all: sum(weights.tensors().map(|tensor| Counted::of(&tensor))), config }
    }

    /// Bytes of the weights: f32; on a GPU in two orders, the CPU's and the kernel's.
    pub(super) fn bytes(&self, machine: Machine) -> u64 {
        match machine {
            Machine::Cpu => 4 * self.all.numbers,
            Machine::Gpu => 8 * self.all.numbers,
        }
    }
}

impl TextSizes {
    /// Counts the tensors of `weights`, in any spelling.
    pub fn of(weights: &Weights, config: Umt5Config) -> Self {
        let weights = weights.renamed(official_umt5_name);
        let of = |prefix: &str| {
            let part = weights.tensors().filter(|tensor| tensor.name.starts_with(prefix));
            sum(part.map(|tensor| Counted::of(&tensor)))
        };
        let (embedding, block) = (of("token_embedding."), of("blocks.0."));
        Self { embedding, block, config }
    }

    /// The most that is held of the weights at a time: the token embedding, or one block.
    pub(super) fn bytes(&self) -> u64 {
        self.embedding.widened().max(self.block.widened())
    }
}

impl ImageSizes {
    /// Counts the tensors of `weights`, in any spelling.
    pub fn of(weights: &Weights, config: ClipVisionConfig) -> Self {
        let weights = official_names(weights);
        let unused = format!("visual.transformer.{}.", config.num_hidden_layers.saturating_sub(1));
        let used = weights
            .tensors()
            .filter(|tensor| tensor.name.starts_with("visual.") && !tensor.name.starts_with(&unused));
        Self { all: sum(used.map(|tensor| Counted::of(&tensor))), config }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.all.widened()
    }
}
