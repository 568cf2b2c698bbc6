//! The fastest mode that fits.

use super::{LEAST_WINDOW, Machine, Memory, Mode, Networks, Plan, Refusal, Residency, Task, Work};
use crate::vae_tiles::Tiling;

/// Sides of VAE tiles to try, in pixels: smaller ones share more and look more different from the whole picture.
const TILES: [usize; 5] = [512, 384, 256, 192, 128];

/// The fastest way to do `work` within `limit` bytes; for a training with the largest window that fits, up to the clip.
///
/// Blocks in memory before blocks from their file, keeping before computing anew, whole pictures before tiles.
///
/// # Errors
/// When nothing fits; says what would.
pub fn choose(
    work: &Work,
    networks: &Networks,
    machine: Machine,
    limit: Option<u64>,
) -> Result<Plan, Box<Refusal>> {
    let fits = |plan: &Plan| limit.is_none_or(|limit| plan.peak() <= limit);
    let plan = modes(work).map(|mode| Plan { limit, ..Plan::of(work, networks, machine, mode) }).find(fits);
    plan.ok_or_else(|| Box::new(Refusal::of(work, networks, machine, limit.unwrap_or(u64::MAX))))
}

/// Every way, the best first.
pub(super) fn modes(work: &Work) -> impl Iterator<Item = Mode> + use<> {
    let (training, windows) = match work.task {
        Task::Generate { .. } => (false, vec![work.frames]),
        Task::Train { window: Some(window), .. } => (true, vec![window]),
        Task::Train { window: None, .. } => (true, windows(work.frames)),
    };
    let tilings = tilings(work.height.max(work.width));
    windows.into_iter().flat_map(move |window| {
        let tilings = tilings.clone();
        memories(training).into_iter().flat_map(move |memory| {
            tilings.clone().into_iter().map(move |tiling| Mode { memory, tiling, window })
        })
    })
}

/// Streamed blocks are always trained by computing anew: what is kept for a gradient would keep their weights too.
fn memories(training: bool) -> Vec<Memory> {
    let of = |residency, recompute| Memory { residency, recompute };
    match training {
        true => {
            vec![of(Residency::Resident, false), of(Residency::Resident, true), of(Residency::Streamed, true)]
        }
        false => vec![of(Residency::Resident, false), of(Residency::Streamed, false)],
    }
}

/// 4n+1 frames from the clip's down to [`LEAST_WINDOW`], or the clip's alone where it is shorter.
fn windows(frames: usize) -> Vec<usize> {
    let shorter = (LEAST_WINDOW..frames).rev().filter(|window| window % 4 == 1);
    std::iter::once(frames).chain(shorter).collect()
}

fn tilings(longer_side: usize) -> Vec<Option<Tiling>> {
    let smaller = TILES.into_iter().filter(|&side| side < longer_side);
    std::iter::once(None).chain(smaller.map(|side| Some(Tiling::square(side)))).collect()
}
