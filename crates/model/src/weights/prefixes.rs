//! What repackaged checkpoints put before the names of a network's tensors.

/// ComfyUI's prefixes, in single files and in those that hold several networks. None begins another's names.
const PREFIXES: [&str; 10] = [
    "model.diffusion_model.",
    "diffusion_model.",
    "first_stage_model.",
    "vae.",
    "text_encoders.umt5xxl.transformer.",
    "text_encoders.umt5xxl.",
    "conditioner.embedders.0.transformer.",
    "conditioner.embedders.0.",
    "cond_stage_model.transformer.",
    "cond_stage_model.",
];

/// Prefixes that could be part of a name: dropped only where every tensor has them.
const COMMON: [&str; 3] = ["model.", "module.", "net."];

/// How the names of one file or folder lose their prefixes.
pub(super) struct Plain {
    common: &'static str,
}

impl Plain {
    /// Looks at all names.
    pub fn of<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Self {
        let on_all =
            |common: &&&str| names.clone().next().is_some() && names.clone().all(|n| n.starts_with(**common));
        let known = |name: &str| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let common = COMMON.iter().find(on_all).filter(|_| !names.clone().any(known));
        Self { common: common.copied().unwrap_or_default() }
    }

    /// The name without its prefix.
    pub fn name<'a>(&self, stored: &'a str) -> &'a str {
        let stripped = PREFIXES.iter().find_map(|prefix| stored.strip_prefix(prefix));
        stripped.or_else(|| stored.strip_prefix(self.common)).unwrap_or(stored)
    }
}
