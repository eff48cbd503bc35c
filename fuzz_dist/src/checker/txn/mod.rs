//! Transactions and causality: what isolation a history of transactions proves or refutes.

mod append;
mod core;
mod crdt;
pub mod generate;
mod isolation;
mod register;
mod report;
#[cfg(test)]
mod twin;
mod weak;

pub use append::{ListAppend, list_append};
pub use core::{Shape, Status, Transactions, Unjudgeable};
pub use crdt::{Crdt, CrdtCausal, crdt_causal};
pub use isolation::Isolation;
pub use register::{RwRegister, rw_register};
pub use weak::{
    Level, SessionGuarantees, Weak, causal, read_atomic, read_committed, session_guarantees, weak,
};
