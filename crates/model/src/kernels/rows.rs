//! Rows of one tensor beside the rows of another that is shared by several of them.

use candle_core::{Layout, Result, Tensor, bail};
use rayon::prelude::*;

/// Elements handed to a thread at a time.
const CHUNK: usize = 1 << 14;

/// Rows of `size` elements; `sharing` of them in succession share a row of the other tensor.
#[derive(Clone, Copy)]
pub(crate) struct Broadcast {
    pub size: usize,
    pub sharing: usize,
}

impl Broadcast {
    /// For `shared` (D), (B, 1, D) or of the shape of `of` (B, S, D); other shapes give `None`.
    pub fn new(of: &[usize], shared: &[usize]) -> Option<Self> {
        let size = *of.last()?;
        let rows = of.iter().product::<usize>() / size.max(1);
        let lone_row = shared == [size];
        let per_clip = of.len() == 3 && shared == [of[0], 1, size];
        let sharing = match (lone_row, per_clip, of == shared) {
            (true, ..) => rows,
            (_, true, _) => of[1],
            (_, _, true) => 1,
            _ => return None,
        };
        (size > 0 && sharing > 0).then_some(Self { size, sharing })
    }

    pub fn of_layouts(of: &Layout, shared: &Layout) -> Result<Self> {
        match Self::new(of.dims(), shared.dims()) {
            Some(rows) => Ok(rows),
            None => bail!("rows of {:?} cannot share those of {:?}", of.dims(), shared.dims()),
        }
    }

    /// Row `row` of a tensor that is not shared.
    #[inline(always)]
    pub fn row<'a>(&self, values: &'a [f32], row: usize) -> &'a [f32] {
        &values[row * self.size..(row + 1) * self.size]
    }

    /// The row of the shared tensor that belongs to row `row`.
    #[inline(always)]
    pub fn shared<'a>(&self, values: &'a [f32], row: usize) -> &'a [f32] {
        self.row(values, row / self.sharing)
    }

    /// Calls `f` in parallel with some rows of `out` and the number of the first.
    pub fn each(&self, out: &mut [f32], f: impl Fn(usize, &mut [f32]) + Sync) {
        let at_once = (CHUNK / self.size).max(1);
        let chunks = out.par_chunks_mut(at_once * self.size).enumerate();
        chunks.for_each(|(chunk, out)| f(chunk * at_once, out));
    }
}

/// Sums `t` (B, S, D) over what `shared` is shared by, to its shape.
pub(crate) fn sum_to(t: &Tensor, shared: &Tensor) -> Result<Tensor> {
    let size = shared.dims().last().copied().unwrap_or(1);
    let rows = shared.elem_count() / size.max(1);
    t.reshape((rows, (), size))?.sum(1)?.reshape(shared.shape())
}
