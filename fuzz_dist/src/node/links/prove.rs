//! The proof of the links' state: datagrams over all of them at once, again where one was lost or
//! the network changed, and a judgement on what stayed the same.

use std::sync::Arc;
use std::time::Duration;

use super::network::Network;
use super::probes::{Probes, SOCKETS_MAX};
use super::proof::{Part, Proof, Scope};
use super::{Inner, Link};
use crate::env::LinkCounters;
use crate::grudge::Grudge;
use crate::history::MemberState;
use crate::node::Node;

/// Long enough for a datagram on a busy machine; then it is sent again.
const ROUND: Duration = Duration::from_millis(250);
/// So often a datagram is sent at least, and so long links that change are tried again.
const ROUNDS_MIN: usize = 8;
const PROOF_LIMIT: Duration = Duration::from_secs(2);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// A datagram that is not dropped arrives within a hundredth of this.
const ARRIVAL_LIMIT: Duration = Duration::from_millis(10);

pub(super) async fn prove(links: &Arc<Inner>, scope: Scope<'_>) -> Proof {
    // The semaphore is never closed.
    let takes_part = |node: &Node| node.state() == MemberState::Member;
    let nodes = links.roster.all().into_iter().map(|node| Some(node).filter(takes_part));
    let nodes: Vec<Option<Node>> = nodes.collect();
    let sockets = nodes.iter().flatten().count().min(SOCKETS_MAX) as u32;
    let _sockets = links.sockets.acquire_many(sockets).await;
    let probes = Probes::open(links, &nodes).await;
    let mut look = Look::new(links, scope, probes, nodes);
    let end = links.clock.now() + PROOF_LIMIT;
    while look.refused.is_none()
        && !look.round().await
        && (look.rounds.len() < ROUNDS_MIN || links.clock.now() < end)
    {}
    look.judge()
}

/// What was seen of a link since it was cut or opened last.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// The epoch in which that was.
    since: u64,
    /// The packets that had been dropped when the first datagram was about to be sent; none was
    /// sent yet where there is nothing.
    before: Option<u64>,
    arrived: bool,
    dropped: bool,
}

impl Seen {
    /// Does it show a state of the link?
    fn is_settled(&self, cut: bool) -> bool {
        self.arrived || cut && self.dropped
    }
}

struct Look<'a> {
    links: &'a Arc<Inner>,
    scope: Scope<'a>,
    probes: Probes,
    /// Those that took part when it began, at the places of their ids.
    nodes: Vec<Option<Node>>,
    /// The epoch that was installed when each round began.
    rounds: Vec<u64>,
    /// For every pair of nodes, at `from * n + to`.
    seen: Vec<Seen>,
    /// The network as it was at the last look: that is what is judged.
    epoch: u64,
    expected: Grudge,
    counted: bool,
    refused: Option<String>,
}

