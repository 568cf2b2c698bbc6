//! `lora-edit models locate`: where one model's parts are, for the plug-in and for people.

use std::path::Path;

use lora_edit_pipeline::JobError;
use lora_edit_pipeline::parts::{FoundModel, usable};

use crate::Ending;

/// Prints name, folder, fingerprint and parts: as lines, or as one JSON object whose first three are what a job names.
///
/// # Errors
/// When the model is missing or incomplete, or this method cannot work on it.
pub fn locate(name: &str, model_dir: Option<&Path>, json: bool) -> Result<Ending, JobError> {
    let found = usable(name, model_dir)?;
    if json {
        println!("{}", as_json(&found));
        return Ok(Ending::Done);
    }
    println!("{}\t{}", found.base.name, found.base.fingerprint);
    for (part, path) in parts(&found) {
        println!("    {part}\t{}", path.display());
    }
    Ok(Ending::Done)
}

fn as_json(found: &FoundModel) -> serde_json::Value {
    let base = &found.base;
    let parts: serde_json::Map<_, _> =
        parts(found).map(|(part, path)| (part.to_owned(), path.to_string_lossy().into())).collect();
    serde_json::json!({
        "name": base.name, "folder": base.folder, "fingerprint": base.fingerprint, "parts": parts
    })
}

fn parts(found: &FoundModel) -> impl Iterator<Item = (&'static str, &Path)> {
    let parts = &found.parts;
    let [text, tokenizer] = match &parts.text {
        Some([text, tokenizer]) => [Some(text), Some(tokenizer)],
        None => [None, None],
    };
    let all = [
        ("transformer", Some(&parts.transformer)),
        ("lowNoise", parts.low_noise.as_ref()),
        ("vae", Some(&parts.vae)),
        ("text", text),
        ("tokenizer", tokenizer),
        ("image", parts.image.as_ref()),
    ];
    all.into_iter().filter_map(|(part, path)| Some((part, path?.as_path())))
}
