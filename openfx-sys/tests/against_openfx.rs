//! Every constant and struct of the bindings against the crate `openfx`, an independent source.
#![allow(missing_docs)]

use std::any::type_name;
use std::ffi::CStr;
use std::mem::{align_of, offset_of, size_of};

use openfx_sys as ours;

/// The other crate keeps one module per official header.
mod theirs {
    pub use openfx::sys::generic::{core::*, property::*};
    pub use openfx::sys::image_effect_v1::{
        colour::*, gpu_render::*, image_effect::*, interact::*, key_syms::*, memory::*, message::*,
        multi_thread::*, param::*, progress::*, time_line::*,
    };
}

/// Numbers differ in type between the two (u32, i32), strings do not.
trait Value {
    fn text(&self) -> String;
}

impl Value for &CStr {
    fn text(&self) -> String {
        format!("{self:?}")
    }
}

impl Value for i32 {
    fn text(&self) -> String {
        self.to_string()
    }
}

impl Value for u32 {
    fn text(&self) -> String {
        self.to_string()
    }
}

/// The type a struct's field has, without the paths in which the two crates differ.
fn field_type<S, F>(_field: impl Fn(&S) -> &F) -> String {
    let mut shortened = String::new();
    for word in type_name::<F>().split_inclusive(|c: char| !c.is_alphanumeric() && c != '_' && c != ':') {
        shortened.push_str(word.rsplit("::").next().unwrap_or(word));
    }
    shortened
}

macro_rules! constants {
    ($($name:ident)*) => {
        const CONSTANTS: &[&str] = &[$(stringify!($name)),*];

        #[test]
        fn constants_have_the_standards_values() {
            $(assert_eq!(ours::$name.text(), theirs::$name.text(), stringify!($name));)*
        }
    };
}

macro_rules! structs {
    ($($name:ident { $($field:ident)* })*) => {
        const STRUCTS: &[(&str, &[&str])] = &[$((stringify!($name), &[$(stringify!($field)),*])),*];

        #[test]
        fn structs_have_the_standards_layout() {$(
            let name = stringify!($name);
            assert_eq!(size_of::<ours::$name>(), size_of::<theirs::$name>(), "size of {name}");
            assert_eq!(align_of::<ours::$name>(), align_of::<theirs::$name>(), "alignment of {name}");
            $(
                let field = concat!(stringify!($name), ".", stringify!($field));
                let offsets = (offset_of!(ours::$name, $field), offset_of!(theirs::$name, $field));
                assert_eq!(offsets.0, offsets.1, "offset of {field}");
                let ours = field_type(|s: &ours::$name| &s.$field);
                assert_eq!(ours, field_type(|s: &theirs::$name| &s.$field), "type of {field}");
            )*
        )*}
    };
}

#[test]
fn the_lists_below_leave_nothing_out() {
    let source = include_str!("../src/bindings.rs");
    let declared = |prefix: &'static str| {
        source.lines().filter_map(move |l| l.strip_prefix(prefix)?.split([':', ' ']).next())
    };
    assert_eq!(declared("pub const ").collect::<Vec<_>>(), CONSTANTS);
    let fields: Vec<_> = STRUCTS.iter().flat_map(|(_, fields)| fields.iter().copied()).collect();
    assert_eq!(declared("    pub ").collect::<Vec<_>>(), fields);
    let opaque = source.matches("_unused: [u8; 0],").count();
    assert_eq!(declared("pub struct ").count(), STRUCTS.len() + opaque);
}

