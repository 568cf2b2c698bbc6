//! The OpenFX C interface, generated from `include/openfx_abi.h` by `cargo xtask bindings`.

pub const kOfxStatOK: i32 = 0;
pub const kOfxStatFailed: i32 = 1;
pub const kOfxStatErrFatal: i32 = 2;
pub const kOfxStatErrUnknown: i32 = 3;
pub const kOfxStatErrMissingHostFeature: i32 = 4;
pub const kOfxStatErrUnsupported: i32 = 5;
pub const kOfxStatErrExists: i32 = 6;
pub const kOfxStatErrFormat: i32 = 7;
pub const kOfxStatErrMemory: i32 = 8;
pub const kOfxStatErrBadHandle: i32 = 9;
pub const kOfxStatErrBadIndex: i32 = 10;
pub const kOfxStatErrValue: i32 = 11;
pub const kOfxStatReplyYes: i32 = 12;
pub const kOfxStatReplyNo: i32 = 13;
pub const kOfxStatReplyDefault: i32 = 14;
pub const kOfxStatUnlicensed: i32 = 15;
pub const kOfxStatErrImageFormat: i32 = 1000;
pub const kOfxStatGPUOutOfMemory: i32 = 1001;
pub const kOfxStatGLOutOfMemory: i32 = 1001;
pub const kOfxStatGPURenderFailed: i32 = 1002;
pub const kOfxStatGLRenderFailed: i32 = 1002;
pub const kOfxActionLoad: &::std::ffi::CStr = c"OfxActionLoad";
pub const kOfxActionDescribe: &::std::ffi::CStr = c"OfxActionDescribe";
pub const kOfxActionUnload: &::std::ffi::CStr = c"OfxActionUnload";
pub const kOfxActionPurgeCaches: &::std::ffi::CStr = c"OfxActionPurgeCaches";
pub const kOfxActionSyncPrivateData: &::std::ffi::CStr = c"OfxActionSyncPrivateData";
pub const kOfxActionCreateInstance: &::std::ffi::CStr = c"OfxActionCreateInstance";
pub const kOfxActionDestroyInstance: &::std::ffi::CStr = c"OfxActionDestroyInstance";
pub const kOfxActionInstanceChanged: &::std::ffi::CStr = c"OfxActionInstanceChanged";
pub const kOfxActionBeginInstanceChanged: &::std::ffi::CStr = c"OfxActionBeginInstanceChanged";
pub const kOfxActionEndInstanceChanged: &::std::ffi::CStr = c"OfxActionEndInstanceChanged";
pub const kOfxActionBeginInstanceEdit: &::std::ffi::CStr = c"OfxActionBeginInstanceEdit";
pub const kOfxActionEndInstanceEdit: &::std::ffi::CStr = c"OfxActionEndInstanceEdit";
pub const kOfxPropAPIVersion: &::std::ffi::CStr = c"OfxPropAPIVersion";
pub const kOfxPropTime: &::std::ffi::CStr = c"OfxPropTime";
pub const kOfxPropIsInteractive: &::std::ffi::CStr = c"OfxPropIsInteractive";
pub const kOfxPluginPropFilePath: &::std::ffi::CStr = c"OfxPluginPropFilePath";
pub const kOfxPropInstanceData: &::std::ffi::CStr = c"OfxPropInstanceData";
pub const kOfxPropType: &::std::ffi::CStr = c"OfxPropType";
pub const kOfxPropName: &::std::ffi::CStr = c"OfxPropName";
pub const kOfxPropVersion: &::std::ffi::CStr = c"OfxPropVersion";
pub const kOfxPropVersionLabel: &::std::ffi::CStr = c"OfxPropVersionLabel";
pub const kOfxPropPluginDescription: &::std::ffi::CStr = c"OfxPropPluginDescription";
pub const kOfxPropLabel: &::std::ffi::CStr = c"OfxPropLabel";
pub const kOfxPropIcon: &::std::ffi::CStr = c"OfxPropIcon";
pub const kOfxPropShortLabel: &::std::ffi::CStr = c"OfxPropShortLabel";
pub const kOfxPropLongLabel: &::std::ffi::CStr = c"OfxPropLongLabel";
pub const kOfxPropChangeReason: &::std::ffi::CStr = c"OfxPropChangeReason";
pub const kOfxPropEffectInstance: &::std::ffi::CStr = c"OfxPropEffectInstance";
pub const kOfxPropHostOSHandle: &::std::ffi::CStr = c"OfxPropHostOSHandle";
pub const kOfxChangeUserEdited: &::std::ffi::CStr = c"OfxChangeUserEdited";
pub const kOfxChangePluginEdited: &::std::ffi::CStr = c"OfxChangePluginEdited";
pub const kOfxChangeTime: &::std::ffi::CStr = c"OfxChangeTime";
pub const kOfxFlagInfiniteMax: i32 = 2147483647;
pub const kOfxFlagInfiniteMin: i32 = -2147483648;
pub const kOfxBitDepthNone: &::std::ffi::CStr = c"OfxBitDepthNone";
pub const kOfxBitDepthByte: &::std::ffi::CStr = c"OfxBitDepthByte";
pub const kOfxBitDepthShort: &::std::ffi::CStr = c"OfxBitDepthShort";
pub const kOfxBitDepthHalf: &::std::ffi::CStr = c"OfxBitDepthHalf";
pub const kOfxBitDepthFloat: &::std::ffi::CStr = c"OfxBitDepthFloat";
pub const kOfxPropertySuite: &::std::ffi::CStr = c"OfxPropertySuite";
pub const kOfxParameterSuite: &::std::ffi::CStr = c"OfxParameterSuite";
pub const kOfxImageEffectSuite: &::std::ffi::CStr = c"OfxImageEffectSuite";
pub const kOfxInteractSuite: &::std::ffi::CStr = c"OfxInteractSuite";
pub const kOfxMemorySuite: &::std::ffi::CStr = c"OfxMemorySuite";
pub const kOfxMessageSuite: &::std::ffi::CStr = c"OfxMessageSuite";
pub const kOfxMultiThreadSuite: &::std::ffi::CStr = c"OfxMultiThreadSuite";
pub const kOfxProgressSuite: &::std::ffi::CStr = c"OfxProgressSuite";
pub const kOfxTimeLineSuite: &::std::ffi::CStr = c"OfxTimeLineSuite";
pub const kOfxTypeParameter: &::std::ffi::CStr = c"OfxTypeParameter";
pub const kOfxTypeParameterInstance: &::std::ffi::CStr = c"OfxTypeParameterInstance";
pub const kOfxParamTypeInteger: &::std::ffi::CStr = c"OfxParamTypeInteger";
pub const kOfxParamTypeDouble: &::std::ffi::CStr = c"OfxParamTypeDouble";
pub const kOfxParamTypeBoolean: &::std::ffi::CStr = c"OfxParamTypeBoolean";
pub const kOfxParamTypeChoice: &::std::ffi::CStr = c"OfxParamTypeChoice";
pub const kOfxParamTypeStrChoice: &::std::ffi::CStr = c"OfxParamTypeStrChoice";
pub const kOfxParamTypeRGBA: &::std::ffi::CStr = c"OfxParamTypeRGBA";
pub const kOfxParamTypeRGB: &::std::ffi::CStr = c"OfxParamTypeRGB";
pub const kOfxParamTypeDouble2D: &::std::ffi::CStr = c"OfxParamTypeDouble2D";
pub const kOfxParamTypeInteger2D: &::std::ffi::CStr = c"OfxParamTypeInteger2D";
pub const kOfxParamTypeDouble3D: &::std::ffi::CStr = c"OfxParamTypeDouble3D";
pub const kOfxParamTypeInteger3D: &::std::ffi::CStr = c"OfxParamTypeInteger3D";
pub const kOfxParamTypeString: &::std::ffi::CStr = c"OfxParamTypeString";
pub const kOfxParamTypeCustom: &::std::ffi::CStr = c"OfxParamTypeCustom";
pub const kOfxParamTypeBytes: &::std::ffi::CStr = c"OfxParamTypeBytes";
pub const kOfxParamTypeGroup: &::std::ffi::CStr = c"OfxParamTypeGroup";
pub const kOfxParamTypePage: &::std::ffi::CStr = c"OfxParamTypePage";
pub const kOfxParamTypePushButton: &::std::ffi::CStr = c"OfxParamTypePushButton";
pub const kOfxParamHostPropSupportsCustomAnimation: &::std::ffi::CStr =
    c"OfxParamHostPropSupportsCustomAnimation";
