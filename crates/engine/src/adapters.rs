//! `lora-edit adapters`: what was trained.

use std::path::Path;

use lora_edit_pipeline::JobError;
use lora_edit_pipeline::adapter_files::AdapterFiles;
use lora_edit_shot::AdapterId;
use lora_edit_store::Store;

use crate::Ending;
use crate::cache;
use crate::job::other;

/// One line per adapter.
pub fn list(root: &Path) -> Result<Ending, JobError> {
    let store = Store::open(root)?;
    for id in ids(&store)? {
        match AdapterFiles::of(&store, &AdapterId::parse(&id).map_err(other)?).summary() {
            Some((about, _)) => println!(
                "{id}\t{}\trank {}\t{} steps\tloss {:.4}",
                about.base, about.recipe.rank, about.steps, about.final_loss
            ),
            None => println!("{id}"),
        }
    }
    Ok(Ending::Done)
}

/// Prints one adapter's record.
pub fn show(root: &Path, typed: &str) -> Result<Ending, JobError> {
    let store = Store::open(root)?;
    let ids = ids(&store)?;
    let id = AdapterId::parse(cache::unique("adapter", typed, &ids)?).map_err(other)?;
    let files = AdapterFiles::of(&store, &id);
    let summary = files.summary().map(|(summary, _)| summary);
    let shown = serde_json::json!({ "adapter": id, "file": files.weights(), "training": summary });
    println!("{}", serde_json::to_string_pretty(&shown)?);
    Ok(Ending::Done)
}

fn ids(store: &Store) -> Result<Vec<String>, JobError> {
    let names = store.list("adapters")?;
    let ids = names.iter().filter_map(|name| name.strip_suffix(".safetensors"));
    // The low-noise expert's file goes with the plain one.
    Ok(ids.filter(|id| !id.contains('.')).map(String::from).collect())
}
