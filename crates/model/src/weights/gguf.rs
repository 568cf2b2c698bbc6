//! Headers of GGUF files (versions 2 and 3): own reader, since candle's refuses tensors of five dimensions, which
//! every Wan transformer has (its patch embedding).

use std::collections::BTreeMap;

use super::format::Format;
use super::listing::{Entry, Listing, checked_count};
use crate::kernels::blocks::Block;

/// What every GGUF file begins with.
pub(super) const MAGIC: [u8; 4] = *b"GGUF";
/// Where ComfyUI-GGUF keeps the shape of a tensor that was reshaped to fill whole blocks.
const ORIGINAL_SHAPE: &str = "comfy.gguf.orig_shape.";
/// Tensors begin at multiples of this where the file does not say otherwise.
const ALIGNMENT: u64 = 32;
/// No published tensor has more.
const MOST_DIMENSIONS: u32 = 8;

/// The metadata that matters here.
#[derive(Default)]
struct Metadata {
    alignment: Option<u64>,
    shapes: BTreeMap<String, Vec<usize>>,
    texts: BTreeMap<String, String>,
}

/// Reads the header; the reason where it is broken or the file is cut short.
pub(super) fn read(bytes: &[u8]) -> Result<Listing, String> {
    let mut reader = Reader { bytes, at: MAGIC.len() };
    let version = reader.u32()?;
    if !(2..=3).contains(&version) {
        return Err(format!("GGUF version {version} is not supported, only 2 and 3"));
    }
    let (tensors, values) = (reader.u64()?, reader.u64()?);
    let mut metadata = Metadata::default();
    for _ in 0..values {
        metadata.read_value(&mut reader)?;
    }
    let mut described = Vec::new();
    for _ in 0..tensors {
        described.push(Described::read(&mut reader)?);
    }
    let alignment = metadata.alignment.unwrap_or(ALIGNMENT);
    let start = (reader.at as u64).checked_next_multiple_of(alignment).ok_or("alignment 0")?;
    let entries = described.into_iter().map(|tensor| tensor.entry(start, bytes.len(), &metadata));
    Ok(Listing { entries: entries.collect::<Result<_, _>>()?, metadata: metadata.texts })
}

impl Metadata {
    fn read_value(&mut self, reader: &mut Reader<'_>) -> Result<(), String> {
        let key = reader.text()?;
        let value = reader.value()?;
        match (key.strip_prefix(ORIGINAL_SHAPE), value) {
            (Some(tensor), Value::Numbers(shape)) => {
                let sizes =
                    shape.into_iter().map(|size| usize::try_from(size).ok()).collect::<Option<Vec<_>>>();
                self.shapes.insert(tensor.to_owned(), sizes.ok_or_else(|| format!("{key} is negative"))?);
            }
            (None, Value::Number(number)) if key == "general.alignment" => {
                self.alignment = u64::try_from(number).ok().filter(|&alignment| alignment > 0);
            }
            (None, Value::Text(text)) => {
                self.texts.insert(key, text);
            }
            _ => {}
        }
        Ok(())
    }
}

/// One tensor of the header.
struct Described {
    name: String,
    /// As in the file: the fastest axis first.
    dims: Vec<usize>,
    kind: u32,
    offset: u64,
}

impl Described {
    fn read(reader: &mut Reader<'_>) -> Result<Self, String> {
        let name = reader.text()?;
        let count = reader.u32()?;
        if count > MOST_DIMENSIONS {
            return Err(format!("tensor {name} has {count} dimensions"));
        }
        let dims = (0..count).map(|_| reader.size()).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { name, dims, kind: reader.u32()?, offset: reader.u64()? })
    }

    fn entry(mut self, start: u64, file: usize, metadata: &Metadata) -> Result<Entry, String> {
        let format = format(self.kind);
        self.dims.reverse();
        let count = checked_count(&self.dims);
        let row = self.dims.last().copied().unwrap_or(1);
        let length =
            count.filter(|_| row.is_multiple_of(format.group())).and_then(|count| format.bytes_of(count));
        let length = length.ok_or_else(|| {
            format!("tensor {}, {} {:?}, is no whole number of blocks", self.name, format.name(), self.dims)
        })?;
        let begin = start.checked_add(self.offset).and_then(|begin| usize::try_from(begin).ok());
        let range = begin.and_then(|begin| Some(begin..begin.checked_add(length)?));
        let range = range.filter(|range| range.end <= file);
        let range = range.ok_or_else(|| format!("cut short: tensor {} ends after the file", self.name))?;
        let shape = match metadata.shapes.get(&self.name) {
            Some(original) if checked_count(original) == count => original.clone(),
            Some(original) => {
                let dims = self.dims;
                return Err(format!("tensor {} is {dims:?}, but was {original:?}: not as many", self.name));
            }
            None => self.dims,
        };
        Ok(Entry { name: self.name, shape, format, range, strides: None })
    }
}

