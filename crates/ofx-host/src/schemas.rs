//! The property sets of the standard: host, plug-in, instance, clips.

use openfx_sys::*;

use crate::host::HostOptions;
use crate::property::{Access, Properties};
use crate::schema::Schema;

/// What the host says about itself.
pub(crate) fn host(options: &HostOptions) -> Properties {
    Schema::new(Access::Read)
        .constant(kOfxPropType, kOfxTypeImageEffectHost)
        .texts(kOfxPropName, &["org.openfx.ofx-run"])
        .texts(kOfxPropLabel, &["ofx-run"])
        .list_of_ints(kOfxPropVersion, &[1, 0, 0])
        .list_of_ints(kOfxPropAPIVersion, &[1, 4])
        .texts(kOfxPropVersionLabel, &[env!("CARGO_PKG_VERSION")])
        .ints(kOfxImageEffectHostPropIsBackground, &[i32::from(options.background)])
        .ints(kOfxImageEffectPropSupportsOverlays, &[0])
        .ints(kOfxImageEffectPropSupportsMultiResolution, &[1])
        .ints(kOfxImageEffectPropSupportsTiles, &[0])
        .ints(kOfxImageEffectPropTemporalClipAccess, &[1])
        .ints(kOfxImageEffectPropSupportsMultipleClipDepths, &[0])
        .ints(kOfxImageEffectPropSupportsMultipleClipPARs, &[0])
        .ints(kOfxImageEffectPropSetableFrameRate, &[0])
        .ints(kOfxImageEffectPropSetableFielding, &[0])
        .ints(kOfxImageEffectInstancePropSequentialRender, &[0])
        .ints(kOfxImageEffectPropRenderQualityDraft, &[0])
        .constant(kOfxImageEffectHostPropNativeOrigin, kOfxHostNativeOriginBottomLeft)
        .list_of_constants(
            kOfxImageEffectPropSupportedComponents,
            &[kOfxImageComponentRGBA, kOfxImageComponentRGB, kOfxImageComponentAlpha],
        )
        .list_of_constants(
            kOfxImageEffectPropSupportedContexts,
            &[kOfxImageEffectContextFilter, kOfxImageEffectContextGeneral],
        )
        .list_of_constants(
            kOfxImageEffectPropSupportedPixelDepths,
            &[kOfxBitDepthByte, kOfxBitDepthShort, kOfxBitDepthHalf, kOfxBitDepthFloat],
        )
        .ints(kOfxParamHostPropSupportsCustomAnimation, &[0])
        .ints(kOfxParamHostPropSupportsStringAnimation, &[0])
        .ints(kOfxParamHostPropSupportsBooleanAnimation, &[1])
        .ints(kOfxParamHostPropSupportsChoiceAnimation, &[1])
        .ints(kOfxParamHostPropSupportsStrChoice, &[1])
        .ints(kOfxParamHostPropSupportsStrChoiceAnimation, &[0])
        .ints(kOfxParamHostPropSupportsCustomInteract, &[0])
        .ints(kOfxParamHostPropMaxParameters, &[-1])
        .ints(kOfxParamHostPropMaxPages, &[0])
        .ints(kOfxParamHostPropPageRowColumnCount, &[0, 0])
        .pointer(kOfxPropHostOSHandle)
        .properties()
}

/// What a plug-in describes of itself.
pub(crate) fn plugin_descriptor(file_path: &str) -> Properties {
    Schema::new(Access::Read)
        .constant(kOfxPropType, kOfxTypeImageEffect)
        .texts(kOfxPluginPropFilePath, &[file_path])
        .access(Access::Describe)
        .texts(kOfxPropLabel, &[""])
        .texts(kOfxPropShortLabel, &[""])
        .texts(kOfxPropLongLabel, &[""])
        .texts(kOfxPropIcon, &["", ""])
        .list_of_ints(kOfxPropVersion, &[0])
        .texts(kOfxPropVersionLabel, &[""])
        .texts(kOfxPropPluginDescription, &[""])
        .texts(kOfxImageEffectPluginPropGrouping, &[""])
        .list_of_texts(kOfxImageEffectPropSupportedContexts)
        .list_of_texts(kOfxImageEffectPropSupportedPixelDepths)
        .ints(kOfxImageEffectPluginPropSingleInstance, &[0])
        .constant(kOfxImageEffectPluginRenderThreadSafety, kOfxImageEffectRenderInstanceSafe)
        .ints(kOfxImageEffectPluginPropHostFrameThreading, &[0])
        .ints(kOfxImageEffectPropSupportsMultiResolution, &[1])
        .ints(kOfxImageEffectPropSupportsTiles, &[1])
        .ints(kOfxImageEffectPropTemporalClipAccess, &[0])
        .ints(kOfxImageEffectPropSupportsMultipleClipDepths, &[0])
        .ints(kOfxImageEffectPropSupportsMultipleClipPARs, &[0])
        .ints(kOfxImageEffectPluginPropFieldRenderTwiceAlways, &[1])
        .ints(kOfxImageEffectInstancePropSequentialRender, &[0])
        .list_of_texts(kOfxImageEffectPropClipPreferencesSlaveParam)
        .ints(kOfxImageEffectPluginPropObsolete, &[0])
        .texts(kOfxImageEffectPropNoSpatialAwareness, &["false"])
        .pointer(kOfxImageEffectPluginPropOverlayInteractV1)
        .pointer(kOfxImageEffectPluginPropOverlayInteractV2)
        .texts(kOfxImageEffectPropCPURenderSupported, &["true"])
        .texts(kOfxImageEffectPropOpenGLRenderSupported, &["false"])
        .list_of_texts(kOfxOpenGLPropPixelDepth)
        .texts(kOfxImageEffectPropCudaRenderSupported, &["false"])
        .texts(kOfxImageEffectPropCudaStreamSupported, &["false"])
        .texts(kOfxImageEffectPropMetalRenderSupported, &["false"])
        .texts(kOfxImageEffectPropOpenCLRenderSupported, &["false"])
        .texts(kOfxImageEffectPropOpenCLSupported, &["false"])
        .constant(kOfxImageEffectPropColourManagementStyle, kOfxImageEffectColourManagementNone)
        .list_of_texts(kOfxImageEffectPropColourManagementAvailableConfigs)
        .properties()
}

