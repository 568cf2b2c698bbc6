//! The parts of the VAE, on frames (T, C, H, W): causal convolutions, residual blocks, attention, changes of size.

use candle_core::{Result, Tensor};

use crate::error::Loaded;
use crate::kernels::attention;
use crate::kernels::channel_norm::channel_norm;
use crate::kernels::conv::{Conv, Geometry};
use crate::names::StageKind;
use crate::vae_groups::Group;
use crate::weights::Scope;

/// What causal layers remember of the chunks before, one slot per layer in the order of their calls.
#[derive(Default)]
pub(crate) struct History {
    slots: Vec<Slot>,
    next: usize,
    begun: bool,
}

/// What one layer remembers.
#[derive(Default)]
struct Slot {
    /// Whether a chunk has passed.
    begun: bool,
    /// The last frames the layer saw.
    past: Option<Tensor>,
}

impl History {
    /// Starts the next chunk: layers will ask for their slots from the first on.
    pub fn rewind(&mut self) {
        self.begun = !self.slots.is_empty();
        self.next = 0;
    }

    /// Whether a chunk has passed already.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// How many numbers are remembered.
    #[cfg(test)]
    pub fn size(&self) -> usize {
        self.slots.iter().filter_map(|slot| slot.past.as_ref()).map(Tensor::elem_count).sum()
    }

    fn slot(&mut self) -> &mut Slot {
        if self.next == self.slots.len() {
            self.slots.push(Slot::default());
        }
        self.next += 1;
        &mut self.slots[self.next - 1]
    }
}

impl Slot {
    /// The frames remembered and `x`; remembers the last `keep` of them.
    fn extend(&mut self, x: Tensor, keep: usize) -> Result<Tensor> {
        let joined = match &self.past {
            Some(past) => Tensor::cat(&[past, &x], 0)?,
            None => x,
        };
        let frames = joined.dim(0)?;
        // A copy: a view would keep the whole chunk in memory.
        let last = joined.narrow(0, frames - frames.min(keep), frames.min(keep))?;
        self.past = Some(last.force_contiguous()?);
        Ok(joined)
    }
}

/// A convolution that sees the frames before, never those after.
pub(crate) struct CausalConv(Conv);

impl CausalConv {
    /// The tensors `name.weight` (outputs, inputs, frames, side, side) and `name.bias`.
    pub fn load(w: &Scope<'_>, name: &str, channels: [usize; 2], kernel: [usize; 2]) -> Loaded<Self> {
        Ok(Self(conv3d(w, name, channels, kernel, Geometry::same(kernel[1]))?))
    }

    /// Takes `x` over, so that it is freed before the result is computed: at full size each is hundreds of megabytes.
    pub fn forward(&self, x: Tensor, history: &mut History) -> Result<Tensor> {
        self.with_past(x, history.slot())
    }

    /// Before the first frame there are zeros.
    fn with_past(&self, x: Tensor, slot: &mut Slot) -> Result<Tensor> {
        let needed = self.0.frames() - 1;
        let known = slot.past.as_ref().map_or(Ok(0), |past| past.dim(0))?;
        self.0.forward(&slot.extend(x, needed)?, needed - known)
    }

    /// For kernels of one frame, which remember nothing.
    pub fn on_frames(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward(x, 0)
    }
}

/// A convolution (outputs, inputs, frames, side, side) and its bias.
fn conv3d(
    w: &Scope<'_>,
    name: &str,
    [inputs, outputs]: [usize; 2],
    [frames, side]: [usize; 2],
    geometry: Geometry,
) -> Loaded<Conv> {
    let w = w.under(name);
    let weight = w.tensor("weight", &[outputs, inputs, frames, side, side])?;
    Ok(Conv::new(&weight, &w.tensor("bias", &[outputs])?, geometry)?)
}

/// A convolution (outputs, inputs, side, side) of each frame by itself, and its bias.
fn conv2d(
    w: &Scope<'_>,
    name: &str,
    [inputs, outputs]: [usize; 2],
    side: usize,
    geometry: Geometry,
) -> Loaded<Conv> {
    let w = w.under(name);
    let weight = w.tensor("weight", &[outputs, inputs, side, side])?;
    Ok(Conv::new(&weight, &w.tensor("bias", &[outputs])?, geometry)?)
}

/// Every pixel's channels brought to one length, times a gain per channel.
pub(crate) struct Norm(Vec<f32>);

