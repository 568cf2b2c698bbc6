//! Products with a frozen weight that stays as it lies in its file: some rows at a time are decoded to f32, multiplied
//! and forgotten, so that a base in bf16, fp8 or quantised blocks never has a copy in f32.
//!
//! Decoding costs about as much as multiplying with six rows of input, so that at the hundreds of tokens of a clip it
//! disappears; small networks at small clips are better held whole.

use candle_core::{CpuStorage, Layout, Result};
use rayon::prelude::*;

use super::matrix::{Matrix, Write, by_rows, multiply};
use super::slices::values;
use crate::weights::Stored;

/// Values decoded at a time: 8 MiB, less than a layer, more than every thread needs to be busy.
const DECODED: usize = 1 << 21;

/// `x·Wᵀ`, (rows, out), for contiguous `x` (rows, in).
pub(super) fn product(x: &CpuStorage, layout: &Layout, weight: &Stored) -> Result<CpuStorage> {
    let ([outputs, inputs], x) = (weight.shape(), values(x, layout)?);
    let mut y = vec![0f32; x.len() / inputs.max(1) * outputs];
    each_part(weight, |first, rows| {
        let part = Matrix::new(rows, rows.len() / inputs, inputs, inputs).transposed();
        by_rows((&mut y, outputs), (x, inputs), |y, x| {
            let x = Matrix::new(x, x.len() / inputs, inputs, inputs);
            multiply(&mut y[first..], outputs, Write::Replace, 1.0, x, part);
        });
    });
    Ok(CpuStorage::F32(y))
}

/// `g·W`, (rows, in), for contiguous `gradient` (rows, out).
pub(super) fn input_gradient(gradient: &CpuStorage, layout: &Layout, weight: &Stored) -> Result<CpuStorage> {
    let ([outputs, inputs], gradient) = (weight.shape(), values(gradient, layout)?);
    let mut into = vec![0f32; gradient.len() / outputs.max(1) * inputs];
    each_part(weight, |first, rows| {
        let count = rows.len() / inputs;
        let part = Matrix::new(rows, count, inputs, inputs);
        by_rows((&mut into, inputs), (gradient, outputs), |into, gradient| {
            let gradient = Matrix::new(&gradient[first..], gradient.len() / outputs, count, outputs);
            multiply(into, inputs, Write::Add, 1.0, gradient, part);
        });
    });
    Ok(CpuStorage::F32(into))
}

/// Calls `f` with the decoded rows of the weight, part after part, and the number of the part's first row.
fn each_part(weight: &Stored, mut f: impl FnMut(usize, &[f32])) {
    let [outputs, inputs] = weight.shape();
    let at_once = (DECODED / inputs.max(1)).clamp(1, outputs.max(1));
    let mut decoded = vec![0f32; at_once * inputs];
    for first in (0..outputs).step_by(at_once) {
        let rows = at_once.min(outputs - first);
        let part = &mut decoded[..rows * inputs];
        let share = rows.div_ceil(rayon::current_num_threads());
        part.par_chunks_mut(share * inputs).enumerate().for_each(|(i, into)| {
            let first = first + i * share;
            weight.widen(first..first + into.len() / inputs, into);
        });
        f(first, part);
    }
}
