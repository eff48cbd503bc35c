//! Transactions and causality: what isolation a history of transactions proves or refutes.

mod append;
mod core;
pub mod generate;
mod isolation;
mod report;
#[cfg(test)]
mod twin;

pub use append::{ListAppend, list_append};
pub use core::{Shape, Status, Transactions, Unjudgeable};
pub use isolation::Isolation;
