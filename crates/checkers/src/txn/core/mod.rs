//! What all transactional checkers share: columns, graphs, cycles, and how cycles are explained.

pub(crate) mod cycles;
pub(crate) mod decide;
pub(crate) mod explain;
pub(crate) mod graph;
pub(crate) mod intern;
mod number;
pub(crate) mod peel;
pub(crate) mod proof;
pub(crate) mod read;
mod rows;
mod serial;
pub(crate) mod shortest;
pub(crate) mod txns;

pub use txns::{Shape, Status, Transactions, Unjudgeable};
