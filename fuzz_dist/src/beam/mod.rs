//! The Erlang distribution protocol: a hidden node written in Rust.
