//! Replicated registers: one value is kept, or all that were written concurrently.

use std::future::Future;
use std::sync::Arc;

use super::functions::{Asking, Called, Functions, WithArgument, asking, with_argument};
use super::{Failure, Workload};
use crate::checker::{convergence, replicated_register};
use crate::generator::{Generator, from_fn, mix, repeat};
use crate::node::Node;
use crate::op::{Invocation, Value};
use crate::random::Seed;

/// A register that keeps the last written value, over the database's own client: writes of unique
/// values and reads, judged by [`replicated_register`] and [`convergence`].
#[fuzz_dist::workload("lww_register", aliases = ["register"])]
pub fn lww_register() -> Workload {
    named("lww_register")
}

/// A register that keeps all values that were written concurrently, over the database's own
/// client; a read gives a set. Judged as [`lww_register`] is.
#[fuzz_dist::workload("mv_register")]
pub fn mv_register() -> Workload {
    named("mv_register")
}

fn named(name: &'static str) -> Workload {
    let operations = move |seed: Seed| {
        let mut next = 0;
        let writes = from_fn(move || {
            next += 1;
            Some(Invocation::new("write", next - 1))
        });
        let reads = repeat(Invocation::new("read", ()));
        mix(seed.stream(name), [(1, writes.boxed()), (1, reads.boxed())]).boxed()
    };
    Workload::new(name, ["write", "read"], operations)
        .pure(["read"])
        .read(Invocation::new("read", ()))
        .checker(Arc::new(replicated_register()))
        .checker(Arc::new(convergence()))
}

/// Starts a workload of a register over functions of your own; see [`RegisterWorkload`].
pub fn register_workload() -> RegisterWorkload<(), ()> {
    RegisterWorkload { write: (), read: () }
}

/// A register over two functions: how to write a number, each of which is written once, and how to read it, `None`
/// where nothing was written yet. Judged as [`lww_register`] is; whether it is linearizable as well is asked with
/// `checker = "linearizable"`.
///
/// ```
/// use fuzz_dist::prelude::*;
/// use fuzz_dist::workload::register_workload;
///
/// let price: Workload = register_workload()
///     .write(|node, value| node.call::<()>("Shop.Price", "put", args![value]))
///     .read(|node| node.call::<Option<i64>>("Shop.Price", "get", args![]))
///     .into();
/// ```
pub struct RegisterWorkload<W, R> {
    write: W,
    read: R,
}

impl<R> RegisterWorkload<(), R> {
    /// How to write a number through a node.
    pub fn write<F, Fut, E>(self, write: F) -> RegisterWorkload<WithArgument<i64, ()>, R>
    where
        F: Fn(Node, i64) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Failure>,
    {
        RegisterWorkload { write: with_argument(write), read: self.read }
    }
}

impl<W> RegisterWorkload<W, ()> {
    /// How to read the value through a node.
    pub fn read<F, Fut, E>(self, read: F) -> RegisterWorkload<W, Asking<Option<i64>>>
    where
        F: Fn(Node) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<i64>, E>> + Send + 'static,
        E: Into<Failure>,
    {
        RegisterWorkload { write: self.write, read: asking(read) }
    }
}

impl From<RegisterWorkload<WithArgument<i64, ()>, Asking<Option<i64>>>> for Workload {
    fn from(register: RegisterWorkload<WithArgument<i64, ()>, Asking<Option<i64>>>) -> Workload {
        let RegisterWorkload { write, read } = register;
        lww_register().client(move |node| {
            let (write, read) = (write.clone(), read.clone());
            let call = move |node: &Node, f: &str, value: &Value| match (f, value) {
                ("write", Value::Int(written)) => {
                    let (writing, written) = (write(node.clone(), *written), *written);
                    Called::Answer(Box::pin(async move { writing.await.map(|()| written.into()) }))
                }
                ("write", _) => Called::BadArgument,
                ("read", _) => {
                    let reading = read(node.clone());
                    let read =
                        async move { reading.await.map(|v| v.map_or(Value::Nil, Value::Int)) };
                    Called::Answer(Box::pin(read))
                }
                _ => Called::Unsupported,
            };
            Box::new(Functions {
                node: node.clone(),
                known: &["write", "read"],
                call: Arc::new(call),
            })
        })
    }
}
