//! The OpenFX plug-in LoRA-Edit.
