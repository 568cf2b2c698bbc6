//! Scaled eight-bit floats, as ComfyUI writes them: which scale belongs to which weight, and what cannot be read.
//!
//! Old files hold a tensor `scaled_fp8` and, beside each quantised weight, `scale_weight` (and `scale_input`, which
//! only matters to eight-bit products). New ones name them `weight_scale` and `input_scale` and say the format of each
//! layer in a tensor `comfy_quant` or in the header's `_quantization_metadata`, both JSON. A weight whose scale is
//! ignored is noise, so what is not understood is refused. (ComfyUI's `convert_old_quants` and `QUANT_ALGOS`.)

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Deserialize;

use super::format::Format;
use super::fp8::Float8;
use super::listing::Entry;
use super::mapped::MappedFile;
use super::stored::Scale;

/// Ends of the names of tensors that belong to another one.
const COMPANIONS: [&str; 9] = [
    ".scale_weight",
    ".scale_input",
    ".weight_scale",
    ".weight_scale_2",
    ".input_scale",
    ".comfy_quant",
    ".pre_quant_scale",
    ".weight_zero_point",
    "scaled_fp8",
];
/// Where a file's header says the formats of its layers.
const LAYERS: &str = "_quantization_metadata";
/// Tables that are looked up, not multiplied with: old files may keep them in plain eight bits beside scaled weights.
const TABLES: [&str; 5] =
    ["shared", "embed_tokens", "token_embedding", "relative_attention_bias", "embedding"];

/// A tensor with the file it lies in.
pub(super) type Placed = (Arc<MappedFile>, Entry);

/// What is known about the quantisation of some files.
#[derive(Default)]
pub(super) struct Scales<'a> {
    companions: HashMap<&'a str, &'a Placed>,
    layers: HashMap<String, Layer>,
    /// What names begin with in the parts that a marker calls scaled.
    marked: Vec<&'a str>,
}

/// One layer's quantisation.
#[derive(Clone, Debug, Default, Deserialize)]
struct Layer {
    #[serde(default)]
    format: String,
    /// Weights turned by a Hadamard matrix, which must be undone.
    #[serde(default)]
    convrot: bool,
}

#[derive(Deserialize)]
struct Layers {
    layers: HashMap<String, Layer>,
}

/// Whether a tensor belongs to another one and is no weight itself.
pub(super) fn is_companion(name: &str) -> bool {
    COMPANIONS.iter().any(|end| name.ends_with(end))
}

impl<'a> Scales<'a> {
    /// Gathers what headers and companions say; the reason where that is not understood.
    pub fn read(tensors: &'a [Placed], metadata: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut scales = Self::default();
        if let Some(text) = metadata.get(LAYERS) {
            let read = serde_json::from_str::<Layers>(text).map_err(|e| format!("broken {LAYERS}: {e}"))?;
            scales.layers = read.layers;
        }
        for placed in tensors.iter().filter(|(_, entry)| is_companion(&entry.name)) {
            let (file, entry) = placed;
            scales.companions.insert(&entry.name, placed);
            if let Some(layer) = entry.name.strip_suffix(".comfy_quant") {
                let text = file.slice(entry.range.clone());
                let read = serde_json::from_slice(text).map_err(|e| format!("broken {}: {e}", entry.name))?;
                scales.layers.insert(layer.to_owned(), read);
            }
            scales.marked.extend(entry.name.strip_suffix("scaled_fp8"));
        }
        Ok(scales)
    }

    /// The scale of a weight; the reason where its numbers cannot be understood.
    pub fn of(&self, entry: &Entry) -> Result<Scale, String> {
        let Some(layer) = entry.name.strip_suffix(".weight") else { return Ok(Scale::None) };
        let quantised = self.layers.get(layer);
        if let Some(Layer { format, convrot }) = quantised {
            check_format(format, *convrot, &entry.format)?;
        }
        let names = [format!("{layer}.scale_weight"), format!("{layer}.weight_scale")];
        match names.iter().find_map(|name| self.companions.get(name.as_str())) {
            Some((file, scale)) => read_scale(file, scale, entry),
            None if self.needs_scale(layer, entry, quantised.is_some()) => {
                Err(format!("{} without its scale ({} or weight_scale)", entry.format.name(), names[0]))
            }
            None => Ok(Scale::None),
        }
    }

    fn needs_scale(&self, layer: &str, entry: &Entry, quantised: bool) -> bool {
        let in_scaled_part = self.marked.iter().any(|prefix| layer.starts_with(prefix));
        let is_table = TABLES.contains(&layer.rsplit('.').next().unwrap_or(layer));
        let is_matrix = matches!(entry.format, Format::F8(_)) && entry.shape.len() == 2;
        quantised || (in_scaled_part && is_matrix && !is_table)
    }
}

fn check_format(format: &str, convrot: bool, stored: &Format) -> Result<(), String> {
    let expected = match format {
        "float8_e4m3fn" => Float8::E4m3,
        "float8_e5m2" => Float8::E5m2,
        other => return Err(format!("quantisation {other} is not supported")),
    };
    match stored {
        _ if convrot => Err(format!("quantisation {format} with convrot is not supported")),
        Format::F8(kind) if *kind == expected => Ok(()),
        other => Err(format!("said to be {format}, but stored as {}", other.name())),
    }
}

/// One number for the whole weight, or one for each row.
fn read_scale(file: &MappedFile, scale: &Entry, weight: &Entry) -> Result<Scale, String> {
    let plain = matches!(scale.format, Format::F64 | Format::F32 | Format::F16 | Format::Bf16);
    if !plain || scale.strides.is_some() {
        return Err(format!("{} is {}, which is no scale", scale.name, scale.format.name()));
    }
    let mut values = vec![0.0; scale.count()];
    scale.format.widen(file.slice(scale.range.clone()), 1.0, &mut values);
    if values.iter().any(|value| !value.is_finite()) {
        return Err(format!("{} is not finite", scale.name));
    }
    let rows = weight.shape.first().copied().unwrap_or(1);
    let by_row = scale.shape.first() == Some(&rows) && values.len() == rows;
    match values.as_slice() {
        [one] => Ok(Scale::All(*one)),
        _ if by_row => Ok(Scale::Rows { columns: weight.shape[1..].iter().product(), scales: values.into() }),
        _ => Err(format!(
            "{} of shape {:?} for a weight of {:?} is not supported",
            scale.name, scale.shape, weight.shape
        )),
    }
}
