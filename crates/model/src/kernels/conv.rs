//! Convolution of frames: tiles of unrolled input times the weights, tiles in parallel.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use gemm::{Parallelism, gemm};
use rayon::prelude::*;

use super::conv_backward::Gradients;
use super::slices::{output, tensor_like, values, with_all};

/// Most output positions of a tile.
pub(super) const TILE: usize = 256;
/// Where a convolution reads, in rows and columns alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Geometry {
    /// Zeros before the first row and column.
    pub before: usize,
    /// Zeros after the last row and column.
    pub after: usize,
    /// Rows and columns from one output to the next.
    pub stride: usize,
    /// Frames from one output to the next.
    pub frame_stride: usize,
    /// Whether the input is taken at twice its rows and columns, each repeated.
    pub doubled: bool,
}

impl Geometry {
    /// Output of the input's size, for a kernel of `side` rows and columns.
    pub fn same(side: usize) -> Self {
        let pad = side / 2;
        Self { before: pad, after: side - 1 - pad, stride: 1, frame_stride: 1, doubled: false }
    }
}

/// A convolution with bias; gradients reach its input, weight and bias.
pub struct Conv {
    /// (frames, outputs, inputs * side * side); on a GPU (outputs, inputs, frames, side, side)
    weight: Tensor,
    bias: Tensor,
    kind: Kind,
}

/// The sizes of a convolution.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub outputs: usize,
    pub inputs: usize,
    pub frames: usize,
    pub side: usize,
    pub geometry: Geometry,
}

/// The sizes of one call.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub frames_in: usize,
    /// Frames of zeros before the first.
    pub lead: usize,
    pub frames_out: usize,
    pub rows_in: usize,
    pub columns_in: usize,
    pub rows: usize,
    pub columns: usize,
}

/// Some channels of one input frame.
struct Part {
    frame: usize,
    channels: Range<usize>,
}

impl Conv {
    /// From a weight (outputs, inputs, frames, side, side), or without frames, and a bias (outputs).
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn new(weight: &Tensor, bias: &Tensor, geometry: Geometry) -> Result<Self> {
        let weight = if weight.rank() == 4 { weight.unsqueeze(2)? } else { weight.clone() };
        let (outputs, inputs, frames, side, columns) = weight.dims5()?;
        if side != columns || bias.dims() != [outputs] {
            bail!("convolution of weight {:?} and bias {:?}", weight.dims(), bias.dims());
        }
        let weight = if on_gpu(&weight) { weight } else { weight.permute((2, 0, 1, 3, 4))? }.contiguous()?;
        let kind = Kind { outputs, inputs, frames, side, geometry };
        Ok(Self { weight, bias: bias.contiguous()?, kind })
    }

    /// The kernel's length in frames.
    pub fn frames(&self) -> usize {
        self.kind.frames
    }

    /// (T, inputs, H, W) with `lead` frames of zeros before it -> (T', outputs, H', W')
    ///
    /// # Errors
    /// When `x` has other channels, or is smaller than the kernel.
    pub fn forward(&self, x: &Tensor, lead: usize) -> Result<Tensor> {
        let sizes = self.kind.sizes(x, lead)?;
        let op = Convolve { kind: self.kind, sizes };
        let x = if on_gpu(&self.weight) { x.to_dtype(self.weight.dtype())? } else { x.clone() };
        x.contiguous()?.apply_op3(&self.weight, &self.bias, op)
    }
}

/// Whether the kernels for GPUs compute on `t`.
#[cfg(feature = "cuda")]
fn on_gpu(t: &Tensor) -> bool {
    super::cuda::takes(t)
}

#[cfg(not(feature = "cuda"))]
fn on_gpu(_: &Tensor) -> bool {
    false
}

struct Convolve {
    kind: Kind,
    sizes: Sizes,
}

