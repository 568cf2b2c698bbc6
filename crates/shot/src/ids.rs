//! Content ids: 32 hexadecimal characters, one type for each kind of thing.

use crate::frame::Frame;
use half::f16;
use lora_edit_store::Hasher;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A text that is no id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("'{0}' is no id (32 lower-case hexadecimal characters)")]
pub struct BadId(String);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes a text as an id if it is one.
            pub fn parse(text: &str) -> Result<Self, BadId> {
                if is_id(text) { Ok(Self(text.to_string())) } else { Err(BadId(text.to_string())) }
            }

            /// The 32 characters.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            pub(crate) fn of(hasher: &Hasher) -> Self {
                Self(hasher.finish())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadId;

            fn try_from(text: String) -> Result<Self, BadId> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

id!(
    /// A shot: its working source frames, masks, fit, range and colour.
    ShotId
);
id!(
    /// An edit: its key frames and the painted working frames.
    EditId
);
id!(
    /// An adapter: a shot, a base model and a recipe; not the edit.
    AdapterId
);
id!(
    /// A result: an adapter, an edit and sampling settings.
    ResultId
);
id!(
    /// A job: all its other fields.
    JobId
);

fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The half float that is stored for a value: brighter ones become the brightest, NaN becomes 0.
pub(crate) fn stored_half(value: f32) -> f16 {
    f16::from_f32(crate::colour::finite(value))
}

/// Adds a frame as it will be stored in half floats, so that the id computed before writing equals
/// the one computed after reading.
pub(crate) fn hash_frame(hasher: &mut Hasher, label: &str, frame: &Frame) {
    let halves = frame.data.iter().flat_map(|&value| stored_half(value).to_bits().to_le_bytes());
    hasher.number("width", frame.width as i64).number("channels", frame.channels as i64);
    hasher.field(label, halves.collect::<Vec<u8>>());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_are_ids() {
        let text = "0123456789abcdef0123456789abcdef";
        assert_eq!(ShotId::parse(text).unwrap().to_string(), text);
        for bad in ["", "0123", "0123456789ABCDEF0123456789abcdef", "../../etc/passwd-0123456789abcde"] {
            assert_eq!(JobId::parse(bad), Err(BadId(bad.to_string())));
        }
    }

    #[test]
    fn json_is_the_plain_text_and_is_checked() {
        let id = EditId::parse(&"a".repeat(32)).unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
        assert!(serde_json::from_str::<EditId>("\"nonsense\"").is_err());
    }
}
