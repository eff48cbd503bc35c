//! Sets that only grow: unique elements are added, the whole set is read.

use std::future::Future;
use std::sync::Arc;

use super::{Failure, Workload};
use crate::checker::set_full;
use crate::client::{BoxFuture, Client, Error as ClientError, bad_argument, unsupported};
use crate::generator::{Generator, from_fn, mix, repeat};
use crate::history::History;
use crate::node::Node;
use crate::op::{Completion, Invocation, Kind, Value};
use crate::random::Seed;

/// A set that only grows, over the database's own client: as many adds of unique elements as
/// reads of the whole set, judged by [`set_full`].
///
/// An `add` that is acknowledged has to be in every node's last read; reads must not invent,
/// duplicate or lose elements.
#[fuzz_dist::workload("g_set", aliases = ["set"])]
pub fn g_set() -> Workload {
    named("g_set")
}

/// The same over a client that spreads the elements over several keys, which is gentler to
/// databases than one key that everybody writes.
#[fuzz_dist::workload("g_set_spread")]
pub fn g_set_spread() -> Workload {
    named("g_set_spread")
}

fn named(name: &str) -> Workload {
    let operations = |seed: Seed| {
        let mut next = 0;
        let adds = from_fn(move || {
            next += 1;
            Some(Invocation::new("add", next - 1))
        });
        let reads = repeat(Invocation::new("read", ()));
        mix(seed.stream("g_set"), [(1, adds.boxed()), (1, reads.boxed())]).boxed()
    };
    Workload::new(name, ["add", "read"], operations)
        .pure(["read"])
        .read(Invocation::new("read", ()))
        .complete(holds_every_acknowledged_add)
        .checker(Arc::new(set_full()))
}

fn holds_every_acknowledged_add(history: &History, value: &Value) -> bool {
    let Value::Set(set) = value else { return false };
    let Some(add) = history.find_function("add") else { return true };
    (0..history.len())
        .filter(|i| history.function_index(*i) == add && history.kind(*i) == Kind::Ok)
        .all(|i| history.int(i).is_some_and(|n| set.as_slice().binary_search(&n).is_ok()))
}

/// Starts a set workload over functions of your own; see [`SetWorkload`].
pub fn set_workload() -> SetWorkload<(), ()> {
    SetWorkload { add: (), read: () }
}

/// A set workload over two functions of your own: how to add an element, how to read them all.
///
/// ```
/// use fuzz_dist::workload::{Failure, Workload, set_workload};
///
/// let cart: Workload = set_workload()
///     .add(|node, item| async move {
///         let _connection = node.connect(8080).await?;
///         let _ = item; // send it …
///         Ok::<(), Failure>(())
///     })
///     .read(|_node| async move { Ok::<Vec<i64>, Failure>(vec![]) })
///     .into();
/// ```
pub struct SetWorkload<A, R> {
    add: A,
    read: R,
}

type Adding = BoxFuture<'static, Result<(), Failure>>;
type Reading = BoxFuture<'static, Result<Vec<i64>, Failure>>;
type AddFn = Arc<dyn Fn(Node, i64) -> Adding + Send + Sync>;
type ReadFn = Arc<dyn Fn(Node) -> Reading + Send + Sync>;

impl<R> SetWorkload<(), R> {
    /// How to add an element through a node.
    #[expect(clippy::should_implement_trait, reason = "it is what sets are about")]
    pub fn add<F, Fut, E>(self, add: F) -> SetWorkload<AddFn, R>
    where
        F: Fn(Node, i64) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Failure>,
    {
        let add: AddFn = Arc::new(move |node, item| {
            let adding = add(node, item);
            Box::pin(async move { adding.await.map_err(Into::into) })
        });
        SetWorkload { add, read: self.read }
    }
}

impl<A> SetWorkload<A, ()> {
    /// How to read all elements through a node.
    pub fn read<F, Fut, E>(self, read: F) -> SetWorkload<A, ReadFn>
    where
        F: Fn(Node) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<i64>, E>> + Send + 'static,
        E: Into<Failure>,
    {
        let read: ReadFn = Arc::new(move |node| {
            let reading = read(node);
            Box::pin(async move { reading.await.map_err(Into::into) })
        });
        SetWorkload { add: self.add, read }
    }
}

impl From<SetWorkload<AddFn, ReadFn>> for Workload {
    fn from(set: SetWorkload<AddFn, ReadFn>) -> Workload {
        let SetWorkload { add, read } = set;
        g_set().client(move |node| {
            Box::new(SetClient { node: node.clone(), add: add.clone(), read: read.clone() })
        })
    }
}

struct SetClient {
    node: Node,
    add: AddFn,
    read: ReadFn,
}

impl Client for SetClient {
    async fn invoke(&mut self, op: &Invocation) -> Completion {
        let node = self.node.clone();
        Failure::completion(match (&*op.f, &op.value) {
            ("add", Value::Int(n)) => (self.add)(node, *n).await.map(|()| Value::Int(*n)),
            ("read", _) => (self.read)(node).await.map(Value::set),
            ("add", _) => return bad_argument(op),
            _ => return unsupported(op, ["add", "read"]),
        })
    }

    /// The functions hold no connection of their own.
    async fn reopen(&mut self) -> Result<(), ClientError> {
        Ok(())
    }
}
