//! Which device networks are computed on.

use std::fmt;
use std::str::FromStr;

use candle_core::{DType, Device};

use crate::weights::Placement;

/// What the user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceWish {
    /// The first NVIDIA GPU if this program can use one, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The NVIDIA GPU of this number, from 0, as CUDA counts them.
    Cuda(usize),
    /// The Apple GPU.
    Metal,
}

impl FromStr for DeviceWish {
    type Err = String;

    /// `auto`, `cpu`, `cuda`, `cuda:N` or `metal`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "metal" => Ok(Self::Metal),
            _ => {
                let number = text.strip_prefix("cuda:").and_then(|number| number.parse().ok());
                number
                    .map(Self::Cuda)
                    .ok_or_else(|| format!("'{text}' is not auto, cpu, cuda, cuda:N or metal"))
            }
        }
    }
}

impl fmt::Display for DeviceWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

/// A device that was asked for and cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("device {wish}: {reason}")]
pub struct DeviceError {
    wish: DeviceWish,
    reason: String,
}

/// The device for `wish`, ready to be worked with.
///
/// [`DeviceWish::Auto`] always finds one, and logs why it is the CPU.
///
/// # Errors
/// When a device asked for by name is not there, or this program was built without what it needs.
pub fn choose(wish: DeviceWish) -> Result<Device, DeviceError> {
    let failed = |reason| DeviceError { wish, reason };
    match wish {
        DeviceWish::Cpu => Ok(Device::Cpu),
        DeviceWish::Cuda(number) => cuda(number).map_err(failed),
        DeviceWish::Metal => metal().map_err(failed),
        DeviceWish::Auto => Ok(cuda(0).unwrap_or_else(|reason| {
            log::info!("working on the CPU: {reason}");
            Device::Cpu
        })),
    }
}

#[cfg(feature = "cuda")]
fn cuda(number: usize) -> Result<Device, String> {
    let looked_for = |error: candle_core::Error| {
        let error = error.to_string();
        let cause = error.lines().next().unwrap_or_default();
        format!("no usable NVIDIA GPU number {number} (driver 580 or later, compute capability 8.0): {cause}")
    };
    crate::kernels::cuda::open(number).map_err(looked_for)
}

#[cfg(not(feature = "cuda"))]
fn cuda(_: usize) -> Result<Device, String> {
    Err("this program was built without CUDA".into())
}

#[cfg(feature = "metal")]
fn metal() -> Result<Device, String> {
    Device::new_metal(0).map_err(|error| error.to_string())
}

#[cfg(not(feature = "metal"))]
fn metal() -> Result<Device, String> {
    Err("this program was built without Metal".into())
}

impl Placement {
    /// Where the transformer goes on `device`: bf16 on NVIDIA GPUs, f32 elsewhere.
    pub fn of_transformer(device: &Device) -> Self {
        let dtype = if device.is_cuda() { DType::BF16 } else { DType::F32 };
        Self { device: device.clone(), dtype }
    }

    /// Where the video autoencoder goes beside a transformer on `device`: f32, as in the published code; on the CPU where
    /// its convolutions have no kernel for the device.
    pub fn of_vae(device: &Device) -> Self {
        let device = if device.is_metal() { Device::Cpu } else { device.clone() };
        Self { device, dtype: DType::F32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read_as_they_are_written() {
        for wish in [DeviceWish::Auto, DeviceWish::Cpu, DeviceWish::Cuda(3), DeviceWish::Metal] {
            assert_eq!(wish.to_string().parse(), Ok(wish));
        }
        assert_eq!("cuda".parse(), Ok(DeviceWish::Cuda(0)));
        for wrong in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "CPU"] {
            assert!(wrong.parse::<DeviceWish>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_device_that_is_not_there_is_named_and_auto_finds_another() {
        let error = choose(DeviceWish::Cuda(4096)).unwrap_err().to_string();
        assert!(error.starts_with("device cuda:4096: "), "{error}");
        assert!(choose(DeviceWish::Auto).is_ok() && choose(DeviceWish::Cpu).is_ok_and(|d| d.is_cpu()));
    }
}
