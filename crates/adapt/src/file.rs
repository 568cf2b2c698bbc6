//! The adapter file: written as ComfyUI and diffusers read it, read in every spelling they write.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};
use serde::Deserialize;

use crate::adapter::{Adapter, Layer};
use crate::container::{self, Metadata};
use crate::error::{AdaptError, Result};
use crate::names::{Part, parse};

/// The prefix of ComfyUI's keys.
const PREFIX: &str = "diffusion_model.";

/// How precisely an adapter is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Half the size; what other programs write.
    #[default]
    Bf16,
    /// Exactly what was trained.
    F32,
}

/// Where an adapter comes from, kept in its file's metadata.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Provenance {
    /// Name of the base model.
    pub base: String,
    /// Fingerprint of the base's weights.
    pub base_fingerprint: String,
    /// Id of the shot it was trained on.
    pub shot: String,
    /// The recipe as JSON.
    pub recipe: String,
    /// Loss of the last step.
    pub final_loss: f32,
    /// Version of the program that trained it.
    pub version: String,
}

impl Adapter {
    /// Writes the adapter, without an alpha where it equals the rank, as is usual.
    ///
    /// # Errors
    /// When the file cannot be written; what stood at `path` before is then untouched.
    pub fn save(&self, path: &Path, precision: Precision, provenance: &Provenance) -> Result<()> {
        let mut tensors = Vec::new();
        for layer in self.layers() {
            let rank = layer.rank() as f64;
            if layer.alpha != rank {
                let alpha = Tensor::new(layer.alpha as f32, &Device::Cpu)?;
                tensors.push((format!("{PREFIX}{}.alpha", layer.path), alpha));
            }
        }
        for (name, var) in self.parameters() {
            tensors.push((format!("{PREFIX}{name}"), var.detach().to_dtype(precision.into())?));
        }
        container::write(path, tensors, provenance.to_metadata())
    }

    /// Reads an adapter in any known spelling, not attached; trained further it stays f32.
    ///
    /// # Errors
    /// When the file cannot be read, holds no low-rank pair of a block, or half a pair.
    pub fn load(path: &Path) -> Result<Self> {
        let (tensors, metadata) = container::read(path)?;
        let alpha = peft_alpha(&metadata).map_err(|reason| AdaptError::bad_file(path, reason))?;
        let (pairs, ignored) = sort(tensors);
        if pairs.is_empty() {
            return Err(AdaptError::bad_file(path, "no low-rank pair of a block in it"));
        }
        if !ignored.is_empty() {
            log::warn!("{}: {} tensors left out, such as {}", path.display(), ignored.len(), ignored[0]);
        }
        let layer = |(layer, pair): (String, Pair)| pair.into_layer(path, layer, alpha);
        Ok(Self::from_parts(pairs.into_iter().map(layer).collect::<Result<_>>()?, ignored))
    }
}

impl From<Precision> for DType {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::Bf16 => Self::BF16,
            Precision::F32 => Self::F32,
        }
    }
}

/// What was found of one layer.
#[derive(Default)]
struct Pair {
    a: Option<Tensor>,
    b: Option<Tensor>,
    alpha: Option<Tensor>,
}

/// The tensors by layer, and the names of those that belong to none.
fn sort(tensors: HashMap<String, Tensor>) -> (BTreeMap<String, Pair>, Vec<String>) {
    let mut pairs = BTreeMap::<String, Pair>::new();
    let mut ignored = Vec::new();
    for (key, tensor) in tensors {
        match parse(&key) {
            Some((layer, part)) => *pairs.entry(layer).or_default().part(part) = Some(tensor),
            None => ignored.push(key),
        }
    }
    ignored.sort();
    (pairs, ignored)
}

impl Pair {
    fn part(&mut self, part: Part) -> &mut Option<Tensor> {
        match part {
            Part::A => &mut self.a,
            Part::B => &mut self.b,
            Part::Alpha => &mut self.alpha,
        }
    }

    /// Where no alpha is given, `alpha` of the whole file holds, else the rank.
    fn into_layer(self, file: &Path, path: String, alpha: Option<f64>) -> Result<Layer> {
        let (Some(a), Some(b)) = (self.a, self.b) else {
            return Err(AdaptError::bad_file(file, format!("half of the pair of {path} is missing")));
        };
        let fits = a.rank() == 2 && b.rank() == 2 && a.dims()[0] == b.dims()[1] && a.dims()[0] > 0;
        if !fits {
            let shapes = format!("{path}: A {:?} and B {:?} are no pair", a.dims(), b.dims());
            return Err(AdaptError::bad_file(file, shapes));
        }
        let own = self
            .alpha
            .map(|alpha| alpha.to_dtype(DType::F64)?.flatten_all()?.get(0)?.to_scalar())
            .transpose()?;
        let alpha = own.or(alpha).unwrap_or(a.dims()[0] as f64);
        let var = |tensor: Tensor| Var::from_tensor(&tensor.to_dtype(DType::F32)?);
        Ok(Layer { path, a: var(a)?, b: var(b)?, alpha })
    }
}

/// What diffusers' own files say of the scale, in the metadata instead of tensors.
#[derive(Deserialize)]
struct PeftConfig {
    #[serde(rename = "transformer.lora_alpha")]
    alpha: Option<f64>,
    #[serde(rename = "transformer.alpha_pattern", default)]
    alpha_pattern: HashMap<String, f64>,
    #[serde(rename = "transformer.use_rslora", default)]
    rank_stabilised: bool,
    #[serde(rename = "transformer.use_dora", default)]
    dora: bool,
}

fn peft_alpha(metadata: &Metadata) -> std::result::Result<Option<f64>, String> {
    let Some(text) = metadata.get("lora_adapter_metadata") else { return Ok(None) };
    let config: PeftConfig = serde_json::from_str(text).map_err(|e| format!("lora_adapter_metadata: {e}"))?;
    match config {
        _ if config.rank_stabilised => Err("rank-stabilised LoRA is not supported".into()),
        _ if config.dora => Err("DoRA is not supported".into()),
        _ if !config.alpha_pattern.is_empty() => {
            Err("an alpha per layer in the metadata is not supported".into())
        }
        _ => Ok(config.alpha),
    }
}

impl Provenance {
    /// Reads it from an adapter's file, without the tensors; nothing if another program wrote the file.
    ///
    /// # Errors
    /// When the file cannot be read or is no safetensors file.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let metadata = container::read_metadata(path)?;
        let text = |key: &str| metadata.get(&format!("lora_edit.{key}")).cloned().unwrap_or_default();
        let ours = metadata.contains_key("lora_edit.version");
        Ok(ours.then(|| Self {
            base: text("base"),
            base_fingerprint: text("base_fingerprint"),
            shot: text("shot"),
            recipe: text("recipe"),
            final_loss: text("final_loss").parse().unwrap_or(f32::NAN),
            version: text("version"),
        }))
    }

    fn to_metadata(&self) -> Metadata {
        let ours = [
            ("base", self.base.clone()),
            ("base_fingerprint", self.base_fingerprint.clone()),
            ("shot", self.shot.clone()),
            ("recipe", self.recipe.clone()),
            ("final_loss", self.final_loss.to_string()),
            ("version", self.version.clone()),
        ];
        let ours = ours.into_iter().map(|(key, value)| (format!("lora_edit.{key}"), value));
        ours.chain([("format".to_owned(), "pt".to_owned())]).collect()
    }
}
