//! What a weights file or folder is, told by its headers alone.

mod expected;
mod kinds;

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::Loaded;
use crate::weights::{TensorInfo, Weights};
pub use kinds::{Expert, Network, Variant};

/// One network found in a file or folder.
#[derive(Clone, Debug)]
pub struct Found {
    /// Which network it is.
    pub network: Network,
    /// Number formats with the bytes kept in each, most first.
    pub formats: Vec<(String, u64)>,
    /// How many numbers it has.
    pub parameters: u64,
    /// How many tensors it has.
    pub tensors: usize,
    /// Bytes of all tensors in the file.
    pub bytes: u64,
    /// Official names of tensors that such a network has and this one lacks.
    pub missing: Vec<String>,
    /// Tensors that cannot be read, with the reason.
    pub unreadable: Vec<String>,
}

impl Found {
    /// Whether it can be used as it is.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unreadable.is_empty() && self.network != Network::Unknown
    }
}

/// Says what networks a file or folder holds: mostly one, several in all-in-one checkpoints. Reads headers only.
///
/// # Errors
/// As [`Weights::open`].
pub fn detect(path: &Path) -> Loaded<Vec<Found>> {
    Ok(detect_weights(&Weights::open(path)?, path))
}

/// As [`detect`], for weights that are open; `path` tells the expert, which tensors do not, and where a
/// `config.json` may lie.
pub fn detect_weights(weights: &Weights, path: &Path) -> Vec<Found> {
    let networks = kinds::networks_in(weights, path);
    let owner = |name: &str| match networks.as_slice() {
        [_] => 0,
        several => several.iter().position(|network| network.owns(name)).unwrap_or(0),
    };
    let mut parts: Vec<Vec<TensorInfo<'_>>> = networks.iter().map(|_| Vec::new()).collect();
    for tensor in weights.tensors() {
        parts[owner(tensor.name)].push(tensor);
    }
    networks.iter().zip(parts).map(|(network, tensors)| found(*network, &tensors, weights, path)).collect()
}

fn found(network: Network, tensors: &[TensorInfo<'_>], weights: &Weights, path: &Path) -> Found {
    let mut formats: BTreeMap<&str, u64> = BTreeMap::new();
    for tensor in tensors {
        *formats.entry(&tensor.format).or_default() += tensor.bytes;
    }
    let mut formats: Vec<_> = formats.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
    formats.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    // Tables of numbers that are no weights (position ids, a tokeniser's model) are not asked for by any network.
    let is_weight = |tensor: &&TensorInfo<'_>| tensor.name.ends_with(".weight") && tensor.shape.len() > 1;
    let reason = |tensor: &TensorInfo<'_>| Some(format!("{}: {}", tensor.name, tensor.unreadable.as_ref()?));
    Found {
        network,
        formats,
        parameters: tensors.iter().map(|tensor| tensor.shape.iter().product::<usize>() as u64).sum(),
        tensors: tensors.len(),
        bytes: tensors.iter().map(|tensor| tensor.bytes).sum(),
        missing: expected::missing(network, weights, tensors, path),
        unreadable: tensors.iter().filter(is_weight).filter_map(reason).collect(),
    }
}
