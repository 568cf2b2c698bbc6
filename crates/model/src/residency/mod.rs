//! Where a transformer's blocks are while they are not being computed with.

use serde::{Deserialize, Serialize};

/// Where a transformer's blocks are while they are not being computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Residency {
    /// All in memory.
    #[default]
    Resident,
    /// In their file; the one that is computed with and the next are in memory.
    Streamed,
}

/// How a transformer trades time for memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// Where the blocks are.
    pub residency: Residency,
    /// Whether a training computes each block anew on the way back instead of keeping what is in it.
    pub recompute: bool,
}
