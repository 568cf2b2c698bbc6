//! Compiles the C shim: a Rust function cannot be C-variadic on stable, and a host's parameter and
//! message suites have to be.

fn main() {
    println!("cargo::rerun-if-changed=src/shim.c");
    cc::Build::new().file("src/shim.c").warnings(true).compile("ofx_host_shim");
}
