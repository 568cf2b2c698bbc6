//! The multi-thread suite.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::{c_int, c_uint, c_void};
use std::sync::Arc;
use std::thread::ThreadId;

use openfx_sys::*;
use parking_lot::{Condvar, Mutex};

use super::{Answer, answer, bad_handle, null_pointer, put};
use crate::handle::{Handle, Table};
use crate::scope;
use crate::status::Status;

pub(super) static SUITE: OfxMultiThreadSuiteV1 = OfxMultiThreadSuiteV1 {
    multiThread: Some(multi_thread),
    multiThreadNumCPUs: Some(num_cpus),
    multiThreadIndex: Some(thread_index),
    multiThreadIsSpawnedThread: Some(is_spawned),
    mutexCreate: Some(mutex_create),
    mutexDestroy: Some(mutex_destroy),
    mutexLock: Some(mutex_lock),
    mutexUnLock: Some(mutex_unlock),
    mutexTryLock: Some(mutex_try_lock),
};

thread_local! {
    static INDEX: Cell<Option<c_uint>> = const { Cell::new(None) };
}

/// A plug-in's argument on its way to the plug-in's own threads.
#[derive(Clone, Copy)]
struct Argument(*mut c_void);
// SAFETY: the standard has multiThread hand the same pointer to every thread.
unsafe impl Send for Argument {}

impl Argument {
    fn pointer(self) -> *mut c_void {
        self.0
    }
}

fn cpus() -> c_uint {
    std::thread::available_parallelism().map_or(1, |number| number.get() as c_uint)
}

unsafe extern "C" fn multi_thread(
    func: OfxThreadFunctionV1,
    threads: c_uint,
    argument: *mut c_void,
) -> OfxStatus {
    answer(|| {
        let func = func.ok_or_else(|| null_pointer("multiThread: the function"))?;
        if INDEX.get().is_some() {
            return Err(Status::EXISTS);
        }
        let threads = if threads == 0 { cpus() } else { threads };
        let (scope, argument) = (scope::current(), Argument(argument));
        std::thread::scope(|spawner| {
            for index in 0..threads {
                let scope = scope.clone();
                spawner.spawn(move || {
                    let _entered = scope.map(scope::enter);
                    INDEX.set(Some(index));
                    // SAFETY: the plug-in's function and argument, used as the standard says: once a thread,
                    // and all threads end before multiThread does.
                    unsafe { func(index, threads, argument.pointer()) };
                });
            }
        });
        Ok(())
    })
}

unsafe extern "C" fn num_cpus(place: *mut c_uint) -> OfxStatus {
    // SAFETY: the standard has the plug-in give a place for the number.
    answer(|| unsafe { put(place, cpus(), "multiThreadNumCPUs: a place for the number") })
}

unsafe extern "C" fn thread_index(place: *mut c_uint) -> OfxStatus {
    // SAFETY: the standard has the plug-in give a place for the number.
    answer(|| unsafe { put(place, INDEX.get().unwrap_or(0), "multiThreadIndex: a place for the number") })
}

unsafe extern "C" fn is_spawned() -> c_int {
    c_int::from(INDEX.get().is_some())
}

/// A recursive mutex, as the standard wants it.
struct HostMutex {
    handle: Handle<HostMutex>,
    owner: Mutex<Option<(ThreadId, usize)>>,
    freed: Condvar,
}

static MUTEXES: Table<HostMutex> = Table::new();
static OWNED: Mutex<BTreeMap<usize, Arc<HostMutex>>> = Mutex::new(BTreeMap::new());

impl HostMutex {
    fn try_lock(&self) -> bool {
        let me = std::thread::current().id();
        let mut owner = self.owner.lock();
        match &mut *owner {
            Some((thread, count)) if *thread == me => *count += 1,
            Some(_) => return false,
            None => *owner = Some((me, 1)),
        }
        true
    }

    fn lock(&self) {
        while !self.try_lock() {
            let mut owner = self.owner.lock();
            if owner.is_some() {
                self.freed.wait(&mut owner);
            }
        }
    }

    fn unlock(&self) -> Answer {
        let mut owner = self.owner.lock();
        match &mut *owner {
            Some((thread, count)) if *thread == std::thread::current().id() => *count -= 1,
            _ => return Err(Status::FAILED),
        }
        if owner.is_some_and(|(_, count)| count == 0) {
            *owner = None;
            self.freed.notify_one();
        }
        Ok(())
    }
}

fn find(handle: OfxMutexHandle) -> Result<Arc<HostMutex>, Status> {
    MUTEXES.find(handle).ok_or_else(|| bad_handle("a mutex"))
}

unsafe extern "C" fn mutex_create(place: *mut OfxMutexHandle, locks: c_int) -> OfxStatus {
    answer(|| {
        let mutex =
            MUTEXES.create(|handle| HostMutex { handle, owner: Mutex::new(None), freed: Condvar::new() });
        for _ in 0..locks {
            mutex.lock();
        }
        let handle: OfxMutexHandle = mutex.handle.pointer();
        OWNED.lock().insert(mutex.handle.address(), mutex);
        // SAFETY: the standard has the plug-in give a place for a handle.
        unsafe { put(place, handle, "mutexCreate: a place for the handle") }
    })
}

unsafe extern "C" fn mutex_destroy(handle: OfxMutexHandle) -> OfxStatus {
    answer(|| OWNED.lock().remove(&handle.addr()).map(drop).ok_or_else(|| bad_handle("a mutex")))
}

unsafe extern "C" fn mutex_lock(handle: OfxMutexHandle) -> OfxStatus {
    answer(|| {
        find(handle)?.lock();
        Ok(())
    })
}

unsafe extern "C" fn mutex_unlock(handle: OfxMutexHandle) -> OfxStatus {
    answer(|| find(handle)?.unlock())
}

unsafe extern "C" fn mutex_try_lock(handle: OfxMutexHandle) -> OfxStatus {
    answer(|| if find(handle)?.try_lock() { Ok(()) } else { Err(Status::FAILED) })
}
