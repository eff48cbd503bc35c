//! Drives a generator against clients and records what happens.
//!
//! Thread `i` of `concurrency` speaks to node `i mod n`; where nodes join and leave, threads are spread over
//! the members of that moment. On it runs one process at a time, at
//! first number `i`; when nobody knows what became of an operation, that process is dead, and
//! the next one, `process + concurrency`, begins with a new client. All clients are polled
//! within one task: an operation costs no message between tasks.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::client::DynOpener;
use crate::clock::Clock;
use crate::generator::{Generator, Thread};
use crate::history::Recorder;
use crate::node::{Flights, InFlight, OnNode};
use crate::op::{Invocation, NodeId, Phase, Process};

mod connection;
mod counters;
mod executor;
mod options;
mod pool;
mod run;
mod spread;

pub(crate) use connection::{Connection, Done};
pub use counters::{Counters, Counts, Observer, Sent};
pub(crate) use executor::{Caller, Executor};
pub use options::{Ended, Options, OptionsError, Outcome};
pub(crate) use pool::caught;
use run::Run;

/// Runs generators, phase after phase, with threads and clients that last.
pub struct Interpreter {
    executor: Executor,
    threads: Vec<ThreadState>,
    processes: Vec<Process>,
    /// The node that each thread speaks to, and the one that it shall speak to once it is free.
    bound: Vec<NodeId>,
    wanted: Vec<NodeId>,
    members: Option<Members>,
    flights: Flights,
    /// The same of each node, as far as it was needed.
    on_nodes: Vec<OnNode>,
    cursor: Thread,
}

/// The nodes that take part, as they join and leave.
pub(crate) type Members = watch::Receiver<Arc<[NodeId]>>;

struct ThreadState {
    connection: Connection,
    /// The operation in flight.
    op: Option<Invocation>,
    /// As its node knows of it.
    flight: Option<InFlight>,
    /// Attempts to connect that failed in a row.
    failures: u32,
}

impl Interpreter {
    /// An interpreter whose threads have no clients yet.
    ///
    /// # Errors
    ///
    /// When the options contradict each other.
    pub fn new(
        clock: Clock,
        recorder: Recorder,
        options: Options,
    ) -> Result<Interpreter, OptionsError> {
        options.validate()?;
        let threads = 0..options.concurrency;
        let bound: Vec<NodeId> = threads.clone().map(|i| NodeId(i % options.nodes)).collect();
        Ok(Interpreter {
            wanted: bound.clone(),
            bound,
            members: None,
            flights: Flights::default(),
            on_nodes: Vec::new(),
            processes: threads.clone().map(|i| Process(i.into())).collect(),
            threads: threads
                .map(|_| ThreadState {
                    connection: Connection::None,
                    op: None,
                    flight: None,
                    failures: 0,
                })
                .collect(),
            cursor: Thread(0),
            executor: Executor {
                clock,
                recorder,
                options,
                counters: Arc::default(),
                observers: Vec::new(),
            },
        })
    }

    /// With somebody more who watches.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn Observer>) -> Interpreter {
        self.executor.observers.push(observer);
        self
    }

    /// Whose threads speak to these nodes, whoever joins and leaves; one that is about to leave gets no operation,
    /// and is let go once it has none in flight.
    #[must_use]
    pub(crate) fn following(mut self, members: Members, flights: Flights) -> Interpreter {
        (self.members, self.flights) = (Some(members), flights);
        self.on_nodes.clear();
        self
    }

    /// Begins an operation on a node; `None` where it gets no more.
    fn begin(&mut self, node: NodeId) -> Option<InFlight> {
        while self.on_nodes.len() <= node.index() {
            let next = NodeId(self.on_nodes.len() as u16);
            self.on_nodes.push(self.flights.on(next));
        }
        self.on_nodes[node.index()].begin()
    }

    /// Takes up who takes part now; did that change?
    fn follow(&mut self) -> bool {
        let Some(members) = &mut self.members else { return false };
        if !members.has_changed().unwrap_or(false) {
            return false;
        }
        let now = members.borrow_and_update();
        self.wanted = spread::spread(&self.bound, &now);
        self.executor.options.nodes = u16::try_from(now.len()).unwrap_or(u16::MAX).max(1);
        true
    }

    /// The live counts of all phases.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.executor.counters)
    }

    /// What records and judges its operations, for those that others execute.
    pub(crate) fn executor(&self) -> Executor {
        self.executor.clone()
    }

    /// Runs a generator to its end, until `time_limit` has passed, or until `cancel` says true.
    ///
    /// Operations in flight at the end are awaited for a bounded time, and then recorded as
    /// unknown. Clients and processes go over to the next call.
    pub async fn run(
        &mut self,
        phase: Phase,
        generator: &mut dyn Generator,
        opener: &dyn DynOpener,
        time_limit: Duration,
        cancel: &mut watch::Receiver<bool>,
    ) -> Outcome {
        let before = self.executor.counters.now();
        let start = self.executor.clock.now();
        let mut run = Run::new(self, phase, opener, start + time_limit);
        let ended = run.work(generator, cancel).await;
        let abandoned = run.drain(generator, ended).await;
        drop(run);
        let counts = self.executor.counters.now().since(&before);
        Outcome { ended, counts, abandoned, start, end: self.executor.clock.now() }
    }
}

#[cfg(test)]
mod overlap_tests;
#[cfg(test)]
mod tests;
