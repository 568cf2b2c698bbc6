//! The spellings under which the world stores low-rank pairs, read as one.

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
}

const SUFFIXES: [(&str, Part); 5] = [
    (".lora_A.weight", Part::A),
    (".lora_down.weight", Part::A),
    (".lora_B.weight", Part::B),
    (".lora_up.weight", Part::B),
    (".alpha", Part::Alpha),
];

/// The official path of the layer and the part of it that `key` names; nothing for what is no part of a block's pair.
pub(crate) fn parse(key: &str) -> Option<(String, Part)> {
    let part = |&(suffix, part): &(&'static str, Part)| key.strip_suffix(suffix).map(|stem| (stem, part));
    let (stem, part) = SUFFIXES.iter().find_map(part)?;
    Some((official_path(stem)?, part))
}

fn official_path(stem: &str) -> Option<String> {
    let path = match stem.strip_prefix("lora_unet_") {
        Some(underscored) => dotted(underscored)?,
        None => without_prefix(stem).to_owned(),
    };
    // The table of names works on whole parts, each closed by a dot.
    let path = official_transformer_name(&format!("{path}."));
    path.strip_suffix('.').filter(|path| path.starts_with("blocks.")).map(str::to_owned)
}

fn without_prefix(stem: &str) -> &str {
    let prefixes = ["diffusion_model.", "transformer."];
    prefixes.iter().find_map(|prefix| stem.strip_prefix(prefix)).unwrap_or(stem)
}

/// `blocks_0_self_attn_q` -> `blocks.0.self_attn.q`
fn dotted(underscored: &str) -> Option<String> {
    let (block, rest) = underscored.strip_prefix("blocks_")?.split_once('_')?;
    let groups = ["self_attn", "cross_attn", "ffn"];
    let split = |&group: &&'static str| Some((group, rest.strip_prefix(group)?.strip_prefix('_')?));
    let (group, layer) = groups.iter().find_map(split)?;
    Some(format!("blocks.{block}.{group}.{layer}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_mean_the_same_layer() {
        for (key, path, part) in [
            ("diffusion_model.blocks.0.self_attn.q.lora_A.weight", "blocks.0.self_attn.q", Part::A),
            ("diffusion_model.blocks.12.ffn.2.lora_up.weight", "blocks.12.ffn.2", Part::B),
            ("diffusion_model.blocks.0.cross_attn.k_img.alpha", "blocks.0.cross_attn.k_img", Part::Alpha),
            ("transformer.blocks.7.attn2.to_out.0.lora_B.weight", "blocks.7.cross_attn.o", Part::B),
            ("transformer.blocks.0.ffn.net.0.proj.lora_A.weight", "blocks.0.ffn.0", Part::A),
            ("transformer.blocks.0.attn2.add_v_proj.lora_A.weight", "blocks.0.cross_attn.v_img", Part::A),
            ("lora_unet_blocks_3_self_attn_o.lora_down.weight", "blocks.3.self_attn.o", Part::A),
            ("lora_unet_blocks_3_cross_attn_k_img.alpha", "blocks.3.cross_attn.k_img", Part::Alpha),
            ("lora_unet_blocks_31_ffn_0.lora_up.weight", "blocks.31.ffn.0", Part::B),
            ("blocks.1.self_attn.v.lora_down.weight", "blocks.1.self_attn.v", Part::A),
        ] {
            assert_eq!(parse(key), Some((path.to_owned(), part)), "{key}");
        }
    }

    #[test]
    fn other_tensors_are_no_part_of_a_pair() {
        for key in [
            "diffusion_model.head.head.lora_A.weight",
            "diffusion_model.blocks.0.self_attn.q.diff_b",
            "diffusion_model.blocks.0.norm3.diff",
            "transformer_2.blocks.0.attn1.to_q.lora_A.weight",
            "lora_unet_head_head.alpha",
            "blocks.0.self_attn.q.weight",
        ] {
            assert_eq!(parse(key), None, "{key}");
        }
    }
}
