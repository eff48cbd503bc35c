//! Cluster tests for BEAM applications under `cargo test`: the real application in a real
//! cluster, real environmental faults, and checkers that judge the recorded history.

// Layers, lowest first: a module uses only those above it in this list (tests/tidy.rs holds it so).
// words
pub mod error;
pub mod op;
pub mod random;
pub mod time;
// record
pub mod history;
// pure
pub mod checker;
pub mod generator;
pub mod grudge;
// reach
pub mod beam;
pub mod env;
pub mod lab;
pub mod node;
pub mod provision;
// parts
#[cfg(feature = "antidote")]
pub mod antidote;
pub mod client;
pub mod db;
pub mod nemesis;
pub mod workload;
// run
pub mod interpreter;
pub mod store;
pub mod test;
// show
pub mod report;
// shell
pub mod harness;
pub mod registry;
