//! Packages: what is read is what was written, and ids say so.
#![allow(clippy::unwrap_used)] // helpers of tests may panic too

use lora_edit_shot::job::{BaseRef, Recipe, Sampling};
use lora_edit_shot::package::{
    EditPackage, PackageError, Reference, ResultInfo, ShotFrame, ShotInfo, ShotPackage, frame_file,
};
use lora_edit_shot::{
    AdapterId, ColourSpace, Fit, Frame, FrameRange, Rect, ShotId, WorkingSpace, image_io, mask,
};

fn picture(size: [u32; 2], seed: f32) -> Frame {
    Frame::from_fn(size[0] as usize, size[1] as usize, 3, |x, y, p| {
        p.copy_from_slice(&[(x as f32 * 0.37 + seed).sin(), y as f32 / 77.0, seed * 1.0001]);
    })
}

fn shot() -> ShotPackage {
    let fit = Fit::plan([200, 120], Rect::new(60, 40, 110, 80), 192 * 128, 16, 0.25);
    let frames = FrameRange::parse("1001-1003").unwrap();
    let [w, h] = fit.working_size.map(|side| side as usize);
    let soft = Frame::from_fn(w, h, 1, |x, y, p| p[0] = if x > 9 && y > 9 && x < 30 { 0.3337 } else { 0.0 });
    let frame = |number: i32| ShotFrame {
        number,
        source: picture(fit.working_size, number as f32 / 1000.0),
        comp_mask: soft.clone(),
        generation_mask: mask::generation(&soft, 3),
    };
    let pictures = frames.iter().map(frame).collect();
    let (input_space, working_space) = (ColourSpace::Linear, WorkingSpace::LogC3);
    ShotPackage { info: ShotInfo { fit, frames, input_space, working_space }, frames: pictures }
}

#[test]
fn a_shot_reads_back_with_the_same_id() {
    let (dir, shot) = (tempfile::tempdir().unwrap(), shot());
    shot.write(dir.path()).unwrap();
    let read = ShotPackage::read(dir.path()).unwrap();
    assert_eq!(read.info, shot.info);
    assert_eq!(read.id(), shot.id(), "the id is that of the stored halves");
    assert_eq!(read.frames[2].generation_mask, shot.frames[2].generation_mask);
    let far = |a: &Frame, b: &Frame| a.data.iter().zip(&b.data).any(|(a, b)| (a - b).abs() > 1e-3);
    assert!(!far(&read.frames[1].source, &shot.frames[1].source));
    assert!(!far(&read.frames[1].comp_mask, &shot.frames[1].comp_mask));
    assert_eq!(ShotInfo::read(dir.path()).unwrap(), shot.info);
}

#[test]
fn whatever_changes_the_shot_changes_its_id() {
    let id = shot().id();
    let changes: [fn(&mut ShotPackage); 8] = [
        |shot| shot.frames[1].source.pixel_mut(3, 3)[2] += 0.01,
        |shot| shot.frames[2].comp_mask.data[0] = 0.5,
        |shot| shot.frames[0].generation_mask.data[0] = 1.0,
        |shot| shot.info.fit.crop.x1 += 1,
        |shot| shot.info.input_space = ColourSpace::Srgb,
        |shot| shot.info.working_space = WorkingSpace::Srgb,
        |shot| shot.info.frames = FrameRange::span(1002, 1004),
        |shot| shot.frames.swap(0, 1),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut other = shot();
        change(&mut other);
        assert_ne!(other.id(), id, "change {index}");
    }
    assert_eq!(shot().id(), id);
}

#[test]
fn viewers_see_the_comp_mask_as_alpha() {
    let (dir, shot) = (tempfile::tempdir().unwrap(), shot());
    shot.write(dir.path()).unwrap();
    let seen = image_io::read_frame(&dir.path().join("mask.1002.exr")).unwrap();
    assert_eq!(seen.channels, 1);
    assert!((seen.pixel(12, 12)[0] - 0.3337).abs() < 1e-3);
}

#[test]
fn an_edit_reads_back_with_the_same_id() {
    let dir = tempfile::tempdir().unwrap();
    let keys = FrameRange::parse("1001,1042").unwrap();
    let edit = EditPackage {
        keys,
        frames: vec![picture([64, 64], 0.2), picture([64, 64], 0.9)],
        references: Vec::new(),
    };
    edit.write(dir.path()).unwrap();
    let read = EditPackage::read(dir.path()).unwrap();
    assert_eq!((read.id(), &read.keys), (edit.id(), &edit.keys));
    assert_eq!(read.at(1042), Some(&read.frames[1]));
    assert_eq!(read.at(1002), None);
    let moved = EditPackage { keys: FrameRange::parse("1001,1043").unwrap(), ..edit.clone() };
    assert_ne!(moved.id(), edit.id());
}

