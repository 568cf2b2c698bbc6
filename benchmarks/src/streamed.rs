//! A transformer whose blocks lie in a file of bf16 numbers and are in memory only while they run.

use std::borrow::Cow;

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use lora_edit_model::names::{BLOCK_LINEARS, IMAGE_LINEARS};
use lora_edit_model::{Memory, Placement, Residency, TransformerConfig, WanTransformer, Weights};
use safetensors::{Dtype, View};

/// Random weights, the blocks' matrices in a file that is deleted when the network is dropped.
pub fn transformer(config: &TransformerConfig, device: &Device) -> Result<WanTransformer> {
    let (random, file) = (Weights::random(1), tempfile::NamedTempFile::new()?);
    let matrices = matrices(config).into_iter();
    let made = matrices.map(|(name, shape)| (name.clone(), MadeUp { weights: &random, name, shape }));
    safetensors::serialize_to_file(made, None, file.path())?;
    let weights = Weights::open(file.path())?.or_random(1).placed(&Placement::of_transformer(device));
    // Mapped by now; the system keeps the bytes of a deleted file as long as someone holds them.
    drop(file);
    let memory = Memory { residency: Residency::Streamed, recompute: true };
    Ok(WanTransformer::load_with(&weights, config.clone(), &memory)?)
}

/// Every matrix of every block, [out, in].
pub fn matrices(config: &TransformerConfig) -> Vec<(String, [usize; 2])> {
    let (dim, ffn) = (config.dim(), config.ffn_dim);
    let image = config.takes_image().then_some(IMAGE_LINEARS).into_iter().flatten();
    let layers: Vec<_> = BLOCK_LINEARS.into_iter().chain(image).collect();
    let shape = |layer: &str| match layer {
        "ffn.0" => [ffn, dim],
        "ffn.2" => [dim, ffn],
        _ => [dim, dim],
    };
    let block = |i: usize| {
        let named = layers.iter().map(move |layer| (format!("blocks.{i}.{layer}.weight"), shape(layer)));
        named.collect::<Vec<_>>()
    };
    (0..config.num_layers).flat_map(block).collect()
}

/// A matrix that is made when it is written, so that one is in memory at a time.
struct MadeUp<'a> {
    weights: &'a Weights,
    name: String,
    shape: [usize; 2],
}

impl MadeUp<'_> {
    fn bytes(&self) -> Result<Vec<u8>> {
        let tensor: Tensor = self.weights.tensor(&self.name, &self.shape)?.to_dtype(DType::BF16)?;
        Ok(View::data(&tensor).into_owned())
    }
}

impl View for MadeUp<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::BF16
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        // The trait knows no errors. A file cut short is refused when it is opened.
        Cow::Owned(self.bytes().unwrap_or_default())
    }

    fn data_len(&self) -> usize {
        2 * self.shape.iter().product::<usize>()
    }
}
