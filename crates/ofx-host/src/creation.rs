//! What an instance is made of, from what the plug-in described and what it is created with.

use std::sync::Arc;

use openfx_sys::*;

use crate::clip::Clip;
use crate::effect::{Effect, EffectOptions, EffectParts};
use crate::image::Depth;
use crate::instance::{InstanceError, InstanceOptions};
use crate::param::ParamSet;
use crate::plugin::Loaded;
use crate::property::{PropertySet, c_string};
use crate::schemas::{self, ProjectFacts};

pub(crate) fn context_of(plugin: &Loaded, wanted: &str) -> Result<(String, Arc<Effect>), InstanceError> {
    let short = |name: &str| name.trim_start_matches("OfxImageEffectContext").to_owned();
    let found = plugin.contexts.iter().find(|(name, _)| short(name) == short(wanted));
    let there: Vec<&String> = plugin.contexts.keys().collect();
    let unfit = || InstanceError::Unfit(format!("{}: no context {wanted}, there are: {there:?}", plugin.id));
    found.map(|(name, effect)| (name.clone(), effect.clone())).ok_or_else(unfit)
}

pub(crate) fn check_depth(plugin: &Loaded, depth: Depth) -> Result<(), InstanceError> {
    let supported = plugin.descriptor.properties.texts(kOfxImageEffectPropSupportedPixelDepths);
    if supported.iter().any(|name| name.as_bytes() == depth.name().to_bytes()) {
        return Ok(());
    }
    Err(InstanceError::Unfit(format!("{}: no depth {depth:?}, there are: {supported:?}", plugin.id)))
}

pub(crate) fn build(
    plugin: &Loaded,
    context: &str,
    descriptor: Arc<Effect>,
    options: &InstanceOptions,
) -> Result<Arc<Effect>, InstanceError> {
    let (first, last) = (options.project.range.0 as f64, options.project.range.1 as f64);
    let rate = options.project.frame_rate;
    let facts = project_facts(plugin, options)?;
    let described = descriptor.properties.snapshot();
    let properties =
        schemas::instance(&described, &c_string(context), plugin.descriptor.handle.address(), &facts);
    let clips = descriptor.clips.read().clone();
    let clips = clips.iter().map(|clip| {
        Clip::new(&clip.name, schemas::clip_instance(clip.properties.snapshot(), [first, last], rate))
    });
    Ok(Effect::new(EffectParts {
        is_instance: true,
        entry: descriptor.entry,
        session: plugin.host.session.clone(),
        properties: PropertySet::new("effect instance", properties),
        described,
        params: ParamSet::instance(&descriptor.params),
        clips: clips.collect(),
        options: EffectOptions { depth: options.depth, rows: options.rows, range: (first, last) },
    }))
}

fn project_facts(plugin: &Loaded, options: &InstanceOptions) -> Result<ProjectFacts, InstanceError> {
    let project = &options.project;
    let source = kOfxImageEffectSimpleSourceClipName.to_string_lossy();
    let input = options.inputs.get_key_value(source.as_ref()).or_else(|| options.inputs.first_key_value());
    let size = match (project.size, input) {
        (Some(size), _) => size,
        (None, Some((clip, input))) => {
            let format = input.source.format(input.range().0);
            format.map_err(|source| InstanceError::Source { clip: clip.clone(), source })?
        }
        (None, None) => (1920, 1080),
    };
    Ok(ProjectFacts {
        size: [size.0 as f64, size.1 as f64],
        offset: [f64::from(project.offset.0), f64::from(project.offset.1)],
        duration: (project.range.1 - project.range.0 + 1) as f64,
        frame_rate: project.frame_rate,
        interactive: plugin.host.is_interactive(),
    })
}

pub(crate) fn check_mandatory_clips(effect: &Effect) -> Result<(), InstanceError> {
    let clips = effect.clips.read().clone();
    let missing =
        clips.iter().find(|clip| !clip.is_output() && !clip.is_optional() && clip.input().is_none());
    match missing {
        Some(clip) => Err(InstanceError::Unfit(format!("clip {} has to be connected", clip.name))),
        None => Ok(()),
    }
}
