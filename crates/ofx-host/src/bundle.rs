//! Plug-in bundles on disk.

use std::path::{Path, PathBuf};

/// The folder of this platform's binary in a bundle.
#[must_use]
pub fn architecture() -> &'static str {
    if cfg!(target_os = "macos") {
        "MacOS"
    } else if cfg!(windows) {
        "Win64"
    } else if cfg!(target_arch = "aarch64") {
        "Linux-aarch64"
    } else {
        "Linux-x86-64"
    }
}

/// The binary of a bundle folder `NAME.ofx.bundle`: `Contents/<architecture>/NAME.ofx`.
#[must_use]
pub fn binary(bundle: &Path) -> Option<PathBuf> {
    let name = bundle.file_name()?.to_str()?.strip_suffix(".bundle")?;
    let file = bundle.join("Contents").join(architecture()).join(name);
    (name.ends_with(".ofx") && file.is_file()).then_some(file)
}

/// All binaries under a path, which is a binary, a bundle, or a folder searched for bundles in depth.
#[must_use]
pub fn binaries(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    if let Some(found) = binary(path) {
        return vec![found];
    }
    let Ok(entries) = path.read_dir() else { return Vec::new() };
    let mut folders: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders.iter().flat_map(|folder| binaries(folder)).collect()
}

/// The folders hosts search: `OFX_PLUGIN_PATH`, then the platform's own.
#[must_use]
pub fn search_path() -> Vec<PathBuf> {
    let listed = std::env::var_os("OFX_PLUGIN_PATH").unwrap_or_default();
    let own = if cfg!(target_os = "macos") { "/Library/OFX/Plugins" } else { "/usr/OFX/Plugins" };
    std::env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty()).chain([own.into()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_are_found_in_depth_and_by_themselves() {
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("maker/Gain.ofx.bundle");
        let inside = bundle.join("Contents").join(architecture());
        std::fs::create_dir_all(&inside).unwrap();
        assert!(binaries(folder.path()).is_empty());
        let file = inside.join("Gain.ofx");
        std::fs::write(&file, "").unwrap();
        for path in [folder.path(), &bundle, &file] {
            assert_eq!(binaries(path), std::slice::from_ref(&file));
        }
    }
}
