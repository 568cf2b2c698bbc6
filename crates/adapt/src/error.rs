//! What can go wrong with an adapter, its file or its training.

use std::path::{Path, PathBuf};

/// Why an adapter could not be made, trained, read or written.
#[derive(Debug, thiserror::Error)]
pub enum AdaptError {
    /// A recipe that cannot be followed.
    #[error("recipe: {0}")]
    Recipe(String),
    /// A file could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that is no adapter or no checkpoint, or a broken one.
    #[error("{}: {reason}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The base has no layer, or no tensor, of this path.
    #[error("adapter does not fit the base: no layer {layer} in it")]
    NoLayer {
        /// Official path, such as `blocks.0.self_attn.q`.
        layer: String,
    },
    /// The base's layer or tensor has other sizes.
    #[error("adapter does not fit the base: {layer} is {found:?} in the adapter, {expected:?} in the base")]
    OtherSizes {
        /// Official path of the layer.
        layer: String,
        /// Its shape in the adapter, [out, in] of a pair.
        found: Vec<usize>,
        /// Its shape in the base.
        expected: Vec<usize>,
    },
    /// The loss or the gradient became infinite or not a number.
    #[error("step {step}: the {what} is not finite (a smaller learning rate may help)")]
    NotFinite {
        /// Counted from 1.
        step: usize,
        /// `loss` or `gradient`.
        what: &'static str,
    },
    /// The backward pass did not reach a tensor that is to be trained.
    #[error("no gradient reached {0}: is the adapter attached?")]
    NoGradient(String),
    /// Tensor arithmetic failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl AdaptError {
    pub(crate) fn bad_file(path: &Path, reason: impl ToString) -> Self {
        Self::BadFile { path: path.to_owned(), reason: reason.to_string() }
    }
}

/// What this crate's functions give.
pub type Result<T> = std::result::Result<T, AdaptError>;
