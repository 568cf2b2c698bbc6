//! The kernels and networks on an NVIDIA GPU against the reference on the CPU.
//!
//! `cargo test -p lora-edit-model --features cuda --test cuda -- --ignored`
#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used)] // a test may panic

use candle_core::{DType, Device, Result, Tensor, Var};
use lora_edit_model::device::{DeviceWish, choose};
use lora_edit_model::flow::NoiseStream;
use lora_edit_model::kernels::conv::{Conv, Geometry};
use lora_edit_model::kernels::upload::Upload;
use lora_edit_model::kernels::{self, adam, reference};
use lora_edit_model::rope::RopeTable;
use lora_edit_model::{Linear, LowRank, Placement, WanTransformer, WanVae};

mod support;
use support::{Fixture, assert_close};

const TYPES: [(DType, f64); 2] = [(DType::F32, 1e-4), (DType::BF16, 2e-2)];

fn gpu() -> Device {
    choose(DeviceWish::Cuda(0)).unwrap()
}

fn on_cpu(t: &Tensor) -> Tensor {
    t.to_dtype(DType::F32).unwrap().to_device(&Device::Cpu).unwrap()
}

/// The value of `f` and every operand's gradient, the value weighted so that each part counts differently.
fn run(
    operands: &[Tensor],
    weight: &Tensor,
    f: &dyn Fn(&[Tensor]) -> Result<Tensor>,
) -> (Tensor, Vec<Tensor>) {
    let vars: Vec<Var> = operands.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
    let tracked: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let value = f(&tracked).unwrap();
    let weighted = value.to_dtype(DType::F32).unwrap() * weight;
    let gradients = weighted.unwrap().sum_all().unwrap().backward().unwrap();
    (on_cpu(&value), vars.iter().map(|var| on_cpu(gradients.get(var).unwrap())).collect())
}

