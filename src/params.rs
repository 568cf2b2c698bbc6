//! Every parameter of the node, once: this table feeds describe, reading and the reference page.

mod page;

pub use page::Page;

/// What a parameter holds, with its default and limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// One of fixed items; the items never change after describe.
    Choice {
        /// The words shown, in order.
        items: &'static [&'static str],
        /// The item chosen at first.
        default: usize,
    },
    /// A whole number; both limits are included.
    Int {
        /// Value at first.
        default: i32,
        /// Least and greatest value accepted.
        range: [i32; 2],
        /// Ends of the slider.
        display: [i32; 2],
    },
    /// A number; both limits are included.
    Double {
        /// Value at first.
        default: f64,
        /// Least and greatest value accepted.
        range: [f64; 2],
        /// Ends of the slider.
        display: [f64; 2],
    },
    /// On or off.
    Bool {
        /// Value at first.
        default: bool,
    },
    /// One line of text.
    Text {
        /// Value at first.
        default: &'static str,
    },
    /// A folder's path; empty means the usual place.
    Folder,
    /// A push button.
    Button,
}

/// Who a parameter is for, and what its change means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The artist's; a change makes the host render again.
    Look,
    /// The artist's; read only when a button is pressed.
    Recipe,
    /// Shown, never typed nor saved.
    Readout,
    /// The node's own memory: saved, hidden, renders again when it changes.
    Memory,
    /// The node's own memory: saved, hidden, changes no pixel.
    Bookmark,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Param {
    /// The OpenFX name, camelCase; scripts use it, so it is never changed.
    pub name: &'static str,
    /// The words beside the control.
    pub label: &'static str,
    /// The tooltip.
    pub hint: &'static str,
    /// Where it is shown.
    pub page: Page,
    /// What it holds.
    pub kind: Kind,
    /// Who it is for.
    pub role: Role,
}

/// Items of [`FRAME_RANGE`].
pub const FRAME_RANGE_ITEMS: &[&str] = &["Source range", "Custom"];
/// Items of [`INPUT_SPACE`] and [`EDIT_SPACE`].
pub const SPACE_ITEMS: &[&str] = &["Linear", "sRGB"];
/// Items of [`SAMPLER`].
pub const SAMPLER_ITEMS: &[&str] = &["Model's own", "Euler", "UniPC", "DPM++"];
/// Items of [`CARRY`].
pub const CARRY_ITEMS: &[&str] = &["Model's own", "On", "Off"];
/// Items of [`ON_MISSING`].
pub const ON_MISSING_ITEMS: &[&str] = &["Auto", "Error", "Source"];
/// Items of [`OUTPUT`].
pub const OUTPUT_ITEMS: &[&str] = &["Comp", "Edit", "Mask", "Difference", "Source"];

macro_rules! table {
    ($($id:ident: $page:ident $role:ident $name:literal $label:literal $kind:expr, $hint:literal;)*) => {
        $(
            #[doc = $hint]
            pub const $id: Param = Param {
                name: $name,
                label: $label,
                hint: $hint,
                page: Page::$page,
                kind: $kind,
                role: Role::$role,
            };
        )*

        /// The whole table, in the order the host shows it.
        pub const TABLE: &[Param] = &[$($id),*];
    };
}

const fn int(default: i32, range: [i32; 2], display: [i32; 2]) -> Kind {
    Kind::Int { default, range, display }
}

const fn number(range: [f64; 2], display: [f64; 2]) -> Kind {
    Kind::Double { default: 0.0, range, display }
}

const fn choice(items: &'static [&'static str]) -> Kind {
    Kind::Choice { items, default: 0 }
}

const fn text(default: &'static str) -> Kind {
    Kind::Text { default }
}

const ANY_FRAME: [i32; 2] = [-1_000_000, 1_000_000];
const ON: Kind = Kind::Bool { default: true };
const OFF: Kind = Kind::Bool { default: false };