pub const kOfxParamHostPropSupportsStringAnimation: &::std::ffi::CStr =
    c"OfxParamHostPropSupportsStringAnimation";
pub const kOfxParamHostPropSupportsBooleanAnimation: &::std::ffi::CStr =
    c"OfxParamHostPropSupportsBooleanAnimation";
pub const kOfxParamHostPropSupportsChoiceAnimation: &::std::ffi::CStr =
    c"OfxParamHostPropSupportsChoiceAnimation";
pub const kOfxParamHostPropSupportsCustomInteract: &::std::ffi::CStr =
    c"OfxParamHostPropSupportsCustomInteract";
pub const kOfxParamHostPropMaxParameters: &::std::ffi::CStr = c"OfxParamHostPropMaxParameters";
pub const kOfxParamHostPropMaxPages: &::std::ffi::CStr = c"OfxParamHostPropMaxPages";
pub const kOfxParamHostPropPageRowColumnCount: &::std::ffi::CStr = c"OfxParamHostPropPageRowColumnCount";
pub const kOfxParamHostPropSupportsStrChoiceAnimation: &::std::ffi::CStr =
    c"OfxParamHostPropSupportsStrChoiceAnimation";
pub const kOfxParamHostPropSupportsStrChoice: &::std::ffi::CStr = c"OfxParamHostPropSupportsStrChoice";
pub const kOfxParamPropInteractV1: &::std::ffi::CStr = c"OfxParamPropInteractV1";
pub const kOfxParamPropInteractSize: &::std::ffi::CStr = c"OfxParamPropInteractSize";
pub const kOfxParamPropInteractSizeAspect: &::std::ffi::CStr = c"OfxParamPropInteractSizeAspect";
pub const kOfxParamPropInteractMinimumSize: &::std::ffi::CStr = c"OfxParamPropInteractMinimumSize";
pub const kOfxParamPropInteractPreferedSize: &::std::ffi::CStr = c"OfxParamPropInteractPreferedSize";
pub const kOfxParamPropType: &::std::ffi::CStr = c"OfxParamPropType";
pub const kOfxParamPropAnimates: &::std::ffi::CStr = c"OfxParamPropAnimates";
pub const kOfxParamPropCanUndo: &::std::ffi::CStr = c"OfxParamPropCanUndo";
pub const kOfxPropParamSetNeedsSyncing: &::std::ffi::CStr = c"OfxPropParamSetNeedsSyncing";
pub const kOfxParamPropIsAnimating: &::std::ffi::CStr = c"OfxParamPropIsAnimating";
pub const kOfxParamPropPluginMayWrite: &::std::ffi::CStr = c"OfxParamPropPluginMayWrite";
pub const kOfxParamPropPersistant: &::std::ffi::CStr = c"OfxParamPropPersistant";
pub const kOfxParamPropEvaluateOnChange: &::std::ffi::CStr = c"OfxParamPropEvaluateOnChange";
pub const kOfxParamPropSecret: &::std::ffi::CStr = c"OfxParamPropSecret";
pub const kOfxParamPropScriptName: &::std::ffi::CStr = c"OfxParamPropScriptName";
pub const kOfxParamPropCacheInvalidation: &::std::ffi::CStr = c"OfxParamPropCacheInvalidation";
pub const kOfxParamPropHint: &::std::ffi::CStr = c"OfxParamPropHint";
pub const kOfxParamPropDefault: &::std::ffi::CStr = c"OfxParamPropDefault";
pub const kOfxParamPropDoubleType: &::std::ffi::CStr = c"OfxParamPropDoubleType";
pub const kOfxParamPropDefaultCoordinateSystem: &::std::ffi::CStr = c"OfxParamPropDefaultCoordinateSystem";
pub const kOfxParamPropHasHostOverlayHandle: &::std::ffi::CStr = c"OfxParamPropHasHostOverlayHandle";
pub const kOfxParamPropUseHostOverlayHandle: &::std::ffi::CStr = c"kOfxParamPropUseHostOverlayHandle";
pub const kOfxParamInterpType: &::std::ffi::CStr = c"OfxParamInterpType";
pub const kOfxParamPropShowTimeMarker: &::std::ffi::CStr = c"OfxParamPropShowTimeMarker";
pub const kOfxPluginPropParamPageOrder: &::std::ffi::CStr = c"OfxPluginPropParamPageOrder";
pub const kOfxParamPropPageChild: &::std::ffi::CStr = c"OfxParamPropPageChild";
pub const kOfxParamPropParent: &::std::ffi::CStr = c"OfxParamPropParent";
pub const kOfxParamPropGroupOpen: &::std::ffi::CStr = c"OfxParamPropGroupOpen";
pub const kOfxParamPropEnabled: &::std::ffi::CStr = c"OfxParamPropEnabled";
pub const kOfxParamPropDataPtr: &::std::ffi::CStr = c"OfxParamPropDataPtr";
pub const kOfxParamPropChoiceOption: &::std::ffi::CStr = c"OfxParamPropChoiceOption";
pub const kOfxParamPropChoiceOrder: &::std::ffi::CStr = c"OfxParamPropChoiceOrder";
pub const kOfxParamPropChoiceEnum: &::std::ffi::CStr = c"OfxParamPropChoiceEnum";
pub const kOfxParamPropMin: &::std::ffi::CStr = c"OfxParamPropMin";
pub const kOfxParamPropMax: &::std::ffi::CStr = c"OfxParamPropMax";
pub const kOfxParamPropDisplayMin: &::std::ffi::CStr = c"OfxParamPropDisplayMin";
pub const kOfxParamPropDisplayMax: &::std::ffi::CStr = c"OfxParamPropDisplayMax";
pub const kOfxParamPropIncrement: &::std::ffi::CStr = c"OfxParamPropIncrement";
pub const kOfxParamPropDigits: &::std::ffi::CStr = c"OfxParamPropDigits";
pub const kOfxParamPropDimensionLabel: &::std::ffi::CStr = c"OfxParamPropDimensionLabel";
pub const kOfxParamPropIsAutoKeying: &::std::ffi::CStr = c"OfxParamPropIsAutoKeying";
pub const kOfxParamPropCustomInterpCallbackV1: &::std::ffi::CStr = c"OfxParamPropCustomCallbackV1";
pub const kOfxParamPropStringMode: &::std::ffi::CStr = c"OfxParamPropStringMode";
pub const kOfxParamPropStringFilePathExists: &::std::ffi::CStr = c"OfxParamPropStringFilePathExists";
pub const kOfxParamPropCustomValue: &::std::ffi::CStr = c"OfxParamPropCustomValue";
pub const kOfxParamPropInterpolationTime: &::std::ffi::CStr = c"OfxParamPropInterpolationTime";
pub const kOfxParamPropInterpolationAmount: &::std::ffi::CStr = c"OfxParamPropInterpolationAmount";
pub const kOfxParamPageSkipRow: &::std::ffi::CStr = c"OfxParamPageSkipRow";
pub const kOfxParamPageSkipColumn: &::std::ffi::CStr = c"OfxParamPageSkipColumn";
pub const kOfxParamInvalidateValueChange: &::std::ffi::CStr = c"OfxParamInvalidateValueChange";
pub const kOfxParamInvalidateValueChangeToEnd: &::std::ffi::CStr = c"OfxParamInvalidateValueChangeToEnd";
pub const kOfxParamInvalidateAll: &::std::ffi::CStr = c"OfxParamInvalidateAll";
pub const kOfxParamDoubleTypePlain: &::std::ffi::CStr = c"OfxParamDoubleTypePlain";
pub const kOfxParamDoubleTypeScale: &::std::ffi::CStr = c"OfxParamDoubleTypeScale";
pub const kOfxParamDoubleTypeAngle: &::std::ffi::CStr = c"OfxParamDoubleTypeAngle";
pub const kOfxParamDoubleTypeTime: &::std::ffi::CStr = c"OfxParamDoubleTypeTime";
pub const kOfxParamDoubleTypeAbsoluteTime: &::std::ffi::CStr = c"OfxParamDoubleTypeAbsoluteTime";
pub const kOfxParamDoubleTypeX: &::std::ffi::CStr = c"OfxParamDoubleTypeX";
pub const kOfxParamDoubleTypeY: &::std::ffi::CStr = c"OfxParamDoubleTypeY";
pub const kOfxParamDoubleTypeXAbsolute: &::std::ffi::CStr = c"OfxParamDoubleTypeXAbsolute";
pub const kOfxParamDoubleTypeYAbsolute: &::std::ffi::CStr = c"OfxParamDoubleTypeYAbsolute";
pub const kOfxParamDoubleTypeXY: &::std::ffi::CStr = c"OfxParamDoubleTypeXY";
pub const kOfxParamDoubleTypeXYAbsolute: &::std::ffi::CStr = c"OfxParamDoubleTypeXYAbsolute";
pub const kOfxParamCoordinatesCanonical: &::std::ffi::CStr = c"OfxParamCoordinatesCanonical";
pub const kOfxParamCoordinatesNormalised: &::std::ffi::CStr = c"OfxParamCoordinatesNormalised";
pub const kOfxParamInterpTypeConstantStep: &::std::ffi::CStr = c"OfxParamInterpTypeConstantStep";
pub const kOfxParamInterpTypeLinear: &::std::ffi::CStr = c"OfxParamInterpTypeLinear";
pub const kOfxParamInterpTypeSmooth: &::std::ffi::CStr = c"OfxParamInterpTypeSmooth";
pub const kOfxParamStringIsSingleLine: &::std::ffi::CStr = c"OfxParamStringIsSingleLine";
pub const kOfxParamStringIsMultiLine: &::std::ffi::CStr = c"OfxParamStringIsMultiLine";
pub const kOfxParamStringIsFilePath: &::std::ffi::CStr = c"OfxParamStringIsFilePath";
pub const kOfxParamStringIsDirectoryPath: &::std::ffi::CStr = c"OfxParamStringIsDirectoryPath";
pub const kOfxParamStringIsLabel: &::std::ffi::CStr = c"OfxParamStringIsLabel";
pub const kOfxParamStringIsRichTextFormat: &::std::ffi::CStr = c"OfxParamStringIsRichTextFormat";
pub const kOfxImageEffectPluginApi: &::std::ffi::CStr = c"OfxImageEffectPluginAPI";
pub const kOfxImageEffectPluginApiVersion: i32 = 1;
pub const kOfxImageComponentNone: &::std::ffi::CStr = c"OfxImageComponentNone";
pub const kOfxImageComponentRGBA: &::std::ffi::CStr = c"OfxImageComponentRGBA";
pub const kOfxImageComponentRGB: &::std::ffi::CStr = c"OfxImageComponentRGB";
pub const kOfxImageComponentAlpha: &::std::ffi::CStr = c"OfxImageComponentAlpha";
pub const kOfxImageEffectContextGenerator: &::std::ffi::CStr = c"OfxImageEffectContextGenerator";
pub const kOfxImageEffectContextFilter: &::std::ffi::CStr = c"OfxImageEffectContextFilter";
pub const kOfxImageEffectContextTransition: &::std::ffi::CStr = c"OfxImageEffectContextTransition";
pub const kOfxImageEffectContextPaint: &::std::ffi::CStr = c"OfxImageEffectContextPaint";
pub const kOfxImageEffectContextGeneral: &::std::ffi::CStr = c"OfxImageEffectContextGeneral";
pub const kOfxImageEffectContextRetimer: &::std::ffi::CStr = c"OfxImageEffectContextRetimer";
pub const kOfxTypeImageEffectHost: &::std::ffi::CStr = c"OfxTypeImageEffectHost";
pub const kOfxTypeImageEffect: &::std::ffi::CStr = c"OfxTypeImageEffect";
pub const kOfxTypeImageEffectInstance: &::std::ffi::CStr = c"OfxTypeImageEffectInstance";
pub const kOfxTypeClip: &::std::ffi::CStr = c"OfxTypeClip";
pub const kOfxTypeImage: &::std::ffi::CStr = c"OfxTypeImage";
pub const kOfxImageEffectActionGetRegionOfDefinition: &::std::ffi::CStr =
    c"OfxImageEffectActionGetRegionOfDefinition";
