//! What the node shows a host: its clips, and the table of parameters turned into descriptors.

use ofx::{
    Components, Context, ContextDescriptor, Depth, EffectDescriptor, ParamDescriptor, Result, StringMode,
};

use crate::params::{self, Kind, Page, Param, Role};

/// The plate.
pub const SOURCE: &str = "Source";
/// The artist's soft roto.
pub const MASK: &str = "Mask";
/// The painted frames, on Source's timeline.
pub const EDITED: &str = "Edited";
/// Painted stills off the timeline, whose alpha says what of them counts.
pub const REFERENCE: &str = "Reference";
/// What the node makes.
pub const OUTPUT: &str = "Output";

const DESCRIPTION: &str = "Paint one frame of a shot; get the whole shot edited. Connect the plate to Source, a roto to Mask \
and the painted frame to Edited, say in keyFrames where it is painted, and press Generate. The work runs in a program of \
its own; outside the mask the plate stays bit for bit as it is.";

/// Describes the effect itself: all that holds in every context.
pub fn effect(effect: &EffectDescriptor<'_>) {
    effect
        .label("LoraEdit")
        .grouping("Filter")
        .description(DESCRIPTION)
        .version(&[0, 1, 0], concat!(env!("CARGO_PKG_VERSION"), " (", env!("LORA_EDIT_REVISION"), ")"))
        .contexts(&[Context::Filter, Context::General])
        .depths(&[Depth::Float, Depth::Half, Depth::Short, Depth::Byte])
        .multi_resolution(true)
        .temporal_access(true);
}

/// Describes clips and parameters, which are the same in every context.
///
/// # Errors
/// A definition that the host refuses.
pub fn in_context(effect: &ContextDescriptor<'_>) -> Result<()> {
    clips(effect)?;
    for param in params::TABLE {
        finish(param, &define(effect, param)?);
    }
    pages(effect)
}

fn clips(effect: &ContextDescriptor<'_>) -> Result<()> {
    let picture = [Components::Rgba, Components::Rgb];
    let mask = [Components::Alpha, Components::Rgba, Components::Rgb];
    effect.define_clip(SOURCE)?.label("Source").components(&picture).temporal_access(true).tiles(false);
    let clip = effect.define_clip(MASK)?;
    clip.label("Mask").components(&mask).optional(true).mask(true).temporal_access(true).tiles(false);
    let clip = effect.define_clip(EDITED)?;
    clip.label("Edited").components(&picture).optional(true).temporal_access(true).tiles(false);
    let clip = effect.define_clip(REFERENCE)?;
    clip.label("Reference").components(&picture).optional(true).temporal_access(true).tiles(false);
    effect.define_clip(OUTPUT)?.components(&picture).tiles(false);
    Ok(())
}

fn define<'a>(effect: &ContextDescriptor<'a>, param: &Param) -> Result<ParamDescriptor<'a>> {
    match param.kind {
        Kind::Choice { items, default } => effect.define_choice(param.name, default as i32, items),
        Kind::Bool { default } => effect.define_boolean(param.name, default),
        Kind::Text { default } => effect.define_string(param.name, default, StringMode::SingleLine),
        Kind::Folder => effect.define_string(param.name, "", StringMode::DirectoryPath),
        Kind::Button => effect.define_button(param.name),
        Kind::Int { default, range: [low, high], display: [from, to] } => {
            let defined = effect.define_int(param.name, default, low..=high)?;
            defined.display_int(from..=to);
            Ok(defined)
        }
        Kind::Double { default, range: [low, high], display: [from, to] } => {
            let defined = effect.define_double(param.name, default, low..=high)?;
            defined.display_double(from..=to);
            Ok(defined)
        }
    }
}

/// What follows from the parameter's role. Only `mix` is worth animating; a button has no value.
fn finish(param: &Param, defined: &ParamDescriptor<'_>) {
    defined.label(param.label).hint(param.hint);
    if param.kind == Kind::Button {
        return;
    }
    defined
        .animates(*param == params::MIX)
        .evaluate_on_change(matches!(param.role, Role::Look | Role::Memory));
    match param.role {
        Role::Look | Role::Recipe => {}
        Role::Readout => {
            defined.enabled(false).persistent(false).can_undo(false);
        }
        Role::Memory | Role::Bookmark => {
            defined.secret(true).can_undo(false);
        }
    }
    if param.kind == Kind::Folder {
        defined.file_exists(false);
    }
}

fn pages(effect: &ContextDescriptor<'_>) -> Result<()> {
    for page in Page::ALL {
        let shown: Vec<&str> = params::TABLE.iter().filter(|p| p.page == page).map(|p| p.name).collect();
        effect.define_page(page.name(), &shown)?.label(page.label());
    }
    effect.page_order(&Page::ALL.map(Page::name));
    Ok(())
}
