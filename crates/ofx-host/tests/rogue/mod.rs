//! A plug-in written against the bare C API that misbehaves as its parameter `how` says.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use ofx_host::EntryPoints;
use openfx_sys::*;

/// Suites, fetched in Load; the host's are static.
struct Suites {
    property: &'static OfxPropertySuiteV1,
    effect: &'static OfxImageEffectSuiteV1,
    parameter: &'static OfxParameterSuiteV1,
    progress: &'static OfxProgressSuiteV2,
}

static HOST: AtomicPtr<OfxHost> = AtomicPtr::new(null_mut());
static SUITES: OnceLock<Suites> = OnceLock::new();

/// Calls a suite function.
macro_rules! call {
    ($suite:ident, $function:ident $(, $argument:expr)*) => {{
        let function = SUITES.get().unwrap().$suite.$function.unwrap();
        // SAFETY: what is wrong with the arguments is what the host is tested for; it looks handles up.
        unsafe { function($($argument),*) }
    }};
}

struct Table(OfxPlugin);
// SAFETY: pointers to constants and functions.
unsafe impl Sync for Table {}

static PLUGIN: Table = Table(OfxPlugin {
    pluginApi: kOfxImageEffectPluginApi.as_ptr(),
    apiVersion: kOfxImageEffectPluginApiVersion,
    pluginIdentifier: c"org.example.Rogue".as_ptr(),
    pluginVersionMajor: 1,
    pluginVersionMinor: 2,
    setHost: Some(set_host),
    mainEntry: Some(main_entry),
});

/// What a binary would export.
pub fn entry_points() -> EntryPoints {
    EntryPoints { number_of_plugins: number, plugin, set_host: None }
}

unsafe extern "C" fn number() -> c_int {
    1
}

unsafe extern "C" fn plugin(_index: c_int) -> *mut OfxPlugin {
    std::ptr::from_ref(&PLUGIN.0).cast_mut()
}

unsafe extern "C" fn set_host(host: *mut OfxHost) {
    HOST.store(host, Ordering::SeqCst);
}

fn suite<T>(name: &CStr, version: c_int) -> &'static T {
    // SAFETY: the host set before Load, whose suites are static.
    unsafe {
        let host = HOST.load(Ordering::SeqCst).as_ref().unwrap();
        host.fetchSuite.unwrap()(host.host, name.as_ptr(), version).cast::<T>().as_ref().unwrap()
    }
}

unsafe extern "C" fn main_entry(
    action: *const c_char,
    handle: *const c_void,
    in_args: OfxPropertySetHandle,
    _out_args: OfxPropertySetHandle,
) -> OfxStatus {
    // SAFETY: a C string, by the standard.
    let action = unsafe { CStr::from_ptr(action) };
    let effect: OfxImageEffectHandle = handle.cast_mut().cast();
    if action == kOfxActionLoad {
        load()
    } else if action == kOfxActionDescribe {
        describe(effect)
    } else if action == kOfxImageEffectActionDescribeInContext {
        describe_in_context(effect)
    } else if action == kOfxActionCreateInstance {
        create(effect)
    } else if action == kOfxActionInstanceChanged {
        changed(effect, in_args)
    } else if action == kOfxImageEffectActionRender {
        render(effect, in_args)
    } else {
        kOfxStatReplyDefault
    }
}

fn load() -> OfxStatus {
    SUITES.get_or_init(|| Suites {
        property: suite(kOfxPropertySuite, 1),
        effect: suite(kOfxImageEffectSuite, 1),
        parameter: suite(kOfxParameterSuite, 1),
        progress: suite(kOfxProgressSuite, 2),
    });
    kOfxStatOK
}

fn describe(effect: OfxImageEffectHandle) -> OfxStatus {
    let mut set = null_mut();
    call!(effect, getPropertySet, effect, &raw mut set);
    for (name, value) in [
        (kOfxImageEffectPropSupportedContexts, kOfxImageEffectContextFilter),
        (kOfxImageEffectPropSupportedPixelDepths, kOfxBitDepthFloat),
    ] {
        call!(property, propSetString, set, name.as_ptr(), 0, value.as_ptr());
    }
    call!(property, propSetInt, set, kOfxImageEffectPropTemporalClipAccess.as_ptr(), 0, 1)
}

