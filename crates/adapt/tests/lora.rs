//! LoRAs of other makes: what they hold beside pairs of the blocks counts, and what does not fit is named.
#![allow(clippy::unwrap_used)] // tests

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use lora_edit_adapt::{Adapter, Lora};
use lora_edit_model::guidance::Expert;
use lora_edit_model::{Memory, Placement, Residency};

mod support;
use support::{Fixture, path, relative_error, values};

fn of(tensors: &[(&str, &[usize])]) -> Result<Vec<Lora>, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("foreign.safetensors");
    let ones = |shape: &[usize]| Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap();
    let tensors: HashMap<_, _> = tensors.iter().map(|&(key, shape)| (key.to_owned(), ones(shape))).collect();
    candle_core::safetensors::save(&tensors, &file).unwrap();
    Lora::load(&file).map_err(|error| error.to_string())
}

fn refusal(network: &str, tensors: &[(&str, &[usize])]) -> String {
    let model = &mut Fixture::read(network).model();
    of(tensors).unwrap()[0].add_to(model, 1.0).unwrap_err().to_string()
}

#[test]
fn what_does_not_fit_is_named() {
    let misfit = "adapter does not fit the base: ";
    for (key, shape, reason) in [
        ("blocks.0.norm3.diff", &[25][..], "blocks.0.norm3.weight is [25] in the adapter, [24] in the base"),
        ("blocks.2.self_attn.q.diff_b", &[24], "no layer blocks.2.self_attn.q.bias in it"),
        ("blocks.0.self_attn.norm_v.diff", &[24], "no layer blocks.0.self_attn.norm_v.weight in it"),
        ("head.diff_m", &[2, 24], "head.modulation is [2, 24] in the adapter, [1, 2, 24] in the base"),
        (
            "patch_embedding.diff",
            &[24, 16, 1, 2, 2],
            "patch_embedding.weight is [24, 64] in the adapter, [24, 144] in the base",
        ),
    ] {
        assert_eq!(refusal("peft_i2v_clip", &[(key, shape)]), format!("{misfit}{reason}"));
    }
    let pair: [(&str, &[usize]); 2] =
        [("head.head.lora_down.weight", &[2, 24]), ("head.head.lora_up.weight", &[60, 2])];
    let error = refusal("peft_i2v_clip", &pair);
    assert_eq!(error, format!("{misfit}head.head.weight is [60, 24] in the adapter, [64, 24] in the base"));

    let error = of(&pair[..1]).unwrap_err();
    assert!(error.ends_with("foreign.safetensors: half of the pair of head.head is missing"), "{error}");
    let error = of(&[("head.head.lora_B.bias", &[64]), ("head.head.diff", &[64, 24])]).unwrap_err();
    assert!(error.ends_with("half of the pair of head.head is missing"), "{error}");
    let error = of(&[("lora_te1_text_model.diff", &[3])]).unwrap_err();
    assert!(error.contains("no low-rank pair nor difference of a layer in it (but lora_te1"), "{error}");
    let error = of(&[("blocks.0.norm3.set_weight", &[24])]).unwrap_err();
    assert!(error.contains("a replaced weight is not supported (blocks.0.norm3.set_weight)"), "{error}");
}

/// As LyCORIS writes it.
#[test]
fn an_alpha_beside_a_difference_says_nothing() {
    let fixture = Fixture::read("peft_i2v");
    let out = |tensors: &[(&str, &[usize])]| {
        let mut model = fixture.model();
        assert!(of(tensors).unwrap()[0].add_to(&mut model, 0.5).unwrap().is_empty());
        values(&fixture.predict(&model))
    };
    let (bias, alpha): ((_, &[usize]), (_, &[usize])) =
        (("head.head.diff_b", &[64]), ("head.head.alpha", &[]));
    assert!(out(&[bias, alpha]) == out(&[bias]));
    assert!(out(&[bias]) != values(&fixture.predict(&fixture.model())));
}

