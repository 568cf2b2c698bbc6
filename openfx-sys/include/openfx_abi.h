/*
 * The OpenFX C interface as this repository uses it: structs, function types, constants.
 *
 * Written here from the OpenFX standard, version 1.5. Layouts, names and string values are facts
 * of that standard and must not change; `src/bindings.rs` is generated from this file by
 * `cargo xtask bindings`.
 */
#ifndef OPENFX_ABI_H
#define OPENFX_ABI_H

#include <stddef.h>

/* ---- Core ------------------------------------------------------------------------------- */

/* What every action and suite function returns: one of kOfxStat... */
typedef int OfxStatus;

/* Time in frames, fractions allowed. */
typedef double OfxTime;

/* A host's named properties, seen only through the property suite. */
typedef struct OfxPropertySetStruct *OfxPropertySetHandle;

typedef struct OfxRangeI {
  int min, max;
} OfxRangeI;

typedef struct OfxRangeD {
  double min, max;
} OfxRangeD;

typedef struct OfxPointI {
  int x, y;
} OfxPointI;

typedef struct OfxPointD {
  double x, y;
} OfxPointD;

/* Half open: x1 <= x < x2, y grows upwards. */
typedef struct OfxRectI {
  int x1, y1, x2, y2;
} OfxRectI;

typedef struct OfxRectD {
  double x1, y1, x2, y2;
} OfxRectD;

/* What the host hands to setHost: its properties and its suites. */
typedef struct OfxHost {
  OfxPropertySetHandle host;
  const void *(*fetchSuite)(OfxPropertySetHandle host, const char *suiteName, int suiteVersion);
} OfxHost;

typedef OfxStatus(OfxPluginEntryPoint)(const char *action, const void *handle,
                                       OfxPropertySetHandle inArgs, OfxPropertySetHandle outArgs);

/* One plug-in of a binary, as OfxGetPlugin returns it. */
typedef struct OfxPlugin {
  const char *pluginApi;
  int apiVersion;
  const char *pluginIdentifier;
  unsigned int pluginVersionMajor;
  unsigned int pluginVersionMinor;
  void (*setHost)(OfxHost *host);
  OfxPluginEntryPoint *mainEntry;
} OfxPlugin;

/* Status codes, answers of actions and suite functions. */
#define kOfxStatOK                    0
#define kOfxStatFailed                1
#define kOfxStatErrFatal              2
#define kOfxStatErrUnknown            3
#define kOfxStatErrMissingHostFeature 4
#define kOfxStatErrUnsupported        5
#define kOfxStatErrExists             6
#define kOfxStatErrFormat             7
#define kOfxStatErrMemory             8
#define kOfxStatErrBadHandle          9
#define kOfxStatErrBadIndex           10
#define kOfxStatErrValue              11
#define kOfxStatReplyYes              12
#define kOfxStatReplyNo               13
#define kOfxStatReplyDefault          14
#define kOfxStatUnlicensed            15
#define kOfxStatErrImageFormat        1000
#define kOfxStatGPUOutOfMemory        1001
#define kOfxStatGLOutOfMemory         1001
#define kOfxStatGPURenderFailed       1002
#define kOfxStatGLRenderFailed        1002

/* Actions every plug-in may receive. */
#define kOfxActionLoad                 "OfxActionLoad"
#define kOfxActionDescribe             "OfxActionDescribe"
#define kOfxActionUnload               "OfxActionUnload"
#define kOfxActionPurgeCaches          "OfxActionPurgeCaches"
#define kOfxActionSyncPrivateData      "OfxActionSyncPrivateData"
#define kOfxActionCreateInstance       "OfxActionCreateInstance"
#define kOfxActionDestroyInstance      "OfxActionDestroyInstance"
#define kOfxActionInstanceChanged      "OfxActionInstanceChanged"
#define kOfxActionBeginInstanceChanged "OfxActionBeginInstanceChanged"
#define kOfxActionEndInstanceChanged   "OfxActionEndInstanceChanged"
#define kOfxActionBeginInstanceEdit    "OfxActionBeginInstanceEdit"
#define kOfxActionEndInstanceEdit      "OfxActionEndInstanceEdit"

/* Properties common to many objects. */
#define kOfxPropAPIVersion        "OfxPropAPIVersion"
#define kOfxPropTime              "OfxPropTime"
#define kOfxPropIsInteractive     "OfxPropIsInteractive"
#define kOfxPluginPropFilePath    "OfxPluginPropFilePath"
#define kOfxPropInstanceData      "OfxPropInstanceData"
#define kOfxPropType              "OfxPropType"
#define kOfxPropName              "OfxPropName"
#define kOfxPropVersion           "OfxPropVersion"
#define kOfxPropVersionLabel      "OfxPropVersionLabel"
#define kOfxPropPluginDescription "OfxPropPluginDescription"
#define kOfxPropLabel             "OfxPropLabel"
#define kOfxPropIcon              "OfxPropIcon"
#define kOfxPropShortLabel        "OfxPropShortLabel"
#define kOfxPropLongLabel         "OfxPropLongLabel"
#define kOfxPropChangeReason      "OfxPropChangeReason"
#define kOfxPropEffectInstance    "OfxPropEffectInstance"
#define kOfxPropHostOSHandle      "OfxPropHostOSHandle"

/* Why something changed: values of kOfxPropChangeReason. */
#define kOfxChangeUserEdited   "OfxChangeUserEdited"
#define kOfxChangePluginEdited "OfxChangePluginEdited"
#define kOfxChangeTime         "OfxChangeTime"

