//! Prompts to umT5's token ids.

use std::path::Path;

use candle_core::{Device, Tensor};

use crate::error::{Loaded, ModelError};
use crate::sentencepiece::{END, SentencePiece};
use crate::weights::Weights;

/// Tokens that Wan's prompts have at most, the end token included.
pub const MAX_TOKENS: usize = 512;
/// What short texts of a batch are filled up with.
pub const PAD: u32 = 0;
/// The tensor by which ComfyUI's text encoders carry the SentencePiece model, as bytes.
const EMBEDDED: &str = "spiece_model";

/// umT5's tokenizer.
pub struct Tokenizer {
    source: String,
    kind: Kind,
    end: u32,
}

enum Kind {
    Fast(Box<tokenizers::Tokenizer>),
    SentencePiece(Box<SentencePiece>),
}

/// A batch of texts of one length.
pub struct Tokens {
    /// (B, L) u32, shorter texts filled up with [`PAD`].
    pub ids: Tensor,
    /// (B, L) u32: 1 where there is a token, 0 where padding.
    pub mask: Tensor,
}

impl Tokenizer {
    /// Opens a `tokenizer.json`, a SentencePiece model (`.model`), a text encoder's `.safetensors` that carries one, or
    /// a folder that holds `tokenizer.json` or `spiece.model`, preferred in this order.
    ///
    /// # Errors
    /// When nothing is there or the file is broken.
    pub fn open(path: &Path) -> Loaded<Self> {
        if path.is_dir() {
            let files = ["tokenizer.json", "spiece.model"].map(|name| path.join(name));
            let file = files.iter().find(|file| file.is_file());
            let neither = || {
                ModelError::weights(&path.display().to_string(), "neither tokenizer.json nor spiece.model")
            };
            return Self::open(file.ok_or_else(neither)?);
        }
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            return Self::from_weights(&Weights::open(path)?);
        }
        let bytes =
            std::fs::read(path).map_err(|source| ModelError::Unreadable { path: path.to_owned(), source })?;
        let source = path.display().to_string();
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        if is_json { Self::from_json(&bytes, source) } else { Self::from_sentencepiece(&bytes, source) }
    }

    /// The SentencePiece model within a text encoder's weights, as ComfyUI's files have it.
    ///
    /// # Errors
    /// When there is none or it is broken.
    pub fn from_weights(weights: &Weights) -> Loaded<Self> {
        let bytes = weights.bytes(EMBEDDED)?;
        Self::from_sentencepiece(&bytes, format!("{EMBEDDED} in {}", weights.source()))
    }

    fn from_json(bytes: &[u8], source: String) -> Loaded<Self> {
        let broken = |reason: tokenizers::Error| ModelError::weights(&source, reason);
        let mut fast = tokenizers::Tokenizer::from_bytes(bytes).map_err(broken)?;
        fast.with_truncation(None).map_err(broken)?.with_padding(None);
        let end = fast.token_to_id(END);
        Self::new(Kind::Fast(Box::new(fast)), end, source)
    }

    fn from_sentencepiece(bytes: &[u8], source: String) -> Loaded<Self> {
        let model = SentencePiece::read(bytes).map_err(|reason| ModelError::weights(&source, reason))?;
        let end = model.end();
        Self::new(Kind::SentencePiece(Box::new(model)), end, source)
    }

    fn new(kind: Kind, end: Option<u32>, source: String) -> Loaded<Self> {
        let missing = || ModelError::weights(&source, format!("no token {END}"));
        Ok(Self { end: end.ok_or_else(missing)?, kind, source })
    }

    /// The ids of a prompt, cleaned by [`clean`]: at most [`MAX_TOKENS`], the last one `</s>`.
    ///
    /// A `tokenizer.json` takes the names of special tokens within a text, such as `</s>`, for these tokens; a
    /// SentencePiece model takes them for text. The original does the former.
    ///
    /// # Errors
    /// When the tokenizer's model does not fit its vocabulary.
    pub fn encode(&self, text: &str) -> Loaded<Vec<u32>> {
        let mut ids =
            self.pieces(&clean(text)).map_err(|reason| ModelError::weights(&self.source, reason))?;
        ids.truncate(MAX_TOKENS - 1);
        ids.push(self.end);
        Ok(ids)
    }

    /// The ids of several prompts, filled up to the longest.
    ///
    /// The original fills up to 512. No token sees padding, so the states of the tokens are the same.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`], and when there is no text.
    pub fn encode_batch(&self, texts: &[&str]) -> Loaded<Tokens> {
        let rows = texts.iter().map(|text| self.encode(text)).collect::<Loaded<Vec<_>>>()?;
        let length = rows.iter().map(Vec::len).max().unwrap_or_default();
        let filled = |row: &Vec<u32>| {
            row.iter().copied().chain(std::iter::repeat(PAD)).take(length).collect::<Vec<_>>()
        };
        let mask = |row: &Vec<u32>| (0..length).map(|i| u32::from(i < row.len())).collect::<Vec<_>>();
        let tensor = |f: &dyn Fn(&Vec<u32>) -> Vec<u32>| {
            Tensor::from_vec(rows.iter().flat_map(f).collect::<Vec<_>>(), (rows.len(), length), &Device::Cpu)
        };
        Ok(Tokens { ids: tensor(&filled)?, mask: tensor(&mask)? })
    }

    fn pieces(&self, text: &str) -> Result<Vec<u32>, String> {
        match &self.kind {
            Kind::Fast(fast) => match fast.encode_fast(text, false) {
                Ok(encoding) => Ok(encoding.get_ids().to_vec()),
                Err(e) => Err(e.to_string()),
            },
            Kind::SentencePiece(model) => model.encode(text),
        }
    }
}

