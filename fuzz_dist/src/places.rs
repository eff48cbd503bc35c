//! The places that every test can name: the providers of environments that the library has.

/// Hosts in namespaces on this machine, which is their network.
#[fuzz_dist::env("local")]
fn local() -> fuzz_dist_lab::Local {
    fuzz_dist_lab::Local
}
