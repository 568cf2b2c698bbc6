//! The memory plan: what a work will hold, before it starts and from headers alone, and which mode fits into how much.
//!
//! ```text
//! generate 81 frames of 832x480 on the CPU: streamed, VAE in tiles of 256
//!                weights  activations  adapter  pictures    total
//! encode text   6.3 GiB      0.3 GiB        0         0  6.7 GiB
//! ...
//! peak 6.7 GiB of 12.0 GiB
//! ```
//!
//! "Held" is what Linux calls resident: pages of mapped weight files count, though the system can take them back.
//! What is said of streamed blocks and of tensors that are read once rests on pages being given back after use.

mod choose;
mod encoders;
mod free;
mod headers;
mod refusal;
mod size;
mod table;
mod transformer;
mod vae;

use serde::{Deserialize, Serialize};

pub use crate::residency::{Memory, Residency};
pub use choose::choose;
pub use free::free_memory;
pub use headers::{ImageSizes, Networks, TextSizes, TransformerSizes, VaeSizes};
pub use refusal::Refusal;
pub use size::{GIB, parse_bytes, show_bytes};

use crate::vae_tiles::Tiling;

/// Least frames of a window that a training can be cut down to: the paper's.
pub const LEAST_WINDOW: usize = 9;
/// The program itself, its threads' stacks, and what the allocator keeps of the stages before (`kernels::settle_memory`).
const PROGRAM: u64 = 40 << 20;

/// What is computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Machine {
    /// In f32, the transformer's matrices as they lie in their file from a width of 1024 on.
    Cpu,
    /// In bf16, the VAE in f32; the encoders work on the CPU.
    Gpu,
}

impl Machine {
    /// What `device` is.
    pub fn of(device: &candle_core::Device) -> Self {
        if device.is_cpu() { Self::Cpu } else { Self::Gpu }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Task {
    /// Sampling and decoding.
    Generate {
        /// Whether the network is asked with a negative prompt too.
        guided: bool,
        /// The adapter beside the weights.
        adapter: Pairs,
    },
    /// Training an adapter.
    Train {
        /// What it consists of.
        adapter: Pairs,
        /// Frames that a step learns from; none leaves it to the plan.
        window: Option<usize>,
    },
}

/// The low-rank pairs of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pairs {
    /// Inner width of each; 0 without an adapter.
    pub rank: usize,
    /// How many of a block's two attentions have them.
    pub attentions: usize,
    /// Whether a block's feed-forward part has them.
    pub feed_forward: bool,
}

impl Pairs {
    /// No adapter.
    pub const NONE: Self = Self { rank: 0, attentions: 0, feed_forward: false };

    /// On the ten published layers of every block.
    pub fn published(rank: usize) -> Self {
        Self { rank, attentions: 2, feed_forward: true }
    }
}

/// One work, at one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Work {
    /// What is to be done.
    pub task: Task,
    /// Frames of the clip, 4n+1. A longer clip than is generated at once is planned by its window.
    pub frames: usize,
    /// Rows of the working pictures in pixels.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Bytes that the caller holds all along, such as the frames of the shot.
    pub held: u64,
}

/// A way to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mode {
    /// Where the transformer's blocks are, and whether they are computed anew on the way back.
    pub memory: Memory,
    /// How the VAE cuts pictures; none takes them whole.
    pub tiling: Option<Tiling>,
    /// Frames that the transformer sees at once.
    pub window: usize,
}

/// A part of the work, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// The prompts are encoded, block by block from the file; all is dropped after it.
    EncodeText,
    /// The image is encoded; all is dropped after it.
    EncodeImage,
    /// Transformer and VAE are read.
    Load,
    /// Pictures become latents.
    Encode,
    /// Training steps.
    Train,
    /// Sampling steps.
    Sample,
    /// Latents become pictures.
    Decode,
}