structs! {
    OfxRangeI { min max }
    OfxRangeD { min max }
    OfxPointI { x y }
    OfxPointD { x y }
    OfxRectI { x1 y1 x2 y2 }
    OfxRectD { x1 y1 x2 y2 }
    OfxHost { host fetchSuite }
    OfxPlugin {
        pluginApi apiVersion pluginIdentifier pluginVersionMajor pluginVersionMinor setHost mainEntry
    }
    OfxPropertySuiteV1 {
        propSetPointer propSetString propSetDouble propSetInt propSetPointerN propSetStringN propSetDoubleN
        propSetIntN propGetPointer propGetString propGetDouble propGetInt propGetPointerN propGetStringN
        propGetDoubleN propGetIntN propReset propGetDimension
    }
    OfxBytes { data length }
    OfxParameterSuiteV1 {
        paramDefine paramGetHandle paramSetGetPropertySet paramGetPropertySet paramGetValue
        paramGetValueAtTime paramGetDerivative paramGetIntegral paramSetValue paramSetValueAtTime
        paramGetNumKeys paramGetKeyTime paramGetKeyIndex paramDeleteKey paramDeleteAllKeys paramCopy
        paramEditBegin paramEditEnd
    }
    OfxImageEffectSuiteV1 {
        getPropertySet getParamSet clipDefine clipGetHandle clipGetPropertySet clipGetImage
        clipReleaseImage clipGetRegionOfDefinition abort imageMemoryAlloc imageMemoryFree imageMemoryLock
        imageMemoryUnlock
    }
    OfxInteractSuiteV1 { interactSwapBuffers interactRedraw interactGetPropertySet }
    OfxMemorySuiteV1 { memoryAlloc memoryFree }
    OfxMessageSuiteV1 { message }
    OfxMessageSuiteV2 { message setPersistentMessage clearPersistentMessage }
    OfxMultiThreadSuiteV1 {
        multiThread multiThreadNumCPUs multiThreadIndex multiThreadIsSpawnedThread mutexCreate mutexDestroy
        mutexLock mutexUnLock mutexTryLock
    }
    OfxProgressSuiteV1 { progressStart progressUpdate progressEnd }
    OfxProgressSuiteV2 { progressStart progressUpdate progressEnd }
    OfxTimeLineSuiteV1 { getTime gotoTime getTimeBounds }
}

