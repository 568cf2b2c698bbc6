//! Attention by tiles of queries and heads: cuBLAS's products, and the softmax between them. The scores are never held
//! whole; the backward pass computes them again from the kept logarithms of the sums.

use std::ops::Range;

use candle_core::Result;

use super::call::{Arg, Gpu, Launch, Matrix, Product, Scratch, Type, Values};
use super::pointwise::narrow;

/// Most bytes of f32 scores of a tile; the same again, or half, is used for weights.
pub(crate) const TILE_BYTES: usize = 256 << 20;
/// Most queries of a tile: enough for the products to run at full speed.
const TILE_QUERIES: usize = 512;

/// Queries (batch, queries, heads, channels) over keys and values (batch, keys, heads, channels).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attention {
    pub of: Type,
    pub batch: usize,
    pub queries: usize,
    pub keys: usize,
    pub heads: usize,
    pub channels: usize,
    /// [`TILE_BYTES`], or less in tests.
    pub tile_bytes: usize,
}

/// Some heads and queries of one clip.
#[derive(Clone, Debug)]
struct Tile {
    clip: usize,
    heads: Range<usize>,
    queries: Range<usize>,
}

/// The operands of the backward pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backward {
    pub q: Values,
    pub k: Values,
    pub v: Values,
    /// The result of the forward pass.
    pub out: Values,
    /// Its gradient.
    pub gradient: Values,
    /// (batch, heads, queries), f32, from the forward pass.
    pub lse: Values,
}

impl Attention {
    fn scale(&self) -> f32 {
        1.0 / (self.channels as f32).sqrt()
    }

    /// Tiles of one clip, those of the same heads in succession and in the order of their queries.
    fn tiles(&self, clip: usize) -> impl Iterator<Item = Tile> {
        let Self { heads, queries, keys, tile_bytes, .. } = *self;
        let at_once = queries.clamp(1, TILE_QUERIES);
        let heads_at_once = (tile_bytes / (4 * at_once * keys)).clamp(1, heads.max(1));
        (0..heads).step_by(heads_at_once).flat_map(move |head| {
            let some = head..(head + heads_at_once).min(heads);
            let blocks = (0..queries).step_by(at_once);
            blocks.map(move |query| Tile {
                clip,
                heads: some.clone(),
                queries: query..(query + at_once).min(queries),
            })
        })
    }

    /// The most scores of a tile.
    fn tile_scores(&self) -> usize {
        self.tiles(0).map(|tile| self.scores_of(&tile)).max().unwrap_or(0)
    }

    fn scores_of(&self, tile: &Tile) -> usize {
        tile.heads.len() * tile.queries.len() * self.keys
    }

    /// The tile's queries, or their results or gradients.
    fn queries(&self, values: Values, tile: &Tile) -> Matrix {
        let token = self.heads * self.channels;
        let first = (tile.clip * self.queries + tile.queries.start) * token;
        Matrix::new(values.from(first + tile.heads.start * self.channels), token).batched(self.channels)
    }

    /// The keys, values or their gradients of the tile's heads, of clip `clip` of those in `values`.
    fn keys(&self, values: Values, clip: usize, tile: &Tile) -> Matrix {
        let token = self.heads * self.channels;
        let first = clip * self.keys * token;
        Matrix::new(values.from(first + tile.heads.start * self.channels), token).batched(self.channels)
    }

    /// The tile's scores or weights: heads, queries, keys.
    fn scores(&self, scratch: &Scratch, tile: &Tile) -> Matrix {
        Matrix::new(scratch.values, self.keys).batched(tile.queries.len() * self.keys)
    }

    /// Where the tile's queries lie in (batch, heads, queries), as the kernels take it.
    fn place(&self, tile: &Tile) -> Result<[Arg; 4]> {
        let first = (tile.clip * self.heads + tile.heads.start) * self.queries + tile.queries.start;
        Ok([Arg::int(self.keys)?, Arg::int(tile.queries.len())?, Arg::long(first), Arg::long(self.queries)])
    }

    fn launch(&self, gpu: &dyn Gpu, kernel: &str, tile: &Tile, args: Vec<Arg>) -> Result<()> {
        let rows = tile.heads.len() * tile.queries.len();
        gpu.launch(&Launch::rows(kernel, self.of, rows, self.keys, args)?)
    }

    /// `scale a bᵀ` of queries (as results, gradients) and keys (as values), to scores.
    fn against_keys(
        &self,
        gpu: &dyn Gpu,
        tile: &Tile,
        a: Matrix,
        b: Matrix,
        c: Matrix,
        scale: f32,
    ) -> Result<()> {
        let size = [tile.queries.len(), self.keys, self.channels];
        let batch = tile.heads.len();
        gpu.multiply(&Product { batch, scale, ..Product::new(size, a, b.transposed(), c) })
    }

