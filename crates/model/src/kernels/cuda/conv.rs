//! The video autoencoder's convolution, by unrolled input and cuBLAS, and its normalisation over channels.

use candle_core::Result;

use super::call::{Arg, Gpu, Launch, Matrix, Product, Scratch, Type, Values};
use super::pointwise::add_bias;
use crate::kernels::conv::Geometry;

/// Most bytes of unrolled input at a time.
pub(crate) const UNROLLED_BYTES: usize = 256 << 20;

/// A convolution of frames (frames, inputs, rows, columns) with a weight (outputs, inputs, taps, side, side).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conv {
    pub outputs: usize,
    pub inputs: usize,
    pub taps: usize,
    pub side: usize,
    pub geometry: Geometry,
    /// Frames, rows and columns of the input.
    pub size_in: [usize; 3],
    /// Frames of zeros before the first.
    pub lead: usize,
    /// Frames, rows and columns of the output.
    pub size_out: [usize; 3],
    /// [`UNROLLED_BYTES`], or less in tests.
    pub unrolled_bytes: usize,
}

/// Output positions `from..from + count` of one output frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile {
    pub frame: usize,
    pub from: usize,
    pub count: usize,
}

impl Conv {
    /// Values that one output looks at.
    pub(super) fn reach(&self) -> usize {
        self.inputs * self.taps * self.side * self.side
    }

    /// Output positions of a frame.
    pub(super) fn positions(&self) -> usize {
        self.size_out[1] * self.size_out[2]
    }

    /// Whether each frame is its own unrolling.
    pub(super) fn is_pointwise(&self) -> bool {
        let plain = Geometry { frame_stride: self.geometry.frame_stride, ..Geometry::same(1) };
        self.taps == 1 && self.side == 1 && self.lead == 0 && self.geometry == plain
    }

    /// Most positions of a tile whose unrolled values are of type `of`.
    fn tile(&self, of: Type) -> usize {
        (self.unrolled_bytes / (self.reach() * of.size())).clamp(1, self.positions().max(1))
    }

    pub(super) fn tiles(&self, of: Type) -> impl Iterator<Item = Tile> + use<> {
        let (positions, tile) = (self.positions(), self.tile(of));
        let of_frame = move |frame| {
            let starts = (0..positions).step_by(tile);
            starts.map(move |from| Tile { frame, from, count: tile.min(positions - from) })
        };
        (0..self.size_out[0]).flat_map(of_frame)
    }

    /// Memory for the unrolled values of one tile.
    pub(super) fn tile_scratch(&self, gpu: &dyn Gpu, of: Type) -> Result<Scratch> {
        gpu.scratch(self.reach() * self.tile(of), of)
    }

    /// The input frame under the first tap of output frame `frame`; negative among the zeros before the first.
    pub(super) fn first_read(&self, frame: usize) -> i32 {
        (frame * self.geometry.frame_stride) as i32 - self.lead as i32
    }

    /// The tile's values of `out`, or of its gradient: (outputs, positions).
    pub(super) fn outputs_of(&self, out: Values, tile: &Tile) -> Matrix {
        let positions = self.positions();
        Matrix::new(out.from(tile.frame * self.outputs * positions + tile.from), positions)
    }

    /// Frames of `x`, of a convolution whose frames are their own unrolling, as the output's frames read them.
    pub(super) fn frames_read(&self, x: Values) -> Matrix {
        let positions = self.positions();
        Matrix::new(x, positions).batched(self.geometry.frame_stride * self.inputs * positions)
    }

    /// Writes (frames, outputs, rows, columns).
    pub fn forward(&self, gpu: &dyn Gpu, x: Values, weight: Values, bias: Values, out: Values) -> Result<()> {
        if self.is_pointwise() {
            self.pointwise(gpu, x, weight, out)?;
        } else {
            self.unrolled(gpu, x, weight, out)?;
        }
        let count = self.size_out[0] * self.outputs * self.positions();
        add_bias(gpu, out, bias, [count, self.outputs, self.positions()])
    }