/* Sides of a region without end. */
#define kOfxFlagInfiniteMax 2147483647
#define kOfxFlagInfiniteMin (-2147483647 - 1)

/* Sample types of a pixel component. */
#define kOfxBitDepthNone  "OfxBitDepthNone"
#define kOfxBitDepthByte  "OfxBitDepthByte"
#define kOfxBitDepthShort "OfxBitDepthShort"
#define kOfxBitDepthHalf  "OfxBitDepthHalf"
#define kOfxBitDepthFloat "OfxBitDepthFloat"

/* Names under which the suites are fetched. */
#define kOfxPropertySuite    "OfxPropertySuite"
#define kOfxParameterSuite   "OfxParameterSuite"
#define kOfxImageEffectSuite "OfxImageEffectSuite"
#define kOfxInteractSuite    "OfxInteractSuite"
#define kOfxMemorySuite      "OfxMemorySuite"
#define kOfxMessageSuite     "OfxMessageSuite"
#define kOfxMultiThreadSuite "OfxMultiThreadSuite"
#define kOfxProgressSuite    "OfxProgressSuite"
#define kOfxTimeLineSuite    "OfxTimeLineSuite"

/* ---- Property suite, version 1 ---------------------------------------------------------- */

typedef struct OfxPropertySuiteV1 {
  OfxStatus (*propSetPointer)(OfxPropertySetHandle properties, const char *property, int index, void *value);
  OfxStatus (*propSetString)(OfxPropertySetHandle properties, const char *property, int index, const char *value);
  OfxStatus (*propSetDouble)(OfxPropertySetHandle properties, const char *property, int index, double value);
  OfxStatus (*propSetInt)(OfxPropertySetHandle properties, const char *property, int index, int value);
  OfxStatus (*propSetPointerN)(OfxPropertySetHandle properties, const char *property, int count, void *const *value);
  OfxStatus (*propSetStringN)(OfxPropertySetHandle properties, const char *property, int count, const char *const *value);
  OfxStatus (*propSetDoubleN)(OfxPropertySetHandle properties, const char *property, int count, const double *value);
  OfxStatus (*propSetIntN)(OfxPropertySetHandle properties, const char *property, int count, const int *value);
  OfxStatus (*propGetPointer)(OfxPropertySetHandle properties, const char *property, int index, void **value);
  OfxStatus (*propGetString)(OfxPropertySetHandle properties, const char *property, int index, char **value);
  OfxStatus (*propGetDouble)(OfxPropertySetHandle properties, const char *property, int index, double *value);
  OfxStatus (*propGetInt)(OfxPropertySetHandle properties, const char *property, int index, int *value);
  OfxStatus (*propGetPointerN)(OfxPropertySetHandle properties, const char *property, int count, void **value);
  OfxStatus (*propGetStringN)(OfxPropertySetHandle properties, const char *property, int count, char **value);
  OfxStatus (*propGetDoubleN)(OfxPropertySetHandle properties, const char *property, int count, double *value);
  OfxStatus (*propGetIntN)(OfxPropertySetHandle properties, const char *property, int count, int *value);
  OfxStatus (*propReset)(OfxPropertySetHandle properties, const char *property);
  OfxStatus (*propGetDimension)(OfxPropertySetHandle properties, const char *property, int *count);
} OfxPropertySuiteV1;

/* ---- Parameter suite, version 1 --------------------------------------------------------- */

typedef struct OfxParamStruct *OfxParamHandle;
typedef struct OfxParamSetStruct *OfxParamSetHandle;

/* The value of a bytes parameter. */
typedef struct OfxBytes {
  const unsigned char *data;
  size_t length;
} OfxBytes;

typedef OfxStatus(OfxCustomParamInterpFuncV1)(OfxParamSetHandle instance, OfxPropertySetHandle inArgs,
                                              OfxPropertySetHandle outArgs);

/* Behind `...` stands a pointer per dimension for the getters, a value per dimension for the setters. */
typedef struct OfxParameterSuiteV1 {
  OfxStatus (*paramDefine)(OfxParamSetHandle paramSet, const char *paramType, const char *name,
                           OfxPropertySetHandle *propertySet);
  OfxStatus (*paramGetHandle)(OfxParamSetHandle paramSet, const char *name, OfxParamHandle *param,
                              OfxPropertySetHandle *propertySet);
  OfxStatus (*paramSetGetPropertySet)(OfxParamSetHandle paramSet, OfxPropertySetHandle *propHandle);
  OfxStatus (*paramGetPropertySet)(OfxParamHandle param, OfxPropertySetHandle *propHandle);
  OfxStatus (*paramGetValue)(OfxParamHandle paramHandle, ...);
  OfxStatus (*paramGetValueAtTime)(OfxParamHandle paramHandle, OfxTime time, ...);
  OfxStatus (*paramGetDerivative)(OfxParamHandle paramHandle, OfxTime time, ...);
  OfxStatus (*paramGetIntegral)(OfxParamHandle paramHandle, OfxTime time1, OfxTime time2, ...);
  OfxStatus (*paramSetValue)(OfxParamHandle paramHandle, ...);
  OfxStatus (*paramSetValueAtTime)(OfxParamHandle paramHandle, OfxTime time, ...);
  OfxStatus (*paramGetNumKeys)(OfxParamHandle paramHandle, unsigned int *numberOfKeys);
  OfxStatus (*paramGetKeyTime)(OfxParamHandle paramHandle, unsigned int nthKey, OfxTime *time);
  OfxStatus (*paramGetKeyIndex)(OfxParamHandle paramHandle, OfxTime time, int direction, int *index);
  OfxStatus (*paramDeleteKey)(OfxParamHandle paramHandle, OfxTime time);
  OfxStatus (*paramDeleteAllKeys)(OfxParamHandle paramHandle);
  OfxStatus (*paramCopy)(OfxParamHandle paramTo, OfxParamHandle paramFrom, OfxTime dstOffset,
                         const OfxRangeD *frameRange);
  OfxStatus (*paramEditBegin)(OfxParamSetHandle paramSet, const char *name);
  OfxStatus (*paramEditEnd)(OfxParamSetHandle paramSet);
} OfxParameterSuiteV1;

