//! What is hung on the base for a generation: the shot's own adapter, and those of other makes beside it.

use std::path::{Path, PathBuf};

use lora_edit_adapt::Adapter;
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
    adapter: Adapter,
    strength: f64,
    /// The expert it is for; all of them without one.
    expert: Option<Expert>,
    path: PathBuf,
    /// Name of the base that it was trained on, where that is known.
    base: Option<String>,
}

impl Stack {
    /// Reads LoRAs of other makes. Of a model with two experts, one whose name says `high_noise` or `low_noise` is for
    /// that expert alone, as published ones are.
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
            let adapter = Adapter::load(path).map_err(|error| refused(error.to_string()))?;
            let expert = if has_experts { expert_of(lora) } else { None };
            Ok(Stacked { adapter, strength: lora.strength, expert, path: path.clone(), base: None })
        };
        // Read all the same, so that a broken one is told of at any strength.
        let stacked = loras.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Self(stacked.into_iter().filter(|stacked| stacked.strength != 0.0).collect()))
    }

    /// Puts the shot's own adapter, trained on `base`, before the others.
    ///
    /// # Errors
    /// When the file cannot be read, or says that it was trained on another base.
    pub fn add_own(&mut self, path: &Path, expert: Option<Expert>, base: &BaseRef) -> Result<(), JobError> {
        check_base(path, base)?;
        let (adapter, path, base) = (Adapter::load(path)?, path.to_path_buf(), Some(base.name.clone()));
        let own = Stacked { adapter, strength: 1.0, expert, path, base };
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
        let device = transformer.device().clone();
        for stacked in self.0.iter().filter(|stacked| stacked.is_for(expert)) {
            let named = |error| {
                let error = JobError::from(error);
                let base = stacked.base.as_ref().map(|base| format!(" (base '{base}')")).unwrap_or_default();
                JobError::new(error.kind, format!("{}: {error}{base}", stacked.path.display()))
            };
            let adapter = stacked.adapter.to_device(&device).map_err(named)?;
            adapter.attach(transformer, stacked.strength).map_err(named)?;
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
