//! The OpenFX C ABI in use: types, constants and status codes, nothing else.
//!
//! `src/bindings.rs` is generated from `include/openfx_abi.h` (`cargo xtask bindings`) and committed, so
//! that building needs no libclang. Names are the standard's; its documentation explains them.
#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals)]
#![allow(missing_docs, reason = "the OpenFX standard documents these names")]
#![allow(clippy::undocumented_unsafe_blocks, reason = "generated")]

mod bindings;

pub use bindings::*;

/// The name of a status code, for logs and messages.
#[must_use]
pub fn status_name(status: OfxStatus) -> &'static str {
    match status {
        kOfxStatOK => "kOfxStatOK",
        kOfxStatFailed => "kOfxStatFailed",
        kOfxStatErrFatal => "kOfxStatErrFatal",
        kOfxStatErrUnknown => "kOfxStatErrUnknown",
        kOfxStatErrMissingHostFeature => "kOfxStatErrMissingHostFeature",
        kOfxStatErrUnsupported => "kOfxStatErrUnsupported",
        kOfxStatErrExists => "kOfxStatErrExists",
        kOfxStatErrFormat => "kOfxStatErrFormat",
        kOfxStatErrMemory => "kOfxStatErrMemory",
        kOfxStatErrBadHandle => "kOfxStatErrBadHandle",
        kOfxStatErrBadIndex => "kOfxStatErrBadIndex",
        kOfxStatErrValue => "kOfxStatErrValue",
        kOfxStatReplyYes => "kOfxStatReplyYes",
        kOfxStatReplyNo => "kOfxStatReplyNo",
        kOfxStatReplyDefault => "kOfxStatReplyDefault",
        kOfxStatUnlicensed => "kOfxStatUnlicensed",
        kOfxStatErrImageFormat => "kOfxStatErrImageFormat",
        kOfxStatGPUOutOfMemory => "kOfxStatGPUOutOfMemory",
        kOfxStatGPURenderFailed => "kOfxStatGPURenderFailed",
        _ => "unknown status",
    }
}
