//! What is said where nothing fits.

use std::fmt;

use super::choose::modes;
use super::size::{GIB, show_bytes};
use super::table::{mode_words, work_words};
use super::{LEAST_WINDOW, Machine, Networks, Plan, Task, Work};

/// No way to do a work fits; what would.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What there was.
    pub limit: u64,
    /// The way that holds least.
    pub least: Plan,
    /// The same work at the largest smaller picture that would fit, the shape about kept.
    pub smaller: Option<Work>,
    /// The same work with the most frames that would fit; of a training with a set window, with the longest that would.
    pub shorter: Option<Work>,
}

impl std::error::Error for Refusal {}

impl Refusal {
    pub(super) fn of(work: &Work, networks: &Networks, machine: Machine, limit: u64) -> Self {
        let fits = |work: &Work| least(work, networks, machine).peak() <= limit;
        Self {
            limit,
            least: least(work, networks, machine),
            smaller: smaller(work).find(fits),
            shorter: shorter(work).find(fits),
        }
    }
}

/// The way that holds least; of several the first, which is the fastest.
fn least(work: &Work, networks: &Networks, machine: Machine) -> Plan {
    let plans = modes(work).map(|mode| Plan::of(work, networks, machine, mode));
    let smaller = |best: Plan, plan: Plan| if plan.peak() < best.peak() { plan } else { best };
    plans.reduce(smaller).unwrap_or_else(|| unreachable!("the whole clip is always a way"))
}

/// The work at 15/16, 14/16 ... of its sides, in multiples of 16 pixels.
fn smaller(work: &Work) -> impl Iterator<Item = Work> + use<> {
    let work = *work;
    let side = |side: usize, sixteenths: usize| (side * sixteenths / 16 / 16).max(1) * 16;
    (2..16).rev().map(move |part| Work {
        height: side(work.height, part),
        width: side(work.width, part),
        held: work.held * (part * part) as u64 / 256,
        ..work
    })
}

/// The work with 4n+1 frames, fewer and fewer; of a training whose window the user set, with a shorter one.
fn shorter(work: &Work) -> impl Iterator<Item = Work> + use<> {
    let work = *work;
    let (longest, least) = match work.task {
        Task::Generate { .. } => (work.frames, 1),
        Task::Train { window: Some(window), .. } => (window, LEAST_WINDOW),
        // All windows have been tried.
        Task::Train { window: None, .. } => (0, 0),
    };
    let frames = (least..longest).rev().filter(|frames| frames % 4 == 1);
    frames.map(move |frames| match work.task {
        Task::Generate { .. } => {
            let held = work.held * frames as u64 / work.frames.max(1) as u64;
            Work { frames, held, ..work }
        }
        Task::Train { adapter, .. } => Work { task: Task::Train { adapter, window: Some(frames) }, ..work },
    })
}

/// `33 frames`, or `windows of 9`
fn length_words(work: &Work) -> String {
    match work.task {
        Task::Train { window: Some(window), .. } => format!("windows of {window}"),
        _ => format!("{} frames", work.frames),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (work, least) = (work_words(&self.least.work), &self.least);
        // Rounded up, so that what is named is enough.
        let (limit, peak) = (show_bytes(self.limit), show_bytes(least.peak().next_multiple_of(GIB / 10)));
        write!(f, "{limit} of memory are too little to {work}: the least is {peak} ({})", mode_words(least))?;
        let shorter = self.shorter.as_ref().map(length_words);
        let smaller = self.smaller.map(|work| format!("{}x{}", work.width, work.height));
        match (smaller, shorter) {
            (Some(smaller), Some(shorter)) => write!(f, "; {smaller}, or {shorter}, would fit"),
            (Some(size), None) | (None, Some(size)) => write!(f, "; {size} would fit"),
            (None, None) => write!(f, "; no smaller picture and no shorter clip would fit"),
        }
    }
}
