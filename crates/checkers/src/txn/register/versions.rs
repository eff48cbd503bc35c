//! What is known about the order of each key's versions.

use super::Infer;
use crate::Anomaly;
use crate::txn::core::graph::{Edges, Graph, Rel};
use crate::txn::core::txns::NONE;
use crate::txn::core::{Status, Transactions};
use crate::txn::report::Report;
use fuzz_dist_history::op::Value;

/// How a transaction touches a key: what it found there and what it left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touch {
    pub(super) key: u32,
    pub(super) txn: u32,
    /// The version that it read before it wrote, as a node of [`Order`].
    pub(super) found: Option<u32>,
    /// The version that it wrote last.
    pub(super) wrote: Option<u32>,
}

impl Touch {
    pub(super) fn left(&self) -> u32 {
        self.wrote.or(self.found).expect("a touch reads or writes")
    }
}

/// All touches by transactions that certainly happened, by key and then in the order of
/// invocation.
pub(super) struct Touches {
    pub(super) all: Vec<Touch>,
    /// Per key, and one more: where its touches begin.
    pub(super) start: Vec<u32>,
}

impl Touches {
    pub(super) fn new(txns: &Transactions) -> Touches {
        let mut read = vec![false; txns.versions.len()];
        for t in (0..txns.len() as u32).filter(|t| txns.is_ok(*t)) {
            let reads = txns.ops_of(t).iter().filter(|o| o.is_read() && o.arg != NONE);
            reads.for_each(|o| read[o.arg as usize] = true);
        }
        let happened = |t: u32| match txns.status[t as usize] {
            Status::Ok => true,
            Status::Fail => false,
            Status::Info => txns.ops_of(t).iter().any(|o| o.is_write() && read[o.arg as usize]),
        };
        let mut unsorted = Vec::with_capacity(txns.ops.len());
        let mut start = vec![0u32; txns.key_count() + 1];
        for t in (0..txns.len() as u32).filter(|t| happened(*t)) {
            touches_of(txns, t, |touch| {
                start[touch.key as usize + 1] += 1;
                unsorted.push(touch);
            });
        }
        for i in 1..start.len() {
            start[i] += start[i - 1];
        }
        let mut next = start.clone();
        let nothing = Touch { key: 0, txn: 0, found: None, wrote: None };
        let mut all = vec![nothing; unsorted.len()];
        for touch in unsorted {
            let at = &mut next[touch.key as usize];
            all[*at as usize] = touch;
            *at += 1;
        }
        Touches { all, start }
    }

    pub(super) fn of(&self, key: u32) -> &[Touch] {
        &self.all[self.start[key as usize] as usize..self.start[key as usize + 1] as usize]
    }

    pub(super) fn bytes(&self) -> usize {
        self.all.capacity() * size_of::<Touch>() + self.start.capacity() * 4
    }
}

/// The touches of one transaction, each key once.
pub(super) fn touches_of(txns: &Transactions, t: u32, mut each: impl FnMut(Touch)) {
    let ops = txns.ops_of(t);
    for (i, op) in ops.iter().enumerate() {
        if ops[..i].iter().any(|o| o.key() == op.key()) {
            continue;
        }
        let last = ops[i..].iter().rev().find(|o| o.is_write() && o.key() == op.key());
        let found = op.is_read().then(|| node_of(txns, op.key(), op.arg));
        each(Touch { key: op.key(), txn: t, found, wrote: last.map(|o| o.arg) });
    }
}

/// A version as a node: itself, or one node per key for the initial version.
pub(super) fn node_of(txns: &Transactions, key: u32, version: u32) -> u32 {
    if version == NONE { txns.versions.len() as u32 + key } else { version }
}

/// Known orders between versions, over [`node_of`] nodes.
pub(super) struct Order {
    pub(super) graph: Graph,
    /// Per version: is it on a cycle, so that its order means nothing?
    cyclic: Vec<bool>,
}

impl Order {
    pub(super) fn new(
        txns: &Transactions,
        touches: &Touches,
        infer: Infer,
        report: &mut Report<'_>,
    ) -> Order {
        let mut edges = Edges::default();
        for key in 0..txns.key_count() as u32 {
            of_key(txns, touches.of(key), infer, |a, b| {
                edges.push(Rel::Ww, a, b);
                // The initial version is first: what comes before it closes a cycle.
                if b as usize >= txns.versions.len() {
                    edges.push(Rel::Ww, b, a);
                }
            });
        }
        let graph = Graph::new(txns.versions.len() + txns.key_count(), edges);
        let mut cyclic = Vec::new();
        if !graph.is_acyclic() {
            let component = graph.components(u8::MAX);
            cyclic = component.iter().map(|c| *c != NONE).collect();
            for cycle in crate::txn::core::shortest::shortest(&graph, 16, 1 << 24) {
                let nodes: Vec<u32> = cycle.iter().map(|(v, _)| *v).collect();
                explain_cycle(txns, touches, infer, &nodes, report);
            }
        }
        Order { graph, cyclic }
    }

