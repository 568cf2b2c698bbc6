//! Clipping by the global norm and AdamW's update, in place, on whichever device the tensors lie.

use candle_core::{CpuStorage, Device, InplaceOp3, Layout, Result, Tensor, bail};

use super::slices::values;

/// The factors of one step, with the bias of the young moments taken out.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// What weight decay leaves of a value.
    pub keep: f32,
    /// How far the first moment goes towards the gradient.
    pub towards_first: f32,
    /// What is kept of the second moment.
    pub keep_second: f32,
    /// How much of the gradient's square it takes.
    pub towards_second: f32,
    /// The learning rate over the first moment's bias.
    pub step_size: f32,
    /// The root of the second moment's bias.
    pub root_second: f32,
    /// Keeps an untouched second moment from dividing by zero.
    pub epsilon: f32,
}

/// Where the optimiser of tensors on `device` works: there, or on the CPU where it has no kernels for the device.
pub fn home(device: &Device) -> Device {
    if device.is_metal() { Device::Cpu } else { device.clone() }
}

/// The norm of all `gradients` (f32, on one device) together, and the factor that shortens them to `limit` where they
/// are longer: (2), f32, beside them. Where the norm is not finite the factor is NaN, and [`step`] changes nothing.
///
/// # Errors
/// When a gradient is not f32 or on another device.
pub fn clip(gradients: &[Tensor], limit: f64) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if gradients.first().is_some_and(super::cuda::takes) {
        return super::cuda::clip(gradients, limit);
    }
    let mut sum = 0.0;
    for gradient in gradients {
        super::slices::with_values(gradient, |values| {
            values.iter().for_each(|&g| sum += f64::from(g).powi(2));
            Ok(())
        })?;
    }
    let norm = sum.sqrt();
    let factor = if norm.is_finite() { (limit / (norm + 1e-6)).min(1.0) } else { f64::NAN };
    Tensor::new(&[norm as f32, factor as f32], &Device::Cpu)
}

/// Moves `value` and its `moments` (2, count) against `gradient` as shortened by `clip`, all contiguous f32.
///
/// # Errors
/// When sizes or devices differ.
pub fn step(value: &Tensor, moments: &Tensor, gradient: &Tensor, clip: &Tensor, rates: Rates) -> Result<()> {
    let count = value.elem_count();
    if moments.dims() != [2, count] || gradient.elem_count() != count || clip.dims() != [2] {
        bail!("step of {count} values with moments {:?} and gradient {:?}", moments.dims(), gradient.dims());
    }
    moments.inplace_op3(&gradient.contiguous()?, clip, &Moments(rates))?;
    value.inplace_op3(moments, clip, &Values(rates))
}

/// Running means of the gradient and of its square.
pub(crate) struct Moments(pub Rates);

impl InplaceOp3 for Moments {
    fn name(&self) -> &'static str {
        "adam-moments"
    }

    fn cpu_fwd(
        &self,
        moments: &mut CpuStorage,
        layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
        clip: &CpuStorage,
        clip_layout: &Layout,
    ) -> Result<()> {
        let (gradient, clip) = (values(gradient, gradient_layout)?, values(clip, clip_layout)?);
        let Self(rates) = self;
        let (first, second) = values_mut(moments, layout)?.split_at_mut(gradient.len());
        if clip[1].is_nan() {
            return Ok(());
        }
        for ((first, second), &g) in first.iter_mut().zip(second).zip(gradient) {
            let g = g * clip[1];
            *first += (g - *first) * rates.towards_first;
            *second = *second * rates.keep_second + g * g * rates.towards_second;
        }
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        moments: &mut candle_core::CudaStorage,
        layout: &Layout,
        gradient: &candle_core::CudaStorage,
        gradient_layout: &Layout,
        clip: &candle_core::CudaStorage,
        clip_layout: &Layout,
    ) -> Result<()> {
        let others = [(gradient, gradient_layout), (clip, clip_layout)];
        super::cuda::update_moments((moments, layout), others, &self.0)
    }
}

/// The trained values.
pub(crate) struct Values(pub Rates);

impl InplaceOp3 for Values {
    fn name(&self) -> &'static str {
        "adam-step"
    }

    fn cpu_fwd(
        &self,
        value: &mut CpuStorage,
        layout: &Layout,
        moments: &CpuStorage,
        moments_layout: &Layout,
        clip: &CpuStorage,
        clip_layout: &Layout,
    ) -> Result<()> {
        let (moments, clip) = (values(moments, moments_layout)?, values(clip, clip_layout)?);
        let Self(rates) = self;
        let value = values_mut(value, layout)?;
        let (first, second) = moments.split_at(value.len());
        if clip[1].is_nan() {
            return Ok(());
        }
        for (value, (first, second)) in value.iter_mut().zip(first.iter().zip(second)) {
            let root = second.sqrt() / rates.root_second + rates.epsilon;
            *value = *value * rates.keep - rates.step_size * *first / root;
        }
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        value: &mut candle_core::CudaStorage,
        layout: &Layout,
        moments: &candle_core::CudaStorage,
        moments_layout: &Layout,
        clip: &candle_core::CudaStorage,
        clip_layout: &Layout,
    ) -> Result<()> {
        let others = [(moments, moments_layout), (clip, clip_layout)];
        super::cuda::take_step((value, layout), others, &self.0)
    }
}

fn values_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&mut values[from..to]),
        _ => bail!("kernel got a tensor that is strided or not f32"),
    }
}
