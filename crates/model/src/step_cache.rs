//! An option of generation: steps at which the first block changes little reuse what the other blocks did before.

use candle_core::{Result, Tensor};

/// What the blocks after the first added at the last step that was computed in full.
///
/// The idea of TeaCache (Liu et al., 2024) with the first block's own residual as the measure, so that no
/// polynomial has to be fitted per model. It changes the result: it is for previews, and off unless asked for.
#[derive(Debug)]
pub struct StepCache {
    threshold: f64,
    last: Option<Residuals>,
    reused: usize,
    computed: usize,
}

#[derive(Debug)]
struct Residuals {
    first: Tensor,
    others: Tensor,
}

impl StepCache {
    /// An empty cache. A step is reused where the first block's residual differs from the last computed step's by
    /// less than `threshold` of that residual's mean magnitude; 0 never reuses.
    ///
    /// Of 20 UniPC steps of the embedded model, 0.05 reuses 7 at an RMS error of the latent of 0.7 %, and 0.1 reuses 11
    /// at 4 % (`cargo test -p lora-edit-model --test guidance -- --nocapture`).
    pub fn new(threshold: f64) -> Self {
        Self { threshold, last: None, reused: 0, computed: 0 }
    }

    /// Forgets the last step, so that the next is computed.
    pub fn reset(&mut self) {
        self.last = None;
    }

    /// How many steps were reused and how many computed.
    pub fn counts(&self) -> (usize, usize) {
        (self.reused, self.computed)
    }

    /// The blocks' output, given the input `x` and the first block's output; `others` are the blocks after it.
    pub(crate) fn blocks(
        &mut self,
        x: &Tensor,
        first: Tensor,
        others: impl FnOnce(Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let residual = (&first - x)?.detach();
        if let Some(last) = &self.last
            && last.change(&residual)? < self.threshold
        {
            self.reused += 1;
            return first + &last.others;
        }
        let out = others(first.clone())?;
        self.computed += 1;
        self.last = Some(Residuals { first: residual, others: (&out - &first)?.detach() });
        Ok(out)
    }
}

impl Residuals {
    /// Mean magnitude of the change since, over that of what changes; infinite where the shape differs.
    fn change(&self, residual: &Tensor) -> Result<f64> {
        if residual.dims() != self.first.dims() {
            return Ok(f64::INFINITY);
        }
        let magnitude = |t: &Tensor| t.abs()?.mean_all()?.to_scalar::<f32>();
        let change = magnitude(&(residual - &self.first)?)?;
        Ok(f64::from(change) / f64::from(magnitude(&self.first)?))
    }
}
