//! Is the graph acyclic? Removes transactions that nothing precedes until none is left, with
//! the order of real time as an implicit constraint instead of edges.

use super::graph::{Edges, Graph, Rel};
use super::txns::{NONE, Status, Transactions};

/// The transactions that remain when those that nothing (left) precedes are removed again and
/// again (Kahn 1962): none where the graph is acyclic.
///
/// With `realtime` a transaction is removed only after all that ended before it began. No edges
/// are needed for that: events are walked in order, and the walk halts at the completion of a
/// transaction that is still there.
pub(crate) fn peel(graph: &Graph, txns: &Transactions, realtime: bool) -> Vec<u32> {
    let n = graph.nodes();
    let mut degree = graph.in_degrees();
    let mut left = n;
    let mut stack: Vec<u32> = Vec::new();
    if !realtime {
        stack.extend((0..n as u32).filter(|t| degree[*t as usize] == 0));
        while let Some(t) = stack.pop() {
            left -= 1;
            release(graph, t, &mut degree, |u| stack.push(u));
            degree[t as usize] = NONE;
        }
    } else {
        left -= peel_in_real_time(graph, txns, &mut degree, &mut stack);
    }
    if left == 0 {
        return Vec::new();
    }
    (0..n as u32).filter(|t| degree[*t as usize] != NONE).collect()
}

/// Marks the removed ones with a degree of [`NONE`], and counts them.
fn peel_in_real_time(
    graph: &Graph,
    txns: &Transactions,
    degree: &mut [u32],
    stack: &mut Vec<u32>,
) -> usize {
    let mut at_event = vec![NONE; txns.events];
    for t in 0..txns.len() {
        at_event[txns.invoke[t] as usize] = t as u32;
        if txns.status[t] == Status::Ok {
            at_event[txns.complete[t] as usize] = t as u32;
        }
    }
    let mut removed = 0;
    // One more predecessor for each: its turn in time, which the walk gives.
    degree.iter_mut().for_each(|d| *d += 1);
    for (event, t) in at_event.iter().copied().enumerate() {
        if t == NONE {
            continue;
        }
        if txns.invoke[t as usize] as usize == event {
            degree[t as usize] -= 1;
            if degree[t as usize] == 0 {
                stack.push(t);
            }
        } else if degree[t as usize] != NONE {
            // It should have been removed by now: whatever it waits for cannot come.
            return removed;
        }
        while let Some(t) = stack.pop() {
            removed += 1;
            release(graph, t, degree, |u| stack.push(u));
            degree[t as usize] = NONE;
        }
    }
    removed
}

fn release(graph: &Graph, t: u32, degree: &mut [u32], mut free: impl FnMut(u32)) {
    for (_, u) in graph.successors(t) {
        degree[u as usize] -= 1;
        if degree[u as usize] == 0 {
            free(u);
        }
    }
}

/// A part of a graph: nodes renumbered, edges among them only.
pub(crate) struct Part {
    /// Transactions, ascending, which is the order of their invocation.
    pub(crate) nodes: Vec<u32>,
    pub(crate) graph: Graph,
    pub(crate) invoke: Vec<u32>,
    /// The completion, [`NONE`] where nothing has to come after it.
    pub(crate) complete: Vec<u32>,
}

impl Part {
    /// `local` is a scratch column over all nodes of the whole graph, all [`NONE`].
    pub(crate) fn new(
        whole: &Graph,
        txns: &Transactions,
        nodes: Vec<u32>,
        local: &mut [u32],
    ) -> Part {
        for (i, t) in nodes.iter().enumerate() {
            local[*t as usize] = i as u32;
        }
        let mut edges = Edges::default();
        for (i, t) in nodes.iter().enumerate() {
            for (rel, u) in whole.successors(*t).filter(|(_, u)| local[*u as usize] != NONE) {
                edges.push(rel, i as u32, local[u as usize]);
            }
        }
        for t in &nodes {
            local[*t as usize] = NONE;
        }
        let invoke = nodes.iter().map(|t| txns.invoke[*t as usize]).collect();
        let complete = nodes
            .iter()
            .map(|t| if txns.is_ok(*t) { txns.complete[*t as usize] } else { NONE })
            .collect();
        Part { graph: Graph::new(nodes.len(), edges), nodes, invoke, complete }
    }

    /// The component of each node over the edges in `mask`; see [`Graph::components`].
    pub(crate) fn components(&self, mask: u8) -> Vec<u32> {
        if mask & Rel::Realtime.bit() == 0 {
            return self.graph.components(mask);
        }
        let mut all = self.with_moments().components(mask);
        all.truncate(self.nodes.len());
        all
    }

    /// The part with one more node for each moment at which a transaction ends, so that real
    /// time takes a linear number of edges: transaction → moment → next moment → transaction.
    fn with_moments(&self) -> Graph {
        let n = self.nodes.len();
        let mut ends: Vec<(u32, u32)> = (0..n as u32)
            .map(|i| (self.complete[i as usize], i))
            .filter(|(end, _)| *end != NONE)
            .collect();
        ends.sort_unstable();
        let mut edges = Edges::with_capacity(self.graph.edges() + 3 * n);
        for i in 0..n as u32 {
            for (rel, j) in self.graph.successors(i) {
                edges.push(rel, i, j);
            }
            let before = ends.partition_point(|(end, _)| *end < self.invoke[i as usize]);
            if before > 0 {
                edges.push(Rel::Realtime, (n + before - 1) as u32, i);
            }
        }
        for (at, (_, i)) in ends.iter().enumerate() {
            edges.push(Rel::Realtime, *i, (n + at) as u32);
            if at > 0 {
                edges.push(Rel::Realtime, (n + at - 1) as u32, (n + at) as u32);
            }
        }
        Graph::new(n + ends.len(), edges)
    }
}
