//! What an adapter is trained on.

use lora_edit_adapt::TrainInput;
use lora_edit_shot::Frame;
use lora_edit_shot::job::Recipe;
use lora_edit_shot::package::{EditPackage, Reference, ShotPackage};

use crate::base::Base;
use crate::clip::Clip;
use crate::failure::JobError;
use crate::looks::Look;
use crate::progress::Progress;
use crate::windows;

/// The shot's windows, plain and in recoloured variants, encoded once; `most` of them at most, the plain ones first.
/// `None` when stopped meanwhile.
pub(crate) fn of_shot(
    base: &Base,
    shot: &ShotPackage,
    recipe: &Recipe,
    most: usize,
    progress: &mut Progress<'_>,
) -> Result<Option<Vec<TrainInput>>, JobError> {
    let windows = windows::training(shot.frames.len(), recipe.train_window, recipe.reversed);
    let looks = (0..recipe.look_variants).map(|index| Some(Look::draw(recipe.seed, index)));
    let looks: Vec<_> = std::iter::once(None).chain(looks).collect();
    let count = (windows.len() * looks.len()).min(most);
    let each = looks.iter().flat_map(|look| windows.iter().map(move |window| (look, *window)));
    let mut inputs = Vec::with_capacity(count);
    for (look, window) in each.take(count) {
        let clip = Clip::of(shot, window);
        let clip = look.as_ref().map_or(clip.clone(), |look| clip.recoloured(look)).holding_its_first();
        inputs.push(input(base, &clip, &clip.frames)?);
        if progress.even_step(inputs.len(), count) {
            return Ok(None);
        }
    }
    Ok(Some(inputs))
}

/// What stage 2 learns from: each later key of `edit` and each reference as one frame whose mask is to be generated
/// from nothing but its surroundings. Were it shown, the network would learn to copy.
pub(crate) fn of_edit(
    base: &Base,
    shot: &ShotPackage,
    edit: &EditPackage,
) -> Result<Vec<TrainInput>, JobError> {
    let key = |(number, painted): (i32, &Frame)| {
        let plate = &shot.frames[shot.info.frames.position(number)?];
        Some((Clip::still(plate.source.clone(), plate.generation_mask.clone()), painted.clone()))
    };
    let reference = |reference: &Reference| {
        (Clip::still(reference.picture.clone(), reference.mask.clone()), reference.picture.clone())
    };
    let examples = edit.later_keys().filter_map(key).chain(edit.references.iter().map(reference));
    examples.map(|(clip, painted)| input(base, &clip, &[painted])).collect()
}

fn input(base: &Base, clip: &Clip, target: &[Frame]) -> Result<TrainInput, JobError> {
    Ok(TrainInput {
        latents: base.encode(target)?,
        condition: base.condition(clip)?,
        text: base.text.clone(),
        image: None,
        loss_weight: None,
    })
}
