//! Tells the compiler which `cfg` is meant.

#[allow(clippy::print_stdout)] // How a build script speaks.
fn main() {
    println!("cargo::rustc-check-cfg=cfg(fuzzing)");
    println!("cargo::rerun-if-changed=build.rs");
}
