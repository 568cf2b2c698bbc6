//! A training's state on disk: adapter, optimiser moments, losses and recipe in one file.
//!
//! No generator's state is among them: time and noise of a step follow from the recipe's seed and the step's number
//! alone, and the step's number is that of the losses.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};

use crate::adapter::Adapter;
use crate::container::{self, Metadata};
use crate::error::{AdaptError, Result};
use crate::held_back::HeldBack;
use crate::recipe::Recipe;
use crate::train::TrainState;

/// The metadata key that makes a file a checkpoint of this crate; its value is the layout's number.
const KIND: &str = "lora_edit.checkpoint";
const LAYOUT: &str = "2";
const RECIPE: &str = "lora_edit.recipe";

/// Writes all that [`resume`] needs, exactly.
///
/// # Errors
/// When the file cannot be written; an older checkpoint at `path` is then untouched.
pub fn save(path: &Path, adapter: &Adapter, recipe: &Recipe, state: &TrainState) -> Result<()> {
    let mut tensors = vec![
        ("losses".to_owned(), vector(&state.losses)?),
        ("held_back".to_owned(), vector(&held_back_numbers(&state.held_back))?),
    ];
    for ((name, var), moments) in adapter.parameters().into_iter().zip(&state.optimiser.moments) {
        tensors.push((format!("first.{name}"), moments.get(0)?));
        tensors.push((format!("second.{name}"), moments.get(1)?));
        tensors.push((name, var.detach()));
    }
    let metadata = [(KIND, LAYOUT.to_owned()), (RECIPE, recipe_json(path, recipe)?)];
    container::write(path, tensors, metadata.map(|(key, value)| (key.to_owned(), value)).into())
}

/// Removes what a process left behind that was killed while it wrote the file at `path`. For whoever alone may write
/// it, before the first write.
pub fn remove_leftovers(path: &Path) {
    container::remove_leftovers(path);
}

/// Sets `adapter` to the checkpoint's values and gives the state to go on from.
///
/// # Errors
/// When the file cannot be read, is no checkpoint, or one of another recipe or base; nothing is changed then.
pub fn resume(path: &Path, adapter: &Adapter, recipe: &Recipe) -> Result<TrainState> {
    let (tensors, metadata) = container::read(path)?;
    check(path, &metadata, recipe)?;
    let mut state = TrainState::new(adapter, recipe)?;
    state.losses = values(path, &tensors, "losses", None)?;
    state.held_back = held_back(&values(path, &tensors, "held_back", None)?);
    state.optimiser.step = state.losses.len();
    let mut set = Vec::new();
    for ((name, var), moments) in adapter.parameters().into_iter().zip(&mut state.optimiser.moments) {
        let count = Some(var.elem_count());
        let first = values(path, &tensors, &format!("first.{name}"), count)?;
        let second = values(path, &tensors, &format!("second.{name}"), count)?;
        *moments = Tensor::from_vec([first, second].concat(), moments.shape(), moments.device())?;
        set.push((var, Tensor::from_vec(values(path, &tensors, &name, count)?, var.shape(), var.device())?));
    }
    set.into_iter().try_for_each(|(var, value)| var.set(&value))?;
    Ok(state)
}

fn check(path: &Path, metadata: &Metadata, recipe: &Recipe) -> Result<()> {
    if metadata.get(KIND).map(String::as_str) != Some(LAYOUT) {
        return Err(AdaptError::bad_file(path, "not a training checkpoint of this version"));
    }
    if metadata.get(RECIPE) != Some(&recipe_json(path, recipe)?) {
        return Err(AdaptError::bad_file(path, "the checkpoint was made with another recipe"));
    }
    Ok(())
}

/// Step and loss in turn; whole numbers up to 2^24 are exact in f32.
fn held_back_numbers(measured: &[HeldBack]) -> Vec<f32> {
    measured.iter().flat_map(|&HeldBack { step, loss }| [step as f32, loss]).collect()
}

fn held_back(numbers: &[f32]) -> Vec<HeldBack> {
    numbers.chunks_exact(2).map(|pair| HeldBack { step: pair[0] as usize, loss: pair[1] }).collect()
}

fn recipe_json(path: &Path, recipe: &Recipe) -> Result<String> {
    serde_json::to_string(recipe).map_err(|e| AdaptError::bad_file(path, e))
}

fn vector(values: &[f32]) -> Result<Tensor> {
    Ok(Tensor::from_slice(values, values.len(), &Device::Cpu)?)
}

/// The f32 tensor `name`, of `count` numbers where that is known.
fn values(
    path: &Path,
    tensors: &HashMap<String, Tensor>,
    name: &str,
    count: Option<usize>,
) -> Result<Vec<f32>> {
    let values = tensors.get(name).map(|tensor| tensor.flatten_all()?.to_vec1::<f32>()).transpose()?;
    let values = values.filter(|values| count.is_none_or(|count| count == values.len()));
    values.ok_or_else(|| {
        AdaptError::bad_file(path, format!("the checkpoint has no {name} of this adapter's size"))
    })
}
