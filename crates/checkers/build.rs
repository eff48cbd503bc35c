//! Gives the crate its own optimization level: a profile may set one for this package alone.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let level = std::env::var("OPT_LEVEL").unwrap_or_default();
    println!("cargo::rustc-env=FUZZ_DIST_OPT_LEVEL={level}");
}
