//! Sets as checkers see them: elements as dense numbers, reads as changes per node.

mod elements;
mod numbers;
mod sights;
mod state;
mod streams;

pub(crate) use super::dense::NONE;
pub(crate) use elements::{Adds, Elements};
pub(crate) use sights::Sights;
pub(crate) use streams::{AllRuns, Stream, Streams, Unreadable};
