//! Weights by name out of every kind of file that people have: safetensors, GGUF, `.pth`; as f32, or as they lie.

mod folder;
mod format;
mod fp8;
mod gguf;
mod listing;
mod made_up;
mod mapped;
mod pickle;
mod placement;
mod prefixes;
mod pth;
mod safetensors;
mod scales;
mod scope;
mod slot;
mod stored;
mod streamed;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Tensor};

use crate::error::{Loaded, ModelError};
use listing::Listing;
use mapped::MappedFile;
pub use placement::Placement;
use scales::{Placed, Scales};
pub(crate) use scope::Scope;
use slot::Slot;
pub use stored::Stored;
pub use streamed::Streamed;

/// The tensors of one network, read from disk when asked for.
#[derive(Clone)]
pub struct Weights {
    source: String,
    slots: BTreeMap<String, Slot>,
    metadata: BTreeMap<String, String>,
    /// Seed of the tensors that have no slot, where they are made up.
    made_up: Option<u64>,
    placement: Placement,
}

/// One tensor as its file's header describes it.
#[derive(Clone, Debug)]
pub struct TensorInfo<'a> {
    /// Its name, without the prefixes of repackaged checkpoints.
    pub name: &'a str,
    /// Its shape, slowest axis first.
    pub shape: &'a [usize],
    /// Its number format: `bf16`, `fp8_e4m3 scaled`, `Q4_K`, or what the file calls one that cannot be read.
    pub format: String,
    /// Its bytes in the file.
    pub bytes: u64,
    /// Why its numbers cannot be read, if they cannot.
    pub unreadable: Option<String>,
}

impl Weights {
    /// Opens one weights file, or those in a folder that make up one network.
    ///
    /// Reads safetensors (f64, f32, f16, bf16, fp8 plain and scaled), GGUF (F16, BF16, F32, Q4_0 to Q8_0, Q2_K to Q6_K)
    /// and what `torch.save` writes, told apart by their first bytes. In a folder, an index names the files, else all
    /// shards must be there. The prefixes of repackaged checkpoints (`model.diffusion_model.` and so on) are dropped.
    ///
    /// # Errors
    /// When nothing is there, a file is broken or cut short, a shard is missing, two files hold the same tensor, or a
    /// `.pth` file asks for anything but tensors. A tensor that cannot be understood is an error only when it is read.
    pub fn open(path: &Path) -> Loaded<Self> {
        let source = path.display().to_string();
        let mut tensors: Vec<Placed> = Vec::new();
        let mut metadata = BTreeMap::new();
        for path in folder::weight_files(path)? {
            let file = Arc::new(MappedFile::open(&path)?);
            let listing = read_listing(&file)?;
            metadata.extend(listing.metadata);
            tensors.extend(listing.entries.into_iter().map(|entry| (file.clone(), entry)));
        }
        let scales =
            Scales::read(&tensors, &metadata).map_err(|reason| ModelError::weights(&source, reason))?;
        let weights = tensors.iter().filter(|(_, entry)| !scales::is_companion(&entry.name));
        let plain = prefixes::Plain::of(weights.clone().map(|(_, entry)| entry.name.as_str()));
        let mut slots = BTreeMap::new();
        for (file, entry) in weights {
            let name = plain.name(&entry.name);
            if let Some(Slot::File(_)) = slots.insert(name.to_owned(), Slot::in_file(file, entry, &scales)) {
                return Err(ModelError::weights(&source, format!("tensor {name} is there twice")));
            }
        }
        Ok(Self { source, slots, metadata, made_up: None, placement: Placement::default() })
    }

    /// Tensors that are in memory already, under their names in any spelling.
    pub fn from_tensors(tensors: HashMap<String, Tensor>) -> Self {
        let plain = prefixes::Plain::of(tensors.keys().map(String::as_str));
        let slots = tensors.iter().map(|(name, t)| (plain.name(name).to_owned(), Slot::Memory(t.clone())));
        let source = "tensors in memory".into();
        let (slots, metadata) = (slots.collect(), BTreeMap::new());
        Self { source, slots, metadata, made_up: None, placement: Placement::default() }
    }

    /// Any tensor that is asked for, of normal numbers over the root of its inputs (all dimensions but the first):
    /// a network of any size to measure, not to use. The same seed and name give the same values.
    pub fn random(seed: u64) -> Self {
        let (slots, metadata) = (BTreeMap::new(), BTreeMap::new());
        let placement = Placement::default();
        Self { source: "random numbers".into(), slots, metadata, made_up: Some(seed), placement }
    }

    /// The same tensors, and whatever else is asked for made up as by [`Weights::random`].
    pub fn or_random(self, seed: u64) -> Self {
        Self { made_up: Some(seed), ..self }
    }

    /// The same tensors, to be put elsewhere when read.
    pub fn placed(self, placement: &Placement) -> Self {
        Self { placement: placement.clone(), ..self }
    }