/* Object types of the parameter suite: values of kOfxPropType. */
#define kOfxTypeParameter         "OfxTypeParameter"
#define kOfxTypeParameterInstance "OfxTypeParameterInstance"

/* Parameter types, second argument of paramDefine. */
#define kOfxParamTypeInteger    "OfxParamTypeInteger"
#define kOfxParamTypeDouble     "OfxParamTypeDouble"
#define kOfxParamTypeBoolean    "OfxParamTypeBoolean"
#define kOfxParamTypeChoice     "OfxParamTypeChoice"
#define kOfxParamTypeStrChoice  "OfxParamTypeStrChoice"
#define kOfxParamTypeRGBA       "OfxParamTypeRGBA"
#define kOfxParamTypeRGB        "OfxParamTypeRGB"
#define kOfxParamTypeDouble2D   "OfxParamTypeDouble2D"
#define kOfxParamTypeInteger2D  "OfxParamTypeInteger2D"
#define kOfxParamTypeDouble3D   "OfxParamTypeDouble3D"
#define kOfxParamTypeInteger3D  "OfxParamTypeInteger3D"
#define kOfxParamTypeString     "OfxParamTypeString"
#define kOfxParamTypeCustom     "OfxParamTypeCustom"
#define kOfxParamTypeBytes      "OfxParamTypeBytes"
#define kOfxParamTypeGroup      "OfxParamTypeGroup"
#define kOfxParamTypePage       "OfxParamTypePage"
#define kOfxParamTypePushButton "OfxParamTypePushButton"

/* What a host can do with parameters. */
#define kOfxParamHostPropSupportsCustomAnimation    "OfxParamHostPropSupportsCustomAnimation"
#define kOfxParamHostPropSupportsStringAnimation    "OfxParamHostPropSupportsStringAnimation"
#define kOfxParamHostPropSupportsBooleanAnimation   "OfxParamHostPropSupportsBooleanAnimation"
#define kOfxParamHostPropSupportsChoiceAnimation    "OfxParamHostPropSupportsChoiceAnimation"
#define kOfxParamHostPropSupportsCustomInteract     "OfxParamHostPropSupportsCustomInteract"
#define kOfxParamHostPropMaxParameters              "OfxParamHostPropMaxParameters"
#define kOfxParamHostPropMaxPages                   "OfxParamHostPropMaxPages"
#define kOfxParamHostPropPageRowColumnCount         "OfxParamHostPropPageRowColumnCount"
#define kOfxParamHostPropSupportsStrChoiceAnimation "OfxParamHostPropSupportsStrChoiceAnimation"
#define kOfxParamHostPropSupportsStrChoice          "OfxParamHostPropSupportsStrChoice"

/* Properties of parameters. */
#define kOfxParamPropInteractV1              "OfxParamPropInteractV1"
#define kOfxParamPropInteractSize            "OfxParamPropInteractSize"
#define kOfxParamPropInteractSizeAspect      "OfxParamPropInteractSizeAspect"
#define kOfxParamPropInteractMinimumSize     "OfxParamPropInteractMinimumSize"
#define kOfxParamPropInteractPreferedSize    "OfxParamPropInteractPreferedSize"
#define kOfxParamPropType                    "OfxParamPropType"
#define kOfxParamPropAnimates                "OfxParamPropAnimates"
#define kOfxParamPropCanUndo                 "OfxParamPropCanUndo"
#define kOfxPropParamSetNeedsSyncing         "OfxPropParamSetNeedsSyncing"
#define kOfxParamPropIsAnimating             "OfxParamPropIsAnimating"
#define kOfxParamPropPluginMayWrite          "OfxParamPropPluginMayWrite"
#define kOfxParamPropPersistant              "OfxParamPropPersistant"
#define kOfxParamPropEvaluateOnChange        "OfxParamPropEvaluateOnChange"
#define kOfxParamPropSecret                  "OfxParamPropSecret"
#define kOfxParamPropScriptName              "OfxParamPropScriptName"
#define kOfxParamPropCacheInvalidation       "OfxParamPropCacheInvalidation"
#define kOfxParamPropHint                    "OfxParamPropHint"
#define kOfxParamPropDefault                 "OfxParamPropDefault"
#define kOfxParamPropDoubleType              "OfxParamPropDoubleType"
#define kOfxParamPropDefaultCoordinateSystem "OfxParamPropDefaultCoordinateSystem"
#define kOfxParamPropHasHostOverlayHandle    "OfxParamPropHasHostOverlayHandle"
#define kOfxParamPropUseHostOverlayHandle    "kOfxParamPropUseHostOverlayHandle"
#define kOfxParamInterpType                  "OfxParamInterpType"
#define kOfxParamPropShowTimeMarker          "OfxParamPropShowTimeMarker"
#define kOfxPluginPropParamPageOrder         "OfxPluginPropParamPageOrder"
#define kOfxParamPropPageChild               "OfxParamPropPageChild"
#define kOfxParamPropParent                  "OfxParamPropParent"
#define kOfxParamPropGroupOpen               "OfxParamPropGroupOpen"
#define kOfxParamPropEnabled                 "OfxParamPropEnabled"
#define kOfxParamPropDataPtr                 "OfxParamPropDataPtr"
#define kOfxParamPropChoiceOption            "OfxParamPropChoiceOption"
#define kOfxParamPropChoiceOrder             "OfxParamPropChoiceOrder"
#define kOfxParamPropChoiceEnum              "OfxParamPropChoiceEnum"
#define kOfxParamPropMin                     "OfxParamPropMin"
#define kOfxParamPropMax                     "OfxParamPropMax"
#define kOfxParamPropDisplayMin              "OfxParamPropDisplayMin"
#define kOfxParamPropDisplayMax              "OfxParamPropDisplayMax"
#define kOfxParamPropIncrement               "OfxParamPropIncrement"
#define kOfxParamPropDigits                  "OfxParamPropDigits"
#define kOfxParamPropDimensionLabel          "OfxParamPropDimensionLabel"
#define kOfxParamPropIsAutoKeying            "OfxParamPropIsAutoKeying"
#define kOfxParamPropCustomInterpCallbackV1  "OfxParamPropCustomCallbackV1"
#define kOfxParamPropStringMode              "OfxParamPropStringMode"
#define kOfxParamPropStringFilePathExists    "OfxParamPropStringFilePathExists"
#define kOfxParamPropCustomValue             "OfxParamPropCustomValue"
#define kOfxParamPropInterpolationTime       "OfxParamPropInterpolationTime"
#define kOfxParamPropInterpolationAmount     "OfxParamPropInterpolationAmount"

