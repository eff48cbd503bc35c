//! Linearizability: every operation takes effect at one moment between its two ends.
//!
//! Herlihy and Wing, "Linearizability: a correctness condition for concurrent objects", 1990.
//! The search keeps the set of all *configurations* that explain the history so far: which of
//! the pending operations have taken effect, and the state. Operations take effect just in
//! time, when one completes (Lowe, "Testing for linearizability", 2017), so a configuration
//! speaks of pending operations only and never of the whole history.

mod counter;
mod fifo;
mod independent;
mod model;
mod registers;
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
pub use model::{Access, CasRegister, CounterModel, Fifo, Model, Mutex, SetModel};
pub use registers::{DistinctRegister, distinct_register};
pub use search::{Linearizable, linearizable};
pub use sequential::{Sequential, sequential};
pub use several::Registers;
pub use witness::{Step, explains};
