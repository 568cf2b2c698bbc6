//! Which frames the model sees together: windows to train on, passes to generate in. Positions alone, no pictures.
//!
//! A position counts the shot's frames from 0, whatever their numbers. A model takes 4n+1 frames at once and begins
//! with one that is given whole; a window that runs backwards lets a frame painted late in the shot be that one.

use lora_edit_shot::range::{padded_4n1, reflected_indices};

/// Frames that two passes share: one and a whole latent frame, so that the second begins with clean latents only.
pub const OVERLAP: usize = 5;
/// Fewest frames of a pass that begins at a key where it need not; nearer keys are anchored within a longer pass.
pub const SHORTEST: usize = 9;
/// The smallest window with any motion in it.
const LEAST: usize = 5;

/// A run of neighbouring frames; backwards in time where `last` is before `first`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Position of the frame that the model sees first.
    pub first: usize,
    /// Position of the frame that it sees last, but for padding.
    pub last: usize,
}

impl Window {
    /// All of a shot, forwards.
    pub fn whole(frames: usize) -> Self {
        Self { first: 0, last: frames.saturating_sub(1) }
    }

    /// The same frames the other way round.
    pub fn reversed(self) -> Self {
        Self { first: self.last, last: self.first }
    }

    /// How many frames.
    pub fn frames(self) -> usize {
        self.first.abs_diff(self.last) + 1
    }

    /// The position at `index`, which counts from `first` in the window's own direction.
    pub fn at(self, index: usize) -> usize {
        if self.last < self.first { self.first - index } else { self.first + index }
    }

    /// The positions as the model sees them: 4n+1, the end padded by reflection.
    pub fn padded(self) -> Vec<usize> {
        let frames = self.frames();
        reflected_indices(frames, padded_4n1(frames)).into_iter().map(|index| self.at(index)).collect()
    }

    /// The part from `first` to `last`, both counted as [`Window::at`] does.
    fn part(self, first: usize, last: usize) -> Self {
        Self { first: self.at(first), last: self.at(last) }
    }
}

/// One generation of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// Its frames.
    pub window: Window,
    /// How many of its first frames the pass before has made; 0 where it begins with a painted key.
    pub overlap: usize,
}

impl Pass {
    /// How many of its first frames are shown to the model as the pass before made them: all of the overlap that
    /// fills latent frames.
    pub fn lead(&self) -> usize {
        if self.overlap == 0 { 0 } else { 1 + (self.overlap - 1) / 4 * 4 }
    }

    /// How much of this pass is seen at `index`, against the passes before: it fades in over the overlap.
    pub fn weight(&self, index: usize) -> f32 {
        if index < self.overlap { index as f32 / self.overlap as f32 } else { 1.0 }
    }
}

/// The longest window of 4n+1 frames that is no longer than `most`, and at least 5.
fn window_length(most: usize) -> usize {
    (most.max(LEAST) - 1) / 4 * 4 + 1
}

/// Windows to train on: all of `frames` in windows of `length`, each half over the one before; 0 or enough for all is
/// one window. With `reversed` each is learnt backwards too.
pub fn training(frames: usize, length: usize, reversed: bool) -> Vec<Window> {
    let whole = Window::whole(frames);
    let forwards = match length {
        0 => vec![whole],
        length => {
            let length = window_length(length);
            let shared = (length - 1) / 8 * 4 + 1;
            split(whole, length, shared).into_iter().map(|pass| pass.window).collect()
        }
    };
    let backwards = forwards.iter().map(|window| window.reversed()).filter(|_| reversed);
    forwards.iter().copied().chain(backwards).collect()
}

/// The passes that generate `frames` from the painted ones at `keys` (sorted, within the shot, at least one), with a
/// model that takes `most` frames at once; in order, since later ones begin with what earlier ones made.
///
/// What comes before the first key is made backwards from it, from there the shot is made forwards. Keys within a pass
/// are anchored there: beginning anew at each loses more than it gives (docs/windows.md has the figures), since
/// an adapter knows the windows it was trained on. What is too long for one pass is made anew from a key where one is
/// in reach, which then also ends the pass before it; elsewhere passes overlap.
pub fn generation(frames: usize, keys: &[usize], most: usize) -> Vec<Pass> {
    let (Some(&first), Some(end)) = (keys.first(), frames.checked_sub(1)) else { return Vec::new() };
    let most = window_length(most);
    let before = (first > 0).then_some(Window { first, last: 0 });
    let starts = starts(end, keys, most);
    let ends = starts.iter().skip(1).copied().chain([end]);
    let forwards = starts.iter().zip(ends).map(|(&first, last)| Window { first, last });
    // A key at the very end has nothing after it.
    let runs = before.into_iter().chain(forwards).filter(|run| frames == 1 || run.frames() > 1);
    runs.flat_map(|run| split(run, most, OVERLAP)).collect()
}