/// LoRAs made for Wan 2.1's image-to-video are used with 2.2, whose networks take no CLIP image.
#[test]
fn layers_of_the_clip_image_are_left_out_where_there_are_none() {
    let mut model = Fixture::read("peft_i2v").model();
    let loras = Lora::load(&path("lora_distilled")).unwrap();
    let left_out = loras[0].add_to(&mut model, 1.0).unwrap();
    assert!(left_out.iter().any(|layer| layer == "img_emb.proj.3"), "{left_out:?}");
    assert!(left_out.iter().any(|layer| layer == "blocks.1.cross_attn.v_img"), "{left_out:?}");
    assert!(left_out.iter().all(|layer| layer.ends_with("_img") || layer.starts_with("img_emb")));
}

#[test]
fn the_bias_of_a_pair_is_scaled_with_it() {
    let fixture = Fixture::read("peft_i2v");
    let zeros = |rows, columns| Tensor::zeros((rows, columns), DType::F32, &Device::Cpu).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = |strength, more: Vec<(&str, Tensor)>| {
        let file = folder.path().join("lora.safetensors");
        let tensors: HashMap<_, _> = more.into_iter().map(|(key, t)| (key.to_owned(), t)).collect();
        candle_core::safetensors::save(&tensors, &file).unwrap();
        let mut model = fixture.model();
        Lora::load(&file).unwrap()[0].add_to(&mut model, strength).unwrap();
        fixture.predict(&model)
    };
    let bias = Tensor::new(vec![0.25f32; 24], &Device::Cpu).unwrap();
    let of_pair = out(
        0.5,
        vec![
            ("transformer.blocks.0.attn1.to_v.lora_A.weight", zeros(4, 24)),
            ("transformer.blocks.0.attn1.to_v.lora_B.weight", zeros(24, 4)),
            ("transformer.blocks.0.attn1.to_v.lora_B.bias", bias.clone()),
            ("transformer.blocks.0.attn1.to_v.alpha", Tensor::new(8f32, &Device::Cpu).unwrap()),
        ],
    );
    let alone = out(1.0, vec![("blocks.0.self_attn.v.diff_b", bias)]);
    assert!(relative_error(&of_pair, &alone) < 1e-6);
    assert!(relative_error(&of_pair, &fixture.predict(&fixture.model())) > 1e-3);
}

#[test]
fn streamed_blocks_take_them_too() {
    let fixture = Fixture::read("peft_i2v_clip");
    let lora = &Lora::load(&path("lora_differences")).unwrap()[0];
    let out = |residency| {
        let memory = Memory { residency, ..Memory::default() };
        let mut model = fixture.model_with(&Placement::default(), &memory);
        lora.add_to(&mut model, 0.5).unwrap();
        fixture.predict(&model)
    };
    let resident = out(Residency::Resident);
    assert!(relative_error(&resident, &fixture.predict(&fixture.model())) > 0.05);
    assert!(values(&out(Residency::Streamed)) == values(&resident), "not bit-equal");
}

#[test]
fn a_file_with_two_experts_gives_each_what_diffusers_gives_it() {
    let portable = Fixture::read("peft_i2v");
    let loras = Lora::load(&path("adapter_experts")).unwrap();
    let experts: Vec<_> = loras.iter().map(Lora::expert).collect();
    assert_eq!(experts, [Some(Expert::High), Some(Expert::Low)]);
    let mut outs = Vec::new();
    for (lora, expert) in loras.iter().zip([Expert::High, Expert::Low]) {
        let (mut ours, mut adapted) = (portable.model(), portable.model());
        lora.add_to(&mut ours, 1.0).unwrap();
        Adapter::load_expert(&path("adapter_experts"), expert).unwrap().attach(&mut adapted, 1.0).unwrap();
        outs.push(values(&portable.predict(&ours)));
        assert!(outs.last().unwrap() == &values(&portable.predict(&adapted)), "{expert:?}");
    }
    assert!(outs[0] != outs[1]);
}
