//! Sharded safetensors files of made-up numbers, written as they are made: no tensor is ever whole in memory.

use std::fs::{self, File};
use std::io::{BufWriter, Seek, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::shapes::Named;

/// Most bytes of a shard, as in published files.
const SHARD: u64 = 5_000_000_000;
/// Bytes of a bf16 number.
const NUMBER: u64 = 2;

/// Writes `tensors` to `folder` in shards with an index, or to one file where they fit in one. `hollow` files have the true
/// headers and lengths, but their numbers are zeros that take no room on disk.
pub fn write(folder: &Path, stem: &str, tensors: &[Named], hollow: bool) -> Result<u64> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let shards = shards(tensors);
    let name = |i: usize| match shards.len() {
        1 => format!("{stem}.safetensors"),
        count => format!("{stem}-{:05}-of-{count:05}.safetensors", i + 1),
    };
    let mut places = Map::new();
    for (i, shard) in shards.iter().enumerate() {
        write_shard(&folder.join(name(i)), shard, hollow).with_context(|| name(i))?;
        places.extend(shard.iter().map(|(tensor, _)| (tensor.clone(), Value::from(name(i)))));
    }
    let total: u64 = tensors.iter().map(bytes).sum();
    if shards.len() > 1 {
        let index = json!({ "metadata": { "total_size": total }, "weight_map": places });
        fs::write(folder.join(format!("{stem}.safetensors.index.json")), serde_json::to_vec_pretty(&index)?)?;
    }
    Ok(total)
}

fn bytes((_, shape): &Named) -> u64 {
    NUMBER * shape.iter().product::<usize>() as u64
}

/// Cut between tensors where the next would make a shard too long.
fn shards(tensors: &[Named]) -> Vec<&[Named]> {
    let (mut cuts, mut length) = (vec![0], 0);
    for (i, tensor) in tensors.iter().enumerate() {
        if length > 0 && length + bytes(tensor) > SHARD {
            cuts.push(i);
            length = 0;
        }
        length += bytes(tensor);
    }
    cuts.push(tensors.len());
    cuts.windows(2).map(|cut| &tensors[cut[0]..cut[1]]).collect()
}

fn write_shard(path: &Path, tensors: &[Named], hollow: bool) -> Result<()> {
    let (mut header, mut end) = (Map::new(), 0);
    for tensor in tensors {
        let offsets = [end, end + bytes(tensor)];
        header
            .insert(tensor.0.clone(), json!({ "dtype": "BF16", "shape": tensor.1, "data_offsets": offsets }));
        end = offsets[1];
    }
    let header = serde_json::to_vec(&header)?;
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    if hollow {
        let length = file.stream_position()? + end;
        file.into_inner()?.set_len(length)?;
        return Ok(());
    }
    for (name, shape) in tensors {
        write_numbers(&mut file, name, shape)?;
    }
    Ok(file.flush()?)
}

/// Even numbers of the deviation that keeps a network's states finite: 1 / root of the inputs; norms and gains are one.
fn write_numbers(file: &mut impl Write, name: &str, shape: &[usize]) -> Result<()> {
    let count: usize = shape.iter().product();
    let inputs = shape.iter().skip(1).product::<usize>().max(1) as f32;
    let is_gain = name.ends_with("gamma") || (name.contains("norm") && name.ends_with("weight"));
    let (middle, reach) = if is_gain { (1.0, 0.0) } else { (0.0, (3.0 / inputs).sqrt()) };
    // FNV-1a: each tensor gets numbers of its own.
    let hash = |h: u64, byte: u8| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let mut state = name.bytes().fold(0xcbf2_9ce4_8422_2325, hash) | 1;
    for _ in 0..count {
        // xorshift64 (Marsaglia 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let even = (state >> 40) as f32 / (1 << 23) as f32 - 1.0;
        let number = middle + reach * even;
        file.write_all(&((number.to_bits() >> 16) as u16).to_le_bytes())?;
    }
    Ok(())
}
