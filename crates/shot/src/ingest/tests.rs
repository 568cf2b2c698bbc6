use super::*;

const SIZE: [u32; 2] = [96, 80];

fn settings() -> IngestSettings {
    IngestSettings {
        frames: FrameRange::span(1001, 1003),
        keys: FrameRange::of([1001]),
        input_space: ColourSpace::Linear,
        edit_space: ColourSpace::Linear,
        mask: MaskOptions::default(),
        model: ModelGeometry::default(),
    }
}

fn plate(level: f32) -> Frame {
    Frame::from_fn(96, 80, 4, |x, y, p| {
        p.copy_from_slice(&[level * x as f32 / 96.0, level * y as f32 / 80.0, 0.2, 1.0]);
    })
}

fn mask_at(x1: usize, x2: usize) -> Frame {
    Frame::from_fn(96, 80, 1, |x, y, p| p[0] = f32::from((x1..x2).contains(&x) && (30..40).contains(&y)))
}

fn taken_in(settings: IngestSettings, level: f32, painted: &Frame) -> Result<Ingested, IngestError> {
    let masks = [mask_at(30, 40), mask_at(34, 44), mask_at(38, 48)];
    let mut pass = MaskPass::new(settings, SIZE)?;
    for (frame, mask) in (1001..).zip(&masks) {
        pass.mask(frame, mask)?;
    }
    let mut ingest = pass.plan()?;
    for (frame, mask) in (1001..).zip(&masks) {
        ingest.source(frame, &plate(level), Some(mask))?;
    }
    ingest.key(1001, painted)?;
    ingest.finish()
}

#[test]
fn the_crop_holds_the_masks_of_all_frames() {
    let ingested = taken_in(settings(), 1.0, &plate(1.0)).unwrap();
    let fit = ingested.shot.info.fit;
    assert!(fit.crop.contains(&Rect::new(30, 30, 48, 40)));
    assert!(fit.working_size.iter().all(|side| side % 16 == 0));
    assert!(ingested.warnings.is_empty(), "{:?}", ingested.warnings);
}

#[test]
fn the_generation_mask_covers_the_comp_mask_with_a_margin() {
    let ingested = taken_in(settings(), 1.0, &plate(1.0)).unwrap();
    for frame in &ingested.shot.frames {
        let soft = frame.comp_mask.data.iter().filter(|v| **v > 0.0).count();
        let grown = frame.generation_mask.data.iter().filter(|v| **v == 1.0).count();
        assert!(grown > soft && soft > 0);
        let covered = |(soft, grown): (&f32, &f32)| *soft == 0.0 || *grown == 1.0;
        assert!(frame.comp_mask.data.iter().zip(&frame.generation_mask.data).all(covered));
    }
}

#[test]
fn values_above_one_choose_the_log_space_and_all_codes_fit_the_model() {
    for (level, expected) in [(1.0, WorkingSpace::Srgb), (8.0, WorkingSpace::LogC3)] {
        let shot = taken_in(settings(), level, &plate(level)).unwrap().shot;
        assert_eq!(shot.info.working_space, expected);
        assert!(shot.frames.iter().all(|f| f.source.data.iter().all(|v| (0.0..=1.0).contains(v))));
    }
}

#[test]
fn a_repainted_frame_changes_the_edit_and_not_the_shot() {
    let one = taken_in(settings(), 1.0, &plate(1.0)).unwrap();
    let mut painted = plate(1.0);
    painted.pixel_mut(35, 35)[0] = 0.9;
    let other = taken_in(settings(), 1.0, &painted).unwrap();
    assert_eq!(one.shot.id(), other.shot.id());
    assert_ne!(one.edit.unwrap().id(), other.edit.unwrap().id());
}

