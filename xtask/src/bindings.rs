//! `cargo xtask bindings`: the OpenFX bindings, generated from our header or compared with it.

/// Writes `openfx-sys/src/bindings.rs` from `openfx-sys/include/openfx_abi.h`, or with `check`
/// fails if the committed file differs from what would be written. Runs in the repository's root.
///
/// # Errors
/// A missing libclang, an unreadable header, and for `check` any difference.
#[cfg(feature = "bindings")]
pub fn run(check: bool) -> anyhow::Result<()> {
    const BINDINGS: &str = "openfx-sys/src/bindings.rs";
    let generated = generate("openfx-sys/include/openfx_abi.h")?;
    if !check {
        return Ok(std::fs::write(BINDINGS, generated)?);
    }
    let committed = std::fs::read_to_string(BINDINGS)?;
    match first_difference(&committed, &generated) {
        None => Ok(()),
        Some(line) => anyhow::bail!("{BINDINGS}:{line} differs from the header: run `cargo xtask bindings`"),
    }
}

/// Says what to run instead: this build has no bindgen in it.
#[cfg(not(feature = "bindings"))]
pub fn run(_check: bool) -> anyhow::Result<()> {
    anyhow::bail!("needs libclang and bindgen: cargo run -p xtask --features bindings -- bindings")
}

/// String constants become `&CStr` and numbers signed, as the suites take them. The compiler's own
/// layout checks are left out: openfx-sys's test compares against an independent source.
#[cfg(feature = "bindings")]
fn generate(header: &str) -> anyhow::Result<String> {
    let bindings = bindgen::Builder::default()
        .header(header)
        .allowlist_file(".*openfx_abi\\.h")
        .generate_cstr(true)
        .default_macro_constant_type(bindgen::MacroTypeVariation::Signed)
        .derive_default(true)
        .layout_tests(false)
        .generate_comments(false)
        .disable_header_comment()
        .raw_line(
            "//! The OpenFX C interface, generated from `include/openfx_abi.h` by `cargo xtask bindings`.",
        )
        .rust_target(bindgen::RustTarget::stable(85, 0).map_err(|e| anyhow::anyhow!("{e}"))?)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .rustfmt_configuration_file(Some(std::env::current_dir()?.join("rustfmt.toml")))
        .generate()?;
    Ok(bindings.to_string())
}

/// The number of the first line in which two texts differ.
#[cfg(feature = "bindings")]
fn first_difference(left: &str, right: &str) -> Option<usize> {
    let mut numbered = left.lines().zip(right.lines()).enumerate();
    let within = numbered.find(|(_, (l, r))| l != r).map(|(i, _)| i + 1);
    let (left, right) = (left.lines().count(), right.lines().count());
    within.or_else(|| (left != right).then(|| left.min(right) + 1))
}
