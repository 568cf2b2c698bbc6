//! The gradients of a training step, of the whole graph at once or block by block.
//!
//! Candle has no gradient checkpointing, and an operation of our own could not hand out the gradients of the low-rank
//! pairs within a block. So the network is walked by hand: forward without a graph, keeping each block's input; at the
//! last block the graph of that block, the head and the loss; then backwards, each block computed again from its input
//! and differentiated by it and by its pairs.

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var, bail};

use crate::block::Block;
use crate::kernels::pull;
use crate::transformer::{Call, WanTransformer};

impl WanTransformer {
    /// What `loss` makes of the velocity, a scalar, and its gradient by every low-rank pair that is a variable; the
    /// other arguments as in [`WanTransformer::forward`]. [`crate::Memory`] says whether blocks are computed twice for
    /// it; the gradients are the same, to the bit where each layer has one pair.
    ///
    /// Nothing that comes before the blocks is differentiated. Nothing is read back from a GPU.
    ///
    /// # Errors
    /// As [`WanTransformer::forward`], or what `loss` gives.
    pub fn gradients(
        &self,
        x: &Tensor,
        t: &Tensor,
        text: &Tensor,
        image: Option<&Tensor>,
        loss: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<(Tensor, GradStore)> {
        let (x, call) = self.enter(&x.detach(), t, text, image)?;
        let mut walk = Walk { model: self, call, inputs: vec![x], loss: Some(loss), turned: None };
        if !self.memory.recomputes() {
            return walk.at_once();
        }
        let Some(last) = self.blocks.len().checked_sub(1) else { bail!("a transformer without blocks") };
        self.blocks.each((0..=last).chain((0..last).rev()), |i, block| walk.visit(i == last, block))?;
        let Some(Turned { loss, found, .. }) = walk.turned else { bail!("the last block was not visited") };
        Ok((loss, found))
    }
}

/// A training step on its way through the blocks and back.
struct Walk<'a, L> {
    model: &'a WanTransformer,
    call: Call,
    /// Of the blocks visited and not visited again yet: (B, tokens, dim) each.
    inputs: Vec<Tensor>,
    loss: Option<L>,
    /// On the way back.
    turned: Option<Turned>,
}

/// What is known on the way back.
struct Turned {
    loss: Tensor,
    /// By the pairs of the blocks visited again.
    found: GradStore,
    /// By the output of the block to be visited next; none before the first block.
    gradient: Option<Tensor>,
}

impl<L: FnOnce(&Tensor) -> Result<Tensor>> Walk<'_, L> {
    /// The graph of the whole network.
    fn at_once(mut self) -> Result<(Tensor, GradStore)> {
        let mut x = self.input()?;
        self.model.blocks.each(0..self.model.blocks.len(), |_, block| {
            x = self.call.through(block, &x)?;
            Ok(())
        })?;
        let loss = self.loss_of(&x)?;
        Ok((loss.detach(), loss.backward()?))
    }

    fn visit(&mut self, is_last: bool, block: &Block) -> Result<()> {
        match self.turned.take() {
            Some(turned) => self.turned = Some(self.back(turned, block)?),
            None if is_last => self.turned = Some(self.turn(block)?),
            None => self.onward(block)?,
        }
        Ok(())
    }

    /// Forward, without a graph.
    fn onward(&mut self, block: &Block) -> Result<()> {
        let Some(x) = self.inputs.last() else { bail!("a block without its input") };
        let y = self.call.through(&block.without_gradients(), x)?;
        self.inputs.push(y);
        Ok(())
    }

    /// The last block, the head and the loss, forward and backward.
    fn turn(&mut self, block: &Block) -> Result<Turned> {
        let x = self.input()?;
        let loss = self.loss_of(&self.call.through(block, &x)?)?;
        let mut store = loss.backward()?;
        let gradient = store.remove(&x);
        let mut found = GradStore::default();
        keep_pairs(block, &mut store, &mut found)?;
        Ok(Turned { loss: loss.detach(), found, gradient })
    }

    /// Forward with a graph, and backward from the gradient of what came out.
    fn back(&mut self, turned: Turned, block: &Block) -> Result<Turned> {
        let Turned { loss, mut found, gradient } = turned;
        let Some(gradient) = gradient else { bail!("no gradient reached a block's output") };
        let x = self.input()?;
        let y = self.call.through(block, &x)?;
        let mut store = pull(&y, &gradient)?.backward()?;
        let gradient = store.remove(&x);
        keep_pairs(block, &mut store, &mut found)?;
        Ok(Turned { loss, found, gradient })
    }

    /// The input of the block that is visited, a variable where a block before it wants its gradient.
    fn input(&mut self) -> Result<Tensor> {
        let Some(x) = self.inputs.pop() else { bail!("a block without its input") };
        if self.inputs.is_empty() { Ok(x) } else { Ok(Var::from_tensor(&x)?.into_inner()) }
    }

    fn loss_of(&mut self, x: &Tensor) -> Result<Tensor> {
        let Some(loss) = self.loss.take() else { bail!("the loss is taken once") };
        loss(&self.model.leave(x, &self.call)?)
    }
}

/// Moves the gradients of the block's pairs from `store` to `found`; what else the backward pass left is let go.
fn keep_pairs(block: &Block, store: &mut GradStore, found: &mut GradStore) -> Result<()> {
    for (_, linear) in block.linears() {
        for tensor in linear.low_rank.iter().flat_map(|pair| [&pair.a, &pair.b]) {
            let Some(gradient) = store.remove(tensor) else { continue };
            let sum = match found.remove(tensor) {
                Some(earlier) => (earlier + gradient)?,
                None => gradient,
            };
            found.insert(tensor, sum);
        }
    }
    Ok(())
}