/// Compares values and gradients for operands of `shapes`, the first `typed` of which are of the type under test and
/// the others, gains and the like, f32.
fn check(
    what: &str,
    (shapes, typed): (&[&[usize]], usize),
    ours: &dyn Fn(&[Tensor]) -> Result<Tensor>,
    reference: &dyn Fn(&[Tensor]) -> Result<Tensor>,
) {
    let gpu = gpu();
    for (dtype, limit) in TYPES {
        let mut random = NoiseStream::new(17);
        let of_type = |i: usize, t: Tensor| if i < typed { t.to_dtype(dtype).unwrap() } else { t };
        let operands: Vec<Tensor> =
            shapes.iter().enumerate().map(|(i, shape)| of_type(i, random.normal(*shape).unwrap())).collect();
        let rounded: Vec<Tensor> = operands.iter().map(on_cpu).collect();
        let weight = random.normal(reference(&rounded).unwrap().shape()).unwrap();
        let there: Vec<Tensor> = operands.iter().map(|t| t.to_device(&gpu).unwrap()).collect();
        let (expected, expected_gradients) = run(&rounded, &weight, reference);
        let (value, gradients) = run(&there, &weight.to_device(&gpu).unwrap(), ours);
        assert_close(&format!("{what} {dtype:?}"), &value, &expected, limit);
        for (i, (gradient, expected)) in gradients.iter().zip(&expected_gradients).enumerate() {
            assert_close(&format!("{what} {dtype:?}, gradient {i}"), gradient, expected, limit);
        }
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn norms_equal_the_reference() {
    for gain in [&[37][..], &[2, 1, 37], &[2, 5, 37]] {
        check(
            "layer norm",
            (&[&[2, 5, 37], gain, gain], 1),
            &|t| kernels::layer_norm(&t[0], &t[1], &t[2], 1e-6),
            &|t| reference::layer_norm(&t[0], &t[1], &t[2], 1e-6),
        );
    }
    check("RMS norm", (&[&[2, 300, 1001], &[1001]], 1), &|t| kernels::rms_norm(&t[0], &t[1], 1e-6), &|t| {
        reference::rms_norm(&t[0], &t[1], 1e-6)
    });
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn pointwise_operations_equal_the_reference() {
    let gelu = |t: &[Tensor]| kernels::gelu_tanh(&t[0]);
    check("gelu", (&[&[3, 7, 1001]], 1), &gelu, &|t| reference::gelu_tanh(&t[0]));
    for gate in [&[37][..], &[2, 1, 37], &[2, 5, 37]] {
        check(
            "gated sum",
            (&[&[2, 5, 37], &[2, 5, 37], gate], 2),
            &|t| kernels::gated_add(&t[0], &t[1], &t[2]),
            &|t| reference::gated_add(&t[0], &t[1], &t[2]),
        );
    }
    let (table, there) = (RopeTable::new([2, 3, 4], 12).unwrap(), RopeTable::new([2, 3, 4], 12).unwrap());
    let there = there.to_device(&gpu()).unwrap();
    let rope = |t: &[Tensor]| kernels::rope(&t[0], &there);
    check("rope", (&[&[2, 24, 3, 12]], 1), &rope, &|t| reference::rope(&t[0], &table));
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn attention_equals_the_reference() {
    for (q, k) in
        [([2, 130, 3, 4], [2, 37, 3, 4]), ([1, 700, 2, 64], [1, 515, 2, 64]), ([3, 1, 1, 6], [3, 9, 1, 6])]
    {
        check("attention", (&[&q, &k, &k], 3), &|t| kernels::attention(&t[0], &t[1], &t[2]), &|t| {
            reference::attention(&t[0], &t[1], &t[2])
        });
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn linear_layers_equal_the_cpus_and_their_base_gets_no_gradient() {
    let layer = |t: &[Tensor]| {
        let mut layer = Linear::new(t[1].detach(), Some(t[2].detach()))?;
        layer.low_rank.push(LowRank { a: t[3].clone(), b: t[4].clone(), scale: 0.5 });
        layer.forward(&t[0])
    };
    for (dtype, limit) in TYPES {
        let mut random = NoiseStream::new(5);
        let mut next = |shape: &[usize], dtype| random.normal(shape).unwrap().to_dtype(dtype).unwrap();
        let base = [next(&[2, 13, 33], dtype), next(&[21, 33], dtype), next(&[21], dtype)];
        let pair = [next(&[3, 33], DType::F32), next(&[21, 3], DType::F32)];
        let weight = next(&[2, 13, 21], DType::F32);
        let gradients = |device: &Device, types: bool| {
            let place = |t: &Tensor| {
                let t = if types { t.clone() } else { t.to_dtype(DType::F32).unwrap() };
                t.to_device(device).unwrap()
            };
            let x = Var::from_tensor(&place(&base[0])).unwrap();
            let [a, b] = pair.each_ref().map(|t| Var::from_tensor(&place(t)).unwrap());
            let operands = [x.as_tensor(), &place(&base[1]), &place(&base[2]), a.as_tensor(), b.as_tensor()];
            let y = layer(&operands.map(Tensor::clone)).unwrap();
            let loss = (y.to_dtype(DType::F32).unwrap() * place(&weight)).unwrap().sum_all().unwrap();
            let store = loss.backward().unwrap();
            let sizes = store.get_ids().filter_map(|&id| store.get_id(id)).map(Tensor::elem_count);
            assert!(sizes.into_iter().all(|size| size != 21 * 33), "the weight got a gradient");
            let of = |var: &Var| on_cpu(store.get(var).unwrap());
            [on_cpu(&y), of(&x), of(&a), of(&b)]
        };
        let (found, expected) = (gradients(&gpu(), true), gradients(&Device::Cpu, false));
        for (what, (found, expected)) in ["layer", "dx", "da", "db"].iter().zip(found.iter().zip(&expected)) {
            assert_close(&format!("{what} {dtype:?}"), found, expected, limit);
        }
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn convolutions_equal_the_cpus_with_their_gradients() {
    let (same, plain) = (Geometry::same(3), Geometry::same(1));
    for (weight, x, lead, geometry) in [
        (&[5, 3, 3, 3, 3][..], [2, 3, 4, 7], 2, same),
        (&[2, 3, 1, 1, 1], [2, 3, 4, 7], 0, plain),
        (&[4, 3, 3, 3], [3, 3, 5, 6], 0, Geometry { doubled: true, ..same }),
        (&[4, 3, 3, 3], [2, 3, 6, 8], 0, Geometry { before: 0, stride: 2, ..same }),
        (&[4, 3, 3, 1, 1], [5, 3, 3, 5], 0, Geometry { frame_stride: 2, ..plain }),
        (&[2, 3, 1, 1, 1], [4, 3, 4, 7], 0, Geometry { frame_stride: 2, ..plain }),
        (&[24, 40, 3, 3, 3], [3, 40, 37, 61], 2, same),
    ] {
        let conv = |t: &[Tensor]| Conv::new(&t[1], &t[2], geometry)?.forward(&t[0], lead);
        check(&format!("convolution {geometry:?}"), (&[&x, weight, &weight[..1]], 3), &conv, &conv);
    }
}

/// Nothing here waits for the GPU before the end: memory that is dropped is taken again by the next upload while it is
/// still read.
#[test]
#[ignore = "needs an NVIDIA GPU"]
fn uploads_arrive_whole_while_the_device_is_busy() {
    const UPLOADS: u64 = 12;
    let gpu = gpu();
    let large = Tensor::ones((4096, 4096), DType::F32, &gpu).unwrap();
    let upload = |number: u64| {
        let types = [DType::F32, DType::BF16, DType::U8, DType::F16, DType::F8E4M3];
        let mut random = NoiseStream::new(number);
        let rows = 1000 + 100 * (number as usize % 3);
        types.map(|of| (random.normal((rows, 777)).unwrap() * 3.0).unwrap().to_dtype(of).unwrap()).to_vec()
    };
    let mut ahead = Upload::begin(&gpu, upload(0)).unwrap();
    let mut seen = Vec::new();
    for number in 0..UPLOADS {
        let next = Upload::begin(&gpu, upload(number + 1)).unwrap();
        let there = ahead.finish().unwrap();
        for _ in 0..4 {
            large.matmul(&large).unwrap();
        }
        seen.push(there.iter().map(|t| t.copy().unwrap()).collect::<Vec<_>>());
        ahead = next;
    }
    drop(ahead);
    for (number, seen) in (0..).zip(&seen) {
        for (found, expected) in seen.iter().zip(upload(number)) {
            // Converted here: not every GPU converts every type.
            let found = on_cpu(&found.to_device(&Device::Cpu).unwrap());
            let same = found.eq(&on_cpu(&expected)).unwrap().min_all().unwrap();
            assert_eq!(same.to_scalar::<u8>().unwrap(), 1, "{:?} of upload {number}", expected.dtype());
        }
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn the_optimiser_equals_the_cpus() {
    let rates = adam::Rates {
        keep: 0.99,
        towards_first: 0.1,
        keep_second: 0.999,
        towards_second: 0.001,
        step_size: 0.01,
        root_second: 0.0316,
        epsilon: 1e-8,
    };
    let step = |device: &Device, bad: bool| {
        let mut random = NoiseStream::new(5);
        let mut next = |shape: &[usize]| random.normal(shape).unwrap().to_device(device).unwrap();
        let (value, moments, gradient) = (next(&[301, 7]), next(&[2, 2107]).abs().unwrap(), next(&[301, 7]));
        let gradient = if bad { (gradient * f64::NAN).unwrap() } else { gradient };
        let clip = adam::clip(&[gradient.clone(), next(&[3])], 1.0).unwrap();
        adam::step(&value, &moments, &gradient, &clip, rates).unwrap();
        [value, moments, clip].map(|t| on_cpu(&t))
    };
    for (found, expected) in step(&gpu(), false).iter().zip(&step(&Device::Cpu, false)) {
        assert_close("step", found, expected, 1e-5);
    }
    let [value, moments, clip] = step(&gpu(), true);
    let [expected, expected_moments, _] = step(&Device::Cpu, true);
    assert!(clip.to_vec1::<f32>().unwrap()[1].is_nan());
    assert_eq!(value.to_vec2::<f32>().unwrap(), expected.to_vec2::<f32>().unwrap());
    assert_eq!(moments.to_vec2::<f32>().unwrap(), expected_moments.to_vec2::<f32>().unwrap());
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn the_transformer_equals_diffusers() {
    let gpu = gpu();
    for (name, image) in [("transformer_i2v_clip", true), ("transformer_i2v", false)] {
        let fixture = Fixture::read(name);
        for (dtype, limit) in [(DType::F32, 1e-3), (DType::BF16, 5e-2)] {
            let placement = Placement { device: gpu.clone(), dtype };
            let weights = fixture.diffusers_weights().placed(&placement);
            let model = WanTransformer::load(&weights, fixture.config()).unwrap();
            let there = |name: &str| fixture.tensor(name).to_device(&gpu).unwrap();
            let image = image.then(|| there("image"));
            let out = model.forward(&there("x"), &fixture.tensor("timestep"), &there("text"), image.as_ref());
            assert_close(&format!("{name} {dtype:?}"), &on_cpu(&out.unwrap()), &fixture.tensor("out"), limit);
        }
    }
}

/// In f32, as everything computes it. Bf16 is no check here: on the decoder of `vae_21` PyTorch's own bf16 is off by 2.7e-1
/// (torch 2.11 on the CPU), ours on a GPU by 2.9e-1. The convolutions have their own test in both types.
#[test]
#[ignore = "needs an NVIDIA GPU"]
fn the_autoencoder_equals_diffusers() {
    let placement = Placement::of_vae(&gpu());
    for name in ["vae_21", "vae_patch"] {
        let fixture = Fixture::read(name);
        let there = |t: Tensor| t.to_dtype(placement.dtype).unwrap().to_device(&placement.device).unwrap();
        let vae = WanVae::load(&fixture.diffusers_weights().placed(&placement), fixture.config()).unwrap();
        let video = ((there(fixture.tensor("pixels")) / 127.5).unwrap() - 1.0).unwrap();
        let latent = on_cpu(&vae.encode(&video).unwrap());
        assert_close(&format!("{name} encodes"), &latent, &fixture.tensor("latent_17"), 1e-3);
        let decoded = on_cpu(&vae.decode(&there(fixture.tensor("latent_in"))).unwrap());
        assert_close(&format!("{name} decodes"), &decoded, &fixture.tensor("decoded"), 1e-3);
    }
}