pub const kOfxImageEffectActionGetRegionsOfInterest: &::std::ffi::CStr =
    c"OfxImageEffectActionGetRegionsOfInterest";
pub const kOfxImageEffectActionGetTimeDomain: &::std::ffi::CStr = c"OfxImageEffectActionGetTimeDomain";
pub const kOfxImageEffectActionGetFramesNeeded: &::std::ffi::CStr = c"OfxImageEffectActionGetFramesNeeded";
pub const kOfxImageEffectActionGetClipPreferences: &::std::ffi::CStr =
    c"OfxImageEffectActionGetClipPreferences";
pub const kOfxImageEffectActionIsIdentity: &::std::ffi::CStr = c"OfxImageEffectActionIsIdentity";
pub const kOfxImageEffectActionRender: &::std::ffi::CStr = c"OfxImageEffectActionRender";
pub const kOfxImageEffectActionBeginSequenceRender: &::std::ffi::CStr =
    c"OfxImageEffectActionBeginSequenceRender";
pub const kOfxImageEffectActionEndSequenceRender: &::std::ffi::CStr =
    c"OfxImageEffectActionEndSequenceRender";
pub const kOfxImageEffectActionDescribeInContext: &::std::ffi::CStr =
    c"OfxImageEffectActionDescribeInContext";
pub const kOfxImageEffectRenderUnsafe: &::std::ffi::CStr = c"OfxImageEffectRenderUnsafe";
pub const kOfxImageEffectRenderInstanceSafe: &::std::ffi::CStr = c"OfxImageEffectRenderInstanceSafe";
pub const kOfxImageEffectRenderFullySafe: &::std::ffi::CStr = c"OfxImageEffectRenderFullySafe";
pub const kOfxHostNativeOriginBottomLeft: &::std::ffi::CStr =
    c"kOfxImageEffectHostPropNativeOriginBottomLeft";
pub const kOfxHostNativeOriginTopLeft: &::std::ffi::CStr = c"kOfxImageEffectHostPropNativeOriginTopLeft";
pub const kOfxHostNativeOriginCenter: &::std::ffi::CStr = c"kOfxImageEffectHostPropNativeOriginCenter";
pub const kOfxImageOpaque: &::std::ffi::CStr = c"OfxImageOpaque";
pub const kOfxImagePreMultiplied: &::std::ffi::CStr = c"OfxImageAlphaPremultiplied";
pub const kOfxImageUnPreMultiplied: &::std::ffi::CStr = c"OfxImageAlphaUnPremultiplied";
pub const kOfxImageFieldNone: &::std::ffi::CStr = c"OfxFieldNone";
pub const kOfxImageFieldLower: &::std::ffi::CStr = c"OfxFieldLower";
pub const kOfxImageFieldUpper: &::std::ffi::CStr = c"OfxFieldUpper";
pub const kOfxImageFieldBoth: &::std::ffi::CStr = c"OfxFieldBoth";
pub const kOfxImageFieldSingle: &::std::ffi::CStr = c"OfxFieldSingle";
pub const kOfxImageFieldDoubled: &::std::ffi::CStr = c"OfxFieldDoubled";
pub const kOfxImageEffectOutputClipName: &::std::ffi::CStr = c"Output";
pub const kOfxImageEffectSimpleSourceClipName: &::std::ffi::CStr = c"Source";
pub const kOfxImageEffectTransitionSourceFromClipName: &::std::ffi::CStr = c"SourceFrom";
pub const kOfxImageEffectTransitionSourceToClipName: &::std::ffi::CStr = c"SourceTo";
pub const kOfxImageEffectTransitionParamName: &::std::ffi::CStr = c"Transition";
pub const kOfxImageEffectRetimerParamName: &::std::ffi::CStr = c"SourceTime";
pub const kOfxUnlicensedContinue: &::std::ffi::CStr = c"OfxUnlicensedContinue";
pub const kOfxUnlicensedFail: &::std::ffi::CStr = c"OfxUnlicensedFail";
pub const kOfxImageEffectHostPropIsBackground: &::std::ffi::CStr = c"OfxImageEffectHostPropIsBackground";
pub const kOfxImageEffectPluginPropSingleInstance: &::std::ffi::CStr =
    c"OfxImageEffectPluginPropSingleInstance";
