//! A frozen linear layer with one low-rank pair as a single operation, forward and backward.
//!
//! Composed of candle's operations, the pair costs several passes over tensors of the layer's width, which at the
//! sizes trained on a CPU take longer than the products themselves.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp3, DType, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

use super::frozen::{FrozenLinear, FrozenWeight};
use super::matrix::{Matrix, PARALLEL, Write, by_rows, multiply};
use super::slices::{on_cpu, tensor_like, values, with_all};

/// Whether [`adapted_linear`] can run on these.
pub(crate) fn fits([x, a, b]: [&Tensor; 3], weight: &FrozenWeight, bias: Option<&Tensor>) -> bool {
    let (Ok((outputs, inputs)), Ok((rank, a_in)), Ok((b_out, b_rank))) =
        (weight.dims2(), a.dims2(), b.dims2())
    else {
        return false;
    };
    #[cfg(feature = "cuda")]
    if super::cuda::takes(x) && !super::cuda::takes_pair([x, a, b], weight, bias) {
        return false;
    }
    let sizes = x.dims().last() == Some(&inputs) && a_in == inputs && b_out == outputs && b_rank == rank;
    let filled = x.elem_count() > 0 && outputs > 0 && rank > 0;
    let base_on_cpu = weight.device().is_cpu() && weight.dtype() == DType::F32;
    let on_cpu = base_on_cpu && on_cpu(&[x, a, b]) && bias.is_none_or(|bias| on_cpu(&[bias]));
    #[cfg(feature = "cuda")]
    let on_cpu = on_cpu || super::cuda::takes(x);
    sizes && filled && on_cpu
}

/// `x·Wᵀ + bias + scale·(x·Aᵀ)·Bᵀ` for `x` (..., in), `weight` (out, in), `bias` (out), `a` (rank, in), `b` (out, rank).
///
/// Gradients are computed for those of `x`, `a` and `b` that something before them needs; never for the base.
///
/// # Errors
/// When [`fits`] does not hold.
pub(crate) fn adapted_linear(
    x: &Tensor,
    weight: &FrozenWeight,
    bias: Option<&Tensor>,
    (a, b, scale): (&Tensor, &Tensor, f64),
) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if super::cuda::takes(x) {
        return super::cuda::adapted_linear(x, &weight.dense()?, bias, (a, b, scale));
    }
    let op = AdaptedLinear { base: FrozenLinear::new(weight, bias), scale: scale as f32 };
    x.contiguous()?.apply_op3(&a.contiguous()?, &b.contiguous()?, op)
}

struct AdaptedLinear {
    base: FrozenLinear,
    scale: f32,
}

/// The pair's sizes and values, row-major.
struct Pair<'a> {
    inputs: usize,
    outputs: usize,
    rank: usize,
    a: &'a [f32],
    b: &'a [f32],
    scale: f32,
}

impl CustomOp3 for AdaptedLinear {
    fn name(&self) -> &'static str {
        "adapted-linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        // As in the layer without a pair, so that a pair of zeros changes no bit.
        let (mut y, shape) = self.base.cpu_fwd(x, x_layout)?;
        let pair = self.pair(values(a, a_layout)?, values(b, b_layout)?)?;
        let narrow = pair.narrow(values(x, x_layout)?);
        pair.add(of_f32(&mut y)?, &narrow, pair.b().transposed());
        Ok((y, shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        with_all([x, a, b, &gradient], |[x_values, a_values, b_values, g]| {
            let pair = self.pair(a_values, b_values)?;
            let (narrow, narrow_gradient) = (pair.narrow(x_values), pair.narrow_gradient(g));
            let to_x = x.track_op().then(|| self.input_gradient(&gradient, &pair, &narrow_gradient));
            let to_x = to_x.transpose()?.map(|values| tensor_like(values, x)).transpose()?;
            let to_a = a.track_op().then(|| tensor_like(pair.a_gradient(x_values, &narrow_gradient), a));
            let to_b = b.track_op().then(|| tensor_like(pair.b_gradient(g, &narrow), b));
            Ok((to_x, to_a.transpose()?, to_b.transpose()?))
        })
    }
}

impl AdaptedLinear {
    fn pair<'a>(&self, a: &'a [f32], b: &'a [f32]) -> Result<Pair<'a>> {
        let (outputs, inputs) = self.base.weight.dims2()?;
        Ok(Pair { inputs, outputs, rank: a.len() / inputs, a, b, scale: self.scale })
    }

