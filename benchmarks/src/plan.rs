//! The memory plan beside what is really held: every stage of a work run once, at a size that this machine can do.
//!
//! `bench-worker --plan MODEL FRAMES ROWS COLUMNS [--train] [--tile SIDE] [--stream] [--recompute] [--no-pictures]`,
//! where MODEL is a folder in diffusers' layout.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use lora_edit_adapt::{Adapter, Recipe, TrainInput, TrainState, train};
use lora_edit_model::flow::NoiseStream;
use lora_edit_model::plan::{
    ImageSizes, Machine, Memory, Mode, Networks, Pairs, Plan, Residency, Stage, Task, TextSizes,
    TransformerSizes, VaeSizes, Work,
};
use lora_edit_model::{
    ClipVision, ClipVisionConfig, Placement, Tiling, TransformerConfig, Umt5Config, Umt5Encoder, VaeConfig,
    WanTransformer, WanVae, Weights,
};

use crate::usage;

/// Rank of the adapter, as published.
const RANK: usize = 16;

/// What is run.
pub struct Asked {
    model: PathBuf,
    work: Work,
    mode: Mode,
    /// Whether the VAE works too: at the size of a large transformer's clip it takes longest.
    pictures: bool,
}

impl Asked {
    pub fn parse(arguments: &[&str]) -> Result<Self> {
        let [model, frames, height, width, options @ ..] = arguments else {
            bail!(
                "usage: bench-worker --plan MODEL FRAMES ROWS COLUMNS [--train] [--tile SIDE] [--stream] \
                 [--recompute] [--no-pictures]"
            )
        };
        let (mut task, mut tiling, mut pictures) =
            (Task::Generate { guided: false, adapter: Pairs::NONE }, None, true);
        let mut memory = Memory::default();
        let mut options = options.iter();
        while let Some(&option) = options.next() {
            match option {
                "--train" => task = Task::Train { adapter: Pairs::published(RANK), window: None },
                "--tile" => tiling = Some(Tiling::square(options.next().context("--tile SIDE")?.parse()?)),
                "--stream" => memory.residency = Residency::Streamed,
                "--recompute" => memory.recompute = true,
                "--no-pictures" => pictures = false,
                other => bail!("no option {other}"),
            }
        }
        let (frames, height, width) = (frames.parse()?, height.parse()?, width.parse()?);
        let work = Work { task, frames, height, width, held: 0 };
        let mode = Mode { memory, tiling, window: frames };
        Ok(Self { model: model.into(), work, mode, pictures })
    }

    /// Prints the plan, then for every stage the bytes planned and reached.
    pub fn run(&self) -> Result<()> {
        let mut plan = Plan::of(&self.work, &self.networks()?, Machine::Cpu, self.mode);
        let of_vae = |stage: Stage| matches!(stage, Stage::Encode | Stage::Decode);
        plan.stages.retain(|stage| self.pictures || !of_vae(stage.stage));
        println!("{plan}\n\n{:14}{:>12}{:>12}{:>8}", "stage", "planned MB", "reached MB", "ratio");
        let mut most: f64 = 0.0;
        let mut bench = Bench { asked: self, networks: None };
        for stage in &plan.stages {
            usage::forget_peak();
            bench.run(stage.stage)?;
            let reached = usage::peak_mb().context("this system does not tell what is resident")?;
            most = most.max(reached);
            compare(&format!("{:?}", stage.stage), stage.total(), reached);
        }
        compare("peak", plan.peak(), most);
        Ok(())
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.model.join(name)
    }

    fn networks(&self) -> Result<Networks> {
        let (transformer, vae) = (self.folder("transformer"), self.folder("vae"));
        let open = |path: &Path| path.exists().then(|| Weights::open(path)).transpose();
        let text = open(&self.folder("text_encoder"))?
            .map(|weights| anyhow::Ok(TextSizes::of(&weights, Umt5Config::detect(&weights)?)));
        let image = open(&self.folder("image_encoder"))?
            .map(|weights| anyhow::Ok(ImageSizes::of(&weights, ClipVisionConfig::detect(&weights)?)));
        Ok(Networks {
            transformers: vec![TransformerSizes::of(
                &Weights::open(&transformer)?,
                TransformerConfig::read(&transformer)?,
            )],
            vae: VaeSizes::of(&Weights::open(&vae)?, VaeConfig::read(&vae)?),
            text: text.transpose()?,
            image: image.transpose()?,
        })
    }
}

