//! A block's weights on their way: read by a thread of their own, then copied to the device.

use std::thread::{Builder, JoinHandle};

use candle_core::{Device, Result, Tensor, bail};

use crate::block::Block;
use crate::kernels::upload::Upload;

/// Weights on their way.
pub(super) enum Coming {
    /// Read from their file and decoded.
    Reading(JoinHandle<Result<Vec<Tensor>>>, Device),
    /// Copied to the device.
    Copying(Upload),
    /// Where they are needed.
    There(Vec<Tensor>),
}

impl Coming {
    /// Begins to bring in what `block` is computed with.
    pub fn begin(block: &Block) -> Result<Self> {
        let (streamed, stored) = (block.streamed(), block.stored());
        let device = streamed.first().map_or(Device::Cpu, |weight| weight.placement().device.clone());
        let read = move || {
            stored.iter().for_each(|weight| weight.prefetch());
            streamed.iter().map(|weight| weight.on_host()).collect()
        };
        Ok(Self::Reading(Builder::new().name("block reader".into()).spawn(read)?, device))
    }

    /// Waits until all is read, and begins to copy it to the device.
    pub fn sent(self) -> Result<Self> {
        let Self::Reading(thread, device) = self else { return Ok(self) };
        let Ok(read) = thread.join() else { bail!("the reader of a block's weights panicked") };
        let weights = read?;
        Ok(if device.is_cpu() {
            Self::There(weights)
        } else {
            Self::Copying(Upload::begin(&device, weights)?)
        })
    }

    /// [`Coming::sent`], in its place.
    pub fn send(&mut self) -> Result<()> {
        *self = std::mem::replace(self, Self::There(Vec::new())).sent()?;
        Ok(())
    }

    /// The weights, in the order of [`Block::streamed`].
    pub fn finish(self) -> Result<Vec<Tensor>> {
        match self.sent()? {
            Self::There(weights) => Ok(weights),
            Self::Copying(upload) => upload.finish(),
            Self::Reading(..) => bail!("a block that was sent is still being read"),
        }
    }
}
