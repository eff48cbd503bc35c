//! The options of a run, and what it gives at its end.

use std::time::Duration;

use super::Counts;
use crate::generator::ThreadSet;
use crate::op::Name;
use crate::random::Seed;
use crate::time::{Time, secs};

/// How operations are run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads, each with a client: 2 for each node by default.
    pub concurrency: u16,
    /// Nodes of the test.
    pub nodes: u16,
    /// After so long an operation is given up, and nobody knows what became of it.
    pub op_timeout: Duration,
    /// A client has so long to connect.
    pub open_timeout: Duration,
    /// Operations that are in flight at the end of a phase have so long to complete.
    pub drain_timeout: Duration,
    /// The same for a phase that was cancelled.
    pub cancelled_drain_timeout: Duration,
    /// Functions without effects, such as `read`: where the outcome of one is unknown, it
    /// counts as failed, since burning a process for it would only waste concurrency.
    pub pure_functions: Vec<Name>,
    /// In simulated time: the seed of the latencies between clients and their nodes.
    pub latency: Option<Seed>,
}

impl Options {
    /// The defaults for a number of nodes.
    pub fn for_nodes(nodes: u16) -> Options {
        Options {
            concurrency: nodes.saturating_mul(2),
            nodes,
            op_timeout: secs(5),
            open_timeout: secs(5),
            drain_timeout: secs(6),
            cancelled_drain_timeout: secs(1),
            pure_functions: Vec::new(),
            latency: None,
        }
    }

    pub(super) fn validate(&self) -> Result<(), OptionsError> {
        let Options { concurrency, nodes, .. } = *self;
        if nodes == 0 {
            Err(OptionsError::NoNodes)
        } else if concurrency < nodes {
            Err(OptionsError::TooFewClients { concurrency, nodes })
        } else if usize::from(concurrency) > ThreadSet::CAPACITY {
            Err(OptionsError::TooManyClients { concurrency })
        } else {
            Ok(())
        }
    }
}

/// Options that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// A test of nothing.
    #[error("a test needs at least one node")]
    NoNodes,
    /// Some node would never be asked.
    #[error(
        "a concurrency of {concurrency} is less than one client for each of {nodes} nodes: nodes without a client would never be tested; use at least {nodes}"
    )]
    TooFewClients {
        /// What was asked for.
        concurrency: u16,
        /// The nodes.
        nodes: u16,
    },
    /// More than there can be.
    #[error("a concurrency of {concurrency} is above the limit of {}", ThreadSet::CAPACITY)]
    TooManyClients {
        /// What was asked for.
        concurrency: u16,
    },
}

crate::error::becomes_an_error![OptionsError];

/// Why a phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// The generator had no more operations.
    Exhausted,
    /// The phase's time limit.
    TimeLimit,
    /// Somebody cancelled it.
    Cancelled,
    /// The generator waited for something that could not come: nothing was in flight, and it
    /// named no time. That is a mistake in the generator.
    Stuck,
}

/// What became of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Why it ended.
    pub ended: Ended,
    /// Its operations.
    pub counts: Counts,
    /// Operations that were given up at the end, after the bounded wait.
    pub abandoned: usize,
    /// When it began.
    pub start: Time,
    /// When it ended, operations in flight included.
    pub end: Time,
}