    fn pointwise(&self, gpu: &dyn Gpu, x: Values, weight: Values, out: Values) -> Result<()> {
        let positions = self.positions();
        let size = [self.outputs, positions, self.inputs];
        let out = Matrix::new(out, positions).batched(self.outputs * positions);
        let product = Product::new(size, Matrix::new(weight, self.inputs), self.frames_read(x), out);
        gpu.multiply(&Product { batch: self.size_out[0], ..product })
    }

    fn unrolled(&self, gpu: &dyn Gpu, x: Values, weight: Values, out: Values) -> Result<()> {
        let reach = self.reach();
        let scratch = self.tile_scratch(gpu, x.of)?;
        for tile in self.tiles(x.of) {
            self.unroll(gpu, x, scratch.values, &tile)?;
            let size = [self.outputs, tile.count, reach];
            let (a, b) = (Matrix::new(weight, reach), Matrix::new(scratch.values, tile.count));
            gpu.multiply(&Product::new(size, a, b, self.outputs_of(out, &tile)))?;
        }
        Ok(())
    }

    /// Writes what the tile reads of `x`, (reach, count), to `out`.
    pub(super) fn unroll(&self, gpu: &dyn Gpu, x: Values, out: Values, tile: &Tile) -> Result<()> {
        let args = self.tile_args(x, out, tile)?;
        gpu.launch(&Launch::columns("unroll", x.of, [tile.count, self.reach()], args)?)
    }

    /// What the kernels that unroll a tile, and fold it back, are told.
    pub(super) fn tile_args(&self, from: Values, to: Values, tile: &Tile) -> Result<Vec<Arg>> {
        let g = &self.geometry;
        let [frames, rows, columns] = self.size_in;
        Ok(vec![
            from.into(),
            to.into(),
            Arg::int(self.inputs)?,
            Arg::int(self.taps)?,
            Arg::int(self.side)?,
            self.first_read(tile.frame).into(),
            Arg::int(frames)?,
            Arg::int(rows)?,
            Arg::int(columns)?,
            Arg::int(self.size_out[2])?,
            Arg::long(tile.from),
            Arg::long(tile.count),
            Arg::int(g.before)?,
            Arg::int(g.stride)?,
            i32::from(g.doubled).into(),
        ])
    }
}

/// `x / max(|x|, 1e-12) sqrt(channels) gain` for `x` (frames, channels, pixels) and `gain` (channels) in f32, then
/// `x sigmoid(x)` if `activate`.
pub(crate) fn channel_norm(
    gpu: &dyn Gpu,
    x: Values,
    gain: Values,
    out: Values,
    [frames, channels, pixels]: [usize; 3],
    activate: bool,
) -> Result<()> {
    let sizes = [Arg::int(channels)?, Arg::long(pixels), i32::from(activate).into()];
    let args = [x.into(), gain.into(), out.into()].into_iter().chain(sizes).collect();
    gpu.launch(&Launch::columns("channel_norm", x.of, [pixels, frames], args)?)
}

/// Convolutions for the tests, forward and backward.
#[cfg(test)]
#[cfg(feature = "emulate")]
pub(super) mod cases {
    use super::{Conv, Geometry, UNROLLED_BYTES};

    /// Weight (outputs, inputs, taps, side, side), input (frames, inputs, rows, columns).
    #[derive(Clone, Copy, Debug)]
    pub struct Case {
        pub weight: [usize; 5],
        pub x: [usize; 4],
        pub lead: usize,
        pub geometry: Geometry,
    }

    impl Case {
        /// Giving frames, outputs, rows and columns `out`.
        pub fn conv(&self, out: [usize; 4], unrolled_bytes: usize) -> Conv {
            let [outputs, inputs, taps, side, _] = self.weight;
            let ([frames_in, _, rows_in, columns_in], [frames, _, rows, columns]) = (self.x, out);
            let (size_in, size_out) = ([frames_in, rows_in, columns_in], [frames, rows, columns]);
            let Self { geometry, lead, .. } = *self;
            Conv { outputs, inputs, taps, side, geometry, size_in, lead, size_out, unrolled_bytes }
        }

        fn reach(&self) -> usize {
            self.weight[1..].iter().product()
        }
    }

