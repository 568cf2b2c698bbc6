//! The cases and their sizes, which stand in `cases.json` for both sides.

use anyhow::Result;
use serde::Deserialize;

use crate::kernels::Kernel;
use crate::networks::Network;

/// One timed call.
pub type Run = Box<dyn FnMut() -> Result<()>>;

/// A row of the table: how to build what it runs.
pub struct Case {
    pub name: String,
    pub build: Box<dyn Fn() -> Result<Run>>,
}

impl Case {
    pub fn new(name: String, build: impl Fn() -> Result<Run> + 'static) -> Self {
        Self { name, build: Box::new(build) }
    }
}

/// The content of `cases.json`.
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
}