    /// `g·W + scale·(g·B)·A`, (rows, in)
    fn input_gradient(&self, gradient: &Tensor, pair: &Pair<'_>, narrow: &[f32]) -> Result<Vec<f32>> {
        let (storage, layout) = gradient.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else { bail!("kernel got a tensor that is not on the CPU") };
        let CpuStorage::F32(mut into) = self.base.input_gradient(storage, layout)? else {
            bail!("kernel got a tensor that is not f32")
        };
        pair.add(&mut into, narrow, pair.a());
        Ok(into)
    }
}

impl Pair<'_> {
    fn a(&self) -> Matrix<'_> {
        Matrix::new(self.a, self.rank, self.inputs, self.inputs)
    }

    fn b(&self) -> Matrix<'_> {
        Matrix::new(self.b, self.outputs, self.rank, self.rank)
    }

    /// `scale·x·Aᵀ`, (rows, rank)
    fn narrow(&self, x: &[f32]) -> Vec<f32> {
        self.narrowed(x, self.inputs, self.a().transposed())
    }

    /// `scale·g·B`, (rows, rank)
    fn narrow_gradient(&self, gradient: &[f32]) -> Vec<f32> {
        self.narrowed(gradient, self.outputs, self.b())
    }

    /// `scale·wide·by` for `wide` (rows, width)
    fn narrowed(&self, wide: &[f32], width: usize, by: Matrix<'_>) -> Vec<f32> {
        let mut into = vec![0.0; wide.len() / width * self.rank];
        by_rows((&mut into, self.rank), (wide, width), |into, wide| {
            let wide = Matrix::new(wide, wide.len() / width, width, width);
            multiply(into, self.rank, Write::Replace, self.scale, wide, by);
        });
        into
    }

    /// Adds `narrow·by` to `into`, for `narrow` (rows, rank) and `by` (rank, width)
    fn add(&self, into: &mut [f32], narrow: &[f32], by: Matrix<'_>) {
        let width = by.columns();
        by_rows((into, width), (narrow, self.rank), |into, narrow| {
            let narrow = Matrix::new(narrow, narrow.len() / self.rank, self.rank, self.rank);
            multiply(into, width, Write::Add, 1.0, narrow, by);
        });
    }

    /// `scale·(g·B)ᵀ·x`, (rank, in)
    fn a_gradient(&self, x: &[f32], narrow_gradient: &[f32]) -> Vec<f32> {
        sum_over_rows((narrow_gradient, self.rank), (x, self.inputs))
    }

    /// `scale·gᵀ·(x·Aᵀ)`, (out, rank)
    fn b_gradient(&self, gradient: &[f32], narrow: &[f32]) -> Vec<f32> {
        sum_over_rows((gradient, self.outputs), (narrow, self.rank))
    }
}

/// `leftᵀ·right` (left width, right width) of matrices with the same rows, each given with its width.
fn sum_over_rows((left, height): (&[f32], usize), (right, width): (&[f32], usize)) -> Vec<f32> {
    let rows = left.len() / height;
    let product = |(left, right): (&[f32], &[f32])| {
        let (left, right) = (
            Matrix::new(left, left.len() / height, height, height),
            Matrix::new(right, right.len() / width, width, width),
        );
        let mut into = vec![0.0; height * width];
        multiply(&mut into, width, Write::Replace, 1.0, left.transposed(), right);
        into
    };
    if rows * height * width < PARALLEL {
        return product((left, right));
    }
    let at_once = rows.div_ceil(rayon::current_num_threads());
    let parts = left.par_chunks(at_once * height).zip(right.par_chunks(at_once * width)).map(product);
    let mut parts = parts.collect::<Vec<_>>().into_iter();
    let first = parts.next().unwrap_or_default();
    parts.fold(first, |mut sum, part| {
        sum.iter_mut().zip(&part).for_each(|(sum, x)| *sum += x);
        sum
    })
}

fn of_f32(storage: &mut CpuStorage) -> Result<&mut [f32]> {
    match storage {
        CpuStorage::F32(values) => Ok(values),
        other => bail!("kernel got {:?}", other.dtype()),
    }
}