constants! {
    kOfxStatOK kOfxStatFailed kOfxStatErrFatal kOfxStatErrUnknown kOfxStatErrMissingHostFeature
    kOfxStatErrUnsupported kOfxStatErrExists kOfxStatErrFormat kOfxStatErrMemory kOfxStatErrBadHandle
    kOfxStatErrBadIndex kOfxStatErrValue kOfxStatReplyYes kOfxStatReplyNo kOfxStatReplyDefault
    kOfxStatUnlicensed kOfxStatErrImageFormat kOfxStatGPUOutOfMemory kOfxStatGLOutOfMemory
    kOfxStatGPURenderFailed kOfxStatGLRenderFailed kOfxActionLoad kOfxActionDescribe kOfxActionUnload
    kOfxActionPurgeCaches kOfxActionSyncPrivateData kOfxActionCreateInstance kOfxActionDestroyInstance
    kOfxActionInstanceChanged kOfxActionBeginInstanceChanged kOfxActionEndInstanceChanged
    kOfxActionBeginInstanceEdit kOfxActionEndInstanceEdit kOfxPropAPIVersion kOfxPropTime
    kOfxPropIsInteractive kOfxPluginPropFilePath kOfxPropInstanceData kOfxPropType kOfxPropName
    kOfxPropVersion kOfxPropVersionLabel kOfxPropPluginDescription kOfxPropLabel kOfxPropIcon
    kOfxPropShortLabel kOfxPropLongLabel kOfxPropChangeReason kOfxPropEffectInstance kOfxPropHostOSHandle
    kOfxChangeUserEdited kOfxChangePluginEdited kOfxChangeTime kOfxFlagInfiniteMax kOfxFlagInfiniteMin
    kOfxBitDepthNone kOfxBitDepthByte kOfxBitDepthShort kOfxBitDepthHalf kOfxBitDepthFloat
    kOfxPropertySuite kOfxParameterSuite kOfxImageEffectSuite kOfxInteractSuite kOfxMemorySuite
    kOfxMessageSuite kOfxMultiThreadSuite kOfxProgressSuite kOfxTimeLineSuite kOfxTypeParameter
    kOfxTypeParameterInstance kOfxParamTypeInteger kOfxParamTypeDouble kOfxParamTypeBoolean
    kOfxParamTypeChoice kOfxParamTypeStrChoice kOfxParamTypeRGBA kOfxParamTypeRGB kOfxParamTypeDouble2D
    kOfxParamTypeInteger2D kOfxParamTypeDouble3D kOfxParamTypeInteger3D kOfxParamTypeString
    kOfxParamTypeCustom kOfxParamTypeBytes kOfxParamTypeGroup kOfxParamTypePage kOfxParamTypePushButton
    kOfxParamHostPropSupportsCustomAnimation kOfxParamHostPropSupportsStringAnimation
    kOfxParamHostPropSupportsBooleanAnimation kOfxParamHostPropSupportsChoiceAnimation
    kOfxParamHostPropSupportsCustomInteract kOfxParamHostPropMaxParameters kOfxParamHostPropMaxPages
    kOfxParamHostPropPageRowColumnCount kOfxParamHostPropSupportsStrChoiceAnimation
    kOfxParamHostPropSupportsStrChoice kOfxParamPropInteractV1 kOfxParamPropInteractSize
    kOfxParamPropInteractSizeAspect kOfxParamPropInteractMinimumSize kOfxParamPropInteractPreferedSize
    kOfxParamPropType kOfxParamPropAnimates kOfxParamPropCanUndo kOfxPropParamSetNeedsSyncing
    kOfxParamPropIsAnimating kOfxParamPropPluginMayWrite kOfxParamPropPersistant
    kOfxParamPropEvaluateOnChange kOfxParamPropSecret kOfxParamPropScriptName
    kOfxParamPropCacheInvalidation kOfxParamPropHint kOfxParamPropDefault kOfxParamPropDoubleType
    kOfxParamPropDefaultCoordinateSystem kOfxParamPropHasHostOverlayHandle
    kOfxParamPropUseHostOverlayHandle kOfxParamInterpType kOfxParamPropShowTimeMarker
    kOfxPluginPropParamPageOrder kOfxParamPropPageChild kOfxParamPropParent kOfxParamPropGroupOpen
    kOfxParamPropEnabled kOfxParamPropDataPtr kOfxParamPropChoiceOption kOfxParamPropChoiceOrder
    kOfxParamPropChoiceEnum kOfxParamPropMin kOfxParamPropMax kOfxParamPropDisplayMin
    kOfxParamPropDisplayMax kOfxParamPropIncrement kOfxParamPropDigits kOfxParamPropDimensionLabel
    kOfxParamPropIsAutoKeying kOfxParamPropCustomInterpCallbackV1 kOfxParamPropStringMode
    kOfxParamPropStringFilePathExists kOfxParamPropCustomValue kOfxParamPropInterpolationTime
    kOfxParamPropInterpolationAmount kOfxParamPageSkipRow kOfxParamPageSkipColumn
    kOfxParamInvalidateValueChange kOfxParamInvalidateValueChangeToEnd kOfxParamInvalidateAll
    kOfxParamDoubleTypePlain kOfxParamDoubleTypeScale kOfxParamDoubleTypeAngle kOfxParamDoubleTypeTime
    kOfxParamDoubleTypeAbsoluteTime kOfxParamDoubleTypeX kOfxParamDoubleTypeY kOfxParamDoubleTypeXAbsolute
    kOfxParamDoubleTypeYAbsolute kOfxParamDoubleTypeXY kOfxParamDoubleTypeXYAbsolute
    kOfxParamCoordinatesCanonical kOfxParamCoordinatesNormalised kOfxParamInterpTypeConstantStep
    kOfxParamInterpTypeLinear kOfxParamInterpTypeSmooth kOfxParamStringIsSingleLine
    kOfxParamStringIsMultiLine kOfxParamStringIsFilePath kOfxParamStringIsDirectoryPath
    kOfxParamStringIsLabel kOfxParamStringIsRichTextFormat kOfxImageEffectPluginApi
    kOfxImageEffectPluginApiVersion kOfxImageComponentNone kOfxImageComponentRGBA kOfxImageComponentRGB
    kOfxImageComponentAlpha kOfxImageEffectContextGenerator kOfxImageEffectContextFilter
    kOfxImageEffectContextTransition kOfxImageEffectContextPaint kOfxImageEffectContextGeneral
    kOfxImageEffectContextRetimer kOfxTypeImageEffectHost kOfxTypeImageEffect kOfxTypeImageEffectInstance
    kOfxTypeClip kOfxTypeImage kOfxImageEffectActionGetRegionOfDefinition
    kOfxImageEffectActionGetRegionsOfInterest kOfxImageEffectActionGetTimeDomain
    kOfxImageEffectActionGetFramesNeeded kOfxImageEffectActionGetClipPreferences
    kOfxImageEffectActionIsIdentity kOfxImageEffectActionRender kOfxImageEffectActionBeginSequenceRender
    kOfxImageEffectActionEndSequenceRender kOfxImageEffectActionDescribeInContext
    kOfxImageEffectRenderUnsafe kOfxImageEffectRenderInstanceSafe kOfxImageEffectRenderFullySafe
    kOfxHostNativeOriginBottomLeft kOfxHostNativeOriginTopLeft kOfxHostNativeOriginCenter kOfxImageOpaque
    kOfxImagePreMultiplied kOfxImageUnPreMultiplied kOfxImageFieldNone kOfxImageFieldLower
    kOfxImageFieldUpper kOfxImageFieldBoth kOfxImageFieldSingle kOfxImageFieldDoubled
    kOfxImageEffectOutputClipName kOfxImageEffectSimpleSourceClipName
    kOfxImageEffectTransitionSourceFromClipName kOfxImageEffectTransitionSourceToClipName
    kOfxImageEffectTransitionParamName kOfxImageEffectRetimerParamName kOfxUnlicensedContinue
    kOfxUnlicensedFail kOfxImageEffectHostPropIsBackground kOfxImageEffectPluginPropSingleInstance
    kOfxImageEffectPluginRenderThreadSafety kOfxImageEffectPluginPropHostFrameThreading
    kOfxImageEffectInstancePropSequentialRender kOfxImageEffectHostPropNativeOrigin
    kOfxImageEffectPluginPropGrouping kOfxImageEffectPluginPropObsolete
    kOfxImageEffectPluginPropOverlayInteractV1 kOfxImageEffectPluginPropOverlayInteractV2
    kOfxImageEffectInstancePropEffectDuration kOfxImageEffectPluginPropFieldRenderTwiceAlways
    kOfxImageEffectPropSupportedContexts kOfxImageEffectPropPluginHandle
    kOfxImageEffectPropSupportsMultipleClipDepths kOfxImageEffectPropSupportsMultipleClipPARs
    kOfxImageEffectPropClipPreferencesSlaveParam kOfxImageEffectPropSetableFrameRate
    kOfxImageEffectPropSetableFielding kOfxImageEffectPropSequentialRenderStatus
    kOfxImageEffectPropInteractiveRenderStatus kOfxImageEffectPropSupportsOverlays
    kOfxImageEffectPropSupportsMultiResolution kOfxImageEffectPropSupportsTiles
    kOfxImageEffectPropTemporalClipAccess kOfxImageEffectPropContext kOfxImageEffectPropPixelDepth
    kOfxImageEffectPropComponents kOfxImageEffectPropPreMultiplication
    kOfxImageEffectPropSupportedPixelDepths kOfxImageEffectPropSupportedComponents
    kOfxImageEffectPropFrameRate kOfxImageEffectPropUnmappedFrameRate kOfxImageEffectPropFrameStep
    kOfxImageEffectPropFrameRange kOfxImageEffectPropUnmappedFrameRange kOfxImageEffectFrameVarying
    kOfxImageEffectPropRenderScale kOfxImageEffectPropRenderQualityDraft
    kOfxImageEffectPropNoSpatialAwareness kOfxImageEffectPropThumbnailRender
    kOfxImageEffectPropProjectExtent kOfxImageEffectPropProjectSize kOfxImageEffectPropProjectOffset
    kOfxImageEffectPropProjectPixelAspectRatio kOfxImageEffectPropFieldToRender
    kOfxImageEffectPropRegionOfDefinition kOfxImageEffectPropRegionOfInterest
    kOfxImageEffectPropRenderWindow kOfxImageEffectPropBehaviourWhenUnlicensed
    kOfxImageClipPropContinuousSamples kOfxImageClipPropUnmappedPixelDepth
    kOfxImageClipPropUnmappedComponents kOfxImageClipPropOptional kOfxImageClipPropIsMask
    kOfxImageClipPropConnected kOfxImageClipPropFieldOrder kOfxImageClipPropFieldExtraction
    kOfxImagePropUniqueIdentifier kOfxImagePropPixelAspectRatio kOfxImagePropData kOfxImagePropBounds
    kOfxImagePropRegionOfDefinition kOfxImagePropRowBytes kOfxImagePropField
    kOfxImageEffectPropOpenGLRenderSupported kOfxOpenGLPropPixelDepth kOfxImageEffectPropOpenGLEnabled
    kOfxImageEffectPropOpenGLTextureIndex kOfxImageEffectPropOpenGLTextureTarget
    kOfxImageEffectPropCPURenderSupported kOfxActionOpenGLContextAttached kOfxActionOpenGLContextDetached
    kOfxImageEffectPropCudaRenderSupported kOfxImageEffectPropCudaEnabled
    kOfxImageEffectPropCudaStreamSupported kOfxImageEffectPropCudaStream
    kOfxImageEffectPropMetalRenderSupported kOfxImageEffectPropMetalEnabled
    kOfxImageEffectPropMetalCommandQueue kOfxImageEffectPropOpenCLRenderSupported
    kOfxImageEffectPropOpenCLSupported kOfxImageEffectPropOpenCLEnabled
    kOfxImageEffectPropOpenCLCommandQueue kOfxImageEffectPropOpenCLImage
    kOfxImageEffectPropColourManagementStyle kOfxImageEffectColourManagementNone
    kOfxImageEffectColourManagementBasic kOfxImageEffectColourManagementCore
    kOfxImageEffectColourManagementFull kOfxImageEffectColourManagementOCIO
    kOfxImageEffectPropColourManagementAvailableConfigs kOfxImageEffectPropColourManagementConfig
    kOfxImageEffectPropOCIOConfig kOfxImageClipPropColourspace kOfxImageClipPropPreferredColourspaces
    kOfxImageEffectPropDisplayColourspace kOfxImageEffectPropOCIODisplay kOfxImageEffectPropOCIOView
    kOfxImageEffectActionGetOutputColourspace kOfxInteractPropSlaveToParam kOfxInteractPropPixelScale
    kOfxInteractPropBackgroundColour kOfxInteractPropSuggestedColour kOfxInteractPropPenPosition
    kOfxInteractPropPenViewportPosition kOfxInteractPropPenPressure kOfxInteractPropBitDepth
    kOfxInteractPropHasAlpha kOfxPropKeySym kOfxPropKeyString kOfxInteractActionDraw
    kOfxInteractActionPenMotion kOfxInteractActionPenDown kOfxInteractActionPenUp kOfxInteractActionKeyDown
    kOfxInteractActionKeyUp kOfxInteractActionKeyRepeat kOfxInteractActionGainFocus
    kOfxInteractActionLoseFocus kOfxMessageFatal kOfxMessageError kOfxMessageWarning kOfxMessageMessage
    kOfxMessageLog kOfxMessageQuestion
}