fn describe_in_context(effect: OfxImageEffectHandle) -> OfxStatus {
    let (mut set, mut params) = (null_mut(), null_mut());
    for name in [c"Source", c"Output"] {
        call!(effect, clipDefine, effect, name.as_ptr(), &raw mut set);
        let components = kOfxImageEffectPropSupportedComponents.as_ptr();
        call!(property, propSetString, set, components, 0, kOfxImageComponentRGBA.as_ptr());
        call!(property, propSetInt, set, kOfxImageEffectPropTemporalClipAccess.as_ptr(), 0, 1);
    }
    call!(effect, getParamSet, effect, &raw mut params);
    for (kind, name) in [
        (kOfxParamTypeString, c"how"),
        (kOfxParamTypeInteger, c"count"),
        (kOfxParamTypeDouble3D, c"point"),
        (kOfxParamTypePushButton, c"go"),
    ] {
        call!(parameter, paramDefine, params, kind.as_ptr(), name.as_ptr(), &raw mut set);
    }
    let mut count = null_mut();
    call!(parameter, paramGetHandle, params, c"count".as_ptr(), &raw mut count, &raw mut set);
    call!(property, propSetInt, set, kOfxParamPropMax.as_ptr(), 0, 1000)
}

fn param(effect: OfxImageEffectHandle, name: &CStr) -> OfxParamHandle {
    let (mut params, mut param) = (null_mut(), null_mut());
    call!(effect, getParamSet, effect, &raw mut params);
    call!(parameter, paramGetHandle, params, name.as_ptr(), &raw mut param, null_mut());
    param
}

fn how(effect: OfxImageEffectHandle) -> String {
    let mut text: *const c_char = null();
    call!(parameter, paramGetValue, param(effect, c"how"), &raw mut text);
    // SAFETY: the host's own string.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned()
}

fn clip(effect: OfxImageEffectHandle, name: &CStr) -> OfxImageClipHandle {
    let mut clip = null_mut();
    call!(effect, clipGetHandle, effect, name.as_ptr(), &raw mut clip, null_mut());
    clip
}

fn fetch(effect: OfxImageEffectHandle, name: &CStr, time: f64) -> OfxPropertySetHandle {
    let mut image = null_mut();
    call!(effect, clipGetImage, clip(effect, name), time, null(), &raw mut image);
    image
}

fn release(image: OfxPropertySetHandle) -> OfxStatus {
    call!(effect, clipReleaseImage, image)
}

fn set_count(effect: OfxImageEffectHandle, value: c_int) -> OfxStatus {
    call!(parameter, paramSetValue, param(effect, c"count"), value)
}

fn create(effect: OfxImageEffectHandle) -> OfxStatus {
    if how(effect) == "fetch when created" {
        fetch(effect, c"Source", 1.0);
    }
    kOfxStatOK
}

fn text_property(set: OfxPropertySetHandle, name: &CStr) -> String {
    let mut text = null_mut();
    call!(property, propGetString, set, name.as_ptr(), 0, &raw mut text);
    // SAFETY: the host's own string.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned()
}

fn changed(effect: OfxImageEffectHandle, in_args: OfxPropertySetHandle) -> OfxStatus {
    let pressed = text_property(in_args, kOfxPropName) == "go";
    let own = text_property(in_args, kOfxPropChangeReason) == kOfxChangePluginEdited.to_str().unwrap();
    let mut now = 0;
    match how(effect).as_str() {
        "count" if pressed => set_count(effect, 5),
        "point" if pressed => call!(parameter, paramSetValue, param(effect, c"point"), 0.5, 1.5, 2.5),
        "fetch on own edit" if pressed => set_count(effect, 5),
        "fetch on own edit" if own => release(fetch(effect, c"Source", 1.0)),
        "endless" => {
            call!(parameter, paramGetValue, param(effect, c"count"), &raw mut now);
            set_count(effect, (now + 1) % 900)
        }
        "too large" if pressed => set_count(effect, 1001),
        "null text" if pressed => call!(parameter, paramSetValue, param(effect, c"how"), null::<c_char>()),
        "progress left open" if pressed => {
            call!(progress, progressStart, effect.cast(), c"busy".as_ptr(), null())
        }
        "progress not started" if pressed => call!(progress, progressUpdate, effect.cast(), 0.5),
        "edit left open" if pressed => {
            let mut params = null_mut();
            call!(effect, getParamSet, effect, &raw mut params);
            call!(parameter, paramEditBegin, params, c"edit".as_ptr())
        }
        "no such handle" if pressed => {
            call!(
                property,
                propGetInt,
                std::ptr::without_provenance_mut(0x1234),
                c"x".as_ptr(),
                0,
                &raw mut now
            )
        }
        "wrong type" if pressed => {
            call!(property, propGetInt, in_args, kOfxPropName.as_ptr(), 0, &raw mut now)
        }
        "read-only" if pressed => {
            call!(property, propSetString, in_args, kOfxPropName.as_ptr(), 0, c"x".as_ptr())
        }
        "describe too late" if pressed => {
            let mut set = null_mut();
            call!(parameter, paramGetPropertySet, param(effect, c"count"), &raw mut set);
            call!(property, propSetInt, set, kOfxParamPropDefault.as_ptr(), 0, 1)
        }
        _ => kOfxStatOK,
    };
    kOfxStatOK
}

