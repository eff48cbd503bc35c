//! A service that is called again and again, and has to work again soon after faults are over.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::functions::{Called, Functions, asking};
use super::{Failure, Workload};
use crate::checker::liveness;
use crate::generator::{Generator, repeat};
use crate::node::Node;
use crate::op::{Invocation, Value};

/// Calls a service through every node: `call` works where it gives `Ok`. Judged by
/// [`liveness`]: whenever no fault acts for `within`, it works on every node that it is called on. The
/// main phase has to go on for that long after a fault.
///
/// Any other workload is judged alike with `.checker(any_checker(liveness(within)))`.
///
/// ```
/// use fuzz_dist::prelude::*;
/// use fuzz_dist::workload::liveness_workload;
///
/// let orders = liveness_workload(secs(5), |_node| async { Ok::<(), Failure>(()) });
/// ```
pub fn liveness_workload<F, Fut, E>(within: Duration, call: F) -> Workload
where
    F: Fn(Node) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<Failure>,
{
    let service = asking(call);
    Workload::new("liveness", ["call"], |_| repeat(Invocation::new("call", ())).boxed())
        .checker(Arc::new(liveness(within)))
        .client(move |node| {
            let service = service.clone();
            let call = move |node: &Node, f: &str, _: &Value| match f {
                "call" => {
                    let calling = service(node.clone());
                    Called::Answer(Box::pin(async move { calling.await.map(|()| Value::Nil) }))
                }
                _ => Called::Unsupported,
            };
            Box::new(Functions { node: node.clone(), known: &["call"], call: Arc::new(call) })
        })
}
