//! The image effect suite.

use std::collections::BTreeMap;
use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;

use openfx_sys::*;
use parking_lot::Mutex;

use super::{Answer, answer, bad_handle, null_pointer, put, put_set, text};
use crate::clip::Clip;
use crate::effect::Effect;
use crate::handle::{Handle, Table};
use crate::live_image;
use crate::scope::{self, blame};
use crate::session::Rule;
use crate::status::Status;

pub(super) static SUITE: OfxImageEffectSuiteV1 = OfxImageEffectSuiteV1 {
    getPropertySet: Some(property_set),
    getParamSet: Some(param_set),
    clipDefine: Some(clip_define),
    clipGetHandle: Some(clip_handle),
    clipGetPropertySet: Some(clip_property_set),
    clipGetImage: Some(clip_image),
    clipReleaseImage: Some(release_image),
    clipGetRegionOfDefinition: Some(clip_region),
    abort: Some(abort),
    imageMemoryAlloc: Some(memory_alloc),
    imageMemoryFree: Some(memory_free),
    imageMemoryLock: Some(memory_lock),
    imageMemoryUnlock: Some(memory_unlock),
};

fn find_effect(handle: OfxImageEffectHandle) -> Result<Arc<Effect>, Status> {
    Effect::find(handle).ok_or_else(|| bad_handle("an image effect"))
}

fn find_clip(handle: OfxImageClipHandle) -> Result<Arc<Clip>, Status> {
    Clip::find(handle).ok_or_else(|| bad_handle("a clip"))
}

unsafe extern "C" fn property_set(effect: OfxImageEffectHandle, set: *mut OfxPropertySetHandle) -> OfxStatus {
    answer(|| {
        let effect = find_effect(effect)?;
        // SAFETY: the standard has the plug-in give a place for a handle.
        unsafe { put(set, effect.properties.handle.pointer(), "a place for the effect's properties") }
    })
}

unsafe extern "C" fn param_set(effect: OfxImageEffectHandle, set: *mut OfxParamSetHandle) -> OfxStatus {
    answer(|| {
        let effect = find_effect(effect)?;
        // SAFETY: the standard has the plug-in give a place for a handle.
        unsafe { put(set, effect.params.handle.pointer(), "a place for the parameter set") }
    })
}

unsafe extern "C" fn clip_define(
    effect: OfxImageEffectHandle,
    name: *const c_char,
    set: *mut OfxPropertySetHandle,
) -> OfxStatus {
    answer(|| {
        let effect = find_effect(effect)?;
        // SAFETY: the standard has clip names be C strings.
        let name = unsafe { text(name, "clipDefine: the clip's name") }?;
        if effect.is_instance || !scope::allows_definitions() {
            blame(Rule::DefineOutOfTurn, format!("clip {name} defined outside of describe"));
            return Err(Status::FAILED);
        }
        let clip = effect.define_clip(&name).ok_or(Status::EXISTS)?;
        // SAFETY: null or a place for a handle.
        unsafe { put_set(set, &clip.properties) };
        Ok(())
    })
}

unsafe extern "C" fn clip_handle(
    effect: OfxImageEffectHandle,
    name: *const c_char,
    clip: *mut OfxImageClipHandle,
    set: *mut OfxPropertySetHandle,
) -> OfxStatus {
    answer(|| {
        let effect = find_effect(effect)?;
        // SAFETY: the standard has clip names be C strings.
        let name = unsafe { text(name, "clipGetHandle: the clip's name") }?;
        if !effect.is_instance {
            blame(Rule::BadHandle, format!("clipGetHandle of {name} on a descriptor"));
            return Err(Status::BAD_HANDLE);
        }
        let found = effect.clip(&name).ok_or(Status::UNKNOWN)?;
        // SAFETY: null or a place for a handle.
        unsafe { put_set(set, &found.properties) };
        // SAFETY: the standard has the plug-in give a place for a handle.
        unsafe { put(clip, found.handle.pointer(), "clipGetHandle: a place for the clip") }
    })
}