table! {
    KEY_FRAMES: Shot Look "keyFrames" "Key frames" text("1001"),
        "The painted frames of the clip Edited, as a list: 1001, 1042, 1080-1090x5. Only the frames listed here count as painted.";
    REFERENCE_FRAMES: Shot Recipe "referenceFrames" "Reference frames" text(""),
        "The frames of the clip Reference to learn the look from, as a list. Only the frames listed here count; their time means nothing, their alpha says what of them counts.";
    FRAME_RANGE: Shot Look "frameRange" "Frame range" choice(FRAME_RANGE_ITEMS),
        "Source range takes every frame of the clip Source; Custom takes First frame to Last frame. Frames outside come out untouched.";
    FIRST_FRAME: Shot Look "firstFrame" "First frame" int(1001, ANY_FRAME, [1, 2000]),
        "First frame of the shot when Frame range is Custom.";
    LAST_FRAME: Shot Look "lastFrame" "Last frame" int(1025, ANY_FRAME, [1, 2000]),
        "Last frame of the shot when Frame range is Custom.";
    TRAIN: Shot Recipe "train" "Train" Kind::Button,
        "Reads the shot and trains its adapter in a separate program. The host stays free, and a stopped training goes on where it was.";
    GENERATE: Shot Recipe "generate" "Generate" Kind::Button,
        "Generates the edited frames, after training the adapter if this shot has none. A repainted frame needs only this button.";
    STOP: Shot Recipe "stop" "Stop" Kind::Button,
        "Asks the running job to save what it has and stop. Press Train or Generate again to go on.";
    REFRESH: Shot Recipe "refresh" "Refresh" Kind::Button,
        "Reads how far the job is, and shows the result in the viewer once it is there.";
    STATUS: Shot Readout "status" "Status" text(""),
        "What the last job is doing, or why it could not start.";

    MODEL: Adapter Recipe "model" "Model" text("nano"),
        "Name of the base model. nano comes with the plug-in; `lora-edit models list` names the others and says where they are.";
    MODEL_DIR: Adapter Recipe "modelDir" "Model folder" Kind::Folder,
        "Folder that holds the base models: official or diffusers folders, or ComfyUI's models. Empty: LORA_EDIT_MODELS, then the models that come with the plug-in, then the Hugging Face cache.";
    RANK: Adapter Recipe "rank" "Rank" int(0, [0, 256], [0, 64]),
        "Size of the adapter. More learns finer detail and takes more memory. 0: what suits the model.";
    TARGETS: Adapter Recipe "targets" "Adapted layers" text(""),
        "Layers of each block that the adapter is trained on, as a list: self_attn, cross_attn, ffn. Fewer take less memory. Empty: all three.";
    TRAIN_STEPS: Adapter Recipe "trainSteps" "Training steps" int(0, [0, 100_000], [0, 500]),
        "Number of training steps. 0: what suits the model.";
    LEARNING_RATE: Adapter Recipe "learningRate" "Learning rate" number([0.0, 1.0], [0.0, 1e-2]),
        "Step size of the training. Lower it if the loss jumps about. 0: what suits the model.";
    MASK_LOSS_WEIGHT: Adapter Recipe "maskLossWeight" "Mask loss weight" number([0.0, 100.0], [0.0, 10.0]),
        "Weight of the training loss inside the mask; 1 is plain, as published. 0: what suits the model.";
    LOOK_VARIANTS: Adapter Recipe "lookVariants" "Look variants" int(-1, [-1, 1000], [-1, 64]),
        "Recoloured variants of the plate to train on beside it, so that its look is not learnt by heart. 0 as published. -1: what suits the model.";
    TRAIN_WINDOW: Adapter Recipe "trainWindow" "Training window" int(0, [0, 1000], [0, 81]),
        "Trains on overlapping windows of this many frames, in less memory. 0: the whole shot, as far as model and memory take it at once.";
    STAGE2_EPOCHS: Adapter Recipe "stage2Epochs" "Stage 2 epochs" int(-1, [-1, 1000], [-1, 30]),
        "Rounds of stage 2, which learns the look from the key frames after the first and from Reference. 10 as published; 0 leaves it out. -1: what suits the model.";
    STAGE2_RATE: Adapter Recipe "stage2Rate" "Stage 2 rate" number([0.0, 10.0], [0.0, 1.0]),
        "Learning rate of stage 2 as a part of that of stage 1; 1 as published. 0: what suits the model.";
    KEEP_BEST: Adapter Recipe "keepBest" "Keep best" ON,
        "Takes an earlier step's adapter where the training came apart after it. Off: always the last, as published.";
    CHECKPOINT_EVERY: Adapter Recipe "checkpointEvery" "Checkpoint every" int(0, [0, 100_000], [0, 200]),
        "Training steps from one checkpoint to the next, which is what a crash may cost. 0: by time, about every 30 seconds.";
    PREVIEWS: Adapter Recipe "previews" "Previews" ON,
        "Draws at checkpoints what the adapter makes of the unedited shot so far, into checkpoints in the cache folder; takes a tenth of the training's time at most.";
    SOURCE_PROMPT: Adapter Recipe "sourcePrompt" "Source prompt" text(""),
        "What the unedited plate shows, in words, for models that take text. Another one is another training.";
    PROMPT_PREFIX: Adapter Recipe "promptPrefix" "Prompt prefix" text(""),
        "What is put before both prompts, for models that take text. Another one is another training. Empty: what suits the model, p3rs0n, for published ones. A single -: nothing.";
    PROMPT: Generate Recipe "prompt" "Prompt" text(""),
        "What the edited shot shows, in words, for models that take text.";
    NEGATIVE_PROMPT: Generate Recipe "negativePrompt" "Negative prompt" text(""),
        "What guidance leads away from, in words. Empty: Wan's own.";
    GUIDANCE: Generate Recipe "guidance" "Guidance" number([0.0, 100.0], [0.0, 10.0]),
        "How far the result follows the prompt; 1 takes half the time. 0: what suits the model.";
    GUIDANCE_LOW: Generate Recipe "guidanceLow" "Guidance, low noise" number([0.0, 100.0], [0.0, 10.0]),
        "Guidance of the low-noise expert of wan2.2-i2v-a14b. 0: as Guidance.";
    SAMPLER: Generate Recipe "sampler" "Sampler" choice(SAMPLER_ITEMS),
        "How the steps from noise to picture are taken. Model's own: what suits the model.";
    SHIFT: Generate Recipe "shift" "Shift" number([0.0, 100.0], [0.0, 16.0]),
        "Shift of the steps towards noise; 1 is none. 0: what suits the model.";
    SAMPLER_STEPS: Generate Recipe "samplerSteps" "Sampler steps" int(0, [0, 1000], [0, 60]),
        "Number of steps from noise to picture. 0: what suits the model.";
    LORA: Generate Recipe "lora" "LoRAs" text(""),
        "LoRA files to add beside the shot's adapter, as PATH or PATH:STRENGTH, separated by semicolons.";
    CARRY: Generate Recipe "carry" "Carry paint" choice(CARRY_ITEMS),
        "Carries the painted frames along the plate's own motion and in its light; the model then generates only what they do not show. Model's own: on for nano, off for published models, as published.";
    STEP_CACHE: Generate Recipe "stepCache" "Step cache" number([0.0, 1.0], [0.0, 0.2]),
        "Reuses steps at which little changes: faster, not exact. On nano at 20 UniPC steps 0.05 errs by 0.7 % of the latent, 0.1 by 4 %. 0: off.";
    SEED: Generate Recipe "seed" "Seed" int(1, [0, i32::MAX], [0, 100]),
        "Start of the generation's random numbers: another take from the same adapter. The same seed and inputs give the same result.";
    INPUT_SPACE: Colour Recipe "inputSpace" "Input space" choice(SPACE_ITEMS),
        "Colour space in which the host hands over the clip Source, and gets the result back.";
    EDIT_SPACE: Colour Look "editSpace" "Edit space" choice(SPACE_ITEMS),
        "Colour space of the clip Edited, as the host hands it over.";
    MASK_APPLY: MaskAndEdge Look "maskApply" "Apply mask" ON,
        "Off: the clip Mask is ignored and the whole picture is edited. For hosts that report a mask where none is connected.";
    MASK_INVERT: MaskAndEdge Look "maskInvert" "Invert mask" OFF,
        "Edits outside the mask instead of inside.";
    HOLD_KEYS: MaskAndEdge Look "holdKeys" "Hold key frames" ON,
        "At a key frame, shows the painted pixels themselves inside the mask.";
    OUTPUT: MaskAndEdge Look "output" "Output" choice(OUTPUT_ITEMS),
        "Comp: the edit over Source. Edit: the edit multiplied by the mask, for a Merge of your own. Mask, Difference and Source: to check.";
    MIX: MaskAndEdge Look "mix" "Mix"
        Kind::Double { default: 1.0, range: [0.0, 1.0], display: [0.0, 1.0] },
        "0 shows Source, 1 the full edit.";

    CACHE_DIR: Farm Look "cacheDir" "Cache folder" Kind::Folder,
        "Folder for shots, adapters and results; every machine of a farm must see it. Empty: LORA_EDIT_CACHE, then the user's cache folder.";
    MEMORY_LIMIT: Farm Recipe "memoryLimit" "Memory limit (GiB)" number([0.0, 4096.0], [0.0, 96.0]),
        "Memory that a job holds at most on the device that computes. It takes longer then, or is refused before it starts. 0: LORA_EDIT_MEMORY_LIMIT, then what is free.";
    ON_MISSING: Farm Look "onMissing" "On missing result" choice(ON_MISSING_ITEMS),
        "What to render while there is no result. Error fails the frame, Source passes the picture through. Auto: Error without a GUI, Source with one.";

    VERSION: Info Readout "version" "Version" text(concat!(env!("CARGO_PKG_VERSION"), " (", env!("LORA_EDIT_REVISION"), ")")),
        "Version and revision of the plug-in.";
    ADAPTER_ID: Info Bookmark "adapterId" "Adapter" text(""),
        "Identity of the adapter trained for this shot.";
    RESULT_ID: Info Memory "resultId" "Result" text(""),
        "Identity of the result that is rendered.";
    JOB_ID: Info Bookmark "jobId" "Job" text(""),
        "Identity of the last job started.";
    SHOWN_ID: Info Bookmark "shownId" "Shown result" text(""),
        "Identity of the result that Refresh last brought into the viewer.";
    REVISION: Info Memory "revision" "Revision" int(0, [0, i32::MAX], [0, 100]),
        "Counts the results shown; its change makes the host render again.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_camel_case_and_unique() {
        let mut seen = std::collections::HashSet::new();
        for param in TABLE {
            assert!(seen.insert(param.name), "{} stands twice", param.name);
            assert!(param.name.starts_with(|c: char| c.is_ascii_lowercase()), "{}", param.name);
            assert!(param.name.chars().all(|c| c.is_ascii_alphanumeric()), "{}", param.name);
        }
    }

    #[test]
    fn every_parameter_is_explained_and_in_range() {
        for param in TABLE {
            assert!(!param.label.is_empty() && param.hint.ends_with('.'), "{}", param.name);
            match param.kind {
                Kind::Int { default, range, display } => {
                    assert!(range[0] <= default && default <= range[1], "{}", param.name);
                    assert!(range[0] <= display[0] && display[1] <= range[1], "{}", param.name);
                }
                Kind::Double { default, range, display } => {
                    assert!(range[0] <= default && default <= range[1], "{}", param.name);
                    assert!(range[0] <= display[0] && display[1] <= range[1], "{}", param.name);
                }
                Kind::Choice { items, default } => assert!(default < items.len(), "{}", param.name),
                _ => {}
            }
        }
    }

    #[test]
    fn mix_is_last_on_its_page() {
        let last = TABLE.iter().rfind(|p| p.page == MIX.page).map(|p| p.name);
        assert_eq!(last, Some("mix"));
    }
}
