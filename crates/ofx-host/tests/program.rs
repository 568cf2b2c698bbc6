//! The program `ofx-run`: what it exits with.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::{Command, Output};

fn ofx_run(folder: &Path, script: &str, arguments: &[&str]) -> Output {
    let file = folder.join("script.json");
    std::fs::write(&file, script).unwrap();
    Command::new(env!("CARGO_BIN_EXE_ofx-run")).arg(file).args(arguments).output().unwrap()
}

#[test]
fn a_wrong_script_is_told_from_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = ofx_run(folder.path(), r#"{"steps": [{"press": 3}]}"#, &[]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).starts_with("ofx-run: step 1: "));
    let path = folder.path().to_str().unwrap();
    let report = folder.path().join("report.json");
    let none = ofx_run(folder.path(), "{}", &["--plugin-path", path, "--json", report.to_str().unwrap()]);
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&none.stderr).contains("no plug-in bundle"));
    let report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
    assert_eq!(report["ok"], false);
}

#[test]
fn help_holds_the_script_format() {
    let help = Command::new(env!("CARGO_BIN_EXE_ofx-run")).arg("--help").output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    for word in ["expectStatus", "cancelProgressAt", "--plugin-path", "\"press\""] {
        assert!(help.contains(word), "{word} is not in --help");
    }
}
