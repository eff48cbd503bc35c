//! What each fault did to each pair of nodes: cut, taken for dead, healed, together again.

use std::time::Duration;

use super::{FaultSpan, FaultStatus, History, NodeDown};
use crate::op::{NodeId, Value};
use crate::time::Time;

/// What one fault did to two nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PairLife {
    /// The two nodes, in the test's order.
    pub pair: [NodeId; 2],
    /// The fault's number.
    pub fault: i64,
    /// When their link was cut, where the fault cut it.
    pub cut: Option<Time>,
    /// When each of them took the other one for dead.
    pub down: [Option<Time>; 2],
    /// When the fault ended.
    pub heal: Option<Time>,
    /// When both were connected again, where either had taken the other one for dead.
    pub up: Option<Time>,
    /// When the application was whole again: the first round of reads after the last heal from which
    /// on all nodes agreed.
    pub recovered: Option<Time>,
}

/// Who was cut from whom, and who took whom for dead because of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownMatrix {
    /// The fault's number.
    pub fault: i64,
    /// A line for each node: its name, and of each other one what it saw. `.`: linked; `x`: cut, and
    /// taken for dead; `o`: cut, and not noticed; `!`: taken for dead although nobody cut them.
    pub rows: Vec<String>,
}

impl History {
    /// What each fault did to each pair of nodes that it cut, or that took each other for dead.
    pub fn pairs(&self) -> Vec<PairLife> {
        let (downs, recovered) = (self.nodedowns(), self.recovered());
        let mut pairs = Vec::new();
        for fault in self.faults() {
            let cuts = self.cuts(&fault);
            for (a, b) in self.all_pairs() {
                let cut = cuts.iter().any(|c| *c == (a, b) || *c == (b, a));
                let seen = |by: NodeId, gone: NodeId| self.seen(&downs, fault.id, by, gone);
                let sides = [seen(a, b), seen(b, a)];
                if !cut && sides.iter().all(Option::is_none) {
                    continue;
                }
                let ups: Option<Vec<Time>> = sides.iter().flatten().map(|d| d.up).collect();
                pairs.push(PairLife {
                    pair: [a, b],
                    fault: fault.id,
                    cut: fault.started.filter(|_| cut),
                    down: sides.map(|d| d.map(|d| d.time)),
                    heal: fault.stop,
                    up: ups.and_then(|ups| ups.into_iter().max()),
                    recovered,
                });
            }
        }
        pairs
    }

    /// Who took whom for dead, fault by fault, beside who was cut from whom; only faults that cut
    /// something or made somebody take somebody for dead.
    pub fn down_matrices(&self) -> Vec<DownMatrix> {
        let downs = self.nodedowns();
        let mut matrices = Vec::new();
        for fault in self.faults() {
            let cuts = self.cuts(&fault);
            let cell = |by: NodeId, of: NodeId| {
                let cut = cuts.contains(&(by, of)) || cuts.contains(&(of, by));
                match (cut, self.seen(&downs, fault.id, by, of).is_some()) {
                    (true, true) => 'x',
                    (true, false) => 'o',
                    (false, true) => '!',
                    (false, false) => '.',
                }
            };
            let rows: Vec<String> = self
                .all_nodes()
                .map(|by| {
                    let row: String = self.all_nodes().map(|of| cell(by, of)).collect();
                    format!("{} {row}", self.node_name(by))
                })
                .collect();
            if rows.iter().any(|row| row.rsplit(' ').next().unwrap_or("").contains(['x', 'o', '!']))
            {
                matrices.push(DownMatrix { fault: fault.id, rows });
            }
        }
        matrices
    }

    /// Nodedowns of nodes that the fault they came from had not cut, in words: `n1 lost n2 (disconnect)`.
    pub fn beyond_the_cut(&self) -> Vec<String> {
        let faults = self.faults();
        let mut lines: Vec<String> = Vec::new();
        for down in self.nodedowns() {
            let Some(fault) = faults.iter().find(|f| Some(f.id) == down.fault) else { continue };
            let cuts = self.cuts(fault);
            let gone = self.all_nodes().find(|n| self.node_name(*n) == &*down.gone);
            let Some(gone) = gone.filter(|_| !cuts.is_empty()) else { continue };
            let (by, gone) = (down.seen_by, gone);
            let text = format!("{} lost {} ({})", self.node_name(by), down.gone, down.reason);
            if !cuts.contains(&(by, gone)) && !cuts.contains(&(gone, by)) && !lines.contains(&text)
            {
                lines.push(text);
            }
        }
        lines
    }