/* Entries of a page that leave space instead of showing a parameter. */
#define kOfxParamPageSkipRow    "OfxParamPageSkipRow"
#define kOfxParamPageSkipColumn "OfxParamPageSkipColumn"

/* What a change invalidates: values of kOfxParamPropCacheInvalidation. */
#define kOfxParamInvalidateValueChange      "OfxParamInvalidateValueChange"
#define kOfxParamInvalidateValueChangeToEnd "OfxParamInvalidateValueChangeToEnd"
#define kOfxParamInvalidateAll              "OfxParamInvalidateAll"

/* How a double is to be read: values of kOfxParamPropDoubleType. */
#define kOfxParamDoubleTypePlain        "OfxParamDoubleTypePlain"
#define kOfxParamDoubleTypeScale        "OfxParamDoubleTypeScale"
#define kOfxParamDoubleTypeAngle        "OfxParamDoubleTypeAngle"
#define kOfxParamDoubleTypeTime         "OfxParamDoubleTypeTime"
#define kOfxParamDoubleTypeAbsoluteTime "OfxParamDoubleTypeAbsoluteTime"
#define kOfxParamDoubleTypeX            "OfxParamDoubleTypeX"
#define kOfxParamDoubleTypeY            "OfxParamDoubleTypeY"
#define kOfxParamDoubleTypeXAbsolute    "OfxParamDoubleTypeXAbsolute"
#define kOfxParamDoubleTypeYAbsolute    "OfxParamDoubleTypeYAbsolute"
#define kOfxParamDoubleTypeXY           "OfxParamDoubleTypeXY"
#define kOfxParamDoubleTypeXYAbsolute   "OfxParamDoubleTypeXYAbsolute"

/* Coordinate systems of positions. */
#define kOfxParamCoordinatesCanonical  "OfxParamCoordinatesCanonical"
#define kOfxParamCoordinatesNormalised "OfxParamCoordinatesNormalised"

/* Interpolation between keys. */
#define kOfxParamInterpTypeConstantStep "OfxParamInterpTypeConstantStep"
#define kOfxParamInterpTypeLinear       "OfxParamInterpTypeLinear"
#define kOfxParamInterpTypeSmooth       "OfxParamInterpTypeSmooth"

/* Kinds of string: values of kOfxParamPropStringMode. */
#define kOfxParamStringIsSingleLine     "OfxParamStringIsSingleLine"
#define kOfxParamStringIsMultiLine      "OfxParamStringIsMultiLine"
#define kOfxParamStringIsFilePath       "OfxParamStringIsFilePath"
#define kOfxParamStringIsDirectoryPath  "OfxParamStringIsDirectoryPath"
#define kOfxParamStringIsLabel          "OfxParamStringIsLabel"
#define kOfxParamStringIsRichTextFormat "OfxParamStringIsRichTextFormat"

/* ---- Image effect suite, version 1 ------------------------------------------------------ */

typedef struct OfxImageEffectStruct *OfxImageEffectHandle;
typedef struct OfxImageClipStruct *OfxImageClipHandle;
typedef struct OfxImageMemoryStruct *OfxImageMemoryHandle;