/// ggml's numbers for types; those that are not read are named, for messages.
fn format(kind: u32) -> Format {
    let other = |name: &str| Format::Other(name.into());
    match kind {
        0 => Format::F32,
        1 => Format::F16,
        2 => Format::Block(Block::Q4_0),
        3 => Format::Block(Block::Q4_1),
        6 => Format::Block(Block::Q5_0),
        7 => Format::Block(Block::Q5_1),
        8 => Format::Block(Block::Q8_0),
        10 => Format::Block(Block::Q2_K),
        11 => Format::Block(Block::Q3_K),
        12 => Format::Block(Block::Q4_K),
        13 => Format::Block(Block::Q5_K),
        14 => Format::Block(Block::Q6_K),
        28 => Format::F64,
        30 => Format::Bf16,
        9 => other("Q8_1"),
        15 => other("Q8_K"),
        16 => other("IQ2_XXS"),
        17 => other("IQ2_XS"),
        18 => other("IQ3_XXS"),
        19 => other("IQ1_S"),
        20 => other("IQ4_NL"),
        21 => other("IQ3_S"),
        22 => other("IQ2_S"),
        23 => other("IQ4_XS"),
        24 => other("I8"),
        25 => other("I16"),
        26 => other("I32"),
        27 => other("I64"),
        29 => other("IQ1_M"),
        34 => other("TQ1_0"),
        35 => other("TQ2_0"),
        39 => other("MXFP4"),
        _ => other(&format!("ggml type {kind}")),
    }
}

/// A metadata value, as far as it matters here.
enum Value {
    Number(i64),
    Numbers(Vec<i64>),
    Text(String),
    Other,
}

/// The header's bytes, read in order.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let rest = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        let chunk = *rest.ok_or("cut short in its GGUF header")?;
        self.at += N;
        Ok(chunk)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.take().map(u64::from_le_bytes)
    }

    fn size(&mut self) -> Result<usize, String> {
        usize::try_from(self.u64()?).map_err(|_| "a size beyond this machine's".into())
    }

    fn text(&mut self) -> Result<String, String> {
        let length = self.size()?;
        let end = self.at.checked_add(length).filter(|&end| end <= self.bytes.len());
        let text = self.at..end.ok_or("cut short in its GGUF header")?;
        self.at = text.end;
        Ok(String::from_utf8_lossy(&self.bytes[text]).into_owned())
    }

    fn value(&mut self) -> Result<Value, String> {
        let kind = self.u32()?;
        if kind != 9 {
            return self.scalar(kind);
        }
        let (kind, length) = (self.u32()?, self.u64()?);
        let mut numbers = Vec::new();
        for _ in 0..length {
            if let Value::Number(number) = self.scalar(kind)? {
                numbers.push(number);
            }
        }
        Ok(Value::Numbers(numbers))
    }

    fn scalar(&mut self, kind: u32) -> Result<Value, String> {
        Ok(match kind {
            0 | 7 => Value::Number(self.take::<1>()?[0].into()),
            1 => Value::Number(i8::from_le_bytes(self.take()?).into()),
            2 => Value::Number(u16::from_le_bytes(self.take()?).into()),
            3 => Value::Number(i16::from_le_bytes(self.take()?).into()),
            4 => Value::Number(self.u32()?.into()),
            5 => Value::Number(i32::from_le_bytes(self.take()?).into()),
            10 => Value::Number(i64::try_from(self.u64()?).unwrap_or(i64::MAX)),
            11 => Value::Number(i64::from_le_bytes(self.take()?)),
            6 => self.take::<4>().map(|_| Value::Other)?,
            12 => self.take::<8>().map(|_| Value::Other)?,
            8 => Value::Text(self.text()?),
            _ => return Err(format!("a GGUF value of type {kind}, which is not defined")),
        })
    }
}
