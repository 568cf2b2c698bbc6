//! The kernels' source, compiled by NVRTC when a device first needs it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

use candle_core::Result;
use candle_core::cuda::cudarc::driver::CudaFunction;
use candle_core::cuda::cudarc::nvrtc::{CompileError, CompileOptions, compile_ptx_with_opts};
use candle_core::cuda::{CudaDevice, WrapErr};

const SOURCE: &str = include_str!("source.cu");
/// The least architecture whose tensor cores take bf16; code for it runs on all later ones.
const LEAST: (i32, i32) = (8, 0);

/// The assembly for each architecture, once per process.
static COMPILED: Mutex<Option<HashMap<(i32, i32), String>>> = Mutex::new(None);

/// A kernel of `source.cu`, loaded onto `device`.
pub(crate) fn function(device: &CudaDevice, name: &str) -> Result<CudaFunction> {
    let architecture = device.cuda_stream().context().compute_capability().w()?;
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let compiled = compiled.get_or_insert_default();
    let assembly = match compiled.entry(architecture) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(place) => place.insert(for_device(architecture).w()?),
    };
    Ok(device.get_or_load_custom_func(name, "lora_edit", assembly)?.into_cuda_function())
}

/// For this very architecture, or for [`LEAST`] where the compiler does not know it yet: the driver finishes either.
fn for_device(architecture: (i32, i32)) -> std::result::Result<String, CompileError> {
    compile(architecture).or_else(|_| compile(LEAST))
}

fn compile((major, minor): (i32, i32)) -> std::result::Result<String, CompileError> {
    let architecture = format!("--gpu-architecture=compute_{major}{minor}");
    let options = vec![architecture, "--std=c++17".into()];
    let options = CompileOptions { options, name: Some("lora_edit.cu".into()), ..Default::default() };
    Ok(compile_ptx_with_opts(SOURCE, options)?.to_src())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs libnvrtc of the CUDA toolkit, and no GPU.
    #[test]
    fn the_source_compiles_for_ampere_and_hopper() {
        for architecture in [(8, 0), (9, 0)] {
            let assembly = compile(architecture).unwrap();
            let (major, minor) = architecture;
            assert!(assembly.contains(&format!(".target sm_{major}{minor}")));
            for kernel in ["layer_norm_bf16", "softmax_gradient_f32", "unroll_bf16", "fold", "adam_step"] {
                assert!(assembly.contains(&format!(".entry {kernel}(")), "no kernel {kernel}");
            }
        }
    }

    #[test]
    fn an_architecture_that_is_not_known_yet_falls_back() {
        assert!(for_device((99, 9)).unwrap().contains(".target sm_80"));
    }
}
