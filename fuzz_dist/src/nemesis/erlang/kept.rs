//! Faults that a process in the node begins, holds and undoes: `agent/fuzz_dist_fault.erl`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::{Check, Fault, Hit, Plan, Targets};
use super::{hit, needs_two, one_node, peer, two_nodes};
use crate::args;
use crate::beam::{Args, Atom, Term};
use crate::erlang::modules::FAULT_MODULE;
use crate::error::Error;
use crate::grudge::Member;
use crate::node::Node;
use crate::op::{Name, Value};
use crate::random::Stream;

/// Longer than the module waits for a keeper, so that the answer says what it waited for.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// A fault of one node, or of one node towards another, that its keeper there does alone.
pub(super) trait Kept: Send + Sync + 'static {
    /// Its name, the keeper's and ours.
    const NAME: &'static str;
    /// Where it is of two nodes: what is drawn between them. The second is its first argument.
    const PAIR: Option<&'static str> = None;

    /// What it hits on the node, for people; nothing where it is the node.
    fn what(&self) -> String {
        String::new()
    }

    /// What the keeper has to know.
    fn arguments(&self) -> Vec<Term> {
        Vec::new()
    }
}

/// One of them as a fault. A type of its own, so that the compiler speaks of [`Fault`] where something
/// is none, and not of [`Kept`].
pub(super) struct KeptFault<K>(pub(super) K);

impl<K: Kept> Fault for KeptFault<K> {
    type Plan = Numbered;

    fn name(&self) -> Name {
        K::NAME.into()
    }

    fn fits(&self, nodes: &[Member]) -> Result<(), Error> {
        if K::PAIR.is_some() { needs_two(K::NAME, nodes) } else { Ok(()) }
    }

    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<Numbered, Error> {
        let plan = match K::PAIR {
            Some(between) => two_nodes(K::NAME, between, targets, random)?,
            None => one_node(K::NAME, &self.0.what(), targets, random)?,
        };
        Ok(numbered(plan, random))
    }

    async fn start(&self, targets: Targets<'_>, plan: &Numbered) -> Result<Check, Error> {
        let arguments = all_arguments(&self.0, targets, &plan.hit);
        start(&hit(targets, &plan.hit), plan, K::NAME, arguments).await
    }

    async fn stop(&self, targets: Targets<'_>, plan: &Numbered) -> Result<Check, Error> {
        let arguments = all_arguments(&self.0, targets, &plan.hit);
        stop(&hit(targets, &plan.hit), plan, K::NAME, arguments).await
    }
}

/// What the keeper has to know, the other node first.
fn all_arguments<K: Kept>(fault: &K, targets: Targets<'_>, plan: &Hit) -> Args {
    let peer = K::PAIR.map(|_| peer(targets, plan).into());
    Args(peer.into_iter().chain(fault.arguments()).collect())
}

/// What is hit, with a number by which the keeper is found again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbered {
    /// The nodes that are hit.
    #[serde(flatten)]
    pub hit: Hit,
    /// The keeper's number.
    pub number: i64,
}

impl Plan for Numbered {
    fn hit(&self) -> &Hit {
        &self.hit
    }
}

pub(super) fn numbered(hit: Hit, random: &mut Stream) -> Numbered {
    Numbered { hit, number: (random.u64() >> 16) as i64 }
}

/// Has a keeper on the node begin the fault. It undoes it when our connection to the node ends, too.
pub(super) async fn start(
    node: &Node,
    plan: &Numbered,
    fault: &str,
    arguments: Args,
) -> Result<Check, Error> {
    let harness = node.control_with(FAULT_MODULE).await?.own_process();
    let arguments = Term::List(arguments.0);
    call(node, "start", args![plan.number, Atom::from(fault), arguments, harness]).await
}

/// Has the keeper undo it. Nothing of it outlives the node's process.
pub(super) async fn stop(
    node: &Node,
    plan: &Numbered,
    fault: &str,
    arguments: Args,
) -> Result<Check, Error> {
    if !node.is_running() {
        return Ok(Check::seen(true, "not running"));
    }
    call(node, "stop", args![plan.number, Atom::from(fault), Term::List(arguments.0)]).await
}

/// Calls a function of the faults' module on a node; what it saw.
pub(super) async fn call(node: &Node, function: &str, args: Args) -> Result<Check, Error> {
    let control = node.control_with(FAULT_MODULE).await?;
    let answering = control.call::<Term>(FAULT_MODULE, function, args).within(ANSWER_LIMIT);
    let answer = answering.await.map_err(Error::environment)?;
    match answer.as_tuple() {
        Some([seen, evidence]) if seen.is_atom("true") || seen.is_atom("false") => {
            Ok(Check::seen(seen.is_atom("true"), Value::from(evidence)))
        }
        Some([unsupported, why]) if unsupported.is_atom("unsupported") => {
            let why = why.as_text().unwrap_or_default();
            Err(Error::environment(format!("not supported on {}: {why}", node.name())))
        }
        _ => Err(Error::environment(format!("{} answered {answer}", node.name()))),
    }
}
