//! Partitions of the network: drawn as grudges, applied as link matrices, proved by probes.

use serde::{Deserialize, Serialize};

use super::{Check, Fault, Hit, Nemesis, Plan, Targets};
use crate::env::Facet;
use crate::error::Error;
use crate::grudge::{Grudge, Member, Partition};
use crate::node::Node;
use crate::op::Name;
use crate::random::{Seed, Stream};

/// A partition of some kind; see the functions beside it.
#[derive(Clone, Debug)]
pub struct PartitionFault(pub Partition);

/// A random majority apart from the minority. Finds: splits that both go on and cannot be
/// merged, writes that are acknowledged without a quorum.
#[fuzz_dist::nemesis("majority_minority", aliases = ["netsplit", "majorities_minorities"])]
pub fn majority_minority() -> Nemesis {
    PartitionFault(Partition::MajorityMinority).into()
}

/// Every node sees a majority, and no two see the same one. Finds: leaders that each believe to
/// have a quorum, and views of the cluster that never agree. At least 4 nodes.
#[fuzz_dist::nemesis("majority_ring", aliases = ["majorities_ring", "ring"])]
pub fn majority_ring() -> Nemesis {
    PartitionFault(Partition::MajorityRing).into()
}

/// Two halves and one node that sees both. Finds: failure detectors that are transitive.
#[fuzz_dist::nemesis("bridge")]
pub fn bridge() -> Nemesis {
    PartitionFault(Partition::Bridge).into()
}

/// Two halves. Finds: an even cluster in which both or none go on.
#[fuzz_dist::nemesis("halves")]
pub fn halves() -> Nemesis {
    PartitionFault(Partition::Halves).into()
}

/// One random node apart from all others. Finds: what a single node acknowledges alone.
#[fuzz_dist::nemesis("isolate_node")]
pub fn isolate_node() -> Nemesis {
    PartitionFault(Partition::IsolateNode).into()
}

/// One random data centre, every node of it, apart from the others. Finds: replication between
/// data centres that loses what was written meanwhile.
#[fuzz_dist::nemesis("isolate_dc", aliases = ["isolate_group"])]
pub fn isolate_dc() -> Nemesis {
    PartitionFault(Partition::IsolateGroup).into()
}

/// Every node apart from every other. Finds: whatever is acknowledged without anybody else.
#[fuzz_dist::nemesis("isolate_all")]
pub fn isolate_all() -> Nemesis {
    PartitionFault(Partition::IsolateAll).into()
}

/// One node is not heard by half of the others, but hears them. Finds: failure detectors that
/// take what they hear for a proof of being heard.
#[fuzz_dist::nemesis("one_way")]
pub fn one_way() -> Nemesis {
    PartitionFault(Partition::OneWay).into()
}

/// One random link, both directions. Finds: what `prevent_overlapping_partitions` does to a
/// whole cluster because of one link.
#[fuzz_dist::nemesis("link")]
pub fn link() -> Nemesis {
    PartitionFault(Partition::Link).into()
}

/// The nodes that lead apart from the others. Needs a database that names them.
#[fuzz_dist::nemesis("primaries")]
pub fn primaries() -> Nemesis {
    PartitionFault(Partition::Primaries).into()
}

/// Exactly this grudge.
pub fn custom(grudge: Grudge) -> Nemesis {
    PartitionFault(Partition::Custom(grudge)).into()
}

fn members(targets: Targets<'_>, nodes: &[Node]) -> Vec<Member> {
    let leaders = targets.db.primaries(targets.cluster);
    let member = |node: &Node| Member {
        name: node.name().into(),
        group: node.group().map(Into::into),
        primary: leaders.iter().any(|l| l.id() == node.id()),
    };
    nodes.iter().map(member).collect()
}

/// A drawn partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionPlan {
    /// The nodes that miss somebody.
    #[serde(flatten)]
    pub hit: Hit,
    /// Which node drops whose packets.
    pub grudge: Grudge,
}

impl Plan for PartitionPlan {
    fn hit(&self) -> &Hit {
        &self.hit
    }

    fn grudge(&self) -> Option<&Grudge> {
        Some(&self.grudge)
    }
}

impl Fault for PartitionFault {
    type Plan = PartitionPlan;

    fn name(&self) -> Name {
        self.0.name().into()
    }

    fn needs(&self) -> Vec<Facet> {
        let one_way = match &self.0 {
            Partition::OneWay => true,
            Partition::Custom(grudge) => !grudge.is_symmetric(),
            _ => false,
        };
        [Facet::Links].into_iter().chain(one_way.then_some(Facet::OneWayLinks)).collect()
    }

    /// Drawn once for nothing. Who leads is not known yet: for `primaries` somebody is supposed to.
    fn fits(&self, nodes: &[Member]) -> Result<(), Error> {
        let mut nodes = nodes.to_vec();
        if let (Partition::Primaries, Some(first)) = (&self.0, nodes.first_mut()) {
            first.primary = true;
        }
        let drawn = self.0.draw(&nodes, &mut Seed(0).stream("fits"));
        drawn.map(drop).map_err(|e| Error::usage(e.to_string()))
    }

    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<PartitionPlan, Error> {
        let (nodes, all) = (targets.cluster.nodes(), targets.cluster.all_nodes());
        let (grudge, shape) = match &self.0 {
            // It counts nodes by their ids, also where some have joined or left.
            Partition::Custom(grudge) => {
                let of_start = grudge.nodes() == targets.cluster.nodes_at_start();
                let known = if of_start { &all[..grudge.nodes()] } else { &all[..] };
                let drawn = self.0.draw(&members(targets, known), random);
                let grudge = drawn.map_err(|e| Error::usage(e.to_string()))?;
                let shape = grudge.shape(&known.iter().map(Node::name).collect::<Vec<_>>());
                (grudge, shape)
            }
            drawn => {
                let members = members(targets, &nodes);
                let grudge = drawn.draw(&members, random);
                let grudge = grudge.map_err(|e| Error::usage(e.to_string()))?;
                let names: Vec<&str> = members.iter().map(|m| &*m.name).collect();
                let ids: Vec<usize> = nodes.iter().map(|node| node.id().index()).collect();
                (grudge.among(&ids, all.len()), grudge.shape(&names))
            }
        };
        let hit = |node: &&Node| {
            let linked = |other: &Node| grudge.linked(node.id().index(), other.id().index());
            nodes.iter().any(|other| other.id() != node.id() && !linked(other))
        };
        let nodes = nodes.iter().filter(hit).map(Node::id).collect();
        Ok(PartitionPlan { hit: Hit { shape, nodes }, grudge })
    }

    async fn start(&self, targets: Targets<'_>, plan: &PartitionPlan) -> Result<Check, Error> {
        let links = targets.cluster.links();
        links.add(&plan.grudge).await?;
        let proof = links.prove_cut(&plan.grudge).await;
        Ok(Check { seen: proof.holds(), evidence: proof.evidence() })
    }

    async fn stop(&self, targets: Targets<'_>, plan: &PartitionPlan) -> Result<Check, Error> {
        let links = targets.cluster.links();
        links.remove(&plan.grudge).await?;
        let proof = links.prove_open(&plan.grudge).await;
        Ok(Check { seen: proof.holds(), evidence: proof.evidence() })
    }
}
