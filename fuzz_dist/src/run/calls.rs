//! Calls into user code while they run, so that one that blocks its thread can be named.
//!
//! A future that sleeps or computes within `poll` keeps every limit of its runtime from working: nobody
//! polls the timer. Each call is therefore noted here before it is polled, and a thread outside of the
//! runtime looks how long that has been going on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::pace::Pace;
use crate::client::{BoxFuture, DynClient, Error as ClientError};
use crate::db::{AnyDb, DynDb, Facts};
use crate::env::{Facet, Folder, HostSpec};
use crate::error::Error;
use crate::node::{Cluster, Node};
use crate::op::{Completion, Invocation, Name};
use crate::runtime::AnyRuntime;

/// What says that a call is not being polled now.
const IDLE: u64 = 0;

/// All calls into user code of one attempt.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// A thread that gets no core is not blocked.
    pace: Pace,
    calls: Mutex<Vec<Weak<Slot>>>,
}

/// One call, or one after another of the same kind, such as those of a client.
struct Slot {
    what: String,
    /// How long it may take altogether; within one poll it must take far less.
    limit: Duration,
    /// When the poll that is under way began, in nanoseconds after `started`, or [`IDLE`].
    since_ns: AtomicU64,
}

/// A call that has not returned for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blocked {
    /// What was called: `the client of n3`.
    pub what: String,
    /// For how long.
    pub lasted: Duration,
}

/// Ends the poll that it stands for.
struct Polling<'a>(&'a Slot);

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.0.since_ns.store(IDLE, Ordering::Release);
    }
}

impl Calls {
    /// Calls that are timed by this clock.
    pub(super) fn with(pace: Pace) -> Calls {
        Calls(Arc::new(Inner { pace, calls: Mutex::default() }))
    }

    /// Runs user code that may take up to `limit`, under a name for people.
    pub(crate) async fn watch<F: Future>(
        &self,
        what: String,
        limit: Duration,
        future: F,
    ) -> F::Output {
        let slot = self.slot(what, limit);
        self.poll(&slot, future).await
    }

    /// [`Calls::watch`] for a function that is no future.
    pub(super) fn run<R>(&self, what: String, limit: Duration, function: impl FnOnce() -> R) -> R {
        let slot = self.slot(what, limit);
        let _polling = self.enter(&slot);
        function()
    }

    /// The call that has blocked its thread for at least `at_least`; of several the innermost.
    pub(crate) fn blocked(&self, at_least: Duration) -> Option<Blocked> {
        self.find(|_, lasted| lasted >= at_least)
    }

    /// The call that has blocked its thread for `grace` longer than all of it may take.
    pub(crate) fn overdue(&self, grace: Duration) -> Option<Blocked> {
        self.find(|slot, lasted| lasted >= slot.limit.saturating_add(grace))
    }

    fn find(&self, wanted: impl Fn(&Slot, Duration) -> bool) -> Option<Blocked> {
        let now = self.now_ns();
        let calls = self.0.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let polled = calls.iter().filter_map(Weak::upgrade).filter_map(|slot| {
            let since = slot.since_ns.load(Ordering::Acquire);
            let lasted = Duration::from_nanos(now.saturating_sub(since));
            (since != IDLE && wanted(&slot, lasted)).then_some((since, lasted, slot))
        });
        // A test function that polls a client is not what blocks: what began last is.
        let (_, lasted, slot) = polled.max_by_key(|(since, _, _)| *since)?;
        Some(Blocked { what: slot.what.clone(), lasted })
    }

    fn slot(&self, what: String, limit: Duration) -> Arc<Slot> {
        let slot = Arc::new(Slot { what, limit, since_ns: AtomicU64::new(IDLE) });
        let mut calls = self.0.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.retain(|call| call.strong_count() > 0);
        calls.push(Arc::downgrade(&slot));
        slot
    }

