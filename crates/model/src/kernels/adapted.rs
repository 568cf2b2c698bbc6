//! A frozen linear layer with one low-rank pair as a single operation, forward and backward.
//!
//! Composed of candle's operations, the pair costs several passes over tensors of the layer's width, which at the
//! sizes trained on a CPU take longer than the products themselves.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

use super::frozen::{frozen_rows, rows_at_once};
use super::matrix::{Matrix, Write, multiply};
use super::slices::{on_cpu, output, tensor_like, values};

/// Whether [`adapted_linear`] can run on these.
pub(crate) fn fits(tensors: [&Tensor; 4], bias: Option<&Tensor>) -> bool {
    let [x, weight, a, b] = tensors;
    let (Ok((outputs, inputs)), Ok((rank, a_in)), Ok((b_out, b_rank))) =
        (weight.dims2(), a.dims2(), b.dims2())
    else {
        return false;
    };
    let sizes = x.dims().last() == Some(&inputs) && a_in == inputs && b_out == outputs && b_rank == rank;
    let filled = x.elem_count() > 0 && outputs > 0 && rank > 0;
    sizes && filled && on_cpu(&tensors) && bias.is_none_or(|bias| on_cpu(&[bias]))
}

/// `x·Wᵀ + bias + scale·(x·Aᵀ)·Bᵀ` for `x` (..., in), `weight` (out, in), `bias` (out), `a` (rank, in), `b` (out, rank).
///
/// Gradients are computed for those of `x`, `a` and `b` that something before them needs; never for the base.
///
/// # Errors
/// When [`fits`] does not hold.
pub(crate) fn adapted_linear(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    (a, b, scale): (&Tensor, &Tensor, f64),
) -> Result<Tensor> {
    let op = AdaptedLinear { weight: weight.detach(), bias: bias.map(Tensor::detach), scale: scale as f32 };
    x.contiguous()?.apply_op3(&a.contiguous()?, &b.contiguous()?, op)
}

struct AdaptedLinear {
    weight: Tensor,
    bias: Option<Tensor>,
    scale: f32,
}

/// Sizes and values of the operands, all row-major.
struct Operands<'a> {
    inputs: usize,
    outputs: usize,
    rank: usize,
    weight: &'a [f32],
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
        let (x, a, b) = (values(x, x_layout)?, values(a, a_layout)?, values(b, b_layout)?);
        let bias = self.bias.as_ref().map(|bias| bias.to_vec1::<f32>()).transpose()?;
        let mut shape = x_layout.dims().to_vec();
        let y = with_values([&self.weight], |[weight]| {
            let operands = self.operands(weight, a, b)?;
            shape.pop();
            shape.push(operands.outputs);
            Ok(operands.forward(x, bias.as_deref()))
        })?;
        Ok(output(y, shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (to_x, to_pair) =
            with_values([x, a, b, &self.weight, gradient], |[x_values, a, b, weight, gradient]| {
                let operands = self.operands(weight, a, b)?;
                let narrow = operands.narrow(x_values);
                let narrow_gradient = operands.narrow_gradient(gradient);
                let to_x = x.track_op().then(|| operands.input_gradient(gradient, &narrow_gradient));
                Ok((to_x, operands.pair_gradients(x_values, gradient, &narrow, &narrow_gradient)))
            })?;
        let to_x = to_x.map(|values| tensor_like(values, x)).transpose()?;
        let to_pair = (tensor_like(to_pair.0, a)?, tensor_like(to_pair.1, b)?);
        Ok((to_x, a.track_op().then_some(to_pair.0), b.track_op().then_some(to_pair.1)))
    }
}

impl AdaptedLinear {
    fn operands<'a>(&self, weight: &'a [f32], a: &'a [f32], b: &'a [f32]) -> Result<Operands<'a>> {
        let (outputs, inputs) = self.weight.dims2()?;
        Ok(Operands { inputs, outputs, rank: a.len() / inputs, weight, a, b, scale: self.scale })
    }
}

