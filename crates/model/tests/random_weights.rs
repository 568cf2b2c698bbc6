//! Made-up weights: of the seed and the name alone, and of a size that keeps a network's numbers finite.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor};
use lora_edit_model::flow::noise;
use lora_edit_model::{TransformerConfig, WanTransformer, Weights};

fn values(weights: &Weights, name: &str) -> Vec<f32> {
    weights.tensor(name, &[64, 100]).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn values_follow_from_seed_and_name() {
    let first = values(&Weights::random(1), "a.weight");
    let weights = Weights::random(1);
    assert_ne!(first, values(&weights, "b.weight"));
    assert_eq!(first, values(&weights, "a.weight"), "another tensor was asked for before");
    assert_ne!(first, values(&Weights::random(2), "a.weight"));
    // 100 inputs: a deviation of 1 / 10.
    let square = first.iter().map(|v| v * v).sum::<f32>() / first.len() as f32;
    assert!((square - 0.01).abs() < 0.001, "{square}");
}

#[test]
fn a_network_of_them_runs() {
    let config = TransformerConfig {
        num_attention_heads: 2,
        attention_head_dim: 12,
        text_dim: 8,
        freq_dim: 16,
        ffn_dim: 40,
        num_layers: 2,
        ..TransformerConfig::default()
    };
    let model = WanTransformer::load(&Weights::random(1), config).unwrap();
    let (x, t) = (noise(1, (1, 36, 2, 4, 4)).unwrap(), Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap());
    let y = model.forward(&x, &t, &noise(2, (1, 3, 8)).unwrap(), None).unwrap();
    assert_eq!(y.dims(), [1, 16, 2, 4, 4]);
    let size = y.sqr().unwrap().mean_all().unwrap().to_scalar::<f32>().unwrap();
    assert!(size.is_finite() && size > 0.0, "{size}");
}
