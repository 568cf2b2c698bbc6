//! The published models by the names this program gives them: what each needs, and which files its repository has.

use std::fmt;
use std::path::Path;

use crate::detect::{Expert, Network, Variant};

/// What a part of a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The diffusion transformer.
    Transformer,
    /// The expert for high noise levels.
    HighNoise,
    /// The expert for low noise levels.
    LowNoise,
    /// The video autoencoder.
    Vae,
    /// The text encoder.
    Text,
    /// The text encoder's tokeniser.
    Tokenizer,
    /// The image encoder.
    Image,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transformer => "transformer",
            Self::HighNoise => "high-noise transformer",
            Self::LowNoise => "low-noise transformer",
            Self::Vae => "video autoencoder",
            Self::Text => "text encoder",
            Self::Tokenizer => "tokeniser",
            Self::Image => "image encoder",
        })
    }
}

/// A published model.
#[derive(Debug)]
pub struct Published {
    /// The name that `--model` takes.
    pub name: &'static str,
    /// The repository on the Hugging Face hub.
    pub repo: &'static str,
    /// Its parts, and how the names of their files in the repository begin.
    pub parts: &'static [(Role, &'static str)],
    variant: Variant,
    /// A word that the path of its transformer has, where another model has the same tensors.
    word: Option<&'static str>,
    /// Words of those other models.
    not: &'static [&'static str],
}

const T5: &str = "models_t5_umt5-xxl-enc-bf16.pth";
const TOKENIZER: &str = "google/umt5-xxl/";
const CLIP: &str = "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth";
const VAE_21: &str = "Wan2.1_VAE.pth";
const TRANSFORMER: &str = "diffusion_pytorch_model";

const WITH_CLIP: &[(Role, &str)] = &[
    (Role::Transformer, TRANSFORMER),
    (Role::Vae, VAE_21),
    (Role::Text, T5),
    (Role::Tokenizer, TOKENIZER),
    (Role::Image, CLIP),
];

/// Every model that can be fetched, smallest first. Repositories and file names as published by their makers.
pub const PUBLISHED: [Published; 5] = [
    Published {
        name: "wan2.1-fun-1.3b-inp",
        repo: "alibaba-pai/Wan2.1-Fun-1.3B-InP",
        parts: WITH_CLIP,
        variant: Variant::FunInp1_3b,
        word: None,
        not: &[],
    },
    Published {
        name: "wan2.2-ti2v-5b",
        repo: "Wan-AI/Wan2.2-TI2V-5B",
        parts: &[
            (Role::Transformer, TRANSFORMER),
            (Role::Vae, "Wan2.2_VAE.pth"),
            (Role::Text, T5),
            (Role::Tokenizer, TOKENIZER),
        ],
        variant: Variant::Ti2v5b,
        word: None,
        not: &[],
    },
    Published {
        name: "wan2.1-i2v-14b-480p",
        repo: "Wan-AI/Wan2.1-I2V-14B-480P",
        parts: WITH_CLIP,
        variant: Variant::I2v14b,
        word: None,
        not: &["720"],
    },
    Published {
        name: "wan2.1-i2v-14b-720p",
        repo: "Wan-AI/Wan2.1-I2V-14B-720P",
        parts: WITH_CLIP,
        variant: Variant::I2v14b,
        word: Some("720"),
        not: &[],
    },
    Published {
        name: "wan2.2-i2v-a14b",
        repo: "Wan-AI/Wan2.2-I2V-A14B",
        parts: &[
            (Role::HighNoise, "high_noise_model/"),
            (Role::LowNoise, "low_noise_model/"),
            (Role::Vae, VAE_21),
            (Role::Text, T5),
            (Role::Tokenizer, TOKENIZER),
        ],
        variant: Variant::I2vA14b(None),
        word: None,
        not: &[],
    },
];

impl Published {
    /// The model of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PUBLISHED.iter().find(|model| model.name == name)
    }

    /// Whether a network found at `path` is this part of the model.
    pub(super) fn takes(&self, role: Role, network: Network, path: &Path) -> bool {
        match role {
            Role::Transformer => network == Network::Transformer(self.variant) && self.path_fits(path),
            Role::HighNoise => network == Network::Transformer(Variant::I2vA14b(Some(Expert::High))),
            Role::LowNoise => network == Network::Transformer(Variant::I2vA14b(Some(Expert::Low))),
            Role::Vae if self.variant == Variant::Ti2v5b => network == Network::Vae22,
            Role::Vae => network == Network::Vae21,
            Role::Text => network == Network::Umt5,
            Role::Image => network == Network::Clip,
            Role::Tokenizer => false,
        }
    }

    fn path_fits(&self, path: &Path) -> bool {
        let near: Vec<String> =
            path.iter().rev().take(4).map(|part| part.to_string_lossy().into_owned()).collect();
        let says = |word: &&str| near.iter().any(|part| part.contains(*word));
        self.word.as_ref().is_none_or(says) && !self.not.iter().any(says)
    }
}
