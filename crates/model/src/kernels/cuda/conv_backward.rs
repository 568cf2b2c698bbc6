//! The gradients of a convolution on a GPU, tile by tile: the weight's from unrolled input, the input's from products
//! that are folded back to where they were read. Sums over tiles and frames are kept in f32.

use candle_core::Result;

use super::call::{Arg, Gpu, Launch, Matrix, Product, Type, Values};
use super::conv::{Conv, Tile};
use super::pointwise::{clear, narrow};

/// Threads of a block that folds.
const THREADS: usize = 256;

impl Conv {
    /// Writes (frames, inputs, rows, columns) for the `gradient` of the result.
    pub fn input_gradient(&self, gpu: &dyn Gpu, gradient: Values, weight: Values, out: Values) -> Result<()> {
        let count = self.inputs * self.size_in.iter().product::<usize>();
        if self.is_pointwise() {
            return self.pointwise_input_gradient(gpu, gradient, weight, (out, count));
        }
        in_f32(gpu, (out, count), |sums| {
            clear(gpu, sums, count)?;
            let scratch = self.tile_scratch(gpu, Type::F32)?;
            for tile in self.tiles(Type::F32) {
                let size = [self.reach(), tile.count, self.outputs];
                let weight = Matrix::new(weight, self.reach()).transposed();
                let asked = Matrix::new(scratch.values, tile.count);
                gpu.multiply(&Product::new(size, weight, self.outputs_of(gradient, &tile), asked))?;
                self.fold(gpu, scratch.values, sums, &tile)?;
            }
            Ok(())
        })
    }

    fn pointwise_input_gradient(
        &self,
        gpu: &dyn Gpu,
        gradient: Values,
        weight: Values,
        (out, count): (Values, usize),
    ) -> Result<()> {
        if self.geometry.frame_stride > 1 {
            clear(gpu, out, count)?; // for the frames that nothing reads
        }
        let positions = self.positions();
        let size = [self.inputs, positions, self.outputs];
        let weight = Matrix::new(weight, self.inputs).transposed();
        let gradient = Matrix::new(gradient, positions).batched(self.outputs * positions);
        let product = Product::new(size, weight, gradient, self.frames_read(out));
        gpu.multiply(&Product { batch: self.size_out[0], ..product })
    }

    /// Writes (outputs, inputs, taps, side, side) for the `gradient` of the result.
    pub fn weight_gradient(&self, gpu: &dyn Gpu, x: Values, gradient: Values, out: Values) -> Result<()> {
        in_f32(gpu, (out, self.outputs * self.reach()), |sums| {
            if self.is_pointwise() {
                return self.pointwise_weight_gradient(gpu, x, gradient, sums);
            }
            let scratch = self.tile_scratch(gpu, x.of)?;
            for tile in self.tiles(x.of) {
                self.unroll(gpu, x, scratch.values, &tile)?;
                let read = Matrix::new(scratch.values, tile.count);
                self.add_to_weight(gpu, &tile, gradient, read, sums)?;
            }
            Ok(())
        })
    }

    fn pointwise_weight_gradient(
        &self,
        gpu: &dyn Gpu,
        x: Values,
        gradient: Values,
        sums: Values,
    ) -> Result<()> {
        let frames = self.frames_read(x);
        for frame in 0..self.size_out[0] {
            let read = Matrix { values: x.from(frame * frames.next), ..frames };
            let tile = Tile { frame, from: 0, count: self.positions() };
            self.add_to_weight(gpu, &tile, gradient, read, sums)?;
        }
        Ok(())
    }

    /// The tile's part of the weight's gradient, from what the tile read, (reach, count). The first tile writes.
    fn add_to_weight(
        &self,
        gpu: &dyn Gpu,
        tile: &Tile,
        gradient: Values,
        read: Matrix,
        sums: Values,
    ) -> Result<()> {
        let size = [self.outputs, self.reach(), tile.count];
        let (a, c) = (self.outputs_of(gradient, tile), Matrix::new(sums, self.reach()));
        let keep = if tile.frame == 0 && tile.from == 0 { 0.0 } else { 1.0 };
        gpu.multiply(&Product { keep, ..Product::new(size, a, read.transposed(), c) })
    }

