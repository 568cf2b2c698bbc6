//! The plan as people read it.

use std::fmt;

use super::size::show_bytes;
use super::{Machine, Plan, Residency, Stage, StagePlan, Task, Work};

const COLUMNS: [&str; 5] = ["weights", "activations", "adapter", "pictures", "total"];

/// `generate 81 frames of 832x480`
pub(super) fn work_words(work: &Work) -> String {
    let verb = match work.task {
        Task::Generate { .. } => "generate",
        Task::Train { .. } => "train on",
    };
    format!("{verb} {} frames of {}x{}", work.frames, work.width, work.height)
}

/// `in windows of 9, blocks streamed, computed anew, VAE in tiles of 256`
pub(super) fn mode_words(plan: &Plan) -> String {
    let mode = plan.mode;
    let window = (mode.window < plan.work.frames).then(|| format!("in windows of {}", mode.window));
    let residency = match mode.memory.residency {
        Residency::Resident => "all blocks in memory",
        Residency::Streamed => "blocks streamed from their file",
    };
    let anew = mode.memory.recompute.then(|| "computed anew on the way back".to_owned());
    let tiles = match mode.tiling {
        None => "VAE whole".to_owned(),
        Some(tiling) => format!("VAE in tiles of {}", tiling.tile[0]),
    };
    let words = window.into_iter().chain([residency.to_owned()]).chain(anew).chain([tiles]);
    words.collect::<Vec<_>>().join(", ")
}

impl Stage {
    fn words(self) -> &'static str {
        match self {
            Self::EncodeText => "encode text",
            Self::EncodeImage => "encode image",
            Self::Load => "load",
            Self::Encode => "VAE encode",
            Self::Train => "train",
            Self::Sample => "sample",
            Self::Decode => "VAE decode",
        }
    }
}

fn cells(stage: &StagePlan) -> [String; 5] {
    let total = stage.total();
    [stage.weights, stage.activations, stage.adapter, stage.pictures + stage.program, total].map(show_bytes)
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.machine {
            Machine::Cpu => "on the CPU",
            Machine::Gpu => "on the GPU",
        };
        writeln!(f, "{} {place}: {}", work_words(&self.work), mode_words(self))?;
        write!(f, "{:12}", "")?;
        COLUMNS.iter().try_for_each(|column| write!(f, " {column:>11}"))?;
        for stage in &self.stages {
            write!(f, "\n{:12}", stage.stage.words())?;
            cells(stage).iter().try_for_each(|cell| write!(f, " {cell:>11}"))?;
        }
        write!(f, "\npeak {}", show_bytes(self.peak()))?;
        self.limit.map_or(Ok(()), |limit| write!(f, " of {}", show_bytes(limit)))
    }
}
