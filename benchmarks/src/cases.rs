//! The cases and their sizes, which stand in `cases.json`, and those of a GPU in `gpu.json`, for both sides.

use anyhow::{Context, Result};
use candle_core::Device;
use serde::Deserialize;

use crate::kernels::Kernel;
use crate::networks::Network;

/// One timed call.
pub type Run = Box<dyn FnMut() -> Result<()>>;

type Build = Box<dyn Fn(&Device) -> Result<Run>>;

/// A row of the table: how to build what it runs on a device.
pub struct Case {
    pub name: String,
    build: Build,
}

impl Case {
    pub fn new(name: String, build: impl Fn(&Device) -> Result<Run> + 'static) -> Self {
        Self { name, build: Box::new(build) }
    }

    /// The case `name` on `device`; a call of it returns when the device is done.
    pub fn build(cases: &[Self], name: &str, device: &Device) -> Result<Run> {
        let case = cases.iter().find(|case| case.name == name);
        let mut run = (case.with_context(|| format!("no case {name}"))?.build)(device)?;
        let device = device.clone();
        Ok(Box::new(move || {
            run()?;
            Ok(device.synchronize()?)
        }))
    }
}

/// The content of `cases.json` or `gpu.json`.
#[derive(Deserialize)]
pub struct Sizes {
    networks: Vec<Network>,
    kernels: Vec<Kernel>,
}

impl Sizes {
    pub fn read(json: &str) -> Result<Self> {
        Ok(serde_json::from_str(json)?)
    }

    /// Every case, kernels first: they take seconds, the networks minutes.
    pub fn cases(self) -> Vec<Case> {
        let kernels = self.kernels.into_iter().flat_map(Kernel::cases);
        kernels.chain(self.networks.into_iter().flat_map(Network::cases)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_committed_cases_are_read_and_have_names_of_their_own() {
        let cases = Sizes::read(include_str!("../cases.json")).unwrap().cases();
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), cases.len());
        for name in [
            "kernel/conv3d-96x96-k3/forward",
            "kernel/attention-nano/forward-backward",
            "nano/transformer-forward",
            "100m/lora-train-step",
            "1.3b-4-blocks/vae-decode",
        ] {
            assert!(names.contains(name), "{name} is not among {names:?}");
        }
    }

    #[test]
    fn those_of_a_gpu_are_read_too() {
        let cases = Sizes::read(include_str!("../gpu.json")).unwrap().cases();
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), cases.len());
        assert!(names.contains("14b/lora-train-step-recomputed"), "{names:?}");
    }
}
