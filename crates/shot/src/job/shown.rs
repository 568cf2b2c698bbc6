//! How much of a clip the model is shown beside the noise: all of it, but for measuring what a part is worth.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The condition of training and generation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// First frame, surroundings and mask, as the method has it (METHOD.md section 1).
    #[default]
    Whole,
    /// The first frame alone, as plain image-to-video has it: all else is grey, and the mask says generate everywhere.
    FirstFrame,
    /// The surroundings and the mask alone: nothing tells how the edit looks.
    Surroundings,
}

impl Shown {
    /// Whether nothing is left out.
    pub fn is_whole(&self) -> bool {
        *self == Self::Whole
    }
}

/// A word that is none of them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("\"{0}\" is none of whole, first-frame and surroundings")]
pub struct NotShown(String);

impl std::str::FromStr for Shown {
    type Err = NotShown;

    fn from_str(word: &str) -> Result<Self, NotShown> {
        match word {
            "whole" => Ok(Self::Whole),
            "first-frame" => Ok(Self::FirstFrame),
            "surroundings" => Ok(Self::Surroundings),
            _ => Err(NotShown(word.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_in_files() {
        for shown in [Shown::Whole, Shown::FirstFrame, Shown::Surroundings] {
            let word = serde_json::to_value(shown).unwrap();
            assert_eq!(word.as_str().unwrap().parse(), Ok(shown));
        }
        assert_eq!(
            "all".parse::<Shown>().unwrap_err().to_string(),
            "\"all\" is none of whole, first-frame and surroundings"
        );
    }
}