#[test]
fn a_result_gives_its_picture_at_the_size_of_the_crop() {
    let (dir, shot) = (tempfile::tempdir().unwrap(), shot());
    let base = BaseRef { name: "nano".into(), fingerprint: "f".into(), model_dir: None };
    let recipe = Recipe::default();
    let edit = EditPackage {
        keys: FrameRange::span(1001, 1001),
        frames: vec![picture([8, 8], 0.0)],
        references: Vec::new(),
    }
    .id();
    let info = ResultInfo {
        adapter: AdapterId::new(&shot.id(), &base.fingerprint, &recipe),
        shot: shot.id(),
        edit,
        job: None,
        base,
        recipe,
        sampling: Sampling::default(),
        info: shot.info.clone(),
    };
    info.write(dir.path()).unwrap();
    let generated = ResultInfo::generated_path(dir.path(), 1002);
    assert!(generated.ends_with("generated.1002.exr"));
    let picture = Frame::filled(shot.frames[0].source.width, shot.frames[0].source.height, &[7.5, 0.5, 0.25]);
    image_io::write_exr_half(&generated, &picture).unwrap();
    let read = ResultInfo::read(dir.path()).unwrap();
    assert_eq!((read.id(), &read), (info.id(), &info));
    let crop = read.read_generated(dir.path(), 1002).unwrap();
    assert_eq!(crop.picture.size(), shot.info.fit.crop_size());
    assert!((crop.picture.pixel(5, 5)[0] - 7.5).abs() < 1e-3, "values above 1 are kept");
    assert_eq!(crop.surface, None);
    let surface = Frame::filled(picture.width, picture.height, &[0.5, 0.25, 2.0, 0.75]);
    image_io::write_exr_half(&ResultInfo::surface_path(dir.path(), 1002), &surface).unwrap();
    let surface = read.read_generated(dir.path(), 1002).unwrap().surface.unwrap();
    assert_eq!(
        (surface.size(), surface.pixel(5, 5)),
        (shot.info.fit.crop_size(), &[0.5, 0.25, 2.0, 0.75][..])
    );
    assert!(matches!(read.read_generated(dir.path(), 1003), Err(PackageError::Image(e)) if e.is_missing()));
    let other =
        ResultInfo { sampling: Sampling { without_adapter: true, ..Sampling::default() }, ..info.clone() };
    assert_ne!(other.id(), info.id());
}

#[test]
fn broken_packages_are_named() {
    let (dir, shot) = (tempfile::tempdir().unwrap(), shot());
    shot.write(dir.path()).unwrap();
    let says = |part: &str| {
        let error = ShotPackage::read(dir.path()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    image_io::write_exr_half(&dir.path().join(frame_file("source", 1003)), &picture([16, 16], 0.0)).unwrap();
    says("frame 1003: frame is 16x16");
    std::fs::remove_file(dir.path().join("mask.1002.exr")).unwrap();
    says("mask.1002.exr: no such file");
    std::fs::write(dir.path().join("shot.json"), "{\"version\":9}").unwrap();
    says("shot.json");
    std::fs::remove_file(dir.path().join("shot.json")).unwrap();
    says("shot.json");
}

#[test]
fn a_picture_of_the_wrong_size_is_not_written() {
    let (dir, mut shot) = (tempfile::tempdir().unwrap(), shot());
    shot.frames[1].source = picture([32, 32], 0.0);
    assert!(shot.write(dir.path()).unwrap_err().to_string().starts_with("frame 1002: "));
}

#[test]
fn a_later_version_is_refused() {
    let (dir, shot) = (tempfile::tempdir().unwrap(), shot());
    shot.write(dir.path()).unwrap();
    let path = dir.path().join("shot.json");
    let text = std::fs::read_to_string(&path).unwrap().replacen("\"version\": 1", "\"version\": 2", 1);
    std::fs::write(&path, text).unwrap();
    let error = ShotPackage::read(dir.path()).unwrap_err().to_string();
    assert!(error.contains("version 2"), "{error}");
}

#[test]
fn frame_files_sort_as_their_numbers() {
    assert_eq!(frame_file("source", 7), "source.0007.exr");
    assert_eq!(frame_file("source", 1001), "source.1001.exr");
    assert_eq!(frame_file("source", -3), "source.-003.exr");
    assert!(ShotId::parse("x").is_err());
}

#[test]
fn references_are_kept_with_the_edit() {
    let dir = tempfile::tempdir().unwrap();
    let mask = Frame::from_fn(48, 32, 1, |x, _, p| p[0] = f32::from(x > 20));
    let reference = Reference { picture: picture([48, 32], 0.4), mask };
    let edit = EditPackage {
        keys: FrameRange::span(1001, 1001),
        frames: vec![picture([64, 64], 0.2)],
        references: vec![reference],
    };
    edit.write(dir.path()).unwrap();
    let read = EditPackage::read(dir.path()).unwrap();
    assert_eq!((read.id(), read.examples()), (edit.id(), edit.examples()));
    assert_eq!(read.references[0].mask, edit.references[0].mask);
    let without = EditPackage { references: Vec::new(), ..edit };
    assert_ne!(read.id(), without.id());
    assert_eq!(without.examples(), None);
}
