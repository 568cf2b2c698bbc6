//! The program `lora-edit`.
fn main() {}
