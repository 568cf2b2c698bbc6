//! AdamW with decoupled weight decay, in torch's order of operations, and clipping by the global norm.

use candle_core::{DType, Tensor, Var};
use lora_edit_model::kernels::adam::{self, Rates};

use crate::error::Result;
use crate::recipe::{Recipe, Schedule};

/// Keeps the square root of an untouched second moment from dividing by zero; torch's default.
const EPSILON: f64 = 1e-8;

/// The optimiser's settings and what it remembers of past gradients.
#[derive(Debug)]
pub struct AdamW {
    learning_rate: f64,
    schedule: Schedule,
    /// Steps in all, which the schedule runs over.
    steps: usize,
    betas: [f64; 2],
    weight_decay: f64,
    /// Steps done.
    pub(crate) step: usize,
    /// One per parameter, where the parameter lies or [`adam::home`] says: running means of its gradient and of the gradient's square, each a
    /// row (2, elements) in row-major order, f32.
    pub(crate) moments: Vec<Tensor>,
}

impl AdamW {
    /// An optimiser that has seen no gradient of `parameters`.
    ///
    /// # Errors
    /// When the parameters' device has no room for the moments.
    pub fn new(parameters: &[&Var], recipe: &Recipe) -> Result<Self> {
        let zeros = |var: &&Var| Tensor::zeros((2, var.elem_count()), DType::F32, &adam::home(var.device()));
        let moments = parameters.iter().map(zeros).collect::<candle_core::Result<_>>()?;
        let &Recipe { learning_rate, schedule, steps, betas, weight_decay, .. } = recipe;
        Ok(Self { learning_rate, schedule, steps, betas, weight_decay, step: 0, moments })
    }

    /// Moves `parameters` (f32, the ones given to [`AdamW::new`]) against `gradients`, one each, as shortened by `clip`
    /// of [`clip_norm`]; where that is not finite, they stay. Nothing is read back from the device.
    ///
    /// # Errors
    /// When a parameter or gradient is not f32, or of another size than before.
    pub fn step(&mut self, parameters: &[&Var], gradients: &[Tensor], clip: &Tensor) -> Result<()> {
        self.step += 1;
        let rates = self.rates();
        for ((var, gradient), moments) in parameters.iter().zip(gradients).zip(&self.moments) {
            if var.device().same_device(moments.device()) {
                adam::step(var.as_tensor(), moments, gradient, clip, rates)?;
            } else {
                let value = var.as_detached_tensor().to_device(moments.device())?;
                adam::step(&value, moments, gradient, clip, rates)?;
                var.set(&value.to_device(var.device())?)?;
            }
        }
        Ok(())
    }

    /// This step's factors, with the bias of the young moments taken out.
    fn rates(&self) -> Rates {
        let [beta1, beta2] = self.betas;
        let steps = self.step.try_into().unwrap_or(i32::MAX);
        let rate = self.learning_rate * self.schedule.factor(self.step - 1, self.steps);
        Rates {
            keep: (1.0 - rate * self.weight_decay) as f32,
            towards_first: (1.0 - beta1) as f32,
            keep_second: beta2 as f32,
            towards_second: (1.0 - beta2) as f32,
            step_size: (rate / (1.0 - beta1.powi(steps))) as f32,
            root_second: (1.0 - beta2.powi(steps)).sqrt() as f32,
            epsilon: EPSILON as f32,
        }
    }
}

/// The norm of `gradients` together, and the factor that shortens them to `limit` where they are longer: (2), f32, on
/// the gradients' device; the factor is NaN where the norm is not finite.
///
/// # Errors
/// When a gradient is not f32.
pub fn clip_norm(gradients: &[Tensor], limit: f64) -> Result<Tensor> {
    Ok(adam::clip(gradients, limit)?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use candle_core::safetensors::load;

    use super::*;

    const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/adamw.safetensors");

    fn assert_close(found: &[f32], expected: &[f32], what: &str) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-6 * (1.0 + expected.abs()), "{what}: {found} {expected}");
        }
    }

    /// Twenty steps of `torch.optim.AdamW` after `clip_grad_norm_`, under `CosineAnnealingLR` where the rate falls.
    #[test]
    fn clipped_steps_equal_torch() {
        let fixture = load(FIXTURE, &Device::Cpu).unwrap();
        let values = |name: String| fixture[&name].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (schedule, name) in [(Schedule::Constant, "constant"), (Schedule::Cosine, "cosine")] {
            let vars = [0, 1].map(|i| Var::from_tensor(&fixture[&format!("start.{i}")]).unwrap());
            let vars = vars.each_ref();
            let recipe =
                Recipe { learning_rate: 0.01, weight_decay: 0.1, steps: 20, schedule, ..Default::default() };
            let mut adamw = AdamW::new(&vars, &recipe).unwrap();
            for step in 0..20 {
                let gradients = [0, 1].map(|i| fixture[&format!("gradient.{step}.{i}")].clone());
                let clip = clip_norm(&gradients, 1.0).unwrap();
                let norm = clip.to_vec1::<f32>().unwrap()[0];
                assert_close(&[norm], &values(format!("norm.{step}")), "norm");
                assert_eq!(norm > 1.0, step % 3 != 2, "the fixture clips two of three steps");
                adamw.step(&vars, &gradients, &clip).unwrap();
                for (i, var) in vars.iter().enumerate() {
                    let found = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                    assert_close(
                        &found,
                        &values(format!("{name}.{step}.{i}")),
                        &format!("{name} {step}, {i}"),
                    );
                }
            }
        }
    }

    #[test]
    fn first_step_is_the_learning_rate_against_the_sign() {
        let var = Var::new(&[1.0f32, -2.0], &Device::Cpu).unwrap();
        let recipe = Recipe { learning_rate: 0.1, weight_decay: 0.5, ..Default::default() };
        let gradient = Tensor::new(&[3.0f32, -0.2], &Device::Cpu).unwrap();
        let whole = clip_norm(std::slice::from_ref(&gradient), 100.0).unwrap();
        AdamW::new(&[&var], &recipe).unwrap().step(&[&var], &[gradient], &whole).unwrap();
        // By hand: p (1 - lr wd) - lr sign(g).
        assert_close(&var.to_vec1::<f32>().unwrap(), &[0.85, -1.8], "by hand");
    }

    #[test]
    fn a_gradient_that_is_not_finite_moves_nothing() {
        let var = Var::new(&[1.0f32, -2.0], &Device::Cpu).unwrap();
        let gradient = Tensor::new(&[f32::NAN, 1.0], &Device::Cpu).unwrap();
        let clip = clip_norm(std::slice::from_ref(&gradient), 1.0).unwrap();
        let mut adamw = AdamW::new(&[&var], &Recipe::default()).unwrap();
        adamw.step(&[&var], &[gradient], &clip).unwrap();
        assert_eq!(var.to_vec1::<f32>().unwrap(), [1.0, -2.0]);
        assert_eq!(adamw.moments[0].to_vec2::<f32>().unwrap(), [[0.0; 2]; 2]);
    }
}
