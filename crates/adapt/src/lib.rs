//! The per-shot LoRA: recipe, adapter, training loop, optimiser, adapter file.
