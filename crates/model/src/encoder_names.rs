//! Tensor names of the text and the image encoder: other spellings, and the official one.

/// Spellings of the text encoder's parts by transformers and by GGUF files, and the official one. GGUF's come last:
/// none of them occurs in the others.
const UMT5: [(&str, &str); 20] = [
    ("encoder.block.", "blocks."),
    (".layer.0.SelfAttention.relative_attention_bias.", ".pos_embedding.embedding."),
    (".layer.0.SelfAttention.", ".attn."),
    (".layer.0.layer_norm.", ".norm1."),
    (".layer.1.DenseReluDense.wi_0.", ".ffn.gate.0."),
    (".layer.1.DenseReluDense.wi_1.", ".ffn.fc1."),
    (".layer.1.DenseReluDense.wo.", ".ffn.fc2."),
    (".layer.1.layer_norm.", ".norm2."),
    ("enc.blk.", "blocks."),
    (".attn_rel_b.", ".pos_embedding.embedding."),
    (".attn_norm.", ".norm1."),
    (".attn_q.", ".attn.q."),
    (".attn_k.", ".attn.k."),
    (".attn_v.", ".attn.v."),
    (".attn_o.", ".attn.o."),
    (".ffn_gate.", ".ffn.gate.0."),
    (".ffn_up.", ".ffn.fc1."),
    (".ffn_down.", ".ffn.fc2."),
    (".ffn_norm.", ".norm2."),
    ("enc.output_norm.", "norm."),
];

/// The official name of a text encoder's tensor, given that or transformers' or GGUF's spelling.
///
/// Sources: `t5.py` of Wan 2.1; transformers' `UMT5EncoderModel`; llama.cpp's names for T5.
pub fn official_umt5_name(name: &str) -> String {
    match name {
        // Transformers ties both; a file holds either or both.
        "shared.weight" | "encoder.embed_tokens.weight" | "token_embd.weight" => {
            "token_embedding.weight".into()
        }
        "encoder.final_layer_norm.weight" => "norm.weight".into(),
        _ if name.starts_with("decoder.") => name.into(),
        _ => replaced(name, &UMT5),
    }
}

/// Prefixes of the vision tower in files that may hold a text tower too.
const VISION: [&str; 2] = ["visual.", "vision_model."];

/// Spellings of the vision tower's parts by transformers and by OpenCLIP, and the official one.
const CLIP: [(&str, &str); 22] = [
    ("embeddings.class_embedding", "cls_embedding"),
    ("embeddings.position_embedding.weight", "pos_embedding"),
    ("embeddings.patch_embedding.", "patch_embedding."),
    ("pre_layrnorm.", "pre_norm."),
    ("post_layernorm.", "post_norm."),
    ("encoder.layers.", "transformer."),
    (".layer_norm1.", ".norm1."),
    (".layer_norm2.", ".norm2."),
    (".self_attn.out_proj.", ".attn.proj."),
    (".self_attn.", ".attn."),
    (".mlp.fc1.", ".mlp.0."),
    (".mlp.fc2.", ".mlp.2."),
    ("transformer.resblocks.", "transformer."),
    (".attn.in_proj_", ".attn.to_qkv."),
    (".attn.out_proj.", ".attn.proj."),
    (".ln_1.", ".norm1."),
    (".ln_2.", ".norm2."),
    (".mlp.c_fc.", ".mlp.0."),
    (".mlp.c_proj.", ".mlp.2."),
    ("ln_pre.", "pre_norm."),
    ("ln_post.", "post_norm."),
    ("conv1.", "patch_embedding."),
];

/// Whether a file keeps the vision tower under a prefix; where it does, other names belong to other networks.
pub(crate) fn has_vision_prefix<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    names.any(|name| VISION.iter().any(|prefix| name.starts_with(prefix)))
}

/// The official name of a vision tower's tensor, given that or transformers' or OpenCLIP's spelling.
///
/// Transformers keeps `q_proj`, `k_proj` and `v_proj` apart; these become `attn.q_proj` and so on. Without `prefixed`
/// every name is the vision tower's. Sources: `clip.py` of Wan 2.1; transformers' `CLIPVisionModel`; OpenCLIP's
/// `VisionTransformer`.
pub fn official_clip_name(name: &str, prefixed: bool) -> String {
    let plain = match VISION.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        Some(plain) => plain,
        None if prefixed => return name.into(),
        None => name,
    };
    let plain = match plain {
        "class_embedding" => "cls_embedding",
        "positional_embedding" => "pos_embedding",
        _ => plain,
    };
    format!("visual.{}", replaced(plain, &CLIP))
}

fn replaced(name: &str, spellings: &[(&str, &str)]) -> String {
    spellings.iter().fold(name.to_owned(), |name, (theirs, official)| name.replace(theirs, official))
}
