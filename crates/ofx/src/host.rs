//! What the host says about itself.

use std::ffi::CStr;

use openfx_sys as sys;

use crate::suites::MessageSuite;
use crate::{Components, Context, Depth, PropertySet};

/// A host's description, read once when the plug-in is loaded. What a host does not say is false,
/// empty or 0.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Unique name, such as `uk.co.thefoundry.nuke`.
    pub name: String,
    /// Name for people.
    pub label: String,
    /// Version, most significant part first.
    pub version: Vec<i32>,
    /// Version for people.
    pub version_label: String,
    /// Version of the OpenFX interface; empty means 1.0.
    pub api_version: Vec<i32>,
    /// True for a renderer without an interface.
    pub is_background: bool,
    /// Contexts effects can be used in.
    pub contexts: Vec<Context>,
    /// Components it can pass.
    pub components: Vec<Components>,
    /// Depths it can pass.
    pub depths: Vec<Depth>,
    /// Draws overlays.
    pub overlays: bool,
    /// Passes images of different sizes.
    pub multi_resolution: bool,
    /// Renders in tiles.
    pub tiles: bool,
    /// Fetches images at other times than the one rendered.
    pub temporal_access: bool,
    /// Clips may differ in depth.
    pub multiple_clip_depths: bool,
    /// Clips may differ in pixel aspect ratio.
    pub multiple_clip_pars: bool,
    /// Effects may set the frame rate.
    pub setable_frame_rate: bool,
    /// Effects may set the fielding.
    pub setable_fielding: bool,
    /// Keeps to the order of frames if asked to.
    pub sequential_render: bool,
    /// Animates strings.
    pub string_animation: bool,
    /// Animates choices.
    pub choice_animation: bool,
    /// Animates booleans.
    pub boolean_animation: bool,
    /// Draws interacts in place of parameters.
    pub custom_interact: bool,
    /// Most parameters an effect may have; -1 or 0 is no limit.
    pub max_parameters: i32,
    /// Most pages an effect may have; -1 or 0 is no limit.
    pub max_pages: i32,
    /// Rows and columns of a page.
    pub page_rows_columns: [i32; 2],
    /// Shows the progress of long work.
    pub has_progress: bool,
    /// Shows messages.
    pub has_message: bool,
    /// Shows messages that stay on the node.
    pub has_persistent_message: bool,
    /// Tells and sets the current time.
    pub has_time_line: bool,
    /// Tells how many processors to use.
    pub has_multi_thread: bool,
}

impl Host {
    pub(crate) fn read(props: PropertySet<'_>) -> Self {
        let suites = props.suites();
        let flag = |name| props.flag_or(name, false);
        Self {
            name: props.string_or_empty(sys::kOfxPropName),
            label: props.string_or_empty(sys::kOfxPropLabel),
            version: ints(props, sys::kOfxPropVersion),
            version_label: props.string_or_empty(sys::kOfxPropVersionLabel),
            api_version: ints(props, sys::kOfxPropAPIVersion),
            is_background: flag(sys::kOfxImageEffectHostPropIsBackground),
            contexts: words(props, sys::kOfxImageEffectPropSupportedContexts, Context::from_word),
            components: words(props, sys::kOfxImageEffectPropSupportedComponents, Components::from_word),
            depths: words(props, sys::kOfxImageEffectPropSupportedPixelDepths, Depth::from_word),
            overlays: flag(sys::kOfxImageEffectPropSupportsOverlays),
            multi_resolution: flag(sys::kOfxImageEffectPropSupportsMultiResolution),
            tiles: flag(sys::kOfxImageEffectPropSupportsTiles),
            temporal_access: flag(sys::kOfxImageEffectPropTemporalClipAccess),
            multiple_clip_depths: flag(sys::kOfxImageEffectPropSupportsMultipleClipDepths),
            multiple_clip_pars: flag(sys::kOfxImageEffectPropSupportsMultipleClipPARs),
            setable_frame_rate: flag(sys::kOfxImageEffectPropSetableFrameRate),
            setable_fielding: flag(sys::kOfxImageEffectPropSetableFielding),
            sequential_render: flag(sys::kOfxImageEffectInstancePropSequentialRender),
            string_animation: flag(sys::kOfxParamHostPropSupportsStringAnimation),
            choice_animation: flag(sys::kOfxParamHostPropSupportsChoiceAnimation),
            boolean_animation: flag(sys::kOfxParamHostPropSupportsBooleanAnimation),
            custom_interact: flag(sys::kOfxParamHostPropSupportsCustomInteract),
            max_parameters: props.int_or(sys::kOfxParamHostPropMaxParameters, 0),
            max_pages: props.int_or(sys::kOfxParamHostPropMaxPages, 0),
            page_rows_columns: props.ints(sys::kOfxParamHostPropPageRowColumnCount).unwrap_or_default(),
            has_progress: suites.progress.is_some(),
            has_message: suites.message.is_some(),
            has_persistent_message: matches!(suites.message, Some(MessageSuite::V2(_))),
            has_time_line: suites.time_line.is_some(),
            has_multi_thread: suites.multi_thread.is_some(),
        }
    }

    /// True if the host says it knows a depth, or says nothing about depths.
    #[must_use]
    pub fn supports_depth(&self, depth: Depth) -> bool {
        self.depths.is_empty() || self.depths.contains(&depth)
    }
}

fn ints(props: PropertySet<'_>, name: &CStr) -> Vec<i32> {
    let count = i32::try_from(props.dimension(name).unwrap_or(0)).unwrap_or(0);
    (0..count).map_while(|index| props.int(name, index).ok()).collect()
}

fn words<T>(props: PropertySet<'_>, name: &CStr, parse: fn(&str) -> Option<T>) -> Vec<T> {
    props.strings(name).iter().filter_map(|word| parse(word)).collect()
}