typedef struct OfxImageEffectSuiteV1 {
  OfxStatus (*getPropertySet)(OfxImageEffectHandle imageEffect, OfxPropertySetHandle *propHandle);
  OfxStatus (*getParamSet)(OfxImageEffectHandle imageEffect, OfxParamSetHandle *paramSet);
  OfxStatus (*clipDefine)(OfxImageEffectHandle imageEffect, const char *name, OfxPropertySetHandle *propertySet);
  OfxStatus (*clipGetHandle)(OfxImageEffectHandle imageEffect, const char *name, OfxImageClipHandle *clip,
                             OfxPropertySetHandle *propertySet);
  OfxStatus (*clipGetPropertySet)(OfxImageClipHandle clip, OfxPropertySetHandle *propHandle);
  OfxStatus (*clipGetImage)(OfxImageClipHandle clip, OfxTime time, const OfxRectD *region,
                            OfxPropertySetHandle *imageHandle);
  OfxStatus (*clipReleaseImage)(OfxPropertySetHandle imageHandle);
  OfxStatus (*clipGetRegionOfDefinition)(OfxImageClipHandle clip, OfxTime time, OfxRectD *bounds);
  int (*abort)(OfxImageEffectHandle imageEffect);
  OfxStatus (*imageMemoryAlloc)(OfxImageEffectHandle instanceHandle, size_t nBytes, OfxImageMemoryHandle *memoryHandle);
  OfxStatus (*imageMemoryFree)(OfxImageMemoryHandle memoryHandle);
  OfxStatus (*imageMemoryLock)(OfxImageMemoryHandle memoryHandle, void **returnedPtr);
  OfxStatus (*imageMemoryUnlock)(OfxImageMemoryHandle memoryHandle);
} OfxImageEffectSuiteV1;

/* The image effect interface. */
#define kOfxImageEffectPluginApi        "OfxImageEffectPluginAPI"
#define kOfxImageEffectPluginApiVersion 1

/* Pixel components. */
#define kOfxImageComponentNone  "OfxImageComponentNone"
#define kOfxImageComponentRGBA  "OfxImageComponentRGBA"
#define kOfxImageComponentRGB   "OfxImageComponentRGB"
#define kOfxImageComponentAlpha "OfxImageComponentAlpha"

/* Contexts an effect may be used in. */
#define kOfxImageEffectContextGenerator  "OfxImageEffectContextGenerator"
#define kOfxImageEffectContextFilter     "OfxImageEffectContextFilter"
#define kOfxImageEffectContextTransition "OfxImageEffectContextTransition"
#define kOfxImageEffectContextPaint      "OfxImageEffectContextPaint"
#define kOfxImageEffectContextGeneral    "OfxImageEffectContextGeneral"
#define kOfxImageEffectContextRetimer    "OfxImageEffectContextRetimer"

/* Object types: values of kOfxPropType. */
#define kOfxTypeImageEffectHost     "OfxTypeImageEffectHost"
#define kOfxTypeImageEffect         "OfxTypeImageEffect"
#define kOfxTypeImageEffectInstance "OfxTypeImageEffectInstance"
#define kOfxTypeClip                "OfxTypeClip"
#define kOfxTypeImage               "OfxTypeImage"

/* Actions of image effects. */
#define kOfxImageEffectActionGetRegionOfDefinition "OfxImageEffectActionGetRegionOfDefinition"
#define kOfxImageEffectActionGetRegionsOfInterest  "OfxImageEffectActionGetRegionsOfInterest"
#define kOfxImageEffectActionGetTimeDomain         "OfxImageEffectActionGetTimeDomain"
#define kOfxImageEffectActionGetFramesNeeded       "OfxImageEffectActionGetFramesNeeded"
#define kOfxImageEffectActionGetClipPreferences    "OfxImageEffectActionGetClipPreferences"
#define kOfxImageEffectActionIsIdentity            "OfxImageEffectActionIsIdentity"
#define kOfxImageEffectActionRender                "OfxImageEffectActionRender"
#define kOfxImageEffectActionBeginSequenceRender   "OfxImageEffectActionBeginSequenceRender"
#define kOfxImageEffectActionEndSequenceRender     "OfxImageEffectActionEndSequenceRender"
#define kOfxImageEffectActionDescribeInContext     "OfxImageEffectActionDescribeInContext"

/* Thread safety of render: values of kOfxImageEffectPluginRenderThreadSafety. */
#define kOfxImageEffectRenderUnsafe       "OfxImageEffectRenderUnsafe"
#define kOfxImageEffectRenderInstanceSafe "OfxImageEffectRenderInstanceSafe"
#define kOfxImageEffectRenderFullySafe    "OfxImageEffectRenderFullySafe"

/* Where a host counts its own pixels from. */
#define kOfxHostNativeOriginBottomLeft "kOfxImageEffectHostPropNativeOriginBottomLeft"
#define kOfxHostNativeOriginTopLeft    "kOfxImageEffectHostPropNativeOriginTopLeft"
#define kOfxHostNativeOriginCenter     "kOfxImageEffectHostPropNativeOriginCenter"

/* Alpha handling: values of kOfxImageEffectPropPreMultiplication. */
#define kOfxImageOpaque          "OfxImageOpaque"
#define kOfxImagePreMultiplied   "OfxImageAlphaPremultiplied"
#define kOfxImageUnPreMultiplied "OfxImageAlphaUnPremultiplied"

/* Fields. */
#define kOfxImageFieldNone    "OfxFieldNone"
#define kOfxImageFieldLower   "OfxFieldLower"
#define kOfxImageFieldUpper   "OfxFieldUpper"
#define kOfxImageFieldBoth    "OfxFieldBoth"
#define kOfxImageFieldSingle  "OfxFieldSingle"
#define kOfxImageFieldDoubled "OfxFieldDoubled"

/* Names of the clips and parameters a context prescribes. */
#define kOfxImageEffectOutputClipName               "Output"
#define kOfxImageEffectSimpleSourceClipName         "Source"
#define kOfxImageEffectTransitionSourceFromClipName "SourceFrom"
#define kOfxImageEffectTransitionSourceToClipName   "SourceTo"
#define kOfxImageEffectTransitionParamName          "Transition"
#define kOfxImageEffectRetimerParamName             "SourceTime"

/* Values of kOfxImageEffectPropBehaviourWhenUnlicensed. */
#define kOfxUnlicensedContinue "OfxUnlicensedContinue"
#define kOfxUnlicensedFail     "OfxUnlicensedFail"

