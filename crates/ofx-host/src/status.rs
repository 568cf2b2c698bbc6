//! Status codes with their names.

use std::fmt;

use openfx_sys::{
    OfxStatus, kOfxStatErrBadHandle, kOfxStatErrBadIndex, kOfxStatErrExists, kOfxStatErrFatal,
    kOfxStatErrMemory, kOfxStatErrUnknown, kOfxStatErrUnsupported, kOfxStatErrValue, kOfxStatFailed,
    kOfxStatOK, kOfxStatReplyDefault, kOfxStatReplyNo, kOfxStatReplyYes, status_name,
};

/// What an action or a suite function answered.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub OfxStatus);

impl Status {
    /// All was well.
    pub const OK: Self = Self(kOfxStatOK);
    /// It failed; a message may say why.
    pub const FAILED: Self = Self(kOfxStatFailed);
    /// The plug-in or the host cannot go on.
    pub const FATAL: Self = Self(kOfxStatErrFatal);
    /// No such property, parameter or clip.
    pub const UNKNOWN: Self = Self(kOfxStatErrUnknown);
    /// Not supported here.
    pub const UNSUPPORTED: Self = Self(kOfxStatErrUnsupported);
    /// There already.
    pub const EXISTS: Self = Self(kOfxStatErrExists);
    /// Out of memory.
    pub const MEMORY: Self = Self(kOfxStatErrMemory);
    /// Not a handle of this host, or no longer.
    pub const BAD_HANDLE: Self = Self(kOfxStatErrBadHandle);
    /// Index out of range.
    pub const BAD_INDEX: Self = Self(kOfxStatErrBadIndex);
    /// A value or its type is wrong, or it may not be written.
    pub const BAD_VALUE: Self = Self(kOfxStatErrValue);
    /// Yes.
    pub const YES: Self = Self(kOfxStatReplyYes);
    /// No.
    pub const NO: Self = Self(kOfxStatReplyNo);
    /// The action was not trapped.
    pub const DEFAULT: Self = Self(kOfxStatReplyDefault);

    /// The standard's name, `kOfxStat…`.
    #[must_use]
    pub fn name(self) -> &'static str {
        status_name(self.0)
    }

    /// True for OK and for "not trapped, do as you would".
    #[must_use]
    pub fn is_fine(self) -> bool {
        self == Self::OK || self == Self::DEFAULT
    }

    /// The status of a name `kOfxStat…`, None where no status is called so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        (0..=15).chain(1000..=1002).map(Self).find(|status| status.name() == name)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        assert_eq!(Status::named("kOfxStatFailed"), Some(Status::FAILED));
        assert_eq!(Status::named("kOfxStatReplyDefault"), Some(Status::DEFAULT));
        assert_eq!(Status::named("kOfxStatNonsense"), None);
    }
}
