//! Status codes, the error type, and the one place where an error becomes a status.

use std::fmt;

use openfx_sys::{self as sys, OfxStatus};

/// What an OpenFX call answered: success, failure or a reply.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Status(pub OfxStatus);

impl Status {
    /// The action was handled.
    pub const OK: Self = Self(sys::kOfxStatOK);
    /// The action was attempted and did not succeed.
    pub const FAILED: Self = Self(sys::kOfxStatFailed);
    /// The action was not handled: the host does what it does by default.
    pub const REPLY_DEFAULT: Self = Self(sys::kOfxStatReplyDefault);
    /// The answer to a question, or to "shall I go on": no.
    pub const REPLY_NO: Self = Self(sys::kOfxStatReplyNo);
    /// The answer to a question: yes.
    pub const REPLY_YES: Self = Self(sys::kOfxStatReplyYes);
    /// A handle that is null or unknown.
    pub const BAD_HANDLE: Self = Self(sys::kOfxStatErrBadHandle);

    /// Turns anything but OK into an error that names the suite function and what it was asked for.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn check(self, call: &'static str, subject: impl fmt::Display) -> Result<()> {
        match self {
            Self::OK => Ok(()),
            status => Err(Error::Refused { call, subject: subject.to_string(), status }),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match sys::status_name(self.0) {
            "unknown status" => write!(f, "status {}", self.0),
            name => f.write_str(name),
        }
    }
}

/// Why an action did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The plug-in's own failure, in words for the user.
    #[error("{0}")]
    Failed(String),
    /// The plug-in failed and has told the user already.
    #[error("failed, as reported")]
    Reported,
    /// The host or the user asked to stop; nothing is wrong.
    #[error("stopped")]
    Stopped,
    /// No host was set before the action.
    #[error("no host was set")]
    NoHost,
    /// The host lacks a suite, or one of its functions, that this library cannot do without.
    #[error("the host has no {0}")]
    MissingFeature(&'static str),
    /// The host passed or returned a null handle.
    #[error("the host's {0} is null")]
    NullHandle(&'static str),
    /// An action for an instance that was not created.
    #[error("the host's instance is unknown")]
    UnknownInstance,
    /// A suite function said no.
    #[error("the host answered {status} to {call} of {subject}")]
    Refused {
        /// The suite function.
        call: &'static str,
        /// The property, parameter or clip it was called for.
        subject: String,
        /// Its answer.
        status: Status,
    },
    /// A parameter is of another type than the one asked for.
    #[error("parameter {name} is of type {found}, not {wanted}")]
    ParamType {
        /// The parameter.
        name: String,
        /// The type the host reports, such as `OfxParamTypeDouble`.
        found: String,
        /// The Rust type asked for.
        wanted: &'static str,
    },
    /// An image whose description makes no sense or is not supported.
    #[error("an image of clip {clip} has {what}")]
    Image {
        /// The clip it came from.
        clip: String,
        /// What is wrong with it.
        what: String,
    },
    /// Text that C cannot hold.
    #[error("a zero byte in {0:?}")]
    ZeroByte(String),
    /// The plug-in panicked; the panic was caught.
    #[error("internal error: {0}")]
    Panic(String),
    /// Not enough memory.
    #[error("not enough memory for {0}")]
    Memory(String),
}

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The plug-in's own failure, in words for the user.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// Any other error, its causes joined to one line. For `map_err`.
    pub fn other(error: impl std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::Failed(message)
    }

    /// The status a host is told: the only such conversion.
    pub fn status(&self) -> Status {
        Status(match self {
            Self::Stopped => sys::kOfxStatOK,
            Self::NoHost | Self::MissingFeature(_) => sys::kOfxStatErrMissingHostFeature,
            Self::NullHandle(_) | Self::UnknownInstance => sys::kOfxStatErrBadHandle,
            Self::Memory(_) => sys::kOfxStatErrMemory,
            Self::Refused { status: Status(sys::kOfxStatErrMemory), .. } => sys::kOfxStatErrMemory,
            Self::Failed(_)
            | Self::Reported
            | Self::Refused { .. }
            | Self::ParamType { .. }
            | Self::Image { .. }
            | Self::ZeroByte(_)
            | Self::Panic(_) => sys::kOfxStatFailed,
        })
    }

    /// True where the user already knows, or has nothing to know.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Stopped | Self::Reported)
    }
}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

impl From<&str> for Error {
    fn from(message: &str) -> Self {
        Self::Failed(message.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_call_subject_and_status() {
        let error = Status(sys::kOfxStatErrUnknown).check("propGetInt", "OfxPropTime").unwrap_err();
        assert_eq!(error.to_string(), "the host answered kOfxStatErrUnknown to propGetInt of OfxPropTime");
        assert_eq!(error.status(), Status::FAILED);
    }

    #[test]
    fn memory_stays_memory_and_a_stop_is_no_failure() {
        let memory = Status(sys::kOfxStatErrMemory).check("clipGetImage", "Source").unwrap_err();
        assert_eq!(memory.status().0, sys::kOfxStatErrMemory);
        assert_eq!(Error::Stopped.status(), Status::OK);
        assert!(Error::Stopped.is_silent());
    }

    #[test]
    fn causes_are_joined() {
        #[derive(Debug, thiserror::Error)]
        #[error("frame 7")]
        struct Frame(#[source] std::io::Error);
        let error = Error::other(Frame(std::io::Error::other("no such file")));
        assert_eq!(error.to_string(), "frame 7: no such file");
    }
}
