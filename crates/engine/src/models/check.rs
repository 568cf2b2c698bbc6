//! `lora-edit models check`: what a file or folder is.

use std::path::Path;

use lora_edit_model::Weights;
use lora_edit_model::detect::Found;
use lora_edit_model::locate::{Inventory, Unit};
use lora_edit_pipeline::JobError;
use lora_edit_shot::job::FailureKind;

use super::words;
use crate::Ending;

/// Reads the header of every weights file at `path` and says what it is; with `deep`, every number too.
///
/// # Errors
/// When there is nothing, or something is broken, incomplete or unknown.
pub fn check(path: &Path, deep: bool) -> Result<Ending, JobError> {
    if !path.exists() {
        return Err(JobError::new(FailureKind::Model, format!("{}: no such file or folder", path.display())));
    }
    let inventory = Inventory::of(&[path.to_path_buf()]);
    if inventory.units.is_empty() {
        let message = format!("{}: no .safetensors, .gguf or .pth file", path.display());
        return Err(JobError::new(FailureKind::Model, message));
    }
    let unsound = inventory.units.iter().filter(|unit| !check_unit(unit, deep)).count();
    match unsound {
        0 => Ok(Ending::Done),
        _ => {
            let message = format!("{unsound} of {} cannot be used as they are", inventory.units.len());
            Err(JobError::new(FailureKind::Model, message))
        }
    }
}

/// Prints what a file or folder of shards is; whether it can be used.
fn check_unit(unit: &Unit, deep: bool) -> bool {
    let networks = match &unit.networks {
        Ok(networks) => networks,
        // The reason names the file.
        Err(reason) => {
            println!("{reason}");
            return false;
        }
    };
    println!("{}", unit.path.display());
    networks.iter().for_each(print_network);
    let complete = networks.iter().all(Found::is_complete);
    complete & (!deep || numbers_are_sound(&unit.path))
}

fn print_network(found: &Found) {
    println!("    {}", found.network);
    let (numbers, size) = (words::grouped(found.parameters), words::size(found.bytes));
    println!("    {numbers} numbers in {} tensors, {size}: {}", found.tensors, words::formats(found));
    println!("    {}", words::trouble(found).unwrap_or_else(|| "complete".into()));
}

fn numbers_are_sound(path: &Path) -> bool {
    match Weights::open(path).and_then(|weights| weights.verify()) {
        Ok(()) => println!("    every number is finite"),
        Err(error) => {
            println!("    {error}");
            return false;
        }
    }
    true
}
