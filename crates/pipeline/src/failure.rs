//! Why a job ended without its result: whose fault, and one line for the user.

use lora_edit_adapt::AdaptError;
use lora_edit_model::{DeviceError, ModelError};
use lora_edit_shot::base::BaseError;
use lora_edit_shot::frame::FrameError;
use lora_edit_shot::image_io::ImageError;
use lora_edit_shot::job::FailureKind;
use lora_edit_shot::package::PackageError;
use lora_edit_store::{LeaseError, StoreError};
use thiserror::Error;

/// A job that failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct JobError {
    /// Whose fault; also the program's exit code.
    pub kind: FailureKind,
    /// One line, naming what and where.
    pub message: String,
}

impl JobError {
    /// A failure of this kind. Of a message of several lines the first is kept.
    pub fn new(kind: FailureKind, message: impl ToString) -> Self {
        let message = message.to_string();
        Self { kind, message: message.lines().next().unwrap_or_default().to_string() }
    }
}

macro_rules! failure_kinds {
    ($($error:ty => $kind:expr;)*) => {$(
        impl From<$error> for JobError {
            fn from(error: $error) -> Self {
                let kind: fn(&$error) -> FailureKind = $kind;
                Self::new(kind(&error), error)
            }
        }
    )*};
}

failure_kinds! {
    BaseError => |_| FailureKind::Model;
    ModelError => |error| match error {
        ModelError::Tensor(error) => kind_of_tensor_error(error, FailureKind::Model),
        _ => FailureKind::Model,
    };
    DeviceError => |_| FailureKind::Device;
    AdaptError => kind_of_adapt_error;
    LeaseError => |error| match error {
        LeaseError::Held(_) => FailureKind::Lock,
        LeaseError::Store(_) => FailureKind::Other,
    };
    candle_core::Error => |error| kind_of_tensor_error(error, FailureKind::Other);
    StoreError => |_| FailureKind::Other;
    PackageError => |_| FailureKind::Other;
    ImageError => |_| FailureKind::Other;
    FrameError => |_| FailureKind::Other;
    std::io::Error => |_| FailureKind::Other;
    serde_json::Error => |_| FailureKind::Other;
}

fn kind_of_adapt_error(error: &AdaptError) -> FailureKind {
    match error {
        AdaptError::Recipe(_) => FailureKind::Usage,
        AdaptError::Unreadable { .. }
        | AdaptError::BadFile { .. }
        | AdaptError::NoLayer { .. }
        | AdaptError::OtherSizes { .. } => FailureKind::Missing,
        AdaptError::Tensor(error) => kind_of_tensor_error(error, FailureKind::Other),
        _ => FailureKind::Other,
    }
}

/// A device that fails or has no memory left is at fault itself. Candle wraps such errors, so that words alone tell.
fn kind_of_tensor_error(error: &candle_core::Error, otherwise: FailureKind) -> FailureKind {
    let words = error.to_string().to_lowercase();
    let of_device = ["out of memory", "out_of_memory", "cuda_error", "cublas_status", "drivererror"];
    if of_device.iter().any(|part| words.contains(part)) { FailureKind::Device } else { otherwise }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_without_memory_is_told_from_other_trouble() {
        let kind = |words: &str| JobError::from(candle_core::Error::Msg(words.into())).kind;
        assert_eq!(kind("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")"), FailureKind::Device);
        assert_eq!(kind("shape mismatch"), FailureKind::Other);
        let adapt = AdaptError::from(candle_core::Error::Msg("CUBLAS_STATUS_ALLOC_FAILED".into()));
        assert_eq!(JobError::from(adapt).kind, FailureKind::Device);
    }
}
