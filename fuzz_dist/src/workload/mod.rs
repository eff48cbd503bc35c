//! Operations, client and checkers that belong together.

use std::sync::Arc;

use crate::checker::AnyChecker;
use crate::client::DynClient;
use crate::generator::{Boxed, Generator as _};
use crate::history::History;
use crate::node::Node;
use crate::op::{Invocation, Name, Value};
use crate::random::Seed;

mod counter;
mod failure;
mod functions;
mod jobs;
mod liveness;
mod names;
mod or_set;
mod pool;
mod register;
mod set;
#[cfg(test)]
mod tests;
mod transactions;

pub use counter::{
    CounterWorkload, Strategy as CounterStrategy, counter_workload, pn_counter, pn_counter_grow,
    pn_counter_spread, pn_counter_swing, pn_counter_with,
};
pub use failure::{Failure, Refusal};
pub use jobs::{JobsWorkload, jobs_workload};
pub use liveness::liveness_workload;
pub use names::{NamesWorkload, names_workload};
pub use or_set::or_set;
pub use pool::{QueueWorkload, queue_workload};
pub use register::{RegisterWorkload, lww_register, mv_register, register_workload};
pub use set::{SetWorkload, g_set, g_set_spread, set_workload};
pub use transactions::transactions;

/// Opens the clients of a workload.
pub type Opener = Arc<dyn Fn(&Node) -> Box<dyn DynClient> + Send + Sync>;

/// Says whether a value that all nodes agree on is all that the history promises.
pub type Complete = Arc<dyn Fn(&History, &Value) -> bool + Send + Sync>;

/// The operations on the system under test, their client and their checkers.
///
/// Workloads come from functions such as [`g_set`] and [`set_workload`]; [`Workload::new`] makes
/// one of your own.
#[derive(Clone)]
pub struct Workload {
    name: Name,
    kinds: Vec<Name>,
    pure: Vec<Name>,
    operations: Arc<dyn Fn(Seed) -> Boxed + Send + Sync>,
    read: Option<Invocation>,
    client: Option<Opener>,
    checkers: Vec<AnyChecker>,
    complete: Option<Complete>,
    touches: Vec<Name>,
}

impl Workload {
    /// A workload of this name whose operations come from `operations`, a generator for a seed.
    ///
    /// `kinds` are the functions that have to succeed at least once for the run to mean
    /// something. Without [`Workload::client`] the database's own client for a workload of this
    /// name is used.
    ///
    /// ```
    /// use fuzz_dist::generator::{Generator, repeat};
    /// use fuzz_dist::op::Invocation;
    /// use fuzz_dist::workload::Workload;
    ///
    /// let pings = Workload::new("ping", ["ping"], |_seed| repeat(Invocation::new("ping", ())).boxed());
    /// ```
    pub fn new<N: Into<Name>>(
        name: impl Into<Name>,
        kinds: impl IntoIterator<Item = N>,
        operations: impl Fn(Seed) -> Boxed + Send + Sync + 'static,
    ) -> Workload {
        Workload {
            name: name.into(),
            kinds: kinds.into_iter().map(Into::into).collect(),
            pure: Vec::new(),
            operations: Arc::new(operations),
            read: None,
            client: None,
            checkers: Vec::new(),
            complete: None,
            touches: Vec::new(),
        }
    }

    /// Where the application keeps the data of this workload: `"mnesia"`, or the names of mnesia
    /// tables; anything else (`"ets"`) means that it is not in mnesia. Explanations then name a split
    /// of mnesia as the cause of an anomaly only where mnesia holds the data.
    #[must_use]
    pub fn touches<N: Into<Name>>(mut self, places: impl IntoIterator<Item = N>) -> Workload {
        self.touches = places.into_iter().map(Into::into).collect();
        self
    }

    /// The main phase ends after so many operations, if its time limit does not come first: for tests
    /// that need a certain number of them, however busy the machine is. Faults that are still to come
    /// are left out then.
    #[must_use]
    pub fn limit(mut self, operations: u64) -> Workload {
        let all = self.operations;
        self.operations = Arc::new(move |seed| all(seed).limit(operations).boxed());
        self
    }

    /// These functions change nothing: when one of them times out it certainly did not happen.
    #[must_use]
    pub fn pure<N: Into<Name>>(mut self, functions: impl IntoIterator<Item = N>) -> Workload {
        self.pure = functions.into_iter().map(Into::into).collect();
        self
    }

    /// The operation that gives a node's state: it is asked while the run waits for convergence,
    /// and at the end on every node.
    #[must_use]
    pub fn read(mut self, read: Invocation) -> Workload {
        self.read = Some(read);
        self
    }

    /// Opens this workload's own clients.
    #[must_use]
    pub fn client(
        mut self,
        open: impl Fn(&Node) -> Box<dyn DynClient> + Send + Sync + 'static,
    ) -> Workload {
        self.client = Some(Arc::new(open));
        self
    }

    /// One more judge of the history.
    #[must_use]
    pub fn checker(mut self, checker: AnyChecker) -> Workload {
        self.checkers.push(checker);
        self
    }

    /// Convergence needs more than that all nodes agree: this.
    #[must_use]
    pub fn complete(
        mut self,
        complete: impl Fn(&History, &Value) -> bool + Send + Sync + 'static,
    ) -> Workload {
        self.complete = Some(Arc::new(complete));
        self
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The functions that have to succeed at least once.
    pub fn kinds(&self) -> &[Name] {
        &self.kinds
    }

    /// The functions that change nothing.
    pub fn pure_functions(&self) -> &[Name] {
        &self.pure
    }

    /// The generator of the main phase, without rate and limit.
    pub fn operations(&self, seed: Seed) -> Boxed {
        (self.operations)(seed)
    }

    /// The operation that gives a node's state.
    pub fn final_read(&self) -> Option<&Invocation> {
        self.read.as_ref()
    }

    /// A client of its own for a node, where it brings one.
    pub fn open(&self, node: &Node) -> Option<Box<dyn DynClient>> {
        self.client.as_ref().map(|open| open(node))
    }

    /// Its judges.
    pub fn checkers(&self) -> &[AnyChecker] {
        &self.checkers
    }

    /// Where the application keeps its data, as far as [`Workload::touches`] said so.
    pub fn places(&self) -> &[Name] {
        &self.touches
    }

    /// Does a value that all nodes agree on hold everything that the history promises?
    pub fn is_complete(&self, history: &History, value: &Value) -> bool {
        self.complete.as_ref().is_none_or(|complete| complete(history, value))
    }
}

impl std::fmt::Debug for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Workload({})", self.name)
    }
}

/// What tests hold.
pub type AnyWorkload = Workload;

/// Makes a workload of whatever can become one.
pub fn any_workload(workload: impl Into<Workload>) -> Workload {
    workload.into()
}