impl Norm {
    /// The tensor `name.gamma` (channels, 1, ...).
    pub fn load(w: &Scope<'_>, name: &str, shape: &[usize]) -> Loaded<Self> {
        Ok(Self(w.under(name).in_f32().tensor("gamma", shape)?.flatten_all()?.to_vec1()?))
    }

    /// Normalised, then `x sigmoid(x)`.
    pub fn activated(&self, x: &Tensor) -> Result<Tensor> {
        channel_norm(x, &self.0, true)
    }
}

/// Two normalised convolutions beside a shortcut.
pub(crate) struct Residual {
    norms: [Norm; 2],
    convs: [CausalConv; 2],
    shortcut: Option<CausalConv>,
}

impl Residual {
    pub fn load(w: &Scope<'_>, inputs: usize, outputs: usize) -> Loaded<Self> {
        let norm = |name, channels| Norm::load(w, name, &[channels, 1, 1, 1]);
        let conv = |name, inputs| CausalConv::load(w, name, [inputs, outputs], [3, 3]);
        let shortcut = || CausalConv::load(w, "shortcut", [inputs, outputs], [1, 1]);
        Ok(Self {
            norms: [norm("residual.0", inputs)?, norm("residual.3", outputs)?],
            convs: [conv("residual.2", inputs)?, conv("residual.6", outputs)?],
            shortcut: (inputs != outputs).then(shortcut).transpose()?,
        })
    }

    pub fn forward(&self, x: &Tensor, history: &mut History) -> Result<Tensor> {
        let y = self.convs[0].forward(self.norms[0].activated(x)?, history)?;
        let y = {
            let before = y;
            self.norms[1].activated(&before)?
        };
        let y = self.convs[1].forward(y, history)?;
        match &self.shortcut {
            Some(shortcut) => y + shortcut.on_frames(x)?,
            None => y + x,
        }
    }
}

/// Each pixel of a frame looks at every other, with one head.
pub(crate) struct FrameAttention {
    norm: Norm,
    qkv: Conv,
    out: Conv,
}

impl FrameAttention {
    pub fn load(w: &Scope<'_>, channels: usize) -> Loaded<Self> {
        Ok(Self {
            norm: Norm::load(w, "norm", &[channels, 1, 1])?,
            qkv: conv2d(w, "to_qkv", [channels, 3 * channels], 1, Geometry::same(1))?,
            out: conv2d(w, "proj", [channels, channels], 1, Geometry::same(1))?,
        })
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (frames, channels, rows, columns) = x.dims4()?;
        let qkv = self.qkv.forward(&channel_norm(x, &self.norm.0, false)?, 0)?;
        let qkv = qkv.reshape((frames, 3, channels, rows * columns))?;
        let part = |i: usize| qkv.narrow(1, i, 1)?.transpose(2, 3)?.transpose(1, 2)?.contiguous();
        let seen = attention(&part(0)?, &part(1)?, &part(2)?)?; // T, pixels, 1, channels
        let seen = seen.squeeze(2)?.transpose(1, 2)?.contiguous()?;
        x + self.out.forward(&seen.reshape((frames, channels, rows, columns))?, 0)?
    }
}

/// Half or twice the rows and columns, and perhaps the frames.
pub(crate) struct Resample {
    up: bool,
    conv: Conv,
    time: Option<CausalConv>,
}

impl Resample {
    /// Half the rows and columns.
    pub fn load_down(w: &Scope<'_>, channels: usize, frames: bool) -> Loaded<Self> {
        // Zeros stand after the last row and column only.
        let geometry = Geometry { before: 0, stride: 2, ..Geometry::same(3) };
        let every_other = Geometry { frame_stride: 2, ..Geometry::same(1) };
        let time = || conv3d(w, "time_conv", [channels; 2], [3, 1], every_other).map(CausalConv);
        let conv = conv2d(w, "resample.1", [channels; 2], 3, geometry)?;
        Ok(Self { up: false, conv, time: frames.then(time).transpose()? })
    }

    /// Twice the rows and columns.
    pub fn load_up(w: &Scope<'_>, [channels, outputs]: [usize; 2], frames: bool) -> Loaded<Self> {
        let geometry = Geometry { doubled: true, ..Geometry::same(3) };
        let time = || CausalConv::load(w, "time_conv", [channels, 2 * channels], [3, 1]);
        let conv = conv2d(w, "resample.1", [channels, outputs], 3, geometry)?;
        Ok(Self { up: true, conv, time: frames.then(time).transpose()? })
    }

