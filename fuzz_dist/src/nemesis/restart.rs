//! A partition whose smaller side is restarted after the heal: divergence becomes loss.

use std::sync::Arc;
use std::time::Duration;

use super::process::restart;
use super::{Check, DynFault, Fault, Lane, Nemesis, Plan, Targets};
use crate::error::Error;
use crate::grudge::{Member, majority};
use crate::history::FaultStatus;
use crate::op::{Name, NodeId, Value};
use crate::random::Stream;

/// Between the heal and the restart: long enough for nodes that ping each other every second to
/// meet again, so that the restarted ones find somebody to join.
const PAUSE: Duration = Duration::from_secs(3);

/// The same faults, but after each one the nodes that did not see a majority are killed and
/// started again.
///
/// Databases that let both sides of a split go on often keep what both acknowledged until one
/// side is restarted and takes over the other's state. Finds: loss that a partition alone only
/// prepares, as mnesia's.
pub fn restart_after(nemesis: impl Into<Nemesis>) -> Nemesis {
    let nemesis = nemesis.into();
    let lanes = nemesis.lanes().iter().map(|lane| Lane {
        fault: Arc::new(RestartAfter(lane.fault.clone())),
        timing: lane.timing,
    });
    Nemesis { lanes: lanes.collect() }
}

struct RestartAfter(Arc<dyn DynFault>);

/// The nodes that see no majority.
fn smaller_side(plan: &Plan) -> Vec<NodeId> {
    let Some(grudge) = &plan.grudge else { return plan.nodes.clone() };
    let n = grudge.nodes();
    let few = (0..n).filter(|i| grudge.sees(*i).len() < majority(n));
    few.map(|i| NodeId(i as u16)).collect()
}

impl Fault for RestartAfter {
    fn name(&self) -> Name {
        format!("{}_restart", self.0.name()).into()
    }

    fn lasts(&self) -> Option<Duration> {
        self.0.lasts()
    }

    fn fits(&self, nodes: &[Member]) -> Result<(), Error> {
        self.0.fits(nodes)
    }

    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<Plan, Error> {
        self.0.plan(targets, random)
    }

    async fn start(&self, targets: Targets<'_>, plan: &Plan) -> Result<Check, Error> {
        self.0.start(targets, plan).await
    }

    async fn stop(&self, targets: Targets<'_>, plan: &Plan) -> Result<Check, Error> {
        let healed = self.0.stop(targets, plan).await?;
        tokio::time::sleep(PAUSE).await;
        let restarted = smaller_side(plan);
        let mut names = Vec::new();
        for id in &restarted {
            let node = targets.cluster.node(*id);
            node.kill().await?;
            names.push(node.name().to_string());
        }
        for id in &restarted {
            restart(targets, targets.cluster.node(*id)).await?;
        }
        let status = if restarted.is_empty() { FaultStatus::Indeterminate } else { healed.status };
        let evidence =
            Value::map([("network", healed.evidence), ("restarted", Value::list(names))]);
        Ok(Check { status, evidence })
    }
}
