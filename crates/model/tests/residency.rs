//! Blocks that are in memory only while they run, and blocks computed again for the gradient: the same numbers, to the
//! bit, in less memory.
#![allow(clippy::unwrap_used)] // a test may panic

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{DType, Device, Tensor, Var};
use lora_edit_model::flow::{NoiseStream, noise};
use lora_edit_model::{Memory, Residency, TransformerConfig, WanTransformer, Weights};

mod support;
use support::Fixture;

const RESIDENT: Memory = Memory { residency: Residency::Resident, recompute: false };
const RECOMPUTED: Memory = Memory { residency: Residency::Resident, recompute: true };
const STREAMED: Memory = Memory { residency: Residency::Streamed, recompute: false };

fn bits(tensor: &Tensor) -> Vec<u32> {
    let values = tensor.flatten_all().unwrap().to_dtype(DType::F32).unwrap().to_vec1::<f32>().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

/// The same pairs at every call.
fn attach(model: &mut WanTransformer) -> Vec<(String, Var)> {
    support::attach(model, &mut NoiseStream::new(3))
}

/// A fixture's input.
struct Asked {
    x: Tensor,
    t: Tensor,
    text: Tensor,
    image: Option<Tensor>,
}

impl Asked {
    /// The inputs of a fixture of `fixtures/make.py`, or of `make_variants.py`, which spells them as diffusers does.
    fn of(name: &str, fixture: &Fixture, config: &TransformerConfig) -> Self {
        let names = match name {
            "transformer_i2v" | "transformer_i2v_clip" => ["x", "text", "image"],
            _ => ["hidden_states", "encoder_hidden_states", "encoder_hidden_states_image"],
        };
        let [x, text] = [0, 1].map(|i| fixture.tensor(names[i]));
        let image = config.takes_image().then(|| fixture.tensor(names[2]));
        Self { x, t: fixture.tensor("timestep"), text, image }
    }

    fn forward(&self, model: &WanTransformer) -> Tensor {
        model.forward(&self.x, &self.t, &self.text, self.image.as_ref()).unwrap()
    }

    /// A loss in which every output weighs differently, and its gradient by every pair.
    fn gradients(&self, model: &WanTransformer, vars: &[(String, Var)]) -> (Vec<u32>, Vec<Vec<u32>>) {
        let loss = |y: &Tensor| (y.sqr()? * noise(9, y.shape())?)?.sum_all();
        let asked = model.gradients(&self.x, &self.t, &self.text, self.image.as_ref(), loss);
        let (loss, mut store) = asked.unwrap();
        let found = vars.iter().map(|(path, var)| bits(&store.remove(var).expect(path))).collect();
        // In a walk block by block nothing but the pairs' gradients is left over.
        assert!(model.memory() == RESIDENT || store.get_ids().count() == 0);
        (bits(&loss), found)
    }
}

/// The fixture's network with its weights in a file, in bf16 or f32.
fn in_file(fixture: &Fixture, dtype: DType, folder: &Path) -> Weights {
    let path = folder.join(format!("{dtype:?}.safetensors"));
    let tensors = fixture.model_tensors().into_iter().map(|(k, t)| (k, t.to_dtype(dtype).unwrap())).collect();
    candle_core::safetensors::save::<String, _>(&tensors, &path).unwrap();
    Weights::open(&path).unwrap()
}

#[test]
fn every_way_gives_the_same_bits_forward_and_backward() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["transformer_i2v", "transformer_i2v_clip", "transformer_ti2v", "transformer_flf2v"] {
        let fixture = Fixture::read(name);
        let (bf16, f32) =
            (in_file(&fixture, DType::BF16, folder.path()), in_file(&fixture, DType::F32, folder.path()));
        for weights in [fixture.diffusers_weights(), bf16, f32] {
            let load = |memory| WanTransformer::load_with(&weights, fixture.config(), &memory).unwrap();
            let asked = Asked::of(name, &fixture, load(RESIDENT).config());
            let mut expected = load(RESIDENT);
            let bare = bits(&asked.forward(&expected));
            let vars = attach(&mut expected);
            let adapted = bits(&asked.forward(&expected));
            assert_ne!(bare, adapted);
            let gradients = asked.gradients(&expected, &vars);
            for memory in [RECOMPUTED, STREAMED, Memory { recompute: true, ..STREAMED }] {
                let mut model = load(memory);
                assert_eq!(bits(&asked.forward(&model)), bare, "{name} {memory:?}");
                let vars = attach(&mut model);
                assert_eq!(bits(&asked.forward(&model)), adapted, "{name} {memory:?}");
                assert!(asked.gradients(&model, &vars) == gradients, "{name} {memory:?}");
            }
        }
    }
}

