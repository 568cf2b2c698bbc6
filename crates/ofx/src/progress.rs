//! The progress of long work, shown by the host, until dropped.

use std::ffi::{CString, c_void};

use openfx_sys::OfxImageEffectHandle;

use crate::Status;
use crate::props::tolerate;
use crate::suites::{ProgressSuite, Suites};

/// A progress bar of the host; closed when dropped. Without a progress suite it does nothing.
///
/// Some hosts handle other events inside [`Self::update`]: hold no lock across it.
#[derive(Debug)]
pub struct Progress<'a> {
    suites: &'a Suites,
    effect: *mut c_void,
    open: bool,
}

impl<'a> Progress<'a> {
    /// # Safety
    /// `effect` is an instance of the host, valid during `'a`.
    pub(crate) unsafe fn start(
        suites: &'a Suites,
        effect: OfxImageEffectHandle,
        label: &str,
        id: &str,
    ) -> Self {
        let effect = effect.cast::<c_void>();
        let c = |text: &str| CString::new(text).unwrap_or_default();
        let (label, id) = (c(label), c(id));
        let status = match suites.progress {
            Some(ProgressSuite::V2(suite)) => suite.progressStart.map(|start| {
                // SAFETY: the caller vouches for the instance; the host copies both strings.
                unsafe { start(effect, label.as_ptr(), id.as_ptr()) }
            }),
            Some(ProgressSuite::V1(suite)) => suite.progressStart.map(|start| {
                // SAFETY: as above, with one string.
                unsafe { start(effect, label.as_ptr()) }
            }),
            None => None,
        };
        Self { suites, effect, open: status.is_some_and(|status| Status(status) == Status::OK) }
    }

    /// Shows how much is done, from 0 to 1. True if the user cancelled.
    #[must_use]
    pub fn update(&self, fraction: f64) -> bool {
        let function = match self.suites.progress {
            Some(ProgressSuite::V2(suite)) => suite.progressUpdate,
            Some(ProgressSuite::V1(suite)) => suite.progressUpdate,
            None => None,
        };
        function.filter(|_| self.open).is_some_and(|update| {
            // SAFETY: the instance lives as long as the action.
            Status(unsafe { update(self.effect, fraction) }) == Status::REPLY_NO
        })
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        let function = match self.suites.progress {
            Some(ProgressSuite::V2(suite)) => suite.progressEnd,
            Some(ProgressSuite::V1(suite)) => suite.progressEnd,
            None => None,
        };
        if let Some(end) = function.filter(|_| self.open) {
            // SAFETY: the instance lives as long as the action.
            tolerate(Status(unsafe { end(self.effect) }).check("progressEnd", "the effect"));
        }
    }
}