    fn all_nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        (0..self.nodes().len()).map(|i| NodeId(i as u16))
    }

    fn all_pairs(&self) -> impl Iterator<Item = (NodeId, NodeId)> + '_ {
        self.all_nodes().flat_map(|a| self.all_nodes().filter(move |b| a < *b).map(move |b| (a, b)))
    }

    fn seen<'a>(
        &self,
        downs: &'a [NodeDown],
        fault: i64,
        by: NodeId,
        gone: NodeId,
    ) -> Option<&'a NodeDown> {
        let name = self.node_name(gone);
        downs.iter().find(|d| d.fault == Some(fault) && d.seen_by == by && &*d.gone == name)
    }

    /// Who did not hear whom, as the fault's own proof says: its matrix of who drops whose packets.
    fn cuts(&self, fault: &FaultSpan) -> Vec<(NodeId, NodeId)> {
        if fault.status == FaultStatus::Ineffective {
            return Vec::new();
        }
        let matrix = fault.evidence.first().and_then(|e| e.get("matrix")).and_then(Value::as_list);
        let rows = matrix.unwrap_or(&[]).iter();
        let rows: Vec<(&str, &str)> =
            rows.filter_map(|row| row.as_text()?.rsplit_once(' ')).collect();
        // Rows and columns are those of the nodes that were members then.
        let place = |name: &str| self.all_nodes().find(|n| self.node_name(*n) == name);
        let nodes: Vec<Option<NodeId>> = rows.iter().map(|(name, _)| place(name)).collect();
        let mut cuts = Vec::new();
        for ((_, drops), to) in rows.iter().zip(&nodes) {
            let from = drops.chars().zip(&nodes).filter(|(c, _)| *c == 'x');
            cuts.extend(from.filter_map(|(_, from)| Some(((*to)?, (*from)?))));
        }
        cuts
    }

    fn recovered(&self) -> Option<Time> {
        let converged = self.meta("converged_ms").and_then(Value::as_int)?;
        let heal = |i: &usize| !self.process(*i).is_client() && &**self.function(*i) == "heal";
        let healed = (0..self.len()).rev().find(heal)?;
        Some(self.time(healed) + Duration::from_millis(u64::try_from(converged).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Edge;
    use super::*;
    use crate::op::{Event, Phase, Process};

    fn push(
        history: &mut History,
        ms: u64,
        process: Process,
        node: Option<u16>,
        f: &str,
        v: Value,
    ) {
        let kind = crate::op::Kind::Info;
        let (time, node) = (Time::from_millis(ms), node.map(NodeId));
        let (f, phase) = (f.into(), Phase::Main);
        let event = Event { time, process, node, kind, f, value: v, error: None, phase };
        history.push(event).unwrap();
    }

    /// n1 is cut from n2 and n3; n1 and n2 notice, n3 does not, and n2 loses n3 besides.
    fn cut() -> History {
        let mut h = History::new(["n1", "n2", "n3"]);
        h.set_meta("net_ticktime_ms", 4000);
        h.set_meta("converged_ms", 250);
        let nemesis = Process::NEMESIS;
        let matrix = Value::list(["n1 .xx", "n2 x..", "n3 x.."]);
        let proof = || (Some(true), Value::map([("matrix", matrix.clone())]));
        let value = |edge, check| History::fault_value(4, edge, "{n1} | {n2 n3}", check);
        push(&mut h, 1000, nemesis, None, "halves", value(Edge::Start, None));
        push(&mut h, 1001, nemesis, None, "halves", value(Edge::Started, Some(proof())));
        for (ms, by, gone, why) in [
            (5000, 0, "n2", "net_tick_timeout"),
            (5200, 1, "n1", "net_tick_timeout"),
            (5201, 1, "n3", "disconnect"),
        ] {
            let details = [("peer", Value::from(gone)), ("reason", Value::from(why))];
            push(&mut h, ms, Process::RUNTIME, Some(by), "nodedown", Value::map(details));
        }
        push(&mut h, 9000, nemesis, None, "halves", value(Edge::Stop, None));
        push(&mut h, 9010, nemesis, None, "halves", value(Edge::Stopped, Some(proof())));
        for (ms, by, peer) in [(9500, 0, "n2"), (9600, 1, "n1")] {
            let peer = Value::map([("peer", Value::from(peer))]);
            push(&mut h, ms, Process::RUNTIME, Some(by), "nodeup", peer);
        }
        push(&mut h, 10_000, nemesis, None, "heal", Value::map([("proved", true.into())]));
        h
    }

    #[test]
    fn every_pair_has_its_points() {
        let pairs = cut().pairs();
        let at = |ms| Some(Time::from_millis(ms));
        assert_eq!(pairs.len(), 3);
        assert_eq!(
            pairs[0],
            PairLife {
                pair: [NodeId(0), NodeId(1)],
                fault: 4,
                cut: at(1001),
                down: [at(5000), at(5200)],
                heal: at(9000),
                up: at(9600),
                recovered: at(10_250),
            }
        );
        assert_eq!((pairs[1].cut, pairs[1].down), (at(1001), [None, None]));
        assert_eq!((pairs[2].cut, pairs[2].down), (None, [at(5201), None]));
        assert_eq!(pairs[2].up, None);
    }

    #[test]
    fn the_matrix_of_a_cut_has_the_members_of_its_moment() {
        let mut h = History::new(["n1", "n2", "n3"]);
        let nemesis = Process::NEMESIS;
        // n2 has left; n4 has joined.
        let matrix = Value::list(["n1 .x.", "n3 x..", "n4 ..."]);
        let (f, value) = History::member_event("n4", crate::MemberState::Member);
        push(&mut h, 1, Process::RUNTIME, Some(3), &f, value);
        let proof = (Some(true), Value::map([("matrix", matrix)]));
        let value = |edge, check| History::fault_value(4, edge, "{n1} | {n3}", check);
        push(&mut h, 1000, nemesis, None, "halves", value(Edge::Start, None));
        push(&mut h, 1001, nemesis, None, "halves", value(Edge::Started, Some(proof)));
        let cuts = h.cuts(&h.faults()[0]);
        assert_eq!(cuts, [(NodeId(0), NodeId(2)), (NodeId(2), NodeId(0))]);
    }

    #[test]
    fn what_was_seen_stands_beside_what_was_cut() {
        let matrices = cut().down_matrices();
        assert_eq!(matrices.len(), 1);
        assert_eq!(matrices[0].rows, ["n1 .xo", "n2 x.!", "n3 o.."]);
        assert_eq!(cut().beyond_the_cut(), ["n2 lost n3 (disconnect)"]);
    }
}
