//! What an adapter file holds, from its header alone.

use std::collections::BTreeSet;
use std::path::Path;

use lora_edit_model::guidance::Expert;
use serde::Serialize;

use crate::container::{self, Header};
use crate::error::{AdaptError, Result};
use crate::file::{Provenance, refuse_other_methods};
use crate::names::{Name, Part, parse};

/// What can be known of an adapter file without reading its numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdapterContents {
    /// Where it comes from; nothing if another program wrote it.
    pub provenance: Option<Provenance>,
    /// Adapted layers, over both experts where there are two.
    pub layers: usize,
    /// The parts of a block that they are in, such as `self_attn`, each once, in alphabetical order.
    pub parts: Vec<String>,
    /// Blocks of the transformer with an adapted layer.
    pub blocks: usize,
    /// Inner widths of the pairs, each once, rising.
    pub ranks: Vec<usize>,
    /// Width of the transformer, where an attention projection tells it.
    pub width: Option<usize>,
    /// Number formats of the pairs, each once.
    pub dtypes: Vec<String>,
    /// How many numbers the pairs have.
    pub parameters: usize,
    /// Whether it has pairs for the second expert of Wan 2.2 under a name of their own.
    pub low_noise_expert: bool,
    /// Whether the layers of the CLIP image are adapted, which only Wan 2.1's image-to-video bases have.
    pub image_layers: bool,
    /// How many tensors there are for what is no linear layer of a block, and differences: they count where the file is
    /// stacked for a generation.
    pub beside: usize,
    /// Tensors that mean nothing here, and are left out.
    pub ignored: Vec<String>,
}

impl AdapterContents {
    /// Reads the header of the file at `path`.
    ///
    /// # Errors
    /// When the file cannot be read, is cut short, is no adapter, or one of a method other than low-rank pairs.
    pub fn read(path: &Path) -> Result<Self> {
        let header = container::read_header(path)?;
        refuse_other_methods(header.tensors.keys()).map_err(|reason| AdaptError::bad_file(path, reason))?;
        container::check_length(path, &header)?;
        let contents = Self::of(&header);
        if contents.layers + contents.beside == 0 {
            return Err(AdaptError::bad_file(path, "no low-rank pair of a block in it"));
        }
        Ok(contents)
    }

    fn of(header: &Header) -> Self {
        let mut contents = Self { provenance: Provenance::of_metadata(&header.metadata), ..Self::default() };
        let (mut blocks, mut ranks, mut dtypes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut parts = BTreeSet::new();
        for (key, entry) in &header.tensors {
            let Some(name) = parse(key) else {
                contents.ignored.push(key.clone());
                continue;
            };
            contents.low_noise_expert |= name.expert == Expert::Low;
            if !name.is_of_a_blocks_pair() {
                contents.beside += 1;
                continue;
            }
            let Name { layer, part, .. } = name;
            if part == Part::Alpha {
                continue;
            }
            dtypes.insert(format!("{:?}", entry.dtype).to_lowercase());
            contents.parameters += entry.shape.iter().product::<usize>();
            if let (Part::A, &[rank, inputs]) = (part, entry.shape.as_slice()) {
                contents.layers += 1;
                ranks.insert(rank);
                contents.width = contents.width.or(layer.ends_with("self_attn.q").then_some(inputs));
                contents.image_layers |= layer.ends_with("_img");
                let place: Vec<&str> = layer.split('.').collect();
                blocks.extend(place.get(1).map(ToString::to_string));
                parts.extend(place.get(2).map(ToString::to_string));
            }
        }
        contents.blocks = blocks.len();
        contents.parts = parts.into_iter().collect();
        contents.ranks = ranks.into_iter().collect();
        contents.dtypes = dtypes.into_iter().collect();
        contents
    }
}