    /// Weights times keys or values, to queries' places.
    fn over_keys(&self, gpu: &dyn Gpu, tile: &Tile, weights: Matrix, b: Matrix, c: Matrix) -> Result<()> {
        let size = [tile.queries.len(), self.channels, self.keys];
        gpu.multiply(&Product { batch: tile.heads.len(), ..Product::new(size, weights, b, c) })
    }

    /// Transposed weights times queries' values, to or onto keys' places.
    fn over_queries(&self, gpu: &dyn Gpu, tile: &Tile, weights: Matrix, b: Matrix, c: Matrix) -> Result<()> {
        let size = [self.keys, self.channels, tile.queries.len()];
        let keep = if tile.queries.start == 0 { 0.0 } else { 1.0 };
        let batch = tile.heads.len();
        gpu.multiply(&Product { batch, keep, ..Product::new(size, weights.transposed(), b, c) })
    }

    /// Writes the result, and to `lse` (batch, heads, queries) in f32 what the backward pass needs.
    pub fn forward(&self, gpu: &dyn Gpu, [q, k, v]: [Values; 3], out: Values, lse: Values) -> Result<()> {
        let scores = gpu.scratch(self.tile_scores(), Type::F32)?;
        let weights = gpu.scratch(self.tile_scores(), self.of)?;
        for tile in (0..self.batch).flat_map(|clip| self.tiles(clip)) {
            let (k, v) = (self.keys(k, tile.clip, &tile), self.keys(v, tile.clip, &tile));
            let s = self.scores(&scores, &tile);
            self.against_keys(gpu, &tile, self.queries(q, &tile), k, s, self.scale())?;
            let args = [scores.values.into(), weights.values.into(), lse.into()];
            self.launch(gpu, "softmax", &tile, args.into_iter().chain(self.place(&tile)?).collect())?;
            let out = self.queries(out, &tile);
            self.over_keys(gpu, &tile, self.scores(&weights, &tile), v, out)?;
        }
        Ok(())
    }

    /// Writes the gradients of queries, keys and values.
    pub fn backward(&self, gpu: &dyn Gpu, from: &Backward, [dq, dk, dv]: [Values; 3]) -> Result<()> {
        let delta = self.delta(gpu, from)?;
        let [scores, slopes] = [(); 2].map(|()| gpu.scratch(self.tile_scores(), Type::F32));
        let [weights, through] = [(); 2].map(|()| gpu.scratch(self.tile_scores(), self.of));
        let scratch = [scores?, slopes?, weights?, through?];
        let count = self.keys * self.heads * self.channels;
        // Sums over the tiles are kept in f32.
        let sums = match self.of {
            Type::F32 => None,
            Type::Bf16 => Some([gpu.scratch(count, Type::F32)?, gpu.scratch(count, Type::F32)?]),
        };
        for clip in 0..self.batch {
            let whole = [dk.from(clip * count), dv.from(clip * count)];
            let of_keys = sums.as_ref().map_or(whole, |sums| [sums[0].values, sums[1].values]);
            for tile in self.tiles(clip) {
                self.tile_backward(gpu, from, delta.values, &scratch, &tile, (dq, of_keys))?;
            }
            if sums.is_some() {
                of_keys.into_iter().zip(whole).try_for_each(|(sum, whole)| narrow(gpu, sum, whole, count))?;
            }
        }
        Ok(())
    }

    fn tile_backward(
        &self,
        gpu: &dyn Gpu,
        from: &Backward,
        delta: Values,
        [scores, slopes, weights, through]: &[Scratch; 4],
        tile: &Tile,
        (dq, [dk, dv]): (Values, [Values; 2]),
    ) -> Result<()> {
        let (q, g) = (self.queries(from.q, tile), self.queries(from.gradient, tile));
        let (k, v) = (self.keys(from.k, tile.clip, tile), self.keys(from.v, tile.clip, tile));
        self.against_keys(gpu, tile, q, k, self.scores(scores, tile), self.scale())?;
        self.against_keys(gpu, tile, g, v, self.scores(slopes, tile), 1.0)?;
        let inputs = [scores.values, slopes.values, from.lse, delta, weights.values, through.values];
        let args = inputs.into_iter().map(Arg::from).chain(self.place(tile)?);
        let args = args.chain([self.scale().into()]).collect();
        self.launch(gpu, "softmax_gradient", tile, args)?;
        let (weights, through) = (self.scores(weights, tile), self.scores(through, tile));
        self.over_queries(gpu, tile, weights, g, self.keys(dv, 0, tile))?;
        self.over_queries(gpu, tile, through, q, self.keys(dk, 0, tile))?;
        self.over_keys(gpu, tile, through, k, self.queries(dq, tile))
    }