pub const kOfxImageEffectPluginRenderThreadSafety: &::std::ffi::CStr =
    c"OfxImageEffectPluginRenderThreadSafety";
pub const kOfxImageEffectPluginPropHostFrameThreading: &::std::ffi::CStr =
    c"OfxImageEffectPluginPropHostFrameThreading";
pub const kOfxImageEffectInstancePropSequentialRender: &::std::ffi::CStr =
    c"OfxImageEffectInstancePropSequentialRender";
pub const kOfxImageEffectHostPropNativeOrigin: &::std::ffi::CStr = c"OfxImageEffectHostPropNativeOrigin";
pub const kOfxImageEffectPluginPropGrouping: &::std::ffi::CStr = c"OfxImageEffectPluginPropGrouping";
pub const kOfxImageEffectPluginPropObsolete: &::std::ffi::CStr = c"OfxImageEffectPluginPropObsolete";
pub const kOfxImageEffectPluginPropOverlayInteractV1: &::std::ffi::CStr =
    c"OfxImageEffectPluginPropOverlayInteractV1";
pub const kOfxImageEffectPluginPropOverlayInteractV2: &::std::ffi::CStr =
    c"OfxImageEffectPluginPropOverlayInteractV2";
pub const kOfxImageEffectInstancePropEffectDuration: &::std::ffi::CStr =
    c"OfxImageEffectInstancePropEffectDuration";
pub const kOfxImageEffectPluginPropFieldRenderTwiceAlways: &::std::ffi::CStr =
    c"OfxImageEffectPluginPropFieldRenderTwiceAlways";
pub const kOfxImageEffectPropSupportedContexts: &::std::ffi::CStr = c"OfxImageEffectPropSupportedContexts";
pub const kOfxImageEffectPropPluginHandle: &::std::ffi::CStr = c"OfxImageEffectPropPluginHandle";
pub const kOfxImageEffectPropSupportsMultipleClipDepths: &::std::ffi::CStr =
    c"OfxImageEffectPropMultipleClipDepths";
pub const kOfxImageEffectPropSupportsMultipleClipPARs: &::std::ffi::CStr =
    c"OfxImageEffectPropSupportsMultipleClipPARs";
pub const kOfxImageEffectPropClipPreferencesSlaveParam: &::std::ffi::CStr =
    c"OfxImageEffectPropClipPreferencesSlaveParam";
pub const kOfxImageEffectPropSetableFrameRate: &::std::ffi::CStr = c"OfxImageEffectPropSetableFrameRate";
pub const kOfxImageEffectPropSetableFielding: &::std::ffi::CStr = c"OfxImageEffectPropSetableFielding";
pub const kOfxImageEffectPropSequentialRenderStatus: &::std::ffi::CStr =
    c"OfxImageEffectPropSequentialRenderStatus";
pub const kOfxImageEffectPropInteractiveRenderStatus: &::std::ffi::CStr =
    c"OfxImageEffectPropInteractiveRenderStatus";
pub const kOfxImageEffectPropSupportsOverlays: &::std::ffi::CStr = c"OfxImageEffectPropSupportsOverlays";
pub const kOfxImageEffectPropSupportsMultiResolution: &::std::ffi::CStr =
    c"OfxImageEffectPropSupportsMultiResolution";
pub const kOfxImageEffectPropSupportsTiles: &::std::ffi::CStr = c"OfxImageEffectPropSupportsTiles";
pub const kOfxImageEffectPropTemporalClipAccess: &::std::ffi::CStr = c"OfxImageEffectPropTemporalClipAccess";
pub const kOfxImageEffectPropContext: &::std::ffi::CStr = c"OfxImageEffectPropContext";
pub const kOfxImageEffectPropPixelDepth: &::std::ffi::CStr = c"OfxImageEffectPropPixelDepth";
pub const kOfxImageEffectPropComponents: &::std::ffi::CStr = c"OfxImageEffectPropComponents";
pub const kOfxImageEffectPropPreMultiplication: &::std::ffi::CStr = c"OfxImageEffectPropPreMultiplication";
pub const kOfxImageEffectPropSupportedPixelDepths: &::std::ffi::CStr =
    c"OfxImageEffectPropSupportedPixelDepths";
pub const kOfxImageEffectPropSupportedComponents: &::std::ffi::CStr =
    c"OfxImageEffectPropSupportedComponents";
pub const kOfxImageEffectPropFrameRate: &::std::ffi::CStr = c"OfxImageEffectPropFrameRate";
pub const kOfxImageEffectPropUnmappedFrameRate: &::std::ffi::CStr = c"OfxImageEffectPropUnmappedFrameRate";
pub const kOfxImageEffectPropFrameStep: &::std::ffi::CStr = c"OfxImageEffectPropFrameStep";
pub const kOfxImageEffectPropFrameRange: &::std::ffi::CStr = c"OfxImageEffectPropFrameRange";
pub const kOfxImageEffectPropUnmappedFrameRange: &::std::ffi::CStr = c"OfxImageEffectPropUnmappedFrameRange";
pub const kOfxImageEffectFrameVarying: &::std::ffi::CStr = c"OfxImageEffectFrameVarying";
pub const kOfxImageEffectPropRenderScale: &::std::ffi::CStr = c"OfxImageEffectPropRenderScale";
pub const kOfxImageEffectPropRenderQualityDraft: &::std::ffi::CStr = c"OfxImageEffectPropRenderQualityDraft";
pub const kOfxImageEffectPropNoSpatialAwareness: &::std::ffi::CStr = c"OfxImageEffectPropNoSpatialAwareness";
pub const kOfxImageEffectPropThumbnailRender: &::std::ffi::CStr = c"OfxImageEffectPropThumbnailRender";
pub const kOfxImageEffectPropProjectExtent: &::std::ffi::CStr = c"OfxImageEffectPropProjectExtent";
pub const kOfxImageEffectPropProjectSize: &::std::ffi::CStr = c"OfxImageEffectPropProjectSize";
pub const kOfxImageEffectPropProjectOffset: &::std::ffi::CStr = c"OfxImageEffectPropProjectOffset";
pub const kOfxImageEffectPropProjectPixelAspectRatio: &::std::ffi::CStr =
    c"OfxImageEffectPropPixelAspectRatio";
pub const kOfxImageEffectPropFieldToRender: &::std::ffi::CStr = c"OfxImageEffectPropFieldToRender";
pub const kOfxImageEffectPropRegionOfDefinition: &::std::ffi::CStr = c"OfxImageEffectPropRegionOfDefinition";
pub const kOfxImageEffectPropRegionOfInterest: &::std::ffi::CStr = c"OfxImageEffectPropRegionOfInterest";
pub const kOfxImageEffectPropRenderWindow: &::std::ffi::CStr = c"OfxImageEffectPropRenderWindow";
pub const kOfxImageEffectPropBehaviourWhenUnlicensed: &::std::ffi::CStr =
    c"OfxImageEffectPropBehaviourWhenUnlicensed";
