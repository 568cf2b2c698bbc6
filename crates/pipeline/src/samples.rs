//! What an adapter is trained on.

use lora_edit_adapt::TrainInput;
use lora_edit_shot::job::Recipe;

use crate::base::Base;
use crate::clip::Clip;
use crate::failure::JobError;
use crate::looks::Look;
use crate::progress::Progress;

/// The plate and its recoloured variants, encoded once; `None` when stopped meanwhile.
pub(crate) fn samples(
    base: &Base,
    clip: &Clip,
    recipe: &Recipe,
    progress: &mut Progress<'_>,
) -> Result<Option<Vec<TrainInput>>, JobError> {
    let looks = (0..recipe.look_variants).map(|index| clip.recoloured(&Look::draw(recipe.seed, index)));
    let mut inputs = Vec::with_capacity(recipe.look_variants + 1);
    for clip in std::iter::once(clip.clone()).chain(looks) {
        inputs.push(TrainInput {
            latents: base.encode(&clip.frames)?,
            condition: base.condition(&clip.frames[0], &clip)?,
            text: base.text.clone(),
            image: base.image.clone(),
            loss_weight: None,
        });
        if progress.even_step(inputs.len(), recipe.look_variants + 1) {
            return Ok(None);
        }
    }
    Ok(Some(inputs))
}
