//! `cargo fuzz-dist`: the checkers on their own, for histories that are recorded already.

fn main() -> std::process::ExitCode {
    cargo_fuzz_dist::main()
}