pub const kOfxImageClipPropContinuousSamples: &::std::ffi::CStr = c"OfxImageClipPropContinuousSamples";
pub const kOfxImageClipPropUnmappedPixelDepth: &::std::ffi::CStr = c"OfxImageClipPropUnmappedPixelDepth";
pub const kOfxImageClipPropUnmappedComponents: &::std::ffi::CStr = c"OfxImageClipPropUnmappedComponents";
pub const kOfxImageClipPropOptional: &::std::ffi::CStr = c"OfxImageClipPropOptional";
pub const kOfxImageClipPropIsMask: &::std::ffi::CStr = c"OfxImageClipPropIsMask";
pub const kOfxImageClipPropConnected: &::std::ffi::CStr = c"OfxImageClipPropConnected";
pub const kOfxImageClipPropFieldOrder: &::std::ffi::CStr = c"OfxImageClipPropFieldOrder";
pub const kOfxImageClipPropFieldExtraction: &::std::ffi::CStr = c"OfxImageClipPropFieldExtraction";
pub const kOfxImagePropUniqueIdentifier: &::std::ffi::CStr = c"OfxImagePropUniqueIdentifier";
pub const kOfxImagePropPixelAspectRatio: &::std::ffi::CStr = c"OfxImagePropPixelAspectRatio";
pub const kOfxImagePropData: &::std::ffi::CStr = c"OfxImagePropData";
pub const kOfxImagePropBounds: &::std::ffi::CStr = c"OfxImagePropBounds";
pub const kOfxImagePropRegionOfDefinition: &::std::ffi::CStr = c"OfxImagePropRegionOfDefinition";
pub const kOfxImagePropRowBytes: &::std::ffi::CStr = c"OfxImagePropRowBytes";
pub const kOfxImagePropField: &::std::ffi::CStr = c"OfxImagePropField";
pub const kOfxImageEffectPropOpenGLRenderSupported: &::std::ffi::CStr =
    c"OfxImageEffectPropOpenGLRenderSupported";
pub const kOfxOpenGLPropPixelDepth: &::std::ffi::CStr = c"OfxOpenGLPropPixelDepth";
pub const kOfxImageEffectPropOpenGLEnabled: &::std::ffi::CStr = c"OfxImageEffectPropOpenGLEnabled";
pub const kOfxImageEffectPropOpenGLTextureIndex: &::std::ffi::CStr = c"OfxImageEffectPropOpenGLTextureIndex";
pub const kOfxImageEffectPropOpenGLTextureTarget: &::std::ffi::CStr =
    c"OfxImageEffectPropOpenGLTextureTarget";
pub const kOfxImageEffectPropCPURenderSupported: &::std::ffi::CStr = c"OfxImageEffectPropCPURenderSupported";
pub const kOfxActionOpenGLContextAttached: &::std::ffi::CStr = c"OfxActionOpenGLContextAttached";
pub const kOfxActionOpenGLContextDetached: &::std::ffi::CStr = c"kOfxActionOpenGLContextDetached";
pub const kOfxImageEffectPropCudaRenderSupported: &::std::ffi::CStr =
    c"OfxImageEffectPropCudaRenderSupported";
pub const kOfxImageEffectPropCudaEnabled: &::std::ffi::CStr = c"OfxImageEffectPropCudaEnabled";
pub const kOfxImageEffectPropCudaStreamSupported: &::std::ffi::CStr =
    c"OfxImageEffectPropCudaStreamSupported";
pub const kOfxImageEffectPropCudaStream: &::std::ffi::CStr = c"OfxImageEffectPropCudaStream";
pub const kOfxImageEffectPropMetalRenderSupported: &::std::ffi::CStr =
    c"OfxImageEffectPropMetalRenderSupported";
pub const kOfxImageEffectPropMetalEnabled: &::std::ffi::CStr = c"OfxImageEffectPropMetalEnabled";
pub const kOfxImageEffectPropMetalCommandQueue: &::std::ffi::CStr = c"OfxImageEffectPropMetalCommandQueue";
pub const kOfxImageEffectPropOpenCLRenderSupported: &::std::ffi::CStr =
    c"OfxImageEffectPropOpenCLRenderSupported";
pub const kOfxImageEffectPropOpenCLSupported: &::std::ffi::CStr = c"OfxImageEffectPropOpenCLSupported";
pub const kOfxImageEffectPropOpenCLEnabled: &::std::ffi::CStr = c"OfxImageEffectPropOpenCLEnabled";
pub const kOfxImageEffectPropOpenCLCommandQueue: &::std::ffi::CStr = c"OfxImageEffectPropOpenCLCommandQueue";
pub const kOfxImageEffectPropOpenCLImage: &::std::ffi::CStr = c"OfxImageEffectPropOpenCLImage";
pub const kOfxImageEffectPropColourManagementStyle: &::std::ffi::CStr =
    c"OfxImageEffectPropColourManagementStyle";
pub const kOfxImageEffectColourManagementNone: &::std::ffi::CStr = c"OfxImageEffectColourManagementNone";
pub const kOfxImageEffectColourManagementBasic: &::std::ffi::CStr = c"OfxImageEffectColourManagementBasic";
pub const kOfxImageEffectColourManagementCore: &::std::ffi::CStr = c"OfxImageEffectColourManagementCore";
pub const kOfxImageEffectColourManagementFull: &::std::ffi::CStr = c"OfxImageEffectColourManagementFull";
pub const kOfxImageEffectColourManagementOCIO: &::std::ffi::CStr = c"OfxImageEffectColourManagementOCIO";
pub const kOfxImageEffectPropColourManagementAvailableConfigs: &::std::ffi::CStr =
    c"OfxImageEffectPropColourManagementAvailableConfigs";
pub const kOfxImageEffectPropColourManagementConfig: &::std::ffi::CStr =
    c"OfxImageEffectPropColourManagementConfig";
pub const kOfxImageEffectPropOCIOConfig: &::std::ffi::CStr = c"OfxImageEffectPropOCIOConfig";
pub const kOfxImageClipPropColourspace: &::std::ffi::CStr = c"OfxImageClipPropColourspace";
pub const kOfxImageClipPropPreferredColourspaces: &::std::ffi::CStr =
    c"OfxImageClipPropPreferredColourspaces";
pub const kOfxImageEffectPropDisplayColourspace: &::std::ffi::CStr = c"OfxImageEffectPropDisplayColourspace";
pub const kOfxImageEffectPropOCIODisplay: &::std::ffi::CStr = c"OfxImageEffectPropOCIODisplay";
pub const kOfxImageEffectPropOCIOView: &::std::ffi::CStr = c"OfxImageEffectPropOCIOView";
pub const kOfxImageEffectActionGetOutputColourspace: &::std::ffi::CStr =
    c"OfxImageEffectActionGetOutputColourspace";
