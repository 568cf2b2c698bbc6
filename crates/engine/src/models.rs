//! `lora-edit models`: the base models found.

use std::path::Path;

use lora_edit_pipeline::JobError;
use lora_edit_shot::base;
use lora_edit_shot::job::FailureKind;

use crate::Ending;

/// Prints name and folder of each model.
pub fn list(model_dir: Option<&Path>) -> Result<Ending, JobError> {
    let program = std::env::current_exe().ok();
    let program_dir = program.as_deref().and_then(Path::parent);
    let found = base::list(model_dir, program_dir);
    if found.is_empty() {
        let searched: Vec<String> =
            base::roots(model_dir, program_dir).iter().map(|root| root.display().to_string()).collect();
        let place =
            if searched.is_empty() { "any folder: none is known".into() } else { searched.join(", ") };
        return Err(JobError::new(
            FailureKind::Model,
            format!("no model in {place}; --model-dir says where"),
        ));
    }
    for (name, folder) in found {
        println!("{name}\t{}", folder.display());
    }
    Ok(Ending::Done)
}
