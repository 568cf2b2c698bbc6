//! Stamps the git revision into the plug-in and pins it in memory once a host has loaded it.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=LORA_EDIT_REVISION={}", revision());
    keep_loaded();
}

/// The short git revision, or `unknown` (with a warning) where the sources come without git.
fn revision() -> String {
    // Every commit and checkout writes this file; naming a file that is absent would build every time.
    if Path::new(".git/logs/HEAD").exists() {
        println!("cargo:rerun-if-changed=.git/logs/HEAD");
    }
    git_revision().unwrap_or_else(|reason| {
        println!("cargo:warning=the revision is not stamped: {reason}");
        "unknown".to_owned()
    })
}

fn git_revision() -> Result<String, String> {
    let output = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .map_err(|error| format!("git: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', " "));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Thread-local destructors outlive a dlclose; hosts that unload between scans would jump into
/// unmapped code.
fn keep_loaded() {
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
