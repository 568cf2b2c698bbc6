//! Safetensors files with metadata, written whole or not at all.
//!
//! The crate `safetensors` reads; writing is done here, tensor by tensor, since that crate's writer keeps the metadata
//! in a hash map, whose order differs from run to run, while equal adapters are to be equal files.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::{Dtype, View};
use serde::{Deserialize, Serialize};

use crate::error::{AdaptError, Result};

/// What a file holds besides tensors.
pub(crate) type Metadata = BTreeMap<String, String>;

/// Headers of real files are below this; a longer one is another kind of file.
const LONGEST_HEADER: u64 = 100 << 20;

/// The header's length is a multiple of this, filled up with spaces, so that the numbers behind it are aligned.
const ALIGNMENT: usize = 8;

/// What the header says of one tensor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    data_offsets: (usize, usize),
}

/// The JSON at the head of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Header {
    #[serde(rename = "__metadata__", default)]
    pub metadata: Metadata,
    #[serde(flatten)]
    pub tensors: BTreeMap<String, Entry>,
}

/// Writes beside `path` under a temporary name and renames, so that no reader ever sees half a file. Equal contents
/// give equal bytes; at most one tensor is copied at a time.
pub(crate) fn write(path: &Path, mut tensors: Vec<(String, Tensor)>, metadata: Metadata) -> Result<()> {
    // Wide numbers first: each tensor is then aligned to its own.
    tensors.sort_by(|(a, x), (b, y)| {
        (Reverse(x.dtype().size_in_bytes()), a).cmp(&(Reverse(y.dtype().size_in_bytes()), b))
    });
    let header = header(&tensors, metadata).map_err(|e| AdaptError::bad_file(path, e))?;
    write_whole(path, &header, &tensors)
        .map_err(|source| AdaptError::Unwritable { path: path.into(), source })
}

fn header(tensors: &[(String, Tensor)], metadata: Metadata) -> serde_json::Result<Vec<u8>> {
    let mut end = 0;
    let mut entry = |tensor: &Tensor| {
        let begin = end;
        end += View::data_len(tensor);
        Entry { dtype: View::dtype(tensor), shape: tensor.dims().to_vec(), data_offsets: (begin, end) }
    };
    let entries = tensors.iter().map(|(name, tensor)| (name.clone(), entry(tensor))).collect();
    let mut text = serde_json::to_vec(&Header { metadata, tensors: entries })?;
    text.resize(text.len().next_multiple_of(ALIGNMENT), b' ');
    Ok(text)
}

fn write_whole(path: &Path, header: &[u8], tensors: &[(String, Tensor)]) -> io::Result<()> {
    let temporary = temporary_beside(path)?;
    let mut file = BufWriter::with_capacity(1 << 20, temporary.as_file());
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header)?;
    tensors.iter().try_for_each(|(_, tensor)| file.write_all(&tensor.data()))?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    temporary.persist(path)?;
    Ok(())
}

/// Readable by all that the folder's owner lets in: caches are shared between artists and farm nodes.
fn temporary_beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let prefix = temporary_prefix(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(TEMPORARY);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder_of(path))
}

const TEMPORARY: &str = ".tmp";

fn temporary_prefix(path: &Path) -> String {
    format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes what writers of `path` left behind that were killed at it. For whoever alone may write `path`.
pub(crate) fn remove_leftovers(path: &Path) {
    let prefix = temporary_prefix(path);
    for entry in std::fs::read_dir(folder_of(path)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(&prefix)
            && name.ends_with(TEMPORARY)
            && let Err(error) = std::fs::remove_file(entry.path())
        {
            log::warn!("{}: {error}", entry.path().display());
        }
    }
}

/// All tensors of the file, on the CPU, and its metadata.
pub(crate) fn read(path: &Path) -> Result<(HashMap<String, Tensor>, Metadata)> {
    let metadata = read_header(path)?.metadata;
    let bytes = std::fs::read(path).map_err(|source| AdaptError::Unreadable { path: path.into(), source })?;
    let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu);
    Ok((tensors.map_err(|e| AdaptError::bad_file(path, e))?, metadata))
}

/// What the file holds, without reading the tensors.
pub(crate) fn read_header(path: &Path) -> Result<Header> {
    let header = header_bytes(path).map_err(|source| match source.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
            AdaptError::bad_file(path, "not a safetensors file, or cut short")
        }
        _ => AdaptError::Unreadable { path: path.into(), source },
    })?;
    serde_json::from_slice(&header).map_err(|e| AdaptError::bad_file(path, format!("broken header: {e}")))
}

/// Whether the file is as long as its header says.
pub(crate) fn check_length(path: &Path, header: &Header) -> Result<()> {
    let numbers = header.tensors.values().map(|entry| entry.data_offsets.1 as u64).max().unwrap_or_default();
    let measured =
        File::open(path).and_then(|mut file| Ok((length_of_header(&mut file)?, file.metadata()?.len())));
    let (text, length) = measured.map_err(|source| AdaptError::Unreadable { path: path.into(), source })?;
    match 8 + text + numbers {
        expected if expected == length => Ok(()),
        expected => Err(AdaptError::bad_file(path, format!("{length} bytes long instead of {expected}"))),
    }
}

/// The JSON at the head of the file: eight bytes of length, then the text.
fn header_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = length_of_header(&mut file)?;
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header)?;
    Ok(header)
}

fn length_of_header(file: &mut File) -> io::Result<u64> {
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_HEADER { Err(io::ErrorKind::InvalidData.into()) } else { Ok(length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors() -> Vec<(String, Tensor)> {
        let f32s = Tensor::new(&[[1.5f32, -2.0, 0.25]], &Device::Cpu).unwrap();
        let bf16s = Tensor::new(&[1f32, 3.0, -7.0], &Device::Cpu)
            .unwrap()
            .to_dtype(candle_core::DType::BF16)
            .unwrap();
        vec![("a".into(), bf16s), ("z".into(), f32s.clone()), ("b".into(), f32s.narrow(1, 1, 1).unwrap())]
    }

    fn metadata() -> Metadata {
        (0..20).map(|i| (format!("key {i}"), format!("\"{i}\"\n"))).collect()
    }

    #[test]
    fn the_crate_safetensors_reads_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.safetensors");
        write(&path, tensors(), metadata()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let (header, found) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(header % ALIGNMENT, 0);
        let found: Metadata = found.metadata().clone().unwrap().into_iter().collect();
        assert_eq!(found, metadata());
        let (read, again) = read(&path).unwrap();
        assert_eq!(again, metadata());
        for (name, tensor) in tensors() {
            assert_eq!((read[&name].dtype(), read[&name].dims()), (tensor.dtype(), tensor.dims()), "{name}");
            assert_eq!(View::data(&read[&name]), View::data(&tensor), "{name}");
        }
    }

    #[test]
    fn equal_contents_are_equal_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
        write(&one, tensors(), metadata()).unwrap();
        write(&two, tensors().into_iter().rev().collect(), metadata()).unwrap();
        assert_eq!(std::fs::read(one).unwrap(), std::fs::read(two).unwrap());
    }

    #[test]
    fn only_ones_own_leftovers_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let kept = temporary_beside(&folder.path().join("b.safetensors")).unwrap();
        let (_file, left) = temporary_beside(&path).unwrap().keep().unwrap();
        write(&path, tensors(), metadata()).unwrap();
        remove_leftovers(&path);
        assert!(!left.exists() && kept.path().exists() && path.exists());
    }
}
