//! The parts of a base model, wherever they lie, and the fingerprint that follows from them.

use std::path::{Path, PathBuf};

use lora_edit_model::detect::{self, Network};
use lora_edit_model::guidance::Expert;
use lora_edit_model::locate::{Inventory, Located, Published, Role};
use lora_edit_model::{ModelError, TransformerConfig, VaeConfig, Weights};
use lora_edit_shot::base::{self, BaseModel};
use lora_edit_shot::job::{FailureKind, Job};
use lora_edit_shot::models::Family;

use crate::failure::JobError;
use crate::places;

/// Where the parts of one model lie: files, or folders of shards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The transformer; of a model with two experts, the one for high noise levels.
    pub transformer: PathBuf,
    /// The expert for low noise levels, of a model with two.
    pub low_noise: Option<PathBuf>,
    /// The video autoencoder.
    pub vae: PathBuf,
    /// The text encoder and its tokeniser, of a model that takes text.
    pub text: Option<[PathBuf; 2]>,
    /// The image encoder, of a model that takes its states.
    pub image: Option<PathBuf>,
}

/// A model that was found, and its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundModel {
    /// Name, place and fingerprint.
    pub base: BaseModel,
    /// The files.
    pub parts: Parts,
}

/// Finds a model that this method can work on.
///
/// # Errors
/// As [`locate`], and when the model has no input for a mask.
pub fn usable(name: &str, model_dir: Option<&Path>) -> Result<FoundModel, JobError> {
    match Family::named(name).and_then(Family::obstacle) {
        Some(obstacle) => Err(model_error(format!("model '{name}' {obstacle}"))),
        None => locate(name, model_dir),
    }
}

/// The model that a job names, if it is still the same.
///
/// # Errors
/// As [`usable`], and when another model is in its place.
pub(crate) fn of_job(job: &Job) -> Result<FoundModel, JobError> {
    let found = usable(&job.base.name, job.base.model_dir.as_deref())?;
    if found.base.fingerprint == job.base.fingerprint {
        return Ok(found);
    }
    let message = format!(
        "model '{}' in {} is not the one this job was made for: press the button again",
        found.base.name,
        found.base.folder.display()
    );
    Err(JobError::new(FailureKind::Model, message))
}

/// Finds a published model's parts by what the files' headers say, or people's own model by the name of its folder.
///
/// # Errors
/// When it is not there or incomplete: names the missing files and the command that fetches them.
pub fn locate(name: &str, model_dir: Option<&Path>) -> Result<FoundModel, JobError> {
    match Published::named(name) {
        Some(model) => published(model, model_dir),
        None => own(name, model_dir),
    }
}

fn published(model: &Published, model_dir: Option<&Path>) -> Result<FoundModel, JobError> {
    let roots = places::roots(model_dir);
    let located = Inventory::of(&roots).locate(model);
    if !located.wanting().is_empty() {
        return Err(incomplete(model, &located, &roots));
    }
    let path = |role: Role| located.parts.iter().find(|part| part.role == role).map(|part| part.path.clone());
    let transformer = path(Role::Transformer).or_else(|| path(Role::HighNoise)).unwrap_or_default();
    let parts = Parts {
        low_noise: path(Role::LowNoise),
        vae: path(Role::Vae).unwrap_or_default(),
        text: path(Role::Text).zip(path(Role::Tokenizer)).map(Into::into),
        image: path(Role::Image),
        transformer,
    };
    let fingerprint = parts.fingerprint()?;
    let base = BaseModel { name: model.name.into(), folder: parts.transformer.clone(), fingerprint };
    Ok(FoundModel { base, parts })
}

/// One line: what is missing, by role and file, and the command.
fn incomplete(model: &Published, located: &Located, roots: &[PathBuf]) -> JobError {
    let name = model.name;
    if located.parts.is_empty() {
        let places: Vec<String> = roots.iter().map(|root| root.display().to_string()).collect();
        let places = if places.is_empty() { "any folder: none is known".into() } else { places.join(", ") };
        return model_error(format!("model '{name}' not found in {places}; lora-edit models fetch {name}"));
    }
    let file = |role: Role| model.parts.iter().find(|(of, _)| *of == role).map_or("", |(_, file)| file);
    let lacks: Vec<String> =
        located.wanting().into_iter().map(|role| format!("{role} ({})", file(role))).collect();
    model_error(format!("model '{name}' lacks {}; lora-edit models fetch {name}", lacks.join(", ")))
}

/// A model of somebody's own, in a folder of its name: diffusers' folders, or any files whose headers say what they are.
fn own(name: &str, model_dir: Option<&Path>) -> Result<FoundModel, JobError> {
    let base = base::find(name, model_dir)?;
    let parts = match base.folder.join("transformer").is_dir() {
        true => in_diffusers_folder(&base.folder),
        false => by_headers(&base.folder)?,
    };
    Ok(FoundModel { base, parts })
}

fn in_diffusers_folder(folder: &Path) -> Parts {
    let part = |name: &str| Some(folder.join(name)).filter(|path| path.is_dir());
    Parts {
        transformer: folder.join("transformer"),
        low_noise: part("transformer_2"),
        vae: folder.join("vae"),
        text: part("text_encoder").zip(part("tokenizer")).map(Into::into),
        image: part("image_encoder"),
    }
}

