//! Tensor names: what diffusers calls the official tensors. No tensor is transposed, split or merged.

use crate::config::VaeConfig;

/// The linear layers of a block, in the order of the official checkpoint; those of the CLIP image are apart.
pub const BLOCK_LINEARS: [&str; 10] = [
    "self_attn.q",
    "self_attn.k",
    "self_attn.v",
    "self_attn.o",
    "cross_attn.q",
    "cross_attn.k",
    "cross_attn.v",
    "cross_attn.o",
    "ffn.0",
    "ffn.2",
];

/// A block's linear layers of the CLIP image.
pub const IMAGE_LINEARS: [&str; 2] = ["cross_attn.k_img", "cross_attn.v_img"];

/// Diffusers' spelling of a transformer's parts, and the official one.
const TRANSFORMER: [(&str, &str); 23] = [
    ("condition_embedder.time_embedder.linear_1.", "time_embedding.0."),
    ("condition_embedder.time_embedder.linear_2.", "time_embedding.2."),
    ("condition_embedder.text_embedder.linear_1.", "text_embedding.0."),
    ("condition_embedder.text_embedder.linear_2.", "text_embedding.2."),
    ("condition_embedder.time_proj.", "time_projection.1."),
    ("condition_embedder.image_embedder.norm1.", "img_emb.proj.0."),
    ("condition_embedder.image_embedder.ff.net.0.proj.", "img_emb.proj.1."),
    ("condition_embedder.image_embedder.ff.net.2.", "img_emb.proj.3."),
    ("condition_embedder.image_embedder.norm2.", "img_emb.proj.4."),
    ("condition_embedder.image_embedder.pos_embed", "img_emb.emb_pos"),
    ("proj_out.", "head.head."),
    (".attn1.", ".self_attn."),
    (".attn2.", ".cross_attn."),
    (".to_q.", ".q."),
    (".to_k.", ".k."),
    (".to_v.", ".v."),
    (".to_out.0.", ".o."),
    (".add_k_proj.", ".k_img."),
    (".add_v_proj.", ".v_img."),
    (".norm_added_k.", ".norm_k_img."),
    (".ffn.net.0.proj.", ".ffn.0."),
    (".ffn.net.2.", ".ffn.2."),
    (".scale_shift_table", ".modulation"),
];

/// The official name of a transformer's tensor, given either spelling.
///
/// The affine norm of the cross attention is official `norm3` and diffusers' `norm2`; the other two have no
/// tensors, so the number alone never tells the spelling and both mean the same tensor.
pub fn official_transformer_name(name: &str) -> String {
    match name {
        "scale_shift_table" => return "head.modulation".into(),
        _ if name.starts_with("blocks.") => {}
        _ => return rename(name),
    }
    let name = rename(name);
    match name.split_once(".norm2.") {
        Some((block, rest)) => format!("{block}.norm3.{rest}"),
        None => name,
    }
}

fn rename(name: &str) -> String {
    TRANSFORMER.iter().fold(name.to_owned(), |name, (theirs, official)| name.replace(theirs, official))
}

/// One stage of a VAE's encoder or decoder: a residual block, a change of size, or in the 2.2 layout both.
pub(crate) struct VaeStage {
    /// Where its tensors are in official files, such as `encoder.downsamples.3`.
    pub official: String,
    /// Where diffusers keeps them, such as `encoder.down_blocks.3`.
    pub diffusers: String,
    /// What it is.
    pub kind: StageKind,
}

/// What a stage of a VAE does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StageKind {
    Residual { inputs: usize, outputs: usize },
    Down { channels: usize, frames: bool },
    Up { channels: usize, frames: bool },
    Group(GroupSizes),
}

/// A stage of the 2.2 layout: residual blocks and perhaps a change of size under one shortcut.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupSizes {
    pub encoder: bool,
    pub inputs: usize,
    pub outputs: usize,
    pub blocks: usize,
    /// Whether rows and columns change, and then whether the frames do too.
    pub resize: Option<bool>,
}