/// What one stage holds, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StagePlan {
    /// Which.
    pub stage: Stage,
    /// Weights in memory, mapped ones included.
    pub weights: u64,
    /// Tensors that come and go.
    pub activations: u64,
    /// The adapter, its gradients and the optimiser's moments.
    pub adapter: u64,
    /// Clips as pictures, and what the caller holds.
    pub pictures: u64,
    /// The program itself.
    pub program: u64,
}

/// What a work will hold, stage by stage, done one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// What is to be done.
    pub work: Work,
    /// What is computed with.
    pub machine: Machine,
    /// How.
    pub mode: Mode,
    /// Stage by stage.
    pub stages: Vec<StagePlan>,
    /// What it was to fit into.
    pub limit: Option<u64>,
}

impl StagePlan {
    /// All together.
    pub fn total(&self) -> u64 {
        self.weights + self.activations + self.adapter + self.pictures + self.program
    }
}

impl Plan {
    /// What `work` holds if it is done like this.
    pub fn of(work: &Work, networks: &Networks, machine: Machine, mode: Mode) -> Self {
        let stages = Stages { work, networks, machine, mode }.all();
        Self { work: *work, machine, mode, stages, limit: None }
    }

    /// The most that is held where a training also samples and decodes one of its windows on the way. Sampling holds
    /// less than a training step; decoding comes beside all that the training keeps.
    pub fn peak_with_preview(&self, networks: &Networks) -> u64 {
        let work = Work { frames: self.mode.window, ..self.work };
        let stages = Stages { work: &work, networks, machine: self.machine, mode: self.mode };
        self.peak().max(stages.decode().total() + stages.train().adapter)
    }

    /// The most that is held at a time.
    pub fn peak(&self) -> u64 {
        self.stages.iter().map(StagePlan::total).max().unwrap_or(0)
    }
}

struct Stages<'a> {
    work: &'a Work,
    networks: &'a Networks,
    machine: Machine,
    mode: Mode,
}