pub const kOfxInteractPropSlaveToParam: &::std::ffi::CStr = c"OfxInteractPropSlaveToParam";
pub const kOfxInteractPropPixelScale: &::std::ffi::CStr = c"OfxInteractPropPixelScale";
pub const kOfxInteractPropBackgroundColour: &::std::ffi::CStr = c"OfxInteractPropBackgroundColour";
pub const kOfxInteractPropSuggestedColour: &::std::ffi::CStr = c"OfxInteractPropSuggestedColour";
pub const kOfxInteractPropPenPosition: &::std::ffi::CStr = c"OfxInteractPropPenPosition";
pub const kOfxInteractPropPenViewportPosition: &::std::ffi::CStr = c"OfxInteractPropPenViewportPosition";
pub const kOfxInteractPropPenPressure: &::std::ffi::CStr = c"OfxInteractPropPenPressure";
pub const kOfxInteractPropBitDepth: &::std::ffi::CStr = c"OfxInteractPropBitDepth";
pub const kOfxInteractPropHasAlpha: &::std::ffi::CStr = c"OfxInteractPropHasAlpha";
pub const kOfxPropKeySym: &::std::ffi::CStr = c"kOfxPropKeySym";
pub const kOfxPropKeyString: &::std::ffi::CStr = c"kOfxPropKeyString";
pub const kOfxInteractActionDraw: &::std::ffi::CStr = c"OfxInteractActionDraw";
pub const kOfxInteractActionPenMotion: &::std::ffi::CStr = c"OfxInteractActionPenMotion";
pub const kOfxInteractActionPenDown: &::std::ffi::CStr = c"OfxInteractActionPenDown";
pub const kOfxInteractActionPenUp: &::std::ffi::CStr = c"OfxInteractActionPenUp";
pub const kOfxInteractActionKeyDown: &::std::ffi::CStr = c"OfxInteractActionKeyDown";
pub const kOfxInteractActionKeyUp: &::std::ffi::CStr = c"OfxInteractActionKeyUp";
pub const kOfxInteractActionKeyRepeat: &::std::ffi::CStr = c"OfxInteractActionKeyRepeat";
pub const kOfxInteractActionGainFocus: &::std::ffi::CStr = c"OfxInteractActionGainFocus";
pub const kOfxInteractActionLoseFocus: &::std::ffi::CStr = c"OfxInteractActionLoseFocus";
pub const kOfxMessageFatal: &::std::ffi::CStr = c"OfxMessageFatal";
pub const kOfxMessageError: &::std::ffi::CStr = c"OfxMessageError";
pub const kOfxMessageWarning: &::std::ffi::CStr = c"OfxMessageWarning";
pub const kOfxMessageMessage: &::std::ffi::CStr = c"OfxMessageMessage";
pub const kOfxMessageLog: &::std::ffi::CStr = c"OfxMessageLog";
pub const kOfxMessageQuestion: &::std::ffi::CStr = c"OfxMessageQuestion";
pub type OfxStatus = ::std::os::raw::c_int;
pub type OfxTime = f64;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct OfxPropertySetStruct {
    _unused: [u8; 0],
}
pub type OfxPropertySetHandle = *mut OfxPropertySetStruct;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct OfxRangeI {
    pub min: ::std::os::raw::c_int,
    pub max: ::std::os::raw::c_int,
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct OfxRangeD {
    pub min: f64,
    pub max: f64,
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct OfxPointI {
    pub x: ::std::os::raw::c_int,
    pub y: ::std::os::raw::c_int,
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct OfxPointD {
    pub x: f64,
    pub y: f64,
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct OfxRectI {
    pub x1: ::std::os::raw::c_int,
    pub y1: ::std::os::raw::c_int,
    pub x2: ::std::os::raw::c_int,
    pub y2: ::std::os::raw::c_int,
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct OfxRectD {
    pub x1: f64,
    pub y1: f64,
    pub x2: f64,
    pub y2: f64,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct OfxHost {
    pub host: OfxPropertySetHandle,
    pub fetchSuite: ::std::option::Option<
        unsafe extern "C" fn(
            host: OfxPropertySetHandle,
            suiteName: *const ::std::os::raw::c_char,
            suiteVersion: ::std::os::raw::c_int,
        ) -> *const ::std::os::raw::c_void,
    >,
}
impl Default for OfxHost {
    fn default() -> Self {
        let mut s = ::std::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::std::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
pub type OfxPluginEntryPoint = ::std::option::Option<
    unsafe extern "C" fn(
        action: *const ::std::os::raw::c_char,
        handle: *const ::std::os::raw::c_void,
        inArgs: OfxPropertySetHandle,
        outArgs: OfxPropertySetHandle,
    ) -> OfxStatus,
>;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct OfxPlugin {
    pub pluginApi: *const ::std::os::raw::c_char,
    pub apiVersion: ::std::os::raw::c_int,
    pub pluginIdentifier: *const ::std::os::raw::c_char,
    pub pluginVersionMajor: ::std::os::raw::c_uint,
    pub pluginVersionMinor: ::std::os::raw::c_uint,
    pub setHost: ::std::option::Option<unsafe extern "C" fn(host: *mut OfxHost)>,
    pub mainEntry: OfxPluginEntryPoint,
}
impl Default for OfxPlugin {
    fn default() -> Self {
        let mut s = ::std::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::std::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct OfxPropertySuiteV1 {
    pub propSetPointer: ::std::option::Option<
        unsafe extern "C" fn(
            properties: OfxPropertySetHandle,
            property: *const ::std::os::raw::c_char,
            index: ::std::os::raw::c_int,
            value: *mut ::std::os::raw::c_void,
        ) -> OfxStatus,
    >,
    pub propSetString: ::std::option::Option<
        unsafe extern "C" fn(
            properties: OfxPropertySetHandle,
            property: *const ::std::os::raw::c_char,
            index: ::std::os::raw::c_int,
            value: *const ::std::os::raw::c_char,
        ) -> OfxStatus,
    >,
    pub propSetDouble: ::std::option::Option<
        unsafe extern "C" fn(
            properties: OfxPropertySetHandle,
            property: *const ::std::os::raw::c_char,
            index: ::std::os::raw::c_int,
            value: f64,
        ) -> OfxStatus,
    >,
    pub propSetInt: ::std::option::Option<
        unsafe extern "C" fn(
            properties: OfxPropertySetHandle,
            property: *const ::std::os::raw::c_char,
            index: ::std::os::raw::c_int,
            value: ::std::os::raw::c_int,
        ) -> OfxStatus,
    >,
    pub propSetPointerN: ::std::option::Option<
        unsafe extern "C" fn(
            properties: OfxPropertySetHandle,
            property: *const ::std::os::raw::c_char,
            count: ::std::os::raw::c_int,
            value: *const *mut ::std::os::raw::c_void,
        ) -> OfxStatus,
    >,
    pub propSetStringN: ::std::option::Option<
        unsafe extern "C" fn(
            properties: OfxPropertySetHandle,
            property: *const ::std::os::raw::c_char,
            count: ::std::os::raw::c_int,
            value: *const *const ::std::os::raw::c_char,
        ) -> OfxStatus,
    >,
    pub propSetDoubleN: ::std::option::Option<
        unsafe extern "C" fn(
            properties: OfxPropertySetHandle,
            property: *const ::std::os::raw::c_char,
            count: ::std::os::raw::c_int,
            value: *const f64,
        ) -> OfxStatus,
    >,
    pub propSetIntN: ::std::option::Option<
        unsafe extern "C" fn(
            properties: OfxPropertySetHandle,
            property: *const ::std::os::raw::c_char,
            count: ::std::os::raw::c_int,
            value: *const ::std::os::raw::c_int,
        ) -> OfxStatus,
    >,
    pub propGetPointer: ::std::option::Option<
        unsafe extern "C" fn(
            properties: OfxPropertySetHandle,
            property: *const ::std::os::raw::c_char,
            index: ::std::os::raw::c_int,
            value: *mut *mut ::std::os::raw::c_void,
        ) -> OfxStatus,
    >,
    pub propGetString: ::std::option::Option<
        unsafe extern "C" fn(
            properties: OfxPropertySetHandle,
            property: *const ::std::os::raw::c_char,
            index: ::std::os::raw::c_int,
            value: *mut *mut ::std::os::raw::c_char,
        ) -> OfxStatus,
    >,
    pub propGetDouble: ::std::option::Option<
        unsafe extern "C" fn(
            properties: OfxPropertySetHandle,
            property: *const ::std::os::raw::c_char,
            index: ::std::os::raw::c_int,
            value: *mut f64,
        ) -> OfxStatus,
    >,
    pub propGetInt: ::std::option::Option<
        unsafe extern "C" fn(
            properties: OfxPropertySetHandle,
            property: *const ::std::os::raw::c_char,
            index: ::std::os::raw::c_int,
            value: *mut ::std::os::raw::c_int,
        ) -> OfxStatus,
    >,
    pub propGetPointerN: ::std::option::Option<
        unsafe extern "C" fn(
            properties: OfxPropertySetHandle,
            property: *const ::std::os::raw::c_char,
            count: ::std::os::raw::c_int,
            value: *mut *mut ::std::os::raw::c_void,
        ) -> OfxStatus,
    >,
    pub propGetStringN: ::std::option::Option<
        unsafe extern "C" fn(
            properties: OfxPropertySetHandle,
            property: *const ::std::os::raw::c_char,
            count: ::std::os::raw::c_int,
            value: *mut *mut ::std::os::raw::c_char,
        ) -> OfxStatus,
    >,
    pub propGetDoubleN: ::std::option::Option<
        unsafe extern "C" fn(
            properties: OfxPropertySetHandle,
            property: *const ::std::os::raw::c_char,
            count: ::std::os::raw::c_int,
            value: *mut f64,
        ) -> OfxStatus,
    >,
    pub propGetIntN: ::std::option::Option<
        unsafe extern "C" fn(
            properties: OfxPropertySetHandle,
            property: *const ::std::os::raw::c_char,
            count: ::std::os::raw::c_int,
            value: *mut ::std::os::raw::c_int,
        ) -> OfxStatus,
    >,
    pub propReset: ::std::option::Option<
        unsafe extern "C" fn(
            properties: OfxPropertySetHandle,
            property: *const ::std::os::raw::c_char,
        ) -> OfxStatus,
    >,
    pub propGetDimension: ::std::option::Option<
        unsafe extern "C" fn(
            properties: OfxPropertySetHandle,
            property: *const ::std::os::raw::c_char,
            count: *mut ::std::os::raw::c_int,
        ) -> OfxStatus,
    >,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct OfxParamStruct {
    _unused: [u8; 0],
}
pub type OfxParamHandle = *mut OfxParamStruct;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct OfxParamSetStruct {
    _unused: [u8; 0],
}
pub type OfxParamSetHandle = *mut OfxParamSetStruct;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct OfxBytes {
    pub data: *const ::std::os::raw::c_uchar,
    pub length: usize,
}
impl Default for OfxBytes {
    fn default() -> Self {
        let mut s = ::std::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::std::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
pub type OfxCustomParamInterpFuncV1 = ::std::option::Option<
    unsafe extern "C" fn(
        instance: OfxParamSetHandle,
        inArgs: OfxPropertySetHandle,
        outArgs: OfxPropertySetHandle,
    ) -> OfxStatus,
>;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct OfxParameterSuiteV1 {
    pub paramDefine: ::std::option::Option<
        unsafe extern "C" fn(
            paramSet: OfxParamSetHandle,
            paramType: *const ::std::os::raw::c_char,
            name: *const ::std::os::raw::c_char,
            propertySet: *mut OfxPropertySetHandle,
        ) -> OfxStatus,
    >,
    pub paramGetHandle: ::std::option::Option<
        unsafe extern "C" fn(
            paramSet: OfxParamSetHandle,
            name: *const ::std::os::raw::c_char,
            param: *mut OfxParamHandle,
            propertySet: *mut OfxPropertySetHandle,
        ) -> OfxStatus,
    >,
    pub paramSetGetPropertySet: ::std::option::Option<
        unsafe extern "C" fn(paramSet: OfxParamSetHandle, propHandle: *mut OfxPropertySetHandle) -> OfxStatus,
    >,
    pub paramGetPropertySet: ::std::option::Option<
        unsafe extern "C" fn(param: OfxParamHandle, propHandle: *mut OfxPropertySetHandle) -> OfxStatus,
    >,
    pub paramGetValue:
        ::std::option::Option<unsafe extern "C" fn(paramHandle: OfxParamHandle, ...) -> OfxStatus>,
    pub paramGetValueAtTime: ::std::option::Option<
        unsafe extern "C" fn(paramHandle: OfxParamHandle, time: OfxTime, ...) -> OfxStatus,
    >,
    pub paramGetDerivative: ::std::option::Option<
        unsafe extern "C" fn(paramHandle: OfxParamHandle, time: OfxTime, ...) -> OfxStatus,
    >,
    pub paramGetIntegral: ::std::option::Option<
        unsafe extern "C" fn(paramHandle: OfxParamHandle, time1: OfxTime, time2: OfxTime, ...) -> OfxStatus,
    >,
    pub paramSetValue:
        ::std::option::Option<unsafe extern "C" fn(paramHandle: OfxParamHandle, ...) -> OfxStatus>,
    pub paramSetValueAtTime: ::std::option::Option<
        unsafe extern "C" fn(paramHandle: OfxParamHandle, time: OfxTime, ...) -> OfxStatus,
    >,
    pub paramGetNumKeys: ::std::option::Option<
        unsafe extern "C" fn(
            paramHandle: OfxParamHandle,
            numberOfKeys: *mut ::std::os::raw::c_uint,
        ) -> OfxStatus,
    >,
    pub paramGetKeyTime: ::std::option::Option<
        unsafe extern "C" fn(
            paramHandle: OfxParamHandle,
            nthKey: ::std::os::raw::c_uint,
            time: *mut OfxTime,
        ) -> OfxStatus,
    >,
    pub paramGetKeyIndex: ::std::option::Option<
        unsafe extern "C" fn(
            paramHandle: OfxParamHandle,
            time: OfxTime,
            direction: ::std::os::raw::c_int,
            index: *mut ::std::os::raw::c_int,
        ) -> OfxStatus,
    >,
    pub paramDeleteKey:
        ::std::option::Option<unsafe extern "C" fn(paramHandle: OfxParamHandle, time: OfxTime) -> OfxStatus>,
    pub paramDeleteAllKeys:
        ::std::option::Option<unsafe extern "C" fn(paramHandle: OfxParamHandle) -> OfxStatus>,
    pub paramCopy: ::std::option::Option<
        unsafe extern "C" fn(
            paramTo: OfxParamHandle,
            paramFrom: OfxParamHandle,
            dstOffset: OfxTime,
            frameRange: *const OfxRangeD,
        ) -> OfxStatus,
    >,
    pub paramEditBegin: ::std::option::Option<
        unsafe extern "C" fn(paramSet: OfxParamSetHandle, name: *const ::std::os::raw::c_char) -> OfxStatus,
    >,
    pub paramEditEnd: ::std::option::Option<unsafe extern "C" fn(paramSet: OfxParamSetHandle) -> OfxStatus>,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct OfxImageEffectStruct {
    _unused: [u8; 0],
}
pub type OfxImageEffectHandle = *mut OfxImageEffectStruct;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct OfxImageClipStruct {
    _unused: [u8; 0],
}
pub type OfxImageClipHandle = *mut OfxImageClipStruct;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct OfxImageMemoryStruct {
    _unused: [u8; 0],
}
pub type OfxImageMemoryHandle = *mut OfxImageMemoryStruct;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct OfxImageEffectSuiteV1 {
    pub getPropertySet: ::std::option::Option<
        unsafe extern "C" fn(
            imageEffect: OfxImageEffectHandle,
            propHandle: *mut OfxPropertySetHandle,
        ) -> OfxStatus,
    >,
    pub getParamSet: ::std::option::Option<
        unsafe extern "C" fn(
            imageEffect: OfxImageEffectHandle,
            paramSet: *mut OfxParamSetHandle,
        ) -> OfxStatus,
    >,
    pub clipDefine: ::std::option::Option<
        unsafe extern "C" fn(
            imageEffect: OfxImageEffectHandle,
            name: *const ::std::os::raw::c_char,
            propertySet: *mut OfxPropertySetHandle,
        ) -> OfxStatus,
    >,
    pub clipGetHandle: ::std::option::Option<
        unsafe extern "C" fn(
            imageEffect: OfxImageEffectHandle,
            name: *const ::std::os::raw::c_char,
            clip: *mut OfxImageClipHandle,
            propertySet: *mut OfxPropertySetHandle,
        ) -> OfxStatus,
    >,
    pub clipGetPropertySet: ::std::option::Option<
        unsafe extern "C" fn(clip: OfxImageClipHandle, propHandle: *mut OfxPropertySetHandle) -> OfxStatus,
    >,
    pub clipGetImage: ::std::option::Option<
        unsafe extern "C" fn(
            clip: OfxImageClipHandle,
            time: OfxTime,
            region: *const OfxRectD,
            imageHandle: *mut OfxPropertySetHandle,
        ) -> OfxStatus,
    >,
    pub clipReleaseImage:
        ::std::option::Option<unsafe extern "C" fn(imageHandle: OfxPropertySetHandle) -> OfxStatus>,
    pub clipGetRegionOfDefinition: ::std::option::Option<
        unsafe extern "C" fn(clip: OfxImageClipHandle, time: OfxTime, bounds: *mut OfxRectD) -> OfxStatus,
    >,
    pub abort: ::std::option::Option<
        unsafe extern "C" fn(imageEffect: OfxImageEffectHandle) -> ::std::os::raw::c_int,
    >,
    pub imageMemoryAlloc: ::std::option::Option<
        unsafe extern "C" fn(
            instanceHandle: OfxImageEffectHandle,
            nBytes: usize,
            memoryHandle: *mut OfxImageMemoryHandle,
        ) -> OfxStatus,
    >,
    pub imageMemoryFree:
        ::std::option::Option<unsafe extern "C" fn(memoryHandle: OfxImageMemoryHandle) -> OfxStatus>,
    pub imageMemoryLock: ::std::option::Option<
        unsafe extern "C" fn(
            memoryHandle: OfxImageMemoryHandle,
            returnedPtr: *mut *mut ::std::os::raw::c_void,
        ) -> OfxStatus,
    >,
    pub imageMemoryUnlock:
        ::std::option::Option<unsafe extern "C" fn(memoryHandle: OfxImageMemoryHandle) -> OfxStatus>,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct OfxInteract {
    _unused: [u8; 0],
}
pub type OfxInteractHandle = *mut OfxInteract;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct OfxInteractSuiteV1 {
    pub interactSwapBuffers:
        ::std::option::Option<unsafe extern "C" fn(interactInstance: OfxInteractHandle) -> OfxStatus>,
    pub interactRedraw:
        ::std::option::Option<unsafe extern "C" fn(interactInstance: OfxInteractHandle) -> OfxStatus>,
    pub interactGetPropertySet: ::std::option::Option<
        unsafe extern "C" fn(
            interactInstance: OfxInteractHandle,
            property: *mut OfxPropertySetHandle,
        ) -> OfxStatus,
    >,
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct OfxMemorySuiteV1 {
    pub memoryAlloc: ::std::option::Option<
        unsafe extern "C" fn(
            handle: *mut ::std::os::raw::c_void,
            nBytes: usize,
            allocatedData: *mut *mut ::std::os::raw::c_void,
        ) -> OfxStatus,
    >,
    pub memoryFree:
        ::std::option::Option<unsafe extern "C" fn(allocatedData: *mut ::std::os::raw::c_void) -> OfxStatus>,
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct OfxMessageSuiteV1 {
    pub message: ::std::option::Option<
        unsafe extern "C" fn(
            handle: *mut ::std::os::raw::c_void,
            messageType: *const ::std::os::raw::c_char,
            messageId: *const ::std::os::raw::c_char,
            format: *const ::std::os::raw::c_char,
            ...
        ) -> OfxStatus,
    >,
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct OfxMessageSuiteV2 {
    pub message: ::std::option::Option<
        unsafe extern "C" fn(
            handle: *mut ::std::os::raw::c_void,
            messageType: *const ::std::os::raw::c_char,
            messageId: *const ::std::os::raw::c_char,
            format: *const ::std::os::raw::c_char,
            ...
        ) -> OfxStatus,
    >,
    pub setPersistentMessage: ::std::option::Option<
        unsafe extern "C" fn(
            handle: *mut ::std::os::raw::c_void,
            messageType: *const ::std::os::raw::c_char,
            messageId: *const ::std::os::raw::c_char,
            format: *const ::std::os::raw::c_char,
            ...
        ) -> OfxStatus,
    >,
    pub clearPersistentMessage:
        ::std::option::Option<unsafe extern "C" fn(handle: *mut ::std::os::raw::c_void) -> OfxStatus>,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct OfxMutex {
    _unused: [u8; 0],
}
pub type OfxMutexHandle = *mut OfxMutex;
pub type OfxThreadFunctionV1 = ::std::option::Option<
    unsafe extern "C" fn(
        threadIndex: ::std::os::raw::c_uint,
        threadMax: ::std::os::raw::c_uint,
        customArg: *mut ::std::os::raw::c_void,
    ),
>;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct OfxMultiThreadSuiteV1 {
    pub multiThread: ::std::option::Option<
        unsafe extern "C" fn(
            func: OfxThreadFunctionV1,
            nThreads: ::std::os::raw::c_uint,
            customArg: *mut ::std::os::raw::c_void,
        ) -> OfxStatus,
    >,
    pub multiThreadNumCPUs:
        ::std::option::Option<unsafe extern "C" fn(nCPUs: *mut ::std::os::raw::c_uint) -> OfxStatus>,
    pub multiThreadIndex:
        ::std::option::Option<unsafe extern "C" fn(threadIndex: *mut ::std::os::raw::c_uint) -> OfxStatus>,
    pub multiThreadIsSpawnedThread: ::std::option::Option<unsafe extern "C" fn() -> ::std::os::raw::c_int>,
    pub mutexCreate: ::std::option::Option<
        unsafe extern "C" fn(mutex: *mut OfxMutexHandle, lockCount: ::std::os::raw::c_int) -> OfxStatus,
    >,
    pub mutexDestroy: ::std::option::Option<unsafe extern "C" fn(mutex: OfxMutexHandle) -> OfxStatus>,
    pub mutexLock: ::std::option::Option<unsafe extern "C" fn(mutex: OfxMutexHandle) -> OfxStatus>,
    pub mutexUnLock: ::std::option::Option<unsafe extern "C" fn(mutex: OfxMutexHandle) -> OfxStatus>,
    pub mutexTryLock: ::std::option::Option<unsafe extern "C" fn(mutex: OfxMutexHandle) -> OfxStatus>,
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct OfxProgressSuiteV1 {
    pub progressStart: ::std::option::Option<
        unsafe extern "C" fn(
            effectInstance: *mut ::std::os::raw::c_void,
            label: *const ::std::os::raw::c_char,
        ) -> OfxStatus,
    >,
    pub progressUpdate: ::std::option::Option<
        unsafe extern "C" fn(effectInstance: *mut ::std::os::raw::c_void, progress: f64) -> OfxStatus,
    >,
    pub progressEnd:
        ::std::option::Option<unsafe extern "C" fn(effectInstance: *mut ::std::os::raw::c_void) -> OfxStatus>,
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct OfxProgressSuiteV2 {
    pub progressStart: ::std::option::Option<
        unsafe extern "C" fn(
            effectInstance: *mut ::std::os::raw::c_void,
            message: *const ::std::os::raw::c_char,
            messageid: *const ::std::os::raw::c_char,
        ) -> OfxStatus,
    >,
    pub progressUpdate: ::std::option::Option<
        unsafe extern "C" fn(effectInstance: *mut ::std::os::raw::c_void, progress: f64) -> OfxStatus,
    >,
    pub progressEnd:
        ::std::option::Option<unsafe extern "C" fn(effectInstance: *mut ::std::os::raw::c_void) -> OfxStatus>,
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct OfxTimeLineSuiteV1 {
    pub getTime: ::std::option::Option<
        unsafe extern "C" fn(instance: *mut ::std::os::raw::c_void, time: *mut f64) -> OfxStatus,
    >,
    pub gotoTime: ::std::option::Option<
        unsafe extern "C" fn(instance: *mut ::std::os::raw::c_void, time: f64) -> OfxStatus,
    >,
    pub getTimeBounds: ::std::option::Option<
        unsafe extern "C" fn(
            instance: *mut ::std::os::raw::c_void,
            firstTime: *mut f64,
            lastTime: *mut f64,
        ) -> OfxStatus,
    >,
}
