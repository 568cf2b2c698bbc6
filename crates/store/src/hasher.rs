//! Content hashes over labelled fields, as short hexadecimal names.

/// Hashes labelled fields so that two different lists of fields never hash alike: the length of
/// every label and value is part of the hash.
#[derive(Debug, Clone)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Starts a hash. `domain` keeps hashes of different kinds of things apart.
    pub fn new(domain: &str) -> Self {
        let mut hasher = Self(blake3::Hasher::new());
        hasher.framed(domain.as_bytes());
        hasher
    }

    /// Adds one field.
    pub fn field(&mut self, label: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.framed(label.as_bytes());
        self.framed(value.as_ref());
        self
    }

    /// Adds one whole number.
    pub fn number(&mut self, label: &str, value: i64) -> &mut Self {
        self.field(label, value.to_le_bytes())
    }

    /// The first 128 bits as 32 lower-case hexadecimal characters.
    pub fn finish(&self) -> String {
        self.0.finalize().to_hex()[..32].to_string()
    }

    fn framed(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shifted_boundary_changes_the_hash() {
        let one = Hasher::new("t").field("a", "bc").finish();
        let two = Hasher::new("t").field("ab", "c").finish();
        assert_ne!(one, two);
    }

    #[test]
    fn the_hash_is_short_hexadecimal_and_stable() {
        let id = Hasher::new("t").number("n", -3).field("x", [1u8, 2]).finish();
        assert_eq!(id.len(), 32);
        assert!(id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
        assert_eq!(id, Hasher::new("t").number("n", -3).field("x", [1u8, 2]).finish());
        assert_ne!(id, Hasher::new("u").number("n", -3).field("x", [1u8, 2]).finish());
    }
}
