//! Transactions and causality: what isolation a history of transactions proves or refutes.

pub(crate) mod append;
pub(crate) mod bank;
mod core;
pub(crate) mod crdt;
pub mod generate;
mod isolation;
mod model;
mod named;
#[cfg(test)]
mod oracle;
pub(crate) mod patterns;
pub(crate) mod predicates;
pub(crate) mod register;
mod report;
pub(crate) mod weak;

pub use append::{ListAppend, list_append};
pub use bank::{Bank, bank};
pub use core::{Shape, Status, Transactions, Unjudgeable};
pub use crdt::{Crdt, CrdtCausal, crdt_causal};
pub use isolation::Isolation;
pub use patterns::{LongFork, Monotonic, WriteSkew, long_fork, monotonic, write_skew};
pub(crate) use predicates::row as predicate_row;
pub use predicates::{G2, g2};
pub use register::{RwRegister, rw_register};
pub use weak::{
    Level, SessionGuarantees, Weak, axiomatic_read_committed, causal, read_atomic,
    session_guarantees, weak,
};