/* Properties of hosts and effects that begin with OfxImageEffectHost, Plugin or Instance. */
#define kOfxImageEffectHostPropIsBackground             "OfxImageEffectHostPropIsBackground"
#define kOfxImageEffectPluginPropSingleInstance         "OfxImageEffectPluginPropSingleInstance"
#define kOfxImageEffectPluginRenderThreadSafety         "OfxImageEffectPluginRenderThreadSafety"
#define kOfxImageEffectPluginPropHostFrameThreading     "OfxImageEffectPluginPropHostFrameThreading"
#define kOfxImageEffectInstancePropSequentialRender     "OfxImageEffectInstancePropSequentialRender"
#define kOfxImageEffectHostPropNativeOrigin             "OfxImageEffectHostPropNativeOrigin"
#define kOfxImageEffectPluginPropGrouping               "OfxImageEffectPluginPropGrouping"
#define kOfxImageEffectPluginPropObsolete               "OfxImageEffectPluginPropObsolete"
#define kOfxImageEffectPluginPropOverlayInteractV1      "OfxImageEffectPluginPropOverlayInteractV1"
#define kOfxImageEffectPluginPropOverlayInteractV2      "OfxImageEffectPluginPropOverlayInteractV2"
#define kOfxImageEffectInstancePropEffectDuration       "OfxImageEffectInstancePropEffectDuration"
#define kOfxImageEffectPluginPropFieldRenderTwiceAlways "OfxImageEffectPluginPropFieldRenderTwiceAlways"

/* Properties of effects, of clips and of the arguments of actions. */
#define kOfxImageEffectPropSupportedContexts          "OfxImageEffectPropSupportedContexts"
#define kOfxImageEffectPropPluginHandle               "OfxImageEffectPropPluginHandle"
#define kOfxImageEffectPropSupportsMultipleClipDepths "OfxImageEffectPropMultipleClipDepths"
#define kOfxImageEffectPropSupportsMultipleClipPARs   "OfxImageEffectPropSupportsMultipleClipPARs"
#define kOfxImageEffectPropClipPreferencesSlaveParam  "OfxImageEffectPropClipPreferencesSlaveParam"
#define kOfxImageEffectPropSetableFrameRate           "OfxImageEffectPropSetableFrameRate"
#define kOfxImageEffectPropSetableFielding            "OfxImageEffectPropSetableFielding"
#define kOfxImageEffectPropSequentialRenderStatus     "OfxImageEffectPropSequentialRenderStatus"
#define kOfxImageEffectPropInteractiveRenderStatus    "OfxImageEffectPropInteractiveRenderStatus"
#define kOfxImageEffectPropSupportsOverlays           "OfxImageEffectPropSupportsOverlays"
#define kOfxImageEffectPropSupportsMultiResolution    "OfxImageEffectPropSupportsMultiResolution"
#define kOfxImageEffectPropSupportsTiles              "OfxImageEffectPropSupportsTiles"
#define kOfxImageEffectPropTemporalClipAccess         "OfxImageEffectPropTemporalClipAccess"
#define kOfxImageEffectPropContext                    "OfxImageEffectPropContext"
#define kOfxImageEffectPropPixelDepth                 "OfxImageEffectPropPixelDepth"
#define kOfxImageEffectPropComponents                 "OfxImageEffectPropComponents"
#define kOfxImageEffectPropPreMultiplication          "OfxImageEffectPropPreMultiplication"
#define kOfxImageEffectPropSupportedPixelDepths       "OfxImageEffectPropSupportedPixelDepths"
#define kOfxImageEffectPropSupportedComponents        "OfxImageEffectPropSupportedComponents"
#define kOfxImageEffectPropFrameRate                  "OfxImageEffectPropFrameRate"
#define kOfxImageEffectPropUnmappedFrameRate          "OfxImageEffectPropUnmappedFrameRate"
#define kOfxImageEffectPropFrameStep                  "OfxImageEffectPropFrameStep"
#define kOfxImageEffectPropFrameRange                 "OfxImageEffectPropFrameRange"
#define kOfxImageEffectPropUnmappedFrameRange         "OfxImageEffectPropUnmappedFrameRange"
#define kOfxImageEffectFrameVarying                   "OfxImageEffectFrameVarying"
#define kOfxImageEffectPropRenderScale                "OfxImageEffectPropRenderScale"
#define kOfxImageEffectPropRenderQualityDraft         "OfxImageEffectPropRenderQualityDraft"
#define kOfxImageEffectPropNoSpatialAwareness         "OfxImageEffectPropNoSpatialAwareness"
#define kOfxImageEffectPropThumbnailRender            "OfxImageEffectPropThumbnailRender"
#define kOfxImageEffectPropProjectExtent              "OfxImageEffectPropProjectExtent"
#define kOfxImageEffectPropProjectSize                "OfxImageEffectPropProjectSize"
#define kOfxImageEffectPropProjectOffset              "OfxImageEffectPropProjectOffset"
#define kOfxImageEffectPropProjectPixelAspectRatio    "OfxImageEffectPropPixelAspectRatio"
#define kOfxImageEffectPropFieldToRender              "OfxImageEffectPropFieldToRender"
#define kOfxImageEffectPropRegionOfDefinition         "OfxImageEffectPropRegionOfDefinition"
#define kOfxImageEffectPropRegionOfInterest           "OfxImageEffectPropRegionOfInterest"
#define kOfxImageEffectPropRenderWindow               "OfxImageEffectPropRenderWindow"
#define kOfxImageEffectPropBehaviourWhenUnlicensed    "OfxImageEffectPropBehaviourWhenUnlicensed"

