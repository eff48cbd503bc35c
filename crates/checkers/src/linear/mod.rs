//! Linearizability: every operation takes effect at one moment between its two ends.
//!
//! Herlihy and Wing, "Linearizability: a correctness condition for concurrent objects", 1990.
//! The search keeps the set of all *configurations* that explain the history so far: which of
//! the pending operations have taken effect, and the state. Operations take effect just in
//! time, when one completes (Lowe, "Testing for linearizability", 2017), so a configuration
//! speaks of pending operations only and never of the whole history.
//!
//! Three observations keep that set small where objects are registers, and none makes it inexact:
//! - A write right before a write is seen by nobody. So a write is tried on its own only where
//!   something pending needs its value; and once a write has taken effect, every other one that was
//!   pending then may have come right before it, or not. A configuration stands for all of these.
//! - Of two equal operations the one that completes first can be the one that takes effect first.
//! - More reads done, and fewer operations of unknown outcome used up, are never worse.

mod configurations;
pub(crate) mod counter;
mod decoded;
pub(crate) mod fifo;
mod fifo_open;
mod independent;
mod kv;
mod model;
pub(crate) mod models;
mod multi;
mod pairs;
pub(crate) mod registers;
mod search;
mod sequential;
mod several;
mod sums;
#[cfg(test)]
mod tests;
mod witness;

pub use counter::{Counter, counter};
pub use fifo::{FifoQueue, fifo};
pub use independent::{Independent, independent};
pub(super) use model::FifoOp;
pub use model::{Access, CasRegister, CounterModel, Fifo, Model, Mutex, SetModel, StartingAt};
pub use multi::MultiRegister;
pub use registers::{DistinctRegister, distinct_register};
pub use search::{Linearizable, linearizable};
pub use sequential::{Sequential, sequential};
pub use several::Registers;
pub use witness::{Step, explains};
