//! What is hung on the base for a generation: the shot's own adapter, and those of other makes beside it.

use std::path::{Path, PathBuf};

use lora_edit_adapt::{Adapter, Lora};
use lora_edit_model::WanTransformer;
use lora_edit_model::guidance::Expert;
use lora_edit_shot::job::{BaseRef, FailureKind, NoiseExpert, StackedLora};

use crate::adapter_files::check_base;
use crate::failure::JobError;

/// Adapters with their strengths, in the order they are added.
#[derive(Debug, Default)]
pub struct Stack(Vec<Stacked>);

#[derive(Debug)]
struct Stacked {
    lora: Lora,
    strength: f64,
    /// The expert it is for; all of them without one.
    expert: Option<Expert>,
    path: PathBuf,
    /// Name of the base that it was trained on, where that is known.
    base: Option<String>,
}

impl Stack {
    /// Reads LoRAs of other makes. Of a model with two experts, a file whose name says `high_noise` or `low_noise` is for
    /// that expert alone, as published ones are; one that tells the two apart within has for each what is its own.
    ///
    /// # Errors
    /// When a file cannot be read, is no LoRA, or is not the one the job was made for.
    pub fn read(loras: &[StackedLora], has_experts: bool) -> Result<Self, JobError> {
        let read = |lora: &StackedLora| {
            let path = &lora.path;
            let refused = |reason: String| JobError::new(FailureKind::Missing, format!("LoRA {reason}"));
            if !lora.is_unchanged().map_err(|error| refused(error.to_string()))? {
                return Err(refused(format!("{}: not the file this job was made for", path.display())));
            }
            let read = Lora::load(path).map_err(|error| refused(error.to_string()))?;
            let meant = if has_experts { expert_of(lora) } else { None };
            let stacked = |read: Lora| {
                let expert = meant.or(read.expert().filter(|_| has_experts));
                Stacked { lora: read, strength: lora.strength, expert, path: path.clone(), base: None }
            };
            let fits = |read: &Lora| match read.expert() {
                Some(expert) if has_experts => meant.is_none_or(|meant| meant == expert),
                of_one => of_one != Some(Expert::Low),
            };
            let (fitting, others): (Vec<_>, Vec<_>) = read.into_iter().partition(fits);
            if fitting.is_empty() {
                return Err(refused(format!("{}: nothing in it is for this network", path.display())));
            }
            if !others.is_empty() {
                log::warn!("{}: what is for the other expert is left out", path.display());
            }
            Ok(fitting.into_iter().map(stacked).collect::<Vec<_>>())
        };
        // Read all the same, so that a broken one is told of at any strength.
        let stacked = loras.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Self(stacked.into_iter().flatten().filter(|stacked| stacked.strength != 0.0).collect()))
    }

    /// Puts the shot's own adapter, trained on `base`, before the others.
    ///
    /// # Errors
    /// When the file cannot be read, or says that it was trained on another base.
    pub fn add_own(&mut self, path: &Path, expert: Option<Expert>, base: &BaseRef) -> Result<(), JobError> {
        check_base(path, base)?;
        let (lora, path, base) = (Adapter::load(path)?.into(), path.to_path_buf(), Some(base.name.clone()));
        let own = Stacked { lora, strength: 1.0, expert, path, base };
        self.0.insert(0, own);
        Ok(())
    }

    /// Adds what is for `expert` into the transformer's weights, or beside those that stay in their file.
    ///
    /// # Errors
    /// When one does not fit the transformer; names its file.
    pub fn fold_into(
        &self,
        transformer: &mut WanTransformer,
        expert: Option<Expert>,
    ) -> Result<(), JobError> {
        for stacked in self.0.iter().filter(|stacked| stacked.is_for(expert)) {
            let named = |error| {
                let error = JobError::from(error);
                let base = stacked.base.as_ref().map(|base| format!(" (base '{base}')")).unwrap_or_default();
                JobError::new(error.kind, format!("{}: {error}{base}", stacked.path.display()))
            };
            let left_out = stacked.lora.add_to(transformer, stacked.strength).map_err(named)?;
            if let Some(first) = left_out.first() {
                let (path, count) = (stacked.path.display(), left_out.len());
                log::warn!("{path}: the base takes no CLIP image: {count} layers left out, such as {first}");
            }
        }
        for (_, linear) in transformer.linears_mut() {
            *linear = linear.merged()?;
        }
        Ok(())
    }
}

impl Stacked {
    fn is_for(&self, expert: Option<Expert>) -> bool {
        self.expert.is_none() || self.expert == expert
    }
}

fn expert_of(lora: &StackedLora) -> Option<Expert> {
    lora.expert.map(|expert| match expert {
        NoiseExpert::High => Expert::High,
        NoiseExpert::Low => Expert::Low,
    })
}
