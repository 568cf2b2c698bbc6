//! The spellings under which the world stores low-rank pairs and differences, read as one.

use lora_edit_model::guidance::Expert;
use lora_edit_model::names::official_transformer_name;

/// What a tensor of an adapter file is to its layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Part {
    /// (rank, in)
    A,
    /// (out, rank)
    B,
    /// A single number.
    Alpha,
    /// (out): added to what the pair gives, before it is scaled.
    PairBias,
    /// Added to the layer's tensor of this name.
    Difference(&'static str),
}

/// What a tensor's name says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Name {
    /// The network it is for: the one for high noise where there is but one, or the name does not say.
    pub expert: Expert,
    /// Official path of the layer, such as `blocks.0.self_attn.q`.
    pub layer: String,
    pub part: Part,
}

/// `.default` is the name that peft gives an adapter, where a tool does not take it out.
const SUFFIXES: [(&str, Part); 14] = [
    (".lora_A.weight", Part::A),
    (".lora_A.default.weight", Part::A),
    (".lora_down.weight", Part::A),
    (".lora.down.weight", Part::A),
    (".lora_B.weight", Part::B),
    (".lora_B.default.weight", Part::B),
    (".lora_up.weight", Part::B),
    (".lora.up.weight", Part::B),
    (".alpha", Part::Alpha),
    (".lora_B.bias", Part::PairBias),
    (".lora_B.default.bias", Part::PairBias),
    (".diff", Part::Difference("weight")),
    (".diff_b", Part::Difference("bias")),
    (".diff_m", Part::Difference("modulation")),
];

/// What is not in a block and can be changed.
const OUTSIDE: [&str; 13] = [
    "patch_embedding",
    "text_embedding.0",
    "text_embedding.2",
    "time_embedding.0",
    "time_embedding.2",
    "time_projection.1",
    "img_emb",
    "img_emb.proj.0",
    "img_emb.proj.1",
    "img_emb.proj.3",
    "img_emb.proj.4",
    "head",
    "head.head",
];

/// Tensors that ComfyUI names in full where it adds a difference to them, other than weights.
const NAMED_IN_FULL: [&str; 3] = ["bias", "modulation", "emb_pos"];

/// The networks' names before a layer's, longest first where one contains another.
const PREFIXES: [(&str, Expert); 5] = [
    ("model.diffusion_model.", Expert::High),
    ("diffusion_model.", Expert::High),
    ("transformer.", Expert::High),
    (LOW_NOISE, Expert::Low),
    (PEFT, Expert::High),
];

const LOW_NOISE: &str = "transformer_2.";
/// What peft's own files begin with; their scale is in `adapter_config.json`.
pub(crate) const PEFT: &str = "base_model.model.";

impl Name {
    /// Whether it is of what can be trained.
    pub fn is_of_a_blocks_pair(&self) -> bool {
        matches!(self.part, Part::A | Part::B | Part::Alpha) && self.layer.starts_with("blocks.")
    }
}

