//! How numbers are stored, and how stored numbers become f32.

use std::sync::Arc;

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::fp8::{self, Float8};
use crate::kernels::blocks::Block;

/// Numbers decoded at a time through a buffer on the stack.
const RUN: usize = 256;

/// The number format of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Format {
    F64,
    F32,
    F16,
    Bf16,
    F8(Float8),
    /// Quantised in blocks, as in GGUF files.
    Block(Block),
    /// Anything that is no weight, or no weight that can be read: by its name.
    Other(Arc<str>),
}

impl Format {
    /// The format's name, such as `bf16` or `Q4_K`.
    pub fn name(&self) -> &str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F8(kind) => kind.name(),
            Self::Block(block) => block.name(),
            Self::Other(name) => name,
        }
    }

    /// Whether the numbers can be decoded.
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Other(_))
    }

    /// How many numbers are stored together.
    pub fn group(&self) -> usize {
        match self {
            Self::Block(block) => block.elements(),
            _ => 1,
        }
    }

    /// The bytes of one group; 0 where the format is not known.
    pub fn group_bytes(&self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::F8(_) => 1,
            Self::Block(block) => block.bytes(),
            Self::Other(_) => 0,
        }
    }

    /// The bytes of `elements` numbers, if that is a whole number of groups and fits in memory.
    pub fn bytes_of(&self, elements: usize) -> Option<usize> {
        let whole = elements.is_multiple_of(self.group());
        whole.then(|| (elements / self.group()).checked_mul(self.group_bytes()))?
    }

    /// Decodes as many numbers as `out` holds, each times `scale`. `bytes` are exactly theirs.
    pub fn widen(&self, bytes: &[u8], scale: f32, out: &mut [f32]) {
        debug_assert_eq!(Some(bytes.len()), self.bytes_of(out.len()));
        match self {
            Self::F8(kind) => return fp8::widen(*kind, bytes, scale, out),
            Self::F64 => each(bytes, out, |b: [u8; 8]| f64::from_le_bytes(b) as f32),
            Self::F32 => each(bytes, out, f32::from_le_bytes),
            Self::Bf16 => each(bytes, out, |b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)),
            Self::F16 => halves(bytes, out),
            Self::Block(block) => block.widen(bytes, out),
            Self::Other(name) => unreachable!("{name} is refused before it is decoded"),
        }
        if scale != 1.0 {
            out.iter_mut().for_each(|value| *value *= scale);
        }
    }
}

/// A loop that the compiler vectorises: no bounds, no alignment.
fn each<const N: usize>(bytes: &[u8], out: &mut [f32], decode: impl Fn([u8; N]) -> f32) {
    let (chunks, _) = bytes.as_chunks::<N>();
    for (value, chunk) in out.iter_mut().zip(chunks) {
        *value = decode(*chunk);
    }
}

/// f16 through `half`, whose slice conversion uses the processor's own instruction. It wants aligned input, which
/// files do not promise.
fn halves(bytes: &[u8], out: &mut [f32]) {
    let mut run = [f16::ZERO; RUN];
    for (bytes, out) in bytes.chunks(2 * RUN).zip(out.chunks_mut(RUN)) {
        let run = &mut run[..out.len()];
        for (half, pair) in run.iter_mut().zip(bytes.as_chunks().0) {
            *half = f16::from_le_bytes(*pair);
        }
        run.convert_to_f32_slice(out);
    }
}
