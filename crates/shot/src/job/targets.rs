//! Which layers of a network's blocks an adapter is trained on.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The kinds of linear layers in a block, by the names that Wan's own weights have for them.
const PARTS: [&str; 3] = ["self_attn", "cross_attn", "ffn"];

/// Some of `self_attn`, `cross_attn` and `ffn`, at least one; written as a list with commas, always in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Targets([bool; PARTS.len()]);

/// A list of layers that is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("'{0}' names no layers to adapt: a list of {parts} with commas", parts = PARTS.join(", "))]
pub struct NoTargets(String);

impl Targets {
    /// All ten linear layers of each block, as published.
    pub const ALL: Self = Self([true; PARTS.len()]);

    /// The parts, in the order of a block.
    pub fn parts(&self) -> impl Iterator<Item = &'static str> {
        PARTS.into_iter().zip(self.0).filter_map(|(part, adapted)| adapted.then_some(part))
    }

    /// Whether the layer of this path within a block, such as `self_attn.q`, is adapted.
    pub fn adapt(&self, layer: &str) -> bool {
        let of = layer.split_once('.').map(|(part, _)| part);
        self.parts().any(|part| of == Some(part))
    }

    pub(super) fn are_all(&self) -> bool {
        *self == Self::ALL
    }
}

impl Default for Targets {
    fn default() -> Self {
        Self::ALL
    }
}

impl FromStr for Targets {
    type Err = NoTargets;

    fn from_str(list: &str) -> Result<Self, NoTargets> {
        let words: Vec<&str> = list.split(',').map(str::trim).collect();
        if words.iter().any(|word| !PARTS.contains(word)) {
            return Err(NoTargets(list.to_owned()));
        }
        Ok(Self(PARTS.map(|part| words.contains(&part))))
    }
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts().collect::<Vec<_>>().join(","))
    }
}

impl TryFrom<String> for Targets {
    type Error = NoTargets;

    fn try_from(list: String) -> Result<Self, NoTargets> {
        list.parse()
    }
}

impl From<Targets> for String {
    fn from(targets: Targets) -> Self {
        targets.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_in_any_order_and_is_written_in_one() {
        let targets: Targets = " ffn, self_attn".parse().unwrap();
        assert_eq!(targets.to_string(), "self_attn,ffn");
        assert!(targets.adapt("ffn.2") && targets.adapt("self_attn.o"));
        assert!(!targets.adapt("cross_attn.q") && !targets.adapt("ffn") && !targets.adapt("ffn_norm.0"));
        assert_eq!("self_attn,cross_attn,ffn".parse(), Ok(Targets::ALL));
    }

    #[test]
    fn other_words_are_refused_with_what_there_is() {
        for list in ["", "self_attn,", "attn", "self_attn.q", "self_attn;ffn"] {
            let error = list.parse::<Targets>().unwrap_err().to_string();
            assert!(error.contains(list) && error.contains("self_attn, cross_attn, ffn"), "{error}");
        }
    }
}
