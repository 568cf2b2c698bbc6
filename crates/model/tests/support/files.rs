//! Weight files made by the tests themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A tensor to be written: dtype as safetensors spells it, shape, bytes.
pub struct Part {
    name: String,
    dtype: &'static str,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

pub fn part(name: &str, dtype: &'static str, shape: &[usize], bytes: Vec<u8>) -> Part {
    Part { name: name.into(), dtype, shape: shape.to_vec(), bytes }
}

/// f32 numbers.
pub fn floats(name: &str, shape: &[usize], values: &[f32]) -> Part {
    part(name, "F32", shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

/// Zeros of any dtype that is `width` bytes wide.
pub fn zeros(name: &str, dtype: &'static str, width: usize, shape: &[usize]) -> Part {
    part(name, dtype, shape, vec![0; width * shape.iter().product::<usize>()])
}

/// Writes a safetensors file by hand: the crate's writer knows fewer types than people's files hold.
pub fn write_safetensors(path: &Path, parts: &[Part], metadata: &[(&str, &str)]) {
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        let metadata: BTreeMap<_, _> = metadata.iter().copied().collect();
        header.insert("__metadata__".into(), serde_json::json!(metadata));
    }
    let mut data = Vec::new();
    for part in parts {
        let offsets = [data.len(), data.len() + part.bytes.len()];
        let info = serde_json::json!({"dtype": part.dtype, "shape": part.shape, "data_offsets": offsets});
        header.insert(part.name.clone(), info);
        data.extend_from_slice(&part.bytes);
    }
    let header = serde_json::to_vec(&header).unwrap();
    let length = (header.len() as u64).to_le_bytes();
    std::fs::write(path, [&length[..], &header, &data].concat()).unwrap();
}

/// Writes a safetensors file of zeros with the given shapes; the zeros take no room on disk.
pub fn sparse(path: &Path, dtype: &str, width: usize, tensors: &[(String, Vec<usize>)]) {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, shape) in tensors {
        let offsets = [end, end + width * shape.iter().product::<usize>()];
        end = offsets[1];
        header.insert(
            name.clone(),
            serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": offsets}),
        );
    }
    let header = serde_json::to_vec(&header).unwrap();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, [&(header.len() as u64).to_le_bytes()[..], &header].concat()).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len((8 + header.len() + end) as u64).unwrap();
}

/// A tensor to be written to a GGUF file: its shape slowest axis first, ggml's number of its type, bytes.
pub struct Gguf {
    pub name: String,
    pub shape: Vec<usize>,
    pub kind: u32,
    pub bytes: Vec<u8>,
}

impl Gguf {
    pub fn floats(name: &str, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { name: name.into(), shape: shape.to_vec(), kind: 0, bytes }
    }
}

/// Writes a GGUF file, version 3, without metadata.
pub fn write_gguf(path: &Path, tensors: &[Gguf]) {
    let mut file = [&b"GGUF"[..], &3u32.to_le_bytes()].concat();
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend(0u64.to_le_bytes());
    let mut data = Vec::new();
    for tensor in tensors {
        file.extend((tensor.name.len() as u64).to_le_bytes());
        file.extend(tensor.name.as_bytes());
        file.extend((tensor.shape.len() as u32).to_le_bytes());
        tensor.shape.iter().rev().for_each(|&size| file.extend((size as u64).to_le_bytes()));
        file.extend(tensor.kind.to_le_bytes());
        file.extend((data.len() as u64).to_le_bytes());
        data.extend_from_slice(&tensor.bytes);
        data.resize(data.len().next_multiple_of(32), 0);
    }
    file.resize(file.len().next_multiple_of(32), 0);
    // Nothing is after the last tensor: a file that is cut by a byte is cut in it.
    let spare = tensors.last().map_or(0, |last| last.bytes.len().next_multiple_of(32) - last.bytes.len());
    file.extend_from_slice(&data[..data.len() - spare]);
    std::fs::write(path, file).unwrap();
}

/// A committed file that another program's writer made (`fixtures/make_files.py`).
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// llama.cpp's names for T5, from the official ones.
pub fn umt5_gguf_name(official: &str) -> String {
    let pairs = [
        ("token_embedding", "token_embd"),
        ("blocks", "enc.blk"),
        ("pos_embedding.embedding", "attn_rel_b"),
        ("norm1", "attn_norm"),
        ("norm2", "ffn_norm"),
        ("attn.", "attn_"),
        ("ffn.gate.0", "ffn_gate"),
        ("ffn.fc1", "ffn_up"),
        ("ffn.fc2", "ffn_down"),
    ];
    let name = pairs.iter().fold(official.to_owned(), |name, (from, to)| name.replace(from, to));
    if name == "norm.weight" { "enc.output_norm.weight".into() } else { name }
}