impl CustomOp3 for Convolve {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let Self { kind, sizes } = *self;
        let x = values(x, x_layout)?;
        let call =
            Call { kind, sizes, weight: values(weight, weight_layout)?, bias: values(bias, bias_layout)? };
        let (positions, rows) = (sizes.positions(), sizes.frames_out * kind.outputs);
        let mut out = vec![0f32; rows * positions];
        let target = Target { start: out.as_mut_ptr(), rows, positions };
        let tile = tile_size(positions);
        (0..positions.div_ceil(tile)).into_par_iter().for_each(|i| {
            call.tile(x, &target, i * tile..((i + 1) * tile).min(positions));
        });
        Ok(output(out, (sizes.frames_out, kind.outputs, sizes.rows, sizes.columns)))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        x_layout: &Layout,
        weight: &candle_core::CudaStorage,
        weight_layout: &Layout,
        bias: &candle_core::CudaStorage,
        bias_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let operands = [(x, x_layout), (weight, weight_layout), (bias, bias_layout)];
        super::cuda::convolution(&self.kind, &self.sizes, operands)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Self { kind, sizes } = *self;
        #[cfg(feature = "cuda")]
        if on_gpu(x) {
            return super::cuda::convolution_gradients(&kind, &sizes, [x, weight, bias], gradient);
        }
        with_all([x, weight, gradient], |[x_values, w, g]| {
            let found = Gradients { kind, sizes, gradient: g };
            let of_x = x.track_op().then(|| tensor_like(found.of_input(w), x)).transpose()?;
            let of_weight = weight.track_op().then(|| tensor_like(found.of_weight(x_values), weight));
            let of_bias = bias.track_op().then(|| tensor_like(found.of_bias(), bias)).transpose()?;
            Ok((of_x, of_weight.transpose()?, of_bias))
        })
    }
}

impl Sizes {
    /// Output positions of a frame.
    pub fn positions(&self) -> usize {
        self.rows * self.columns
    }

    /// Values of one channel of an input frame.
    pub fn plane(&self) -> usize {
        self.rows_in * self.columns_in
    }
}

/// One call's operands but its input.
struct Call<'a> {
    kind: Kind,
    sizes: Sizes,
    weight: &'a [f32],
    bias: &'a [f32],
}

impl Call<'_> {
    /// Output positions `span` of every frame and channel.
    fn tile(&self, x: &[f32], target: &Target, span: Range<usize>) {
        let Self { kind, sizes, .. } = self;
        for frame in 0..sizes.frames_out {
            for (channel, &bias) in self.bias.iter().enumerate() {
                target.fill(frame * kind.outputs + channel, &span, bias);
            }
        }
        let (area, block, plane) = (kind.side * kind.side, kind.block(span.len()), sizes.plane());
        let mut unrolled = vec![0f32; if kind.is_pointwise() { 0 } else { block * area * span.len() }];
        for (frame, x) in x.chunks_exact(kind.inputs * plane).enumerate().take(sizes.frames_in) {
            for first in (0..kind.inputs).step_by(block) {
                let channels = first..(first + block).min(kind.inputs);
                let x = &x[channels.start * plane..channels.end * plane];
                let values = if kind.is_pointwise() {
                    Unrolled { values: &x[span.start..], row_stride: plane }
                } else {
                    kind.unroll(x, sizes, &span, &mut unrolled);
                    Unrolled { values: &unrolled, row_stride: span.len() }
                };
                self.accumulate(&values, &Part { frame, channels }, target, &span);
            }
        }
    }

    /// Adds what `part` contributes to every output frame that sees it.
    fn accumulate(&self, unrolled: &Unrolled<'_>, part: &Part, target: &Target, span: &Range<usize>) {
        let Self { kind, sizes, .. } = self;
        let area = kind.side * kind.side;
        let width = kind.inputs * area;
        for tap in 0..kind.frames {
            let Some(out) = kind.frame_seen(sizes, part.frame, tap) else { continue };
            let weight = &self.weight[tap * kind.outputs * width + part.channels.start * area..];
            let lhs = Weight { values: weight, row_stride: width };
            let size = (kind.outputs, span.len(), part.channels.len() * area);
            target.add_product(out * kind.outputs, span.start, size, &lhs, unrolled);
        }
    }
}

/// A tile size that keeps every thread busy on small frames.
fn tile_size(positions: usize) -> usize {
    let share = positions.div_ceil(2 * rayon::current_num_threads());
    share.next_multiple_of(16).clamp(16, TILE)
}

/// Rows of weights, some of their columns.
struct Weight<'a> {
    values: &'a [f32],
    row_stride: usize,
}

/// Unrolled input: a row per tap, a column per output position.
struct Unrolled<'a> {
    values: &'a [f32],
    row_stride: usize,
}

/// The output (rows, positions), a row per frame and channel, of which each task writes its own columns.
struct Target {
    start: *mut f32,
    rows: usize,
    positions: usize,
}

// SAFETY: the tasks that share a target write disjoint columns of it, and nothing reads before all are done.
unsafe impl Sync for Target {}