impl GroupSizes {
    /// The official name of the list within the stage.
    pub fn inner(&self) -> &'static str {
        if self.encoder { "downsamples" } else { "upsamples" }
    }

    /// By how much frames, and rows and columns, change.
    pub fn factors(&self) -> [usize; 2] {
        [1 + usize::from(self.resize == Some(true)), 1 + usize::from(self.resize.is_some())]
    }

    /// Whether the shortcut's channels can be evenly averaged or repeated.
    pub fn fits(&self) -> bool {
        let [frames, side] = self.factors();
        let factor = frames * side * side;
        match (self.encoder, self.resize) {
            (true, _) => (self.inputs * factor).is_multiple_of(self.outputs),
            (false, Some(_)) => (self.outputs * factor).is_multiple_of(self.inputs),
            (false, None) => true,
        }
    }

    /// Official and diffusers' place of each part within the stage.
    fn places(&self) -> Vec<(String, String)> {
        let inner = self.inner();
        let resnet = |i: usize| (format!("{inner}.{i}"), format!("resnets.{i}"));
        let sampler = if self.encoder { "downsampler" } else { "upsampler" };
        let resize = self.resize.map(|_| (format!("{inner}.{}", self.blocks), sampler.to_owned()));
        (0..self.blocks).map(resnet).chain(resize).collect()
    }
}

/// The encoder's stages between the first convolution and the middle, in order.
pub(crate) fn encoder_stages(config: &VaeConfig) -> Vec<VaeStage> {
    let kinds = if config.is_residual { encoder_groups(config) } else { encoder_kinds(config) };
    let stage = |(i, kind)| VaeStage {
        official: format!("encoder.downsamples.{i}"),
        diffusers: format!("encoder.down_blocks.{i}"),
        kind,
    };
    kinds.into_iter().enumerate().map(stage).collect()
}

fn encoder_groups(config: &VaeConfig) -> Vec<StageKind> {
    let mut inputs = config.base_dim;
    let group = |(level, mult): (usize, &usize)| {
        let outputs = config.base_dim * mult;
        let resize = (level < config.reductions()).then(|| config.temperal_downsample[level]);
        let inputs = std::mem::replace(&mut inputs, outputs);
        StageKind::Group(GroupSizes { encoder: true, inputs, outputs, blocks: config.num_res_blocks, resize })
    };
    config.dim_mult.iter().enumerate().map(group).collect()
}

fn encoder_kinds(config: &VaeConfig) -> Vec<StageKind> {
    let mut kinds = Vec::new();
    let mut inputs = config.base_dim;
    for (level, mult) in config.dim_mult.iter().enumerate() {
        let outputs = config.base_dim * mult;
        for _ in 0..config.num_res_blocks {
            kinds.push(StageKind::Residual { inputs, outputs });
            inputs = outputs;
        }
        if level < config.reductions() {
            kinds.push(StageKind::Down { channels: outputs, frames: config.temperal_downsample[level] });
        }
    }
    kinds
}

/// The decoder's stages between the middle and the head, in order.
pub(crate) fn decoder_stages(config: &VaeConfig) -> Vec<VaeStage> {
    if config.is_residual {
        return decoder_groups(config);
    }
    let base = config.decoder_base_dim.unwrap_or(config.base_dim);
    let mut stages: Vec<VaeStage> = Vec::new();
    let mut inputs = base * config.dim_mult[config.reductions()];
    for level in 0..config.dim_mult.len() {
        let outputs = base * config.dim_mult[config.reductions() - level];
        let mut push = |part: String, kind| {
            let (official, diffusers) =
                (format!("decoder.upsamples.{}", stages.len()), format!("decoder.up_blocks.{level}.{part}"));
            stages.push(VaeStage { official, diffusers, kind });
        };
        for block in 0..=config.num_res_blocks {
            push(format!("resnets.{block}"), StageKind::Residual { inputs, outputs });
            inputs = outputs;
        }
        if level < config.reductions() {
            push(
                "upsamplers.0".into(),
                StageKind::Up { channels: outputs, frames: doubles_frames(config, level) },
            );
            inputs = outputs / 2;
        }
    }
    stages
}

