//! Where the cache is, and ids shortened by the user.

use std::path::PathBuf;

use lora_edit_pipeline::JobError;
use lora_edit_shot::job::FailureKind;
use lora_edit_store::default_root;

use crate::cli::CacheArgs;

/// The cache folder of a command.
pub fn root(args: &CacheArgs) -> PathBuf {
    args.folder.clone().unwrap_or_else(default_root)
}

/// The one name that begins with what the user typed.
pub fn unique<'a>(what: &str, typed: &str, names: &'a [String]) -> Result<&'a str, JobError> {
    let mut matching = names.iter().filter(|name| name.starts_with(typed));
    match (matching.next(), matching.next()) {
        (Some(name), None) => Ok(name),
        (None, _) => Err(JobError::new(FailureKind::Missing, format!("no {what} '{typed}' in the cache"))),
        (Some(_), Some(_)) => {
            Err(JobError::new(FailureKind::Usage, format!("'{typed}' begins the id of more than one {what}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_must_name_one() {
        let names = ["abc".to_string(), "abd".to_string(), "xyz".to_string()];
        assert_eq!(unique("job", "x", &names).unwrap(), "xyz");
        assert_eq!(unique("job", "ab", &names).unwrap_err().kind, FailureKind::Usage);
        assert_eq!(unique("job", "q", &names).unwrap_err().kind, FailureKind::Missing);
    }
}