#[test]
fn adapters_are_attached_merged_and_taken_off_in_every_way() {
    let fixture = Fixture::read("transformer_i2v");
    let load =
        |memory| WanTransformer::load_with(&fixture.diffusers_weights(), fixture.config(), &memory).unwrap();
    let asked = Asked::of("transformer_i2v", &fixture, load(RESIDENT).config());
    for memory in [RESIDENT, STREAMED] {
        let mut model = load(memory);
        let bare = bits(&asked.forward(&model));
        attach(&mut model);
        let adapted = asked.forward(&model);
        for (_, linear) in model.linears_mut() {
            *linear = linear.merged().unwrap();
        }
        let merged = asked.forward(&model);
        assert!(!merged.track_op(), "{memory:?}: a merged adapter is trained");
        support::assert_close("merged", &merged, &adapted, 1e-5);
        model.linears_mut().into_iter().for_each(|(_, linear)| linear.low_rank.clear());
        assert_eq!(bits(&asked.forward(&model)) == bare, memory == STREAMED, "{memory:?}");
    }
}

#[test]
fn sampling_keeps_no_graph() {
    let fixture = Fixture::read("transformer_i2v");
    let mut model = WanTransformer::load(&fixture.diffusers_weights(), fixture.config()).unwrap();
    attach(&mut model);
    let asked = Asked::of("transformer_i2v", &fixture, model.config());
    let out = model.forward_cached(&asked.x, &asked.t, &asked.text, None, None).unwrap();
    assert!(!out.track_op());
    assert_eq!(bits(&out), bits(&asked.forward(&model)));
}

/// 1024 wide, so that weights in bf16 stay in their file.
const BLOCKS: usize = 6;
const DIM: usize = 1024;
const FFN: usize = 2048;
const BLOCK_BYTES: usize = 2 * (8 * DIM * DIM + 2 * DIM * FFN);

/// A transformer of `BLOCKS` blocks without text or image of a size that matters, all its tensors of `dtype`.
fn write_large(path: &Path, dtype: DType) -> TransformerConfig {
    let config = serde_json::json!({
        "num_attention_heads": 8, "attention_head_dim": DIM / 8, "in_channels": 36, "out_channels": 16,
        "text_dim": 8, "freq_dim": 16, "ffn_dim": FFN, "num_layers": BLOCKS,
    });
    let mut tensors = std::collections::HashMap::new();
    let mut add = |name: String, shape: &[usize]| {
        let size = (shape[1..].iter().product::<usize>() as f64).powf(-0.5);
        let count: usize = shape.iter().product();
        // Cheaper than normal numbers, and as good here.
        let wave: Vec<f32> =
            (0..count).map(|i| ((i * 7919 % 2003) as f32 / 1001.0 - 1.0) * size as f32).collect();
        let tensor = Tensor::from_vec(wave, shape, &Device::Cpu).unwrap();
        tensors.insert(name, tensor.to_dtype(dtype).unwrap());
    };
    let linear = |add: &mut dyn FnMut(String, &[usize]), name: &str, inputs: usize, outputs: usize| {
        add(format!("{name}.weight"), &[outputs, inputs]);
        add(format!("{name}.bias"), &[outputs]);
    };
    add("patch_embedding.weight".into(), &[DIM, 36, 1, 2, 2]);
    add("patch_embedding.bias".into(), &[DIM]);
    for (name, inputs) in [("text_embedding", 8), ("time_embedding", 16)] {
        linear(&mut add, &format!("{name}.0"), inputs, DIM);
        linear(&mut add, &format!("{name}.2"), DIM, DIM);
    }
    linear(&mut add, "time_projection.1", DIM, 6 * DIM);
    linear(&mut add, "head.head", DIM, 64);
    add("head.modulation".into(), &[1, 2, DIM]);
    for i in 0..BLOCKS {
        let block = format!("blocks.{i}");
        add(format!("{block}.modulation"), &[1, 6, DIM]);
        ["weight", "bias"].iter().for_each(|part| add(format!("{block}.norm3.{part}"), &[DIM]));
        for attention in ["self_attn", "cross_attn"] {
            ["q", "k", "v", "o"]
                .iter()
                .for_each(|name| linear(&mut add, &format!("{block}.{attention}.{name}"), DIM, DIM));
            ["q", "k"].iter().for_each(|name| add(format!("{block}.{attention}.norm_{name}.weight"), &[DIM]));
        }
        linear(&mut add, &format!("{block}.ffn.0"), DIM, FFN);
        linear(&mut add, &format!("{block}.ffn.2"), FFN, DIM);
    }
    candle_core::safetensors::save(&tensors, path).unwrap();
    serde_json::from_value(config).unwrap()
}

