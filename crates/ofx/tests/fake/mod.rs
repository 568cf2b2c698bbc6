//! A host of a few lines: property sets, one effect with two clips, counted messages.
//!
//! Nothing here is variadic-safe, since Rust cannot define variadic functions: parameters are
//! tested against the real host's C shim, in `ofx-host`.
#![allow(missing_docs, dead_code, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::transmute;
use std::ptr::null_mut;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ofx::entry::Entry;
use ofx::{Plugin, Status, sys};

pub enum Value {
    Int(i32),
    Double(f64),
    Text(CString),
    Pointer(usize),
}

/// A property set; its address is its handle.
#[derive(Default)]
pub struct Set(Mutex<BTreeMap<(CString, i32), Value>>);

impl Set {
    pub fn with(self, name: &CStr, values: impl IntoIterator<Item = Value>) -> Self {
        self.put(name, values);
        self
    }

    pub fn put(&self, name: &CStr, values: impl IntoIterator<Item = Value>) {
        for (index, value) in (0..).zip(values) {
            self.0.lock().unwrap().insert((name.into(), index), value);
        }
    }

    pub fn get<T>(&self, name: &CStr, index: i32, read: impl FnOnce(&Value) -> Option<T>) -> Option<T> {
        read(self.0.lock().unwrap().get(&(name.into(), index))?)
    }

    pub fn double(&self, name: &CStr, index: i32) -> Option<f64> {
        self.get(name, index, |v| if let Value::Double(v) = v { Some(*v) } else { None })
    }

    pub fn text(&self, name: &CStr) -> Option<String> {
        self.get(name, 0, |v| if let Value::Text(v) = v { Some(v.to_str().unwrap().into()) } else { None })
    }

    pub fn int(&self, name: &CStr) -> Option<i32> {
        self.get(name, 0, |v| if let Value::Int(v) = v { Some(*v) } else { None })
    }

    pub fn handle(&self) -> sys::OfxPropertySetHandle {
        std::ptr::from_ref(self).cast_mut().cast()
    }
}

pub fn ints<const N: usize>(values: [i32; N]) -> [Value; N] {
    values.map(Value::Int)
}

pub fn doubles<const N: usize>(values: [f64; N]) -> [Value; N] {
    values.map(Value::Double)
}

pub fn text(value: &CStr) -> [Value; 1] {
    [Value::Text(value.into())]
}

/// An effect, descriptor or instance; its address is its handle.
#[derive(Default)]
pub struct Fake {
    pub props: Set,
    pub params: Set,
    pub source: Set,
    pub source_image: Option<Set>,
    pub output: Set,
    pub output_image: Option<Set>,
    pub fetched: AtomicUsize,
    pub released: AtomicUsize,
    pub persistent: AtomicUsize,
    pub cleared: AtomicUsize,
}

impl Fake {
    pub fn handle(&self) -> *const c_void {
        std::ptr::from_ref(self).cast()
    }

    pub fn count(&self, counter: impl FnOnce(&Self) -> &AtomicUsize) -> usize {
        counter(self).load(Ordering::SeqCst)
    }
}

/// An image of float RGBA pixels; `row_bytes` may be negative, `data` then is its last row.
pub fn image(bounds: [i32; 4], row_bytes: i32, data: *mut f32) -> Set {
    Set::default()
        .with(sys::kOfxImagePropBounds, ints(bounds))
        .with(sys::kOfxImagePropRowBytes, ints([row_bytes]))
        .with(sys::kOfxImagePropData, [Value::Pointer(data as usize)])
        .with(sys::kOfxImageEffectPropPixelDepth, text(sys::kOfxBitDepthFloat))
        .with(sys::kOfxImageEffectPropComponents, text(sys::kOfxImageComponentRGBA))
}

/// What a host can be without, or lie about: set on its property set.
pub const LACKS: &CStr = c"lacks";
pub const EMPTY_MESSAGES: &CStr = c"empty messages";

/// A host and its structure, alive as long as the test.
pub fn host(props: Set) -> (&'static Set, *mut sys::OfxHost) {
    let props: &'static Set = Box::leak(Box::new(props));
    let host = sys::OfxHost { host: props.handle(), fetchSuite: Some(fetch_suite) };
    (props, Box::leak(Box::new(host)))
}