impl Operands<'_> {
    fn weight(&self) -> Matrix<'_> {
        Matrix::new(self.weight, self.outputs, self.inputs, self.inputs)
    }

    fn a(&self) -> Matrix<'_> {
        Matrix::new(self.a, self.rank, self.inputs, self.inputs)
    }

    fn b(&self) -> Matrix<'_> {
        Matrix::new(self.b, self.outputs, self.rank, self.rank)
    }

    /// `x·Wᵀ + bias + scale·(x·Aᵀ)·Bᵀ`, (rows, out)
    fn forward(&self, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let rows = x.len() / self.inputs;
        let mut y = vec![0.0; rows * self.outputs];
        let at_once = rows_at_once(rows);
        let parts = y.par_chunks_mut(at_once * self.outputs).zip(x.par_chunks(at_once * self.inputs));
        parts.for_each(|(y, x)| {
            frozen_rows(y, x, self.weight(), bias);
            let x = Matrix::new(x, x.len() / self.inputs, self.inputs, self.inputs);
            let narrow = product(self.scale, x, self.a().transposed());
            let narrow = Matrix::new(&narrow, y.len() / self.outputs, self.rank, self.rank);
            multiply(y, self.outputs, Write::Add, 1.0, narrow, self.b().transposed());
        });
        y
    }

    /// `scale·x·Aᵀ`, (rows, rank)
    fn narrow(&self, x: &[f32]) -> Vec<f32> {
        let x = Matrix::new(x, x.len() / self.inputs, self.inputs, self.inputs);
        product(self.scale, x, self.a().transposed())
    }

    /// `scale·g·B`, (rows, rank)
    fn narrow_gradient(&self, gradient: &[f32]) -> Vec<f32> {
        let gradient = Matrix::new(gradient, gradient.len() / self.outputs, self.outputs, self.outputs);
        product(self.scale, gradient, self.b())
    }

    /// `g·W + scale·(g·B)·A`, (rows, in)
    fn input_gradient(&self, gradient: &[f32], narrow: &[f32]) -> Vec<f32> {
        let rows = gradient.len() / self.outputs;
        let mut into = vec![0.0; rows * self.inputs];
        let at_once = rows_at_once(rows);
        let parts = gradient.par_chunks(at_once * self.outputs).zip(narrow.par_chunks(at_once * self.rank));
        into.par_chunks_mut(at_once * self.inputs).zip(parts).for_each(|(into, (gradient, narrow))| {
            let rows = into.len() / self.inputs;
            let gradient = Matrix::new(gradient, rows, self.outputs, self.outputs);
            multiply(into, self.inputs, Write::Replace, 1.0, gradient, self.weight());
            let narrow = Matrix::new(narrow, rows, self.rank, self.rank);
            multiply(into, self.inputs, Write::Add, 1.0, narrow, self.a());
        });
        into
    }

    /// Of A (rank, in) and of B (out, rank): each gradient is a product with the other side's narrow tensor.
    fn pair_gradients(
        &self,
        x: &[f32],
        gradient: &[f32],
        narrow: &[f32],
        to_narrow: &[f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let rows = x.len() / self.inputs;
        let of_rows = |values, columns| Matrix::new(values, rows, columns, columns);
        rayon::join(
            || product(1.0, of_rows(to_narrow, self.rank).transposed(), of_rows(x, self.inputs)),
            || product(1.0, of_rows(gradient, self.outputs).transposed(), of_rows(narrow, self.rank)),
        )
    }
}

fn product(scale: f32, a: Matrix<'_>, b: Matrix<'_>) -> Vec<f32> {
    let mut into = vec![0.0; a.rows() * b.columns()];
    multiply(&mut into, b.columns(), Write::Replace, scale, a, b);
    into
}

/// Calls `f` with the values of f32 tensors on the CPU.
fn with_values<const N: usize, R>(
    tensors: [&Tensor; N],
    f: impl FnOnce([&[f32]; N]) -> Result<R>,
) -> Result<R> {
    let tensors = tensors.map(Tensor::contiguous);
    let mut whole = Vec::with_capacity(N);
    for tensor in tensors {
        whole.push(tensor?);
    }
    let guards: Vec<_> = whole.iter().map(Tensor::storage_and_layout).collect();
    let mut slices: [&[f32]; N] = [&[]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&guards) {
        let Storage::Cpu(storage) = &**storage else { bail!("kernel got a tensor that is not on the CPU") };
        *slice = values(storage, layout)?;
    }
    f(slices)
}
