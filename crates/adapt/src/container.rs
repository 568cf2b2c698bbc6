//! Safetensors files with metadata, written whole or not at all.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use candle_core::{Device, Tensor};

use crate::error::{AdaptError, Result};

/// What a file holds besides tensors.
pub(crate) type Metadata = HashMap<String, String>;

/// Headers of real files are below this; a longer one is another kind of file.
const LONGEST_HEADER: u64 = 100 << 20;

/// Writes beside `path` under a temporary name and renames, so that no reader ever sees half a file.
pub(crate) fn write(path: &Path, tensors: Vec<(String, Tensor)>, metadata: Metadata) -> Result<()> {
    let bytes = safetensors::serialize(tensors, Some(metadata)).map_err(|e| AdaptError::bad_file(path, e))?;
    write_whole(path, &bytes).map_err(|source| AdaptError::Unwritable { path: path.into(), source })
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = temporary_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Readable by all that the folder's owner lets in: caches are shared between artists and farm nodes.
fn temporary_in(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// All tensors of the file, on the CPU, and its metadata.
pub(crate) fn read(path: &Path) -> Result<(HashMap<String, Tensor>, Metadata)> {
    let metadata = read_metadata(path)?;
    let bytes = std::fs::read(path).map_err(|source| AdaptError::Unreadable { path: path.into(), source })?;
    let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu);
    Ok((tensors.map_err(|e| AdaptError::bad_file(path, e))?, metadata))
}

/// The metadata alone, without reading the tensors.
pub(crate) fn read_metadata(path: &Path) -> Result<Metadata> {
    let header = read_header(path).map_err(|source| match source.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
            AdaptError::bad_file(path, "not a safetensors file, or cut short")
        }
        _ => AdaptError::Unreadable { path: path.into(), source },
    })?;
    let header: Header = serde_json::from_slice(&header).map_err(|e| AdaptError::bad_file(path, e))?;
    Ok(header.metadata)
}

#[derive(serde::Deserialize)]
struct Header {
    #[serde(rename = "__metadata__", default)]
    metadata: Metadata,
}

/// The JSON at the head of the file: eight bytes of length, then the text.
fn read_header(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_HEADER {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header)?;
    Ok(header)
}
