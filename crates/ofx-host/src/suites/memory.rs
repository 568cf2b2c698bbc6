//! The memory suite.

use std::collections::BTreeMap;
use std::ffi::c_void;

use openfx_sys::*;
use parking_lot::Mutex;

use super::{answer, bad_handle, put};

pub(super) static SUITE: OfxMemorySuiteV1 =
    OfxMemorySuiteV1 { memoryAlloc: Some(alloc), memoryFree: Some(free) };

/// Blocks by address; of 16-byte elements, so aligned as the C library's.
static BLOCKS: Mutex<BTreeMap<usize, Vec<u128>>> = Mutex::new(BTreeMap::new());

unsafe extern "C" fn alloc(_effect: *mut c_void, bytes: usize, place: *mut *mut c_void) -> OfxStatus {
    answer(|| {
        // One more, so that an empty block has an address of its own.
        let mut block = vec![0u128; bytes / 16 + 1];
        let data: *mut c_void = block.as_mut_ptr().cast();
        BLOCKS.lock().insert(data.addr(), block);
        // SAFETY: the standard has the plug-in give a place for a pointer.
        unsafe { put(place, data, "memoryAlloc: a place for the pointer") }
    })
}

unsafe extern "C" fn free(data: *mut c_void) -> OfxStatus {
    answer(|| BLOCKS.lock().remove(&data.addr()).map(drop).ok_or_else(|| bad_handle("memoryFree: a block")))
}
