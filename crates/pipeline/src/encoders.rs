//! Words and pictures as the transformer takes them: encoded once, kept in the store by content.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use lora_edit_model::{
    ClipVision, ClipVisionConfig, ModelError, Tokenizer, Umt5Config, Umt5Encoder, Weights,
};
use lora_edit_shot::Frame;
use lora_edit_shot::base::fingerprint_of_parts;
use lora_edit_store::{Hasher, Store};

use crate::failure::JobError;
use crate::parts::{Parts, config_beside};
use crate::pixels::video_from_frames;

/// The kind of entry in the store.
const KIND: &str = "encoded";
/// The tensor's name in its file.
const STATES: &str = "states";

/// The encoders of one model: opened when something new must be encoded, and dropped again.
#[derive(Clone, Debug)]
pub struct Encoders {
    store: Store,
    text: Option<[PathBuf; 2]>,
    image: Option<PathBuf>,
}

impl Encoders {
    /// The encoders among `parts`; what they give is kept in `store`.
    pub fn new(store: &Store, parts: &Parts) -> Self {
        Self { store: store.clone(), text: parts.text.clone(), image: parts.image.clone() }
    }

    /// Whether words can be encoded.
    pub fn take_text(&self) -> bool {
        self.text.is_some()
    }

    /// The states (1, tokens, text_dim) of a prompt, without padding, on the CPU; nothing from a model without a text
    /// encoder. `on_load` hears of it when the encoder must be read.
    ///
    /// # Errors
    /// When encoder or tokeniser cannot be read.
    pub fn text(&self, prompt: &str, on_load: &mut dyn FnMut()) -> Result<Option<Tensor>, JobError> {
        let Some([encoder, tokenizer]) = &self.text else { return Ok(None) };
        let parts: [(&str, &Path); 2] = [("text", encoder), ("tokenizer", tokenizer)];
        let id = Hasher::new("text states")
            .field("encoder", fingerprint_of_parts(&parts)?)
            .field("text", prompt)
            .finish();
        self.kept(&id, || {
            on_load();
            text_states(encoder, tokenizer, prompt)
        })
        .map(Some)
    }

    /// CLIP's states (1, tokens, image_dim) of a working frame, on the CPU; nothing from a model without an image
    /// encoder. `on_load` hears of it when the encoder must be read.
    ///
    /// # Errors
    /// When the encoder cannot be read.
    pub fn image(&self, frame: &Frame, on_load: &mut dyn FnMut()) -> Result<Option<Tensor>, JobError> {
        let Some(encoder) = &self.image else { return Ok(None) };
        let pixels: Vec<u8> = frame.data.iter().flat_map(|value| value.to_le_bytes()).collect();
        let id = Hasher::new("image states")
            .field("encoder", fingerprint_of_parts(&[("image", encoder)])?)
            .number("width", frame.width as i64)
            .number("channels", frame.channels as i64)
            .field("pixels", pixels)
            .finish();
        self.kept(&id, || {
            on_load();
            image_states(encoder, frame)
        })
        .map(Some)
    }

    /// The kept states, or `encode`d ones, which are kept from then on.
    fn kept(&self, id: &str, encode: impl FnOnce() -> Result<Tensor, JobError>) -> Result<Tensor, JobError> {
        let file = format!("{id}.safetensors");
        let path = self.store.path(KIND, &file);
        let kept = || candle_core::safetensors::load(&path, &Device::Cpu).ok()?.remove(STATES);
        if let Some(states) = path.is_file().then(kept).flatten() {
            self.store.touch(KIND, &file)?;
            return Ok(states);
        }
        let states = encode()?;
        let save = |path: &Path| states.save_safetensors(STATES, path);
        self.store.fill_file(Path::new(KIND).join(&file), save)?;
        Ok(states)
    }
}

/// Block by block from the file: one prompt per shot is not worth 20 GB of memory.
fn text_states(encoder: &Path, tokenizer: &Path, prompt: &str) -> Result<Tensor, JobError> {
    let tokens = Tokenizer::open(tokenizer)?.encode_batch(&[prompt])?;
    let weights = Weights::open(encoder)?;
    let config = match config_beside(encoder, "d_model") {
        Some(config) => Umt5Config::read(&config)?,
        None => Umt5Config::detect(&weights)?,
    };
    Ok(Umt5Encoder::streamed(&weights, config)?.forward(&tokens.ids, &tokens.mask)?)
}

fn image_states(encoder: &Path, frame: &Frame) -> Result<Tensor, JobError> {
    let weights = Weights::open(encoder)?;
    let clip = ClipVision::load(&weights, image_config(encoder, &weights)?)?;
    // (1, 3, 1, H, W) -> (1, 3, H, W)
    let picture = video_from_frames(std::slice::from_ref(frame), &Device::Cpu)?.squeeze(2)?;
    Ok(clip.encode(&picture)?)
}

fn image_config(encoder: &Path, weights: &Weights) -> Result<ClipVisionConfig, ModelError> {
    let config = config_beside(encoder, "hidden_size").or_else(|| config_beside(encoder, "vision_config"));
    config.map_or_else(|| ClipVisionConfig::detect(weights), |config| ClipVisionConfig::read(&config))
}
