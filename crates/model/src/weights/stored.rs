//! A tensor as it lies in its file, decoded when needed.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor, bail};
use rayon::prelude::*;

use super::format::Format;
use super::mapped::MappedFile;

/// Numbers that one thread decodes at a time: a multiple of every block's size.
const SHARE: usize = 1 << 16;

/// A frozen matrix (out, in) as it lies in its file; rows are decoded when needed.
#[derive(Clone, Debug)]
pub struct Stored {
    shape: [usize; 2],
    raw: Arc<Raw>,
}

impl Stored {
    /// The caller has checked that the tensor has this shape, a known format, and rows of whole blocks.
    pub(super) fn new(shape: [usize; 2], raw: Arc<Raw>) -> Self {
        Self { shape, raw }
    }

    /// Outputs and inputs.
    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// How the numbers are stored: `bf16`, `fp8_e4m3 scaled`, `Q4_K` and so on.
    pub fn format(&self) -> &'static str {
        self.raw.format_name()
    }

    /// Bytes in the file.
    pub fn bytes(&self) -> u64 {
        self.raw.bytes.len() as u64
    }

    /// Decodes `rows` into `into`, row after row.
    ///
    /// # Panics
    /// When `into` has not exactly `rows.len() * inputs` places, or the rows are not all there.
    pub fn widen(&self, rows: Range<usize>, into: &mut [f32]) {
        let [outputs, inputs] = self.shape;
        assert!(rows.start <= rows.end && rows.end <= outputs, "rows {rows:?} of {outputs}");
        assert_eq!(into.len(), rows.len() * inputs, "room for {} rows of {inputs}", rows.len());
        self.raw.widen(rows.start * inputs..rows.end * inputs, into);
    }

    /// The whole matrix as a tensor of `dtype` (f32, f16 or bf16) on the CPU, decoded on all threads.
    ///
    /// # Errors
    /// When `dtype` is another.
    pub(crate) fn tensor(&self, dtype: DType) -> Result<Tensor> {
        let [outputs, inputs] = self.shape;
        let (raw, count, shape) = (&self.raw, outputs * inputs, self.shape.as_slice());
        match dtype {
            DType::F32 => Tensor::from_vec(raw.widen_all(count), shape, &Device::Cpu),
            DType::F16 => Tensor::from_vec(raw.decode_all(count, half::f16::from_f32), shape, &Device::Cpu),
            DType::BF16 => Tensor::from_vec(raw.decode_all(count, half::bf16::from_f32), shape, &Device::Cpu),
            other => bail!("weights are not computed with as {other:?}"),
        }
    }

    /// Has the system read the matrix ahead, where it lies in a file.
    pub(crate) fn prefetch(&self) {
        if let Bytes::File(file, range) = &self.raw.bytes {
            file.prefetch(range.clone());
        }
    }

    /// Lets go of the memory that reading the matrix from its file took.
    pub(crate) fn give_back(&self) {
        self.raw.bytes.give_back();
    }
}

/// The numbers of one tensor: bytes, format and scale. All lengths are checked where it is made.
#[derive(Debug)]
pub(super) struct Raw {
    pub bytes: Bytes,
    pub format: Format,
    pub scale: Scale,
}

/// Where bytes lie.
#[derive(Debug)]
pub(super) enum Bytes {
    File(Arc<MappedFile>, Range<usize>),
    Memory(Vec<u8>),
}

/// What stored numbers are multiplied by.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scale {
    /// Nothing belongs to them.
    None,
    /// One number.
    All(f32),
    /// One number for each row of so many columns.
    Rows { columns: usize, scales: Arc<[f32]> },
}

impl Bytes {
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::File(file, range) => file.slice(range.clone()),
            Self::Memory(bytes) => bytes,
        }
    }

    /// Lets go of the pages of a file that were touched: after they are copied they would count twice.
    pub fn give_back(&self) {
        if let Self::File(file, range) = self {
            file.give_back(range.clone());
        }
    }
}