/// Bytes of the file at `path` that are in this process's memory now.
#[cfg(target_os = "linux")]
fn resident_bytes(path: &Path) -> usize {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let name = path.to_str().unwrap();
    let mut of_file = false;
    let kilobytes = maps.lines().filter_map(|line| {
        if line.split_whitespace().next().is_some_and(|first| first.contains('-')) {
            of_file = line.ends_with(name);
        }
        let kb = line.strip_prefix("Rss:").filter(|_| of_file)?;
        kb.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()
    });
    kilobytes.sum::<usize>() * 1024
}

/// The most of the file that was in memory while `f` ran, looked at every few milliseconds.
#[cfg(target_os = "linux")]
fn most_resident<T>(path: &Path, f: impl FnOnce() -> T) -> (usize, T) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(resident_bytes(path));
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            most
        });
        let result = f();
        done.store(true, Ordering::Relaxed);
        (watcher.join().unwrap(), result)
    })
}

#[test]
#[cfg(target_os = "linux")]
fn a_streamed_network_holds_two_blocks_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.safetensors");
    let config = write_large(&path, DType::BF16);
    let load =
        |memory| WanTransformer::load_with(&Weights::open(&path).unwrap(), config.clone(), &memory).unwrap();
    let (x, t) = (noise(1, (1, 36, 3, 4, 4)).unwrap(), Tensor::new(&[500f32], &Device::Cpu).unwrap());
    let text = noise(2, (1, 3, 8)).unwrap();

    let mut model = load(STREAMED);
    let (most, streamed) = most_resident(&path, || model.forward(&x, &t, &text, None).unwrap());
    println!("streamed forward: {most} of {} bytes", BLOCKS * BLOCK_BYTES);
    assert!(most > BLOCK_BYTES / 4 && most < 2 * BLOCK_BYTES, "{most} bytes, a block has {BLOCK_BYTES}");
    assert!(resident_bytes(&path) < BLOCK_BYTES / 4, "left behind: {}", resident_bytes(&path));

    attach(&mut model);
    let step = || model.gradients(&x, &t, &text, None, |y| y.sqr()?.mean_all()).unwrap();
    let (most, _) = most_resident(&path, step);
    println!("streamed training step: {most} of {} bytes", BLOCKS * BLOCK_BYTES);
    assert!(most < 2 * BLOCK_BYTES, "{most} bytes, a block has {BLOCK_BYTES}");
    drop(model);

    let resident = load(RESIDENT);
    assert_eq!(bits(&resident.forward(&x, &t, &text, None).unwrap()), bits(&streamed));
    assert!(resident_bytes(&path) > (BLOCKS - 1) * BLOCK_BYTES, "the measure sees no file pages");
}

/// What was copied out of its file would otherwise be in memory twice.
#[test]
#[cfg(target_os = "linux")]
fn weights_read_into_memory_are_not_held_as_pages_of_their_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.safetensors");
    let config = write_large(&path, DType::F32);
    let (most, model) =
        most_resident(&path, || WanTransformer::load(&Weights::open(&path).unwrap(), config).unwrap());
    assert_eq!(model.linears().len(), 10 * BLOCKS);
    // Less than one of its blocks, which take twice the bytes here.
    assert!(most < 2 * BLOCK_BYTES, "{most} bytes of a file of {} bytes", 2 * BLOCKS * BLOCK_BYTES);
}
