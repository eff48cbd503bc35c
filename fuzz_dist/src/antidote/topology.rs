//! How nodes are divided into data centres.

use crate::env::HostSpec;
use crate::error::Error;

/// How the nodes of a cluster are divided into data centres.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Topology {
    /// Every node is a data centre of its own: 5 × dc1n1 with 5 nodes.
    #[default]
    DcPerNode,
    /// That many data centres, each with as many nodes as the others.
    Dcs(usize),
    /// All nodes are one data centre: 1 × dcn5 with 5 nodes.
    OneDc,
}

impl Topology {
    /// The hosts `n1` … `nN`, grouped into the data centres `dc1`, `dc2`, ….
    ///
    /// # Errors
    ///
    /// When the nodes cannot be divided like this.
    pub(super) fn hosts(self, nodes: usize) -> Result<Vec<HostSpec>, Error> {
        let centres = match self {
            Topology::DcPerNode => nodes,
            Topology::Dcs(centres) => centres,
            Topology::OneDc => 1,
        };
        if centres == 0 || nodes == 0 || !nodes.is_multiple_of(centres) {
            return Err(Error::usage(format!(
                "{nodes} nodes cannot be divided into {centres} data centres of the same size; \
                 change `nodes`, or the topology (`Topology::DcPerNode` takes any number)"
            )));
        }
        let size = nodes / centres;
        let hosts = HostSpec::nodes(nodes).into_iter().enumerate();
        Ok(hosts.map(|(i, host)| host.group(format!("dc{}", i / size + 1))).collect())
    }

    /// Does any data centre have several nodes, which then speak distributed Erlang?
    pub(super) fn has_large_centres(self) -> bool {
        self != Topology::DcPerNode
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(topology: Topology, nodes: usize) -> Result<Vec<String>, String> {
        let hosts = topology.hosts(nodes).map_err(|e| e.to_string())?;
        Ok(hosts.into_iter().filter_map(|h| h.group).collect())
    }

    #[test]
    fn nodes_are_divided_evenly_in_their_order() {
        assert_eq!(groups(Topology::DcPerNode, 3).unwrap(), ["dc1", "dc2", "dc3"]);
        assert_eq!(groups(Topology::Dcs(2), 4).unwrap(), ["dc1", "dc1", "dc2", "dc2"]);
        assert_eq!(groups(Topology::OneDc, 2).unwrap(), ["dc1", "dc1"]);
    }

    #[test]
    fn what_cannot_be_divided_is_refused_with_what_to_do() {
        for (topology, nodes) in [(Topology::Dcs(2), 5), (Topology::Dcs(0), 5)] {
            let error = groups(topology, nodes).unwrap_err();
            assert!(error.contains("change `nodes`"), "{error}");
        }
    }
}