    /// Writes (outputs) for the `gradient` of the result.
    pub fn bias_gradient(&self, gpu: &dyn Gpu, gradient: Values, out: Values) -> Result<()> {
        let sizes = [Arg::int(self.size_out[0])?, Arg::int(self.outputs)?, Arg::long(self.positions())];
        let args = [gradient.into(), out.into()].into_iter().chain(sizes).collect();
        gpu.launch(&Launch::rows("channel_sums", gradient.of, self.outputs, self.positions(), args)?)
    }

    /// Adds the tile's `unrolled` values (reach, count) to the `sums` of the input's shape.
    fn fold(&self, gpu: &dyn Gpu, unrolled: Values, sums: Values, tile: &Tile) -> Result<()> {
        let [first_row, end_row] = self.rows_read(tile);
        let pixels = end_row.saturating_sub(first_row) * self.size_in[2];
        let mut args = self.tile_args(unrolled, sums, tile)?;
        args.extend([Arg::int(first_row)?, Arg::long(pixels)]);
        let grid = [pixels.div_ceil(THREADS), self.inputs * self.taps];
        gpu.launch(&Launch::new("fold".into(), grid, THREADS, args)?)
    }

    /// The first row of the input that the tile reads, and the one after the last.
    fn rows_read(&self, tile: &Tile) -> [usize; 2] {
        let (g, columns, repeats) =
            (&self.geometry, self.size_out[2], 1 + usize::from(self.geometry.doubled));
        let (first, last) = (tile.from / columns, (tile.from + tile.count - 1) / columns);
        let start = (first * g.stride).saturating_sub(g.before) / repeats;
        let end = (last * g.stride + self.side).saturating_sub(g.before).div_ceil(repeats);
        [start, end.min(self.size_in[1])]
    }
}

/// Lets `write` write `count` sums in f32, and rounds them to the type of `out`.
fn in_f32(
    gpu: &dyn Gpu,
    (out, count): (Values, usize),
    write: impl FnOnce(Values) -> Result<()>,
) -> Result<()> {
    if out.of == Type::F32 {
        return write(out);
    }
    let sums = gpu.scratch(count, Type::F32)?;
    write(sums.values)?;
    narrow(gpu, sums.values, out, count)
}

#[cfg(test)]
#[cfg(feature = "emulate")]
mod tests {
    use super::super::conv::cases;
    use super::super::emulated::{Buffer, close, in_every_way, random};
    use crate::kernels::{check, conv};

    #[test]
    fn gradients_equal_the_cpus_in_every_geometry_whole_and_in_tiles() {
        for (case, tile_bytes) in cases::all() {
            in_every_way(|gpu, of| {
                let operands =
                    [random(1, &case.x, of), random(2, &case.weight, of), random(3, &case.weight[..1], of)];
                let on_cpu = |t: &[candle_core::Tensor]| {
                    conv::Conv::new(&t[1], &t[2], case.geometry)?.forward(&t[0], case.lead)
                };
                let shape = on_cpu(&operands).unwrap().dims4().unwrap();
                let shape = [shape.0, shape.1, shape.2, shape.3];
                let gradient = random(4, &shape, of);
                let (_, expected) = check::run(&operands, &gradient, &on_cpu);

                let conv = case.conv(shape, tile_bytes);
                let [x, w, _] = operands.each_ref().map(|t| Buffer::of(t, of));
                let g = Buffer::of(&gradient, of);
                let found = operands.each_ref().map(|t| Buffer::undefined(t.dims(), of));
                let [dx, dw, db] = found.each_ref().map(Buffer::values);
                conv.input_gradient(gpu, g.values(), w.values(), dx).unwrap();
                conv.weight_gradient(gpu, x.values(), g.values(), dw).unwrap();
                conv.bias_gradient(gpu, g.values(), db).unwrap();
                for (what, (found, expected)) in
                    ["input", "weight", "bias"].iter().zip(found.iter().zip(&expected))
                {
                    close(&format!("{what} {case:?} {tile_bytes}"), found, expected, of);
                }
            });
        }
    }
}
