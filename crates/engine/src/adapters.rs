//! `lora-edit adapters`: what was trained, and what an adapter file tells of itself.

use std::path::{Path, PathBuf};

use lora_edit_pipeline::JobError;
use lora_edit_pipeline::adapter_files::{AdapterContents, AdapterFiles, AdapterSummary, Provenance};
use lora_edit_shot::AdapterId;
use lora_edit_store::Store;
use serde::Serialize;

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

/// All that `adapters show` tells.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(skip_serializing_if = "Option::is_none")]
    adapter: Option<AdapterId>,
    file: PathBuf,
    bytes: u64,
    contents: AdapterContents,
    /// Of an adapter of the cache: how it was trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    training: Option<AdapterSummary>,
}

/// Prints what is known of one adapter, by its id in the store or its file.
pub fn show(root: &Path, typed: &str, json: bool) -> Result<Ending, JobError> {
    let shown = find(root, typed)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&shown)?);
    } else {
        shown.lines().iter().for_each(|(name, value)| println!("{name:<16}{value}"));
    }
    Ok(Ending::Done)
}

fn find(root: &Path, typed: &str) -> Result<Shown, JobError> {
    let file = Path::new(typed);
    // Whoever means a file that is not there is not to hear of ids.
    if file.is_file() || typed.ends_with(".safetensors") {
        return Shown::of(file.to_path_buf(), None, None);
    }
    let store = Store::open(root)?;
    let ids = ids(&store)?;
    let id = AdapterId::parse(cache::unique("adapter", typed, &ids)?).map_err(other)?;
    let files = AdapterFiles::of(&store, &id);
    let summary = files.summary().map(|(summary, _)| summary);
    Shown::of(files.weights(), Some(id), summary)
}

impl Shown {
    fn of(
        file: PathBuf,
        adapter: Option<AdapterId>,
        training: Option<AdapterSummary>,
    ) -> Result<Self, JobError> {
        let contents = AdapterContents::read(&file)?;
        let bytes = std::fs::metadata(&file)?.len();
        Ok(Self { adapter, file, bytes, contents, training })
    }

    /// Name and value, a line each.
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![("file", format!("{} ({} bytes)", self.file.display(), self.bytes))];
        lines.extend(self.adapter.as_ref().map(|id| ("adapter", id.to_string())));
        match &self.contents.provenance {
            Some(provenance) => lines.extend(of_provenance(provenance)),
            None => lines.push(("written by", "another program: base, shot and recipe are not known".into())),
        }
        lines.extend(of_contents(&self.contents));
        if let Some(training) = &self.training {
            lines.push(("training", trained(training)));
        }
        lines
    }
}

fn of_provenance(provenance: &Provenance) -> Vec<(&'static str, String)> {
    let Provenance { base, base_fingerprint, shot, frames, recipe, step, final_loss, version } = provenance;
    vec![
        ("written by", format!("LoRA-Edit {version}")),
        ("base", format!("{base} ({base_fingerprint})")),
        ("shot", format!("{shot}, frames {frames}")),
        ("recipe", recipe.clone()),
        ("final loss", format!("{final_loss:.4} at step {step}")),
    ]
}

fn of_contents(contents: &AdapterContents) -> Vec<(&'static str, String)> {
    let numbers = |ranks: &[usize]| ranks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut lines = vec![
        ("rank", numbers(&contents.ranks)),
        ("layers", format!("{} in {} blocks{}", contents.layers, contents.blocks, width(contents.width))),
        ("targets", contents.parts.join(", ")),
        ("numbers", format!("{} in {}", contents.parameters, contents.dtypes.join(", "))),
    ];
    if contents.low_noise_expert {
        lines.push(("experts", "has pairs for the low-noise expert of Wan 2.2 A14B".into()));
    }
    if contents.image_layers {
        lines.push(("image layers", "adapted: for a base that takes a CLIP image".into()));
    }
    if contents.beside > 0 {
        lines.push(("beside pairs", format!("{} tensors, which count in a stack", contents.beside)));
    }
    if let Some(first) = contents.ignored.first() {
        lines.push(("ignored", format!("{} tensors, such as {first}", contents.ignored.len())));
    }
    lines
}

/// The sizes of the family tell bases apart.
fn width(width: Option<usize>) -> String {
    match width {
        Some(5120) => " of width 5120: Wan 14B".into(),
        Some(3072) => " of width 3072: Wan 2.2 5B".into(),
        Some(1536) => " of width 1536: Wan 1.3B".into(),
        Some(other) => format!(" of width {other}"),
        None => String::new(),
    }
}

fn trained(training: &AdapterSummary) -> String {
    let mut text = format!("{} steps at {:.2} s", training.steps, training.seconds_per_step);
    if let Some((step, loss)) = training.held_back.last() {
        text += &format!(", held-back loss {loss:.4} at step {step}");
    }
    if training.step > 0 && training.step < training.steps {
        text += &format!("; it came apart after step {}, which is the one here", training.step);
    }
    text
}

fn ids(store: &Store) -> Result<Vec<String>, JobError> {
    let names = store.list("adapters")?;
    let ids = names.iter().filter_map(|name| name.strip_suffix(".safetensors"));
    // The low-noise expert's file goes with the plain one.
    Ok(ids.filter(|id| !id.contains('.')).map(String::from).collect())
}
