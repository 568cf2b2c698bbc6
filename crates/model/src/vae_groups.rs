//! The stages of the Wan 2.2 VAE: residual blocks and a change of size, with a shortcut that has no weights beside them.
//!
//! `AvgDown3D`, `DupUp3D`, `Down_ResidualBlock` and `Up_ResidualBlock` of the published code.

use candle_core::{Result, Tensor};

use crate::error::Loaded;
use crate::names::GroupSizes;
use crate::vae_blocks::{History, Resample, Residual};
use crate::weights::Scope;

/// One stage.
pub(crate) struct Group {
    blocks: Vec<Residual>,
    resize: Option<Resample>,
    shortcut: Option<Shortcut>,
}

impl Group {
    pub fn load(w: &Scope<'_>, sizes: &GroupSizes) -> Loaded<Self> {
        let w = w.under(sizes.inner());
        let block = |i: usize| {
            let inputs = if i == 0 { sizes.inputs } else { sizes.outputs };
            Residual::load(&w.under(&i.to_string()), inputs, sizes.outputs)
        };
        let last = w.under(&sizes.blocks.to_string());
        let resize = |frames| match sizes.encoder {
            true => Resample::load_down(&last, sizes.outputs, frames),
            false => Resample::load_up(&last, [sizes.outputs; 2], frames),
        };
        Ok(Self {
            blocks: (0..sizes.blocks).map(block).collect::<Loaded<_>>()?,
            resize: sizes.resize.map(resize).transpose()?,
            shortcut: Shortcut::new(sizes),
        })
    }

    pub fn forward(&self, x: &Tensor, history: &mut History) -> Result<Tensor> {
        let started = history.has_begun();
        let y = self.blocks.iter().try_fold(x.clone(), |y, block| block.forward(&y, history))?;
        let y = match &self.resize {
            Some(resize) => resize.forward(&y, history)?,
            None => y,
        };
        match &self.shortcut {
            Some(shortcut) => y + shortcut.forward(x, started)?,
            None => Ok(y),
        }
    }
}

/// How frames become fewer or more without weights.
#[derive(Clone, Copy, Debug)]
enum Shortcut {
    /// Means over neighbours in space, time and channels.
    Average { outputs: usize, frames: usize, side: usize },
    /// Every value repeated in space, time and channels.
    Repeat { outputs: usize, frames: usize, side: usize },
}

impl Shortcut {
    fn new(sizes: &GroupSizes) -> Option<Self> {
        let (outputs, [frames, side]) = (sizes.outputs, sizes.factors());
        match (sizes.encoder, sizes.resize) {
            (true, _) => Some(Self::Average { outputs, frames, side }),
            (false, Some(_)) => Some(Self::Repeat { outputs, frames, side }),
            (false, None) => None,
        }
    }

    /// The first frame of a clip is one of the smaller side's alone, so its chunk differs.
    fn forward(self, x: &Tensor, started: bool) -> Result<Tensor> {
        match self {
            Self::Average { outputs, frames, side } => average(x, outputs, frames, side),
            Self::Repeat { outputs, frames, side } => {
                let y = repeat(x, outputs, frames, side)?;
                let drop = if started { 0 } else { frames - 1 };
                y.narrow(0, drop, y.dim(0)? - drop)
            }
        }
    }
}

/// (T, C, H, W) -> (T / frames, outputs, H / side, W / side), after zeros before a first frame that stands alone.
fn average(x: &Tensor, outputs: usize, frames: usize, side: usize) -> Result<Tensor> {
    let missing = x.dim(0)?.next_multiple_of(frames) - x.dim(0)?;
    let x = x.pad_with_zeros(0, missing, 0)?;
    let (count, channels, rows, columns) = x.dims4()?;
    let (count, rows, columns) = (count / frames, rows / side, columns / side);
    let x = x.reshape(&[count, frames, channels, rows, side, columns, side][..])?;
    let x = x.permute(&[0, 2, 1, 4, 6, 3, 5][..])?; // T, C frames side side, H, W
    x.reshape((count, outputs, (), rows, columns))?.mean(2)
}

/// (T, C, H, W) -> (T frames, outputs, H side, W side)
fn repeat(x: &Tensor, outputs: usize, frames: usize, side: usize) -> Result<Tensor> {
    let (count, channels, rows, columns) = x.dims4()?;
    let times = outputs * frames * side * side / channels;
    let x = x.unsqueeze(2)?.broadcast_as((count, channels, times, rows, columns))?;
    let x = x.reshape(&[count, outputs, frames, side, side, rows, columns][..])?;
    let x = x.permute(&[0, 2, 1, 5, 3, 6, 4][..])?; // T frames, C, H side, W side
    x.reshape((count * frames, outputs, rows * side, columns * side))
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// 0, 1, 2, ... as (T, C, H, W)
    fn counting(shape: [usize; 4]) -> Tensor {
        let count = shape.iter().product::<usize>() as u32;
        let values: Vec<f32> = (0..count).map(|i| i as f32).collect();
        Tensor::from_vec(values, &shape, &Device::Cpu).unwrap()
    }

    fn values(t: Tensor) -> Vec<f32> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn a_lone_first_frame_is_averaged_with_zeros_before_it() {
        let halved = average(&counting([1, 1, 2, 2]), 1, 2, 2).unwrap();
        assert_eq!((halved.dims(), values(halved.clone())), (&[1, 1, 1, 1][..], vec![6.0 / 8.0]));
        // More channels out than in: the frames of a pair lie in the two halves of the channels.
        assert_eq!(values(average(&counting([2, 1, 2, 2]), 2, 2, 2).unwrap()), [1.5, 5.5]);
    }

    #[test]
    fn averaging_undoes_repeating() {
        let x = counting([3, 4, 2, 3]);
        for (outputs, frames, side) in [(4, 1, 2), (2, 2, 2), (4, 2, 2), (8, 1, 1)] {
            let y = repeat(&x, outputs, frames, side).unwrap();
            assert_eq!(y.dims(), [3 * frames, outputs, 2 * side, 3 * side]);
            assert_eq!(values(average(&y, 4, frames, side).unwrap()), values(x.clone()));
        }
    }

    #[test]
    fn the_first_chunk_loses_the_frames_before_the_first() {
        let twice = Shortcut::Repeat { outputs: 1, frames: 2, side: 1 };
        let x = counting([1, 2, 1, 1]);
        assert_eq!(values(twice.forward(&x, false).unwrap()), [1.0]);
        assert_eq!(values(twice.forward(&x, true).unwrap()), [0.0, 1.0]);
    }
}
