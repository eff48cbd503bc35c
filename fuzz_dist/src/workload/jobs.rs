//! Jobs that are submitted, executed by the system, and found in its log of executions.

use std::future::Future;
use std::sync::Arc;

use super::functions::{Asking, Called, Functions, WithArgument, asking, with_argument};
use super::{Failure, Workload};
use crate::checker::{JobsChecker, jobs};
use crate::generator::{Generator, from_fn, mix, repeat};
use crate::history::History;
use crate::node::Node;
use crate::op::{Invocation, Kind, Value};
use crate::random::Seed;

/// Starts a workload of jobs over functions of your own; see [`JobsWorkload`].
pub fn jobs_workload() -> JobsWorkload<(), ()> {
    JobsWorkload { submit: (), executed: (), checker: jobs() }
}

/// Jobs, numbered from 0 on, each submitted once: how to submit one, and how to read what was executed
/// so far. Judged by [`jobs`]: exactly once, unless [`at_least_once`](JobsWorkload::at_least_once) says
/// otherwise.
///
/// ```
/// use fuzz_dist::workload::{Failure, Workload, jobs_workload};
///
/// let mails: Workload = jobs_workload()
///     .submit(|_node, _job| async { Ok::<(), Failure>(()) })
///     .executed(|_node| async { Ok::<Vec<(i64, String)>, Failure>(vec![]) })
///     .into();
/// ```
pub struct JobsWorkload<S, X> {
    submit: S,
    executed: X,
    checker: JobsChecker,
}

impl<S, X> JobsWorkload<S, X> {
    /// May a job be executed several times?
    #[must_use]
    pub fn at_least_once(mut self, allowed: bool) -> Self {
        self.checker = self.checker.at_least_once(allowed);
        self
    }
}

impl<X> JobsWorkload<(), X> {
    /// How to submit a job through a node.
    pub fn submit<F, Fut, E>(self, submit: F) -> JobsWorkload<WithArgument<i64, ()>, X>
    where
        F: Fn(Node, i64) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Failure>,
    {
        let JobsWorkload { executed, checker, .. } = self;
        JobsWorkload { submit: with_argument(submit), executed, checker }
    }
}

impl<S> JobsWorkload<S, ()> {
    /// How to read all executions that a node knows of, each with its job and a name that no other
    /// execution in the cluster has, such as `n1-17`. Where every node in the end knows of all
    /// executions, the run ends as soon as they agree.
    pub fn executed<F, Fut, E>(self, executed: F) -> JobsWorkload<S, Asking<Vec<(i64, String)>>>
    where
        F: Fn(Node) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<(i64, String)>, E>> + Send + 'static,
        E: Into<Failure>,
    {
        let JobsWorkload { submit, checker, .. } = self;
        JobsWorkload { submit, executed: asking(executed), checker }
    }
}

impl From<JobsWorkload<WithArgument<i64, ()>, Asking<Vec<(i64, String)>>>> for Workload {
    fn from(jobs: JobsWorkload<WithArgument<i64, ()>, Asking<Vec<(i64, String)>>>) -> Workload {
        let JobsWorkload { submit, executed, checker } = jobs;
        let operations = |seed: Seed| {
            let mut next = 0;
            let submits = from_fn(move || {
                next += 1;
                Some(Invocation::new("submit", next - 1))
            });
            let reads = repeat(Invocation::new("executed", ()));
            mix(seed.stream("jobs"), [(4, submits.boxed()), (1, reads.boxed())]).boxed()
        };
        Workload::new("jobs", ["submit", "executed"], operations)
            .pure(["executed"])
            .read(Invocation::new("executed", ()))
            .complete(shows_every_acknowledged_job)
            .checker(Arc::new(checker))
            .client(move |node| {
                let (submit, executed) = (submit.clone(), executed.clone());
                let call = move |node: &Node, f: &str, value: &Value| match (f, value) {
                    ("submit", Value::Int(job)) => {
                        let (submitting, job) = (submit(node.clone(), *job), *job);
                        Called::Answer(Box::pin(
                            async move { submitting.await.map(|()| job.into()) },
                        ))
                    }
                    ("submit", _) => Called::BadArgument,
                    ("executed", _) => {
                        let reading = executed(node.clone());
                        Called::Answer(Box::pin(async move { reading.await.map(shown) }))
                    }
                    _ => Called::Unsupported,
                };
                let known = &["submit", "executed"];
                Box::new(Functions { node: node.clone(), known, call: Arc::new(call) })
            })
    }
}

/// Executions in an order that does not depend on where they were read.
fn shown(mut executions: Vec<(i64, String)>) -> Value {
    executions.sort_unstable();
    let pairs = executions.into_iter();
    Value::list(pairs.map(|(job, name)| Value::list([Value::Int(job), Value::from(name)])))
}

fn shows_every_acknowledged_job(history: &History, value: &Value) -> bool {
    let job = |execution: &Value| execution.as_list()?.first()?.as_int();
    let shown: std::collections::BTreeSet<i64> =
        value.as_list().into_iter().flatten().filter_map(job).collect();
    let Some(submit) = history.find_function("submit") else { return true };
    (0..history.len())
        .filter(|i| history.function_index(*i) == submit && history.kind(*i) == Kind::Ok)
        .all(|i| history.int(i).is_some_and(|job| shown.contains(&job)))
}