impl Target {
    fn fill(&self, row: usize, span: &Range<usize>, value: f32) {
        assert!(
            span.start <= span.end && span.end <= self.positions && row < self.rows,
            "outside the output"
        );
        // SAFETY: row and columns lie inside the output; no other task touches these columns.
        unsafe {
            std::slice::from_raw_parts_mut(self.start.add(row * self.positions + span.start), span.len())
        }
        .fill(value);
    }

    /// Adds `lhs (m, k) * rhs (k, n)` to rows `row..row + m`, columns `from..from + n`.
    fn add_product(
        &self,
        row: usize,
        from: usize,
        (m, n, k): (usize, usize, usize),
        lhs: &Weight<'_>,
        rhs: &Unrolled<'_>,
    ) {
        assert!(row + m <= self.rows && from + n <= self.positions, "outside the output");
        assert!(lhs.values.len() >= (m - 1) * lhs.row_stride + k);
        assert!(rhs.values.len() >= (k - 1) * rhs.row_stride + n);
        // SAFETY: both operands hold the last element that their sizes and strides reach (asserted above); the
        // destination lies inside the output and no other task touches these columns.
        unsafe {
            gemm(
                m,
                n,
                k,
                self.start.add(row * self.positions + from),
                1,
                self.positions as isize,
                true,
                lhs.values.as_ptr(),
                1,
                lhs.row_stride as isize,
                rhs.values.as_ptr(),
                1,
                rhs.row_stride as isize,
                1.0,
                1.0,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

    use super::*;
    use crate::flow::NoiseStream;

    /// The definition, element by element, in f64.
    fn plain(weight: &Tensor, bias: &Tensor, g: Geometry, x: &Tensor, lead: usize) -> Tensor {
        let weight = if weight.rank() == 4 { weight.unsqueeze(2).unwrap() } else { weight.clone() };
        let (outputs, inputs, taps, side, _) = weight.dims5().unwrap();
        let (frames, _, rows, columns) = x.dims4().unwrap();
        let at = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let (w, b, v) = (at(&weight), at(bias), at(x));
        let double = if g.doubled { 2 } else { 1 };
        let size = |n: usize| (n * double + g.before + g.after - side) / g.stride + 1;
        let (frames_out, rows_out, columns_out) =
            ((frames + lead - taps) / g.frame_stride + 1, size(rows), size(columns));
        let read = |t: usize, c: usize, y: usize, x: usize| -> f64 {
            let t = t.checked_sub(lead);
            let (y, x) = (y.checked_sub(g.before), x.checked_sub(g.before));
            match (t, y.map(|y| y / double), x.map(|x| x / double)) {
                (Some(t), Some(y), Some(x)) if y < rows && x < columns => {
                    v[((t * inputs + c) * rows + y) * columns + x].into()
                }
                _ => 0.0,
            }
        };
        let mut out = Vec::new();
        for t in 0..frames_out {
            for o in 0..outputs {
                for y in 0..rows_out {
                    for x in 0..columns_out {
                        let mut sum = f64::from(b[o]);
                        for (i, w) in w[o * inputs * taps * side * side..].iter().enumerate() {
                            if i == inputs * taps * side * side {
                                break;
                            }
                            let (dx, dy) = (i % side, i / side % side);
                            let (dt, c) = (i / side / side % taps, i / side / side / taps);
                            let read = read(t * g.frame_stride + dt, c, y * g.stride + dy, x * g.stride + dx);
                            sum += f64::from(*w) * read;
                        }
                        out.push(sum as f32);
                    }
                }
            }
        }
        Tensor::from_vec(out, (frames_out, outputs, rows_out, columns_out), &Device::Cpu).unwrap()
    }

    fn check(weight: &[usize], x: &[usize], lead: usize, g: Geometry) {
        let mut random = NoiseStream::new(9);
        let (w, b) = (random.normal(weight).unwrap(), random.normal(weight[0]).unwrap());
        let x = random.normal(x).unwrap();
        let (ours, expected) =
            (Conv::new(&w, &b, g).unwrap().forward(&x, lead).unwrap(), plain(&w, &b, g, &x, lead));
        assert_eq!(ours.dims(), expected.dims());
        let off = (ours - expected).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
        let off = off.to_scalar::<f32>().unwrap();
        assert!(off < 1e-4, "{weight:?} {g:?}: {off}");
    }

    #[test]
    fn equals_the_definition_in_every_geometry() {
        check(&[5, 3, 3, 3, 3], &[2, 3, 4, 7], 2, Geometry::same(3));
        check(&[5, 3, 3, 3, 3], &[4, 3, 1, 1], 0, Geometry::same(3));
        check(&[2, 3, 1, 1, 1], &[2, 3, 4, 7], 0, Geometry::same(1));
        check(&[4, 3, 3, 3], &[3, 3, 5, 6], 0, Geometry { doubled: true, ..Geometry::same(3) });
        check(&[4, 3, 3, 3], &[2, 3, 6, 8], 0, Geometry { before: 0, stride: 2, ..Geometry::same(3) });
        check(&[4, 3, 3, 1, 1], &[5, 3, 3, 5], 0, Geometry { frame_stride: 2, ..Geometry::same(1) });
        check(&[4, 3, 3, 1, 1], &[1, 3, 3, 5], 2, Geometry::same(1));
    }

    #[test]
    fn many_channels_and_tiles_add_up() {
        check(&[6, 40, 3, 3, 3], &[2, 40, 17, 31], 2, Geometry::same(3));
        check(&[3, 20, 3, 3], &[1, 20, 19, 23], 0, Geometry { doubled: true, ..Geometry::same(3) });
    }

    /// Gradients of `sum(weights * conv(x))`, which is linear in each operand: along any direction the slope is
    /// `sum(weights * conv)` of that direction, which the definition gives.
    #[test]
    fn gradients_equal_the_definition_in_every_geometry() {
        for (w, x, lead, g) in [
            (vec![5, 3, 3, 3, 3], [2, 3, 4, 7], 2, Geometry::same(3)),
            (vec![2, 3, 1, 1, 1], [2, 3, 4, 7], 0, Geometry::same(1)),
            (vec![4, 3, 3, 3], [3, 3, 5, 6], 0, Geometry { doubled: true, ..Geometry::same(3) }),
            (vec![4, 3, 3, 3], [2, 3, 6, 8], 0, Geometry { before: 0, stride: 2, ..Geometry::same(3) }),
            (vec![4, 3, 3, 1, 1], [5, 3, 3, 5], 0, Geometry { frame_stride: 2, ..Geometry::same(1) }),
            (vec![6, 40, 3, 3, 3], [2, 40, 17, 31], 2, Geometry::same(3)),
        ] {
            let mut random = NoiseStream::new(5);
            let outputs = w[0];
            let [w, x, b] =
                [w, x.to_vec(), vec![outputs]].map(|s| Var::from_tensor(&random.normal(s).unwrap()).unwrap());
            let y = Conv::new(&w, &b, g).unwrap().forward(&x, lead).unwrap();
            let weights = random.normal(y.shape()).unwrap();
            let gradients = (&y * &weights).unwrap().sum_all().unwrap().backward().unwrap();
            let slope = |w: &Tensor, b: &Tensor, x: &Tensor| total(&plain(w, b, g, x, lead), &weights);
            let none = |t: &Tensor| t.zeros_like().unwrap();
            for (name, var) in [("input", &x), ("weight", &w), ("bias", &b)] {
                let along = random.normal(var.shape()).unwrap();
                let found = total(gradients.get(var).expect("gradient reaches every operand"), &along);
                let expected = match name {
                    "input" => slope(&w, &none(&b), &along),
                    "weight" => slope(&along, &none(&b), &x),
                    _ => slope(&none(&w), &along, &x),
                };
                assert!(
                    (found - expected).abs() < 1e-4 * expected.abs().max(10.0),
                    "{name} {g:?}: {found} {expected}"
                );
            }
        }
    }

    fn total(a: &Tensor, b: &Tensor) -> f64 {
        let sum = (a.to_dtype(DType::F64).unwrap() * b.to_dtype(DType::F64).unwrap()).unwrap().sum_all();
        sum.unwrap().to_scalar().unwrap()
    }

    #[test]
    fn frames_of_another_kind_are_refused() {
        let mut random = NoiseStream::new(9);
        let (w, b) = (random.normal((4, 3, 3, 3, 3)).unwrap(), random.normal(4).unwrap());
        let conv = Conv::new(&w, &b, Geometry::same(3)).unwrap();
        assert!(conv.forward(&random.normal((2, 4, 5, 5)).unwrap(), 2).is_err());
        assert!(conv.forward(&random.normal((2, 3, 5, 5)).unwrap(), 0).is_err());
    }
}
