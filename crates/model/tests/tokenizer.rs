//! The tokenizer against SentencePiece and against Hugging Face's, and what it says when files are wrong.
#![allow(clippy::unwrap_used)] // a test may panic

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::{Device, Tensor};
use lora_edit_model::tokenizer::{MAX_TOKENS, PAD};
use lora_edit_model::{Tokenizer, Weights};
use serde::Deserialize;

/// A text and its ids, `</s>` included, as the two libraries give them for the cleaned text.
#[derive(Deserialize)]
struct Case {
    text: String,
    sentencepiece: Vec<u32>,
    fast: Vec<u32>,
}

const END: u32 = 1;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn cases() -> Vec<Case> {
    serde_json::from_slice(&std::fs::read(path("tokenizer_cases.json")).unwrap()).unwrap()
}

fn open(name: &str) -> Tokenizer {
    Tokenizer::open(&path(name)).unwrap()
}

/// The model as ComfyUI's text encoders carry it.
fn embedded() -> HashMap<String, Tensor> {
    let bytes = std::fs::read(path("spiece.model")).unwrap();
    let tensor = Tensor::new(bytes, &Device::Cpu).unwrap();
    HashMap::from([("spiece_model".to_owned(), tensor)])
}

#[test]
fn a_sentencepiece_model_gives_the_ids_of_sentencepiece() {
    let tokenizer = open("spiece.model");
    for case in cases() {
        assert_eq!(tokenizer.encode(&case.text).unwrap(), case.sentencepiece, "{:?}", case.text);
    }
}

#[test]
fn a_tokenizer_json_gives_the_ids_of_transformers() {
    let tokenizer = open("tokenizer.json");
    for case in cases() {
        assert_eq!(tokenizer.encode(&case.text).unwrap(), case.fast, "{:?}", case.text);
    }
}

#[test]
fn a_model_within_a_text_encoder_gives_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("umt5.safetensors");
    candle_core::safetensors::save(&embedded(), &file).unwrap();
    for tokenizer in [Tokenizer::open(&file), Tokenizer::from_weights(&Weights::from_tensors(embedded()))] {
        let tokenizer = tokenizer.unwrap();
        for case in cases() {
            assert_eq!(tokenizer.encode(&case.text).unwrap(), case.sentencepiece, "{:?}", case.text);
        }
    }
}

#[test]
fn nothing_is_one_end_and_long_texts_keep_it() {
    for tokenizer in [open("spiece.model"), open("tokenizer.json")] {
        assert_eq!(tokenizer.encode("").unwrap(), [END]);
        assert_eq!(tokenizer.encode(" \n ").unwrap(), [END]);
        let ids = tokenizer.encode(&"the same motion ".repeat(5000)).unwrap();
        assert_eq!(ids.len(), MAX_TOKENS);
        assert_eq!(ids.iter().filter(|&&id| id == END).count(), 1);
        assert_eq!(ids.last(), Some(&END));
    }
}

#[test]
fn a_batch_is_filled_up_to_the_longest() {
    let tokenizer = open("spiece.model");
    let texts = ["", "A small dog runs along the beach.", "the camera"];
    let tokens = tokenizer.encode_batch(&texts).unwrap();
    let (ids, mask) = (tokens.ids.to_vec2::<u32>().unwrap(), tokens.mask.to_vec2::<u32>().unwrap());
    let rows: Vec<_> = texts.iter().map(|text| tokenizer.encode(text).unwrap()).collect();
    assert_eq!(tokens.ids.dims(), [3, rows[1].len()]);
    for (row, (ids, mask)) in rows.iter().zip(ids.iter().zip(&mask)) {
        assert_eq!(&ids[..row.len()], row);
        assert!(ids[row.len()..].iter().all(|&id| id == PAD));
        assert!(mask.iter().enumerate().all(|(i, &m)| m == u32::from(i < row.len())));
    }
}

#[test]
fn a_folder_gives_its_tokenizer_json_before_its_model() {
    let folder = tempfile::tempdir().unwrap();
    let error = Tokenizer::open(folder.path()).err().unwrap().to_string();
    assert!(error.ends_with("neither tokenizer.json nor spiece.model"), "{error}");
    // The two differ where a text spells a special token.
    let text = "</s> <pad> <unk> are words here";
    let case = cases().into_iter().find(|case| case.text == text).unwrap();
    assert_ne!(case.sentencepiece, case.fast);
    std::fs::copy(path("spiece.model"), folder.path().join("spiece.model")).unwrap();
    assert_eq!(Tokenizer::open(folder.path()).unwrap().encode(text).unwrap(), case.sentencepiece);
    std::fs::copy(path("tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    assert_eq!(Tokenizer::open(folder.path()).unwrap().encode(text).unwrap(), case.fast);
}

#[test]
fn broken_files_are_named_and_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let message = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        Tokenizer::open(&file).err().map(|e| e.to_string())
    };
    for (name, bytes) in [("x.model", &b"\xff\xff\xff"[..]), ("y.model", b""), ("x.json", b"{}")] {
        let error = message(name, bytes).unwrap();
        assert!(error.contains(name), "{error}");
    }
    let error = Tokenizer::open(&folder.path().join("absent.model")).err().unwrap().to_string();
    assert!(error.contains("absent.model"), "{error}");
    let error = Tokenizer::from_weights(&Weights::from_tensors(HashMap::new())).err().unwrap().to_string();
    assert!(error.contains("no tensor spiece_model"), "{error}");

    // Cut or changed anywhere, the model is refused or encodes something, but never panics.
    let whole = std::fs::read(path("spiece.model")).unwrap();
    for at in (0..whole.len()).step_by(97) {
        let mut changed = whole.clone();
        changed[at] ^= 0x5a;
        for bytes in [&whole[..at], &changed] {
            let file = folder.path().join("part.model");
            std::fs::write(&file, bytes).unwrap();
            if let Ok(tokenizer) = Tokenizer::open(&file) {
                let _ = tokenizer.encode("Ａ ﬁne dog e\u{301} 🐕");
            }
        }
    }
}
