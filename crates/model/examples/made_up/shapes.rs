//! Names and shapes of the published networks' tensors, as their official files spell them.

/// A tensor's name and shape.
pub type Named = (String, Vec<usize>);

/// Sizes of a transformer of Wan 2.1.
#[derive(Clone, Copy)]
pub struct Transformer {
    pub width: usize,
    pub ffn: usize,
    pub heads: usize,
    pub blocks: usize,
    pub text: usize,
    /// Channels of the CLIP states, where they are taken.
    pub image: Option<usize>,
}

fn with_bias(name: &str, shape: &[usize]) -> [Named; 2] {
    [(format!("{name}.weight"), shape.to_vec()), (format!("{name}.bias"), vec![shape[0]])]
}

fn under(at: &str, tensors: Vec<Named>) -> Vec<Named> {
    tensors.into_iter().map(|(name, shape)| (format!("{at}.{name}"), shape)).collect()
}

impl Transformer {
    /// All but the blocks.
    pub fn outside(&self) -> Vec<Named> {
        let (dim, text) = (self.width, self.text);
        let mut all = Vec::new();
        for (name, shape) in [
            ("patch_embedding", vec![dim, 36, 1, 2, 2]),
            ("text_embedding.0", vec![dim, text]),
            ("text_embedding.2", vec![dim, dim]),
            ("time_embedding.0", vec![dim, 256]),
            ("time_embedding.2", vec![dim, dim]),
            ("time_projection.1", vec![6 * dim, dim]),
            ("head.head", vec![64, dim]),
        ] {
            all.extend(with_bias(name, &shape));
        }
        all.push(("head.modulation".into(), vec![1, 2, dim]));
        if let Some(image) = self.image {
            for (name, shape) in
                [("0", vec![image]), ("1", vec![image, image]), ("3", vec![dim, image]), ("4", vec![dim])]
            {
                all.extend(with_bias(&format!("img_emb.proj.{name}"), &shape));
            }
        }
        all
    }

    /// Block `index`.
    pub fn block(&self, index: usize) -> Vec<Named> {
        let (dim, ffn) = (self.width, self.ffn);
        let mut all = vec![("modulation".into(), vec![1, 6, dim])];
        all.extend(with_bias("norm3", &[dim]));
        for attention in ["self_attn", "cross_attn"] {
            for part in ["q", "k", "v", "o"] {
                all.extend(with_bias(&format!("{attention}.{part}"), &[dim, dim]));
            }
            for norm in ["norm_q", "norm_k"] {
                all.push((format!("{attention}.{norm}.weight"), vec![dim]));
            }
        }
        if self.image.is_some() {
            all.extend(with_bias("cross_attn.k_img", &[dim, dim]));
            all.extend(with_bias("cross_attn.v_img", &[dim, dim]));
            all.push(("cross_attn.norm_k_img.weight".into(), vec![dim]));
        }
        all.extend(with_bias("ffn.0", &[ffn, dim]));
        all.extend(with_bias("ffn.2", &[dim, ffn]));
        under(&format!("blocks.{index}"), all)
    }
}

/// umT5-XXL's encoder.
pub fn umt5(blocks: usize) -> Vec<Named> {
    let (dim, ffn) = (4096, 10_240);
    let block = |i: usize| {
        let square = ["q", "k", "v", "o"].map(|part| (format!("attn.{part}.weight"), vec![dim, dim]));
        let mut all = square.to_vec();
        all.push(("pos_embedding.embedding.weight".into(), vec![32, 64]));
        all.extend(["norm1.weight", "norm2.weight"].map(|name| (name.into(), vec![dim])));
        all.extend(["ffn.gate.0.weight", "ffn.fc1.weight"].map(|name| (name.into(), vec![ffn, dim])));
        all.push(("ffn.fc2.weight".into(), vec![dim, ffn]));
        under(&format!("blocks.{i}"), all)
    };
    let ends = [("token_embedding.weight", vec![256_384, dim]), ("norm.weight", vec![dim])];
    ends.map(|(name, shape)| (name.into(), shape)).into_iter().chain((0..blocks).flat_map(block)).collect()
}

