//! When a running training is written down.

use std::time::{Duration, Instant};

/// Without a number of steps a checkpoint is written once in this time: what a kill may cost.
const INTERVAL: Duration = Duration::from_secs(30);
/// Writing takes at most one part in this many of the time: large checkpoints on a slow disk are written less often.
const SHARE: u32 = 50;

/// Tells when the next checkpoint is due.
#[derive(Debug)]
pub(crate) struct Pace {
    every: Option<usize>,
    written: Instant,
    took: Duration,
}

impl Pace {
    /// One after each `every` steps, or by time.
    pub fn new(every: Option<usize>) -> Self {
        Self { every, written: Instant::now(), took: Duration::ZERO }
    }

    /// Whether one is due, `step` steps being done.
    pub fn is_due(&self, step: usize) -> bool {
        match self.every {
            Some(every) => step.is_multiple_of(every.max(1)),
            None => self.written.elapsed() >= self.interval(),
        }
    }

    /// Does the writing, and remembers how long it took; one that fails is tried again as late as one that does not.
    pub fn write<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        (self.written, self.took) = (Instant::now(), began.elapsed());
        done
    }

    fn interval(&self) -> Duration {
        INTERVAL.max(self.took * SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_steps_counts_from_the_first() {
        let pace = Pace::new(Some(4));
        let due: Vec<_> = (1..=9).filter(|&step| pace.is_due(step)).collect();
        assert_eq!(due, [4, 8]);
    }

    #[test]
    fn without_one_time_decides_and_slow_writing_is_rare() {
        let mut pace = Pace::new(None);
        assert!(!pace.is_due(1000));
        assert_eq!(pace.interval(), INTERVAL);
        pace.took = Duration::from_secs(3);
        assert_eq!(pace.interval(), Duration::from_secs(150));
        pace.written = Instant::now().checked_sub(Duration::from_secs(151)).unwrap_or(pace.written);
        assert!(pace.is_due(1));
        pace.write(|| ());
        assert!(!pace.is_due(1) && pace.interval() == INTERVAL);
    }
}
