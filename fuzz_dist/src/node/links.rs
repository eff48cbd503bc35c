//! The links between the nodes: partitions that overlap, applied at once, and proved by probes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use super::Node;
use crate::env::{Environment, Error as EnvError, LinkCounters, LinkMatrix};
use crate::error::Error;
use crate::grudge::Grudge;
use crate::history::FaultStatus;
use crate::op::Value;

/// Nobody listens there, so that whoever is reached refuses at once: that proves the way there
/// and back.
const PROBE_PORT: u16 = 9;
/// Long enough for an answer on a busy machine; a link that has to be open gets more chances.
const PROBE_LIMIT: Duration = Duration::from_millis(250);
/// How often a link that should be open is asked before it counts as silent.
const PROBE_TRIES: u32 = 8;
/// So many probes at once.
const PROBES_MAX: usize = 64;
/// Between two looks at what was dropped.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// An answer that is not dropped comes within a hundredth of this.
const ANSWER_LIMIT: Duration = Duration::from_millis(10);

/// From one node to another, by their places in the cluster.
type Link = (usize, usize);

/// The links between the nodes of a cluster.
#[derive(Debug)]
pub struct Links {
    env: Arc<dyn Environment>,
    nodes: Vec<Node>,
    active: Mutex<Vec<Grudge>>,
}

impl Links {
    pub(super) fn new(env: Arc<dyn Environment>, nodes: Vec<Node>) -> Links {
        Links { env, nodes, active: Mutex::default() }
    }

    /// Adds a partition to those that act already. Once this returns, no packet that it drops
    /// is delivered any more.
    ///
    /// # Errors
    ///
    /// When the environment refuses.
    pub async fn add(&self, grudge: &Grudge) -> Result<(), Error> {
        self.lock().push(grudge.clone());
        self.apply().await
    }

    /// Ends one partition; others go on. One that does not act is none to end.
    ///
    /// # Errors
    ///
    /// When the environment refuses.
    pub async fn remove(&self, grudge: &Grudge) -> Result<(), Error> {
        {
            let mut active = self.lock();
            if let Some(i) = active.iter().position(|g| g == grudge) {
                active.swap_remove(i);
            }
        }
        self.apply().await
    }

    /// Ends all partitions, and everything that began at a trigger on the wire.
    ///
    /// # Errors
    ///
    /// When the environment refuses.
    pub async fn heal(&self) -> Result<(), Error> {
        if let Ok(wire) = self.env.wire() {
            wire.release_all();
        }
        self.lock().clear();
        self.apply().await
    }

    /// What all acting partitions and cuts at triggers drop together.
    pub fn grudge(&self) -> Grudge {
        let place = |host| self.nodes.iter().position(|node| node.host() == host);
        let cuts = self.env.wire().map(|wire| wire.cuts()).unwrap_or_default();
        let cuts = cuts.cuts().filter_map(|(from, to)| Some((place(from)?, place(to)?)));
        cuts.fold(self.partitions(), |grudge, (from, to)| grudge.cut(from, to))
    }

