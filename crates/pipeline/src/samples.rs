//! What an adapter is trained on.

use std::collections::BTreeSet;

use lora_edit_adapt::TrainInput;
use lora_edit_shot::Frame;
use lora_edit_shot::job::Recipe;
use lora_edit_shot::package::{EditPackage, Reference, ShotPackage};

use crate::base::Base;
use crate::carried::Carrier;
use crate::clip::Clip;
use crate::failure::JobError;
use crate::looks::Look;
use crate::progress::Progress;
use crate::told::Picture;
use crate::windows;

/// What each step of a training learns from.
pub(crate) struct Samples {
    all: Vec<TrainInput>,
    /// The sample of each step, over and over.
    order: Vec<usize>,
}

impl Samples {
    /// `all` of them, as `order` says, which must name samples that there are; the shot's first window comes first of all.
    pub fn new(all: Vec<TrainInput>, order: Vec<usize>) -> Self {
        Self { all, order }
    }

    /// What `step`, from 0, learns from.
    pub fn at(&self, step: usize) -> TrainInput {
        self.all[self.order[step % self.order.len()]].clone()
    }

    /// The shot's first window, as it is.
    pub fn first_window(&self) -> &TrainInput {
        &self.all[0]
    }
}

/// The shot's windows, plain and in recoloured variants, encoded once; `most` of them at most, the plain ones first.
/// `None` when stopped meanwhile.
pub(crate) fn of_shot(
    base: &Base,
    shot: &ShotPackage,
    recipe: &Recipe,
    most: usize,
    mut carrier: Option<&mut Carrier>,
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
        let shown = match carrier.as_deref_mut().filter(|_| recipe.carry) {
            Some(carrier) => carrier.draft(shot, window, &clip, progress).transpose()?,
            None => Some(clip.clone()),
        };
        let aim = match carrier.as_deref_mut().filter(|_| recipe.carry && look.is_some()) {
            Some(carrier) => carrier.aim(shot, window, &clip, progress),
            None => Some(clip.frames.clone()),
        };
        let (Some(shown), Some(aim)) = (shown, aim) else { return Ok(None) };
        inputs.push(input(base, &shown.showing(recipe.shown), &aim, Picture::Plate(window.first))?);
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
        let position = shot.info.frames.position(number)?;
        let plate = &shot.frames[position];
        let clip = Clip::still(plate.source.clone(), plate.generation_mask.clone());
        Some((clip, painted.clone(), Picture::Plate(position)))
    };
    let reference = |reference: &Reference| {
        // There is no unedited picture of it.
        let clip = Clip::still(reference.picture.clone(), reference.mask.clone());
        (clip, reference.picture.clone(), Picture::Plate(0))
    };
    let examples = edit.later_keys().filter_map(key).chain(edit.references.iter().map(reference));
    examples.map(|(clip, painted, picture)| input(base, &clip, &[painted], picture)).collect()
}

/// The pictures that [`of_shot`] and [`of_edit`] need states of.
pub(crate) fn pictures(shot: &ShotPackage, edit: Option<&EditPackage>, recipe: &Recipe) -> Vec<Picture> {
    let windows = windows::training(shot.frames.len(), recipe.train_window, recipe.reversed);
    let of_shot = windows.iter().map(|window| Picture::Plate(window.first));
    let edit = edit.filter(|_| recipe.stage2_epochs > 0);
    let keys = edit.into_iter().flat_map(EditPackage::later_keys);
    let of_keys = keys.filter_map(|(number, _)| shot.info.frames.position(number)).map(Picture::Plate);
    of_shot.chain(of_keys).chain([Picture::Plate(0)]).collect::<BTreeSet<_>>().into_iter().collect()
}

fn input(base: &Base, clip: &Clip, target: &[Frame], picture: Picture) -> Result<TrainInput, JobError> {
    Ok(TrainInput {
        latents: base.encode(target)?,
        condition: base.condition(clip)?,
        text: base.text.clone(),
        image: base.image(picture).cloned(),
        loss_weight: None,
    })
}
