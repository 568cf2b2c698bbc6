//! A LoRA of any make as a generation uses it: its low-rank pairs, and what else it adds to the network.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use lora_edit_model::WanTransformer;
use lora_edit_model::guidance::Expert;

use crate::adapter::{Adapter, Layer};
use crate::container;
use crate::error::{AdaptError, Result};
use crate::file::{Found, refuse_other_methods, sort};
use crate::names::{self, parse};
use crate::peft::{self, Scales};

/// What a file changes of one network, and is not trained further.
///
/// Published LoRAs, those that distil the steps above all, hold more than pairs for the blocks: pairs for the layers
/// outside them, and differences (`.diff` of a weight, `.diff_b` of a bias, `.diff_m` of a modulation), which count in
/// full at strength 1 as in ComfyUI. Diffusers leaves out differences of norms.
#[derive(Debug)]
pub struct Lora {
    expert: Option<Expert>,
    pairs: Vec<Layer>,
    differences: Vec<Difference>,
}

/// What is added to a tensor.
#[derive(Debug)]
struct Difference {
    /// Official path of the layer, such as `head.head`.
    layer: String,
    /// The tensor's name within the layer.
    tensor: &'static str,
    values: Tensor,
}

impl Lora {
    /// Reads a file in any known spelling: of one that tells two experts apart each of the two, else one.
    ///
    /// # Errors
    /// When the file cannot be read, changes nothing, has half a pair, or is of a method other than these.
    pub fn load(path: &Path) -> Result<Vec<Self>> {
        let (tensors, metadata) = container::read(path)?;
        let bad = |reason: String| AdaptError::bad_file(path, reason);
        refuse_other_methods(tensors.keys()).map_err(bad)?;
        let mut unknown: Vec<_> = tensors.keys().filter(|key| parse(key).is_none()).collect();
        unknown.sort();
        if unknown.len() == tensors.len() {
            let such = unknown.first().map(|key| format!(" (but {key})")).unwrap_or_default();
            return Err(bad(format!("no low-rank pair nor difference of a layer in it{such}")));
        }
        if let Some(first) = unknown.first() {
            log::warn!("{}: {} tensors left out, such as {first}", path.display(), unknown.len());
        }
        let of_peft = tensors.keys().any(|key| key.starts_with(names::PEFT));
        let of = |expert| -> Result<Self> {
            let scales = peft::scales(path, &metadata, expert, of_peft).map_err(bad)?;
            let (found, _) = sort(&tensors, |name| name.expert == expert);
            let mut lora = Self { expert: Some(expert), pairs: Vec::new(), differences: Vec::new() };
            for (layer, found) in found {
                lora.take(path, layer, found, scales)?;
            }
            Ok(lora)
        };
        let (high, low) = (of(Expert::High)?, of(Expert::Low)?);
        if low.is_empty() {
            return Ok(vec![Self { expert: None, ..high }]);
        }
        Ok([high, low].into_iter().filter(|lora| !lora.is_empty()).collect())
    }

    fn take(&mut self, file: &Path, layer: String, mut found: Found, scales: Scales) -> Result<()> {
        let (bias, differences) = (found.bias.take(), std::mem::take(&mut found.differences));
        // LyCORIS writes an alpha to differences too, and does not use it.
        if found.has_pair() || bias.is_some() || differences.is_empty() {
            let pair = found.into_layer(file, layer.clone(), scales)?;
            if let Some(bias) = bias {
                let values = (bias.to_dtype(DType::F32)? * pair.scale())?;
                self.differences.push(Difference { layer: layer.clone(), tensor: "bias", values });
            }
            self.pairs.push(pair);
        }
        let difference = |(tensor, values)| Difference { layer: layer.clone(), tensor, values };
        self.differences.extend(differences.into_iter().map(difference));
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.differences.is_empty()
    }

    /// The expert that the file means it for, where it tells two apart.
    pub fn expert(&self) -> Option<Expert> {
        self.expert
    }

    /// Adds it to `model` at `strength`; pairs of the blocks are hung beside what is there, to be merged by the caller.
    /// Gives the layers that it leaves out: those of the CLIP image where the model takes none, which LoRAs made for
    /// Wan 2.1 and handed on for 2.2 have.
    ///
    /// # Errors
    /// When a layer is missing from the model or has other sizes there; the model is of no use then.
    pub fn add_to(&self, model: &mut WanTransformer, strength: f64) -> Result<Vec<String>> {
        let (device, without_image) = (model.device().clone(), !model.config().takes_image());
        let is_left_out = |layer: &str| without_image && names::is_of_image(layer);
        let pairs = self.pairs.iter().filter(|pair| !is_left_out(&pair.path));
        let (of_blocks, outside): (Vec<_>, Vec<_>) = pairs.partition(|pair| pair.path.starts_with("blocks."));
        let of_blocks = of_blocks.into_iter().cloned().collect();
        Adapter::from_parts(of_blocks, Vec::new()).to_device(&device)?.attach(model, strength)?;
        for pair in outside {
            add(model, &pair.path, "weight", &pair.product(&device, strength)?)?;
        }
        for Difference { layer, tensor, values } in &self.differences {
            if !is_left_out(layer) {
                add(model, layer, tensor, &(values.to_dtype(DType::F32)? * strength)?)?;
            }
        }
        let paths = self.pairs.iter().map(|pair| &pair.path);
        let paths = paths.chain(self.differences.iter().map(|difference| &difference.layer));
        Ok(paths.filter(|path| is_left_out(path)).cloned().collect())
    }
}

impl From<Adapter> for Lora {
    fn from(adapter: Adapter) -> Self {
        Self { expert: None, pairs: adapter.into_layers(), differences: Vec::new() }
    }
}

fn add(model: &mut WanTransformer, layer: &str, tensor: &str, change: &Tensor) -> Result<()> {
    let name = format!("{layer}.{tensor}");
    let Some(place) = model.frozen(&name) else { return Err(AdaptError::NoLayer { layer: name }) };
    let expected = place.dims()?;
    // The patches' weight is a convolution's.
    let change = if expected.len() == 2 && change.rank() > 2 { &change.flatten_from(1)? } else { change };
    if change.dims() != expected {
        return Err(AdaptError::OtherSizes { layer: name, found: change.dims().to_vec(), expected });
    }
    Ok(place.add_change(change)?)
}

impl Layer {
    /// `alpha / rank`
    pub(crate) fn scale(&self) -> f64 {
        self.alpha / self.rank() as f64
    }

    /// `strength · scale · B·A`, (out, in).
    fn product(&self, device: &Device, strength: f64) -> Result<Tensor> {
        let there = |tensor: &Tensor| tensor.detach().to_device(device);
        Ok((there(&self.b)?.matmul(&there(&self.a)?)? * (strength * self.scale()))?)
    }
}
