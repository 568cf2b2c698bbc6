//! The frozen linear layer and the low-rank pair beside it, by cuBLAS.

use candle_core::Result;

use super::call::{Gpu, Matrix, Product, Scratch, Type, Values};
use super::pointwise::{add_bias, narrow};

/// `x` (rows, inputs) by a frozen weight (outputs, inputs).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linear {
    pub rows: usize,
    pub inputs: usize,
    pub outputs: usize,
}

impl Linear {
    /// `y = x wᵀ + bias`
    pub fn forward(
        &self,
        gpu: &dyn Gpu,
        x: Values,
        w: Values,
        bias: Option<Values>,
        y: Values,
    ) -> Result<()> {
        let &Self { rows, inputs, outputs } = self;
        let size = [rows, outputs, inputs];
        let (a, b) = (Matrix::new(x, inputs), Matrix::new(w, inputs).transposed());
        gpu.multiply(&Product::new(size, a, b, Matrix::new(y, outputs)))?;
        bias.map_or(Ok(()), |bias| add_bias(gpu, y, bias, [rows * outputs, outputs, 1]))
    }

    /// `dx = g w`
    pub fn input_gradient(&self, gpu: &dyn Gpu, g: Values, w: Values, dx: Values) -> Result<()> {
        let &Self { rows, inputs, outputs } = self;
        let (a, b) = (Matrix::new(g, outputs), Matrix::new(w, inputs));
        gpu.multiply(&Product::new([rows, inputs, outputs], a, b, Matrix::new(dx, inputs)))
    }
}

/// A linear layer with a low-rank pair: `a` (rank, inputs) and `b` (outputs, rank), f32 whatever the layer's type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adapted {
    pub linear: Linear,
    pub of: Type,
    pub rank: usize,
    pub scale: f32,
}

/// The values of a pair, or where the gradients of one go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub a: Values,
    pub b: Values,
}

impl Adapted {
    /// Adds `scale (x aᵀ) bᵀ` to `y`.
    pub fn add(&self, gpu: &dyn Gpu, x: Values, pair: Pair, y: Values) -> Result<()> {
        let Linear { rows, inputs, outputs } = self.linear;
        let a = self.in_type(gpu, pair.a, self.rank * inputs)?;
        let b = self.in_type(gpu, pair.b, outputs * self.rank)?;
        let narrow = self.narrow(gpu, x, a.values)?;
        let (lhs, rhs) =
            (Matrix::new(narrow.values, self.rank), Matrix::new(b.values, self.rank).transposed());
        let size = [rows, outputs, self.rank];
        gpu.multiply(&Product { keep: 1.0, ..Product::new(size, lhs, rhs, Matrix::new(y, outputs)) })
    }

    /// Adds what reaches the input through the pair to `dx`, and writes the pair's gradients, f32; each where wanted.
    pub fn gradients(
        &self,
        gpu: &dyn Gpu,
        x: Values,
        g: Values,
        pair: Pair,
        dx: Option<Values>,
        [da, db]: [Option<Values>; 2],
    ) -> Result<()> {
        let Linear { rows, inputs, outputs } = self.linear;
        let a = self.in_type(gpu, pair.a, self.rank * inputs)?;
        let b = self.in_type(gpu, pair.b, outputs * self.rank)?;
        let slopes = self.narrow_gradient(gpu, g, b.values)?;
        let slopes = Matrix::new(slopes.values, self.rank);
        if let Some(dx) = dx {
            let (size, c) = ([rows, inputs, self.rank], Matrix::new(dx, inputs));
            let rhs = Matrix::new(a.values, inputs);
            gpu.multiply(&Product { keep: 1.0, ..Product::new(size, slopes, rhs, c) })?;
        }
        if let Some(da) = da {
            let (size, c) = ([self.rank, inputs, rows], Matrix::new(da, inputs));
            gpu.multiply(&Product::new(size, slopes.transposed(), Matrix::new(x, inputs), c))?;
        }
        if let Some(db) = db {
            let narrow = self.narrow(gpu, x, a.values)?;
            let (size, c) = ([outputs, self.rank, rows], Matrix::new(db, self.rank));
            let lhs = Matrix::new(g, outputs).transposed();
            gpu.multiply(&Product::new(size, lhs, Matrix::new(narrow.values, self.rank), c))?;
        }
        Ok(())
    }

