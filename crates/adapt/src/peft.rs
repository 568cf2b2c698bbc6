//! How strong the pairs of peft's and diffusers' files are, which say it outside the tensors.

use std::path::Path;

use lora_edit_model::guidance::Expert;
use serde_json::{Map, Value};

use crate::container::Metadata;

/// The configuration that peft writes beside its file of weights.
const CONFIG_FILE: &str = "adapter_config.json";
/// The key under which diffusers keeps the same in the file's metadata, for each network by its name.
const METADATA_KEY: &str = "lora_adapter_metadata";

/// What decides the alpha of layers without one of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Scales {
    alpha: Option<f64>,
    /// Pairs scaled by alpha over the root of the rank (rsLoRA, arXiv 2312.03732).
    rank_stabilised: bool,
}

impl Scales {
    /// Such that `alpha / rank` is the pair's scale; the rank itself where nothing is said.
    pub fn alpha(self, rank: usize) -> f64 {
        let root = if self.rank_stabilised { (rank as f64).sqrt() } else { 1.0 };
        self.alpha.map_or(rank as f64, |alpha| alpha * root)
    }
}

/// What the file's metadata says of the network, or, for a file of peft's own (`of_peft`), the configuration beside it.
pub(crate) fn scales(
    path: &Path,
    metadata: &Metadata,
    expert: Expert,
    of_peft: bool,
) -> Result<Scales, String> {
    let prefix = match expert {
        Expert::High => "transformer.",
        Expert::Low => "transformer_2.",
    };
    if let Some(text) = metadata.get(METADATA_KEY) {
        return parse(text, prefix).map_err(|reason| format!("{METADATA_KEY}: {reason}"));
    }
    let beside = path.with_file_name(CONFIG_FILE);
    if !of_peft || !beside.is_file() {
        return Ok(Scales::default());
    }
    let text = std::fs::read_to_string(&beside).map_err(|error| format!("{}: {error}", beside.display()))?;
    parse(&text, "").map_err(|reason| format!("{}: {reason}", beside.display()))
}

fn parse(text: &str, prefix: &str) -> Result<Scales, String> {
    let config: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let value = |key: &str| config.get(&format!("{prefix}{key}"));
    let is_set = |key: &str| value(key).and_then(Value::as_bool).unwrap_or_default();
    let has_pattern = |key: &str| value(key).and_then(Value::as_object).is_some_and(|map| !map.is_empty());
    if is_set("use_dora") {
        return Err("DoRA is not supported".into());
    }
    if has_pattern("alpha_pattern") {
        return Err("an alpha per layer in the configuration is not supported".into());
    }
    Ok(Scales { alpha: value("lora_alpha").and_then(Value::as_f64), rank_stabilised: is_set("use_rslora") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_network_has_its_own_scale() {
        let text = r#"{"transformer.lora_alpha": 6, "transformer_2.lora_alpha": 2.0, "transformer_2.use_rslora": true}"#;
        let metadata = Metadata::from([(METADATA_KEY.to_owned(), text.to_owned())]);
        let alpha = |expert| scales(Path::new("file"), &metadata, expert, false).unwrap().alpha(16);
        assert_eq!(alpha(Expert::High), 6.0);
        assert_eq!(alpha(Expert::Low), 8.0);
    }

    #[test]
    fn without_a_word_the_scale_is_one() {
        assert_eq!(scales(Path::new("file"), &Metadata::new(), Expert::High, true).unwrap().alpha(5), 5.0);
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        assert!(parse(r#"{"use_dora": true}"#, "").unwrap_err().contains("DoRA"));
        assert!(parse(r#"{"alpha_pattern": {"to_q": 3}}"#, "").unwrap_err().contains("per layer"));
        assert!(parse("no JSON", "").is_err());
    }
}