unsafe extern "C" fn clip_property_set(
    clip: OfxImageClipHandle,
    set: *mut OfxPropertySetHandle,
) -> OfxStatus {
    answer(|| {
        let clip = find_clip(clip)?;
        // SAFETY: the standard has the plug-in give a place for a handle.
        unsafe { put(set, clip.properties.handle.pointer(), "a place for the clip's properties") }
    })
}

unsafe extern "C" fn clip_image(
    clip: OfxImageClipHandle,
    time: OfxTime,
    _region: *const OfxRectD,
    image: *mut OfxPropertySetHandle,
) -> OfxStatus {
    answer(|| {
        let clip = find_clip(clip)?;
        if image.is_null() {
            return Err(null_pointer("clipGetImage: a place for the image"));
        }
        let handle = clip.fetch(time)?;
        // SAFETY: not null, and the standard has it a place for a handle.
        unsafe { put(image, handle, "clipGetImage: a place for the image") }
    })
}

unsafe extern "C" fn release_image(image: OfxPropertySetHandle) -> OfxStatus {
    answer(
        || if live_image::take_back(image) { Ok(()) } else { Err(bad_handle("clipReleaseImage: an image")) },
    )
}

unsafe extern "C" fn clip_region(
    clip: OfxImageClipHandle,
    time: OfxTime,
    bounds: *mut OfxRectD,
) -> OfxStatus {
    answer(|| {
        let [x1, y1, x2, y2] = find_clip(clip)?.region(time)?.doubles();
        // SAFETY: the standard has the plug-in give a place for a rectangle.
        unsafe { put(bounds, OfxRectD { x1, y1, x2, y2 }, "a place for the region of definition") }
    })
}

unsafe extern "C" fn abort(effect: OfxImageEffectHandle) -> c_int {
    answer(|| find_effect(effect).map(|_| ()));
    0
}

/// One piece of image memory; its address does not change, locked or not.
struct Memory {
    handle: Handle<Memory>,
    block: Mutex<Vec<u128>>,
}

static MEMORIES: Table<Memory> = Table::new();
static OWNED: Mutex<BTreeMap<usize, Arc<Memory>>> = Mutex::new(BTreeMap::new());

unsafe extern "C" fn memory_alloc(
    effect: OfxImageEffectHandle,
    bytes: usize,
    place: *mut OfxImageMemoryHandle,
) -> OfxStatus {
    answer(|| {
        if !effect.is_null() {
            find_effect(effect)?;
        }
        let block = Mutex::new(vec![0u128; bytes.div_ceil(16)]);
        let memory = MEMORIES.create(|handle| Memory { handle, block });
        let handle: OfxImageMemoryHandle = memory.handle.pointer();
        OWNED.lock().insert(memory.handle.address(), memory);
        // SAFETY: the standard has the plug-in give a place for a handle.
        unsafe { put(place, handle, "imageMemoryAlloc: a place for the handle") }
    })
}

unsafe extern "C" fn memory_free(handle: OfxImageMemoryHandle) -> OfxStatus {
    answer(|| OWNED.lock().remove(&handle.addr()).map(drop).ok_or_else(|| bad_handle("image memory")))
}

unsafe extern "C" fn memory_lock(handle: OfxImageMemoryHandle, place: *mut *mut c_void) -> OfxStatus {
    answer(|| {
        let memory = MEMORIES.find(handle).ok_or_else(|| bad_handle("image memory"))?;
        let data = memory.block.lock().as_mut_ptr().cast();
        // SAFETY: the standard has the plug-in give a place for a pointer.
        unsafe { put(place, data, "imageMemoryLock: a place for the pointer") }
    })
}

unsafe extern "C" fn memory_unlock(handle: OfxImageMemoryHandle) -> OfxStatus {
    answer(|| -> Answer { MEMORIES.find(handle).map(|_| ()).ok_or_else(|| bad_handle("image memory")) })
}