    pub(super) fn is_cyclic(&self, node: u32) -> bool {
        !self.cyclic.is_empty() && self.cyclic[node as usize]
    }

    pub(super) fn bytes(&self) -> usize {
        self.graph.bytes() + self.cyclic.capacity()
    }
}

/// Infers orders between the versions of one key.
fn of_key(txns: &Transactions, touches: &[Touch], infer: Infer, mut order: impl FnMut(u32, u32)) {
    if infer.wfr_keys {
        for touch in touches {
            if let (Some(found), Some(wrote)) = (touch.found, touch.wrote) {
                order(found, wrote);
            }
        }
    }
    let mut follow = |a: &Touch, b: &Touch| {
        // What b wrote follows in any case; what it found may be what a left.
        [b.found, b.wrote]
            .into_iter()
            .flatten()
            .filter(|v| *v != a.left())
            .for_each(|v| order(a.left(), v));
    };
    if infer.sequential_keys {
        let mut last: Vec<(u32, usize)> = Vec::new();
        for (i, touch) in touches.iter().enumerate() {
            let session = txns.session[touch.txn as usize];
            match last.iter_mut().find(|(s, _)| *s == session) {
                Some((_, before)) => {
                    follow(&touches[*before], touch);
                    *before = i;
                }
                None => last.push((session, i)),
            }
        }
    }
    if infer.linearizable_keys {
        // Those that may directly precede what comes: whoever ended before another one of them
        // began precedes it, and through it all that follows.
        let mut recent: Vec<usize> = Vec::new();
        for (i, touch) in touches.iter().enumerate() {
            let before = |j: &usize| txns.before(touches[*j].txn, touch.txn);
            let newest = recent.iter().copied().filter(before).map(|j| touches[j].txn).max();
            if let Some(newest) = newest {
                recent.retain(|j| !txns.before(touches[*j].txn, newest));
            }
            recent.iter().filter(|j| before(j)).for_each(|j| follow(&touches[*j], touch));
            if txns.is_ok(touch.txn) {
                recent.push(i);
            }
        }
    }
}

/// Why version `a` of a key precedes version `b`, re-derived from all touches of the key.
pub(super) fn precedes<'t>(
    txns: &Transactions,
    touches: impl Iterator<Item = &'t Touch> + Clone,
    infer: Infer,
    a: u32,
    b: u32,
) -> Option<String> {
    if a as usize >= txns.versions.len() {
        return Some("the initial value precedes all".into());
    }
    for y in touches.clone().filter(|y| y.found == Some(b) || y.wrote == Some(b)) {
        let (from, by) = (txns.value(a), txns.invoke[y.txn as usize]);
        if infer.wfr_keys && y.found == Some(a) && y.wrote == Some(b) {
            return Some(format!(
                "the transaction of event {by} read {from} and then wrote the other"
            ));
        }
        for x in touches.clone().filter(|x| x.left() == a && txns.before(x.txn, y.txn)) {
            let same = txns.session[x.txn as usize] == txns.session[y.txn as usize];
            if infer.linearizable_keys || infer.sequential_keys && same {
                let how = if same { "in the same session" } else { "in real time" };
                return Some(format!(
                    "the transaction of event {} left {from} before that of event {by} met the other, {how}",
                    txns.invoke[x.txn as usize]
                ));
            }
        }
    }
    None
}

fn explain_cycle(
    txns: &Transactions,
    touches: &Touches,
    infer: Infer,
    nodes: &[u32],
    report: &mut Report<'_>,
) {
    let value = |node: u32| {
        if (node as usize) < txns.versions.len() { txns.value(node) } else { Value::Nil }
    };
    let key = touches.all.iter().find(|t| t.found == Some(nodes[0]) || t.wrote == Some(nodes[0]));
    let Some(key) = key.map(|t| t.key) else { return };
    let of_key = touches.of(key);
    let mut lines = Vec::new();
    for (i, a) in nodes.iter().enumerate() {
        let b = nodes[(i + 1) % nodes.len()];
        let Some(why) = precedes(txns, of_key.iter(), infer, *a, b) else { return };
        lines.push(format!("{} before {}: {why}", value(*a), value(b)));
    }
    let members: Vec<u32> = of_key
        .iter()
        .filter(|t| nodes.contains(&t.left()) || t.found.is_some_and(|f| nodes.contains(&f)))
        .map(|t| t.txn)
        .take(16)
        .collect();
    report.add("cyclic-versions", || {
        let k = txns.key(key);
        Anomaly::new("cyclic-versions", Value::list([k.clone()]))
            .explained(format!("the versions of {k} have no order:\n{}", lines.join("\n")))
            .proved_by(txns.events_of(&members))
    });
}