fn compare(stage: &str, planned: u64, reached: f64) {
    let planned = planned as f64 / 1e6;
    println!("{stage:14}{planned:>12.0}{reached:>12.0}{:>8.2}", planned / reached);
}

struct Bench<'a> {
    asked: &'a Asked,
    networks: Option<(WanTransformer, WanVae)>,
}

impl Bench<'_> {
    fn run(&mut self, stage: Stage) -> Result<()> {
        match stage {
            Stage::EncodeText => self.encode_text(),
            Stage::EncodeImage => self.encode_image(),
            Stage::Load => self.load(),
            Stage::Encode => self.encode(),
            Stage::Sample => self.sample(),
            Stage::Train => self.train(),
            Stage::Decode => self.decode(),
        }
    }

    fn encode_text(&self) -> Result<()> {
        let encoder = Umt5Encoder::open_streamed(&self.asked.folder("text_encoder"))?;
        let ids = Tensor::ones((1, 512), DType::U32, &Device::Cpu)?;
        encoder.forward(&ids, &ids)?;
        Ok(())
    }

    fn encode_image(&self) -> Result<()> {
        let encoder = ClipVision::open(&self.asked.folder("image_encoder"))?;
        encoder.encode(&NoiseStream::new(4).normal((1, 3, 224, 224))?)?;
        Ok(())
    }

    fn load(&mut self) -> Result<()> {
        let transformer = WanTransformer::open_with(
            &self.asked.folder("transformer"),
            &Placement::default(),
            &self.asked.mode.memory,
        )?;
        let vae = WanVae::open(&self.asked.folder("vae"))?.with_tiling(self.asked.mode.tiling);
        self.networks = Some((transformer, vae));
        Ok(())
    }

    fn loaded(&mut self) -> Result<(&mut WanTransformer, &WanVae)> {
        let (transformer, vae) = self.networks.as_mut().context("nothing is loaded")?;
        Ok((transformer, vae))
    }

    fn encode(&mut self) -> Result<()> {
        let Work { frames, height, width, .. } = self.asked.work;
        let video = NoiseStream::new(2).normal((1, 3, frames, height, width))?;
        let (_, vae) = self.loaded()?;
        std::hint::black_box(vae.encode(&video)?);
        Ok(())
    }

    fn decode(&mut self) -> Result<()> {
        let channels = self.loaded()?.1.config().z_dim;
        let latent = self.latent(channels)?;
        let (_, vae) = self.loaded()?;
        std::hint::black_box(vae.decode(&latent)?);
        Ok(())
    }

    fn sample(&mut self) -> Result<()> {
        let input = self.input()?;
        let (model, _) = self.loaded()?;
        let x = Tensor::cat(&[&input.latents, &input.condition], 1)?;
        let t = Tensor::new(&[500f32], &Device::Cpu)?;
        std::hint::black_box(model.forward(&x, &t, &input.text, input.image.as_ref())?);
        Ok(())
    }

    /// Two steps: the second finds the optimiser's moments and the allocator's leftovers of the first.
    fn train(&mut self) -> Result<()> {
        let input = self.input()?;
        let (model, _) = self.loaded()?;
        let recipe = Recipe { steps: 2, ..Recipe::default() };
        let adapter = Adapter::create(model, &recipe.adapter, 1)?;
        let mut state = TrainState::new(&adapter, &recipe)?;
        train(model, &adapter, &recipe, &mut state, |_| Ok(input.clone()), |_| ControlFlow::Continue(()))?;
        Ok(())
    }

    /// (1, channels, F', h, w)
    fn latent(&mut self, channels: usize) -> Result<Tensor> {
        let Work { frames, height, width, .. } = self.asked.work;
        let vae = self.loaded()?.1.config();
        let (side, frames) = (vae.spatial_factor(), vae.latent_frames(frames));
        Ok(NoiseStream::new(3).normal((1, channels, frames, height / side, width / side))?)
    }

    fn input(&mut self) -> Result<TrainInput> {
        let config = self.loaded()?.0.config().clone();
        let (latents, condition) =
            (self.latent(config.out_channels)?, self.latent(config.in_channels - config.out_channels)?);
        let image = config.image_dim.map(|dim| NoiseStream::new(4).normal((1, 257, dim))).transpose()?;
        let text = Tensor::zeros((1, config.text_len, config.text_dim), DType::F32, &Device::Cpu)?;
        Ok(TrainInput { latents, condition, text, image, loss_weight: None })
    }
}
