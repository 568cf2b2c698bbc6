//! One step of each sampler: scalars in f64, tensors only scaled and added.

use candle_core::{Result, Tensor, bail};

use crate::sample::Sampler;
use crate::schedule::HIGHEST_SIGMA;

/// The state of a sampler between steps.
pub(crate) enum Solver<'a> {
    Euler(&'a [f64]),
    Multistep(Multistep<'a>),
}

impl<'a> Solver<'a> {
    pub fn new(sampler: Sampler, sigmas: &'a [f64]) -> Self {
        match sampler {
            Sampler::Euler => Self::Euler(sigmas),
            Sampler::UniPc => {
                Self::Multistep(Multistep::new(Levels { sigmas, highest: HIGHEST_SIGMA }, true))
            }
            Sampler::DpmPp => Self::Multistep(Multistep::new(Levels { sigmas, highest: 1.0 }, false)),
        }
    }

    /// From `x` at noise level `i`, where the velocity is `v`, to level `i + 1`; called for each `i` in order.
    pub fn step(&mut self, i: usize, x: &Tensor, v: &Tensor) -> Result<Tensor> {
        match self {
            Self::Euler(sigmas) => combine(&[(1.0, x), (sigmas[i + 1] - sigmas[i], v)]),
            Self::Multistep(solver) => solver.step(i, x, v),
        }
    }
}

/// UniPC (Zhao et al., 2023) with B2(h) at order 2, predicting the clean sample.
///
/// Its predictor alone is DPM-Solver++(2M) (Lu et al., 2022), the midpoint variant.
pub(crate) struct Multistep<'a> {
    levels: Levels<'a>,
    corrects: bool,
    /// The clean samples predicted at this level and at the one before.
    clean: Option<Tensor>,
    clean_before: Option<Tensor>,
    /// The corrected sample at the level before.
    corrected: Option<Tensor>,
}

impl<'a> Multistep<'a> {
    fn new(levels: Levels<'a>, corrects: bool) -> Self {
        Self { levels, corrects, clean: None, clean_before: None, corrected: None }
    }

    fn step(&mut self, i: usize, x: &Tensor, v: &Tensor) -> Result<Tensor> {
        let clean = combine(&[(1.0, x), (-self.levels.sigma(i), v)])?;
        let x = match (&self.corrected, &self.clean) {
            (Some(last), Some(before)) => self.correct(i, last, before, &clean)?,
            _ => x.clone(),
        };
        let next = self.predict(i, &x, &clean)?;
        self.clean_before = self.clean.replace(clean);
        self.corrected = self.corrects.then_some(x);
        Ok(next)
    }

    /// To level `i + 1` from `x`, where the clean sample is thought to be `now`.
    fn predict(&self, i: usize, x: &Tensor, now: &Tensor) -> Result<Tensor> {
        let step = self.levels.between(i, i + 1);
        match (&self.clean, self.levels.order(i)) {
            (Some(before), 2) => {
                let slope = 0.5 * step.pull / self.levels.ratio(i, step.h);
                combine(&[(step.keep, x), (slope - step.pull, now), (-slope, before)])
            }
            _ => combine(&[(step.keep, x), (-step.pull, now)]),
        }
    }

    /// The sample at level `i` again, from the one before, now that `clean` is known there.
    fn correct(&self, i: usize, last: &Tensor, before: &Tensor, clean: &Tensor) -> Result<Tensor> {
        let step = self.levels.between(i - 1, i);
        let Some(past_clean) = &self.clean_before else {
            let here = 0.5 * step.pull;
            return combine(&[(step.keep, last), (here - step.pull, before), (-here, clean)]);
        };
        let r = self.levels.ratio(i - 1, step.h);
        let [past, here] = corrector_weights(r, -step.h);
        let (past, here) = (step.pull * past / r, step.pull * here);
        let weight = past + here - step.pull;
        combine(&[(step.keep, last), (weight, before), (-past, past_clean), (-here, clean)])
    }
}

/// The noise levels, none above `highest`.
struct Levels<'a> {
    sigmas: &'a [f64],
    highest: f64,
}

impl Levels<'_> {
    /// Order 2 but for the first and the last step.
    fn order(&self, i: usize) -> usize {
        2.min(i + 1).min(self.sigmas.len() - 1 - i)
    }

    fn sigma(&self, i: usize) -> f64 {
        self.sigmas[i].min(self.highest)
    }

    /// Half the logarithm of the signal-to-noise ratio, as the papers' lambda; infinite at noise levels 0 and 1.
    fn lambda(&self, i: usize) -> f64 {
        ((1.0 - self.sigma(i)) / self.sigma(i)).ln()
    }

    /// How far back level `i - 1` lies, in steps of `h`.
    fn ratio(&self, i: usize, h: f64) -> f64 {
        (self.lambda(i - 1) - self.lambda(i)) / h
    }

    fn between(&self, from: usize, to: usize) -> Step {
        let h = self.lambda(to) - self.lambda(from);
        let keep = self.sigma(to) / self.sigma(from);
        Step { h, keep, pull: (1.0 - self.sigma(to)) * (-h).exp_m1() }
    }
}

/// The scalars of one step.
struct Step {
    /// Its length in lambda; infinite where it starts at noise level 1 or ends at 0.
    h: f64,
    /// What is kept of the sample.
    keep: f64,
    /// `alpha (e^-h - 1)`: minus what is taken of the clean sample.
    pull: f64,
}

/// Solves the order-2 corrector's `[[1, 1], [r, 1]] w = b` for B2(h), with `hh = -h`.
fn corrector_weights(r: f64, hh: f64) -> [f64; 2] {
    let phi_1 = hh.exp_m1();
    let phi_2 = phi_1 / hh - 1.0;
    let phi_3 = phi_2 / hh - 0.5;
    let (b_1, b_2) = (phi_2 / phi_1, 2.0 * phi_3 / phi_1);
    let past = (b_1 - b_2) / (1.0 - r);
    [past, b_1 - past]
}

/// The weighted sum of tensors of one shape.
fn combine<const N: usize>(terms: &[(f64, &Tensor); N]) -> Result<Tensor> {
    let scaled = terms.iter().map(|(weight, t)| *t * *weight);
    scaled.reduce(|sum, term| sum? + term?).unwrap_or_else(|| bail!("nothing to combine"))
}
