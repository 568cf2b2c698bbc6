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
            let loras = Lora::load(path).map_err(|error| refused(error.to_string()))?;
            let meant = if has_experts { expert_of(lora) } else { None };
            let is_used = |lora: &Lora| match lora.expert() {
                Some(own) if has_experts => meant.is_none_or(|meant| meant == own),
                own => own != Some(Expert::Low),
            };
            let (used, others): (Vec<_>, Vec<_>) = loras.into_iter().partition(is_used);
            if used.is_empty() {
                return Err(refused(format!("{}: nothing in it is for this network", path.display())));
            }
            if !others.is_empty() {
                log::warn!("{}: what is for the other expert is left out", path.display());
            }
            let stacked = |one: Lora| {
                let expert = meant.or(one.expert().filter(|_| has_experts));
                Stacked { lora: one, strength: lora.strength, expert, path: path.clone(), base: None }
            };
            Ok(used.into_iter().map(stacked).collect::<Vec<_>>())
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

#[cfg(test)]
#[allow(clippy::unwrap_used)] // tests
mod tests {
    use std::collections::HashMap;

    use candle_core::{DType, Device, Tensor};
    use lora_edit_model::{TransformerConfig, Weights};

    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../adapt/tests/fixtures/{name}.safetensors"))
    }

    fn stack(file: &Path, has_experts: bool) -> Result<Stack, JobError> {
        Stack::read(&[StackedLora::read(file.to_str().unwrap()).unwrap()], has_experts)
    }

    /// The network of `peft_i2v.safetensors`.
    fn transformer() -> WanTransformer {
        let tensors = candle_core::safetensors::load(fixture("peft_i2v"), &Device::Cpu).unwrap();
        let own = |(name, tensor): (String, Tensor)| Some((name.strip_prefix("model.")?.to_owned(), tensor));
        let config: TransformerConfig = serde_json::from_value(serde_json::json!({
            "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": 36, "out_channels": 16, "text_dim": 8,
            "freq_dim": 16, "ffn_dim": 40, "num_layers": 2, "image_dim": null, "added_kv_proj_dim": null,
        }))
        .unwrap();
        let weights = Weights::from_tensors(tensors.into_iter().filter_map(own).collect());
        WanTransformer::load(&weights, config).unwrap()
    }

    #[test]
    fn each_expert_gets_what_the_file_holds_for_it() {
        let experts = |file: &Path, has_experts| -> Vec<_> {
            stack(file, has_experts).unwrap().0.iter().map(|one| (one.expert, one.lora.expert())).collect()
        };
        let (high, low) = (Some(Expert::High), Some(Expert::Low));
        let both = fixture("adapter_experts");
        assert_eq!(experts(&both, true), [(high, high), (low, low)]);
        assert_eq!(experts(&both, false), [(None, high)]);
        assert_eq!(experts(&fixture("adapter_native"), true), [(None, None)]);

        let folder = tempfile::tempdir().unwrap();
        let named = |name: &str, of: &str| {
            let file = folder.path().join(name);
            std::fs::copy(fixture(of), &file).unwrap();
            file
        };
        assert_eq!(experts(&named("low_noise.safetensors", "adapter_experts"), true), [(low, low)]);
        assert_eq!(experts(&named("a-LowNoise.safetensors", "adapter_native"), true), [(low, None)]);
    }

    #[test]
    fn what_is_for_the_other_expert_alone_is_refused_for_one_network() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("second.safetensors");
        let bias = Tensor::zeros(24, DType::F32, &Device::Cpu).unwrap();
        let tensors = HashMap::from([("transformer_2.blocks.0.attn1.to_q.diff_b", bias)]);
        candle_core::safetensors::save(&tensors, &file).unwrap();
        assert_eq!(stack(&file, true).unwrap().0[0].expert, Some(Expert::Low));
        let error = stack(&file, false).unwrap_err().to_string();
        assert!(error.ends_with("second.safetensors: nothing in it is for this network"), "{error}");
    }

    #[test]
    fn what_a_lora_changes_outside_the_blocks_is_folded_in_and_a_misfit_names_file_and_tensor() {
        let mut transformer = transformer();
        let head = |transformer: &mut WanTransformer| {
            let lora_edit_model::Frozen::Small(bias) = transformer.frozen("head.head.bias").unwrap() else {
                panic!("a bias is small");
            };
            bias.to_vec1::<f32>().unwrap()
        };
        let before = head(&mut transformer);
        let file = fixture("lora_distilled");
        stack(&file, false).unwrap().fold_into(&mut transformer, None).unwrap();
        let added = candle_core::safetensors::load(&file, &Device::Cpu).unwrap();
        let added = added["diffusion_model.head.head.diff_b"].to_dtype(DType::F32).unwrap();
        let expected: Vec<f32> =
            before.iter().zip(added.to_vec1::<f32>().unwrap()).map(|(a, b)| a + b).collect();
        assert_eq!(head(&mut transformer), expected);
        assert!(transformer.linears().iter().all(|(_, linear)| linear.low_rank.is_empty()));

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wider.safetensors");
        let gain = Tensor::zeros(32, DType::F32, &Device::Cpu).unwrap();
        candle_core::safetensors::save(&HashMap::from([("blocks.1.norm3.diff", gain)]), &file).unwrap();
        let error = stack(&file, false).unwrap().fold_into(&mut transformer, None).unwrap_err();
        assert_eq!(error.kind, FailureKind::Missing);
        let error = error.to_string();
        let expected = "wider.safetensors: adapter does not fit the base: blocks.1.norm3.weight is [32] in the \
                        adapter, [24] in the base";
        assert!(error.ends_with(expected), "{error}");
    }
}
