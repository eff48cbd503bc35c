//! Elements that go into a queue at some nodes and come out at others, in whatever order.

use std::future::Future;
use std::sync::Arc;

use super::functions::{Answer, Asking, Called, Functions, WithArgument, asking, with_argument};
use super::{Failure, Workload};
use crate::checker::{total_queue, unordered_queue};
use crate::generator::{Generator, from_fn, mix, repeat};
use crate::node::Node;
use crate::op::{Invocation, Value};
use crate::random::Seed;

/// Starts a workload of a queue over functions of your own; see [`QueueWorkload`].
pub fn queue_workload() -> QueueWorkload<(), ()> {
    QueueWorkload { enqueue: (), dequeue: () }
}

/// A queue whose elements may come out in any order: how to put an element in (each is put in once), and
/// how to take one out, `None` where there is none. In the end every node takes out all that it finds.
/// Judged by [`unordered_queue`] and [`total_queue`].
///
/// ```
/// use fuzz_dist::workload::{Failure, Workload, queue_workload};
///
/// let tickets: Workload = queue_workload()
///     .enqueue(|_node, _element| async { Ok::<(), Failure>(()) })
///     .dequeue(|_node| async { Ok::<Option<i64>, Failure>(None) })
///     .into();
/// ```
pub struct QueueWorkload<P, T> {
    enqueue: P,
    dequeue: T,
}

impl<T> QueueWorkload<(), T> {
    /// How to put an element in through a node.
    pub fn enqueue<F, Fut, E>(self, enqueue: F) -> QueueWorkload<WithArgument<i64, ()>, T>
    where
        F: Fn(Node, i64) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Failure>,
    {
        QueueWorkload { enqueue: with_argument(enqueue), dequeue: self.dequeue }
    }
}

impl<P> QueueWorkload<P, ()> {
    /// How to take an element out through a node.
    pub fn dequeue<F, Fut, E>(self, dequeue: F) -> QueueWorkload<P, Asking<Option<i64>>>
    where
        F: Fn(Node) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<i64>, E>> + Send + 'static,
        E: Into<Failure>,
    {
        QueueWorkload { enqueue: self.enqueue, dequeue: asking(dequeue) }
    }
}

impl From<QueueWorkload<WithArgument<i64, ()>, Asking<Option<i64>>>> for Workload {
    fn from(queue: QueueWorkload<WithArgument<i64, ()>, Asking<Option<i64>>>) -> Workload {
        let QueueWorkload { enqueue, dequeue } = queue;
        let operations = |seed: Seed| {
            let mut next = 0;
            let enqueues = from_fn(move || {
                next += 1;
                Some(Invocation::new("enqueue", next - 1))
            });
            let dequeues = repeat(Invocation::new("dequeue", ()));
            mix(seed.stream("queue"), [(1, enqueues.boxed()), (1, dequeues.boxed())]).boxed()
        };
        Workload::new("queue", ["enqueue", "dequeue"], operations)
            .read(Invocation::new("drain", ()))
            .checker(Arc::new(unordered_queue()))
            .checker(Arc::new(total_queue()))
            .client(move |node| {
                let (enqueue, dequeue) = (enqueue.clone(), dequeue.clone());
                let call = move |node: &Node, f: &str, value: &Value| match (f, value) {
                    ("enqueue", Value::Int(element)) => {
                        let (putting, element) = (enqueue(node.clone(), *element), *element);
                        let done = async move { putting.await.map(|()| element.into()) };
                        Called::Answer(Box::pin(done))
                    }
                    ("enqueue", _) => Called::BadArgument,
                    ("dequeue", _) => {
                        let taking = dequeue(node.clone());
                        let taken = async move {
                            taking.await.map(|element| element.map_or(Value::Nil, Value::from))
                        };
                        Called::Answer(Box::pin(taken))
                    }
                    ("drain", _) => Called::Answer(drained(dequeue.clone(), node.clone())),
                    _ => Called::Unsupported,
                };
                let known = &["enqueue", "dequeue", "drain"];
                Box::new(Functions { node: node.clone(), known, call: Arc::new(call) })
            })
    }
}

/// Takes elements out until there is none. Where that ends with an error, the elements that were taken
/// are not reported, so that the outcome is unknown.
fn drained(dequeue: Asking<Option<i64>>, node: Node) -> Answer<Value> {
    Box::pin(async move {
        let mut all = Vec::new();
        loop {
            match dequeue(node.clone()).await {
                Ok(Some(element)) => all.push(element),
                Ok(None) => return Ok(Value::list(all)),
                Err(Failure::Fail(error)) if !all.is_empty() => {
                    return Err(Failure::Info(error));
                }
                Err(error) => return Err(error),
            }
        }
    })
}