#[test]
fn a_painting_in_the_wrong_space_is_noticed_and_the_right_one_named() {
    let mut painted = plate(1.0);
    colour::frame_to_working(&mut painted, ColourSpace::Linear, WorkingSpace::Srgb);
    let ingested = taken_in(settings(), 1.0, &painted).unwrap();
    assert_eq!(ingested.warnings.len(), 1);
    assert!(ingested.warnings[0].contains("1001") && ingested.warnings[0].contains("looks like srgb"));
    let right = IngestSettings { edit_space: ColourSpace::Srgb, ..settings() };
    assert!(taken_in(right, 1.0, &painted).unwrap().warnings.is_empty());
}

#[test]
fn without_masks_the_whole_frame_is_edited() {
    let mut ingest = MaskPass::new(settings(), SIZE).unwrap().plan().unwrap();
    (1001..=1003).for_each(|frame| ingest.source(frame, &plate(1.0), None).unwrap());
    ingest.key(1001, &plate(0.5)).unwrap();
    let ingested = ingest.finish().unwrap();
    assert!(ingested.shot.info.fit.crop.contains(&Rect::of_size(SIZE)));
    assert!(ingested.shot.frames.iter().all(|f| f.generation_mask.data.iter().all(|v| *v == 1.0)));
}

#[test]
fn what_cannot_be_done_says_so() {
    let error = |settings: IngestSettings| MaskPass::new(settings, SIZE).unwrap_err();
    let late = error(IngestSettings { keys: FrameRange::of([1002, 1004]), ..settings() });
    let frames = FrameRange::span(1001, 1003);
    assert_eq!((late.kind(), late), (FailureKind::Usage, IngestError::Key { key: 1004, frames }));
    let none = error(IngestSettings { frames: FrameRange::default(), ..settings() });
    assert_eq!((none.kind(), none), (FailureKind::Usage, IngestError::NoFrames));

    let mut pass = MaskPass::new(settings(), SIZE).unwrap();
    (1001..=1003).for_each(|frame| pass.mask(frame, &Frame::new(96, 80, 1)).unwrap());
    let empty = pass.plan().unwrap_err();
    assert_eq!(empty.kind(), FailureKind::InputFrame);
    assert!(empty.to_string().contains("1001-1003"));

    let mut ingest = MaskPass::new(settings(), SIZE).unwrap().plan().unwrap();
    let small = ingest.source(1002, &Frame::new(95, 80, 3), None).unwrap_err();
    assert!(small.to_string().contains("1002") && small.to_string().contains("95x80"), "{small}");
    ingest.source(1001, &plate(1.0), None).unwrap();
    let absent = ingest.finish().unwrap_err();
    assert_eq!(absent, IngestError::Absent { what: "source", frame: 1002 });
}

#[test]
fn a_job_without_an_edit_is_a_training_with_the_same_adapter() {
    let ingested = taken_in(settings(), 1.0, &plate(1.0)).unwrap();
    let base = BaseModel { name: "m".into(), folder: "m".into(), fingerprint: "f".into() };
    let job = |of: &Ingested| job_for(of, &base, None, Recipe::default(), Sampling::default());
    let (both, alone) = (job(&ingested), job(&Ingested { edit: None, ..ingested.clone() }));
    assert_eq!(both.adapter, alone.adapter);
    assert!(both.result.is_some() && alone.result.is_none());
}

/// The shot of [`settings`], painted at `keys` and with `references`.
fn painted_at(keys: &[i32], references: &[Frame]) -> Result<Ingested, IngestError> {
    let settings = IngestSettings { keys: FrameRange::of(keys.iter().copied()), ..settings() };
    let mut ingest = MaskPass::new(settings, SIZE)?.plan()?;
    (1001..=1003).try_for_each(|frame| ingest.source(frame, &plate(1.0), Some(&mask_at(30, 40))))?;
    keys.iter().try_for_each(|key| ingest.key(*key, &plate(*key as f32 / 1001.0)))?;
    references.iter().try_for_each(|still| ingest.reference(still))?;
    ingest.finish()
}

/// A still of another size than the plate; what counts of it is a box.
fn still(level: f32) -> Frame {
    Frame::from_fn(200, 150, 4, |x, y, p| {
        let inside = (90..130).contains(&x) && (40..80).contains(&y);
        p.copy_from_slice(&[level, 0.3, 0.1, f32::from(inside)]);
    })
}