impl<'a> Look<'a> {
    fn new(
        links: &'a Arc<Inner>,
        scope: Scope<'a>,
        probes: Probes,
        nodes: Vec<Option<Node>>,
    ) -> Look<'a> {
        let n = nodes.len();
        let (epoch, expected) = {
            let network = links.observed();
            (network.epoch(), network.cut().clone())
        };
        Look {
            links,
            scope,
            probes,
            nodes,
            rounds: Vec::new(),
            seen: vec![Seen::default(); n * n],
            epoch,
            expected,
            counted: links.env.links().is_some_and(|links| links.counts_drops()),
            refused: None,
        }
    }

    fn n(&self) -> usize {
        self.nodes.len()
    }

    /// The nodes that take part from the beginning of the look until now: links of one that left are nobody's.
    fn members(&self) -> Vec<usize> {
        let takes_part = |node: &Node| node.state() == MemberState::Member;
        let places = 0..self.nodes.len();
        places.filter(|i| self.nodes[*i].as_ref().is_some_and(takes_part)).collect()
    }

    /// The links between them.
    fn pairs(&self) -> Vec<Link> {
        let members = self.members();
        let of = |from: usize| members.iter().map(move |to| (from, *to));
        members.iter().flat_map(|from| of(*from)).filter(|(from, to)| from != to).collect()
    }

    fn seen(&self, (from, to): Link) -> &Seen {
        &self.seen[from * self.n() + to]
    }

    fn seen_mut(&mut self, (from, to): Link) -> &mut Seen {
        let n = self.n();
        &mut self.seen[from * n + to]
    }

    /// Sends what has not been answered and waits for it; is everything seen that has to be?
    async fn round(&mut self) -> bool {
        if let Err(error) = self.links.install().await {
            self.refused = Some(error.to_string());
            return false;
        }
        let unsettled = self.begin();
        // Once the counters are read, what they count is of the state that the links are in now.
        let counters = self.links.counters();
        for link in &unsettled {
            let dropped = self.dropped(&counters, *link);
            self.seen_mut(*link).before.get_or_insert(dropped);
        }
        self.probes.send(self.rounds.len() as u32 - 1, unsettled).await;
        if self.links.clock.preload().is_some() {
            // Once the clock goes on, the datagrams have arrived: otherwise the machine would decide how often is looked.
            self.links.clock.sleep(LOOK_EVERY).await;
        }
        let end = self.links.clock.now() + ROUND;
        while self.look() == State::Waiting {
            if self.links.clock.now() >= end {
                self.nothing_came();
                break;
            }
            self.links.clock.sleep(LOOK_EVERY).await;
        }
        let mut state = self.look();
        if state == State::Complete && self.seen.iter().any(|seen| seen.dropped) {
            self.links.clock.sleep(ARRIVAL_LIMIT).await;
            state = self.look();
        }
        state == State::Complete
    }

    /// Begins a round; gives the links that it is about.
    fn begin(&mut self) -> Vec<Link> {
        let inner = self.links.clone();
        let network = inner.observed();
        self.rounds.push(network.installed());
        self.forget_changed(&network);
        let unsettled = |link: &Link| {
            let cut = network.cut().drops(link.1, link.0);
            self.scope.part(*link, cut) != Part::Nothing
                && network.changed(*link) <= network.installed()
                && !self.scope.is_undone(*link, cut)
                && !self.seen(*link).is_settled(cut)
        };
        self.pairs().into_iter().filter(unsettled).collect()
    }

    /// What was seen of a link before it was cut or opened is void.
    fn forget_changed(&mut self, network: &Network) {
        if self.epoch != network.epoch() {
            (self.epoch, self.expected) = (network.epoch(), network.cut().clone());
        }
        for link in self.pairs() {
            let since = network.changed(link);
            let seen = self.seen_mut(link);
            if seen.since != since {
                *seen = Seen { since, ..Seen::default() };
            }
        }
    }

    /// Takes up what has arrived and what was dropped.
    fn look(&mut self) -> State {
        let arrived = self.probes.arrived();
        let counters = self.links.counters();
        // The network is looked at last: what is in its former state is void.
        let inner = self.links.clone();
        let network = inner.observed();
        self.forget_changed(&network);
        for (round, link) in arrived {
            let sent = self.rounds.get(round as usize);
            if sent.is_some_and(|installed| network.changed(link) <= *installed) {
                self.seen_mut(link).arrived = true;
            }
        }
        let mut state = State::Complete;
        for link in self.pairs() {
            let cut = network.cut().drops(link.1, link.0);
            let dropped = self.counted.then(|| self.dropped(&counters, link));
            let seen = self.seen_mut(link);
            seen.dropped |= cut && seen.before.is_some() && dropped > seen.before;
            let (seen, part) = (*self.seen(link), self.scope.part(link, cut));
            if part == Part::Nothing || seen.is_settled(cut) || self.scope.is_undone(link, cut) {
                continue;
            }
            match (seen.before, part) {
                (Some(_), _) => state = State::Waiting,
                (None, Part::Own) => state = state.max(State::Changed),
                (None, _) => {}
            }
        }
        state
    }

    /// A round has passed: where nobody counts, that is all there is to see of a dropped datagram.
    fn nothing_came(&mut self) {
        let silent = |seen: &&mut Seen| seen.before.is_some() && !seen.arrived;
        if !self.counted {
            self.seen.iter_mut().filter(silent).for_each(|seen| seen.dropped = true);
        }
    }

    fn dropped(&self, counters: &LinkCounters, (from, to): Link) -> u64 {
        let host = |node: usize| self.nodes[node].as_ref().map(Node::host);
        let link = host(from).zip(host(to));
        link.map_or(0, |(from, to)| counters.get(from, to).dropped_packets)
    }

    fn judge(self) -> Proof {
        let mut proof = Proof {
            names: self.nodes.iter().map(|n| n.as_ref().map_or("", Node::name).into()).collect(),
            members: self.members(),
            leaks: Vec::new(),
            silent: Vec::new(),
            changing: Vec::new(),
            undone: Vec::new(),
            is_of_nothing: false,
            refused: self.refused.clone(),
            epoch: self.epoch,
            expected: self.expected.clone(),
        };
        let mut own = 0;
        for link in self.pairs() {
            let cut = self.expected.drops(link.1, link.0);
            let seen = self.seen(link);
            let part = self.scope.part(link, cut);
            own += usize::from(part == Part::Own);
            match part {
                Part::Nothing => {}
                _ if self.scope.is_undone(link, cut) => proof.undone.push(link),
                _ if cut && seen.arrived => proof.leaks.push(link),
                _ if seen.is_settled(cut) => {}
                Part::Own if seen.before.is_none() => proof.changing.push(link),
                Part::Beside if seen.before.is_none() => {}
                _ => proof.silent.push(link),
            }
        }
        proof.is_of_nothing = own == 0 && matches!(self.scope, Scope::Cut(_));
        proof
    }
}

/// How far a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Complete,
    /// A link was cut or opened since the datagrams were sent.
    Changed,
    /// A datagram may still arrive or be dropped.
    Waiting,
}
