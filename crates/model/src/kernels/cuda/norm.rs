//! Normalisation of rows and its gradients.

use candle_core::Result;

use super::call::{Arg, Gpu, Launch, Type, Values};

/// Which normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Less the mean, over the deviation, times a gain, plus a shift.
    Layer,
    /// Over the root of the mean square, times a gain.
    Rms,
}

/// Rows of `size` values; `sharing` of them in succession share a row of gain and shift, which are f32.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norm {
    pub kind: Kind,
    pub of: Type,
    pub rows: usize,
    pub size: usize,
    pub sharing: usize,
    pub eps: f32,
}

impl Norm {
    fn name(&self, part: &str) -> String {
        let kind = if self.kind == Kind::Layer { "layer" } else { "rms" };
        format!("{kind}_norm{part}")
    }

    fn launch(&self, gpu: &dyn Gpu, part: &str, mut args: Vec<Arg>, with_sharing: bool) -> Result<()> {
        args.push(Arg::int(self.size)?);
        if with_sharing {
            args.push(Arg::int(self.sharing)?);
        }
        args.push(self.eps.into());
        gpu.launch(&Launch::rows(&self.name(part), self.of, self.rows, self.size, args)?)
    }

    /// `shift` is read for [`Kind::Layer`] alone.
    pub fn forward(&self, gpu: &dyn Gpu, x: Values, gain: Values, shift: Values, out: Values) -> Result<()> {
        let args = match self.kind {
            Kind::Layer => vec![x.into(), gain.into(), shift.into(), out.into()],
            Kind::Rms => vec![x.into(), gain.into(), out.into()],
        };
        self.launch(gpu, "", args, true)
    }

    pub fn input_gradient(
        &self,
        gpu: &dyn Gpu,
        x: Values,
        gain: Values,
        gradient: Values,
        out: Values,
    ) -> Result<()> {
        self.launch(gpu, "_input_gradient", vec![x.into(), gain.into(), gradient.into(), out.into()], true)
    }

    /// Gradients of gain and shift, f32.
    pub fn gain_gradient(
        &self,
        gpu: &dyn Gpu,
        x: Values,
        gradient: Values,
        [gain, shift]: [Values; 2],
    ) -> Result<()> {
        let moments = gpu.scratch(2 * self.rows, Type::F32)?;
        self.launch(gpu, "_moments", vec![x.into(), moments.values.into()], false)?;
        let args = vec![
            x.into(),
            moments.values.into(),
            gradient.into(),
            gain.into(),
            shift.into(),
            Arg::int(self.size)?,
            Arg::int(self.sharing)?,
        ];
        let groups = self.rows / self.sharing;
        gpu.launch(&Launch::columns("norm_gain_gradient", self.of, [self.size, groups], args)?)
    }
}

#[cfg(test)]
#[cfg(feature = "emulate")]
mod tests {
    use super::super::emulated::{Buffer, close, in_every_way, random};
    use super::*;
    use crate::kernels::{check, reference};

    fn check(kind: Kind, [batch, tokens, size]: [usize; 3], gain_shape: &[usize], sharing: usize) {
        in_every_way(|gpu, of| {
            let shape = [batch, tokens, size];
            let (x, weight) = (random(1, &shape, of), random(2, &shape, of));
            let (gain, shift) = (random(3, gain_shape, Type::F32), random(4, gain_shape, Type::F32));
            let reference = |t: &[candle_core::Tensor]| match kind {
                Kind::Layer => reference::layer_norm(&t[0], &t[1], &t[2], 1e-6),
                Kind::Rms => reference::rms_norm(&t[0], &t[1], 1e-6),
            };
            let operands = [x.clone(), gain.clone(), shift.clone()];
            let used = if kind == Kind::Layer { 3 } else { 2 };
            let (value, gradients) = check::run(&operands[..used], &weight, &reference);

            let norm = Norm { kind, of, rows: batch * tokens, size, sharing, eps: 1e-6 };
            let [x, g] = [&x, &weight].map(|t| Buffer::of(t, of));
            let [gain, shift] = [&gain, &shift].map(|t| Buffer::of(t, Type::F32));
            let [out, dx] = [(); 2].map(|()| Buffer::undefined(&shape, of));
            let [dgain, dshift] = [(); 2].map(|()| Buffer::undefined(gain_shape, Type::F32));
            norm.forward(gpu, x.values(), gain.values(), shift.values(), out.values()).unwrap();
            norm.input_gradient(gpu, x.values(), gain.values(), g.values(), dx.values()).unwrap();
            norm.gain_gradient(gpu, x.values(), g.values(), [dgain.values(), dshift.values()]).unwrap();
            close("norm", &out, &value, of);
            close("input gradient", &dx, &gradients[0], of);
            close("gain gradient", &dgain, &gradients[1], of);
            if kind == Kind::Layer {
                close("shift gradient", &dshift, &gradients[2], of);
            }
        });
    }

    #[test]
    fn norms_equal_the_reference_for_every_shape_of_gain() {
        for kind in [Kind::Layer, Kind::Rms] {
            check(kind, [2, 5, 37], &[37], 10);
            check(kind, [2, 5, 37], &[2, 1, 37], 5);
            check(kind, [2, 5, 37], &[2, 5, 37], 1);
            check(kind, [1, 3, 1000], &[1000], 3);
        }
    }
}