/// What `key` names; nothing for what is no part of a pair nor a difference of the transformer's.
pub(crate) fn parse(key: &str) -> Option<Name> {
    let part = |&(suffix, part): &(&'static str, Part)| key.strip_suffix(suffix).map(|stem| (stem, part));
    let (stem, part) = SUFFIXES.iter().find_map(part)?;
    let (stem, expert) = match stem.strip_prefix("lora_unet_") {
        Some(underscored) => (dotted(underscored)?, Expert::High),
        None => without_prefix(stem),
    };
    let path = official_path(&stem);
    let full =
        NAMED_IN_FULL.iter().find_map(|&name| Some((path.strip_suffix(name)?.strip_suffix('.')?, name)));
    let (layer, part) = match (part, full) {
        (Part::Difference("weight"), Some((layer, name))) => (layer, Part::Difference(name)),
        _ => (path.as_str(), part),
    };
    let is_known = layer.starts_with("blocks.") || OUTSIDE.contains(&layer);
    is_known.then(|| Name { expert, layer: layer.to_owned(), part })
}

/// Whether a layer is one of the CLIP image's, which only Wan 2.1's image-to-video bases have.
pub(crate) fn is_of_image(layer: &str) -> bool {
    layer.starts_with("img_emb") || layer.ends_with("_img")
}

/// Other ways to change a layer, which cannot be left out without changing what the file does; nothing for all else.
pub(crate) fn foreign_method(key: &str) -> Option<&'static str> {
    let methods = [
        ("dora_scale", "DoRA"),
        ("lora_magnitude_vector", "DoRA"),
        ("hada_w", "LoHa"),
        ("lokr_w", "LoKr"),
        ("lora_mid", "LoRA of convolutions"),
        (".set_weight", "a replaced weight"),
        (".reshape_weight", "a weight of another shape"),
    ];
    let found = |&(mark, name): &(&str, &'static str)| key.contains(mark).then_some(name);
    methods.iter().find_map(found)
}

fn official_path(stem: &str) -> String {
    // The table of names works on whole parts, each closed by a dot.
    let path = official_transformer_name(&format!("{stem}."));
    path.strip_suffix('.').unwrap_or(&path).to_owned()
}

fn without_prefix(stem: &str) -> (String, Expert) {
    let found = |&(prefix, expert): &(&str, Expert)| Some((stem.strip_prefix(prefix)?.to_owned(), expert));
    PREFIXES.iter().find_map(found).unwrap_or((stem.to_owned(), Expert::High))
}

/// `blocks_0_self_attn_q` -> `blocks.0.self_attn.q`
fn dotted(underscored: &str) -> Option<String> {
    let Some(of_block) = underscored.strip_prefix("blocks_") else {
        return OUTSIDE.iter().find(|path| path.replace('.', "_") == underscored).map(ToString::to_string);
    };
    let Some((block, rest)) = of_block.split_once('_') else { return Some(format!("blocks.{of_block}")) };
    let groups = ["self_attn", "cross_attn", "ffn"];
    let split = |&group: &&str| Some(format!("{group}.{}", rest.strip_prefix(group)?.strip_prefix('_')?));
    let layer = groups.iter().find_map(split).unwrap_or_else(|| rest.to_owned());
    Some(format!("blocks.{block}.{layer}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_mean_the_same_layer() {
        for (key, layer, part) in [
            ("diffusion_model.blocks.0.self_attn.q.lora_A.weight", "blocks.0.self_attn.q", Part::A),
            ("diffusion_model.blocks.12.ffn.2.lora_up.weight", "blocks.12.ffn.2", Part::B),
            ("diffusion_model.blocks.0.cross_attn.k_img.alpha", "blocks.0.cross_attn.k_img", Part::Alpha),
            ("model.diffusion_model.blocks.2.ffn.0.lora_down.weight", "blocks.2.ffn.0", Part::A),
            ("transformer.blocks.7.attn2.to_out.0.lora_B.weight", "blocks.7.cross_attn.o", Part::B),
            ("transformer.blocks.0.ffn.net.0.proj.lora_A.weight", "blocks.0.ffn.0", Part::A),
            ("transformer.blocks.0.attn2.add_v_proj.lora_A.weight", "blocks.0.cross_attn.v_img", Part::A),
            ("transformer.blocks.4.attn1.to_v.lora.up.weight", "blocks.4.self_attn.v", Part::B),
            ("base_model.model.blocks.9.attn1.to_q.lora_A.weight", "blocks.9.self_attn.q", Part::A),
            ("lora_unet_blocks_3_self_attn_o.lora_down.weight", "blocks.3.self_attn.o", Part::A),
            ("lora_unet_blocks_3_cross_attn_k_img.alpha", "blocks.3.cross_attn.k_img", Part::Alpha),
            ("lora_unet_blocks_31_ffn_0.lora_up.weight", "blocks.31.ffn.0", Part::B),
            ("blocks.1.self_attn.v.lora_down.weight", "blocks.1.self_attn.v", Part::A),
            ("blocks.1.self_attn.v.lora_B.default.weight", "blocks.1.self_attn.v", Part::B),
            ("transformer.proj_out.lora_B.bias", "head.head", Part::PairBias),
            ("lora_unet_time_projection_1.alpha", "time_projection.1", Part::Alpha),
            ("diffusion_model.head.head.lora_A.weight", "head.head", Part::A),
            ("diffusion_model.head.diff_m", "head", Part::Difference("modulation")),
            ("diffusion_model.blocks.0.diff_m", "blocks.0", Part::Difference("modulation")),
            ("lora_unet_blocks_0.diff_m", "blocks.0", Part::Difference("modulation")),
            ("diffusion_model.blocks.0.modulation.diff", "blocks.0", Part::Difference("modulation")),
            ("diffusion_model.blocks.0.norm3.diff", "blocks.0.norm3", Part::Difference("weight")),
            ("diffusion_model.blocks.0.norm3.bias.diff", "blocks.0.norm3", Part::Difference("bias")),
            ("lora_unet_blocks_0_norm3.diff_b", "blocks.0.norm3", Part::Difference("bias")),
            (
                "lora_unet_blocks_0_self_attn_norm_q.diff",
                "blocks.0.self_attn.norm_q",
                Part::Difference("weight"),
            ),
            ("diffusion_model.blocks.0.self_attn.q.diff_b", "blocks.0.self_attn.q", Part::Difference("bias")),
            ("diffusion_model.img_emb.proj.4.diff_b", "img_emb.proj.4", Part::Difference("bias")),
            ("diffusion_model.patch_embedding.diff", "patch_embedding", Part::Difference("weight")),
        ] {
            let name = Name { expert: Expert::High, layer: layer.to_owned(), part };
            assert_eq!(parse(key), Some(name), "{key}");
        }
    }

    #[test]
    fn the_second_transformer_is_the_one_for_low_noise() {
        let layer = "blocks.0.self_attn.q".to_owned();
        assert_eq!(
            parse("transformer_2.blocks.0.attn1.to_q.lora_A.weight"),
            Some(Name { expert: Expert::Low, layer, part: Part::A })
        );
    }

    #[test]
    fn other_tensors_mean_nothing() {
        for key in [
            "diffusion_model.vace_patch_embedding.diff",
            "transformer_3.blocks.0.attn1.to_q.lora_A.weight",
            "lora_te1_text_model_encoder_layers_0_mlp_fc1.alpha",
            "blocks.0.self_attn.q.weight",
        ] {
            assert_eq!(parse(key), None, "{key}");
            assert_eq!(foreign_method(key), None, "{key}");
        }
    }

    #[test]
    fn other_methods_are_known_by_their_tensors() {
        let method = |suffix: &str| foreign_method(&format!("lora_unet_blocks_0_self_attn_q.{suffix}"));
        assert_eq!(method("dora_scale"), Some("DoRA"));
        assert_eq!(method("hada_w1_a"), Some("LoHa"));
        assert_eq!(method("lokr_w2"), Some("LoKr"));
        assert_eq!(method("set_weight"), Some("a replaced weight"));
        assert_eq!(method("lora_down.weight"), None);
    }
}
