//! See [`crate::kernels::adam`].

use candle_core::{CudaStorage, Layout, Result, Shape, Storage, Tensor, bail};

use super::super::adam as calls;
use super::super::call::Type;
use super::super::stream::Stream;
use super::{Operand, computed, values};
use crate::kernels::adam::Rates;

pub(crate) fn clip(gradients: &[Tensor], limit: f64) -> Result<Tensor> {
    let mut whole = Vec::with_capacity(gradients.len());
    for gradient in gradients {
        whole.push(gradient.contiguous()?);
    }
    let guards: Vec<_> = whole.iter().map(Tensor::storage_and_layout).collect();
    let mut all = Vec::with_capacity(gradients.len());
    for (storage, layout) in &guards {
        let Storage::Cuda(storage) = &**storage else { bail!("a gradient is not on the GPU") };
        let gradient = values((storage, layout))?;
        if gradient.of != Type::F32 {
            bail!("a gradient is not f32");
        }
        all.push((gradient, layout.shape().elem_count()));
    }
    let Some(first) = whole.first() else { bail!("no gradients") };
    let [clip] = computed([first], [(&Shape::from(2), Type::F32)], |gpu, _, [clip]| {
        calls::clip(gpu, &all, clip, limit as f32)
    })?;
    Ok(clip)
}

pub(crate) fn update_moments(
    moments: (&mut CudaStorage, &Layout),
    [gradient, clip]: [Operand<'_>; 2],
    rates: &Rates,
) -> Result<()> {
    let count = gradient.1.shape().elem_count();
    let (gpu, moments) = (Stream(&gradient.0.device), values((moments.0, moments.1))?);
    let (gradient, clip) = (values(gradient)?, values(clip)?);
    all_f32([moments, gradient, clip])?;
    calls::update_moments(&gpu, count, moments, gradient, clip, rates)
}

pub(crate) fn take_step(
    value: (&mut CudaStorage, &Layout),
    [moments, clip]: [Operand<'_>; 2],
    rates: &Rates,
) -> Result<()> {
    let count = value.1.shape().elem_count();
    let (gpu, value) = (Stream(&moments.0.device), values((value.0, value.1))?);
    let (moments, clip) = (values(moments)?, values(clip)?);
    all_f32([value, moments, clip])?;
    calls::step(&gpu, count, value, moments, clip, rates)
}

fn all_f32(operands: [super::super::call::Values; 3]) -> Result<()> {
    if operands.iter().any(|operand| operand.of != Type::F32) {
        bail!("the optimiser works on f32");
    }
    Ok(())
}
