//! What `cargo metadata` says of this workspace, for the tests that hold its rules.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// The whole resolved tree as cargo prints it.
pub fn tree() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo prints JSON")
}

/// Workspace package -> names of its declared dependencies, development ones left out.
pub fn workspace_packages() -> BTreeMap<String, Vec<String>> {
    let tree = tree();
    let members: BTreeSet<&str> =
        array(&tree["workspace_members"]).iter().filter_map(Value::as_str).collect();
    array(&tree["packages"])
        .iter()
        .filter(|package| members.contains(text(&package["id"])))
        .map(|package| (text(&package["name"]).to_owned(), declared(package)))
        .collect()
}

/// Every package that `name` links, however far down; development and build dependencies left out.
pub fn transitive(name: &str) -> BTreeSet<String> {
    let tree = tree();
    let nodes: BTreeMap<&str, &Value> =
        array(&tree["resolve"]["nodes"]).iter().map(|node| (text(&node["id"]), node)).collect();
    let names: BTreeMap<&str, &str> =
        array(&tree["packages"]).iter().map(|p| (text(&p["id"]), text(&p["name"]))).collect();
    let start = names.iter().find(|(_, n)| **n == name).map(|(id, _)| *id).expect("package of the workspace");
    let (mut seen, mut queue) = (BTreeSet::from([start]), vec![start]);
    while let Some(id) = queue.pop() {
        for dependency in array(&nodes[id]["deps"]).iter().filter(|d| is_normal(d)) {
            let next = text(&dependency["pkg"]);
            if seen.insert(next) {
                queue.push(next);
            }
        }
    }
    seen.into_iter().map(|id| names[id].to_owned()).collect()
}

fn declared(package: &Value) -> Vec<String> {
    array(&package["dependencies"])
        .iter()
        .filter(|dependency| dependency["kind"] != "dev")
        .map(|dependency| text(&dependency["name"]).to_owned())
        .collect()
}

fn is_normal(dependency: &Value) -> bool {
    array(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null())
}

/// A JSON array's items; empty when it is none.
pub fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A JSON string; empty when it is none.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