/// Calls an action as a host does.
pub fn call<P: Plugin>(
    entry: &Entry<P>,
    action: &CStr,
    handle: *const c_void,
    inputs: &Set,
    outputs: &Set,
) -> Status {
    // SAFETY: all arguments live during the call.
    Status(unsafe { entry.main(action.as_ptr(), handle, inputs.handle(), outputs.handle()) })
}

/// Calls an action without arguments.
pub fn plain<P: Plugin>(entry: &Entry<P>, action: &CStr, handle: *const c_void) -> Status {
    // SAFETY: all arguments live during the call, or are null.
    Status(unsafe { entry.main(action.as_ptr(), handle, null_mut(), null_mut()) })
}

unsafe extern "C" fn fetch_suite(
    host: sys::OfxPropertySetHandle,
    name: *const c_char,
    version: c_int,
) -> *const c_void {
    // SAFETY: the plug-in passes the host's own handle and a C string.
    let (host, name) = unsafe { (&*host.cast::<Set>(), CStr::from_ptr(name)) };
    if host.text(LACKS).is_some_and(|lacks| lacks.as_bytes() == name.to_bytes()) {
        return std::ptr::null();
    }
    let suite: *const c_void = match (name.to_bytes(), version) {
        (b"OfxPropertySuite", 1) => (&raw const PROPERTY).cast(),
        (b"OfxImageEffectSuite", 1) => (&raw const EFFECT).cast(),
        (b"OfxParameterSuite", 1) => (&raw const *PARAMETER).cast(),
        (b"OfxMessageSuite", 2) if host.int(EMPTY_MESSAGES).is_some() => (&raw const EMPTY).cast(),
        (b"OfxMessageSuite", 2) => (&raw const *MESSAGE).cast(),
        _ => std::ptr::null(),
    };
    suite
}

type Handle = sys::OfxPropertySetHandle;

/// Reads one value of a type, or says that there is none.
unsafe fn read<T>(
    set: Handle,
    name: *const c_char,
    index: c_int,
    to: *mut T,
    pick: fn(&Value) -> Option<T>,
) -> c_int {
    // SAFETY: the plug-in passes a set of this host, a C string and a place for one value.
    let found = unsafe { (*set.cast::<Set>()).get(CStr::from_ptr(name), index, pick) };
    let Some(value) = found else { return sys::kOfxStatErrUnknown };
    // SAFETY: as above.
    unsafe { to.write(value) };
    sys::kOfxStatOK
}

unsafe fn write(set: Handle, name: *const c_char, index: c_int, value: Value) -> c_int {
    // SAFETY: the plug-in passes a set of this host and a C string.
    unsafe { (*set.cast::<Set>()).0.lock().unwrap().insert((CStr::from_ptr(name).into(), index), value) };
    sys::kOfxStatOK
}

macro_rules! getter {
    ($name:ident, $type:ty, $pick:expr) => {
        unsafe extern "C" fn $name(set: Handle, name: *const c_char, index: c_int, to: *mut $type) -> c_int {
            // SAFETY: passed on.
            unsafe { read(set, name, index, to, $pick) }
        }
    };
}

macro_rules! setter {
    ($name:ident, $type:ty, $make:expr) => {
        unsafe extern "C" fn $name(set: Handle, name: *const c_char, index: c_int, value: $type) -> c_int {
            // SAFETY: passed on; strings are C strings.
            unsafe { write(set, name, index, $make(value)) }
        }
    };
}

getter!(get_int, c_int, |v| if let Value::Int(v) = v { Some(*v) } else { None });
getter!(get_double, f64, |v| if let Value::Double(v) = v { Some(*v) } else { None });
getter!(get_pointer, *mut c_void, |v| if let Value::Pointer(v) = v { Some(*v as *mut c_void) } else { None });
getter!(get_string, *mut c_char, |v| if let Value::Text(v) = v { Some(v.as_ptr().cast_mut()) } else { None });
setter!(set_int, c_int, Value::Int);
setter!(set_double, f64, Value::Double);
setter!(set_pointer, *mut c_void, |v: *mut c_void| Value::Pointer(v as usize));
setter!(set_string, *const c_char, |v| Value::Text(CStr::from_ptr(v).into()));

unsafe extern "C" fn dimension(set: Handle, name: *const c_char, count: *mut c_int) -> c_int {
    // SAFETY: the plug-in passes a set of this host, a C string and a place for one int.
    unsafe {
        let values = (*set.cast::<Set>()).0.lock().unwrap();
        *count = values.keys().filter(|(n, _)| n.as_c_str() == CStr::from_ptr(name)).count() as c_int;
    }
    sys::kOfxStatOK
}

