//! The OpenFX plug-in LoRA-Edit: paint one frame, get the whole shot edited.
//!
//! A node pulls the shot out of its host, hands it to the program `lora-edit` through the store, and
//! composites what that program generated over the host's own pixels. No tensor is touched here.
#![deny(unsafe_code)]

mod analyse;
mod buttons;
mod describe;
mod engine;
mod frames;
mod instance;
pub mod params;
mod render;
mod settings;
mod status;

use ofx::{Context, ContextDescriptor, Effect, EffectDescriptor, Host};

use instance::Node;

/// The plug-in, as hosts know it.
#[derive(Debug)]
pub struct LoraEdit;

impl ofx::Plugin for LoraEdit {
    const IDENTIFIER: &'static std::ffi::CStr = c"org.lora-edit.LoraEdit";
    const VERSION: (u32, u32) = (0, 1);
    type Instance = Node;

    fn describe(_host: &Host, effect: &EffectDescriptor<'_>) -> ofx::Result<()> {
        engine::remember_plugin_path(&effect.props().string(c"OfxPluginPropFilePath", 0).unwrap_or_default());
        describe::effect(effect);
        Ok(())
    }

    fn describe_in_context(
        _host: &Host,
        _context: Context,
        effect: &ContextDescriptor<'_>,
    ) -> ofx::Result<()> {
        describe::in_context(effect)
    }

    fn create_instance(_effect: &Effect<'_>) -> ofx::Result<Node> {
        Ok(Node::default())
    }
}

ofx::export_plugin!(LoraEdit);