    fn enter<'a>(&self, slot: &'a Slot) -> Polling<'a> {
        slot.since_ns.store(self.now_ns(), Ordering::Release);
        Polling(slot)
    }

    async fn poll<F: Future>(&self, slot: &Slot, future: F) -> F::Output {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            let _polling = self.enter(slot);
            future.as_mut().poll(cx)
        })
        .await
    }

    /// Never [`IDLE`].
    fn now_ns(&self) -> u64 {
        (self.0.pace.now().paced.as_nanos() as u64).max(IDLE + 1)
    }

    /// The same client, watched.
    pub(super) fn client(
        &self,
        client: Box<dyn DynClient>,
        node: &str,
        limit: Duration,
    ) -> Box<dyn DynClient> {
        let slot = self.slot(format!("the client of {node}"), limit);
        Box::new(WatchedClient { client: Dropped(Some(client)), slot, calls: self.clone() })
    }

    /// The same database, watched.
    pub(super) fn db(&self, db: AnyDb, limit: Duration) -> AnyDb {
        Arc::new(WatchedDb { db, limit, calls: self.clone() })
    }
}

struct WatchedClient {
    client: Dropped,
    slot: Arc<Slot>,
    calls: Calls,
}

/// A client whose drop may panic: many are dropped together, and the second panic would end the process.
struct Dropped(Option<Box<dyn DynClient>>);

impl Dropped {
    fn get_mut(&mut self) -> &mut dyn DynClient {
        &mut **self.0.as_mut().expect("it is there until this is dropped")
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        let client = self.0.take();
        // The panic was printed as it happened, and says nothing of an operation.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(client)));
    }
}

impl DynClient for WatchedClient {
    fn invoke<'a>(&'a mut self, op: &'a Invocation) -> BoxFuture<'a, Completion> {
        // Also what the client does before it gives a future is its own code.
        let future = {
            let _polling = self.calls.enter(&self.slot);
            self.client.get_mut().invoke(op)
        };
        Box::pin(self.calls.poll(&self.slot, future))
    }
    fn reopen(&mut self) -> BoxFuture<'_, Result<(), ClientError>> {
        let future = {
            let _polling = self.calls.enter(&self.slot);
            self.client.get_mut().reopen()
        };
        Box::pin(self.calls.poll(&self.slot, future))
    }
    fn is_reusable(&self) -> bool {
        self.client.0.as_ref().is_none_or(|client| client.is_reusable())
    }
}

struct WatchedDb {
    db: AnyDb,
    limit: Duration,
    calls: Calls,
}

impl WatchedDb {
    fn watch<'a, T: Send + 'a>(
        &'a self,
        what: &str,
        on: &str,
        call: BoxFuture<'a, T>,
    ) -> BoxFuture<'a, T> {
        let what = format!("`Db::{what}` of `{}`{on}", self.db.name());
        Box::pin(self.calls.watch(what, self.limit, call))
    }
}