static PROPERTY: sys::OfxPropertySuiteV1 = sys::OfxPropertySuiteV1 {
    propSetPointer: Some(set_pointer),
    propSetString: Some(set_string),
    propSetDouble: Some(set_double),
    propSetInt: Some(set_int),
    propGetPointer: Some(get_pointer),
    propGetString: Some(get_string),
    propGetDouble: Some(get_double),
    propGetInt: Some(get_int),
    propGetDimension: Some(dimension),
    propSetPointerN: None,
    propSetStringN: None,
    propSetDoubleN: None,
    propSetIntN: None,
    propGetPointerN: None,
    propGetStringN: None,
    propGetDoubleN: None,
    propGetIntN: None,
    propReset: None,
};

unsafe extern "C" fn effect_props(effect: sys::OfxImageEffectHandle, props: *mut Handle) -> c_int {
    // SAFETY: the plug-in passes an effect of this host and a place for one handle.
    unsafe { *props = (*effect.cast::<Fake>()).props.handle() };
    sys::kOfxStatOK
}

unsafe extern "C" fn effect_params(
    effect: sys::OfxImageEffectHandle,
    params: *mut sys::OfxParamSetHandle,
) -> c_int {
    // SAFETY: as above.
    unsafe { *params = (*effect.cast::<Fake>()).params.handle().cast() };
    sys::kOfxStatOK
}

/// A clip's handle is its effect's address, plus one for the output.
unsafe extern "C" fn clip_handle(
    effect: sys::OfxImageEffectHandle,
    name: *const c_char,
    clip: *mut sys::OfxImageClipHandle,
    props: *mut Handle,
) -> c_int {
    // SAFETY: the plug-in passes an effect of this host, a C string and places for two handles.
    unsafe {
        let fake = &*effect.cast::<Fake>();
        let output = CStr::from_ptr(name) == c"Output";
        *clip = effect.cast::<u8>().wrapping_add(output.into()).cast();
        *props = if output { fake.output.handle() } else { fake.source.handle() };
    }
    sys::kOfxStatOK
}

unsafe extern "C" fn clip_image(
    clip: sys::OfxImageClipHandle,
    _time: f64,
    _region: *const sys::OfxRectD,
    image: *mut Handle,
) -> c_int {
    let output = clip.addr() & 1;
    // SAFETY: the handle is an effect's address, plus one for the output.
    let fake = unsafe { &*clip.cast::<u8>().wrapping_sub(output).cast::<Fake>() };
    let held = if output == 1 { &fake.output_image } else { &fake.source_image };
    let Some(held) = held else { return sys::kOfxStatFailed };
    fake.fetched.fetch_add(1, Ordering::SeqCst);
    held.put(c"of", [Value::Pointer(std::ptr::from_ref(fake) as usize)]);
    // SAFETY: a place for one handle.
    unsafe { *image = held.handle() };
    sys::kOfxStatOK
}

unsafe extern "C" fn release(image: Handle) -> c_int {
    let mut fake = null_mut();
    // SAFETY: the plug-in passes an image of this host, which knows its effect.
    unsafe {
        read(image, c"of".as_ptr(), 0, &raw mut fake, |v| {
            if let Value::Pointer(v) = v { Some(*v as *mut Fake) } else { None }
        })
    };
    // SAFETY: as above.
    unsafe { (*fake).released.fetch_add(1, Ordering::SeqCst) };
    sys::kOfxStatOK
}

unsafe extern "C" fn region(
    _clip: sys::OfxImageClipHandle,
    _time: f64,
    _bounds: *mut sys::OfxRectD,
) -> c_int {
    sys::kOfxStatFailed
}

unsafe extern "C" fn clip_props(_clip: sys::OfxImageClipHandle, _props: *mut Handle) -> c_int {
    sys::kOfxStatFailed
}

unsafe extern "C" fn define_clip(
    effect: sys::OfxImageEffectHandle,
    _name: *const c_char,
    props: *mut Handle,
) -> c_int {
    // SAFETY: the plug-in passes an effect of this host and a place for one handle.
    unsafe { *props = (*effect.cast::<Fake>()).source.handle() };
    sys::kOfxStatOK
}

unsafe extern "C" fn abort(_effect: sys::OfxImageEffectHandle) -> c_int {
    0
}

