//! Weights by name out of safetensors files and folders, on the device and of the type they are computed with.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device, Tensor};

use crate::error::{Loaded, ModelError};
use crate::linear::Linear;

/// Prefixes under which repackaged checkpoints keep the transformer, longest first.
const PREFIXES: [&str; 2] = ["model.diffusion_model.", "diffusion_model."];

/// The tensors of one network, read from disk when asked for.
#[derive(Clone)]
pub struct Weights {
    source: String,
    slots: BTreeMap<String, Slot>,
    placement: Placement,
}

/// Where a network's tensors are put, and as what type.
#[derive(Clone, Debug)]
pub struct Placement {
    /// The device they are copied to.
    pub device: Device,
    /// The type they are kept in and computed with; norms and the time's modulation stay f32 whatever it is.
    pub dtype: DType,
}

impl Default for Placement {
    /// f32 on the CPU.
    fn default() -> Self {
        Self { device: Device::Cpu, dtype: DType::F32 }
    }
}

impl Placement {
    fn put(&self, tensor: &Tensor, dtype: DType) -> candle_core::Result<Tensor> {
        tensor.to_dtype(dtype)?.to_device(&self.device)?.contiguous()
    }
}

/// Where one tensor lies.
#[derive(Clone)]
enum Slot {
    File { file: Arc<WeightsFile>, stored_name: String, shape: Vec<usize> },
    Memory(Tensor),
}

struct WeightsFile {
    path: PathBuf,
    map: MmapedSafetensors,
}

impl Weights {
    /// Opens one `.safetensors` file, or all of them in a folder (the shards of one network).
    ///
    /// f32, f16, bf16 and f8 (e4m3) are converted to f32 when read. The prefixes `model.diffusion_model.` and
    /// `diffusion_model.` are dropped.
    ///
    /// # Errors
    /// When nothing is there or a file is broken.
    pub fn open(path: &Path) -> Loaded<Self> {
        let mut slots = BTreeMap::new();
        for path in weight_files(path)? {
            let file = Arc::new(WeightsFile::open(path)?);
            slots.extend(file.slots());
        }
        Ok(Self { source: path.display().to_string(), slots, placement: Placement::default() })
    }

    /// Tensors that are in memory already, under their names in any spelling.
    pub fn from_tensors(tensors: HashMap<String, Tensor>) -> Self {
        let slots = tensors.into_iter().map(|(name, t)| (plain_name(&name), Slot::Memory(t))).collect();
        Self { source: "tensors in memory".into(), slots, placement: Placement::default() }
    }

    /// The same tensors, to be put elsewhere when read.
    pub fn placed(self, placement: &Placement) -> Self {
        Self { placement: placement.clone(), ..self }
    }

    /// Every name, in order.
    pub fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.slots.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.slots.contains_key(name)
    }

    /// The shape of a tensor, if there is one of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.slots.get(name).map(Slot::shape)
    }

    /// The tensor `name`, contiguous and placed: f32 on the CPU unless [`Weights::placed`] said otherwise.
    ///
    /// # Errors
    /// Names the tensor and the file when it is missing or not of `shape`.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Loaded<Tensor> {
        self.read(name, shape, self.placement.dtype)
    }

    fn read(&self, name: &str, shape: &[usize], dtype: DType) -> Loaded<Tensor> {
        let slot = self.slots.get(name).ok_or_else(|| self.missing(name))?;
        if slot.shape() != shape {
            let (found, expected) = (slot.shape().to_vec(), shape.to_vec());
            let file = slot.file_name(&self.source);
            return Err(ModelError::WrongShape { name: name.into(), file, found, expected });
        }
        let tensor = slot.read().map_err(|e| ModelError::weights(&slot.file_name(&self.source), e))?;
        Ok(self.placement.put(&tensor, dtype)?)
    }

    /// The same tensors under names given by `rename`.
    pub(crate) fn renamed(&self, rename: impl Fn(&str) -> String) -> Self {
        let slots = self.slots.iter().map(|(name, slot)| (rename(name), slot.clone())).collect();
        Self { source: self.source.clone(), slots, placement: self.placement.clone() }
    }

    /// The file or folder these weights come from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// A view of all names that begin with `prefix` and a dot.
    pub(crate) fn under(&self, prefix: impl Into<String>) -> Scope<'_> {
        Scope { weights: self, prefix: prefix.into(), dtype: self.placement.dtype }
    }

    fn missing(&self, name: &str) -> ModelError {
        ModelError::MissingTensor { name: name.into(), file: self.source.clone() }
    }
}

