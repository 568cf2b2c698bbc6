//! Rotary position tables over frames, rows and columns.

use candle_core::{Device, Result, Tensor};

/// Base of the rotary frequencies.
const THETA: f64 = 10_000.0;

/// Cosine and sine of each token's angles, one per pair of channels.
pub struct RopeTable {
    /// (tokens, head_dim / 2)
    pub cos: Tensor,
    /// (tokens, head_dim / 2)
    pub sin: Tensor,
}

impl RopeTable {
    /// The table of a `grid` of tokens (frames, rows, columns; columns fastest) for heads of `head_dim` channels.
    ///
    /// Of the `head_dim / 2` pairs, a third (rounded down) each turns with the row and the column, the rest
    /// with the frame; each axis has frequencies `θ^(-2i / its channels)`.
    ///
    /// # Errors
    /// When the tensors cannot be made.
    pub fn new(grid: [usize; 3], head_dim: usize) -> Result<Self> {
        let side = 2 * (head_dim / 6);
        let sizes = [head_dim - 2 * side, side, side];
        let axes: Vec<Vec<f64>> = (0..3).map(|axis| angles(grid[axis], sizes[axis])).collect();
        let pairs = |axis: usize, position: usize| {
            let count = sizes[axis] / 2;
            &axes[axis][position * count..(position + 1) * count]
        };
        let mut all = Vec::with_capacity(grid.iter().product::<usize>() * head_dim / 2);
        for frame in 0..grid[0] {
            for row in 0..grid[1] {
                for column in 0..grid[2] {
                    let token = [pairs(0, frame), pairs(1, row), pairs(2, column)];
                    token.iter().for_each(|part| all.extend_from_slice(part));
                }
            }
        }
        let shape = (grid.iter().product::<usize>(), head_dim / 2);
        let table = |f: fn(f64) -> f64| {
            Tensor::from_vec(all.iter().map(|&a| f(a) as f32).collect::<Vec<_>>(), shape, &Device::Cpu)
        };
        Ok(Self { cos: table(f64::cos)?, sin: table(f64::sin)? })
    }

    /// The same table on `device`.
    ///
    /// # Errors
    /// When the device has no room for it.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        Ok(Self { cos: self.cos.to_device(device)?, sin: self.sin.to_device(device)? })
    }
}

/// Angles of one axis: `positions` rows of `channels / 2`.
fn angles(positions: usize, channels: usize) -> Vec<f64> {
    let frequency = |i: usize| THETA.powf(-2.0 * i as f64 / channels as f64);
    (0..positions).flat_map(|p| (0..channels / 2).map(move |i| p as f64 * frequency(i))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_axis_turns_its_own_pairs() {
        let table = RopeTable::new([2, 3, 5], 12).unwrap();
        let cos: Vec<Vec<f32>> = table.cos.to_vec2().unwrap();
        assert_eq!((cos.len(), cos[0].len()), (30, 6));
        // Token (frame 1, row 2, column 4): two pairs per axis, the second at theta^(-1/2).
        let slow = 0.01f64;
        let expected = [1.0, slow, 2.0, 2.0 * slow, 4.0, 4.0 * slow].map(|a: f64| a.cos() as f32);
        assert_eq!(cos[29], expected);
    }

    #[test]
    fn heads_of_128_split_22_21_21() {
        let table = RopeTable::new([3, 1, 1], 128).unwrap();
        let sin: Vec<Vec<f32>> = table.sin.to_vec2().unwrap();
        assert!(sin[2][..22].iter().all(|&s| s != 0.0) && sin[2][22..].iter().all(|&s| s == 0.0));
    }
}