/// The keys at which a run forwards begins, in a shot whose last position is `end`.
fn starts(end: usize, keys: &[usize], most: usize) -> Vec<usize> {
    let mut starts: Vec<usize> = keys.first().copied().into_iter().collect();
    while let Some(&start) = starts.last().filter(|&&start| end - start + 1 > most) {
        let useful = |key: &&usize| **key + 1 >= start + SHORTEST && end + 1 >= **key + SHORTEST;
        let within = |key: &&usize| **key < start + most;
        // The farthest key that one pass reaches; without one, the next there is.
        let next = keys.iter().filter(useful).rfind(within).or_else(|| keys.iter().find(useful));
        match next {
            Some(&key) => starts.push(key),
            None => break,
        }
    }
    starts
}

/// `run` in passes of `length` at most, each `overlap` frames over the one before; the last ends where the run ends.
fn split(run: Window, length: usize, overlap: usize) -> Vec<Pass> {
    let frames = run.frames();
    if frames <= length {
        return vec![Pass { window: run, overlap: 0 }];
    }
    let overlap = overlap.min(length - 4);
    // No more passes than needed, all of about the same length: a short last one would see little.
    let passes = (frames - overlap).div_ceil(length - overlap);
    let length = padded_4n1((frames - overlap).div_ceil(passes) + overlap);
    let (step, last) = (length - overlap, frames - length);
    let firsts = (0..).map(|pass| pass * step).take_while(|&first| first < last).chain([last]);
    let mut made = 0;
    firsts
        .map(|first| {
            let pass = Pass { window: run.part(first, first + length - 1), overlap: made - made.min(first) };
            made = first + length;
            pass
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shots of every length up to 120 with one to four keys anywhere, for models of several lengths.
    fn each_case(mut check: impl FnMut(usize, &[usize], usize, &[Pass])) {
        for most in [5, 9, 13, 33, 81, 34] {
            for frames in 1..=120usize {
                for seed in 0..8usize {
                    let at = |i: usize| (seed * 7919 + i * 104_729 + frames * 31) % frames;
                    let mut keys: Vec<usize> = (0..=seed % 4).map(at).collect();
                    keys.sort_unstable();
                    keys.dedup();
                    check(frames, &keys, most, &generation(frames, &keys, most));
                }
            }
        }
    }

    #[test]
    fn every_frame_is_made_and_no_pass_is_longer_than_the_model_takes() {
        each_case(|frames, keys, most, passes| {
            let mut made = vec![false; frames];
            for pass in passes {
                (0..pass.window.frames()).for_each(|index| made[pass.window.at(index)] = true);
                let padded = pass.window.padded();
                assert!(padded.len() <= window_length(most) && padded.len() % 4 == 1, "{pass:?}");
                assert!(padded.iter().all(|&position| position < frames));
            }
            assert!(made.iter().all(|made| *made), "{frames} frames, keys {keys:?}, {most}: {passes:?}");
        });
    }

    #[test]
    fn each_pass_begins_with_a_key_or_with_what_is_made() {
        each_case(|frames, keys, most, passes| {
            let mut made = vec![false; frames];
            for pass in passes {
                let says = format!("{frames} frames, keys {keys:?}, {most}: {pass:?}");
                match pass.overlap {
                    0 => assert!(keys.contains(&pass.window.first), "{says}"),
                    overlap => assert!((0..overlap).all(|index| made[pass.window.at(index)]), "{says}"),
                }
                assert!(pass.overlap < pass.window.frames() && pass.lead() <= pass.overlap, "{says}");
                assert!(pass.overlap == 0 || pass.lead() % 4 == 1, "{says}");
                (0..pass.window.frames()).for_each(|index| made[pass.window.at(index)] = true);
            }
        });
    }

    #[test]
    fn only_what_comes_before_the_first_key_is_made_backwards() {
        each_case(|_, keys, _, passes| {
            for pass in passes.iter().filter(|pass| pass.window.frames() > 1) {
                let backwards = pass.window.last < pass.window.first;
                assert_eq!(backwards, pass.window.last < keys[0], "{keys:?}: {pass:?}");
            }
        });
    }

    fn windows(passes: &[Pass]) -> Vec<(usize, usize, usize)> {
        passes.iter().map(|pass| (pass.window.first, pass.window.last, pass.overlap)).collect()
    }

    #[test]
    fn passes_of_known_shots() {
        assert_eq!(windows(&generation(17, &[0], 33)), [(0, 16, 0)]);
        assert_eq!(windows(&generation(17, &[8], 33)), [(8, 0, 0), (8, 16, 0)]);
        assert_eq!(windows(&generation(17, &[16], 33)), [(16, 0, 0)]);
        assert_eq!(windows(&generation(17, &[0, 8, 16], 33)), [(0, 16, 0)], "one pass: anchored");
        assert_eq!(
            windows(&generation(40, &[0, 8, 30], 33)),
            [(0, 30, 0), (30, 39, 0)],
            "the farthest in reach"
        );
        assert_eq!(
            windows(&generation(40, &[0, 4, 35], 33)),
            [(0, 24, 0), (15, 39, 10)],
            "none in reach that leaves enough"
        );
        assert_eq!(windows(&generation(70, &[0, 39], 33)), [(0, 24, 0), (15, 39, 10), (39, 69, 0)]);
        assert_eq!(windows(&generation(1, &[0], 33)), [(0, 0, 0)]);
        assert_eq!(
            windows(&generation(100, &[0], 33)),
            [(0, 28, 0), (24, 52, 5), (48, 76, 5), (71, 99, 6)],
            "four passes of 29 rather than three of 33 and a rest"
        );
        assert_eq!(windows(&generation(60, &[59], 33)), [(59, 27, 0), (32, 0, 6)]);
    }

    #[test]
    fn a_key_that_starts_a_pass_also_ends_the_one_before() {
        each_case(|frames, keys, most, passes| {
            for pass in passes.iter().filter(|pass| pass.overlap == 0 && pass.window.first > keys[0]) {
                let ends = passes.iter().any(|other| other.window.last == pass.window.first);
                assert!(ends, "{frames} frames, keys {keys:?}, {most}: {passes:?}");
            }
        });
    }

    #[test]
    fn a_pass_fades_in_over_its_overlap() {
        let pass = Pass { window: Window { first: 24, last: 52 }, overlap: 5 };
        let weights: Vec<f32> = (0..7).map(|index| pass.weight(index)).collect();
        assert_eq!(weights, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.0]);
        assert_eq!(Pass { overlap: 0, ..pass }.weight(0), 1.0);
        assert_eq!((pass.lead(), Pass { overlap: 8, ..pass }.lead()), (5, 5));
    }

    #[test]
    fn training_windows_cover_the_shot_and_overlap() {
        assert_eq!(training(17, 0, false), [Window { first: 0, last: 16 }]);
        let nine: Vec<_> = training(17, 9, false).iter().map(|w| (w.first, w.last)).collect();
        assert_eq!(nine, [(0, 8), (4, 12), (8, 16)]);
        for frames in 1..=120 {
            for length in [5, 9, 11, 33] {
                let (forwards, both) = (training(frames, length, false), training(frames, length, true));
                let mut seen = vec![0; frames];
                forwards.iter().for_each(|w| (w.first..=w.last).for_each(|position| seen[position] += 1));
                assert!(seen.iter().all(|times| *times > 0), "{frames} frames, {length}");
                assert!(forwards.windows(2).all(|pair| pair[1].first <= pair[0].last));
                assert!(forwards.iter().all(|w| w.padded().len() <= window_length(length)));
                assert_eq!(both.len(), 2 * forwards.len());
                assert_eq!(both[forwards.len()], forwards[0].reversed());
            }
        }
    }

    #[test]
    fn a_window_backwards_has_its_last_frame_first_and_reflects_the_earliest() {
        let window = Window { first: 5, last: 0 };
        assert_eq!(window.padded(), [5, 4, 3, 2, 1, 0, 1, 2, 3]);
        assert_eq!(Window { first: 3, last: 3 }.padded(), [3]);
    }
}
