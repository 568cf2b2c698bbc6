//! Text on its way to a host: C strings that live as long as the process, or for one call.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char};

use parking_lot::Mutex;

use crate::{Error, Result};

/// Text that a host may keep a pointer to.
///
/// Hosts have been seen to keep the pointers they were given for descriptors. Literals are passed
/// as they are; other text is kept for ever, once per distinct text, so describing again costs nothing.
pub trait Text {
    /// The text as a C string that is never freed; cut at a zero byte if there is one.
    fn kept(self) -> &'static CStr;
}

impl Text for &'static CStr {
    fn kept(self) -> &'static CStr {
        self
    }
}

impl Text for &str {
    fn kept(self) -> &'static CStr {
        let end = self.find('\0').unwrap_or(self.len());
        keep(CString::new(&self[..end]).unwrap_or_default())
    }
}

impl Text for &String {
    fn kept(self) -> &'static CStr {
        self.as_str().kept()
    }
}

impl Text for String {
    fn kept(self) -> &'static CStr {
        self.as_str().kept()
    }
}

fn keep(text: CString) -> &'static CStr {
    static KEPT: Mutex<BTreeSet<&'static CStr>> = Mutex::new(BTreeSet::new());
    let mut kept = KEPT.lock();
    if let Some(known) = kept.get(text.as_c_str()) {
        return known;
    }
    let text: &'static CStr = Box::leak(text.into_boxed_c_str());
    kept.insert(text);
    text
}

/// Text for a single call, which the host copies.
///
/// # Errors
/// [`Error::ZeroByte`].
pub(crate) fn passing(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::ZeroByte(text.to_owned()))
}

/// Copies what a host returned; null, which some hosts return for empty strings, is empty.
///
/// # Safety
/// `text` is null or a C string valid during the call.
pub(crate) unsafe fn copied(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, and the caller vouches for the rest.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_text_is_kept_once() {
        let first = format!("rank {}", 16).kept();
        let again = String::from("rank 16").kept();
        assert_eq!(first, c"rank 16");
        assert!(std::ptr::eq(first.as_ptr(), again.as_ptr()));
    }

    #[test]
    fn text_ends_at_a_zero_byte_when_kept_and_is_refused_when_passing() {
        assert_eq!("ab\0c".kept(), c"ab");
        assert!(passing("ab\0c").is_err());
    }

    #[test]
    fn null_is_the_empty_string() {
        // SAFETY: null is allowed.
        assert_eq!(unsafe { copied(std::ptr::null()) }, "");
    }
}