impl DynDb for WatchedDb {
    fn name(&self) -> Name {
        self.db.name()
    }
    fn facts(&self) -> Facts {
        self.db.facts()
    }
    fn needs(&self) -> Vec<Facet> {
        self.db.needs()
    }
    fn runtime(&self) -> Option<AnyRuntime> {
        self.db.runtime()
    }
    fn prepare(&self) -> BoxFuture<'_, Result<(), Error>> {
        // It may take minutes, as it says, and has a limit of its own.
        self.db.prepare()
    }
    fn hosts(&self, nodes: usize) -> Result<Vec<HostSpec>, Error> {
        self.db.hosts(nodes)
    }
    fn folders(&self, host: &HostSpec) -> Result<Vec<Folder>, Error> {
        self.db.folders(host)
    }
    fn start_service<'a>(&'a self, service: &'a Node) -> BoxFuture<'a, Result<(), Error>> {
        let on = format!(" on {}", service.name());
        self.watch("start_service", &on, self.db.start_service(service))
    }
    fn start<'a>(&'a self, node: &'a Node) -> BoxFuture<'a, Result<(), Error>> {
        self.watch("start", &format!(" on {}", node.name()), self.db.start(node))
    }
    fn ready<'a>(&'a self, node: &'a Node) -> BoxFuture<'a, Result<(), Error>> {
        self.watch("ready", &format!(" on {}", node.name()), self.db.ready(node))
    }
    fn form<'a>(&'a self, cluster: &'a Cluster) -> BoxFuture<'a, Result<(), Error>> {
        self.watch("form", "", self.db.form(cluster))
    }
    fn rejoin<'a>(
        &'a self,
        node: &'a Node,
        cluster: &'a Cluster,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.watch("rejoin", &format!(" on {}", node.name()), self.db.rejoin(node, cluster))
    }
    fn join<'a>(
        &'a self,
        node: &'a Node,
        cluster: &'a Cluster,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.watch("join", &format!(" on {}", node.name()), self.db.join(node, cluster))
    }
    fn leave<'a>(
        &'a self,
        node: &'a Node,
        cluster: &'a Cluster,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.watch("leave", &format!(" on {}", node.name()), self.db.leave(node, cluster))
    }
    fn reconnect<'a>(&'a self, cluster: &'a Cluster) -> BoxFuture<'a, Result<(), Error>> {
        self.watch("reconnect", "", self.db.reconnect(cluster))
    }
    fn client(&self, workload: &str, node: &Node) -> Option<Box<dyn DynClient>> {
        let what = format!("`Db::client` of `{}`", self.db.name());
        self.calls.run(what, self.limit, || self.db.client(workload, node))
    }
    fn workloads(&self) -> Vec<Name> {
        self.db.workloads()
    }
    fn primaries(&self, cluster: &Cluster) -> Vec<Node> {
        let what = format!("`Db::primaries` of `{}`", self.db.name());
        self.calls.run(what, self.limit, || self.db.primaries(cluster))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_call_that_does_not_return_is_named() {
        let calls = Calls::default();
        let (inner, outer) = (calls.clone(), calls.clone());
        let limit = Duration::from_millis(5);
        let (asked, answered) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let body = async {
                    let blocks = async {
                        asked.send(()).unwrap();
                        ended.recv().unwrap();
                    };
                    inner.watch("the client of n1".into(), limit, blocks).await;
                };
                let body = outer.watch("the test".into(), Duration::MAX, body);
                tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(body);
            });
            answered.recv().unwrap();
            while calls.overdue(limit).is_none() {
                std::thread::yield_now();
            }
            assert_eq!(calls.overdue(limit).unwrap().what, "the client of n1");
            assert_eq!(calls.blocked(limit).unwrap().what, "the client of n1");
            assert_eq!(calls.blocked(Duration::from_secs(3600)), None);
            end.send(()).unwrap();
        });
        assert_eq!(calls.blocked(Duration::ZERO), None, "both have returned");
    }

    struct PanicsAtItsEnd;

    impl crate::client::Client for PanicsAtItsEnd {
        async fn invoke(&mut self, op: &Invocation) -> Completion {
            Completion::Ok(op.value.clone())
        }
        async fn reopen(&mut self) -> Result<(), ClientError> {
            Ok(())
        }
    }

    impl Drop for PanicsAtItsEnd {
        fn drop(&mut self) {
            panic!("not now");
        }
    }

    /// Two panics in one unwinding would end the process.
    #[test]
    fn clients_that_panic_at_their_end_end_nothing_else() {
        let calls = Calls::default();
        let client = |_| calls.client(Box::new(PanicsAtItsEnd), "n1", Duration::ZERO);
        drop((0..3).map(client).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn who_waits_without_blocking_is_not_named() {
        let calls = Calls::default();
        let waits = calls.watch("the test".into(), Duration::ZERO, std::future::pending::<()>());
        tokio::select! {
            biased;
            () = waits => unreachable!(),
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
        assert_eq!(calls.blocked(Duration::ZERO), None);
        assert_eq!(calls.overdue(Duration::ZERO), None);
    }
}
