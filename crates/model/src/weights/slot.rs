//! Where one tensor of a network lies, and how it becomes f32.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::format::Format;
use super::listing::Entry;
use super::mapped::MappedFile;
use super::scales::Scales;
use super::stored::{Bytes, Raw, Scale, Stored, first_not_finite};
use crate::error::{Loaded, ModelError};

/// One tensor: in a file, or in memory already.
#[derive(Clone)]
pub(super) enum Slot {
    File(Arc<InFile>),
    Memory(Tensor),
}

/// A tensor in a file, with its scale.
pub(super) struct InFile {
    file: Arc<MappedFile>,
    entry: Entry,
    /// What its numbers are multiplied by; the reason where they cannot be read.
    scale: Result<Scale, String>,
}

impl Slot {
    pub fn in_file(file: &Arc<MappedFile>, entry: &Entry, scales: &Scales<'_>) -> Self {
        Self::File(Arc::new(InFile { file: file.clone(), entry: entry.clone(), scale: scales.of(entry) }))
    }

    pub fn shape(&self) -> &[usize] {
        match self {
            Self::File(tensor) => &tensor.entry.shape,
            Self::Memory(tensor) => tensor.dims(),
        }
    }

    /// The file, or `source` for tensors in memory.
    pub fn file_name(&self, source: &str) -> String {
        match self {
            Self::File(tensor) => tensor.file.shown(),
            Self::Memory(_) => source.to_owned(),
        }
    }

    /// The number format, with `scaled` where a scale belongs to it.
    pub fn format_name(&self) -> String {
        match self {
            Self::Memory(tensor) => tensor.dtype().as_str().to_owned(),
            Self::File(tensor) => match (&tensor.entry.format, &tensor.scale) {
                (Format::F8(kind), Ok(Scale::All(_) | Scale::Rows { .. })) => kind.scaled_name().to_owned(),
                (format, _) => format.name().to_owned(),
            },
        }
    }

    /// Bytes in the file, or in memory.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::File(tensor) => tensor.entry.range.len() as u64,
            Self::Memory(tensor) => (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64,
        }
    }

    /// Why the numbers cannot be read, if they cannot.
    pub fn unreadable(&self) -> Option<String> {
        let Self::File(tensor) = self else { return None };
        match (&tensor.scale, &tensor.entry.format) {
            (Err(reason), _) => Some(reason.clone()),
            (_, Format::Other(name)) => Some(format!("type {name} is not supported")),
            _ => None,
        }
    }

    /// Bytes that are no numbers, such as a tokeniser's model.
    pub fn raw_bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::File(tensor) => Some(tensor.file.slice(tensor.entry.range.clone()).to_vec()),
            Self::Memory(tensor) => tensor.flatten_all().and_then(|t| t.to_vec1::<u8>()).ok(),
        }
    }

    /// All numbers as f32, on the CPU or where the caller's tensor lies, checked to be finite.
    pub fn read(&self, name: &str, source: &str) -> Loaded<Tensor> {
        let tensor = match self {
            Self::Memory(tensor) => tensor.detach().to_dtype(DType::F32)?.contiguous()?,
            Self::File(_) => {
                let raw = self.raw(name, source)?;
                let values = raw.widen_all(self.count());
                raw.bytes.give_back();
                self.check(first_not_finite(&values), name, source)?;
                return Ok(Tensor::from_vec(values, self.shape(), &Device::Cpu)?);
            }
        };
        // Zero times a number that is not finite is NaN: seen where the tensor lies, for a GPU's are slow to fetch.
        if !tensor.device().is_cpu() && (&tensor * 0.0)?.sum_all()?.to_scalar::<f32>()? == 0.0 {
            return Ok(tensor);
        }
        let values = tensor.flatten_all()?.to_device(&Device::Cpu)?.to_vec1::<f32>()?;
        self.check(first_not_finite(&values), name, source)?;
        Ok(tensor)
    }

    /// Decodes all numbers and keeps none: an error where one is NaN or infinite.
    pub fn check_finite(&self, name: &str, source: &str) -> Loaded<()> {
        match self {
            Self::Memory(_) => self.read(name, source).map(drop),
            Self::File(_) => self.check(self.raw(name, source)?.first_not_finite(self.count()), name, source),
        }
    }

    /// The tensor as a matrix that is decoded row by row.
    pub fn stored(&self, shape: [usize; 2], name: &str, source: &str) -> Loaded<Stored> {
        let raw = self.raw(name, source)?;
        if shape[1].is_multiple_of(raw.format.group()) {
            return Ok(Stored::new(shape, Arc::new(raw)));
        }
        // A reshaped GGUF tensor, whose rows are no whole blocks: decoded once and for all.
        let values = raw.widen_all(self.count());
        let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
        let raw = Raw { bytes: Bytes::Memory(bytes), format: Format::F32, scale: Scale::None };
        Ok(Stored::new(shape, Arc::new(raw)))
    }

    fn count(&self) -> usize {
        self.shape().iter().product()
    }

    fn check(&self, not_finite: Option<usize>, name: &str, source: &str) -> Loaded<()> {
        let Some(at) = not_finite else { return Ok(()) };
        Err(ModelError::tensor(&self.file_name(source), name, format!("number {at} is NaN or infinite")))
    }

    fn raw(&self, name: &str, source: &str) -> Loaded<Raw> {
        if let Some(reason) = self.unreadable() {
            return Err(ModelError::tensor(&self.file_name(source), name, reason));
        }
        match self {
            Self::File(tensor) => Ok(tensor.raw()),
            Self::Memory(tensor) => raw_of_memory(tensor),
        }
    }
}

impl InFile {
    fn raw(&self) -> Raw {
        let Entry { shape, format, range, strides, .. } = &self.entry;
        let bytes = match strides {
            None => Bytes::File(self.file.clone(), range.clone()),
            Some(strides) => {
                Bytes::Memory(gather(self.file.slice(range.clone()), shape, strides, format.group_bytes()))
            }
        };
        Raw { bytes, format: format.clone(), scale: self.scale.clone().unwrap_or(Scale::None) }
    }
}

/// A view's numbers one after another: `.pth` files may hold transposed tensors and parts of larger ones.
fn gather(bytes: &[u8], shape: &[usize], strides: &[usize], width: usize) -> Vec<u8> {
    let count: usize = shape.iter().product();
    let mut gathered = Vec::with_capacity(count * width);
    for index in 0..count {
        let mut rest = index;
        let mut at = 0;
        for (size, stride) in shape.iter().zip(strides).rev() {
            at += rest % size * stride;
            rest /= size;
        }
        gathered.extend_from_slice(&bytes[at * width..(at + 1) * width]);
    }
    gathered
}

fn raw_of_memory(tensor: &Tensor) -> Loaded<Raw> {
    let tensor = tensor.detach().flatten_all()?.to_device(&Device::Cpu)?;
    let (format, bytes) = match tensor.dtype() {
        DType::BF16 => (Format::Bf16, le_bytes(tensor.to_vec1()?, half::bf16::to_le_bytes)),
        DType::F16 => (Format::F16, le_bytes(tensor.to_vec1()?, half::f16::to_le_bytes)),
        _ => (Format::F32, le_bytes(tensor.to_dtype(DType::F32)?.to_vec1()?, f32::to_le_bytes)),
    };
    Ok(Raw { bytes: Bytes::Memory(bytes), format, scale: Scale::None })
}

fn le_bytes<T, const N: usize>(values: Vec<T>, bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.into_iter().flat_map(bytes).collect()
}