/// Sizes and times of the project an instance lives in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProjectFacts {
    pub(crate) size: [f64; 2],
    pub(crate) offset: [f64; 2],
    pub(crate) duration: f64,
    pub(crate) frame_rate: f64,
    pub(crate) interactive: bool,
}

/// An instance's own properties.
pub(crate) fn instance(
    descriptor: &Properties,
    context: &std::ffi::CStr,
    plugin_handle: usize,
    project: &ProjectFacts,
) -> Properties {
    let extent = [project.offset[0] + project.size[0], project.offset[1] + project.size[1]];
    let tiles = descriptor.get(kOfxImageEffectPropSupportsTiles).cloned();
    let mut properties = Schema::new(Access::Read)
        .constant(kOfxPropType, kOfxTypeImageEffectInstance)
        .constant(kOfxImageEffectPropContext, context)
        .doubles(kOfxImageEffectPropProjectSize, &project.size)
        .doubles(kOfxImageEffectPropProjectOffset, &project.offset)
        .doubles(kOfxImageEffectPropProjectExtent, &extent)
        .doubles(kOfxImageEffectPropProjectPixelAspectRatio, &[1.0])
        .doubles(kOfxImageEffectInstancePropEffectDuration, &[project.duration])
        .doubles(kOfxImageEffectPropFrameRate, &[project.frame_rate])
        .ints(kOfxPropIsInteractive, &[i32::from(project.interactive)])
        .pointer(kOfxImageEffectPropPluginHandle)
        .access(Access::Edit)
        .ints(kOfxImageEffectInstancePropSequentialRender, &[0])
        .ints(kOfxImageEffectPropSupportsTiles, &[1])
        .access(Access::Write)
        .pointer(kOfxPropInstanceData)
        .properties();
    if let (Some(tiles), Some(mine)) = (tiles, properties.get_mut(kOfxImageEffectPropSupportsTiles)) {
        mine.values = tiles.values;
    }
    if let Some(handle) = properties.get_mut(kOfxImageEffectPropPluginHandle) {
        handle.values = crate::property::Values::Pointers(vec![crate::property::Address(plugin_handle)]);
    }
    properties
}

/// What a plug-in describes of a clip.
pub(crate) fn clip_descriptor(name: &str) -> Properties {
    Schema::new(Access::Read)
        .constant(kOfxPropType, kOfxTypeClip)
        .texts(kOfxPropName, &[name])
        .access(Access::Describe)
        .texts(kOfxPropLabel, &[name])
        .texts(kOfxPropShortLabel, &[name])
        .texts(kOfxPropLongLabel, &[name])
        .list_of_texts(kOfxImageEffectPropSupportedComponents)
        .ints(kOfxImageEffectPropTemporalClipAccess, &[0])
        .ints(kOfxImageClipPropOptional, &[0])
        .ints(kOfxImageClipPropIsMask, &[0])
        .constant(kOfxImageClipPropFieldExtraction, kOfxImageFieldDoubled)
        .ints(kOfxImageEffectPropSupportsTiles, &[1])
        .properties()
}

/// A clip of an instance, before anything is connected.
pub(crate) fn clip_instance(descriptor: Properties, frame_range: [f64; 2], frame_rate: f64) -> Properties {
    Schema::from(descriptor)
        .frozen()
        .ints(kOfxImageClipPropConnected, &[0])
        .constant(kOfxImageEffectPropPixelDepth, kOfxBitDepthNone)
        .constant(kOfxImageEffectPropComponents, kOfxImageComponentNone)
        .constant(kOfxImageClipPropUnmappedPixelDepth, kOfxBitDepthNone)
        .constant(kOfxImageClipPropUnmappedComponents, kOfxImageComponentNone)
        .constant(kOfxImageEffectPropPreMultiplication, kOfxImageOpaque)
        .doubles(kOfxImagePropPixelAspectRatio, &[1.0])
        .doubles(kOfxImageEffectPropFrameRate, &[frame_rate])
        .doubles(kOfxImageEffectPropUnmappedFrameRate, &[frame_rate])
        .doubles(kOfxImageEffectPropFrameRange, &frame_range)
        .doubles(kOfxImageEffectPropUnmappedFrameRange, &frame_range)
        .constant(kOfxImageClipPropFieldOrder, kOfxImageFieldNone)
        .ints(kOfxImageClipPropContinuousSamples, &[0])
        .properties()
}

/// The parameter set's own properties.
pub(crate) fn param_set(access: Access) -> Properties {
    Schema::new(access)
        .list_of_texts(kOfxPluginPropParamPageOrder)
        .access(Access::Write)
        .ints(kOfxPropParamSetNeedsSyncing, &[0])
        .properties()
}