    /// Every geometry, each with the bytes of a tile: whole frames, then tiles of 5 positions of 4 bytes.
    pub fn all() -> impl Iterator<Item = (Case, usize)> {
        let case = |weight, x, lead, geometry| Case { weight, x, lead, geometry };
        let (same, plain) = (Geometry::same(3), Geometry::same(1));
        let cases = [
            case([5, 3, 3, 3, 3], [2, 3, 4, 7], 2, same),
            case([5, 3, 3, 3, 3], [4, 3, 1, 1], 0, same),
            case([2, 3, 1, 1, 1], [2, 3, 4, 7], 0, plain),
            case([4, 3, 1, 3, 3], [3, 3, 5, 6], 0, Geometry { doubled: true, ..same }),
            case([4, 3, 1, 3, 3], [2, 3, 6, 8], 0, Geometry { before: 0, stride: 2, ..same }),
            case([4, 3, 3, 1, 1], [5, 3, 3, 5], 0, Geometry { frame_stride: 2, ..plain }),
            case([4, 3, 3, 1, 1], [1, 3, 3, 5], 2, plain),
            // Frames, rows and columns that nothing reads.
            case([2, 3, 1, 1, 1], [4, 3, 4, 7], 0, Geometry { frame_stride: 2, ..plain }),
            case([4, 3, 1, 1, 1], [2, 3, 6, 8], 0, Geometry { stride: 3, ..plain }),
            case([4, 3, 2, 3, 3], [3, 3, 5, 6], 1, Geometry { doubled: true, stride: 2, ..same }),
        ];
        let tiles = |case: Case| [(case, UNROLLED_BYTES), (case, 4 * case.reach() * 5)];
        // More than a block of threads; tiles that end within a row.
        let large = case([2, 3, 1, 3, 3], [1, 3, 15, 21], 0, Geometry { doubled: true, ..same });
        cases.into_iter().flat_map(tiles).chain([(large, 4 * large.reach() * 700)])
    }
}

#[cfg(test)]
#[cfg(feature = "emulate")]
mod tests {
    use candle_core::Tensor;

    use super::super::emulated::{Buffer, close, in_every_way, random};
    use super::*;
    use crate::kernels::{channel_norm as on_cpu, conv};

    #[test]
    fn equals_the_cpus_in_every_geometry_whole_and_in_tiles() {
        for (case, tile_bytes) in cases::all() {
            in_every_way(|gpu, of| {
                let (w, b) = (random(1, &case.weight, of), random(2, &case.weight[..1], of));
                let x = random(3, &case.x, of);
                let on_cpu = conv::Conv::new(&w, &b, case.geometry).unwrap();
                let expected = on_cpu.forward(&x, case.lead).unwrap();
                let (frames, outputs, rows, columns) = expected.dims4().unwrap();
                let conv = case.conv([frames, outputs, rows, columns], tile_bytes);
                let out = Buffer::undefined(expected.dims(), of);
                let [x, w, b] = [&x, &w, &b].map(|t| Buffer::of(t, of));
                conv.forward(gpu, x.values(), w.values(), b.values(), out.values()).unwrap();
                close(&format!("{case:?}"), &out, &expected, of);
            });
        }
    }

    #[test]
    fn channel_norm_equals_the_cpus_and_keeps_black() {
        for activate in [false, true] {
            in_every_way(|gpu, of| {
                let x = random(1, &[2, 5, 3, 7], of);
                // The second frame is black.
                let black = x.narrow(0, 1, 1).unwrap().zeros_like().unwrap();
                let x = Tensor::cat(&[x.narrow(0, 0, 1).unwrap(), black], 0).unwrap();
                let gain = random(2, &[5], Type::F32);
                let expected = on_cpu::channel_norm(&x, &gain.to_vec1::<f32>().unwrap(), activate).unwrap();
                let (x, gain) = (Buffer::of(&x, of), Buffer::of(&gain, Type::F32));
                let out = Buffer::undefined(&[2, 5, 3, 7], of);
                channel_norm(gpu, x.values(), gain.values(), out.values(), [2, 5, 21], activate).unwrap();
                close("channel norm", &out, &expected, of);
            });
        }
    }
}