/// Part of a network's weights: all names that begin with one prefix.
#[derive(Clone)]
pub(crate) struct Scope<'a> {
    weights: &'a Weights,
    prefix: String,
    dtype: DType,
}

impl Scope<'_> {
    /// The part below `name`.
    pub fn under(&self, name: &str) -> Self {
        Self { prefix: self.full_name(name), ..self.clone() }
    }

    /// The same part in f32 whatever the placement says: for small tensors whose rounding would show.
    pub fn in_f32(&self) -> Self {
        Self { dtype: DType::F32, ..self.clone() }
    }

    /// The tensor `prefix.name`.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Loaded<Tensor> {
        self.weights.read(&self.full_name(name), shape, self.dtype)
    }

    /// The linear layer `prefix.name`, with its bias.
    pub fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Loaded<Linear> {
        let scope = self.under(name);
        let weight = scope.tensor("weight", &[outputs, inputs])?;
        Ok(Linear::new(weight, Some(scope.tensor("bias", &[outputs])?))?)
    }

    fn full_name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.into() } else { format!("{}.{name}", self.prefix) }
    }
}

impl Slot {
    fn shape(&self) -> &[usize] {
        match self {
            Self::File { shape, .. } => shape,
            Self::Memory(tensor) => tensor.dims(),
        }
    }

    fn read(&self) -> candle_core::Result<Tensor> {
        match self {
            Self::File { file, stored_name, .. } => file.map.load(stored_name, &Device::Cpu),
            Self::Memory(tensor) => Ok(tensor.detach()),
        }
    }

    fn file_name(&self, source: &str) -> String {
        match self {
            Self::File { file, .. } => file.path.display().to_string(),
            Self::Memory(_) => source.into(),
        }
    }
}

impl WeightsFile {
    #[allow(unsafe_code)]
    fn open(path: PathBuf) -> Loaded<Self> {
        std::fs::File::open(&path).map_err(|source| ModelError::Unreadable { path: path.clone(), source })?;
        // SAFETY: the file is mapped for reading only; model files are replaced by rename, never written in place.
        let map = unsafe { MmapedSafetensors::new(&path) };
        let map = map.map_err(|e| ModelError::weights(&path.display().to_string(), e))?;
        Ok(Self { path, map })
    }

    fn slots(self: &Arc<Self>) -> Vec<(String, Slot)> {
        let slot = |(stored_name, view): (String, safetensors::tensor::TensorView<'_>)| {
            let shape = view.shape().to_vec();
            (plain_name(&stored_name), Slot::File { file: self.clone(), stored_name, shape })
        };
        self.map.tensors().into_iter().map(slot).collect()
    }
}

/// `path` itself, or the `.safetensors` files in that folder.
fn weight_files(path: &Path) -> Loaded<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = |source| ModelError::Unreadable { path: path.to_owned(), source };
    let entries = std::fs::read_dir(path).map_err(unreadable)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    let is_weights = |p: &PathBuf| p.extension().is_some_and(|e| e == "safetensors");
    let mut files: Vec<_> = paths.map_err(unreadable)?.into_iter().filter(is_weights).collect();
    files.sort();
    if files.is_empty() { Err(ModelError::NoWeights { path: path.to_owned() }) } else { Ok(files) }
}

fn plain_name(stored: &str) -> String {
    PREFIXES.iter().find_map(|prefix| stored.strip_prefix(prefix)).unwrap_or(stored).to_owned()
}
