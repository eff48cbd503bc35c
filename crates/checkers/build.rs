//! Informs the crate how it is compiled itself: a profile may say so for this package alone.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let level = std::env::var("OPT_LEVEL").unwrap_or_default();
    println!("cargo::rustc-env=FUZZ_DIST_OPT_LEVEL={level}");
}
