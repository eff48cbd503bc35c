//! Where stores live: the folder `fuzz_dist` in the target folder of the workspace.

use std::env;
use std::path::{Path, PathBuf};

/// The folder of all stores: `FUZZ_DIST_STORE` where that is set, else `fuzz_dist` in
/// `CARGO_TARGET_DIR`, else `target/fuzz_dist` beside the `Cargo.lock` of the workspace, which
/// is looked for upwards from the package (or from the current folder).
///
/// No `cargo metadata` is run: a trial may live where there is no cargo.
pub fn root() -> PathBuf {
    let var = |name| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let here = env::current_dir().unwrap_or_else(|_| ".".into());
    let package = var("CARGO_MANIFEST_DIR").unwrap_or_else(|| here.clone());
    choose(var("FUZZ_DIST_STORE"), var("CARGO_TARGET_DIR"), &package, &here)
}

/// Relative paths of the environment count from the current folder, as they do for cargo.
pub(super) fn choose(
    store: Option<PathBuf>,
    target: Option<PathBuf>,
    package: &Path,
    here: &Path,
) -> PathBuf {
    if let Some(store) = store {
        return here.join(store);
    }
    if let Some(target) = target {
        return here.join(target).join("fuzz_dist");
    }
    let workspace = package.ancestors().find(|dir| dir.join("Cargo.lock").is_file());
    workspace.unwrap_or(package).join("target").join("fuzz_dist")
}
