//! Headers of `.pth` files: a zip archive of storages and of a pickle that says which tensors lie in them.

use std::collections::{BTreeMap, HashMap};
use std::io::Cursor;
use std::ops::Range;
use std::rc::Rc;

use zip::{CompressionMethod, ZipArchive};

use super::format::Format;
use super::fp8::Float8;
use super::listing::{Entry, Listing, checked_count};
use super::pickle::{self, Pickle, TensorAt, Value};

/// What every zip archive begins with.
pub(super) const MAGIC: [u8; 4] = *b"PK\x03\x04";

/// Records by name, without the folder that torch puts them in: where each lies in the file.
type Records = HashMap<String, Range<usize>>;

/// Reads the tables; the reason where one is broken, cut short or asks for anything but tensors.
pub(super) fn read(bytes: &[u8]) -> Result<Listing, String> {
    let records = records(bytes)?;
    let record = |name: &str| records.get(name).map(|range| &bytes[range.clone()]);
    if record("byteorder").is_some_and(|order| order == b"big") {
        return Err("saved on a big-endian machine, which is not supported".into());
    }
    let program = record("data.pkl").ok_or("no data.pkl in it: not saved by torch.save")?;
    let entries = state_dict(&pickle::read(program)?)?.into_iter().map(|(name, tensor)| {
        entry(&name, &tensor, &records).map_err(|reason| format!("tensor {name}: {reason}"))
    });
    Ok(Listing { entries: entries.collect::<Result<_, _>>()?, metadata: BTreeMap::new() })
}

fn records(bytes: &[u8]) -> Result<Records, String> {
    let broken = |e| format!("broken or cut short: {e}");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    let mut records = Records::new();
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(broken)?;
        let name = file.name().map_err(broken)?;
        let name = name.split_once('/').map_or(&*name, |(_, name)| name).to_owned();
        if file.compression() != CompressionMethod::Stored {
            return Err(format!("{name} is compressed, which torch never does"));
        }
        let (start, size) = (file.data_start().unwrap_or(u64::MAX), file.size());
        let end = start.checked_add(size).filter(|&end| end <= bytes.len() as u64);
        let end = end.ok_or_else(|| format!("cut short in {name}"))?;
        records.insert(name, start as usize..end as usize);
    }
    Ok(records)
}

type StateDict = Vec<(String, Rc<TensorAt>)>;

/// The tensors of a saved dict, or of the one dict of tensors in it.
fn state_dict(made: &Pickle) -> Result<StateDict, String> {
    let saved = made.result.as_ref().and_then(|value| Some((value, made.items(value)?)));
    let (saved, items) = saved.ok_or("it holds no dict of tensors")?;
    let own = tensors_in(made, saved);
    if !own.is_empty() {
        return Ok(own);
    }
    let mut inner: Vec<_> = items.map(|(_, value)| tensors_in(made, value)).collect();
    inner.retain(|tensors| !tensors.is_empty());
    match inner.len() {
        1 => Ok(inner.remove(0)),
        0 => Err("it holds no tensors".into()),
        many => Err(format!("it holds {many} dicts of tensors; which one is meant cannot be told")),
    }
}

fn tensors_in(made: &Pickle, value: &Value) -> StateDict {
    let tensor = |(key, value): (&Value, &Value)| match (key, value) {
        (Value::Text(name), Value::Tensor(tensor)) => Some((name.to_string(), tensor.clone())),
        _ => None,
    };
    made.items(value).into_iter().flatten().filter_map(tensor).collect()
}

fn entry(name: &str, tensor: &TensorAt, records: &Records) -> Result<Entry, String> {
    let storage = &tensor.storage;
    let (format, untyped) = match &tensor.dtype {
        Some(dtype) => (format_of_dtype(dtype), true),
        None => (format_of_storage(&storage.class), false),
    };
    let record = records.get(&format!("data/{}", storage.key)).ok_or("its storage is not in the archive")?;
    let count = checked_count(&tensor.shape).ok_or("a size beyond this machine's")?;
    let strides = (!is_contiguous(tensor)).then(|| tensor.strides.clone());
    if !format.is_known() {
        return Ok(Entry {
            name: name.into(),
            shape: tensor.shape.clone(),
            format,
            range: record.clone(),
            strides,
        });
    }
    let width = format.group_bytes();
    let unit = if untyped { 1 } else { width };
    let spanned = if count == 0 { Some(0) } else { spanned(tensor) };
    let length = spanned.and_then(|numbers| numbers.checked_mul(width));
    let start = tensor.offset.checked_mul(unit).and_then(|offset| record.start.checked_add(offset));
    let range = start.zip(length).and_then(|(start, length)| Some(start..start.checked_add(length)?));
    let range = range.filter(|range| range.end <= record.end);
    let range = range.ok_or_else(|| format!("it ends after its storage of {} numbers", storage.size))?;
    Ok(Entry { name: name.into(), shape: tensor.shape.clone(), format, range, strides })
}

/// Numbers from the first to the last of a tensor, both counted.
fn spanned(tensor: &TensorAt) -> Option<usize> {
    let steps = tensor.shape.iter().zip(&tensor.strides);
    let mut last = steps.map(|(size, stride)| (size - 1).checked_mul(*stride));
    last.try_fold(1, |sum: usize, step| sum.checked_add(step?))
}

fn is_contiguous(tensor: &TensorAt) -> bool {
    let mut step = 1usize;
    for (&size, &stride) in tensor.shape.iter().zip(&tensor.strides).rev() {
        if size != 1 && stride != step {
            return false;
        }
        step = step.saturating_mul(size);
    }
    true
}

fn format_of_dtype(dtype: &str) -> Format {
    match dtype {
        "torch.float64" => Format::F64,
        "torch.float32" => Format::F32,
        "torch.float16" => Format::F16,
        "torch.bfloat16" => Format::Bf16,
        "torch.float8_e4m3fn" => Format::F8(Float8::E4m3),
        "torch.float8_e5m2" => Format::F8(Float8::E5m2),
        other => Format::Other(other.trim_start_matches("torch.").into()),
    }
}

fn format_of_storage(class: &str) -> Format {
    match class.trim_start_matches("torch.").trim_end_matches("Storage") {
        "Double" => Format::F64,
        "Float" => Format::F32,
        "Half" => Format::F16,
        "BFloat16" => Format::Bf16,
        other => Format::Other(other.to_lowercase().into()),
    }
}