/// The vision tower of CLIP ViT-H/14.
pub fn clip(blocks: usize) -> Vec<Named> {
    let (dim, hidden) = (1280, 5120);
    let mut all = vec![
        ("cls_embedding".into(), vec![1, 1, dim]),
        ("pos_embedding".into(), vec![1, 257, dim]),
        ("patch_embedding.weight".into(), vec![dim, 3, 14, 14]),
        ("head".into(), vec![dim, 1024]),
    ];
    all.extend(["pre_norm", "post_norm"].iter().flat_map(|norm| with_bias(norm, &[dim])));
    for i in 0..blocks {
        let mut block = Vec::new();
        for (name, shape) in [
            ("norm1", vec![dim]),
            ("attn.to_qkv", vec![3 * dim, dim]),
            ("attn.proj", vec![dim, dim]),
            ("norm2", vec![dim]),
            ("mlp.0", vec![hidden, dim]),
            ("mlp.2", vec![dim, hidden]),
        ] {
            block.extend(with_bias(name, &shape));
        }
        all.extend(under(&format!("transformer.{i}"), block));
    }
    under("visual", all)
}

/// Wan 2.1's VAE of this base width (96 is the published one).
pub fn vae(base: usize) -> Vec<Named> {
    let (z, top) = (16, 4 * base);
    let conv = |name: &str, inputs: usize, outputs: usize, [frames, side]: [usize; 2]| {
        with_bias(name, &[outputs, inputs, frames, side, side])
    };
    let residual = |at: &str, inputs: usize, outputs: usize| {
        let mut all = vec![
            (format!("{at}.residual.0.gamma"), vec![inputs, 1, 1, 1]),
            (format!("{at}.residual.3.gamma"), vec![outputs, 1, 1, 1]),
        ];
        all.extend(conv(&format!("{at}.residual.2"), inputs, outputs, [3, 3]));
        all.extend(conv(&format!("{at}.residual.6"), outputs, outputs, [3, 3]));
        if inputs != outputs {
            all.extend(conv(&format!("{at}.shortcut"), inputs, outputs, [1, 1]));
        }
        all
    };
    let resize = |at: &str, inputs: usize, outputs: usize, time: Option<usize>| {
        let mut all = with_bias(&format!("{at}.resample.1"), &[outputs, inputs, 3, 3]).to_vec();
        all.extend(
            time.iter().flat_map(|&outputs| conv(&format!("{at}.time_conv"), inputs, outputs, [3, 1])),
        );
        all
    };
    let mut all: Vec<Named> = conv("conv1", 2 * z, 2 * z, [1, 1]).to_vec();
    all.extend(conv("conv2", z, z, [1, 1]));
    let ends = [("encoder", [3, base, top, 2 * z]), ("decoder", [z, top, base, 3])];
    for (side, [inputs, start, end, outputs]) in ends {
        all.extend(conv(&format!("{side}.conv1"), inputs, start, [3, 3]));
        all.extend(residual(&format!("{side}.middle.0"), top, top));
        all.extend(residual(&format!("{side}.middle.2"), top, top));
        all.push((format!("{side}.middle.1.norm.gamma"), vec![top, 1, 1]));
        all.extend(with_bias(&format!("{side}.middle.1.to_qkv"), &[3 * top, top, 1, 1]));
        all.extend(with_bias(&format!("{side}.middle.1.proj"), &[top, top, 1, 1]));
        all.push((format!("{side}.head.0.gamma"), vec![end, 1, 1, 1]));
        all.extend(conv(&format!("{side}.head.2"), end, outputs, [3, 3]));
    }
    // A letter per stage: r a residual block, x a change of size, t one of frames too.
    let widths = [base, 2 * base, 4 * base, 4 * base];
    let (mut level, mut width) = (0, base);
    for (i, letter) in "rrxrrtrrtrr".chars().enumerate() {
        let at = format!("encoder.downsamples.{i}");
        if letter == 'r' {
            all.extend(residual(&at, width, widths[level]));
            width = widths[level];
        } else {
            all.extend(resize(&at, width, width, (letter == 't').then_some(width)));
            level += 1;
        }
    }
    let (mut level, mut width) = (3, top);
    for (i, letter) in "rrrtrrrtrrrxrrr".chars().enumerate() {
        let at = format!("decoder.upsamples.{i}");
        if letter == 'r' {
            all.extend(residual(&at, width, widths[level]));
            width = widths[level];
        } else {
            all.extend(resize(&at, width, width / 2, (letter == 't').then_some(2 * width)));
            (level, width) = (level - 1, width / 2);
        }
    }
    all
}
