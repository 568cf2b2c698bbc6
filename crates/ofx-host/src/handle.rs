//! Handles given to plug-ins: numbers that are looked up in tables, never addresses that are followed.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::RwLock;

/// Far from zero and from any mapped page, so that a plug-in that follows a handle faults at once.
static NEXT_ADDRESS: AtomicUsize = AtomicUsize::new(0x0fe0_0000);

/// All living objects of one type; weak, so that a handle dies with its object.
pub(crate) struct Table<T: 'static> {
    entries: RwLock<BTreeMap<usize, Weak<T>>>,
}

impl<T> Table<T> {
    pub(crate) const fn new() -> Self {
        Self { entries: RwLock::new(BTreeMap::new()) }
    }

    /// Builds an object that knows its own handle and enters it.
    pub(crate) fn create(&'static self, build: impl FnOnce(Handle<T>) -> T) -> Arc<T> {
        let address = NEXT_ADDRESS.fetch_add(16, Ordering::Relaxed);
        let object = Arc::new(build(Handle { address, table: self }));
        self.entries.write().insert(address, Arc::downgrade(&object));
        object
    }

    /// The object of a handle, None where it never was one or its object is gone.
    pub(crate) fn find<P>(&self, handle: *const P) -> Option<Arc<T>> {
        self.entries.read().get(&handle.addr())?.upgrade()
    }
}

/// An object's own handle, kept in the object; leaves the table with it.
pub(crate) struct Handle<T: 'static> {
    address: usize,
    table: &'static Table<T>,
}

impl<T> Handle<T> {
    /// The handle as the C API passes it.
    pub(crate) fn pointer<P>(&self) -> *mut P {
        std::ptr::without_provenance_mut(self.address)
    }

    /// The handle as the plug-in's main entry takes it.
    pub(crate) fn opaque(&self) -> *const c_void {
        self.pointer::<c_void>().cast_const()
    }

    /// The number itself, for comparisons.
    pub(crate) fn address(&self) -> usize {
        self.address
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        self.table.entries.write().remove(&self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing {
        handle: Handle<Thing>,
    }
    static THINGS: Table<Thing> = Table::new();

    #[test]
    fn a_handle_lives_as_long_as_its_object() {
        let thing = THINGS.create(|handle| Thing { handle });
        let pointer: *const u8 = thing.handle.pointer();
        assert!(THINGS.find(pointer).is_some());
        assert!(THINGS.find(pointer.wrapping_add(1)).is_none());
        drop(thing);
        assert!(THINGS.find(pointer).is_none());
    }
}
