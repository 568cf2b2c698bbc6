//! The kernels by themselves, forward and with their gradients.

use anyhow::Result;
use candle_core::{DType, Device, Tensor, Var};
use lora_edit_model::kernels::conv::{Conv, Geometry};
use lora_edit_model::kernels::frozen::frozen_linear;
use lora_edit_model::kernels::{attention, gated_add, gelu_tanh, layer_norm, pull, rms_norm, rope};
use lora_edit_model::rope::RopeTable;
use lora_edit_model::{Linear, LowRank};
use serde::Deserialize;

use crate::cases::{Case, Run};
use crate::place::Place;

/// Under the root of the normalisations, as in the networks.
const EPS: f64 = 1e-6;

/// A kernel at one size.
#[derive(Clone, Deserialize)]
pub struct Kernel {
    name: String,
    #[serde(flatten)]
    op: Op,
    /// Whether it is also measured with its gradients.
    #[serde(default)]
    backward: bool,
}

#[derive(Clone, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
enum Op {
    /// `x` (T, C, H, W), `kernel` (frames, side), `lead` frames of zeros before the first.
    Conv {
        x: [usize; 4],
        outputs: usize,
        kernel: [usize; 2],
        #[serde(default)]
        lead: usize,
        #[serde(default)]
        doubled: bool,
    },
    /// `q` (B, S, H, D)
    Attention {
        q: [usize; 4],
        keys: usize,
    },
    FrozenLinear {
        x: [usize; 3],
        outputs: usize,
    },
    AdaptedLinear {
        x: [usize; 3],
        outputs: usize,
        rank: usize,
    },
    GeluTanh {
        x: [usize; 3],
    },
    LayerNorm {
        x: [usize; 3],
    },
    RmsNorm {
        x: [usize; 3],
    },
    /// `x` (B, S, H, D) of a `grid` of S tokens
    Rope {
        x: [usize; 4],
        grid: [usize; 3],
    },
    GatedAdd {
        x: [usize; 3],
    },
}

type Call = Box<dyn Fn(&[Tensor]) -> candle_core::Result<Tensor>>;

/// A kernel with its frozen tensors, and the tensors that it is differentiated by.
struct Prepared {
    inputs: Vec<Tensor>,
    call: Call,
}

impl Kernel {
    /// `kernel/NAME/forward`, and `kernel/NAME/forward-backward` where that is measured.
    pub fn cases(self) -> Vec<Case> {
        let op = self.op.clone();
        let mut cases = vec![Case::new(format!("kernel/{}/forward", self.name), move |on| forward(&op, on))];
        if self.backward {
            let name = format!("kernel/{}/forward-backward", self.name);
            cases.push(Case::new(name, move |on| forward_backward(&self.op, on)));
        }
        cases
    }
}

fn forward(op: &Op, device: &Device) -> Result<Run> {
    let Prepared { inputs, call } = prepare(op, &mut Place::of_transformer(device, 1))?;
    Ok(Box::new(move || {
        std::hint::black_box(call(&inputs)?);
        Ok(())
    }))
}

fn forward_backward(op: &Op, device: &Device) -> Result<Run> {
    let mut random = Place::of_transformer(device, 1);
    let Prepared { inputs, call } = prepare(op, &mut random)?;
    let gradient = random.normal(call(&inputs)?.shape())?;
    let vars = inputs.iter().map(Var::from_tensor).collect::<candle_core::Result<Vec<_>>>()?;
    let inputs: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    Ok(Box::new(move || {
        let store = pull(&call(&inputs)?, &gradient)?.backward()?;
        anyhow::ensure!(vars.iter().all(|var| store.get(var).is_some()), "an input got no gradient");
        Ok(())
    }))
}

fn prepare(op: &Op, random: &mut Place) -> Result<Prepared> {
    Ok(match *op {
        Op::Conv { x, outputs, kernel: [frames, side], lead, doubled } => {
            let weight = weight(random, &[outputs, x[1], frames, side, side])?;
            let geometry = Geometry { doubled, ..Geometry::same(side) };
            let conv = Conv::new(&weight, &random.normal(outputs)?, geometry)?;
            prepared([random.normal(&x)?], move |x| conv.forward(&x[0], lead))
        }
        Op::Attention { q, keys } => {
            let k = [q[0], keys, q[2], q[3]];
            let inputs = [random.normal(&q)?, random.normal(&k)?, random.normal(&k)?];
            prepared(inputs, |x| attention(&x[0], &x[1], &x[2]))
        }
        Op::FrozenLinear { x, outputs } => {
            let (weight, bias) = (weight(random, &[outputs, x[2]])?.into(), random.normal(outputs)?);
            prepared([random.normal(&x)?], move |x| frozen_linear(&x[0], &weight, Some(&bias)))
        }
        Op::AdaptedLinear { x, outputs, rank } => {
            let base = Linear::new(weight(random, &[outputs, x[2]])?, Some(random.normal(outputs)?))?;
            let [a, b] =
                [[rank, x[2]], [outputs, rank]].map(|shape| weight(random, &shape)?.to_dtype(DType::F32));
            let inputs = [random.normal(&x)?, a?, b?];
            prepared(inputs, move |x| adapted(&base, &x[1], &x[2]).forward(&x[0]))
        }
        Op::GeluTanh { x } => prepared([random.normal(&x)?], |x| gelu_tanh(&x[0])),
        Op::LayerNorm { x } => {
            let (gain, shift) = (random.exact((x[0], 1, x[2]))?, random.exact((x[0], 1, x[2]))?);
            prepared([random.normal(&x)?], move |x| layer_norm(&x[0], &gain, &shift, EPS))
        }
        Op::RmsNorm { x } => {
            let gain = random.exact(x[2])?;
            prepared([random.normal(&x)?], move |x| rms_norm(&x[0], &gain, EPS))
        }
        Op::Rope { x, grid } => {
            let table = RopeTable::new(grid, x[3])?.to_device(random.device())?;
            prepared([random.normal(&x)?], move |x| rope(&x[0], &table))
        }
        Op::GatedAdd { x } => {
            let gate = random.exact((x[0], 1, x[2]))?;
            prepared([random.normal(&x)?, random.normal(&x)?], move |x| gated_add(&x[0], &x[1], &gate))
        }
    })
}

fn prepared<const N: usize>(
    inputs: [Tensor; N],
    call: impl Fn(&[Tensor]) -> candle_core::Result<Tensor> + 'static,
) -> Prepared {
    Prepared { inputs: inputs.to_vec(), call: Box::new(call) }
}

/// `base` with one pair; the tensors are shared, not copied.
fn adapted(base: &Linear, a: &Tensor, b: &Tensor) -> Linear {
    Linear { low_rank: vec![LowRank { a: a.clone(), b: b.clone(), scale: 1.0 }], ..base.clone() }
}

/// Outputs first; sized so that unit inputs give unit outputs.
fn weight(random: &mut Place, shape: &[usize]) -> candle_core::Result<Tensor> {
    let inputs = shape[1..].iter().product::<usize>() as f64;
    random.normal(shape)? / inputs.sqrt()
}
