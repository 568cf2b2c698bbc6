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
    let late = error(IngestSettings { keys: FrameRange::of([1002]), ..settings() });
    assert_eq!((late.kind(), late), (FailureKind::Usage, IngestError::Key { key: 1002, first: 1001 }));
    let long = error(IngestSettings { frames: FrameRange::span(1001, 1500), ..settings() });
    assert_eq!(long, IngestError::TooLong { frames: 500, most: ModelGeometry::default().most_frames });

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
