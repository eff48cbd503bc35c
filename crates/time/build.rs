//! Compiles the preloaded library with the compiler that compiles this crate, and nothing else.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    for path in ["build.rs", "preload", "src/page.rs"] {
        println!("cargo:rerun-if-changed={path}");
    }
    println!("cargo:rustc-check-cfg=cfg(preload)");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo sets OUT_DIR"));
    let [arch, os] = ["CARGO_CFG_TARGET_ARCH", "CARGO_CFG_TARGET_OS"]
        .map(|name| env::var(name).unwrap_or_default());
    // Its system calls are written for this one; elsewhere the crate says that it cannot simulate time.
    if arch != "x86_64" || os != "linux" {
        return;
    }
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc
        .args(["--edition", "2024", "--crate-type", "cdylib", "--crate-name", "fuzz_dist_time"])
        .args(["-C", "panic=abort", "-C", "opt-level=2", "-C", "codegen-units=1", "-C", "lto=fat"])
        .args(["-C", "force-unwind-tables=yes", "-C", "debuginfo=0", "-C", "strip=debuginfo"])
        // Named, so that the C library is initialised before this one.
        .args(["-C", "link-arg=-lc", "--cap-lints", "warn", "--target"])
        .arg(env::var_os("TARGET").expect("Cargo sets TARGET"))
        .arg("-o")
        .arg(out.join("libfuzz_dist_time.so"))
        .arg("preload/lib.rs");
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = std::ffi::OsString::from("linker=");
        option.push(linker);
        rustc.arg("-C").arg(option);
    }
    let done = rustc.status();
    assert!(done.is_ok_and(|status| status.success()), "{rustc:?} failed; its messages are above");
    println!("cargo:rustc-cfg=preload");
}
