//! Sets as checkers see them: elements as dense numbers, reads as changes per node.

mod elements;
mod streams;

pub(crate) use elements::{Adds, Elements, Mix};
pub(crate) use streams::{AllRuns, Stream, Streams, Unreadable};

/// "No event", "no element", "never".
pub(crate) const NONE: u32 = u32::MAX;
