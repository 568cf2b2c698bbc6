//! The instances of a plug-in, found by the host's handle, which is never dereferenced.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::RwLock;

/// All instances. The lock is held for a look-up only, never while an instance works.
pub(crate) struct Instances<I>(RwLock<BTreeMap<usize, Arc<Record<I>>>>);

/// An instance and what the funnel keeps for it.
pub(crate) struct Record<I> {
    pub instance: I,
    changing: AtomicBool,
    /// Which action's message stands on the node; 0 for none.
    pub message_of: AtomicUsize,
}

impl<I> Instances<I> {
    pub const fn new() -> Self {
        Self(RwLock::new(BTreeMap::new()))
    }

    pub fn find(&self, handle: usize) -> Option<Arc<Record<I>>> {
        self.0.read().get(&handle).cloned()
    }

    /// Adds an instance. One that a host forgot to destroy before it used the handle again is
    /// returned, so that it is dropped without the lock.
    pub fn add(&self, handle: usize, instance: I) -> Option<Arc<Record<I>>> {
        let record = Record { instance, changing: AtomicBool::new(false), message_of: AtomicUsize::new(0) };
        self.0.write().insert(handle, Arc::new(record))
    }

    pub fn remove(&self, handle: usize) -> Option<Arc<Record<I>>> {
        self.0.write().remove(&handle)
    }
}

impl<I> Record<I> {
    /// Marks the instance as handling a change, until dropped. None if it is handling one already:
    /// hosts report what a handler itself sets, and handle user events while progress is updated.
    pub fn begin_change(&self) -> Option<ChangeGuard<'_>> {
        (!self.changing.swap(true, Ordering::AcqRel)).then_some(ChangeGuard(&self.changing))
    }
}

pub(crate) struct ChangeGuard<'a>(&'a AtomicBool);

impl Drop for ChangeGuard<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_outlives_its_removal_while_in_use() {
        let instances = Instances::new();
        assert!(instances.add(1, "first").is_none());
        let held = instances.find(1).unwrap();
        assert!(instances.remove(1).is_some());
        assert!(instances.find(1).is_none());
        assert_eq!(held.instance, "first");
    }

    #[test]
    fn a_handle_used_again_is_the_new_instance() {
        let instances = Instances::new();
        instances.add(1, "first");
        assert_eq!(instances.add(1, "second").unwrap().instance, "first");
        assert_eq!(instances.find(1).unwrap().instance, "second");
    }

    #[test]
    fn changes_do_not_nest() {
        let instances = Instances::new();
        instances.add(1, ());
        let record = instances.find(1).unwrap();
        let outer = record.begin_change().unwrap();
        assert!(record.begin_change().is_none());
        drop(outer);
        assert!(record.begin_change().is_some());
    }
}
