//! One step of a fault in a task of its own: planned, started, stopped, or the heal proved.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinError;

use super::Held;
use crate::db::AnyDb;
use crate::env::Facet;
use crate::error::Error;
use crate::nemesis::{AnyPlan, Check, DynFault, Targets};
use crate::node::{Cluster, Proof};
use crate::op::Name;
use crate::random::Stream;

/// How often the healing is proved anew before it counts as not proved.
const PROOFS_MAX: u32 = 5;

/// What a step gave.
pub(super) enum Done {
    Planned(Result<Planned, Error>),
    Checked(Result<Check, Error>),
    Proved(Proof, Option<Error>),
    Reconnected(Result<(), Error>),
}

/// A fault with its plan, and what it says of itself: all of that is the user's code.
pub(super) struct Planned {
    pub(super) name: Name,
    pub(super) plan: AnyPlan,
    pub(super) lead: Duration,
    /// Why a stored plan was not used.
    pub(super) departure: Option<String>,
}

/// Draws a plan, unless there is a stored one.
pub(super) async fn plan(
    fault: Arc<dyn DynFault>,
    (cluster, db): (Cluster, AnyDb),
    mut random: Stream,
    stored: impl FnOnce(&dyn DynFault) -> Option<Result<AnyPlan, String>>,
) -> Done {
    // Its number is given when it begins; planning holds nothing.
    let targets = Targets::of_nobody(&cluster, &db);
    let (stored, departure) = match stored(&*fault) {
        Some(Ok(plan)) => (Some(plan), None),
        Some(Err(departure)) => (None, Some(departure)),
        None => (None, None),
    };
    let plan = match stored {
        Some(plan) => Ok(plan),
        None => fault.plan(targets, &mut random),
    };
    let lead = fault.lead(&db.facts());
    Done::Planned(plan.map(|plan| Planned { name: fault.name(), plan, lead, departure }))
}

/// Starts the fault; `polled` is sent when the future was polled for the first time.
pub(super) async fn start(
    (id, fault): (i64, Arc<dyn DynFault>),
    (cluster, db): (Cluster, AnyDb),
    plan: Arc<AnyPlan>,
    polled: Option<(oneshot::Sender<Held>, Held)>,
) -> Done {
    let mut starting = fault.start(Targets::of(&cluster, &db, id), &plan);
    let mut polled = polled;
    let check = std::future::poll_fn(|context| {
        let result = starting.as_mut().poll(context);
        if let Some((polled, held)) = polled.take() {
            // Where nobody waits any more, the fault is dropped with it, which ends it.
            let _ = polled.send(held);
        }
        result
    });
    Done::Checked(check.await)
}

/// Undoes the fault.
pub(super) async fn stop(
    (id, fault): (i64, Arc<dyn DynFault>),
    (cluster, db): (Cluster, AnyDb),
    plan: Arc<AnyPlan>,
) -> Done {
    let stopped = fault.stop(Targets::of(&cluster, &db, id), &plan).await;
    let hit = &plan.hit().nodes;
    // What changes members has itself let them leave: its end is that another one joins.
    let is_of_hosts = !fault.needs().contains(&Facet::Membership);
    let have_left = is_of_hosts && !hit.is_empty() && hit.iter().all(|id| cluster.has_left(*id));
    Done::Checked(match stopped {
        Ok(check) if check.seen == Some(true) => Ok(check),
        // Nothing of a fault outlives the host that it acted on.
        _ if have_left => Ok(Check::seen(true, "the nodes that it hit have left the cluster")),
        other => other,
    })
}

/// Opens all links and looks whether they are.
pub(super) async fn prove(cluster: Cluster) -> Done {
    let healed = cluster.links().heal().await;
    let mut proof = cluster.links().prove().await;
    for _ in 1..PROOFS_MAX {
        if proof.holds() == Some(true) {
            break;
        }
        proof = cluster.links().prove().await;
    }
    Done::Proved(proof, healed.err())
}

/// Has the database connect its nodes.
pub(super) async fn reconnect((cluster, db): (Cluster, AnyDb)) -> Done {
    Done::Reconnected(db.reconnect(&cluster).await)
}

/// What a task that did not complete died of.
pub(in crate::run) fn died(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            // A payload whose own drop panics must not take the owner down.
            let _ = std::panic::catch_unwind(AssertUnwindSafe(|| drop(panic)));
            format!("panicked: {}", text.unwrap_or_else(|| "without a message".into()))
        }
        Err(_) => "was cancelled".into(),
    }
}