    /// (batch, heads, queries): each query's gradient times its result.
    fn delta(&self, gpu: &dyn Gpu, from: &Backward) -> Result<Scratch> {
        let (rows, clip) = (self.queries * self.heads, self.queries * self.heads * self.channels);
        let delta = gpu.scratch(self.batch * rows, Type::F32)?;
        for i in 0..self.batch {
            let args = vec![
                from.out.from(i * clip).into(),
                from.gradient.from(i * clip).into(),
                delta.values.from(i * rows).into(),
                Arg::int(self.heads)?,
                Arg::int(self.channels)?,
                Arg::long(self.queries),
            ];
            gpu.launch(&Launch::rows("attention_delta", self.of, rows, self.channels, args)?)?;
        }
        Ok(delta)
    }
}

#[cfg(test)]
#[cfg(feature = "emulate")]
mod tests {
    use candle_core::{D, Tensor};

    use super::super::emulated::{Buffer, close, in_every_way, random};
    use super::*;
    use crate::kernels::{check, reference};

    fn check([batch, queries, keys, heads, channels]: [usize; 5], tile_bytes: usize) {
        in_every_way(|gpu, of| {
            let (q_shape, k_shape) = ([batch, queries, heads, channels], [batch, keys, heads, channels]);
            let (q, k, v) = (random(1, &q_shape, of), random(2, &k_shape, of), random(3, &k_shape, of));
            let weight = random(4, &q_shape, of);
            let reference = |t: &[Tensor]| reference::attention(&t[0], &t[1], &t[2]);
            let (value, gradients) = check::run(&[q.clone(), k.clone(), v.clone()], &weight, &reference);
            let logarithms = logarithms(&q, &k);

            let attention = Attention { of, batch, queries, keys, heads, channels, tile_bytes };
            let [q, k, v, g] = [&q, &k, &v, &weight].map(|t| Buffer::of(t, of));
            let [out, dq] = [(); 2].map(|()| Buffer::undefined(&q_shape, of));
            let [dk, dv] = [(); 2].map(|()| Buffer::undefined(&k_shape, of));
            let lse = Buffer::undefined(&[batch, heads, queries], Type::F32);
            let operands = [q.values(), k.values(), v.values()];
            attention.forward(gpu, operands, out.values(), lse.values()).unwrap();
            close("logarithms of the sums", &lse, &logarithms, of);
            let [q, k, v] = operands;
            let (out_values, gradient, lse) = (out.values(), g.values(), lse.values());
            let from = Backward { q, k, v, out: out_values, gradient, lse };
            attention.backward(gpu, &from, [dq.values(), dk.values(), dv.values()]).unwrap();
            close("attention", &out, &value, of);
            close("dv", &dv, &gradients[2], of);
            if keys == 1 {
                // Nothing depends on the scores: what is left is rounding.
                return [dq, dk].iter().for_each(|found| assert!(greatest(found) < 2e-2));
            }
            close("dq", &dq, &gradients[0], of);
            close("dk", &dk, &gradients[1], of);
        });
    }

    fn greatest(buffer: &Buffer) -> f32 {
        buffer.tensor().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }

    fn logarithms(q: &Tensor, k: &Tensor) -> Tensor {
        let (q, k) = (q.transpose(1, 2).unwrap(), k.transpose(1, 2).unwrap());
        let (q, k) = (q.contiguous().unwrap(), k.contiguous().unwrap());
        let scale = 1.0 / (q.dim(D::Minus1).unwrap() as f64).sqrt();
        let scores = (q.matmul(&k.t().unwrap()).unwrap() * scale).unwrap();
        scores.log_sum_exp(D::Minus1).unwrap()
    }

    #[test]
    fn values_and_gradients_equal_the_reference() {
        check([1, 5, 9, 1, 8], TILE_BYTES);
        // Two clips and heads, more keys than threads of a block.
        check([2, 17, 300, 2, 12], TILE_BYTES);
        // A single key; a single query.
        check([1, 5, 1, 2, 8], TILE_BYTES);
        check([3, 1, 9, 1, 6], TILE_BYTES);
    }

    #[test]
    fn tiles_join_without_a_seam() {
        // Two blocks of queries, and tiles of two heads and of the one that is left.
        check([2, TILE_QUERIES + 7, 5, 3, 4], 4 * TILE_QUERIES * 5 * 2);
    }
}
