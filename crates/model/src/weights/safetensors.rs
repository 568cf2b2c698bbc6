//! Headers of safetensors files.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::format::Format;
use super::fp8::Float8;
use super::listing::{Entry, Listing, checked_count};

/// Headers above this size are taken for something else (the format's own limit).
const LARGEST_HEADER: usize = 100_000_000;

#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__", default)]
    metadata: BTreeMap<String, String>,
    #[serde(flatten)]
    tensors: BTreeMap<String, Tensor>,
}

#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

/// Reads the header; the reason where it is broken or the file is cut short.
pub(super) fn read(bytes: &[u8]) -> Result<Listing, String> {
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or("too short for a safetensors header")?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > LARGEST_HEADER || length > rest.len() {
        return Err("not a safetensors file, or cut short in its header".into());
    }
    let (header, data) = rest.split_at(length);
    let header: Header =
        serde_json::from_slice(header).map_err(|e| format!("broken safetensors header: {e}"))?;
    let cut = header.tensors.iter().filter(|(_, tensor)| tensor.data_offsets[1] > data.len());
    if let Some((name, tensor)) = cut.min_by_key(|(_, tensor)| tensor.data_offsets[1]) {
        let (there, end) = (data.len(), tensor.data_offsets[1]);
        return Err(format!("cut short: tensor {name} ends at byte {end} of the tensors, {there} are there"));
    }
    let start = length + 8;
    let entry = |(name, tensor)| entry(name, tensor, start);
    let entries = header.tensors.into_iter().map(entry).collect::<Result<_, _>>()?;
    Ok(Listing { entries, metadata: header.metadata })
}

fn entry(name: String, tensor: Tensor, start: usize) -> Result<Entry, String> {
    let [from, to] = tensor.data_offsets;
    let format = format(&tensor.dtype);
    let length = to.checked_sub(from).ok_or_else(|| format!("tensor {name} ends before it begins"))?;
    let count = checked_count(&tensor.shape).ok_or_else(|| format!("tensor {name} is beyond any size"))?;
    let expected = format.bytes_of(count);
    if format.is_known() && expected != Some(length) {
        let (shape, dtype) = (&tensor.shape, &tensor.dtype);
        return Err(format!("tensor {name}, {dtype} {shape:?}, cannot be {length} bytes"));
    }
    Ok(Entry { name, shape: tensor.shape, format, range: start + from..start + to, strides: None })
}

fn format(dtype: &str) -> Format {
    match dtype {
        "F64" => Format::F64,
        "F32" => Format::F32,
        "F16" => Format::F16,
        "BF16" => Format::Bf16,
        "F8_E4M3" => Format::F8(Float8::E4m3),
        "F8_E5M2" => Format::F8(Float8::E5m2),
        other => Format::Other(other.into()),
    }
}
