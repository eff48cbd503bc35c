//! A partition whose smaller side is restarted as it ends: divergence becomes loss.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::process::{kill_all, restart_all};
use super::{AnyPlan, Check, DynFault, Fault, Hit, Lane, Nemesis, Plan, Targets};
use crate::db::Facts;
use crate::env::Facet;
use crate::error::Error;
use crate::grudge::{Grudge, Member, majority};
use crate::node::Node;
use crate::op::{Name, NodeId, Value};
use crate::random::Stream;

/// The same faults, but the nodes that see no majority are killed as each one ends, and started
/// again once the network is whole.
///
/// They are killed while they are still apart: the others know them as gone already and notice
/// nothing, whereas a kill after the heal makes `global` of OTP 25 and later throw further nodes
/// out (`prevent_overlapping_partitions`).
///
/// Databases that let both sides of a split go on often keep what both acknowledged until one
/// side is restarted and takes over the other's state. Finds: loss that a partition alone only
/// prepares, as mnesia's.
pub fn restart_after(nemesis: impl Into<Nemesis>) -> Nemesis {
    let nemesis = nemesis.into();
    let lanes = nemesis.lanes().iter().map(|lane| Lane {
        fault: Arc::new(RestartAfter(lane.fault.clone())),
        timing: lane.timing,
        then: lane.then.clone(),
    });
    Nemesis { lanes: lanes.collect() }
}

struct RestartAfter(Arc<dyn DynFault>);

/// The plan of the fault, and who is restarted after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct RestartPlan {
    #[serde(flatten)]
    hit: Hit,
    restarted: Vec<NodeId>,
    grudge: Option<Grudge>,
    /// The plan of the fault itself, whose type is known to that alone.
    fault: serde_json::Value,
}

impl Plan for RestartPlan {
    fn hit(&self) -> &Hit {
        &self.hit
    }

    fn grudge(&self) -> Option<&Grudge> {
        self.grudge.as_ref()
    }
}

/// Those of these nodes that see no majority of them.
fn smaller_side(plan: &AnyPlan, nodes: &[NodeId]) -> Vec<NodeId> {
    let Some(grudge) = plan.grudge() else { return plan.hit().nodes.clone() };
    let sees = |a: &NodeId, b: &NodeId| a == b || grudge.linked(a.index(), b.index());
    let seen = |node: &NodeId| nodes.iter().filter(|other| sees(node, other)).count();
    nodes.iter().filter(|node| seen(node) < majority(nodes.len())).copied().collect()
}

impl Fault for RestartAfter {
    type Plan = RestartPlan;

    fn name(&self) -> Name {
        format!("{}_restart", self.0.name()).into()
    }

    fn lasts(&self) -> Option<Duration> {
        self.0.lasts()
    }

    fn lead(&self, facts: &Facts) -> Duration {
        self.0.lead(facts)
    }

    fn needs(&self) -> Vec<Facet> {
        self.0.needs()
    }

    fn fits(&self, nodes: &[Member]) -> Result<(), Error> {
        self.0.fits(nodes)
    }

    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<RestartPlan, Error> {
        let plan = self.0.plan(targets, random)?;
        let nodes: Vec<NodeId> = targets.cluster.nodes().iter().map(Node::id).collect();
        Ok(RestartPlan {
            hit: plan.hit().clone(),
            restarted: smaller_side(&plan, &nodes),
            grudge: plan.grudge().cloned(),
            fault: plan.json().clone(),
        })
    }

    async fn start(&self, targets: Targets<'_>, plan: &RestartPlan) -> Result<Check, Error> {
        self.0.start(targets, &self.0.read(&plan.fault)?).await
    }

    async fn stop(&self, targets: Targets<'_>, plan: &RestartPlan) -> Result<Check, Error> {
        let restarted = &plan.restarted;
        let gone = kill_all(targets, restarted).await?;
        let healed = self.0.stop(targets, &self.0.read(&plan.fault)?).await?;
        let problems = restart_all(targets, restarted).await?;
        let seen = match (restarted.is_empty(), gone && problems.is_empty()) {
            (false, true) => healed.seen,
            (false, false) => Some(false),
            (true, _) => None,
        };
        let names = restarted.iter().map(|id| targets.cluster.node(*id).name().to_string());
        let evidence = Value::map([
            ("network", healed.evidence),
            ("restarted", Value::list(names)),
            ("problems", Value::list(problems)),
        ]);
        Ok(Check { seen, evidence })
    }
}