fn job_of(ingested: &Ingested) -> Job {
    let base = BaseModel { name: "m".into(), folder: "m".into(), fingerprint: "f".into() };
    let recipe = Recipe { stage2_epochs: Recipe::STAGE2_EPOCHS, ..Recipe::default() };
    job_for(ingested, &base, None, recipe, Sampling::default())
}

#[test]
fn later_keys_and_references_are_learnt_in_a_second_stage() {
    let one = job_of(&painted_at(&[1001], &[]).unwrap());
    assert_eq!(one.first_stage, None);
    let two = job_of(&painted_at(&[1001, 1003], &[]).unwrap());
    assert_eq!(two.first_stage.as_ref(), Some(&one.adapter), "stage 1 is that of the shot");
    assert_ne!((&two.adapter, &two.result), (&one.adapter, &one.result));
    let referred = job_of(&painted_at(&[1001], &[still(0.5)]).unwrap());
    assert_eq!(referred.first_stage.as_ref(), Some(&one.adapter));
    assert_ne!(referred.adapter, job_of(&painted_at(&[1001], &[still(0.6)]).unwrap()).adapter);
}

#[test]
fn a_repainted_first_key_leaves_both_stages_as_they_are() {
    let one = painted_at(&[1001, 1003], &[]).unwrap();
    let mut other = one.clone();
    other.edit.as_mut().unwrap().frames[0].data[0] = 0.75;
    let (before, after) = (job_of(&one), job_of(&other));
    assert_eq!((&before.adapter, &before.first_stage), (&after.adapter, &after.first_stage));
    assert_ne!(before.result, after.result);
    other.edit.as_mut().unwrap().frames[1].data[0] = 0.75;
    let later = job_of(&other);
    assert_ne!(before.adapter, later.adapter, "a repainted later key is learnt anew");
    assert_eq!(before.first_stage, later.first_stage);
}

#[test]
fn a_reference_is_cut_out_round_its_alpha_at_a_size_the_model_takes() {
    let edit = painted_at(&[1001], &[still(0.5)]).unwrap().edit.unwrap();
    let reference = &edit.references[0];
    assert_eq!(reference.picture.size(), reference.mask.size());
    assert!(reference.picture.size().iter().all(|side| side % 16 == 0));
    let inside = reference.mask.data.iter().filter(|value| **value == 1.0).count();
    assert!(inside > 40 * 40 && inside < reference.mask.data.len() / 2, "{inside}");
    let mut whole = painted_at(&[1001], &[Frame::filled(64, 64, &[0.5; 3])]).unwrap_err();
    assert_eq!((whole.kind(), &whole), (FailureKind::InputFrame, &IngestError::NoAlpha(1)));
    whole = painted_at(&[1001], &[still(0.5), Frame::filled(64, 64, &[0.0; 4])]).unwrap_err();
    assert_eq!(whole, IngestError::NoAlpha(2));
}

#[test]
fn a_recipe_suits_itself_to_length_and_keys() {
    let frames = FrameRange::span(1001, 1100);
    let recipe = |keys: &[i32], window: usize, most: usize| {
        let recipe = Recipe { train_window: window, ..Recipe::default() };
        recipe.for_shot(&frames, &FrameRange::of(keys.iter().copied()), most)
    };
    let seen = |recipe: Recipe| (recipe.train_window, recipe.reversed);
    assert_eq!(seen(recipe(&[1001], 0, 200)), (0, false));
    assert_eq!(seen(recipe(&[1001, 1050], 0, 33)), (0, false));
    assert_eq!(seen(recipe(&[1002], 9, 33)), (9, true));
    assert_eq!(seen(recipe(&[], 81, 33)), (33, false));
    assert_eq!([1, 5, 8, 10, 12, 13].map(|window| recipe(&[], window, 33).train_window), [5, 5, 5, 9, 9, 13]);
}
