//! Seeds: which shots belong to which split, and the random numbers drawn from one.
//!
//! A seed is 64 bits: the split's tag in the top byte, the kind in the next, the shot's index in the rest. Two splits
//! therefore share no seed. The mixing of a seed into the generator's state is a bijection, so they share no state to
//! start from either. The pretraining data (`training/nano`) comes from other generators and other code; its
//! seeds are below 2^32, where none of these lies.

use clap::ValueEnum;

/// Which shots are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Split {
    /// For reported figures; nothing may be chosen on these.
    Test,
    /// For choosing recipes and settings.
    Train,
}

impl Split {
    fn tag(self) -> u64 {
        match self {
            Self::Test => 0xE7,
            Self::Train => 0x5A,
        }
    }

    /// The seed of shot `index` of the kind numbered `kind`.
    pub fn seed(self, kind: u8, index: u32) -> u64 {
        self.tag() << 56 | u64::from(kind) << 48 | u64::from(index)
    }
}

/// Random numbers of one seed: SplitMix64 (Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self(mixed(seed))
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed(self.0)
    }

    /// Uniform in 0..1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Uniform between two values.
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Either sign, with a size between two values.
    pub fn either(&mut self, low: f32, high: f32) -> f32 {
        let size = self.range(low, high);
        if self.chance(0.5) { size } else { -size }
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// One of some things.
    pub fn pick<T: Copy>(&mut self, things: &[T]) -> T {
        things[(self.next() % things.len() as u64) as usize]
    }

    /// A seed for a noise of its own.
    pub fn noise_seed(&mut self) -> u32 {
        (self.next() >> 32) as u32
    }
}

/// SplitMix64's finaliser: each step can be undone, so that no two seeds give one state.
fn mixed(seed: u64) -> u64 {
    let mut z = seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_share_no_seed_and_lie_above_those_of_the_pretraining() {
        let range = |split: Split| split.seed(0, 0)..=split.seed(u8::MAX, u32::MAX);
        let (test, train) = (range(Split::Test), range(Split::Train));
        assert!(test.start() > train.end() || train.start() > test.end(), "{test:x?} meets {train:x?}");
        assert!(*test.start().min(train.start()) > u64::from(u32::MAX));
    }

    #[test]
    fn kind_and_index_are_told_apart() {
        let seed = |kind, index| Split::Test.seed(kind, index);
        assert_ne!(seed(0, 1), seed(1, 0));
        assert!(seed(0, u32::MAX) < seed(1, 0));
    }

    /// Undoes `z ^ (z >> shift)`.
    fn unshifted(value: u64, shift: u32) -> u64 {
        let mut z = value;
        for _ in 0..64 / shift {
            z = value ^ (z >> shift);
        }
        z
    }

    /// The inverse of an odd number modulo 2^64, by Newton's iteration.
    fn inverse(odd: u64) -> u64 {
        (0..6).fold(odd, |x, _| x.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(x))))
    }

    #[test]
    fn the_mixing_can_be_undone() {
        for split in [Split::Test, Split::Train] {
            for index in [0, 1, 77, u32::MAX] {
                let seed = split.seed(3, index);
                let z = unshifted(mixed(seed), 31).wrapping_mul(inverse(0x94D0_49BB_1331_11EB));
                let z = unshifted(z, 27).wrapping_mul(inverse(0xBF58_476D_1CE4_E5B9));
                assert_eq!(unshifted(z, 30), seed);
            }
        }
    }

    #[test]
    fn numbers_repeat_and_fill_their_range() {
        let draw = |seed| {
            let mut rng = Rng::new(seed);
            (0..1000).map(|_| rng.unit()).collect::<Vec<_>>()
        };
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
        let mean = draw(5).iter().sum::<f32>() / 1000.0;
        assert!((mean - 0.5).abs() < 0.03, "{mean}");
        assert!(draw(5).iter().all(|value| (0.0..1.0).contains(value)));
    }
}
