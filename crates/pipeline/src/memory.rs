//! The memory plan of a job: what it will hold, before a weight is read, and the mode that fits.

use lora_edit_model::plan::{
    ImageSizes, Machine, Networks, Pairs, Plan, Residency, Task, TextSizes, TransformerSizes, VaeSizes, Work,
    choose, free_memory,
};
use lora_edit_model::{ClipVisionConfig, DeviceWish, Umt5Config, Weights};
use lora_edit_shot::job::{FailureKind, Recipe, Sampling};
use lora_edit_shot::package::ShotPackage;
use lora_edit_shot::range::padded_4n1;

use crate::base::Load;
use crate::failure::JobError;
use crate::parts::{Parts, transformer_config, vae_config};

/// What a machine gives to a job. No id depends on it: blocks that are streamed or computed again give the same bits.
/// Only where the autoencoder must cut pictures into tiles does the result differ, by about 60 dB, and where the windows of
/// a training are left to the plan the adapter; its summary says which they were.
#[derive(Debug, Clone, Copy, Default)]
pub struct Resources {
    /// What to compute on.
    pub device: DeviceWish,
    /// Bytes that may be held at most; all that is free without.
    pub memory_limit: Option<u64>,
}

/// What is to be planned, at one size.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Frames of the shot.
    pub frames: usize,
    /// Rows and columns of its working pictures.
    pub size: [usize; 2],
    /// Frames that the model takes at once, at most.
    pub most_frames: usize,
}

/// How a job will be done.
#[derive(Debug, Clone, Default)]
pub struct Plans {
    /// Its training, where there is one.
    pub train: Option<Plan>,
    /// Its generation, where there is one.
    pub generate: Option<Plan>,
    /// Whether previews of the training hold no more than is planned.
    pub previews: bool,
}

impl Extent {
    /// Of a shot, with a model that takes `most_frames` at once.
    pub fn of(shot: &ShotPackage, most_frames: usize) -> Self {
        let [width, height] = shot.info.fit.working_size.map(|side| side as usize);
        Self { frames: shot.frames.len(), size: [height, width], most_frames }
    }

    /// Frames of one clip of at most `window` of them; 0 is as many as the model takes.
    fn clip(&self, window: usize) -> usize {
        let window = if window == 0 { self.most_frames } else { window.min(self.most_frames) };
        padded_4n1(self.frames).min(padded_4n1(window))
    }

    /// Bytes that the program keeps as pictures meanwhile: plate and masks of the shot, the same of a clip, what is made;
    /// where paint is carried, also the pyramids, fields, edges, paints and surfaces of each frame, and what a frame's registration takes.
    fn held(&self, clip: usize, carries: bool) -> u64 {
        let [height, width] = self.size;
        let carried = if carries { 55 * self.frames + 100 } else { 0 };
        let numbers = 5 * self.frames + 8 * clip + 3 * self.frames + carried;
        (4 * numbers * height * width) as u64
    }

    fn work(&self, task: Task, frames: usize, carries: bool) -> Work {
        let [height, width] = self.size;
        Work { task, frames, height, width, held: self.held(frames, carries) }
    }

    /// The plan's input for a training; a window of 0 leaves it to the plan.
    pub fn training(&self, recipe: &Recipe) -> Work {
        let window = Some(self.clip(recipe.train_window)).filter(|_| recipe.train_window > 0);
        let task = Task::Train { adapter: pairs(recipe), window };
        self.work(task, self.clip(recipe.train_window), recipe.carry)
    }

    /// The plan's input for a generation with the shot's adapter.
    pub fn generation(&self, recipe: &Recipe, sampling: &Sampling) -> Work {
        let adapter = if sampling.without_adapter { Pairs::NONE } else { pairs(recipe) };
        let task = Task::Generate { guided: sampling.is_guided(), adapter };
        self.work(task, self.clip(sampling.window), sampling.carry)
    }
}

/// What an adapter of this recipe consists of.
fn pairs(recipe: &Recipe) -> Pairs {
    let attentions =
        ["self_attn.q", "cross_attn.q"].iter().filter(|layer| recipe.targets.adapt(layer)).count();
    Pairs { rank: recipe.rank, attentions, feed_forward: recipe.targets.adapt("ffn.0") }
}

impl Plans {
    /// The fastest way to do each of `works` with the model of `parts` within `limit`.
    ///
    /// # Errors
    /// When a header cannot be read, or nothing fits; says what would.
    pub fn of(
        parts: &Parts,
        train: Option<Work>,
        generate: Option<Work>,
        machine: Machine,
        limit: Option<u64>,
    ) -> Result<Self, JobError> {
        let networks = networks(parts)?;
        let plan = |work: Work| {
            choose(&work, &networks, machine, limit)
                .map_err(|refusal| JobError::new(FailureKind::Device, refusal))
        };
        let (train, generate) = (train.map(plan).transpose()?, generate.map(plan).transpose()?);
        let peak = train.iter().chain(&generate).map(Plan::peak).max();
        let previews = train.as_ref().is_some_and(|plan| Some(plan.peak_with_preview(&networks)) <= peak);
        if train.is_some() && !previews {
            log::info!("no previews of the training: decoding them would hold more than is planned");
        }
        Ok(Self { train, generate, previews })
    }