    fn partitions(&self) -> Grudge {
        self.lock().iter().fold(Grudge::none(self.nodes.len()), Grudge::union)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Grudge>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn apply(&self) -> Result<(), Error> {
        let mut matrix = LinkMatrix::default();
        for (from, to) in self.partitions().cuts() {
            matrix.cut(self.nodes[from].host(), self.nodes[to].host());
        }
        self.env.set_links(&matrix).await.map_err(Error::environment)
    }

    /// Looks whether the network is as the acting partitions say: every node knocks at every
    /// other, and the counters of every directed link say what was dropped meanwhile.
    ///
    /// It takes some hundredths of a second, so that short cuts are over when they should be.
    pub async fn prove(&self) -> Proof {
        let expected = self.grudge();
        let before = self.env.counters();
        let n = self.nodes.len();
        let links = (0..n).flat_map(|a| (0..n).map(move |b| (a, b))).filter(|(a, b)| a != b);
        let (open, cut): (Vec<_>, Vec<_>) = links.partition(|(a, b)| expected.linked(*a, *b));
        let mut silent = Vec::new();
        let dropped = |(from, to)| match expected.drops(to, from) {
            true => (from, to),
            false => (to, from),
        };
        for links in cut.chunks(PROBES_MAX) {
            let drops: Vec<Link> = links.iter().copied().map(dropped).collect();
            silent.extend(self.unanswered(links, &drops, &before).await);
        }
        for links in open.chunks(PROBES_MAX) {
            silent.extend(self.unanswered(links, &[], &before).await);
        }
        silent.sort_unstable();
        let counters = self.env.counters().since(&before);
        self.compare(expected, &silent, &counters)
    }

    /// Knocks over all of these links at once; those over which no answer came.
    ///
    /// Where there is none to come, the knock itself is dropped, or its answer, on the link that
    /// stands for it in `drops`: once that is counted nobody has to wait for long. Without `drops`
    /// there is an answer to come, and more chances for it.
    async fn unanswered(&self, links: &[Link], drops: &[Link], before: &LinkCounters) -> Vec<Link> {
        let tries = if drops.is_empty() { PROBE_TRIES } else { 1 };
        let mut probes = JoinSet::new();
        for (from, to) in links.iter().copied() {
            let (env, host) = (self.env.clone(), self.nodes[from].host());
            let address = SocketAddr::new(self.nodes[to].address(), PROBE_PORT);
            probes.spawn(async move {
                for _ in 0..tries {
                    if answers(env.connect(host, address, PROBE_LIMIT).await.err()) {
                        return Some((from, to));
                    }
                }
                None
            });
        }
        let mut silent: BTreeSet<Link> = links.iter().copied().collect();
        let mut answer = |link: Option<Link>| link.is_some_and(|link| silent.remove(&link));
        let all_answers = async {
            while let Some(done) = probes.join_next().await {
                answer(done.ok().flatten());
            }
        };
        tokio::select! {
            () = all_answers => {}
            () = self.dropped(drops, before) => {}
        }
        silent.into_iter().collect()
    }

    /// Waits until something was dropped on each of these links, and a little longer.
    async fn dropped(&self, links: &[Link], before: &LinkCounters) {
        if links.is_empty() || !self.env.capabilities().link_counters {
            return std::future::pending().await;
        }
        loop {
            let counters = self.env.counters().since(before);
            let dropped = |(from, to): &Link| {
                let (from, to) = (self.nodes[*from].host(), self.nodes[*to].host());
                counters.get(from, to).dropped_packets > 0
            };
            if links.iter().all(dropped) {
                return tokio::time::sleep(ANSWER_LIMIT).await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn compare(
        &self,
        expected: Grudge,
        silent: &[(usize, usize)],
        counters: &LinkCounters,
    ) -> Proof {
        let counted = self.env.capabilities().link_counters;
        let n = self.nodes.len();
        let (mut leaks, mut dead, mut dropped) = (Vec::new(), Vec::new(), 0);
        let link =
            |a: usize, b: usize| format!("{} -> {}", self.nodes[a].name(), self.nodes[b].name());
        for (from, to) in (0..n).flat_map(|a| (0..n).map(move |b| (a, b))).filter(|(a, b)| a != b) {
            let count = counters.get(self.nodes[from].host(), self.nodes[to].host());
            dropped += count.dropped_packets;
            let cut = expected.drops(to, from);
            let answered = silent.binary_search(&(from, to)).is_err();
            if expected.linked(from, to) && !answered {
                dead.push(link(from, to));
            }
            if cut && (answered || counted && count.dropped_packets == 0) {
                leaks.push(link(from, to));
            }
        }
        Proof {
            expected,
            names: self.nodes.iter().map(|n| n.name().into()).collect(),
            leaks,
            dead,
            dropped,
        }
    }
}

/// A refusal is an answer, and so is an open door.
fn answers(error: Option<EnvError>) -> bool {
    match error {
        None => true,
        Some(EnvError::Io { source, .. }) => source.kind() == std::io::ErrorKind::ConnectionRefused,
        Some(_) => false,
    }
}

/// What a look at all links showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    expected: Grudge,
    names: Vec<String>,
    /// Links that should be cut and are not.
    leaks: Vec<String>,
    /// Links that should be open and are silent.
    dead: Vec<String>,
    dropped: u64,
}

impl Proof {
    /// `Installed` where everything is as it should be, `Ineffective` where a link that should
    /// be cut carries packets, `Indeterminate` where one that should be open is silent.
    pub fn status(&self) -> FaultStatus {
        match (self.leaks.is_empty(), self.dead.is_empty()) {
            (false, _) => FaultStatus::Ineffective,
            (true, false) => FaultStatus::Indeterminate,
            (true, true) => FaultStatus::Installed,
        }
    }

    /// The matrix that was expected, the links that differ, the packets dropped meanwhile.
    pub fn evidence(&self) -> Value {
        let rows = self.expected.to_string();
        let matrix = self.names.iter().zip(rows.lines()).map(|(n, row)| format!("{n} {row}"));
        Value::map([
            ("matrix", Value::list(matrix)),
            ("leaks", Value::list(self.leaks.clone())),
            ("silent", Value::list(self.dead.clone())),
            ("dropped_packets", Value::Int(self.dropped as i64)),
        ])
    }
}