impl Raw {
    pub fn format_name(&self) -> &'static str {
        match (&self.format, &self.scale) {
            (Format::F8(kind), Scale::None) => kind.name(),
            (Format::F8(kind), _) => kind.scaled_name(),
            (Format::F64, _) => "f64",
            (Format::F32, _) => "f32",
            (Format::F16, _) => "f16",
            (Format::Bf16, _) => "bf16",
            (Format::Block(block), _) => block.name(),
            (Format::Other(_), _) => "unknown",
        }
    }

    /// Decodes the numbers `elements`, which begin and end between blocks.
    pub fn widen(&self, elements: Range<usize>, into: &mut [f32]) {
        let at = |element: usize| element / self.format.group() * self.format.group_bytes();
        let bytes = &self.bytes.as_slice()[at(elements.start)..at(elements.end)];
        match &self.scale {
            Scale::None => self.format.widen(bytes, 1.0, into),
            Scale::All(scale) => self.format.widen(bytes, *scale, into),
            Scale::Rows { columns, scales } => {
                self.format.widen(bytes, 1.0, into);
                scale_rows(elements.start, *columns, scales, into);
            }
        }
    }

    /// Decodes all `count` numbers, on all threads.
    pub fn widen_all(&self, count: usize) -> Vec<f32> {
        let mut values = vec![0.0; count];
        values.par_chunks_mut(SHARE).enumerate().for_each(|(share, into)| {
            let start = share * SHARE;
            self.widen(start..start + into.len(), into);
        });
        values
    }

    /// The same, each number made narrower by `narrow`; the wide ones are kept for a share at a time.
    fn decode_all<T: Copy + Default + Send>(&self, count: usize, narrow: impl Fn(f32) -> T + Sync) -> Vec<T> {
        let mut values = vec![T::default(); count];
        let decode = |wide: &mut Vec<f32>, (share, into): (usize, &mut [T])| {
            wide.resize(into.len(), 0.0);
            let start = share * SHARE;
            self.widen(start..start + into.len(), wide);
            into.iter_mut().zip(wide.iter()).for_each(|(into, wide)| *into = narrow(*wide));
        };
        values.par_chunks_mut(SHARE).enumerate().for_each_init(Vec::new, decode);
        values
    }

    /// The first of `count` numbers that is NaN or infinite, looked for on all threads without keeping the numbers.
    pub fn first_not_finite(&self, count: usize) -> Option<usize> {
        let shares = count.div_ceil(SHARE);
        let in_share = |buffer: &mut Vec<f32>, share: usize| {
            let elements = share * SHARE..count.min((share + 1) * SHARE);
            buffer.resize(elements.len(), 0.0);
            self.widen(elements.clone(), buffer);
            Some(elements.start + first_not_finite(buffer)?)
        };
        (0..shares).into_par_iter().map_init(Vec::new, in_share).find_map_first(|found| found)
    }
}

fn scale_rows(start: usize, columns: usize, scales: &[f32], into: &mut [f32]) {
    for (offset, value) in into.iter_mut().enumerate() {
        *value *= scales[(start + offset) / columns];
    }
}

/// The first number that is NaN or infinite.
pub(super) fn first_not_finite(values: &[f32]) -> Option<usize> {
    const INFINITE: u32 = 0x7f80_0000;
    // The largest magnitude of a run as an integer: a loop that the compiler vectorises, unlike a search.
    let clean = |run: &[f32]| run.iter().fold(0, |most, v| v.abs().to_bits().max(most)) < INFINITE;
    let dirty = values.chunks(4096).position(|run| !clean(run))?;
    let start = dirty * 4096;
    values[start..].iter().position(|value| !value.is_finite()).map(|at| start + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_that_is_not_finite_is_found() {
        let mut values = vec![1.0f32; 10_000];
        assert_eq!(first_not_finite(&values), None);
        values[9_000] = f32::NEG_INFINITY;
        assert_eq!(first_not_finite(&values), Some(9_000));
        values[4_095] = f32::NAN;
        assert_eq!(first_not_finite(&values), Some(4_095));
    }
}
