//! One step of each sampler: scalars in f64, tensors only scaled and added.

use candle_core::{Result, Tensor, bail};

use crate::sample::Sampler;

/// The highest noise level UniPC works with: at 1 its logarithmic signal-to-noise ratio is infinite.
const HIGHEST_SIGMA: f64 = 1.0 - 1e-6;

/// The state of a sampler between steps.
pub(crate) enum Solver<'a> {
    Euler(&'a [f64]),
    UniPc(UniPc<'a>),
}

impl<'a> Solver<'a> {
    pub fn new(sampler: Sampler, sigmas: &'a [f64]) -> Self {
        match sampler {
            Sampler::Euler => Self::Euler(sigmas),
            Sampler::UniPc => Self::UniPc(UniPc { sigmas, clean: Vec::new(), corrected: None }),
        }
    }

    pub fn steps(&self) -> usize {
        let (Self::Euler(sigmas) | Self::UniPc(UniPc { sigmas, .. })) = self;
        sigmas.len().saturating_sub(1)
    }

    /// From `x` at noise level `i`, where the velocity is `v`, to level `i + 1`; called for each `i` in order.
    pub fn step(&mut self, i: usize, x: &Tensor, v: &Tensor) -> Result<Tensor> {
        match self {
            Self::Euler(sigmas) => combine(&[(1.0, x), (sigmas[i + 1] - sigmas[i], v)]),
            Self::UniPc(solver) => solver.step(i, x, v),
        }
    }
}

/// UniPC (Zhao et al., 2023) with B2(h) at order 2, predicting the clean sample.
pub(crate) struct UniPc<'a> {
    sigmas: &'a [f64],
    /// The clean sample predicted at each level so far.
    clean: Vec<Tensor>,
    /// The corrected sample at the level before.
    corrected: Option<Tensor>,
}

impl UniPc<'_> {
    fn step(&mut self, i: usize, x: &Tensor, v: &Tensor) -> Result<Tensor> {
        let clean = combine(&[(1.0, x), (-self.sigma(i), v)])?;
        let x = match &self.corrected {
            Some(last) => self.correct(i, last, &clean)?,
            None => x.clone(),
        };
        self.clean.push(clean);
        let next = self.predict(i, &x)?;
        self.corrected = Some(x);
        Ok(next)
    }

    /// Order 2 but for the first and the last step.
    fn order(&self, i: usize) -> usize {
        2.min(i + 1).min(self.sigmas.len() - 1 - i)
    }

    fn predict(&self, i: usize, x: &Tensor) -> Result<Tensor> {
        let step = self.between(i, i + 1);
        let now = &self.clean[i];
        if self.order(i) == 1 {
            return combine(&[(step.keep, x), (-step.pull, now)]);
        }
        let slope = 0.5 * step.pull / self.ratio(i, step.h);
        combine(&[(step.keep, x), (slope - step.pull, now), (-slope, &self.clean[i - 1])])
    }

    /// The sample at level `i` again, from the one before, now that `clean` is known there.
    fn correct(&self, i: usize, last: &Tensor, clean: &Tensor) -> Result<Tensor> {
        let step = self.between(i - 1, i);
        let before = &self.clean[i - 1];
        if self.order(i - 1) == 1 {
            let here = 0.5 * step.pull;
            return combine(&[(step.keep, last), (here - step.pull, before), (-here, clean)]);
        }
        let r = self.ratio(i - 1, step.h);
        let [past, here] = corrector_weights(r, -step.h);
        let (past, here) = (step.pull * past / r, step.pull * here);
        let weight = past + here - step.pull;
        combine(&[(step.keep, last), (weight, before), (-past, &self.clean[i - 2]), (-here, clean)])
    }

    fn sigma(&self, i: usize) -> f64 {
        self.sigmas[i].min(HIGHEST_SIGMA)
    }

    /// Half the logarithm of the signal-to-noise ratio, as the paper's lambda.
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
    /// Its length in lambda; infinite where it ends at noise level 0.
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
