//! What the feature `cuda` needs at link time; without it, nothing.

#[cfg(feature = "cuda")]
mod lazy;

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=build");
    #[cfg(feature = "cuda")]
    lazy::link()?;
    Ok(())
}
