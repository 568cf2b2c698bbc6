//! The adapter file: written as ComfyUI and diffusers read it, read in every spelling they write.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};
use lora_edit_model::guidance::Expert;
use serde::Serialize;

use crate::adapter::{Adapter, Layer};
use crate::container::{self, Metadata};
use crate::error::{AdaptError, Result};
use crate::names::{self, Name, Part, parse};
use crate::peft::{self, Scales};

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
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// Name of the base model.
    pub base: String,
    /// Fingerprint of the base's weights.
    pub base_fingerprint: String,
    /// Id of the shot it was trained on.
    pub shot: String,
    /// The shot's frames, such as `1001-1049`.
    pub frames: String,
    /// The recipe as JSON.
    pub recipe: String,
    /// The step after which the adapter was as it is here.
    pub step: usize,
    /// Mean loss of the last steps.
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

    /// Reads an adapter in any known spelling, not attached; trained further it stays f32. Of a file with pairs for
    /// both experts of Wan 2.2 those for high noise: see [`Adapter::load_expert`].
    ///
    /// # Errors
    /// When the file cannot be read, holds no low-rank pair of a block, half a pair, or more than pairs can say.
    pub fn load(path: &Path) -> Result<Self> {
        Self::load_expert(path, Expert::High)
    }

    /// As [`Adapter::load`], for one of two experts. A file that tells them apart gives the pairs of the one asked
    /// for; any other holds pairs of one network, and is taken to be meant for this one.
    ///
    /// # Errors
    /// As there.
    pub fn load_expert(path: &Path, expert: Expert) -> Result<Self> {
        let (tensors, metadata) = container::read(path)?;
        let bad = |reason: String| AdaptError::bad_file(path, reason);
        refuse_other_methods(tensors.keys()).map_err(bad)?;
        let of_peft = tensors.keys().any(|key| key.starts_with(names::PEFT));
        let expert = expert_in(tensors.keys(), expert);
        let scales = peft::scales(path, &metadata, expert, of_peft).map_err(bad)?;
        let (pairs, ignored) = sort(tensors, expert);
        if pairs.is_empty() {
            let such = ignored.first().map(|key| format!(" (but {key})")).unwrap_or_default();
            return Err(bad(format!("no low-rank pair of a block in it{such}")));
        }
        if !ignored.is_empty() {
            log::warn!("{}: {} tensors left out, such as {}", path.display(), ignored.len(), ignored[0]);
        }
        let layer = |(layer, pair): (String, Pair)| pair.into_layer(path, layer, scales);
        Ok(Self::from_parts(pairs.into_iter().map(layer).collect::<Result<_>>()?, ignored))
    }
}

/// What leaves nothing of the file's meaning when it is left out.
pub(crate) fn refuse_other_methods<'a>(
    mut keys: impl Iterator<Item = &'a String>,
) -> std::result::Result<(), String> {
    match keys.find_map(|key| Some((key, names::foreign_method(key)?))) {
        Some((key, method)) => Err(format!("{method} is not supported ({key})")),
        None => Ok(()),
    }
}

/// The expert asked for, where the file tells the two apart.
pub(crate) fn expert_in<'a>(keys: impl Iterator<Item = &'a String>, asked: Expert) -> Expert {
    let mut experts = keys.filter_map(|key| parse(key)).map(|name| name.expert);
    if experts.any(|expert| expert == Expert::Low) { asked } else { Expert::High }
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
fn sort(tensors: HashMap<String, Tensor>, wanted: Expert) -> (BTreeMap<String, Pair>, Vec<String>) {
    let mut pairs = BTreeMap::<String, Pair>::new();
    let mut ignored = Vec::new();
    for (key, tensor) in tensors {
        match parse(&key) {
            Some(Name { expert, layer, part }) if expert == wanted => {
                *pairs.entry(layer).or_default().part(part) = Some(tensor);
            }
            _ => ignored.push(key),
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

    /// Where the layer has no alpha of its own, that of the whole file holds, else the rank.
    fn into_layer(self, file: &Path, path: String, scales: Scales) -> Result<Layer> {
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
        let alpha = own.unwrap_or_else(|| scales.alpha(a.dims()[0]));
        let var = |tensor: Tensor| Var::from_tensor(&tensor.to_dtype(DType::F32)?);
        Ok(Layer { path, a: var(a)?, b: var(b)?, alpha })
    }
}

impl Provenance {
    /// Reads it from an adapter's file, without the tensors; nothing if another program wrote the file.
    ///
    /// # Errors
    /// When the file cannot be read or is no safetensors file.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        Ok(Self::of_metadata(&container::read_header(path)?.metadata))
    }

    pub(crate) fn of_metadata(metadata: &Metadata) -> Option<Self> {
        let text = |key: &str| metadata.get(&format!("lora_edit.{key}")).cloned().unwrap_or_default();
        let ours = metadata.contains_key("lora_edit.version");
        ours.then(|| Self {
            base: text("base"),
            base_fingerprint: text("base_fingerprint"),
            shot: text("shot"),
            frames: text("frames"),
            recipe: text("recipe"),
            step: text("step").parse().unwrap_or_default(),
            final_loss: text("final_loss").parse().unwrap_or(f32::NAN),
            version: text("version"),
        })
    }

    fn to_metadata(&self) -> Metadata {
        let ours = [
            ("base", self.base.clone()),
            ("base_fingerprint", self.base_fingerprint.clone()),
            ("shot", self.shot.clone()),
            ("frames", self.frames.clone()),
            ("recipe", self.recipe.clone()),
            ("step", self.step.to_string()),
            ("final_loss", self.final_loss.to_string()),
            ("version", self.version.clone()),
        ];
        let ours = ours.into_iter().map(|(key, value)| (format!("lora_edit.{key}"), value));
        ours.chain([("format".to_owned(), "pt".to_owned())]).collect()
    }
}