static EFFECT: sys::OfxImageEffectSuiteV1 = sys::OfxImageEffectSuiteV1 {
    getPropertySet: Some(effect_props),
    getParamSet: Some(effect_params),
    clipDefine: Some(define_clip),
    clipGetHandle: Some(clip_handle),
    clipGetPropertySet: Some(clip_props),
    clipGetImage: Some(clip_image),
    clipReleaseImage: Some(release),
    clipGetRegionOfDefinition: Some(region),
    abort: Some(abort),
    imageMemoryAlloc: None,
    imageMemoryFree: None,
    imageMemoryLock: None,
    imageMemoryUnlock: None,
};

type NoParam = unsafe extern "C" fn(sys::OfxParamHandle) -> c_int;
type Now = unsafe extern "C" fn(sys::OfxParamHandle, ...) -> c_int;
type AtTime = unsafe extern "C" fn(sys::OfxParamHandle, f64, ...) -> c_int;

unsafe extern "C" fn no_param(_param: sys::OfxParamHandle) -> c_int {
    sys::kOfxStatErrBadHandle
}

unsafe extern "C" fn define_param(
    set: sys::OfxParamSetHandle,
    kind: *const c_char,
    name: *const c_char,
    props: *mut Handle,
) -> c_int {
    // SAFETY: the plug-in passes a parameter set of this host, C strings and a place for one handle.
    unsafe {
        write(set.cast(), name, 0, Value::Text(CStr::from_ptr(kind).into()));
        *props = set.cast();
    }
    sys::kOfxStatOK
}

unsafe extern "C" fn find_param(
    _set: sys::OfxParamSetHandle,
    _name: *const c_char,
    _param: *mut sys::OfxParamHandle,
    _props: *mut Handle,
) -> c_int {
    sys::kOfxStatErrUnknown
}

unsafe extern "C" fn params_props(set: sys::OfxParamSetHandle, props: *mut Handle) -> c_int {
    // SAFETY: the plug-in passes a place for one handle.
    unsafe { *props = set.cast() };
    sys::kOfxStatOK
}

static PARAMETER: std::sync::LazyLock<sys::OfxParameterSuiteV1> =
    std::sync::LazyLock::new(|| sys::OfxParameterSuiteV1 {
        paramDefine: Some(define_param),
        paramGetHandle: Some(find_param),
        paramSetGetPropertySet: Some(params_props),
        // SAFETY: never called, since no parameter is ever found; they only have to be there.
        paramGetValue: unsafe { transmute::<NoParam, Option<Now>>(no_param) },
        // SAFETY: as above.
        paramGetValueAtTime: unsafe { transmute::<NoParam, Option<AtTime>>(no_param) },
        // SAFETY: as above.
        paramSetValue: unsafe { transmute::<NoParam, Option<Now>>(no_param) },
        ..Default::default()
    });

type Fixed = unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char, *const c_char) -> c_int;
type Message = unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char, *const c_char, ...) -> c_int;

/// Counts only: what stands behind the format cannot be read from Rust.
unsafe extern "C" fn set_persistent(
    effect: *mut c_void,
    _kind: *const c_char,
    _id: *const c_char,
    _format: *const c_char,
) -> c_int {
    // SAFETY: the plug-in passes an effect of this host.
    unsafe { (*effect.cast::<Fake>()).persistent.fetch_add(1, Ordering::SeqCst) };
    sys::kOfxStatOK
}

unsafe extern "C" fn clear_persistent(effect: *mut c_void) -> c_int {
    // SAFETY: as above.
    unsafe { (*effect.cast::<Fake>()).cleared.fetch_add(1, Ordering::SeqCst) };
    sys::kOfxStatOK
}

static MESSAGE: std::sync::LazyLock<sys::OfxMessageSuiteV2> =
    std::sync::LazyLock::new(|| sys::OfxMessageSuiteV2 {
        // SAFETY: a function that ignores arguments behind its own, on the C conventions of every
        // machine these tests run on.
        message: Some(unsafe { transmute::<Fixed, Message>(set_persistent) }),
        // SAFETY: as above.
        setPersistentMessage: Some(unsafe { transmute::<Fixed, Message>(set_persistent) }),
        clearPersistentMessage: Some(clear_persistent),
    });

/// A suite that is there and has nothing in it, as a host once had.
static EMPTY: sys::OfxMessageSuiteV2 =
    sys::OfxMessageSuiteV2 { message: None, setPersistentMessage: None, clearPersistentMessage: None };
