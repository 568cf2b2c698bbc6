//! The per-shot LoRA: recipe, adapter, training loop, optimiser, checkpoint, adapter file.
#![forbid(unsafe_code)]

pub mod adamw;
pub mod adapter;
pub mod checkpoint;
mod container;
pub mod error;
pub mod file;
pub mod gradients;
pub mod held_back;
pub mod inspect;
pub mod lora;
pub mod loss;
mod names;
mod peft;
pub mod recipe;
pub mod train;

pub use adamw::AdamW;
pub use adapter::{Adapter, Layer};
pub use error::AdaptError;
pub use file::{Precision, Provenance};
pub use gradients::loss_and_gradients;
pub use held_back::{HeldBack, held_back_loss, without_gradients};
pub use inspect::AdapterContents;
pub use lora::Lora;
pub use loss::{TrainInput, flow_loss};
pub use recipe::{AdapterConfig, Recipe, Schedule};
pub use train::{StepReport, TrainOutcome, TrainState, train};
