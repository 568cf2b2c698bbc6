//! Lays out `LoraEdit.ofx.bundle` from a fresh build and refuses a bundle that a host would refuse.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use object::Object;

/// All that the OpenFX standard asks a plug-in to export, and all that ours may.
const EXPORTS: [&str; 3] = ["OfxGetNumberOfPlugins", "OfxGetPlugin", "OfxSetHost"];
/// A plug-in above this has swallowed something it should not (a tensor library, debug information).
const SIZE_LIMIT: u64 = 8 << 20;

/// Lays out the bundle in `out_dir` from what was built. Returns the bundle's folder.
///
/// # Errors
/// Missing weights of the embedded model, or a plug-in that breaks a rule of the bundle: other
/// exports, a tensor library or CUDA among its libraries, too large.
pub fn bundle(built: &Built, out_dir: &Path) -> Result<PathBuf> {
    check_plugin(&built.plugin)?;
    let contents = out_dir.join("LoraEdit.ofx.bundle").join("Contents");
    let programs = contents.join(arch_folder());
    install(&built.plugin, &programs.join("LoraEdit.ofx"))?;
    install(&built.engine, &programs.join(format!("lora-edit{}", std::env::consts::EXE_SUFFIX)))?;
    install_models(&crate::root().join("bundle/models"), &contents.join("Resources/models"))?;
    if cfg!(target_os = "macos") {
        fs::write(contents.join("Info.plist"), info_plist()).context("Info.plist")?;
    }
    Ok(out_dir.join("LoraEdit.ofx.bundle"))
}

/// What cargo built.
pub struct Built {
    /// The plug-in's shared library.
    pub plugin: PathBuf,
    /// The engine's program, `lora-edit`.
    pub engine: PathBuf,
    /// The headless host, `ofx-run`.
    pub host: PathBuf,
}

impl Built {
    /// Builds with cargo's `profile` (`dev` or `release`): the whole workspace, since a selection of
    /// packages has other features in its dependencies and would compile half the tree twice.
    ///
    /// # Errors
    /// A failed build.
    pub fn build(profile: &str) -> Result<Self> {
        let messages = cargo_build(&["--workspace"], profile)?;
        let plugin = messages.iter().find_map(plugin_file);
        Ok(Self {
            plugin: plugin.context("cargo built no plug-in library")?,
            engine: program(&messages, "lora-edit")?,
            host: program(&messages, "ofx-run")?,
        })
    }
}

/// Builds the packages of `selection`; gives cargo's own account of what it built, which holds wherever the target
/// folder is.
pub fn cargo_build(selection: &[&str], profile: &str) -> Result<Vec<serde_json::Value>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .arg("build")
        .args(selection)
        .args(["--profile", profile, "--message-format", "json-render-diagnostics"])
        .current_dir(crate::root())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo build")?;
    ensure!(output.status.success(), "cargo build failed");
    String::from_utf8(output.stdout)
        .context("cargo's messages")?
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).context("cargo's messages"))
        .collect()
}

fn plugin_file(message: &serde_json::Value) -> Option<PathBuf> {
    let is_plugin = message["target"]["name"] == "lora_edit_ofx" && message["reason"] == "compiler-artifact";
    let files = message["filenames"].as_array().filter(|_| is_plugin)?;
    let library = |file: &&str| file.ends_with(std::env::consts::DLL_SUFFIX);
    files.iter().filter_map(|file| file.as_str()).find(library).map(PathBuf::from)
}

/// The program `name` among what cargo built.
pub fn program(messages: &[serde_json::Value], name: &str) -> Result<PathBuf> {
    let built = messages.iter().filter(|message| message["target"]["name"] == name);
    let path = built.filter_map(|message| message["executable"].as_str()).next();
    path.map(PathBuf::from).with_context(|| format!("cargo built no program {name}"))
}

/// The standard's name of the folder that holds this machine's programs.
fn arch_folder() -> &'static str {
    match std::env::consts::OS {
        "macos" => "MacOS",
        "windows" => "Win64",
        _ => "Linux-x86-64",
    }
}

/// Copies by a temporary name: a host may have the old file mapped, and must keep it.
fn install(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().context("a file in a folder")?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let temporary = to.with_extension("tmp");
    fs::copy(from, &temporary).with_context(|| from.display().to_string())?;
    fs::rename(&temporary, to).with_context(|| to.display().to_string())
}

fn install_models(from: &Path, to: &Path) -> Result<()> {
    let mut weights = 0;
    for file in files_below(from)? {
        weights += usize::from(file.extension().is_some_and(|e| e == "safetensors"));
        install(&file, &to.join(file.strip_prefix(from)?))?;
    }
    ensure!(weights > 0, "{}: no weights of the embedded model", from.display());
    Ok(())
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

fn check_plugin(plugin: &Path) -> Result<()> {
    let bytes = fs::read(plugin).with_context(|| plugin.display().to_string())?;
    let size = bytes.len() as u64;
    ensure!(size < SIZE_LIMIT, "the plug-in has {size} bytes, more than {SIZE_LIMIT}");
    check_exports(&object::File::parse(&*bytes).context("the plug-in's object file")?)?;
    check_libraries(&bytes)
}

/// Stand-alone Fusion rejects a bundle with exports of its own.
fn check_exports(file: &object::File<'_>) -> Result<()> {
    let names = file.exports()?.map(|export| {
        Ok(String::from_utf8_lossy(export?.name().into_name().unwrap_or_default()).into_owned())
    });
    let names = names.collect::<Result<Vec<_>>>()?;
    for wanted in EXPORTS {
        ensure!(names.iter().any(|name| plain(name) == wanted), "the plug-in does not export {wanted}");
    }
    match names.iter().find(|name| !EXPORTS.contains(&plain(name))) {
        Some(stray) => bail!("the plug-in exports {stray}"),
        None => Ok(()),
    }
}

/// Mach-O writes an underscore before every C name.
fn plain(name: &str) -> &str {
    if cfg!(target_os = "macos") { name.strip_prefix('_').unwrap_or(name) } else { name }
}

/// Names that only a linked tensor library or CUDA would leave in the file: source paths in panic
/// messages, or the libraries the loader is to fetch.
const FOREIGN: [&str; 6] = ["candle-core", "libcuda", "libcudart", "libcublas", "libtorch", "libonnxruntime"];

fn check_libraries(bytes: &[u8]) -> Result<()> {
    let holds = |name: &&&str| bytes.windows(name.len()).any(|window| window == name.as_bytes());
    match FOREIGN.iter().find(holds) {
        Some(name) => bail!("the plug-in links {name}"),
        None => Ok(()),
    }
}

fn info_plist() -> String {
    let entries = [
        ("CFBundleDevelopmentRegion", "en"),
        ("CFBundleExecutable", "LoraEdit.ofx"),
        ("CFBundleIdentifier", "org.lora-edit.LoraEdit"),
        ("CFBundleInfoDictionaryVersion", "6.0"),
        ("CFBundlePackageType", "BNDL"),
        ("CFBundleVersion", env!("CARGO_PKG_VERSION")),
    ];
    let lines: String =
        entries.iter().map(|(k, v)| format!("  <key>{k}</key><string>{v}</string>\n")).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\">\n<dict>\n{lines}</dict>\n</plist>\n"
    )
}
