//! Compressed sparse graphs of transactions, and their strongly connected components.

use super::txns::NONE;

/// Why one transaction comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Rel {
    /// It wrote the version that the other's version follows.
    Ww,
    /// It wrote what the other read.
    Wr,
    /// It read a version that the other's version follows (an anti-dependency).
    Rw,
    /// The same process ran it earlier.
    Process,
    /// It ended before the other began.
    Realtime,
}

impl Rel {
    pub(crate) const ALL: [Rel; 5] = [Rel::Ww, Rel::Wr, Rel::Rw, Rel::Process, Rel::Realtime];
    pub(crate) const fn bit(self) -> u8 {
        1 << self as u8
    }
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Rel::Ww => "ww",
            Rel::Wr => "wr",
            Rel::Rw => "rw",
            Rel::Process => "process",
            Rel::Realtime => "realtime",
        }
    }
}

const KIND_SHIFT: u32 = 29;
const NODE: u32 = (1 << KIND_SHIFT) - 1;

/// Edges in no order; their kind is packed into the target's high bits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edges(Vec<(u32, u32)>);

impl Edges {
    pub(crate) const NODES_MAX: usize = NODE as usize;

    pub(crate) fn with_capacity(n: usize) -> Edges {
        Edges(Vec::with_capacity(n))
    }
    /// Adds an edge; one from a transaction to itself says nothing and is left out.
    pub(crate) fn push(&mut self, rel: Rel, from: u32, to: u32) {
        if from != to {
            self.0.push((from, to | (rel as u32) << KIND_SHIFT));
        }
    }
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Rel, u32, u32)> + '_ {
        self.0.iter().map(|(from, to)| (Rel::ALL[(to >> KIND_SHIFT) as usize], *from, to & NODE))
    }
}

/// A graph whose successors stand in one array.
#[derive(Debug)]
pub(crate) struct Graph {
    start: Vec<u32>,
    to: Vec<u32>,
}

impl Graph {
    pub(crate) fn new(nodes: usize, edges: Edges) -> Graph {
        let mut start = vec![0u32; nodes + 2];
        for (from, _) in &edges.0 {
            start[*from as usize + 2] += 1;
        }
        for i in 2..start.len() {
            start[i] += start[i - 1];
        }
        let mut to = vec![0u32; edges.len()];
        for (from, target) in edges.0 {
            let at = &mut start[from as usize + 1];
            to[*at as usize] = target;
            *at += 1;
        }
        start.pop();
        Graph { start, to }
    }

    /// All edges, to which others can be added.
    pub(crate) fn to_edges(&self) -> Edges {
        let mut edges = Edges::with_capacity(self.edges());
        for from in 0..self.nodes() as u32 {
            edges.0.extend(self.range(from).map(|i| (from, self.to[i])));
        }
        edges
    }

    pub(crate) fn nodes(&self) -> usize {
        self.start.len() - 1
    }

    pub(crate) fn edges(&self) -> usize {
        self.to.len()
    }

    pub(crate) fn successors(&self, node: u32) -> impl Iterator<Item = (Rel, u32)> + '_ {
        self.range(node).map(|i| self.edge(i))
    }

    pub(crate) fn range(&self, node: u32) -> std::ops::Range<usize> {
        self.start[node as usize] as usize..self.start[node as usize + 1] as usize
    }

    pub(crate) fn edge(&self, i: usize) -> (Rel, u32) {
        let packed = self.to[i];
        (Rel::ALL[(packed >> KIND_SHIFT) as usize], packed & NODE)
    }

    /// How many edges end in each node.
    pub(crate) fn in_degrees(&self) -> Vec<u32> {
        let mut degrees = vec![0u32; self.nodes()];
        for packed in &self.to {
            degrees[(packed & NODE) as usize] += 1;
        }
        degrees
    }

    /// Can every node be removed after all that precede it (Kahn 1962)?
    pub(crate) fn is_acyclic(&self) -> bool {
        let mut degree = self.in_degrees();
        let nodes = 0..self.nodes() as u32;
        let mut stack: Vec<u32> = nodes.filter(|n| degree[*n as usize] == 0).collect();
        let mut left = self.nodes();
        while let Some(node) = stack.pop() {
            left -= 1;
            for (_, to) in self.successors(node) {
                degree[to as usize] -= 1;
                if degree[to as usize] == 0 {
                    stack.push(to);
                }
            }
        }
        left == 0
    }

    pub(crate) fn bytes(&self) -> usize {
        (self.start.capacity() + self.to.capacity()) * 4
    }

    /// The component of each node, over the edges whose kind is in `mask`; [`NONE`] for nodes
    /// that are on no cycle (Tarjan 1972, without recursion).
    pub(crate) fn components(&self, mask: u8) -> Vec<u32> {
        let n = self.nodes();
        let mut index = vec![NONE; n];
        let mut low = vec![0u32; n];
        let mut component = vec![NONE; n];
        let mut done = vec![false; n];
        let mut stack: Vec<u32> = Vec::new();
        let mut work: Vec<(u32, usize)> = Vec::new();
        let (mut next_index, mut next_component) = (0u32, 0u32);
        for root in 0..n as u32 {
            if index[root as usize] != NONE {
                continue;
            }
            work.push((root, self.range(root).start));
            index[root as usize] = next_index;
            low[root as usize] = next_index;
            next_index += 1;
            stack.push(root);
            while let Some((v, at)) = work.last_mut() {
                let v = *v;
                if *at < self.range(v).end {
                    let (rel, w) = self.edge(*at);
                    *at += 1;
                    if rel.bit() & mask == 0 || done[w as usize] {
                        continue;
                    }
                    if index[w as usize] == NONE {
                        index[w as usize] = next_index;
                        low[w as usize] = next_index;
                        next_index += 1;
                        stack.push(w);
                        work.push((w, self.range(w).start));
                    } else {
                        low[v as usize] = low[v as usize].min(index[w as usize]);
                    }
                    continue;
                }
                work.pop();
                if let Some((parent, _)) = work.last() {
                    low[*parent as usize] = low[*parent as usize].min(low[v as usize]);
                }
                if low[v as usize] == index[v as usize] {
                    let from = stack.iter().rposition(|w| *w == v).unwrap_or(0);
                    let alone = stack.len() - from == 1;
                    for w in stack.drain(from..) {
                        done[w as usize] = true;
                        component[w as usize] = if alone { NONE } else { next_component };
                    }
                    next_component += u32::from(!alone);
                }
            }
        }
        component
    }
}
