//! What a file's header says: the tensors in it and where they lie.

use std::collections::BTreeMap;
use std::ops::Range;

use super::format::Format;

/// One tensor as a header describes it. The range is checked to lie in the file.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub name: String,
    pub shape: Vec<usize>,
    pub format: Format,
    pub range: Range<usize>,
    /// Steps between neighbours along each axis, in numbers, where they are not simply one after another.
    pub strides: Option<Vec<usize>>,
}

/// All that a header says.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub entries: Vec<Entry>,
    /// Text that belongs to the file, such as `_quantization_metadata`.
    pub metadata: BTreeMap<String, String>,
}

impl Entry {
    /// How many numbers the tensor has.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The number of elements, if it fits in memory.
pub(super) fn checked_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size))
}