fn decoder_groups(config: &VaeConfig) -> Vec<VaeStage> {
    let base = config.decoder_base_dim.unwrap_or(config.base_dim);
    let mut inputs = base * config.dim_mult[config.reductions()];
    let group = |level: usize| {
        let outputs = base * config.dim_mult[config.reductions() - level];
        let resize = (level < config.reductions()).then(|| doubles_frames(config, level));
        let inputs = std::mem::replace(&mut inputs, outputs);
        let blocks = config.num_res_blocks + 1;
        let sizes = GroupSizes { encoder: false, inputs, outputs, blocks, resize };
        let (official, diffusers) =
            (format!("decoder.upsamples.{level}"), format!("decoder.up_blocks.{level}"));
        VaeStage { official, diffusers, kind: StageKind::Group(sizes) }
    };
    (0..config.dim_mult.len()).map(group).collect()
}

/// Whether the decoder's level also doubles the frames: it undoes the encoder's in reverse.
fn doubles_frames(config: &VaeConfig, level: usize) -> bool {
    config.temperal_downsample[config.temperal_downsample.len() - 1 - level]
}

/// Diffusers' spelling of a VAE's parts outside the stages, and the official one.
const VAE_ENDS: [(&str, &str); 6] = [
    ("quant_conv.", "conv1."),
    ("post_quant_conv.", "conv2."),
    ("encoder.conv_in.", "encoder.conv1."),
    ("decoder.conv_in.", "decoder.conv1."),
    (".norm_out.", ".head.0."),
    (".conv_out.", ".head.2."),
];

/// Diffusers' spelling of a residual block's parts, and the official one.
const RESIDUAL: [(&str, &str); 5] = [
    ("norm1.", "residual.0."),
    ("conv1.", "residual.2."),
    ("norm2.", "residual.3."),
    ("conv2.", "residual.6."),
    ("conv_shortcut.", "shortcut."),
];

/// The official name of a VAE's tensor, given either spelling.
pub fn official_vae_name(name: &str, config: &VaeConfig) -> String {
    for (official, diffusers) in vae_modules(config) {
        let rest = name.strip_prefix(&diffusers).and_then(|rest| rest.strip_prefix('.'));
        if let Some(rest) = rest {
            return format!("{official}.{}", swap_prefix(rest, &RESIDUAL));
        }
    }
    let name = swap_prefix(name, &VAE_ENDS[..4]);
    VAE_ENDS[4..].iter().fold(name, |name, (theirs, official)| name.replace(theirs, official))
}

/// Official and diffusers' place of every residual block, attention and change of size.
fn vae_modules(config: &VaeConfig) -> Vec<(String, String)> {
    let middle = |side: &'static str| {
        let parts = ["resnets.0", "attentions.0", "resnets.1"];
        let place = move |(i, part)| (format!("{side}.middle.{i}"), format!("{side}.mid_block.{part}"));
        parts.into_iter().enumerate().map(place)
    };
    let stages = encoder_stages(config).into_iter().chain(decoder_stages(config));
    stages.flat_map(VaeStage::places).chain(middle("encoder")).chain(middle("decoder")).collect()
}

impl VaeStage {
    /// Official and diffusers' place of each part that holds tensors.
    fn places(self) -> Vec<(String, String)> {
        let Self { official, diffusers, kind } = self;
        let StageKind::Group(sizes) = kind else { return vec![(official, diffusers)] };
        let within = |(ours, theirs)| (format!("{official}.{ours}"), format!("{diffusers}.{theirs}"));
        sizes.places().into_iter().map(within).collect()
    }
}

fn swap_prefix(name: &str, pairs: &[(&str, &str)]) -> String {
    let swapped = pairs.iter().find_map(|(from, to)| Some(format!("{to}{}", name.strip_prefix(from)?)));
    swapped.unwrap_or_else(|| name.to_owned())
}
