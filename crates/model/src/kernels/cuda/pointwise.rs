//! Element by element: activation, gated sum, rotary positions, bias, change of type.

use candle_core::Result;

use super::call::{Arg, Gpu, Launch, Values};

pub(crate) fn gelu(gpu: &dyn Gpu, count: usize, x: Values, out: Values) -> Result<()> {
    let args = vec![x.into(), out.into(), Arg::long(count)];
    gpu.launch(&Launch::elements("gelu", x.of, count, args)?)
}

pub(crate) fn gelu_gradient(
    gpu: &dyn Gpu,
    count: usize,
    x: Values,
    gradient: Values,
    out: Values,
) -> Result<()> {
    let args = vec![x.into(), gradient.into(), out.into(), Arg::long(count)];
    gpu.launch(&Launch::elements("gelu_gradient", x.of, count, args)?)
}

/// Rows of `size` values; `sharing` of them in succession share a row of the gate, which is f32.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gated {
    pub rows: usize,
    pub size: usize,
    pub sharing: usize,
}

impl Gated {
    /// `x + y gate`, or `y gate` where `x` is [`Values::NONE`].
    pub fn add(&self, gpu: &dyn Gpu, x: Values, y: Values, gate: Values, out: Values) -> Result<()> {
        let count = self.rows * self.size;
        let sizes = [Arg::long(count), Arg::int(self.size)?, Arg::int(self.sharing)?];
        let args = [x.into(), y.into(), gate.into(), out.into()].into_iter().chain(sizes).collect();
        gpu.launch(&Launch::elements("gated", y.of, count, args)?)
    }

    /// The gate's gradient, f32.
    pub fn gate_gradient(&self, gpu: &dyn Gpu, y: Values, gradient: Values, out: Values) -> Result<()> {
        let args = vec![y.into(), gradient.into(), out.into(), Arg::int(self.size)?, Arg::int(self.sharing)?];
        let groups = self.rows / self.sharing;
        gpu.launch(&Launch::columns("gate_gradient", y.of, [self.size, groups], args)?)
    }
}

/// Rotary positions of (batch, tokens, heads, 2 pairs).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rope {
    pub batch: usize,
    pub tokens: usize,
    pub heads: usize,
    pub pairs: usize,
}

impl Rope {
    /// Turns by the angles whose cosines and sines (tokens, pairs) are given in f32; back if `direction` is -1.
    pub fn turn(
        &self,
        gpu: &dyn Gpu,
        x: Values,
        [cos, sin]: [Values; 2],
        out: Values,
        direction: f32,
    ) -> Result<()> {
        let count = self.batch * self.tokens * self.heads * self.pairs;
        let args = vec![
            x.into(),
            cos.into(),
            sin.into(),
            out.into(),
            Arg::long(count),
            Arg::int(self.tokens)?,
            Arg::int(self.heads)?,
            Arg::int(self.pairs)?,
            direction.into(),
        ];
        gpu.launch(&Launch::elements("rope", x.of, count, args)?)
    }
}

/// Adds `bias` (size) to `y` (count / size / inner, size, inner).
pub(crate) fn add_bias(
    gpu: &dyn Gpu,
    y: Values,
    bias: Values,
    [count, size, inner]: [usize; 3],
) -> Result<()> {
    let args = vec![y.into(), bias.into(), Arg::long(count), Arg::long(inner), Arg::int(size)?];
    gpu.launch(&Launch::elements("add_bias", y.of, count, args)?)
}

/// f32 to the type of `out`.
pub(crate) fn narrow(gpu: &dyn Gpu, x: Values, out: Values, count: usize) -> Result<()> {
    gpu.launch(&Launch::elements("narrow", out.of, count, vec![x.into(), out.into(), Arg::long(count)])?)
}

/// Makes `count` values zero.
pub(crate) fn clear(gpu: &dyn Gpu, x: Values, count: usize) -> Result<()> {
    gpu.launch(&Launch::elements("clear", x.of, count, vec![x.into(), Arg::long(count)])?)
}

#[cfg(test)]
#[cfg(feature = "emulate")]
mod tests {
    use candle_core::Tensor;

    use super::super::call::Type;
    use super::super::emulated::{Buffer, close, in_every_way, random};
    use super::*;
    use crate::kernels::{check, reference};
    use crate::rope::RopeTable;

    #[test]
    fn gelu_equals_the_reference() {
        in_every_way(|gpu, of| {
            let (x, weight) = (random(1, &[7, 131], of), random(2, &[7, 131], of));
            let x = (x * 3.0).unwrap();
            let x = Buffer::of(&x, of).tensor();
            let (value, gradients) =
                check::run(std::slice::from_ref(&x), &weight, &|t| reference::gelu_tanh(&t[0]));
            let [x, g] = [&x, &weight].map(|t| Buffer::of(t, of));
            let [out, dx] = [(); 2].map(|()| Buffer::undefined(&[7, 131], of));
            gelu(gpu, 7 * 131, x.values(), out.values()).unwrap();
            gelu_gradient(gpu, 7 * 131, x.values(), g.values(), dx.values()).unwrap();
            close("gelu", &out, &value, of);
            close("gradient", &dx, &gradients[0], of);
        });
    }