impl Stages<'_> {
    fn all(&self) -> Vec<StagePlan> {
        let steps = match self.work.task {
            Task::Generate { .. } => vec![self.sample(), self.decode()],
            Task::Train { .. } => vec![self.train()],
        };
        let begin = self.encoders().into_iter().chain([self.load(), self.encode()]);
        begin.chain(steps).collect()
    }

    /// A stage with what is held all along.
    fn stage(&self, stage: Stage) -> StagePlan {
        let pictures = if self.machine == Machine::Cpu { self.work.held } else { 0 };
        StagePlan { stage, weights: 0, activations: 0, adapter: 0, pictures, program: PROGRAM }
    }

    fn encoders(&self) -> Vec<StagePlan> {
        if self.machine == Machine::Gpu {
            return Vec::new();
        }
        let text_len = self.networks.transformers.iter().map(|t| t.config.text_len).max().unwrap_or(0) as u64;
        let text = self.networks.text.as_ref().map(|text| StagePlan {
            weights: text.bytes(),
            activations: encoders::text(&text.config, text_len),
            ..self.stage(Stage::EncodeText)
        });
        let image = self.networks.image.as_ref().map(|image| StagePlan {
            weights: image.bytes(),
            activations: encoders::image(&image.config),
            ..self.stage(Stage::EncodeImage)
        });
        text.into_iter().chain(image).collect()
    }

    fn load(&self) -> StagePlan {
        let transformers = self.transformers(TransformerSizes::bytes_loading);
        StagePlan { weights: transformers + self.networks.vae.bytes(self.machine), ..self.stage(Stage::Load) }
    }

    fn transformers(&self, bytes: impl Fn(&TransformerSizes, Machine, Residency) -> u64) -> u64 {
        let residency = self.mode.memory.residency;
        self.networks.transformers.iter().map(|t| bytes(t, self.machine, residency)).sum()
    }

    fn networks(&self) -> u64 {
        self.transformers(TransformerSizes::bytes) + self.networks.vae.bytes(self.machine)
    }

    /// One clip in f32, as the VAE takes and gives it.
    fn video(&self) -> u64 {
        (4 * 3 * self.work.frames * self.work.height * self.work.width) as u64
    }

    /// Rows and columns in pixels that the VAE works on at a time.
    fn tile(&self) -> [usize; 2] {
        let factor = self.networks.vae.config.spatial_factor();
        let cells = [self.work.height.div_ceil(factor), self.work.width.div_ceil(factor)];
        let cells = self.mode.tiling.map_or(cells, |tiling| tiling.largest(cells, factor));
        cells.map(|cells| cells * factor)
    }

    fn encode(&self) -> StagePlan {
        let stage = self.stage(Stage::Encode);
        let transformers = self.transformers(TransformerSizes::bytes_untouched);
        StagePlan {
            weights: transformers + self.networks.vae.bytes(self.machine),
            activations: vae::encoding(&self.networks.vae.config, self.tile()) + self.vae_workspace(),
            pictures: stage.pictures + self.video(),
            ..stage
        }
    }

    /// Whole pictures are put together in two more copies, when the rest is freed; tiles are painted into one.
    fn decode(&self) -> StagePlan {
        let stage = self.stage(Stage::Decode);
        let held = vae::decoding(&self.networks.vae.config, self.tile()) + self.vae_workspace();
        let activations = match self.mode.tiling {
            None => held.max(2 * self.video()),
            Some(_) => held,
        };
        let pictures = stage.pictures + self.video();
        StagePlan { weights: self.networks(), activations, pictures, ..stage }
    }

    fn vae_workspace(&self) -> u64 {
        if self.machine == Machine::Gpu { 256 << 20 } else { 4 << 20 }
    }

    /// The largest of what `f` says of each transformer: they work one after the other.
    fn most(&self, f: impl Fn(&TransformerSizes) -> u64) -> u64 {
        self.networks.transformers.iter().map(f).max().unwrap_or(0)
    }

    fn sample(&self) -> StagePlan {
        let Task::Generate { adapter, guided } = self.work.task else { return self.stage(Stage::Sample) };
        let latent = |sizes: &TransformerSizes| {
            if guided { 4 * sizes.config.out_channels as u64 * self.clip(sizes).cells } else { 0 }
        };
        let held =
            |t: &TransformerSizes| transformer::sampling(&t.config, self.clip(t), self.machine) + latent(t);
        let adapter = self.networks.transformers.iter().map(|t| 4 * t.adapter_numbers(adapter)).sum();
        StagePlan {
            weights: self.networks(),
            activations: self.most(held),
            adapter,
            ..self.stage(Stage::Sample)
        }
    }

    fn train(&self) -> StagePlan {
        let Task::Train { adapter, .. } = self.work.task else { return self.stage(Stage::Train) };
        let memory = self.mode.memory;
        let held =
            |t: &TransformerSizes| transformer::training(&t.config, self.clip(t), self.machine, memory);
        // The pair, its gradient and two moments, in f32.
        let adapter = self.most(|t| 16 * t.adapter_numbers(adapter));
        StagePlan {
            weights: self.networks(),
            activations: self.most(held),
            adapter,
            ..self.stage(Stage::Train)
        }
    }

    fn clip(&self, sizes: &TransformerSizes) -> transformer::Clip {
        let (vae, config) = (&self.networks.vae.config, &sizes.config);
        let factor = vae.spatial_factor();
        let cells = [
            vae.latent_frames(self.mode.window),
            self.work.height.div_ceil(factor),
            self.work.width.div_ceil(factor),
        ];
        let tokens = [0, 1, 2].map(|axis| cells[axis].div_ceil(config.patch_size[axis]) as u64);
        let image = self.networks.image.as_ref().map_or(IMAGE_TOKENS, |image| image.config.tokens() as u64);
        transformer::Clip {
            tokens: tokens.iter().product(),
            cells: cells.iter().product::<usize>() as u64,
            text: config.text_len as u64,
            image: match config.pos_embed_seq_len {
                Some(tokens) => tokens as u64,
                None if config.takes_image() => image,
                None => 0,
            },
        }
    }
}

/// CLIP ViT-H/14's, where its file is not looked at.
const IMAGE_TOKENS: u64 = 257;

#[cfg(test)]
mod tests;
