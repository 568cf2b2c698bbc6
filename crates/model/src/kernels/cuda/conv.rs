//! The video autoencoder's convolution, by unrolled input and cuBLAS, and its normalisation over channels.

use candle_core::Result;

use super::call::{Arg, Gpu, Launch, Matrix, Product, Values};
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

impl Conv {
    /// Values that one output looks at.
    fn reach(&self) -> usize {
        self.inputs * self.taps * self.side * self.side
    }

    /// Output positions of a frame.
    fn positions(&self) -> usize {
        self.size_out[1] * self.size_out[2]
    }

    /// Whether each frame is its own unrolling.
    fn is_pointwise(&self) -> bool {
        let plain = Geometry { frame_stride: self.geometry.frame_stride, ..Geometry::same(1) };
        self.taps == 1 && self.side == 1 && self.lead == 0 && self.geometry == plain
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
        let x = Matrix::new(x, positions).batched(self.geometry.frame_stride * self.inputs * positions);
        let out = Matrix::new(out, positions).batched(self.outputs * positions);
        let product = Product::new(size, Matrix::new(weight, self.inputs), x, out);
        gpu.multiply(&Product { batch: self.size_out[0], ..product })
    }

    fn unrolled(&self, gpu: &dyn Gpu, x: Values, weight: Values, out: Values) -> Result<()> {
        let (reach, positions) = (self.reach(), self.positions());
        let tile = (self.unrolled_bytes / (reach * x.of.size())).clamp(1, positions.max(1));
        let scratch = gpu.scratch(reach * tile, x.of)?;
        for frame in 0..self.size_out[0] {
            let out = out.from(frame * self.outputs * positions);
            for from in (0..positions).step_by(tile) {
                let count = tile.min(positions - from);
                self.unroll(gpu, x, scratch.values, frame, from, count)?;
                let size = [self.outputs, count, reach];
                let (a, b) = (Matrix::new(weight, reach), Matrix::new(scratch.values, count));
                gpu.multiply(&Product::new(size, a, b, Matrix::new(out.from(from), positions)))?;
            }
        }
        Ok(())
    }

    fn unroll(
        &self,
        gpu: &dyn Gpu,
        x: Values,
        out: Values,
        frame: usize,
        from: usize,
        count: usize,
    ) -> Result<()> {
        let g = &self.geometry;
        let [frames, rows, columns] = self.size_in;
        let first = (frame * g.frame_stride) as i32 - self.lead as i32;
        let args = vec![
            x.into(),
            out.into(),
            Arg::int(self.inputs)?,
            Arg::int(self.taps)?,
            Arg::int(self.side)?,
            first.into(),
            Arg::int(frames)?,
            Arg::int(rows)?,
            Arg::int(columns)?,
            Arg::int(self.size_out[2])?,
            Arg::long(from),
            Arg::long(count),
            Arg::int(g.before)?,
            Arg::int(g.stride)?,
            i32::from(g.doubled).into(),
        ];
        gpu.launch(&Launch::columns("unroll", x.of, [count, self.reach()], args)?)
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

#[cfg(all(test, feature = "emulate"))]
mod tests {
    use candle_core::Tensor;

    use super::super::call::Type;
    use super::super::emulated::{Buffer, close, in_every_way, random};
    use super::*;
    use crate::kernels::{channel_norm as on_cpu, conv};

    fn check(weight: [usize; 5], x: [usize; 4], lead: usize, geometry: Geometry, unrolled_bytes: usize) {
        in_every_way(|gpu, of| {
            let [outputs, inputs, taps, side, _] = weight;
            let (w, b) = (random(1, &weight, of), random(2, &[outputs], of));
            let x = random(3, &x, of);
            let expected = conv::Conv::new(&w, &b, geometry).unwrap().forward(&x, lead).unwrap();
            let (frames, _, rows, columns) = expected.dims4().unwrap();
            let (frames_in, _, rows_in, columns_in) = x.dims4().unwrap();
            let (size_in, size_out) = ([frames_in, rows_in, columns_in], [frames, rows, columns]);
            let conv =
                Conv { outputs, inputs, taps, side, geometry, size_in, lead, size_out, unrolled_bytes };
            let out = Buffer::undefined(expected.dims(), of);
            let [x, w, b] = [&x, &w, &b].map(|t| Buffer::of(t, of));
            conv.forward(gpu, x.values(), w.values(), b.values(), out.values()).unwrap();
            close(&format!("{weight:?} {geometry:?}"), &out, &expected, of);
        });
    }

    #[test]
    fn equals_the_cpus_in_every_geometry() {
        let all = UNROLLED_BYTES;
        check([5, 3, 3, 3, 3], [2, 3, 4, 7], 2, Geometry::same(3), all);
        check([5, 3, 3, 3, 3], [4, 3, 1, 1], 0, Geometry::same(3), all);
        check([2, 3, 1, 1, 1], [2, 3, 4, 7], 0, Geometry::same(1), all);
        check([4, 3, 1, 3, 3], [3, 3, 5, 6], 0, Geometry { doubled: true, ..Geometry::same(3) }, all);
        let halved = Geometry { before: 0, stride: 2, ..Geometry::same(3) };
        check([4, 3, 1, 3, 3], [2, 3, 6, 8], 0, halved, all);
        let every_other = Geometry { frame_stride: 2, ..Geometry::same(1) };
        check([4, 3, 3, 1, 1], [5, 3, 3, 5], 0, every_other, all);
        check([4, 3, 3, 1, 1], [1, 3, 3, 5], 2, Geometry::same(1), all);
    }

    #[test]
    fn tiles_join_without_a_seam() {
        // Tiles of 5 (f32) and 10 (bf16) of 28 positions.
        check([5, 3, 3, 3, 3], [2, 3, 4, 7], 2, Geometry::same(3), 4 * 81 * 5);
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