/* Properties of clips. */
#define kOfxImageClipPropContinuousSamples  "OfxImageClipPropContinuousSamples"
#define kOfxImageClipPropUnmappedPixelDepth "OfxImageClipPropUnmappedPixelDepth"
#define kOfxImageClipPropUnmappedComponents "OfxImageClipPropUnmappedComponents"
#define kOfxImageClipPropOptional           "OfxImageClipPropOptional"
#define kOfxImageClipPropIsMask             "OfxImageClipPropIsMask"
#define kOfxImageClipPropConnected          "OfxImageClipPropConnected"
#define kOfxImageClipPropFieldOrder         "OfxImageClipPropFieldOrder"
#define kOfxImageClipPropFieldExtraction    "OfxImageClipPropFieldExtraction"

/* Properties of images. */
#define kOfxImagePropUniqueIdentifier   "OfxImagePropUniqueIdentifier"
#define kOfxImagePropPixelAspectRatio   "OfxImagePropPixelAspectRatio"
#define kOfxImagePropData               "OfxImagePropData"
#define kOfxImagePropBounds             "OfxImagePropBounds"
#define kOfxImagePropRegionOfDefinition "OfxImagePropRegionOfDefinition"
#define kOfxImagePropRowBytes           "OfxImagePropRowBytes"
#define kOfxImagePropField              "OfxImagePropField"

/* Rendering on a graphics card: properties and actions, declared so that they can be answered with no. */
#define kOfxImageEffectPropOpenGLRenderSupported "OfxImageEffectPropOpenGLRenderSupported"
#define kOfxOpenGLPropPixelDepth                 "OfxOpenGLPropPixelDepth"
#define kOfxImageEffectPropOpenGLEnabled         "OfxImageEffectPropOpenGLEnabled"
#define kOfxImageEffectPropOpenGLTextureIndex    "OfxImageEffectPropOpenGLTextureIndex"
#define kOfxImageEffectPropOpenGLTextureTarget   "OfxImageEffectPropOpenGLTextureTarget"
#define kOfxImageEffectPropCPURenderSupported    "OfxImageEffectPropCPURenderSupported"
#define kOfxActionOpenGLContextAttached          "OfxActionOpenGLContextAttached"
#define kOfxActionOpenGLContextDetached          "kOfxActionOpenGLContextDetached"
#define kOfxImageEffectPropCudaRenderSupported   "OfxImageEffectPropCudaRenderSupported"
#define kOfxImageEffectPropCudaEnabled           "OfxImageEffectPropCudaEnabled"
#define kOfxImageEffectPropCudaStreamSupported   "OfxImageEffectPropCudaStreamSupported"
#define kOfxImageEffectPropCudaStream            "OfxImageEffectPropCudaStream"
#define kOfxImageEffectPropMetalRenderSupported  "OfxImageEffectPropMetalRenderSupported"
#define kOfxImageEffectPropMetalEnabled          "OfxImageEffectPropMetalEnabled"
#define kOfxImageEffectPropMetalCommandQueue     "OfxImageEffectPropMetalCommandQueue"
#define kOfxImageEffectPropOpenCLRenderSupported "OfxImageEffectPropOpenCLRenderSupported"
#define kOfxImageEffectPropOpenCLSupported       "OfxImageEffectPropOpenCLSupported"
#define kOfxImageEffectPropOpenCLEnabled         "OfxImageEffectPropOpenCLEnabled"
#define kOfxImageEffectPropOpenCLCommandQueue    "OfxImageEffectPropOpenCLCommandQueue"
#define kOfxImageEffectPropOpenCLImage           "OfxImageEffectPropOpenCLImage"

/* Colour management (advisory, version 1.5). */
#define kOfxImageEffectPropColourManagementStyle            "OfxImageEffectPropColourManagementStyle"
#define kOfxImageEffectColourManagementNone                 "OfxImageEffectColourManagementNone"
#define kOfxImageEffectColourManagementBasic                "OfxImageEffectColourManagementBasic"
#define kOfxImageEffectColourManagementCore                 "OfxImageEffectColourManagementCore"
#define kOfxImageEffectColourManagementFull                 "OfxImageEffectColourManagementFull"
#define kOfxImageEffectColourManagementOCIO                 "OfxImageEffectColourManagementOCIO"
#define kOfxImageEffectPropColourManagementAvailableConfigs "OfxImageEffectPropColourManagementAvailableConfigs"
#define kOfxImageEffectPropColourManagementConfig           "OfxImageEffectPropColourManagementConfig"
#define kOfxImageEffectPropOCIOConfig                       "OfxImageEffectPropOCIOConfig"
#define kOfxImageClipPropColourspace                        "OfxImageClipPropColourspace"
#define kOfxImageClipPropPreferredColourspaces              "OfxImageClipPropPreferredColourspaces"
#define kOfxImageEffectPropDisplayColourspace               "OfxImageEffectPropDisplayColourspace"
#define kOfxImageEffectPropOCIODisplay                      "OfxImageEffectPropOCIODisplay"
#define kOfxImageEffectPropOCIOView                         "OfxImageEffectPropOCIOView"
#define kOfxImageEffectActionGetOutputColourspace           "OfxImageEffectActionGetOutputColourspace"

/* ---- Interact suite, version 1 ---------------------------------------------------------- */

typedef struct OfxInteract *OfxInteractHandle;

