//! `lora-edit models list`: every model, where its parts are, and what is missing.

use std::path::Path;

use lora_edit_model::locate::{Inventory, Located, PUBLISHED, Part, Published};
use lora_edit_pipeline::{JobError, places};
use lora_edit_shot::base;
use lora_edit_shot::job::FailureKind;
use lora_edit_shot::models::Family;

use super::words;
use crate::Ending;

/// Prints each model on a line, its parts indented below.
///
/// # Errors
/// When there is no model at all, not even parts of one.
pub fn list(model_dir: Option<&Path>) -> Result<Ending, JobError> {
    let roots = places::roots(model_dir);
    let inventory = Inventory::of(&roots);
    let own = own_models(model_dir);
    let located: Vec<_> = PUBLISHED.iter().map(|model| (model, inventory.locate(model))).collect();
    if own.is_empty() && located.iter().all(|(_, located)| located.parts.is_empty()) {
        let searched: Vec<String> = roots.iter().map(|root| root.display().to_string()).collect();
        let place =
            if searched.is_empty() { "any folder: none is known".into() } else { searched.join(", ") };
        return Err(JobError::new(
            FailureKind::Model,
            format!("no model in {place}; --model-dir says where"),
        ));
    }
    for (name, folder) in own {
        println!("{name}\tcomplete\t{}", folder.display());
    }
    for (model, located) in located {
        print_model(model, &located);
    }
    for unit in &inventory.units {
        if let Err(reason) = &unit.networks {
            eprintln!("unreadable: {reason}");
        }
    }
    Ok(Ending::Done)
}

/// Folders of models that are not published ones: the embedded model, and people's own.
fn own_models(model_dir: Option<&Path>) -> Vec<(String, std::path::PathBuf)> {
    let all = base::list(model_dir, places::program_dir().as_deref()).into_iter();
    let is_own = |folder: &Path| folder.join("transformer").is_dir() && folder.join("vae").is_dir();
    all.filter(|(name, folder)| Published::named(name).is_none() && is_own(folder)).collect()
}

fn print_model(model: &Published, located: &Located) {
    // Encoders are shared by all models: alone they say nothing about this one.
    let has_transformer =
        located.parts.iter().any(|part| Some(part.role) == model.parts.first().map(|p| p.0));
    let state = match (located.wanting().is_empty(), has_transformer) {
        (true, _) => "complete".to_owned(),
        (false, true) => format!("incomplete; lora-edit models fetch {}", model.name),
        (false, false) => format!("not found; lora-edit models fetch {}", model.name),
    };
    println!("{}\t{state}", model.name);
    if let Some(obstacle) = Family::named(model.name).and_then(Family::obstacle) {
        println!("    not for editing: it {obstacle}");
    }
    if !has_transformer {
        return;
    }
    for part in &located.parts {
        println!("    {}", part_line(part));
    }
    for role in &located.missing {
        let file = model.parts.iter().find(|(of, _)| of == role).map_or("", |(_, file)| file);
        println!("    {role}\tmissing: {file}");
    }
}

fn part_line(part: &Part) -> String {
    let path = part.path.display();
    let Some(found) = &part.found else { return format!("{}\t{path}", part.role) };
    let trouble = words::trouble(found).map(|trouble| format!("\t{trouble}")).unwrap_or_default();
    format!("{}\t{}\t{}\t{path}{trouble}", part.role, words::formats(found), words::size(found.bytes))
}
