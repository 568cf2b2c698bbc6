//! The character replacements of a SentencePiece model.

use crate::protobuf::take;

/// The normalisation's replacements: a trie of what is replaced, as Darts' double array, and the replacements, each
/// ended by a zero byte (`Normalizer` of SentencePiece).
pub(crate) struct Charsmap {
    trie: Vec<u32>,
    replacements: String,
}

impl Charsmap {
    /// Reads a `precompiled_charsmap`.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let broken = || "the model's normalisation is broken".to_owned();
        let mut rest = bytes;
        let size = take(&mut rest, 4).and_then(|size| size.try_into().ok()).map(u32::from_le_bytes);
        let trie = size.and_then(|size| take(&mut rest, size as usize)).ok_or_else(broken)?;
        let trie = trie.chunks_exact(4).map(|unit| u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]]));
        let replacements = String::from_utf8(rest.to_vec()).map_err(|_| broken())?;
        Ok(Self { trie: trie.collect(), replacements })
    }

    /// The text with all replacements made, at each place the longest there is.
    pub fn apply(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let found = self.longest(rest.as_bytes()).filter(|&(length, _)| rest.is_char_boundary(length));
            let (length, replacement) = found.unwrap_or((first.len_utf8(), &rest[..first.len_utf8()]));
            out.push_str(replacement);
            rest = &rest[length..];
        }
        out
    }

    /// The length of the longest beginning of `text` that is replaced, and its replacement.
    fn longest(&self, text: &[u8]) -> Option<(usize, &str)> {
        let mut found = None;
        let mut node = offset(*self.trie.first()?);
        for (i, &byte) in text.iter().enumerate() {
            node ^= byte as usize;
            let Some(&unit) = self.trie.get(node) else { break };
            if unit & (1 << 31 | 0xff) != u32::from(byte) {
                break;
            }
            node ^= offset(unit);
            if unit & (1 << 8) != 0 {
                found = self.trie.get(node).map(|leaf| (i + 1, leaf & !(1 << 31)));
            }
        }
        let (length, at) = found?;
        Some((length, self.replacements.get(at as usize..)?.split('\0').next()?))
    }
}

/// Where a unit's children begin, relative to the unit.
fn offset(unit: u32) -> usize {
    ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize
}
