//! AdamW with decoupled weight decay, in torch's order of operations, and clipping by the global norm.

use candle_core::{Tensor, Var};

use crate::error::Result;
use crate::recipe::{Recipe, Schedule};

/// Keeps the square root of an untouched second moment from dividing by zero; torch's default.
const EPSILON: f64 = 1e-8;

/// The optimiser's settings and what it remembers of past gradients.
#[derive(Clone, Debug)]
pub struct AdamW {
    learning_rate: f64,
    schedule: Schedule,
    /// Steps in all, which the schedule runs over.
    steps: usize,
    betas: [f64; 2],
    weight_decay: f64,
    /// Steps done.
    pub(crate) step: usize,
    /// One per parameter, row-major.
    pub(crate) moments: Vec<Moments>,
}

/// Running means of a parameter's gradient and of its square.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    pub first: Vec<f32>,
    pub second: Vec<f32>,
}

impl AdamW {
    /// An optimiser that has seen no gradient of `parameters`.
    pub fn new(parameters: &[&Var], recipe: &Recipe) -> Self {
        let zeros = |var: &&Var| vec![0.0; var.elem_count()];
        let moments =
            parameters.iter().map(|var| Moments { first: zeros(var), second: zeros(var) }).collect();
        let &Recipe { learning_rate, schedule, steps, betas, weight_decay, .. } = recipe;
        Self { learning_rate, schedule, steps, betas, weight_decay, step: 0, moments }
    }

    /// Moves `parameters` (f32, the ones given to [`AdamW::new`]) against `gradients`, one each, row-major.
    ///
    /// # Errors
    /// When a parameter is not f32 or cannot be set.
    pub fn step(&mut self, parameters: &[&Var], gradients: &[Vec<f32>]) -> Result<()> {
        self.step += 1;
        let rates = self.rates();
        for ((var, gradient), moments) in parameters.iter().zip(gradients).zip(&mut self.moments) {
            let mut values = var.flatten_all()?.to_vec1::<f32>()?;
            moments.update(&mut values, gradient, rates);
            var.set(&Tensor::from_vec(values, var.shape(), var.device())?)?;
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
        }
    }
}

#[derive(Clone, Copy)]
struct Rates {
    keep: f32,
    towards_first: f32,
    keep_second: f32,
    towards_second: f32,
    step_size: f32,
    root_second: f32,
}

impl Moments {
    fn update(&mut self, values: &mut [f32], gradient: &[f32], rates: Rates) {
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((value, &g), (first, second)) in values.iter_mut().zip(gradient).zip(moments) {
            *first += (g - *first) * rates.towards_first;
            *second = *second * rates.keep_second + g * g * rates.towards_second;
            let root = second.sqrt() / rates.root_second + EPSILON as f32;
            *value = *value * rates.keep - rates.step_size * *first / root;
        }
    }
}

/// Shortens `gradients` together to the norm `limit` where they are longer; gives the norm they had.
pub fn clip_norm(gradients: &mut [Vec<f32>], limit: f64) -> f64 {
    let norm = gradients.iter().flatten().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
    let factor = (limit / (norm + 1e-6)).min(1.0) as f32;
    if factor < 1.0 {
        gradients.iter_mut().flatten().for_each(|g| *g *= factor);
    }
    norm
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

    #[test]
    fn clipped_steps_equal_torch() {
        let fixture = load(FIXTURE, &Device::Cpu).unwrap();
        let values = |name: String| fixture[&name].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let vars = [0, 1].map(|i| Var::from_tensor(&fixture[&format!("start.{i}")]).unwrap());
        let vars = vars.each_ref();
        let recipe = Recipe { learning_rate: 0.01, weight_decay: 0.1, ..Default::default() };
        let mut adamw = AdamW::new(&vars, &recipe);
        for step in 0..4 {
            let mut gradients = [0, 1].map(|i| values(format!("gradient.{step}.{i}")));
            let norm = clip_norm(&mut gradients, 1.0) as f32;
            assert_close(&[norm], &values(format!("norm.{step}")), "norm");
            assert_eq!(norm > 1.0, step != 2, "the fixture clips all steps but the third");
            adamw.step(&vars, &gradients).unwrap();
            for (i, var) in vars.iter().enumerate() {
                let found = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                assert_close(&found, &values(format!("after.{step}.{i}")), &format!("step {step}, {i}"));
            }
        }
    }

    #[test]
    fn first_step_is_the_learning_rate_against_the_sign() {
        let var = Var::new(&[1.0f32, -2.0], &Device::Cpu).unwrap();
        let recipe = Recipe { learning_rate: 0.1, weight_decay: 0.5, ..Default::default() };
        AdamW::new(&[&var], &recipe).step(&[&var], &[vec![3.0, -0.2]]).unwrap();
        // By hand: p (1 - lr wd) - lr sign(g).
        assert_close(&var.to_vec1::<f32>().unwrap(), &[0.85, -1.8], "by hand");
    }
}