    pub fn forward(&self, x: &Tensor, history: &mut History) -> Result<Tensor> {
        if self.up { self.up(x, history) } else { self.down(x, history) }
    }

    /// The very first frame is not merged with others: it passes as it is.
    fn down(&self, x: &Tensor, history: &mut History) -> Result<Tensor> {
        let x = self.conv.forward(x, 0)?;
        let Some(time) = &self.time else { return Ok(x) };
        let slot = history.slot();
        let known = slot.extend(x, 1)?;
        if std::mem::replace(&mut slot.begun, true) { time.on_frames(&known) } else { Ok(known) }
    }

    /// The very first frame is not split in two, nor remembered.
    fn up(&self, x: &Tensor, history: &mut History) -> Result<Tensor> {
        let Some(time) = &self.time else { return self.conv.forward(x, 0) };
        let slot = history.slot();
        if !std::mem::replace(&mut slot.begun, true) {
            return self.conv.forward(x, 0);
        }
        let (frames, channels, rows, columns) = x.dims4()?;
        // (T, 2C, H, W): the two halves of the channels are the two frames.
        let split = time.with_past(x.clone(), slot)?.reshape((2 * frames, channels, rows, columns))?;
        self.conv.forward(&split, 0)
    }
}

/// One step of the encoder or decoder.
pub(crate) enum Stage {
    Residual(Box<Residual>),
    Resample(Resample),
    Group(Group),
}

impl Stage {
    pub fn load(w: &Scope<'_>, kind: &StageKind) -> Loaded<Self> {
        Ok(match *kind {
            StageKind::Residual { inputs, outputs } => {
                Self::Residual(Box::new(Residual::load(w, inputs, outputs)?))
            }
            StageKind::Down { channels, frames } => Self::Resample(Resample::load_down(w, channels, frames)?),
            StageKind::Up { channels, frames } => {
                Self::Resample(Resample::load_up(w, [channels, channels / 2], frames)?)
            }
            StageKind::Group(ref sizes) => Self::Group(Group::load(w, sizes)?),
        })
    }

    pub fn forward(&self, x: &Tensor, history: &mut History) -> Result<Tensor> {
        match self {
            Self::Residual(block) => block.forward(x, history),
            Self::Resample(resample) => resample.forward(x, history),
            Self::Group(group) => group.forward(x, history),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn conv(channels: [usize; 2], [frames, side]: [usize; 2], geometry: Geometry) -> Conv {
        let [inputs, outputs] = channels;
        let weight =
            Tensor::ones((outputs, inputs, frames, side, side), candle_core::DType::F32, &Device::Cpu);
        let bias = Tensor::zeros(outputs, candle_core::DType::F32, &Device::Cpu).unwrap();
        Conv::new(&weight.unwrap(), &bias, geometry).unwrap()
    }

    /// What is kept between chunks may not grow with the clip.
    #[test]
    fn memory_stays_the_same_however_many_chunks_pass() {
        let time = |channels, frame_stride| {
            Some(CausalConv(conv(channels, [3, 1], Geometry { frame_stride, ..Geometry::same(1) })))
        };
        let down = Geometry { before: 0, stride: 2, ..Geometry::same(3) };
        let up = Geometry { doubled: true, ..Geometry::same(3) };
        let encoder = [
            Stage::Resample(Resample { up: false, conv: conv([2, 2], [1, 3], down), time: time([2, 2], 2) }),
            Stage::Resample(Resample { up: true, conv: conv([2, 1], [1, 3], up), time: time([2, 4], 1) }),
        ];
        let first = CausalConv(conv([2, 2], [3, 3], Geometry::same(3)));
        let mut history = History::default();
        let mut sizes = Vec::new();
        for frames in [1, 4, 4, 4, 4, 4] {
            history.rewind();
            let x = Tensor::ones((frames, 2, 4, 4), candle_core::DType::F32, &Device::Cpu).unwrap();
            let x = first.forward(x, &mut history).unwrap();
            let y = encoder.iter().try_fold(x, |x, stage| stage.forward(&x, &mut history)).unwrap();
            assert_eq!(y.dims(), [frames, 1, 4, 4]);
            sizes.push(history.size());
        }
        // Two frames of the first convolution, one of the reduction, two of the enlargement.
        assert_eq!(sizes[1..], [2 * 32 + 8 + 2 * 8; 5]);
    }
}