/// The memory of an image: its lowest left pixel, bytes to the row above, width, height.
fn memory(image: OfxPropertySetHandle) -> (*mut f32, isize, isize, isize) {
    let (mut data, mut bounds, mut row_bytes) = (null_mut(), [0; 4], 0);
    call!(property, propGetPointer, image, kOfxImagePropData.as_ptr(), 0, &raw mut data);
    call!(property, propGetIntN, image, kOfxImagePropBounds.as_ptr(), 4, bounds.as_mut_ptr());
    call!(property, propGetInt, image, kOfxImagePropRowBytes.as_ptr(), 0, &raw mut row_bytes);
    let [x1, y1, x2, y2] = bounds;
    (data.cast(), row_bytes as isize, (x2 - x1) as isize, (y2 - y1) as isize)
}

/// Copies an image, leaving out so many rows at the top.
fn copy(source: OfxPropertySetHandle, output: OfxPropertySetHandle, left_out: isize) {
    let ((from, from_bytes, width, height), (to, to_bytes, ..)) = (memory(source), memory(output));
    for y in 0..height - left_out {
        // SAFETY: rows within the bounds of both images, which are the same.
        unsafe {
            let (from, to) = (from.byte_offset(y * from_bytes), to.byte_offset(y * to_bytes));
            to.copy_from_nonoverlapping(from, 4 * width as usize);
        }
    }
}

fn poke(image: OfxPropertySetHandle, value_from_end_of_row: isize) {
    let (data, _, width, _) = memory(image);
    // SAFETY: the image's last value, or the padding the host keeps behind each row.
    unsafe { data.offset(4 * width + value_from_end_of_row).write(7.0) };
}

fn render(effect: OfxImageEffectHandle, in_args: OfxPropertySetHandle) -> OfxStatus {
    let mut time = 0.0;
    call!(property, propGetDouble, in_args, kOfxPropTime.as_ptr(), 0, &raw mut time);
    let (source, output) = (fetch(effect, c"Source", time), fetch(effect, c"Output", time));
    if source.is_null() || output.is_null() {
        return kOfxStatFailed;
    }
    let how = how(effect);
    copy(source, output, isize::from(how == "row not written"));
    match how.as_str() {
        "leak" => return release(output),
        "released twice" => _ = release(source),
        "other frame" => _ = fetch(effect, c"Source", time + 1.0),
        "set in render" => _ = set_count(effect, 5),
        "write beyond" => poke(output, 0),
        "write input" => poke(source, -1),
        "define late" => {
            let mut params = null_mut();
            call!(effect, getParamSet, effect, &raw mut params);
            call!(parameter, paramDefine, params, kOfxParamTypeDouble.as_ptr(), c"x".as_ptr(), null_mut());
        }
        "own thread" => {
            let address = effect.expose_provenance();
            let fetch =
                move || fetch(std::ptr::with_exposed_provenance_mut(address), c"Source", 1.0).is_null();
            assert!(std::thread::spawn(fetch).join().unwrap());
        }
        _ => (),
    }
    release(source);
    release(output);
    if how == "untrapped" { kOfxStatReplyDefault } else { kOfxStatOK }
}