    #[test]
    fn gelu_far_out_is_the_identity_or_nothing() {
        in_every_way(|gpu, of| {
            let x = Tensor::new(&[-1e30f32, -1e4, -30.0, 0.0, 30.0, 1e4], &candle_core::Device::Cpu).unwrap();
            let (x, out) = (Buffer::of(&x, of), Buffer::undefined(&[6], of));
            gelu(gpu, 6, x.values(), out.values()).unwrap();
            let (x, out) = (x.tensor().to_vec1::<f32>().unwrap(), out.tensor().to_vec1::<f32>().unwrap());
            assert_eq!(out[3..], x[3..]);
            assert!(out[..3].iter().all(|y| y.abs() < 1e-30), "{out:?}");
        });
    }

    #[test]
    fn gated_sums_equal_the_reference_for_every_shape_of_gate() {
        for (gate_shape, sharing) in [(vec![37], 10), (vec![2, 1, 37], 5), (vec![2, 5, 37], 1)] {
            in_every_way(|gpu, of| {
                let shape = [2, 5, 37];
                let (x, y, weight) = (random(1, &shape, of), random(2, &shape, of), random(3, &shape, of));
                let gate = random(4, &gate_shape, Type::F32);
                let reference = |t: &[Tensor]| reference::gated_add(&t[0], &t[1], &t[2]);
                let (value, gradients) =
                    check::run(&[x.clone(), y.clone(), gate.clone()], &weight, &reference);
                let [x, y, g] = [&x, &y, &weight].map(|t| Buffer::of(t, of));
                let gate = Buffer::of(&gate, Type::F32);
                let [out, dy] = [(); 2].map(|()| Buffer::undefined(&shape, of));
                let dgate = Buffer::undefined(&gate_shape, Type::F32);
                let gated = Gated { rows: 10, size: 37, sharing };
                gated.add(gpu, x.values(), y.values(), gate.values(), out.values()).unwrap();
                gated.add(gpu, Values::NONE, g.values(), gate.values(), dy.values()).unwrap();
                gated.gate_gradient(gpu, y.values(), g.values(), dgate.values()).unwrap();
                close("sum", &out, &value, of);
                close("gradient of y", &dy, &gradients[1], of);
                close("gradient of the gate", &dgate, &gradients[2], of);
            });
        }
    }

    #[test]
    fn rope_equals_the_reference_and_turns_back() {
        let table = RopeTable::new([2, 3, 4], 12).unwrap();
        in_every_way(|gpu, of| {
            let shape = [2, 24, 3, 12];
            let (x, weight) = (random(1, &shape, of), random(2, &shape, of));
            let (value, gradients) =
                check::run(std::slice::from_ref(&x), &weight, &|t| reference::rope(&t[0], &table));
            let angles = [&table.cos, &table.sin].map(|t| Buffer::of(t, Type::F32));
            let angles = angles.each_ref().map(Buffer::values);
            let [x, g] = [&x, &weight].map(|t| Buffer::of(t, of));
            let [out, dx] = [(); 2].map(|()| Buffer::undefined(&shape, of));
            let rope = Rope { batch: 2, tokens: 24, heads: 3, pairs: 6 };
            rope.turn(gpu, x.values(), angles, out.values(), 1.0).unwrap();
            rope.turn(gpu, g.values(), angles, dx.values(), -1.0).unwrap();
            close("rope", &out, &value, of);
            close("gradient", &dx, &gradients[0], of);
        });
    }

    /// Ties to even, overflow and NaN as `half` does it, bit by bit.
    #[test]
    fn rounding_to_bf16_is_that_of_half() {
        let bits =
            (0..=u16::MAX).flat_map(|high| [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff].map(|low| (high, low)));
        let values: Vec<f32> =
            bits.map(|(high, low): (u16, u32)| f32::from_bits((u32::from(high) << 16) | low)).collect();
        let x = Tensor::new(values.as_slice(), &candle_core::Device::Cpu).unwrap();
        let (x, out) = (Buffer::of(&x, Type::F32), Buffer::undefined(&[values.len()], Type::Bf16));
        narrow(&super::super::emulated::Emulated::default(), x.values(), out.values(), values.len()).unwrap();
        let found = out.tensor().to_vec1::<f32>().unwrap();
        for (x, found) in values.into_iter().zip(found) {
            let expected = half::bf16::from_f32(x).to_f32();
            assert!(
                expected.to_bits() == found.to_bits() || (x.is_nan() && found.is_nan()),
                "{x} to {found}"
            );
        }
    }
}
