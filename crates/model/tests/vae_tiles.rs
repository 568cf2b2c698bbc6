//! The VAE in tiles: the same bits where one tile holds the picture, no seams and a small error where several do.
#![allow(clippy::unwrap_used)] // a test may panic

use std::path::PathBuf;

use candle_core::{Device, Tensor};
use lora_edit_model::{Tiling, WanVae};

mod support;
use support::Fixture;

fn nano() -> WanVae {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../bundle/models/nano/vae");
    WanVae::open(&folder).unwrap()
}

/// Something like a view: soft shading, texture, and a disc with a hard edge that moves, (1, 3, frames, rows, columns).
fn view([frames, rows, columns]: [usize; 3]) -> Tensor {
    let mut values = Vec::new();
    for channel in 0..3 {
        for frame in 0..frames {
            for row in 0..rows {
                for column in 0..columns {
                    let (c, t) = (channel as f32, frame as f32);
                    let (x, y) = (column as f32 - 2.0 * t, row as f32);
                    let shade = 0.4 * (x / 70.0 + c).sin() * (y / 45.0 - 0.5 * c).cos();
                    let texture = 0.12 * (x / 3.1 + y / 7.3).sin() + 0.08 * (x * y / 900.0).sin();
                    let (dx, dy) = (x - 0.55 * columns as f32, y - 0.5 * rows as f32);
                    let disc = if dx.hypot(dy) < 0.27 * rows as f32 { 0.35 - 0.25 * c } else { 0.0 };
                    values.push(shade + texture + disc);
                }
            }
        }
    }
    Tensor::from_vec(values, (1, 3, frames, rows, columns), &Device::Cpu).unwrap()
}

fn mean_square(a: &Tensor, b: &Tensor) -> f64 {
    f64::from((a - b).unwrap().sqr().unwrap().mean_all().unwrap().to_scalar::<f32>().unwrap())
}

/// Against a peak of 2, from -1 to 1.
fn psnr(a: &Tensor, b: &Tensor) -> f64 {
    10.0 * (4.0 / mean_square(a, b)).log10()
}

/// The error over what is there, in dB.
fn relative_db(found: &Tensor, expected: &Tensor) -> f64 {
    10.0 * (mean_square(found, expected) / mean_square(expected, &expected.zeros_like().unwrap())).log10()
}

fn bits(t: &Tensor) -> Vec<u32> {
    t.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

#[test]
fn a_picture_that_one_tile_holds_gives_the_same_bits() {
    let video = view([5, 64, 96]);
    let whole = nano();
    let latent = whole.encode(&video).unwrap();
    let tiled = nano().with_tiling(Some(Tiling { tile: [64, 96], overlap: 16 }));
    assert_eq!(bits(&tiled.encode(&video).unwrap()), bits(&latent));
    assert_eq!(bits(&tiled.decode(&latent).unwrap()), bits(&whole.decode(&latent).unwrap()));
}

#[test]
fn several_tiles_come_close_to_the_whole_picture() {
    let video = view([9, 192, 320]);
    let whole = nano();
    let latent = whole.encode(&video).unwrap();
    let decoded = whole.decode(&latent).unwrap();
    let own = psnr(&decoded, &video);
    // nano's encoder sees about 70 pixels around, so a tile's edge is felt in the latent: 46 dB down.
    for (side, overlap, of_decoding, of_encoding) in [(96, 24, 50.0, -40.0), (128, 32, 50.0, -40.0)] {
        let tiled = nano().with_tiling(Some(Tiling { tile: [side; 2], overlap }));
        let (latent_tiled, decoded_tiled) = (tiled.encode(&video).unwrap(), tiled.decode(&latent).unwrap());
        let both = psnr(&tiled.decode(&latent_tiled).unwrap(), &video);
        let (encoding, decoding) = (relative_db(&latent_tiled, &latent), psnr(&decoded_tiled, &decoded));
        println!(
            "tiles of {side}, {overlap} shared: decoded {decoding:.1} dB to the whole, latent {encoding:.1} dB; \
             there and back {both:.2} dB, whole {own:.2} dB"
        );
        assert!(decoding > of_decoding && encoding < of_encoding, "{decoding} dB, {encoding} dB");
        assert!(both > own - 0.1, "there and back: {both} dB tiled, {own} dB whole");
    }
}

/// The change from one column to the next in each column, as a mean over all rows, channels and frames.
fn steps(video: &Tensor) -> Vec<f32> {
    let columns = video.dim(4).unwrap();
    let steps =
        (video.narrow(4, 1, columns - 1).unwrap() - video.narrow(4, 0, columns - 1).unwrap()).unwrap();
    steps.abs().unwrap().mean((0, 1, 2, 3)).unwrap().to_vec1().unwrap()
}

#[test]
fn no_seam_shows_where_tiles_meet() {
    let video = view([5, 96, 320]);
    let latent = nano().encode(&video).unwrap();
    let whole = nano().decode(&latent).unwrap();
    let tiled = nano().with_tiling(Some(Tiling { tile: [96, 128], overlap: 32 })).decode(&latent).unwrap();
    // 320 columns in three tiles of 128, 96 apart.
    let (steps_whole, steps_tiled) = (steps(&whole), steps(&tiled));
    let added = |columns: &mut dyn Iterator<Item = usize>| {
        let (sum, count) = columns
            .fold((0.0, 0), |(sum, count), c| (sum + f64::from(steps_tiled[c] / steps_whole[c]), count + 1));
        sum / f64::from(count)
    };
    let joins = || [96..128, 192..224].into_iter().flatten();
    let (at_joins, elsewhere) = (added(&mut joins()), added(&mut (0..90).chain(135..185).chain(230..319)));
    let steepest = joins().map(|c| steps_tiled[c] / steps_whole[c]).fold(0f32, f32::max);
    println!(
        "steps over the whole picture's: {at_joins:.3} at joins, steepest {steepest:.3}, {elsewhere:.3} elsewhere"
    );
    assert!((at_joins / elsewhere - 1.0).abs() < 0.02, "{at_joins} at joins, {elsewhere} elsewhere");
    assert!(steepest < 1.1, "{steepest}");
}

#[test]
fn every_layout_and_odd_sizes_work() {
    for name in ["vae_21", "vae_patch", "vae_22"] {
        let fixture = Fixture::read(name);
        let load = || WanVae::load(&fixture.diffusers_weights(), fixture.config()).unwrap();
        let (whole, factor) = (load(), load().config().spatial_factor());
        let video = view([5, 7 * factor, 11 * factor]);
        let latent = whole.encode(&video).unwrap();
        for (tile, overlap) in [([4 * factor, 5 * factor], 2 * factor), ([3 * factor + 5, 100 * factor], 7)] {
            let tiled = load().with_tiling(Some(Tiling { tile, overlap }));
            let (found, decoded) = (tiled.encode(&video).unwrap(), tiled.decode(&latent).unwrap());
            assert_eq!((found.dims(), decoded.dims()), (latent.dims(), video.dims()), "{name}");
            let expected = whole.decode(&latent).unwrap();
            let (encoding, decoding) = (relative_db(&found, &latent), relative_db(&decoded, &expected));
            println!("{name}, tiles {tile:?}: latent {encoding:.1} dB, decoded {decoding:.1} dB");
            assert!(encoding < -5.0 && decoding < -7.0, "{name} {tile:?}: {encoding} dB, {decoding} dB");
        }
    }
}
