//! Plans as data: what one occurrence of a fault is going to do.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Fault;
use crate::error::Error;
use crate::grudge::Grudge;
use crate::node::is_of_node;
use crate::op::NodeId;

/// What an occurrence of a fault hits: the part that every plan has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// The targets for people: `{n1 n2} | {n3 n4 n5}`, `n2 n4`.
    pub shape: String,
    /// The nodes that are hit.
    pub nodes: Vec<NodeId>,
}

/// A fault's own type of plan.
///
/// A plan is drawn once, is written to the run's `plan.json`, and says everything that `start` and
/// `stop` need: a stored plan can be run again. A fault that needs no more than a shape and nodes
/// uses [`Hit`].
pub trait Plan: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// What it hits.
    fn hit(&self) -> &Hit;

    /// Which node drops whose packets, for partitions.
    fn grudge(&self) -> Option<&Grudge> {
        None
    }
}

impl Plan for Hit {
    fn hit(&self) -> &Hit {
        self
    }
}

/// A plan of any fault.
#[derive(Clone)]
pub struct AnyPlan {
    hit: Hit,
    grudge: Option<Grudge>,
    json: serde_json::Value,
    plan: Arc<dyn Any + Send + Sync>,
}

impl AnyPlan {
    /// The plan of a fault, without its type.
    ///
    /// # Errors
    ///
    /// A usage error where the plan cannot be JSON.
    pub fn new<P: Plan>(plan: P) -> Result<AnyPlan, Error> {
        let json = serde_json::to_value(&plan)
            .map_err(|e| Error::usage(format!("a fault's plan cannot be JSON: {e}")))?;
        let (hit, grudge) = (plan.hit().clone(), plan.grudge().cloned());
        Ok(AnyPlan { hit, grudge, json, plan: Arc::new(plan) })
    }

    /// A stored plan of this fault.
    ///
    /// # Errors
    ///
    /// A usage error where it is a plan of another fault.
    pub fn read<F: Fault>(fault: &F, json: &serde_json::Value) -> Result<AnyPlan, Error> {
        let plan = F::Plan::deserialize(json).map_err(|e| {
            Error::usage(format!("{json} is not a plan of `{}`: {e}", Fault::name(fault)))
        })?;
        AnyPlan::new(plan)
    }

    /// What it hits.
    pub fn hit(&self) -> &Hit {
        &self.hit
    }

    /// Which node drops whose packets, for partitions.
    pub fn grudge(&self) -> Option<&Grudge> {
        self.grudge.as_ref()
    }

    /// As it is stored.
    pub fn json(&self) -> &serde_json::Value {
        &self.json
    }

    /// The plan in the type of its fault.
    ///
    /// # Errors
    ///
    /// A usage error where it is a plan of another fault.
    pub(super) fn typed<F: Fault>(&self, fault: &F) -> Result<&F::Plan, Error> {
        self.plan.downcast_ref().ok_or_else(|| {
            Error::usage(format!("{} is not a plan of `{}`", self.json, Fault::name(fault)))
        })
    }

    /// Does everything that it names exist in a cluster of so many nodes?
    ///
    /// # Errors
    ///
    /// A usage error that names what does not.
    pub fn fits(&self, nodes: usize) -> Result<(), Error> {
        let missing = |id: &&NodeId| is_of_node(**id) && id.index() >= nodes;
        if let Some(id) = self.hit.nodes.iter().find(missing) {
            let number = id.index() + 1;
            return Err(Error::usage(format!(
                "the plan `{}` hits node {number}, and there are {nodes} nodes",
                self.hit.shape
            )));
        }
        match &self.grudge {
            Some(grudge) if grudge.nodes() != nodes => Err(Error::usage(format!(
                "the plan `{}` is one for {} nodes, and there are {nodes} nodes",
                self.hit.shape,
                grudge.nodes()
            ))),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for AnyPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::wire::{control, middle_of};
    use crate::nemesis::{DynFault, Nemesis, PartitionPlan, WirePlan, bridge, hold_message, kill};

    fn fault(nemesis: Nemesis) -> Arc<dyn DynFault> {
        nemesis.lanes()[0].fault.clone()
    }

    fn hit(shape: &str, nodes: &[u16]) -> Hit {
        Hit { shape: shape.into(), nodes: nodes.iter().copied().map(NodeId).collect() }
    }

    #[test]
    fn a_plan_is_read_as_it_was_stored_and_only_by_its_fault() {
        let grudge = Grudge::complete(3, &[vec![0], vec![1, 2]]);
        let cut = PartitionPlan { hit: hit("{n1} | {n2 n3}", &[0, 1, 2]), grudge };
        let trigger = middle_of(control("monitor_exit").nth(2)).from("n1").to("n2");
        let held = WirePlan { hit: hit("at …", &[0, 1]), trigger, number: u64::MAX };
        let plans = [
            (fault(bridge()), AnyPlan::new(cut).unwrap()),
            (fault(hold_message()), AnyPlan::new(held).unwrap()),
            (fault(kill()), AnyPlan::new(hit("n2", &[1])).unwrap()),
        ];
        for (fault, plan) in &plans {
            let text = serde_json::to_string(plan.json()).unwrap();
            let read = fault.read(&serde_json::from_str(&text).unwrap()).unwrap();
            assert_eq!((read.json(), read.hit()), (plan.json(), plan.hit()));
            assert_eq!(read.grudge(), plan.grudge());
        }
        let error = plans[1].0.read(plans[0].1.json()).unwrap_err().to_string();
        assert!(error.contains("is not a plan of `hold_message`"), "{error}");
    }

    #[test]
    fn a_plan_of_another_cluster_does_not_fit() {
        let plan = AnyPlan::new(hit("n1 n4", &[0, 3])).unwrap();
        assert!(plan.fits(4).is_ok());
        assert!(plan.fits(3).unwrap_err().to_string().contains("hits node 4"));
        let grudge = Grudge::none(3).cut(0, 1);
        let cut = AnyPlan::new(PartitionPlan { hit: hit("", &[0, 1]), grudge }).unwrap();
        assert!(cut.fits(3).is_ok() && cut.fits(4).is_err());
    }
}