typedef struct OfxInteractSuiteV1 {
  OfxStatus (*interactSwapBuffers)(OfxInteractHandle interactInstance);
  OfxStatus (*interactRedraw)(OfxInteractHandle interactInstance);
  OfxStatus (*interactGetPropertySet)(OfxInteractHandle interactInstance, OfxPropertySetHandle *property);
} OfxInteractSuiteV1;

/* Properties of interacts. */
#define kOfxInteractPropSlaveToParam        "OfxInteractPropSlaveToParam"
#define kOfxInteractPropPixelScale          "OfxInteractPropPixelScale"
#define kOfxInteractPropBackgroundColour    "OfxInteractPropBackgroundColour"
#define kOfxInteractPropSuggestedColour     "OfxInteractPropSuggestedColour"
#define kOfxInteractPropPenPosition         "OfxInteractPropPenPosition"
#define kOfxInteractPropPenViewportPosition "OfxInteractPropPenViewportPosition"
#define kOfxInteractPropPenPressure         "OfxInteractPropPenPressure"
#define kOfxInteractPropBitDepth            "OfxInteractPropBitDepth"
#define kOfxInteractPropHasAlpha            "OfxInteractPropHasAlpha"
#define kOfxPropKeySym                      "kOfxPropKeySym"
#define kOfxPropKeyString                   "kOfxPropKeyString"

/* Actions of interacts. */
#define kOfxInteractActionDraw      "OfxInteractActionDraw"
#define kOfxInteractActionPenMotion "OfxInteractActionPenMotion"
#define kOfxInteractActionPenDown   "OfxInteractActionPenDown"
#define kOfxInteractActionPenUp     "OfxInteractActionPenUp"
#define kOfxInteractActionKeyDown   "OfxInteractActionKeyDown"
#define kOfxInteractActionKeyUp     "OfxInteractActionKeyUp"
#define kOfxInteractActionKeyRepeat "OfxInteractActionKeyRepeat"
#define kOfxInteractActionGainFocus "OfxInteractActionGainFocus"
#define kOfxInteractActionLoseFocus "OfxInteractActionLoseFocus"

/* ---- Memory suite, version 1 ------------------------------------------------------------ */

typedef struct OfxMemorySuiteV1 {
  OfxStatus (*memoryAlloc)(void *handle, size_t nBytes, void **allocatedData);
  OfxStatus (*memoryFree)(void *allocatedData);
} OfxMemorySuiteV1;

/* ---- Message suite, versions 1 and 2 ---------------------------------------------------- */

/* Message types. */
#define kOfxMessageFatal    "OfxMessageFatal"
#define kOfxMessageError    "OfxMessageError"
#define kOfxMessageWarning  "OfxMessageWarning"
#define kOfxMessageMessage  "OfxMessageMessage"
#define kOfxMessageLog      "OfxMessageLog"
#define kOfxMessageQuestion "OfxMessageQuestion"

typedef struct OfxMessageSuiteV1 {
  OfxStatus (*message)(void *handle, const char *messageType, const char *messageId, const char *format, ...);
} OfxMessageSuiteV1;

typedef struct OfxMessageSuiteV2 {
  OfxStatus (*message)(void *handle, const char *messageType, const char *messageId, const char *format, ...);
  OfxStatus (*setPersistentMessage)(void *handle, const char *messageType, const char *messageId, const char *format,
                                    ...);
  OfxStatus (*clearPersistentMessage)(void *handle);
} OfxMessageSuiteV2;

/* ---- Multi-thread suite, version 1 ------------------------------------------------------ */

typedef struct OfxMutex *OfxMutexHandle;

typedef void(OfxThreadFunctionV1)(unsigned int threadIndex, unsigned int threadMax, void *customArg);

typedef struct OfxMultiThreadSuiteV1 {
  OfxStatus (*multiThread)(OfxThreadFunctionV1 func, unsigned int nThreads, void *customArg);
  OfxStatus (*multiThreadNumCPUs)(unsigned int *nCPUs);
  OfxStatus (*multiThreadIndex)(unsigned int *threadIndex);
  int (*multiThreadIsSpawnedThread)(void);
  OfxStatus (*mutexCreate)(OfxMutexHandle *mutex, int lockCount);
  OfxStatus (*mutexDestroy)(const OfxMutexHandle mutex);
  OfxStatus (*mutexLock)(const OfxMutexHandle mutex);
  OfxStatus (*mutexUnLock)(const OfxMutexHandle mutex);
  OfxStatus (*mutexTryLock)(const OfxMutexHandle mutex);
} OfxMultiThreadSuiteV1;

/* ---- Progress suite, versions 1 and 2 --------------------------------------------------- */

typedef struct OfxProgressSuiteV1 {
  OfxStatus (*progressStart)(void *effectInstance, const char *label);
  OfxStatus (*progressUpdate)(void *effectInstance, double progress);
  OfxStatus (*progressEnd)(void *effectInstance);
} OfxProgressSuiteV1;

typedef struct OfxProgressSuiteV2 {
  OfxStatus (*progressStart)(void *effectInstance, const char *message, const char *messageid);
  OfxStatus (*progressUpdate)(void *effectInstance, double progress);
  OfxStatus (*progressEnd)(void *effectInstance);
} OfxProgressSuiteV2;

/* ---- Time line suite, version 1 --------------------------------------------------------- */

typedef struct OfxTimeLineSuiteV1 {
  OfxStatus (*getTime)(void *instance, double *time);
  OfxStatus (*gotoTime)(void *instance, double time);
  OfxStatus (*getTimeBounds)(void *instance, double *firstTime, double *lastTime);
} OfxTimeLineSuiteV1;

#endif
