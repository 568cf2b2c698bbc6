//! Clip preferences: what format the clips have after the plug-in was asked.

use openfx_sys::*;

use crate::clip::Clip;
use crate::effect::{Call, Effect};
use crate::image::{Components, Premultiplication};
use crate::instance::{InstanceError, accept};
use crate::property::{Access, PropertySet, c_string};
use crate::schema::Schema;
use crate::scope::{Action, blame_in};
use crate::session::Rule;
use crate::status::Status;

/// Asks for preferences and gives the clips their formats.
pub(crate) fn update(effect: &Effect) -> Result<(), InstanceError> {
    let answers = PropertySet::new("clip preferences", questions(effect).properties());
    let status = effect.call(Call::new(Action::GetClipPreferences).out_args(&answers));
    accept(Action::GetClipPreferences, None, status)?;
    if status == Status::DEFAULT {
        // Whatever it wrote does not count.
        let untouched = PropertySet::new("clip preferences", questions(effect).properties());
        return apply(effect, &untouched);
    }
    apply(effect, &answers)
}

fn components_name(clip: &Clip) -> std::ffi::CString {
    c_string(&format!("OfxImageClipPropComponents_{}", clip.name))
}

fn depth_name(clip: &Clip) -> std::ffi::CString {
    c_string(&format!("OfxImageClipPropDepth_{}", clip.name))
}

/// The clip that the output takes after.
fn model(effect: &Effect) -> Option<std::sync::Arc<Clip>> {
    let clips = effect.clips.read();
    let connected = |clip: &&std::sync::Arc<Clip>| !clip.is_output() && clip.input().is_some();
    let source =
        clips.iter().find(|clip| clip.name.as_bytes() == kOfxImageEffectSimpleSourceClipName.to_bytes());
    source.filter(connected).or_else(|| clips.iter().find(connected)).cloned()
}

fn default_components(effect: &Effect, clip: &Clip) -> Components {
    if !clip.is_output() {
        let own = Components::named(&clip.properties.text(kOfxImageClipPropUnmappedComponents));
        return own.or(clip.supported().first().copied()).unwrap_or(Components::Rgba);
    }
    let wanted = model(effect).map_or(Components::Rgba, |clip| clip.components());
    let supported = clip.supported();
    if supported.contains(&wanted) { wanted } else { supported.first().copied().unwrap_or(Components::Rgba) }
}

fn questions(effect: &Effect) -> Schema {
    let premultiplication = model(effect).map_or(Premultiplication::Opaque, |clip| clip.premultiplication());
    let rate = effect.properties.first::<f64>(kOfxImageEffectPropFrameRate);
    let schema = Schema::new(Access::Write)
        .doubles(kOfxImageEffectPropFrameRate, &[rate])
        .constant(kOfxImageEffectPropPreMultiplication, premultiplication.name())
        .constant(kOfxImageClipPropFieldOrder, kOfxImageFieldNone)
        .ints(kOfxImageClipPropContinuousSamples, &[0])
        .ints(kOfxImageEffectFrameVarying, &[0]);
    let clips = effect.clips.read().clone();
    clips.iter().fold(schema, |schema, clip| {
        let aspect = c_string(&format!("OfxImageClipPropPAR_{}", clip.name));
        schema
            .constant(&components_name(clip), default_components(effect, clip).name())
            .constant(&depth_name(clip), effect.options.depth.name())
            .doubles(&aspect, &[1.0])
    })
}

fn apply(effect: &Effect, answers: &PropertySet) -> Result<(), InstanceError> {
    let clips = effect.clips.read().clone();
    for clip in clips.iter().filter(|clip| clip.is_output() || clip.input().is_some()) {
        let wanted = answers.text(&components_name(clip));
        let components = Components::named(&wanted).filter(|one| clip.supported().contains(one));
        let Some(components) = components else {
            let text = format!("clip {} prefers components {wanted}, which it does not support", clip.name);
            blame_in(&effect.session, Rule::BadAnswer, text);
            return Err(InstanceError::Unfit(format!("clip {}: no components {wanted}", clip.name)));
        };
        let depth = answers.text(&depth_name(clip));
        if depth.as_bytes() != effect.options.depth.name().to_bytes() {
            let text =
                format!("clip {} prefers depth {depth}; this host has one depth for all clips", clip.name);
            blame_in(&effect.session, Rule::BadAnswer, text);
        }
        give(effect, clip, components, answers);
    }
    Ok(())
}

fn give(effect: &Effect, clip: &Clip, components: Components, answers: &PropertySet) {
    if clip.is_output() {
        let wanted = answers.text(kOfxImageEffectPropPreMultiplication);
        let premultiplication = Premultiplication::named(&wanted).unwrap_or(Premultiplication::Opaque);
        clip.properties.put(kOfxImageClipPropConnected, vec![1]);
        clip.put_format(components.name(), effect.options.depth.name(), premultiplication);
    } else {
        clip.properties.put(kOfxImageEffectPropComponents, vec![components.name().to_owned()]);
    }
}
