//! SentencePiece's Unigram models (`spiece.model`): the file's protobuf, its normalisation, its pieces.

use tokenizers::Model;
use tokenizers::models::unigram::Unigram;

use crate::charsmap::Charsmap;
use crate::protobuf::{Value, fields};

/// Why a model cannot be read or used.
pub(crate) type Reason = String;

/// One model, ready to encode.
///
/// Scores are summed in f64, where SentencePiece rounds to f32: two ways to cut a text that score the same but for
/// that may come out differently.
pub(crate) struct SentencePiece {
    charsmap: Option<Charsmap>,
    /// Whether every text begins as if a space came before it.
    space_first: bool,
    /// Whether spaces at the ends are dropped and those between words joined.
    join_spaces: bool,
    unigram: Unigram,
    unknown: u32,
    /// The ids of the 256 bytes, where the model spells unknown characters in them.
    bytes: Option<Vec<u32>>,
    end: Option<u32>,
}

/// What `</s>` is called in every T5.
pub(crate) const END: &str = "</s>";
/// The character that stands for a space within pieces.
const SPACE: &str = "\u{2581}";

impl SentencePiece {
    /// Reads the bytes of a `spiece.model`.
    pub fn read(bytes: &[u8]) -> Result<Self, Reason> {
        let file = File::read(bytes)?;
        let unknown = file.pieces.iter().position(|piece| piece.kind == Kind::Unknown);
        let unknown = unknown.ok_or("the model has no piece for what it does not know")?;
        let (bytes, end) = (byte_ids(&file.pieces), file.pieces.iter().position(|p| p.text == END));
        let unigram =
            Unigram::from(vocabulary(&file.pieces), Some(unknown), false).map_err(|e| e.to_string())?;
        Ok(Self {
            charsmap: file.charsmap,
            space_first: file.space_first,
            join_spaces: file.join_spaces,
            unigram,
            unknown: unknown as u32,
            bytes,
            end: end.map(|id| id as u32),
        })
    }

    /// The id of `</s>`, if the model has one.
    pub fn end(&self) -> Option<u32> {
        self.end
    }

    /// The ids of a text's pieces, without `</s>`.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Reason> {
        let tokens = self.unigram.tokenize(&self.normalise(text)).map_err(|e| e.to_string())?;
        let ids = |token: tokenizers::Token| match &self.bytes {
            Some(bytes) if token.id == self.unknown => {
                token.value.bytes().map(|b| bytes[b as usize]).collect()
            }
            _ => vec![token.id],
        };
        Ok(tokens.into_iter().flat_map(ids).collect())
    }

    /// The text in the characters of the pieces.
    fn normalise(&self, text: &str) -> String {
        let text = self.charsmap.as_ref().map_or_else(|| text.to_owned(), |map| map.apply(text));
        let joined = match self.join_spaces {
            true => text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(SPACE),
            false => text.replace(' ', SPACE),
        };
        if self.space_first && !joined.is_empty() { format!("{SPACE}{joined}") } else { joined }
    }
}

/// What a piece is for (`SentencePiece.Type` of sentencepiece_model.proto).
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Normal,
    Unknown,
    UserDefined,
    Byte,
    /// Control pieces and unused ones, which no text becomes.
    Other,
}

struct Piece {
    text: String,
    score: f32,
    kind: Kind,
}

/// Above any score by more than a text's other pieces can make up for.
const ALWAYS: f64 = 1000.0;

/// The pieces with their scores. Pieces that no text may become get a space before them, which a normalised text
/// never holds; user-defined ones a score for each byte by which they win wherever they occur, as SentencePiece
/// promises.
fn vocabulary(pieces: &[Piece]) -> Vec<(String, f64)> {
    let entry = |piece: &Piece| match piece.kind {
        Kind::Normal => (piece.text.clone(), f64::from(piece.score)),
        Kind::UserDefined => (piece.text.clone(), piece.text.len() as f64 * ALWAYS),
        _ => (format!(" {}", piece.text), 0.0),
    };
    pieces.iter().map(entry).collect()
}

/// The ids of `<0x00>` to `<0xFF>`, if all are there.
fn byte_ids(pieces: &[Piece]) -> Option<Vec<u32>> {
    let mut ids = vec![None; 256];
    for (id, piece) in pieces.iter().enumerate().filter(|(_, piece)| piece.kind == Kind::Byte) {
        let digits = piece.text.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())?;
        ids[byte as usize] = Some(id as u32);
    }
    ids.into_iter().collect()
}

/// What is read of a `ModelProto`.
struct File {
    pieces: Vec<Piece>,
    charsmap: Option<Charsmap>,
    space_first: bool,
    join_spaces: bool,
}

impl File {
    fn read(bytes: &[u8]) -> Result<Self, Reason> {
        let mut file = Self { pieces: Vec::new(), charsmap: None, space_first: true, join_spaces: true };
        for field in fields(bytes) {
            match field? {
                (1, Value::Bytes(piece)) => file.pieces.push(read_piece(piece)?),
                (2, Value::Bytes(trainer)) => check_trainer(trainer)?,
                (3, Value::Bytes(normaliser)) => file.read_normaliser(normaliser)?,
                _ => {}
            }
        }
        if file.pieces.is_empty() { Err("no SentencePiece model: it has no pieces".into()) } else { Ok(file) }
    }

    /// `NormalizerSpec`.
    fn read_normaliser(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        for field in fields(bytes) {
            match field? {
                (2, Value::Bytes([])) => {}
                (2, Value::Bytes(charsmap)) => self.charsmap = Some(Charsmap::read(charsmap)?),
                (3, Value::Number(flag)) => self.space_first = flag != 0,
                (4, Value::Number(flag)) => self.join_spaces = flag != 0,
                (5, Value::Number(0)) => {
                    return Err("models whose pieces hold plain spaces are not supported".into());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// `ModelProto.SentencePiece`.
fn read_piece(bytes: &[u8]) -> Result<Piece, Reason> {
    let mut piece = Piece { text: String::new(), score: 0.0, kind: Kind::Normal };
    for field in fields(bytes) {
        match field? {
            (1, Value::Bytes(text)) => {
                piece.text = String::from_utf8(text.to_vec()).map_err(|_| "a piece is not UTF-8")?;
            }
            (2, Value::Word(bits)) => piece.score = f32::from_bits(bits),
            (3, Value::Number(kind)) => {
                piece.kind = match kind {
                    1 => Kind::Normal,
                    2 => Kind::Unknown,
                    4 => Kind::UserDefined,
                    6 => Kind::Byte,
                    _ => Kind::Other,
                }
            }
            _ => {}
        }
    }
    Ok(piece)
}

/// `TrainerSpec`: the kind of model, and where spaces go.
fn check_trainer(bytes: &[u8]) -> Result<(), Reason> {
    for field in fields(bytes) {
        match field? {
            (3, Value::Number(kind)) if kind != 1 => return Err("only Unigram models are supported".into()),
            (24, Value::Number(flag)) if flag != 0 => {
                return Err("models with spaces at the ends of words are not supported".into());
            }
            _ => {}
        }
    }
    Ok(())
}
