//! Registered names and singletons: who has which name, as each node finds it.

use std::future::Future;
use std::sync::Arc;

use super::functions::{Answer, Called, Functions, WithArgument, with_argument};
use super::{Failure, Workload};
use crate::checker::{NamesChecker, names};
use crate::generator::{Boxed, Generator, from_fn, mix};
use crate::node::Node;
use crate::op::{Invocation, Name, Value};
use crate::random::Seed;

/// Starts a workload of registered names over functions of your own; see [`NamesWorkload`].
pub fn names_workload<N: Into<Name>>(
    all: impl IntoIterator<Item = N>,
) -> NamesWorkload<Option<WithArgument<String, ()>>, ()> {
    let all = all.into_iter().map(Into::into).collect();
    NamesWorkload { all, register: None, lookup: (), checker: names() }
}

/// Names of which each is to have one process: how to ask who has it, and, unless the application
/// registers its processes itself as it does for singletons, how to start and register one. Judged by
/// [`names`].
///
/// ```
/// use fuzz_dist::workload::{Failure, Workload, names_workload};
///
/// let leader: Workload = names_workload(["leader"])
///     .lookup(|_node, _name| async { Ok::<Option<String>, Failure>(None) })
///     .into();
/// ```
pub struct NamesWorkload<R, L> {
    all: Arc<[Name]>,
    register: R,
    lookup: L,
    checker: NamesChecker,
}

type Registering = Option<WithArgument<String, ()>>;
type Looking = WithArgument<String, Option<String>>;

impl<R, L> NamesWorkload<R, L> {
    /// Must a name have at most one process at any time, during faults, too?
    #[must_use]
    pub fn always(mut self, asked: bool) -> Self {
        self.checker = self.checker.always(asked);
        self
    }
}

impl<L> NamesWorkload<Registering, L> {
    /// How to start a process on a node and register it under a name; a definite failure where the name
    /// is taken.
    #[must_use]
    pub fn register<F, Fut, E>(mut self, register: F) -> Self
    where
        F: Fn(Node, String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Failure>,
    {
        self.register = Some(with_argument(register));
        self
    }
}

impl<R> NamesWorkload<R, ()> {
    /// How to ask the process that a node finds under a name who it is: text that no other process ever
    /// has; `None` where the node finds nobody.
    pub fn lookup<F, Fut, E>(self, lookup: F) -> NamesWorkload<R, Looking>
    where
        F: Fn(Node, String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<String>, E>> + Send + 'static,
        E: Into<Failure>,
    {
        let NamesWorkload { all, register, checker, .. } = self;
        NamesWorkload { all, register, lookup: with_argument(lookup), checker }
    }
}

impl From<NamesWorkload<Registering, Looking>> for Workload {
    fn from(workload: NamesWorkload<Registering, Looking>) -> Workload {
        let NamesWorkload { all, register, lookup, checker } = workload;
        let registers = register.is_some();
        let of_any = all.clone();
        let operations = move |seed: Seed| {
            let each = |f: &'static str| -> Boxed {
                let (names, mut random) = (of_any.clone(), seed.stream(f));
                from_fn(move || {
                    let name = names.get(random.index(names.len().max(1)))?;
                    Some(Invocation::new(f, Value::from(name.clone())))
                })
                .boxed()
            };
            let mut operations = vec![(3, each("lookup"))];
            operations.extend(registers.then(|| (1, each("register"))));
            mix(seed.stream("names"), operations).boxed()
        };
        let kinds = ["lookup", "register"].into_iter().take(1 + usize::from(registers));
        Workload::new("names", kinds, operations)
            .pure(["lookup", "names"])
            .read(Invocation::new("names", ()))
            .complete(|_, value| {
                let pairs = value.as_list().unwrap_or_default().iter();
                pairs.filter_map(Value::as_list).all(|pair| pair.last() != Some(&Value::Nil))
            })
            .checker(Arc::new(checker))
            .client(move |node| {
                let (all, register, lookup) = (all.clone(), register.clone(), lookup.clone());
                let call = move |node: &Node, f: &str, value: &Value| {
                    let name = value.as_text().map(String::from);
                    match (f, name, &register) {
                        ("register", Some(name), Some(register)) => {
                            let registering = register(node.clone(), name.clone());
                            let name = Value::from(name);
                            Called::Answer(Box::pin(
                                async move { registering.await.map(|()| name) },
                            ))
                        }
                        ("lookup", Some(name), _) => {
                            let found = lookup(node.clone(), name);
                            Called::Answer(Box::pin(async move { found.await.map(holder) }))
                        }
                        ("names", ..) => {
                            Called::Answer(all_of(all.clone(), lookup.clone(), node.clone()))
                        }
                        ("register" | "lookup", None, _) => Called::BadArgument,
                        _ => Called::Unsupported,
                    }
                };
                let known = &["register", "lookup", "names"];
                Box::new(Functions { node: node.clone(), known, call: Arc::new(call) })
            })
    }
}

fn holder(process: Option<String>) -> Value {
    process.map_or(Value::Nil, Value::from)
}

/// Looks all names up, one after another.
fn all_of(all: Arc<[Name]>, lookup: Looking, node: Node) -> Answer<Value> {
    Box::pin(async move {
        let mut pairs = Vec::with_capacity(all.len());
        for name in all.iter() {
            let process = lookup(node.clone(), name.to_string()).await?;
            pairs.push(Value::list([Value::from(name.clone()), holder(process)]));
        }
        Ok(Value::list(pairs))
    })
}