    /// Every name, in order.
    pub fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.slots.keys().map(String::as_str)
    }

    /// Every tensor as its header describes it, in order of name.
    pub fn tensors(&self) -> impl Iterator<Item = TensorInfo<'_>> {
        self.slots.iter().map(|(name, slot)| TensorInfo {
            name,
            shape: slot.shape(),
            format: slot.format_name(),
            bytes: slot.bytes(),
            unreadable: slot.unreadable(),
        })
    }

    /// Text that the file's header holds beside its tensors.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.slots.contains_key(name)
    }

    /// The shape of a tensor, if there is one of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.slots.get(name).map(Slot::shape)
    }

    /// The tensor `name`, contiguous, scales applied, blocks decoded: f32 on the CPU unless [`Weights::placed`] said
    /// otherwise.
    ///
    /// # Errors
    /// Names the tensor and the file when it is missing, not of `shape`, of a type that cannot be read, or when one of
    /// its numbers is NaN or infinite.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Loaded<Tensor> {
        self.read(name, shape, self.placement.dtype)
    }

    fn read(&self, name: &str, shape: &[usize], dtype: DType) -> Loaded<Tensor> {
        Ok(self.placement.put(&self.slot(name, shape)?.read(name, &self.source)?, dtype)?)
    }

    /// The matrix `name` (out, in) as it lies in its file. Everything is checked here but the numbers themselves (see
    /// [`Weights::verify`]).
    ///
    /// # Errors
    /// Names the tensor and the file when it is missing, not of `shape`, or of a type that cannot be read.
    pub fn stored(&self, name: &str, shape: [usize; 2]) -> Loaded<Stored> {
        self.slot(name, &shape)?.stored(shape, name, &self.source)
    }

    /// The bytes of a tensor that is no weight, such as the tokeniser's model in ComfyUI's umT5 files.
    ///
    /// # Errors
    /// When there is no tensor of this name.
    pub fn bytes(&self, name: &str) -> Loaded<Vec<u8>> {
        self.slots.get(name).and_then(Slot::raw_bytes).ok_or_else(|| self.missing(name))
    }

    /// Decodes one tensor and looks at every number.
    ///
    /// # Errors
    /// Names the tensor and the file when one of its numbers is NaN or infinite, or when it cannot be read.
    pub fn check_finite(&self, name: &str) -> Loaded<()> {
        self.slots.get(name).ok_or_else(|| self.missing(name))?.check_finite(name, &self.source)
    }

    /// Decodes every tensor whose type can be read and looks at every number: minutes for a large model.
    ///
    /// # Errors
    /// As [`Weights::check_finite`], for the first tensor that is not sound.
    pub fn verify(&self) -> Loaded<()> {
        let readable = self.slots.iter().filter(|(_, slot)| slot.unreadable().is_none());
        readable.into_iter().try_for_each(|(name, slot)| slot.check_finite(name, &self.source))
    }

    /// The same tensors under names given by `rename`.
    pub(crate) fn renamed(&self, rename: impl Fn(&str) -> String) -> Self {
        let slots = self.slots.iter().map(|(name, slot)| (rename(name), slot.clone())).collect();
        Self { slots, ..self.clone() }
    }

    /// The file or folder these weights come from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// A view of all names that begin with `prefix` and a dot.
    pub(crate) fn under(&self, prefix: impl Into<String>) -> Scope<'_> {
        Scope::new(self, prefix.into(), self.placement.dtype)
    }

    fn slot(&self, name: &str, shape: &[usize]) -> Loaded<Cow<'_, Slot>> {
        if let (None, Some(seed)) = (self.slots.get(name), self.made_up) {
            return Ok(Cow::Owned(Slot::Memory(made_up::make_up(seed, name, shape)?)));
        }
        let slot = self.slots.get(name).ok_or_else(|| self.missing(name))?;
        if slot.shape() != shape {
            let (found, expected) = (slot.shape().to_vec(), shape.to_vec());
            let file = slot.file_name(&self.source);
            return Err(ModelError::WrongShape { name: name.into(), file, found, expected });
        }
        Ok(Cow::Borrowed(slot))
    }

    fn missing(&self, name: &str) -> ModelError {
        ModelError::MissingTensor { name: name.into(), file: self.source.clone() }
    }
}

/// Reads a file's header, of whatever kind it is.
fn read_listing(file: &MappedFile) -> Loaded<Listing> {
    let bytes = file.bytes();
    let is_torch = file.path().extension().is_some_and(|e| e == "pth" || e == "pt" || e == "bin");
    let listing = match bytes.first_chunk::<4>() {
        Some(&gguf::MAGIC) => gguf::read(bytes),
        Some(&pth::MAGIC) => pth::read(bytes),
        _ if is_torch => {
            Err("not a zip archive: torch's format of before version 1.6 is not supported".into())
        }
        _ => safetensors::read(bytes),
    };
    listing.map_err(|reason| ModelError::weights(&file.shown(), reason))
}