    /// The most that is held at a time.
    pub fn peak(&self) -> Option<u64> {
        self.all().map(Plan::peak).max()
    }

    /// Frames of a training window.
    pub fn train_window(&self) -> usize {
        self.train.as_ref().map_or(0, |plan| plan.mode.window)
    }

    /// Both, as people read them.
    pub fn table(&self) -> String {
        self.all().map(Plan::to_string).collect::<Vec<_>>().join("\n")
    }

    /// Training and generation share one set of networks in memory: the thriftier of both ways.
    pub(crate) fn apply(&self, load: &mut Load) {
        for mode in self.all().map(|plan| plan.mode) {
            if mode.memory.residency == Residency::Streamed {
                load.memory.residency = Residency::Streamed;
            }
            load.memory.recompute |= mode.memory.recompute;
            let smaller = mode.tiling.filter(|new| load.tiling.is_none_or(|old| new.tile < old.tile));
            load.tiling = smaller.or(load.tiling);
        }
    }

    fn all(&self) -> impl Iterator<Item = &Plan> {
        self.train.iter().chain(&self.generate)
    }
}

/// The limit that holds: what was said, and never more than is free.
///
/// # Errors
/// When a GPU does not answer.
pub fn limit(resources: &Resources, device: &candle_core::Device) -> Result<Option<u64>, JobError> {
    let free = free_memory(device)?;
    Ok(resources.memory_limit.into_iter().chain(free).min())
}

/// A model's sizes from headers. Of two experts one is in memory at a time, and both are alike.
fn networks(parts: &Parts) -> Result<Networks, JobError> {
    let transformer = Weights::open(&parts.transformer)?;
    let vae = Weights::open(&parts.vae)?;
    let text = parts.text.as_ref().map(|[text, _]| -> Result<_, JobError> {
        let weights = Weights::open(text)?;
        let config = Umt5Config::detect(&weights)?;
        Ok(TextSizes::of(&weights, config))
    });
    let image = parts.image.as_ref().map(|image| -> Result<_, JobError> {
        let weights = Weights::open(image)?;
        let config = ClipVisionConfig::detect(&weights)?;
        Ok(ImageSizes::of(&weights, config))
    });
    Ok(Networks {
        transformers: vec![TransformerSizes::of(
            &transformer,
            transformer_config(&parts.transformer, &transformer)?,
        )],
        vae: VaeSizes::of(&vae, vae_config(&parts.vae, &vae)?),
        text: text.transpose()?,
        image: image.transpose()?,
    })
}

/// The most that this process has held so far, in bytes; nothing where the system does not tell.
pub(crate) fn peak_of_process() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use lora_edit_shot::base;
    use std::path::Path;

    use super::*;

    fn nano() -> Parts {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundle/models");
        let folder = base::find("nano", Some(&models)).unwrap().folder;
        Parts { transformer: folder.join("transformer"), vae: folder.join("vae"), ..Parts::default() }
    }

    fn plans(limit: Option<u64>) -> Result<Plans, JobError> {
        let extent = Extent { frames: 17, size: [192, 320], most_frames: 33 };
        let (train, generate) =
            (extent.training(&Recipe::NANO), extent.generation(&Recipe::NANO, &Sampling::NANO));
        Plans::of(&nano(), Some(train), Some(generate), Machine::Cpu, limit)
    }

    /// The load that Base::open is given is the one that was planned.
    #[test]
    fn what_is_planned_is_what_is_loaded() {
        let load = |limit| {
            let mut load = Load::on(&Device::Cpu);
            plans(limit).unwrap().apply(&mut load);
            load
        };
        let plenty = load(None);
        assert_eq!((plenty.memory, plenty.tiling), Default::default());
        let peak = plans(None).unwrap().peak().unwrap();
        assert!(load(Some(peak - 1)).memory.recompute, "the training is what takes most");
        let least = (1..).map(|tenths| peak * tenths / 50).find(|&limit| plans(Some(limit)).is_ok()).unwrap();
        let tightest = load(Some(least));
        assert!(
            tightest.tiling.is_some() && tightest.memory.residency == Residency::Streamed,
            "{tightest:?}"
        );
        assert_eq!(plans(Some(1 << 20)).unwrap_err().kind, FailureKind::Device);
    }
}