    /// `scale x aᵀ`, (rows, rank)
    fn narrow(&self, gpu: &dyn Gpu, x: Values, a: Values) -> Result<Scratch> {
        let (rows, inputs) = (self.linear.rows, self.linear.inputs);
        let (lhs, rhs) = (Matrix::new(x, inputs), Matrix::new(a, inputs).transposed());
        self.scaled(gpu, [rows, self.rank, inputs], lhs, rhs)
    }

    /// `scale g b`, (rows, rank)
    fn narrow_gradient(&self, gpu: &dyn Gpu, g: Values, b: Values) -> Result<Scratch> {
        let (rows, outputs) = (self.linear.rows, self.linear.outputs);
        self.scaled(gpu, [rows, self.rank, outputs], Matrix::new(g, outputs), Matrix::new(b, self.rank))
    }

    fn scaled(&self, gpu: &dyn Gpu, size: [usize; 3], lhs: Matrix, rhs: Matrix) -> Result<Scratch> {
        let out = gpu.scratch(size[0] * size[1], self.of)?;
        let c = Matrix::new(out.values, size[1]);
        gpu.multiply(&Product { scale: self.scale, ..Product::new(size, lhs, rhs, c) })?;
        Ok(out)
    }

    /// A copy in the layer's type.
    fn in_type(&self, gpu: &dyn Gpu, values: Values, count: usize) -> Result<Scratch> {
        let copy = gpu.scratch(count, self.of)?;
        narrow(gpu, values, copy.values, count)?;
        Ok(copy)
    }
}

#[cfg(test)]
#[cfg(feature = "emulate")]
mod tests {
    use candle_core::Tensor;

    use super::super::emulated::{Buffer, close, in_every_way, random};
    use super::*;
    use crate::kernels::check;

    const ROWS: usize = 13;
    const INPUTS: usize = 10;
    const OUTPUTS: usize = 7;
    const RANK: usize = 3;

    #[test]
    fn layer_and_pair_equal_candles_operations() {
        in_every_way(|gpu, of| {
            let (x, weight) = (random(1, &[ROWS, INPUTS], of), random(2, &[ROWS, OUTPUTS], of));
            let (w, bias) = (random(3, &[OUTPUTS, INPUTS], of), random(4, &[OUTPUTS], of));
            let (a, b) = (random(5, &[RANK, INPUTS], Type::F32), random(6, &[OUTPUTS, RANK], Type::F32));
            let layer = |t: &[Tensor]| {
                let pair = t[0].matmul(&t[1].t()?)?.matmul(&t[2].t()?)?;
                t[0].matmul(&w.t()?)?.broadcast_add(&bias)? + (pair * 0.5)?
            };
            let (value, gradients) = check::run(&[x.clone(), a.clone(), b.clone()], &weight, &layer);

            let linear = Linear { rows: ROWS, inputs: INPUTS, outputs: OUTPUTS };
            let adapted = Adapted { linear, of, rank: RANK, scale: 0.5 };
            let [x, g, w, bias] = [&x, &weight, &w, &bias].map(|t| Buffer::of(t, of));
            let [a, b] = [&a, &b].map(|t| Buffer::of(t, Type::F32));
            let pair = Pair { a: a.values(), b: b.values() };
            let (y, dx) = (Buffer::undefined(&[ROWS, OUTPUTS], of), Buffer::undefined(&[ROWS, INPUTS], of));
            let da = Buffer::undefined(&[RANK, INPUTS], Type::F32);
            let db = Buffer::undefined(&[OUTPUTS, RANK], Type::F32);
            linear.forward(gpu, x.values(), w.values(), Some(bias.values()), y.values()).unwrap();
            adapted.add(gpu, x.values(), pair, y.values()).unwrap();
            linear.input_gradient(gpu, g.values(), w.values(), dx.values()).unwrap();
            let wanted = [Some(da.values()), Some(db.values())];
            adapted.gradients(gpu, x.values(), g.values(), pair, Some(dx.values()), wanted).unwrap();
            close("layer", &y, &value, of);
            for (what, found, expected) in [("x", &dx, 0), ("a", &da, 1), ("b", &db, 2)] {
                close(what, found, &gradients[expected], of);
            }
        });
    }
}
