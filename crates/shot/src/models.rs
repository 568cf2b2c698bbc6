//! What suits each base model: its working size, its training and its sampling. For host and engine alike.

use crate::ingest::ModelGeometry;
use crate::job::{Recipe, Sampler, Sampling, ScheduleKind};

/// Wan's own negative prompt: `sample_neg_prompt` in `wan/configs/shared_config.py` of Wan 2.1 and 2.2.
pub const NEGATIVE_PROMPT: &str = "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，\
最差质量，低质量，JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，\
静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走";
/// What `wan/configs/wan_i2v_14B.py` of Wan 2.1 puts before it: no shaking camera.
const NO_SHAKE: &str = "镜头晃动，";

/// What suits a base model.
#[derive(Debug, Clone, PartialEq)]
pub struct Defaults {
    /// What it can see at once.
    pub geometry: ModelGeometry,
    /// How an adapter is trained on it.
    pub recipe: Recipe,
    /// How it is sampled.
    pub sampling: Sampling,
}

/// The published models of the Wan family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Wan 2.1 Fun 1.3B InP.
    Fun1_3b,
    /// Wan 2.1 I2V 14B 480P.
    I2v480p,
    /// Wan 2.1 I2V 14B 720P.
    I2v720p,
    /// Wan 2.2 I2V A14B.
    A14b,
    /// Wan 2.2 TI2V 5B.
    Ti2v5b,
}

impl Family {
    /// The published model of this name; none for the embedded one and people's own.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "wan2.1-fun-1.3b-inp" => Some(Self::Fun1_3b),
            "wan2.1-i2v-14b-480p" => Some(Self::I2v480p),
            "wan2.1-i2v-14b-720p" => Some(Self::I2v720p),
            "wan2.2-i2v-a14b" => Some(Self::A14b),
            "wan2.2-ti2v-5b" => Some(Self::Ti2v5b),
            _ => None,
        }
    }

    /// Why the method cannot work on this model, if it cannot.
    ///
    /// Wan 2.2 TI2V 5B takes 48 channels, all of them noisy latent: it has none for a mask or for the plate that is to be
    /// kept. It knows whole latent frames only, as tokens at time 0.
    pub fn obstacle(self) -> Option<&'static str> {
        (self == Self::Ti2v5b).then_some(
            "has no input for a mask and the plate around it, on which this method rests; wan2.1-fun-1.3b-inp and \
             wan2.2-i2v-a14b have",
        )
    }

    /// Most pixels of a working frame, as published.
    fn area_px(self) -> usize {
        match self {
            Self::I2v720p => 1280 * 720,
            Self::Ti2v5b => 1280 * 704,
            Self::Fun1_3b | Self::I2v480p | Self::A14b => 832 * 480,
        }
    }

    fn geometry(self) -> ModelGeometry {
        let (multiple, most_frames) = if self == Self::Ti2v5b { (32, 121) } else { (16, 81) };
        ModelGeometry { multiple, area_px: self.area_px(), most_frames }
    }

    /// Wan's `generate.py` and the configurations it reads: 480p is sampled with a shift of 3.
    fn sampling(self) -> Sampling {
        let negative = match self {
            Self::A14b | Self::Ti2v5b => NEGATIVE_PROMPT.to_owned(),
            _ => format!("{NO_SHAKE}{NEGATIVE_PROMPT}"),
        };
        Sampling {
            steps: if self == Self::Ti2v5b { 50 } else { 40 },
            sampler: Sampler::UniPc,
            shift: if matches!(self, Self::Fun1_3b | Self::I2v480p) { 3.0 } else { 5.0 },
            guidance: if self == Self::A14b { 3.5 } else { 5.0 },
            schedule: ScheduleKind::Wan,
            negative_prompt: negative,
            window: self.geometry().most_frames,
            carry: false,
            ..Sampling::NANO
        }
    }
}

/// The embedded model.
const NANO: &str = "nano";

/// What suits the model of this name; people's own are taken to be like `nano`, but better made in a few steps than in one.
pub fn defaults(name: &str) -> Defaults {
    let (steps, timestep_shift) = match name {
        NANO => (Sampling::NANO.steps, Recipe::NANO.timestep_shift),
        // Asked at more noise levels than the first, they learn at all of them.
        _ => (4, 1.0),
    };
    let small = Defaults {
        geometry: ModelGeometry::default(),
        recipe: Recipe { timestep_shift, ..Recipe::NANO },
        sampling: Sampling { steps, ..Sampling::NANO },
    };
    Family::named(name).map_or(small, |family| Defaults {
        geometry: family.geometry(),
        recipe: Recipe::published(),
        sampling: family.sampling(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shifted_towards_the_noise_for_nano_alone() {
        let shift = |name| defaults(name).recipe.timestep_shift;
        assert_eq!(
            ["nano", "mine", "wan2.1-i2v-14b-480p", "wan2.2-i2v-a14b"].map(shift),
            [10.0, 1.0, 1.0, 1.0]
        );
    }

    #[test]
    fn each_model_has_its_published_size_and_sampling() {
        let of = |name| {
            let Defaults { geometry, sampling, .. } = defaults(name);
            (geometry.area_px, geometry.most_frames, sampling.steps, sampling.shift, sampling.guidance)
        };
        assert_eq!(of("wan2.1-fun-1.3b-inp"), (832 * 480, 81, 40, 3.0, 5.0));
        assert_eq!(of("wan2.1-i2v-14b-480p"), (832 * 480, 81, 40, 3.0, 5.0));
        assert_eq!(of("wan2.1-i2v-14b-720p"), (1280 * 720, 81, 40, 5.0, 5.0));
        assert_eq!(of("wan2.2-i2v-a14b"), (832 * 480, 81, 40, 5.0, 3.5));
        assert_eq!(of("wan2.2-ti2v-5b"), (1280 * 704, 121, 50, 5.0, 5.0));
        assert_eq!(of("nano"), (384 * 224, 33, 1, 3.0, 1.0));
        assert_eq!(of("somebody's own"), (384 * 224, 33, 4, 3.0, 1.0));
    }

    #[test]
    fn the_negative_prompt_is_wans() {
        let negative = |name| defaults(name).sampling.negative_prompt;
        assert!(negative("wan2.1-i2v-14b-480p").starts_with("镜头晃动，色调艳丽，过曝，"));
        assert!(negative("wan2.2-i2v-a14b").starts_with("色调艳丽，"));
        assert!(negative("wan2.2-i2v-a14b").ends_with("背景人很多，倒着走"));
        assert!(!NEGATIVE_PROMPT.contains(char::is_whitespace));
        assert_eq!(negative("nano"), "");
    }
}
