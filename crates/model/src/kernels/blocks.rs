//! Weights quantised in blocks, as GGUF files hold them. The decoding is candle's.

use candle_core::quantized::k_quants::{
    BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K, BlockQ6K, BlockQ8_0,
    GgmlType,
};

/// A block format of ggml.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "the names everybody knows them by")]
pub(crate) enum Block {
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
}

/// Calls a function generic over the block's type.
macro_rules! with_block {
    ($block:expr, $call:ident($($argument:expr),*)) => {
        match $block {
            Block::Q4_0 => $call::<BlockQ4_0>($($argument),*),
            Block::Q4_1 => $call::<BlockQ4_1>($($argument),*),
            Block::Q5_0 => $call::<BlockQ5_0>($($argument),*),
            Block::Q5_1 => $call::<BlockQ5_1>($($argument),*),
            Block::Q8_0 => $call::<BlockQ8_0>($($argument),*),
            Block::Q2_K => $call::<BlockQ2K>($($argument),*),
            Block::Q3_K => $call::<BlockQ3K>($($argument),*),
            Block::Q4_K => $call::<BlockQ4K>($($argument),*),
            Block::Q5_K => $call::<BlockQ5K>($($argument),*),
            Block::Q6_K => $call::<BlockQ6K>($($argument),*),
        }
    };
}

impl Block {
    /// The format's name in llama.cpp and ComfyUI-GGUF.
    pub fn name(self) -> &'static str {
        match self {
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q8_0 => "Q8_0",
            Self::Q2_K => "Q2_K",
            Self::Q3_K => "Q3_K",
            Self::Q4_K => "Q4_K",
            Self::Q5_K => "Q5_K",
            Self::Q6_K => "Q6_K",
        }
    }

    /// Numbers in a block: 32, or 256 for the K formats.
    pub fn elements(self) -> usize {
        with_block!(self, elements_of())
    }

    /// Bytes of a block.
    pub fn bytes(self) -> usize {
        with_block!(self, size_of())
    }

    /// Decodes whole blocks.
    pub fn widen(self, bytes: &[u8], out: &mut [f32]) {
        with_block!(self, widen(bytes, out));
    }
}

fn elements_of<B: GgmlType>() -> usize {
    B::BLCK_SIZE
}

fn size_of<B>() -> usize {
    std::mem::size_of::<B>()
}

/// Decodes in place where the blocks are aligned, which GGUF promises, and block by block where a file broke that. Candle keeps its own cast
/// to itself.
fn widen<B: GgmlType>(bytes: &[u8], out: &mut [f32]) {
    // SAFETY: the ten block types are `repr(C)`, of half floats and bytes alone, without padding (candle asserts
    // their sizes), so any bytes are a valid block; `align_to` gives the part that is aligned.
    let (head, blocks, tail) = unsafe { bytes.align_to::<B>() };
    if head.is_empty() && tail.is_empty() {
        return B::to_float(blocks, out);
    }
    for (bytes, out) in bytes.chunks_exact(size_of::<B>()).zip(out.chunks_exact_mut(B::BLCK_SIZE)) {
        // SAFETY: as above; the chunk is exactly one block long and is read without regard to alignment.
        let block = unsafe { bytes.as_ptr().cast::<B>().read_unaligned() };
        B::to_float(std::slice::from_ref(&block), out);
    }
}
