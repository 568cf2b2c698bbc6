//! Single-threaded products of parts of larger matrices, checked and then handed to `gemm`.

use gemm::{Parallelism, gemm};
use rayon::prelude::*;

/// Multiply-adds below which one thread is faster than several: some 20 microseconds' worth.
pub(crate) const PARALLEL: usize = 1 << 20;

/// A matrix inside a slice: element (row, column) is at `row * row_stride + column * column_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows `row_stride` apart, their elements side by side.
    pub fn new(values: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        Self { values, rows, columns, row_stride, column_stride: 1 }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Rows and columns exchanged.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// What happens to the values a product is written over.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Write {
    Replace,
    Add,
}

/// `into = scale * a * b`, or that added; the rows of `into` are `row_stride` apart.
///
/// # Panics
/// When sizes do not fit together or a matrix reaches past its slice.
pub(crate) fn multiply(
    into: &mut [f32],
    row_stride: usize,
    write: Write,
    scale: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
) {
    let (m, n, k) = (a.rows, b.columns, a.columns);
    assert_eq!(k, b.rows, "inner sizes of a product");
    let target = Matrix::new(into, m, n, row_stride);
    assert!(
        [target, a, b].iter().all(|matrix| reach(matrix) <= matrix.values.len()),
        "matrix past its slice"
    );
    assert!(row_stride >= n || m <= 1, "rows of the target overlap");
    // SAFETY: sizes fit together and all three matrices lie inside their slices, as asserted above; `into` is
    // borrowed exclusively, and its rows do not overlap.
    unsafe {
        gemm(
            m,
            n,
            k,
            into.as_mut_ptr(),
            1,
            row_stride as isize,
            write == Write::Add,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Calls `f` with rows of `into` and the same rows of `from`, each given with the width of its rows.
///
/// Small work stays in this thread: to hand it to others takes longer, much longer where they are busy.
pub(crate) fn by_rows(
    (into, width): (&mut [f32], usize),
    (from, from_width): (&[f32], usize),
    f: impl Fn(&mut [f32], &[f32]) + Sync,
) {
    let rows = from.len() / from_width;
    if rows * width * from_width < PARALLEL {
        return f(into, from);
    }
    let at_once = rows.div_ceil(rayon::current_num_threads());
    let parts = into.par_chunks_mut(at_once * width).zip(from.par_chunks(at_once * from_width));
    parts.for_each(|(into, from)| f(into, from));
}

/// One past the last element that a matrix reaches.
fn reach(matrix: &Matrix<'_>) -> usize {
    if matrix.rows == 0 || matrix.columns == 0 {
        return 0;
    }
    (matrix.rows - 1) * matrix.row_stride + (matrix.columns - 1) * matrix.column_stride + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_transposition_scale_and_sum() {
        // a is 2x3 with rows 4 apart, b is 2x3 transposed to 3x2.
        let a = [1.0, 2.0, 3.0, 99.0, 4.0, 5.0, 6.0];
        let b = [1.0, 0.0, 2.0, 0.0, 1.0, 1.0];
        let (a, b) = (Matrix::new(&a, 2, 3, 4), Matrix::new(&b, 2, 3, 3).transposed());
        let mut into = [10.0; 5];
        multiply(&mut into, 3, Write::Replace, 2.0, a, b);
        assert_eq!(into, [14.0, 10.0, 10.0, 32.0, 22.0]);
        multiply(&mut into, 3, Write::Add, 1.0, a, b);
        assert_eq!(into, [21.0, 15.0, 10.0, 48.0, 33.0]);
    }

    #[test]
    #[should_panic(expected = "past its slice")]
    fn a_short_slice_is_caught() {
        multiply(
            &mut [0.0; 3],
            2,
            Write::Replace,
            1.0,
            Matrix::new(&[1.0; 2], 2, 1, 1),
            Matrix::new(&[1.0; 2], 1, 2, 2),
        );
    }
}