/// A prompt as Wan cleans it before it is tokenized (`_clean` of `tokenizers.py`, "whitespace"): HTML entities become
/// characters, twice; space at the ends goes, and every run of white space becomes one space.
///
/// Not done: `ftfy`, which repairs text that was decoded wrongly ("schÃ¶n") and straightens curly quotes; HTML's named
/// entities beyond `&amp;`, `&lt;`, `&gt;`, `&quot;`, `&apos;` and `&nbsp;`; entities without a semicolon; numeric
/// entities for control characters, which HTML reads as Windows-1252 or drops.
pub fn clean(text: &str) -> String {
    let text = unescape(&unescape(text));
    // The last four are white space to Python, but not to Unicode.
    let is_space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
    text.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Replaces HTML entities once.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let entity = &rest[at + 1..];
        let found = entity.split_once(';').and_then(|(name, after)| Some((character(name)?, after)));
        let (character, after) = found.unwrap_or(('&', entity));
        out.push(character);
        rest = after;
    }
    out + rest
}

fn character(entity: &str) -> Option<char> {
    let number = entity.strip_prefix('#');
    let hexadecimal = number.and_then(|number| number.strip_prefix(['x', 'X']));
    match (entity, number, hexadecimal) {
        ("amp", ..) => Some('&'),
        ("lt", ..) => Some('<'),
        ("gt", ..) => Some('>'),
        ("quot", ..) => Some('"'),
        ("apos", ..) => Some('\''),
        ("nbsp", ..) => Some('\u{a0}'),
        (_, _, Some(digits)) => code_point(digits, 16),
        (_, Some(digits), None) => code_point(digits, 10),
        _ => None,
    }
}

/// Numbers that are no character become the replacement character.
fn code_point(digits: &str, radix: u32) -> Option<char> {
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    let code = || u32::from_str_radix(digits, radix).ok().filter(|&code| code != 0);
    is_number.then(|| code().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Python's `html.unescape` twice, `strip` and `re.sub(r"\s+", " ", ...)` give it.
    #[test]
    fn text_is_cleaned_as_the_original_cleans_it() {
        let cases = [
            ("", ""),
            (" \t a\n\n b\u{3000}c\u{1f}d ", "a b c d"),
            ("fish &amp; chips &lt;b&gt; &quot;x&quot; &#39;y&#x27;", "fish & chips <b> \"x\" 'y'"),
            ("twice &amp;amp;lt; and &amp;lt;", "twice &lt; and <"),
            ("a&nbsp;&#160;b", "a b"),
            ("R&D; &unknown; & &#x; &#xD800;&#99999999999;", "R&D; &unknown; & &#x; \u{fffd}\u{fffd}"),
        ];
        for (text, expected) in cases {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }
}
