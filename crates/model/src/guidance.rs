//! What a network is asked at each step: its inputs beside the latent, guidance, and which of two experts answers.

use candle_core::{Device, Result, Tensor, bail};

use crate::config::TransformerConfig;
use crate::step_cache::StepCache;
use crate::transformer::WanTransformer;

/// What a transformer is given beside the noisy latent.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// (B, C', F, h, w): mask and condition, joined to the latent's channels.
    pub condition: Option<&'a Tensor>,
    /// How many of the first latent frames are known: their tokens are told time 0 (TI2V 5B).
    pub known_frames: usize,
    /// (B, L, text_dim)
    pub text: &'a Tensor,
    /// (B, L, text_dim): the negative prompt; without it there is no guidance.
    pub negative: Option<&'a Tensor>,
    /// CLIP states, as [`WanTransformer::forward`] takes them; the same for both prompts.
    pub image: Option<&'a Tensor>,
}

/// A step cache for each prompt: their residuals differ.
#[derive(Debug)]
pub struct StepCaches {
    /// The prompt's.
    pub prompt: StepCache,
    /// The negative prompt's.
    pub negative: StepCache,
}

impl StepCaches {
    /// Two empty caches that let a step pass at a relative change below `threshold`.
    pub fn new(threshold: f64) -> Self {
        Self { prompt: StepCache::new(threshold), negative: StepCache::new(threshold) }
    }

    /// Forgets all, as is due when another expert takes over.
    pub fn reset(&mut self) {
        self.prompt.reset();
        self.negative.reset();
    }
}

impl Inputs<'_> {
    /// The velocity that `model` gives the latent `x` (B, C, F, h, w) at time `t`, guided to `scale`.
    ///
    /// At a scale of 1, or without a negative prompt, the network is asked once instead of twice.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn velocity(
        &self,
        model: &WanTransformer,
        x: &Tensor,
        t: f64,
        scale: f64,
        caches: Option<&mut StepCaches>,
    ) -> Result<Tensor> {
        let times = self.times(model.config(), x, t)?;
        let joined = match self.condition {
            Some(condition) => Tensor::cat(&[x, condition], 1)?,
            None => x.clone(),
        };
        let ask = |text, cache| model.forward_cached(&joined, &times, text, self.image, cache);
        let (cache, negative_cache) = caches.map(|caches| (&mut caches.prompt, &mut caches.negative)).unzip();
        let conditional = ask(self.text, cache)?;
        let Some(negative) = self.negative.filter(|_| scale != 1.0) else { return Ok(conditional) };
        let unconditional = ask(negative, negative_cache)?;
        guide(&conditional, &unconditional, scale)
    }

    /// (B,), or (B, tokens) where the first frames are known; on the CPU, as the transformer takes them.
    fn times(&self, config: &TransformerConfig, x: &Tensor, t: f64) -> Result<Tensor> {
        let (batch, _, frames, rows, columns) = x.dims5()?;
        if self.known_frames == 0 {
            return Tensor::full(t, batch, &Device::Cpu);
        }
        let [pf, ph, pw] = config.patch_size;
        if self.known_frames > frames || !self.known_frames.is_multiple_of(pf) {
            bail!("{} known latent frames of {frames}", self.known_frames);
        }
        let per_frame = (rows / ph) * (columns / pw);
        let (known, all) = (self.known_frames / pf * per_frame, frames / pf * per_frame);
        let times: Vec<f64> = (0..all).map(|token| if token < known { 0.0 } else { t }).collect();
        Tensor::from_vec(times, (1, all), &Device::Cpu)?.broadcast_as((batch, all))?.contiguous()
    }
}

/// Classifier-free guidance: away from the unconditional velocity, `scale` times as far as the conditional one.
///
/// # Errors
/// When the shapes differ.
pub fn guide(conditional: &Tensor, unconditional: &Tensor, scale: f64) -> Result<Tensor> {
    unconditional + ((conditional - unconditional)? * scale)?
}

/// The two networks of Wan 2.2 A14B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expert {
    /// For much noise.
    High,
    /// For little.
    Low,
}

impl Expert {
    /// The one that is asked at time `t` (0 to 1000): the high-noise one down to and including `1000 boundary`.
    pub fn at(t: f64, boundary: f64) -> Self {
        if t >= 1000.0 * boundary { Self::High } else { Self::Low }
    }
}

/// How the published code samples with a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preset {
    /// Number of steps.
    pub steps: usize,
    /// Shift of the schedule.
    pub shift: f64,
    /// Guidance at much noise and at little.
    pub guidance: [f64; 2],
    /// Where the low-noise expert takes over, as a noise level; of models with two.
    pub boundary: Option<f64>,
}

impl Preset {
    /// The settings for the network these sizes tell of; of two models alike in size, the image-to-video one.
    ///
    /// The published code takes a shift of 3 for Wan 2.1 image-to-video at 832x480.
    pub fn of(config: &TransformerConfig) -> Self {
        let plain = Self { steps: 50, shift: 5.0, guidance: [5.0; 2], boundary: None };
        match (config.in_channels > config.out_channels, config.takes_image()) {
            (_, true) if config.pos_embed_seq_len.is_some() => Self { shift: 16.0, ..plain },
            (true, true) => Self { steps: 40, ..plain },
            (true, false) => Self { steps: 40, guidance: [3.5; 2], boundary: Some(0.9), ..plain },
            (false, _) => plain,
        }
    }

    /// The guidance of one expert.
    pub fn guidance_of(&self, expert: Expert) -> f64 {
        self.guidance[usize::from(expert == Expert::Low)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guidance_one_is_the_conditional_velocity() {
        let c = Tensor::new(&[1f64, -2.0, 0.5], &Device::Cpu).unwrap();
        let u = (&c * 3.0).unwrap();
        let at = |scale| guide(&c, &u, scale).unwrap().to_vec1::<f64>().unwrap();
        assert_eq!(at(1.0), [1.0, -2.0, 0.5]);
        assert_eq!(at(0.0), [3.0, -6.0, 1.5]);
        assert_eq!(at(2.0), [-1.0, 2.0, -0.5]);
    }

    #[test]
    fn the_high_noise_expert_answers_down_to_the_boundary() {
        assert_eq!([999.0, 900.0, 899.0, 0.0].map(|t| Expert::at(t, 0.9)), {
            [Expert::High, Expert::High, Expert::Low, Expert::Low]
        });
    }

    #[test]
    fn each_family_has_its_preset() {
        let a14b = TransformerConfig::default();
        let preset = Preset::of(&a14b);
        assert_eq!((preset.boundary, preset.guidance_of(Expert::Low), preset.steps), (Some(0.9), 3.5, 40));
        let i2v = TransformerConfig { image_dim: Some(1280), added_kv_proj_dim: Some(5120), ..a14b.clone() };
        assert_eq!((Preset::of(&i2v).shift, Preset::of(&i2v).boundary), (5.0, None));
        let flf2v = TransformerConfig { pos_embed_seq_len: Some(514), ..i2v };
        assert_eq!((Preset::of(&flf2v).shift, Preset::of(&flf2v).steps), (16.0, 50));
        let ti2v = TransformerConfig { in_channels: 48, out_channels: 48, ..a14b };
        assert_eq!((Preset::of(&ti2v).guidance, Preset::of(&ti2v).steps), ([5.0; 2], 50));
    }
}
