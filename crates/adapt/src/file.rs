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
    /// both experts of Wan 2.2 those for high noise: see [`Adapter::load_expert`]. What a file holds beside pairs of
    /// the blocks is left out, and named in [`Adapter::ignored`]: see [`Lora`](crate::Lora).
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
        let (pairs, ignored) = sort(&tensors, |name| name.expert == expert && name.is_of_a_blocks_pair());
        if pairs.is_empty() {
            let such = ignored.first().map(|key| format!(" (but {key})")).unwrap_or_default();
            return Err(bad(format!("no low-rank pair of a block in it{such}")));
        }
        if !ignored.is_empty() {
            log::warn!("{}: {} tensors left out, such as {}", path.display(), ignored.len(), ignored[0]);
        }
        let layer = |(layer, pair): (String, Found)| pair.into_layer(path, layer, scales);
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
pub(crate) struct Found {
    a: Option<Tensor>,
    b: Option<Tensor>,
    alpha: Option<Tensor>,
    /// Added to what the pair gives, and scaled with it.
    pub bias: Option<Tensor>,
    /// Tensors of the layer by name, and what is added to them.
    pub differences: Vec<(&'static str, Tensor)>,
}

/// The tensors that are `wanted` by layer, and the names of the others.
pub(crate) fn sort(
    tensors: &HashMap<String, Tensor>,
    wanted: impl Fn(&Name) -> bool,
) -> (BTreeMap<String, Found>, Vec<String>) {
    let mut layers = BTreeMap::<String, Found>::new();
    let mut ignored = Vec::new();
    for (key, tensor) in tensors {
        match parse(key).filter(&wanted) {
            Some(name) => layers.entry(name.layer).or_default().put(name.part, tensor.clone()),
            None => ignored.push(key.clone()),
        }
    }
    ignored.sort();
    (layers, ignored)
}

impl Found {
    fn put(&mut self, part: Part, tensor: Tensor) {
        match part {
            Part::A => self.a = Some(tensor),
            Part::B => self.b = Some(tensor),
            Part::Alpha => self.alpha = Some(tensor),
            Part::PairBias => self.bias = Some(tensor),
            Part::Difference(of) => self.differences.push((of, tensor)),
        }
    }

    pub fn has_pair(&self) -> bool {
        self.a.is_some() || self.b.is_some()
    }

    /// Where the layer has no alpha of its own, that of the whole file holds, else the rank.
    pub fn into_layer(self, file: &Path, path: String, scales: Scales) -> Result<Layer> {
        let (Some(a), Some(b)) = (self.a, self.b) else {
            return Err(AdaptError::bad_file(file, format!("half of the pair of {path} is missing")));
        };
        let (a, b) = (as_matrix(a)?, as_matrix(b)?);
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

/// Of a convolution, whose two parts multiply as those of a linear layer do.
fn as_matrix(tensor: Tensor) -> Result<Tensor> {
    if tensor.rank() > 2 { Ok(tensor.flatten_from(1)?) } else { Ok(tensor) }
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
