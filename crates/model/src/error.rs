//! What can be wrong with a model's files.

use std::path::PathBuf;

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file or folder could not be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder without weights.
    #[error("{}: no .safetensors file, nor .gguf, nor .pth", path.display())]
    NoWeights {
        /// The folder.
        path: PathBuf,
    },
    /// A weights file that is broken or of a type that cannot be read.
    #[error("{file}: {reason}")]
    BadWeights {
        /// The file, or the name given to tensors held in memory.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A `config.json` that is broken or describes a network that is not supported.
    #[error("{}: {reason}", path.display())]
    BadConfig {
        /// The configuration file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor that the network needs and the files lack.
    #[error("{file}: no tensor {name}")]
    MissingTensor {
        /// The official name of the tensor.
        name: String,
        /// The file or folder searched.
        file: String,
    },
    /// A tensor of another shape than the configuration says.
    #[error("{file}: tensor {name} is {found:?}, expected {expected:?}")]
    WrongShape {
        /// The official name of the tensor.
        name: String,
        /// The file that holds it.
        file: String,
        /// The shape in the file.
        found: Vec<usize>,
        /// The shape the network needs.
        expected: Vec<usize>,
    },
    /// Tensor arithmetic failed while the network was put together.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl ModelError {
    /// A configuration error at `path`.
    pub(crate) fn config(path: &std::path::Path, reason: impl ToString) -> Self {
        Self::BadConfig { path: path.to_owned(), reason: reason.to_string() }
    }

    /// A weights error in `file`.
    pub(crate) fn weights(file: &str, reason: impl ToString) -> Self {
        Self::BadWeights { file: file.to_owned(), reason: reason.to_string() }
    }

    /// Something wrong with one tensor in `file`.
    pub(crate) fn tensor(file: &str, name: &str, reason: impl std::fmt::Display) -> Self {
        Self::BadWeights { file: file.to_owned(), reason: format!("tensor {name}: {reason}") }
    }
}

/// What loading a model gives: [`candle_core::Result`] is for the arithmetic.
pub type Loaded<T> = Result<T, ModelError>;
