//! The cluster grows and shrinks: nodes join and leave while operations go on.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Check, Fault, Hit, Nemesis, Plan, Targets};
use crate::env::Facet;
use crate::error::Error;
use crate::grudge::Member;
use crate::history::MemberState;
use crate::node::Node;
use crate::op::{Name, Value};
use crate::random::Stream;

/// A new node joins, and leaves again at the end.
///
/// Finds: nodes that serve before they have what was there, and what is lost when data move.
#[fuzz_dist::nemesis("grow")]
pub fn grow() -> Nemesis {
    MembershipFault::new("grow", &[Change::Grow]).into()
}

/// A random node leaves for good. At the end a new one joins in its place: the cluster has as many members as
/// before, one of them with another name.
///
/// Finds: what only the leaving node had, and quorums that still count it.
#[fuzz_dist::nemesis("shrink")]
pub fn shrink() -> Nemesis {
    MembershipFault::new("shrink", &[Change::Shrink]).into()
}

/// At random [`grow`] or [`shrink`].
#[fuzz_dist::nemesis("membership")]
pub fn membership() -> Nemesis {
    MembershipFault::new("membership", &[Change::Grow, Change::Shrink]).into()
}

/// What happens to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    Grow,
    Shrink,
}

/// See [`grow`], [`shrink`] and [`membership`].
#[derive(Debug)]
pub struct MembershipFault {
    name: &'static str,
    changes: &'static [Change],
    /// The nodes that joined, by the number of the occurrence.
    joined: Mutex<BTreeMap<u64, Node>>,
}

/// A drawn change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipPlan {
    /// The node that leaves; none for one that joins.
    #[serde(flatten)]
    pub hit: Hit,
    change: Change,
    /// Distinguishes the occurrence from others.
    number: u64,
}

impl Plan for MembershipPlan {
    fn hit(&self) -> &Hit {
        &self.hit
    }
}

impl MembershipFault {
    fn new(name: &'static str, changes: &'static [Change]) -> MembershipFault {
        MembershipFault { name, changes, joined: Mutex::default() }
    }

    fn joined(&self) -> MutexGuard<'_, BTreeMap<u64, Node>> {
        self.joined.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a node, unless the occurrence has added one already.
    async fn join(&self, targets: Targets<'_>, number: u64) -> Result<Node, Error> {
        let there = self.joined().get(&number).cloned();
        if let Some(node) = there {
            return Ok(node);
        }
        let node = targets.join().await?;
        self.joined().insert(number, node.clone());
        Ok(node)
    }
}

/// What a node is now, as evidence.
fn seen(node: &Node, state: MemberState) -> Check {
    let evidence = [("node", node.name().into()), ("state", node.state().as_str().into())];
    Check::seen(node.state() == state, Value::map(evidence))
}

impl Fault for MembershipFault {
    type Plan = MembershipPlan;

    fn name(&self) -> Name {
        self.name.into()
    }

    fn needs(&self) -> Vec<Facet> {
        vec![Facet::Membership]
    }

    fn fits(&self, nodes: &[Member]) -> Result<(), Error> {
        match nodes.len() {
            0 | 1 if self.changes.contains(&Change::Shrink) => {
                Err(Error::usage(format!("`{}` needs two nodes; raise `nodes`", self.name)))
            }
            _ => Ok(()),
        }
    }

    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<MembershipPlan, Error> {
        let change = self.changes[random.index(self.changes.len())];
        let mut nodes = targets.cluster.nodes();
        if nodes.len() < 2 && change == Change::Shrink {
            return Err(Error::usage("only one node is left, which cannot leave"));
        }
        random.shuffle(&mut nodes);
        let hit = match (change, nodes.first()) {
            (Change::Shrink, Some(node)) => {
                Hit { shape: format!("without {}", node.name()), nodes: vec![node.id()] }
            }
            _ => Hit { shape: "one more".into(), nodes: Vec::new() },
        };
        Ok(MembershipPlan { hit, change, number: random.u64() })
    }

    async fn start(&self, targets: Targets<'_>, plan: &MembershipPlan) -> Result<Check, Error> {
        match plan.hit.nodes.first() {
            None => Ok(seen(&self.join(targets, plan.number).await?, MemberState::Member)),
            Some(leaving) => {
                let leaving = targets.cluster.node(*leaving);
                match targets.leave(&leaving).await {
                    // Meanwhile others have left, and it is the last one.
                    Err(error) if leaving.state() == MemberState::Member => {
                        Ok(Check::seen(false, error.to_string()))
                    }
                    left => left.map(|()| seen(&leaving, MemberState::Left)),
                }
            }
        }
    }

    async fn stop(&self, targets: Targets<'_>, plan: &MembershipPlan) -> Result<Check, Error> {
        let joined = self.joined().get(&plan.number).cloned();
        match (plan.hit.nodes.first(), joined) {
            (None, None) => Ok(Check::seen(true, "no node had joined")),
            (None, Some(joined)) => {
                targets.leave(&joined).await?;
                Ok(seen(&joined, MemberState::Left))
            }
            (Some(left), _) => {
                let left = targets.cluster.node(*left);
                if left.state() == MemberState::Member {
                    return Ok(Check::seen(true, "the node had not left"));
                }
                // A start that was cancelled may have left it half way.
                targets.leave(&left).await?;
                Ok(seen(&self.join(targets, plan.number).await?, MemberState::Member))
            }
        }
    }
}
