//! Where a transformer's blocks are: in memory from the first call to the last, or each only while it runs.

mod coming;

use std::collections::VecDeque;

use candle_core::Result;
use serde::{Deserialize, Serialize};

use crate::block::Block;
use crate::config::TransformerConfig;
use crate::error::Loaded;
use crate::weights::Scope;
use coming::Coming;

/// Where the weights of a transformer's blocks are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Residency {
    /// In memory, on the device that computes.
    #[default]
    Resident,
    /// In their file. Each block is brought in while the one before it runs and let go after it has run, so that two
    /// blocks are in memory at a time; biases, norms, modulation and adapters stay. On a GPU the system's cache of
    /// the file is the copy in the host's memory. Made for weights in files: tensors that a caller holds stay with him.
    Streamed,
}

/// How a transformer uses memory; it computes the same in every way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Where the blocks' weights are.
    pub residency: Residency,
    /// Whether training keeps of every block the input alone and computes the rest again when the gradient comes by:
    /// about a third more time, the memory of one block instead of all. Streamed blocks are always trained so, for
    /// what is kept for a gradient would keep the weights too.
    pub recompute: bool,
}

impl Memory {
    /// Whether training computes blocks again.
    pub(crate) fn recomputes(self) -> bool {
        self.recompute || self.residency == Residency::Streamed
    }
}

/// A transformer's blocks in order.
pub(crate) struct Blocks {
    all: Vec<Block>,
    residency: Residency,
}

impl Blocks {
    /// Blocks `blocks.0` and so on of `w`.
    pub fn load(w: &Scope<'_>, config: &TransformerConfig, residency: Residency) -> Loaded<Self> {
        let w = if residency == Residency::Streamed { w.streamed() } else { w.clone() };
        let block = |i: usize| Block::load(&w.under(&format!("blocks.{i}")), config);
        Ok(Self { all: (0..config.num_layers).map(block).collect::<Loaded<_>>()?, residency })
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Block> {
        self.all.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Block> {
        self.all.iter_mut()
    }

    /// Calls `f` with the number of each block of `order` and the block, which is in memory for so long. One block
    /// comes in while `f` is at work on the one before.
    pub fn each(
        &self,
        order: impl IntoIterator<Item = usize>,
        mut f: impl FnMut(usize, &Block) -> Result<()>,
    ) -> Result<()> {
        let mut order = order.into_iter();
        if self.residency == Residency::Resident {
            return order.try_for_each(|i| f(i, &self.all[i]));
        }
        self.each_streamed(order, if self.on_cpu() { 1 } else { 2 }, f)
    }

    /// [`Blocks::each`] with `ahead` blocks coming in. A copy to a GPU runs beside the work that is queued after it was
    /// begun: with two, a block is sent before the one ahead of it is queued, and read from its file one block earlier.
    fn each_streamed(
        &self,
        mut order: impl Iterator<Item = usize>,
        ahead: usize,
        mut f: impl FnMut(usize, &Block) -> Result<()>,
    ) -> Result<()> {
        let mut coming = VecDeque::new();
        self.begin(&mut order, &mut coming, ahead)?;
        while let Some((i, block)) = coming.pop_front() {
            let here = self.all[i].with_weights(block.sent()?.finish()?);
            if ahead > 1 {
                coming.front_mut().map_or(Ok(()), |(_, block)| block.send())?;
            }
            self.begin(&mut order, &mut coming, ahead)?;
            f(i, &here)?;
            drop(here);
            self.all[i].give_back();
        }
        Ok(())
    }

    /// Begins to bring in blocks of `order` until `ahead` of them are coming.
    fn begin(
        &self,
        order: &mut impl Iterator<Item = usize>,
        coming: &mut VecDeque<(usize, Coming)>,
        ahead: usize,
    ) -> Result<()> {
        while coming.len() < ahead
            && let Some(i) = order.next()
        {
            coming.push_back((i, Coming::begin(&self.all[i])?));
        }
        Ok(())
    }

    fn on_cpu(&self) -> bool {
        let streamed = self.all.first().map(Block::streamed).unwrap_or_default();
        streamed.first().is_none_or(|weight| weight.placement().device.is_cpu())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::frozen::FrozenWeight;
    use crate::weights::Weights;

    /// A number of each linear layer of a block that is in memory.
    fn seen(block: &Block) -> Vec<f32> {
        let number = |weight: &FrozenWeight| {
            let FrozenWeight::Dense(weight) = weight else { panic!("a weight that is not in memory") };
            weight.flatten_all().unwrap().get(3).unwrap().to_scalar().unwrap()
        };
        block.linears().iter().map(|(_, linear)| number(&linear.weight)).collect()
    }

    /// What a GPU's order of reading and sending brings in, in any order of asking.
    #[test]
    fn every_block_comes_in_its_own_turn_however_many_are_ahead() {
        let config =
            TransformerConfig { num_layers: 4, num_attention_heads: 2, ffn_dim: 64, ..Default::default() };
        let weights = Weights::random(1);
        let load = |residency| Blocks::load(&weights.under(""), &config, residency).unwrap();
        let (resident, streamed) = (load(Residency::Resident), load(Residency::Streamed));
        for order in [vec![0, 1, 2, 3], vec![3, 2, 1], vec![2], vec![]] {
            for ahead in [1, 2, 3, 9] {
                let mut found = Vec::new();
                let note = |i: usize, block: &Block| {
                    found.push((i, seen(block)));
                    Ok(())
                };
                streamed.each_streamed(order.iter().copied(), ahead, note).unwrap();
                let expected: Vec<_> = order.iter().map(|&i| (i, seen(&resident.all[i]))).collect();
                assert_eq!(found, expected, "{order:?}, {ahead} ahead");
            }
        }
    }
}
