//! The links between the nodes: partitions that overlap, installed in one order, and proved by probes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::roster::Roster;
use crate::clock::Clock;
use crate::env::wire::Wire;
use crate::env::{Environment, Error as EnvError, LinkCounters};
use crate::error::Error;
use crate::grudge::Grudge;

mod network;
mod probes;
mod proof;
mod prove;

use network::Network;
pub use proof::Proof;
use proof::Scope;

/// From one node to another, by their ids.
type Link = (usize, usize);

/// The links between the nodes of a cluster.
///
/// Any number of callers may change and prove them at the same time. What the environment installs
/// is always the union of the partitions that act; a change whose future is dropped is completed
/// all the same, so that it can be undone like any other. A partition is one of the nodes that there were when it
/// was made: links of nodes that join later are open.
#[derive(Debug)]
pub struct Links(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    env: Arc<dyn Environment>,
    clock: Clock,
    roster: Arc<Roster>,
    wire: Option<Arc<dyn Wire>>,
    network: Mutex<Network>,
    /// Held while a matrix is installed: the last one that is installed is the latest.
    installing: tokio::sync::Mutex<()>,
    /// One for each socket that proofs may have open.
    sockets: tokio::sync::Semaphore,
}

impl Links {
    pub(super) fn new(env: Arc<dyn Environment>, clock: Clock, roster: Arc<Roster>) -> Links {
        Links(Arc::new(Inner {
            wire: env.wire(),
            network: Mutex::new(Network::new(roster.len())),
            installing: tokio::sync::Mutex::default(),
            sockets: tokio::sync::Semaphore::new(probes::SOCKETS_MAX),
            env,
            clock,
            roster,
        }))
    }

    /// Adds a partition to those that act already. Once this returns, no packet that it drops
    /// is delivered any more.
    ///
    /// It acts from the first poll on until it is removed, also when this fails or its future is
    /// dropped.
    ///
    /// # Errors
    ///
    /// When the environment refuses.
    pub async fn add(&self, grudge: &Grudge) -> Result<(), Error> {
        self.0.network().add(grudge);
        self.0.install().await
    }

    /// Ends one partition; others go on. One that does not act is none to end.
    ///
    /// # Errors
    ///
    /// When the environment refuses.
    pub async fn remove(&self, grudge: &Grudge) -> Result<(), Error> {
        self.0.network().remove(grudge);
        self.0.install().await
    }

    /// Ends all partitions, and everything that began at a trigger on the wire.
    ///
    /// # Errors
    ///
    /// When the environment refuses.
    pub async fn heal(&self) -> Result<(), Error> {
        if let Some(wire) = &self.0.wire {
            wire.release_all();
        }
        self.0.network().clear();
        self.0.install().await
    }

    /// What all acting partitions and cuts at triggers drop together.
    pub fn grudge(&self) -> Grudge {
        self.0.observed().cut().clone()
    }

    /// Proves the state of all links between the nodes that take part: a datagram is sent over each of them. Those of open links have
    /// to arrive; those of cut links must not, and the environment's counters have to say that they
    /// were dropped.
    ///
    /// A result counts for the state that the link was in from before its datagram was sent until
    /// after the last look. Links that are cut or opened meanwhile are tried again. After two
    /// seconds at most, those for which neither was seen are *silent* (cut or open, nothing came and
    /// no drop was counted) or *changing*.
    ///
    /// It takes some hundredths of a second, so that short cuts are over when they should be.
    pub async fn prove(&self) -> Proof {
        prove::prove(&self.0, Scope::All).await
    }

    /// Proves that all links that `grudge` cuts are cut, and that no link is which nothing cuts.
    /// Other acting partitions may change meanwhile. See [`Links::prove`].
    pub async fn prove_cut(&self, grudge: &Grudge) -> Proof {
        prove::prove(&self.0, Scope::Cut(grudge)).await
    }

    /// Proves that all links that `grudge` would cut are open again, but for those that something
    /// else cuts. See [`Links::prove`].
    pub async fn prove_open(&self, grudge: &Grudge) -> Proof {
        prove::prove(&self.0, Scope::Open(grudge)).await
    }
}

impl Inner {
    fn network(&self) -> MutexGuard<'_, Network> {
        let mut network = self.network.lock().unwrap_or_else(PoisonError::into_inner);
        network.grow(self.roster.len());
        network
    }

    /// What the links have carried and dropped; nothing where nobody counts.
    fn counters(&self) -> LinkCounters {
        self.env.links().map(|links| links.counters()).unwrap_or_default()
    }

    /// The network with what triggers cut now.
    fn observed(&self) -> MutexGuard<'_, Network> {
        let mut network = self.network();
        if let Some(wire) = &self.wire {
            // Counted before they are read: what changes in between is seen at the next look.
            let changes = wire.changes();
            network.observe(|| self.triggers(&**wire), changes);
        }
        network
    }

    fn triggers(&self, wire: &dyn Wire) -> Grudge {
        let nodes = self.roster.all();
        let place = |host| nodes.iter().position(|node| node.host() == host);
        let cuts = wire.cuts();
        let cuts = cuts.cuts().filter_map(|(from, to)| Some((place(from)?, place(to)?)));
        cuts.fold(Grudge::none(nodes.len()), |grudge, (from, to)| grudge.cut(from, to))
    }

    /// Brings what acts into force, in a task of its own: nobody who is dropped leaves half of it.
    async fn install(self: &Arc<Self>) -> Result<(), Error> {
        let inner = self.clone();
        let installed = tokio::spawn(async move { inner.install_in_turn().await }).await;
        installed.unwrap_or_else(|e| Err(Error::environment(format!("installing links: {e}"))))
    }

    async fn install_in_turn(&self) -> Result<(), Error> {
        let _one_at_a_time = self.installing.lock().await;
        let (matrix, epoch) = {
            let network = self.network();
            if network.is_installed() {
                return Ok(());
            }
            let nodes = self.roster.all();
            network.wanted(|node| nodes[node].host())
        };
        let links = self.env.links().ok_or_else(|| {
            let (environment, what) = (self.env.name().into(), "cut links".into());
            Error::environment(EnvError::Unsupported { environment, what })
        })?;
        links.set_links(&matrix).await.map_err(Error::environment)?;
        self.network().has_installed(epoch);
        Ok(())
    }
}