fn by_headers(folder: &Path) -> Result<Parts, JobError> {
    let inventory = Inventory::of(&[folder.to_path_buf()]);
    let having = |wanted: &dyn Fn(Network) -> bool| -> Vec<PathBuf> {
        let has = |networks: &Vec<detect::Found>| networks.iter().any(|found| wanted(found.network));
        let units = inventory.units.iter().filter(|unit| unit.networks.as_ref().is_ok_and(has));
        units.map(|unit| unit.path.clone()).collect()
    };
    let first = |wanted: &dyn Fn(Network) -> bool| having(wanted).into_iter().next();
    let transformers = having(&|network| matches!(network, Network::Transformer(_)));
    let says =
        |expert| transformers.iter().find(|path| detect::Expert::of_path(path) == Some(expert)).cloned();
    let (high, low_noise) = (says(detect::Expert::High), says(detect::Expert::Low));
    let lacks = |what: &str| model_error(format!("{}: no {what} in it", folder.display()));
    match (&high, &low_noise) {
        (Some(_), None) => return Err(lacks("low-noise expert")),
        (None, Some(_)) => return Err(lacks("high-noise expert")),
        _ => {}
    }
    let in_file = || Some(inventory.units.iter().find(|unit| unit.has_tokenizer)?.path.clone());
    let tokenizer = inventory.tokenizers.first().cloned().or_else(in_file);
    let text = first(&|network| network == Network::Umt5);
    if text.is_some() && tokenizer.is_none() {
        return Err(lacks("tokeniser (spiece.model or tokenizer.json in a folder named umt5-xxl)"));
    }
    Ok(Parts {
        transformer: high.or_else(|| transformers.first().cloned()).ok_or_else(|| lacks("transformer"))?,
        low_noise,
        vae: first(&|network| matches!(network, Network::Vae21 | Network::Vae22 | Network::VaeOther))
            .ok_or_else(|| lacks("video autoencoder"))?,
        text: text.zip(tokenizer).map(Into::into),
        image: first(&|network| network == Network::Clip),
    })
}

impl Parts {
    /// The same on every machine and in every layout of the same files.
    fn fingerprint(&self) -> Result<String, JobError> {
        let [text, tokenizer] = self.text.clone().map(|text| text.map(Some)).unwrap_or_default();
        let parts = [
            ("transformer", Some(self.transformer.clone())),
            ("low noise", self.low_noise.clone()),
            ("vae", Some(self.vae.clone())),
            ("text", text),
            ("tokenizer", tokenizer),
            ("image", self.image.clone()),
        ];
        let there: Vec<(&str, &Path)> =
            parts.iter().filter_map(|(purpose, path)| Some((*purpose, path.as_deref()?))).collect();
        Ok(base::fingerprint_of_parts(&there)?)
    }

    /// The experts, in the order they are asked; none where there is one transformer for all noise levels.
    pub fn experts(&self) -> Vec<Option<Expert>> {
        match self.low_noise {
            Some(_) => vec![Some(Expert::High), Some(Expert::Low)],
            None => vec![None],
        }
    }

    /// The file or folder of one expert's transformer.
    pub fn transformer_of(&self, expert: Option<Expert>) -> &Path {
        match (expert, &self.low_noise) {
            (Some(Expert::Low), Some(path)) => path,
            _ => &self.transformer,
        }
    }

    /// The sizes of the transformer, from headers alone.
    ///
    /// # Errors
    /// When its files cannot be read, or have no input for mask and plate, or one for a CLIP image and none is there.
    pub fn transformer_config(&self) -> Result<TransformerConfig, JobError> {
        let config = transformer_config(&self.transformer, &Weights::open(&self.transformer)?)?;
        let shown = self.transformer.display();
        if config.in_channels != 2 * config.out_channels + MASK_CHANNELS {
            let (inputs, outputs) = (config.in_channels, config.out_channels);
            return Err(model_error(format!(
                "{shown}: {inputs} channels in and {outputs} out leave none for a mask and the plate around it"
            )));
        }
        if config.takes_image() && self.image.is_none() {
            return Err(model_error(format!(
                "{shown} takes CLIP image states, and there is no image encoder"
            )));
        }
        Ok(config)
    }
}

/// The condition begins with this many mask channels; the rest are latents, as many as the noise has.
pub(crate) const MASK_CHANNELS: usize = 4;

/// The sizes that a diffusers `config.json` beside the weights says, else those the tensors tell: official files of that
/// name are written otherwise.
pub(crate) fn transformer_config(path: &Path, weights: &Weights) -> Result<TransformerConfig, ModelError> {
    match config_beside(path, "num_attention_heads") {
        Some(config) => TransformerConfig::read(&config),
        None => TransformerConfig::detect(weights),
    }
}

/// As [`transformer_config`], of the video autoencoder.
pub(crate) fn vae_config(path: &Path, weights: &Weights) -> Result<VaeConfig, ModelError> {
    match config_beside(path, "base_dim") {
        Some(config) => VaeConfig::read(&config),
        None => VaeConfig::detect(weights),
    }
}

/// The `config.json` in a folder of weights, or beside a weights file, if it has a value of this name.
pub(crate) fn config_beside(path: &Path, key: &str) -> Option<PathBuf> {
    let folder = if path.is_dir() { path } else { path.parent()? };
    let config = folder.join("config.json");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&config).ok()?).ok()?;
    json.get(key).is_some().then_some(config)
}

fn model_error(message: String) -> JobError {
    JobError::new(FailureKind::Model, message)
}
