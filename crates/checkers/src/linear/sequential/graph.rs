//! What is known to come before what, and why.

/// Why one operation comes before another one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Why {
    /// Their session did them in this order.
    Session,
    /// Nothing but that it makes things simpler.
    Assumed,
    /// The second read what the first wrote.
    ReadFrom,
    /// The first is a write before this read, which read from the second.
    BeforeRead(u32),
    /// The second is a write after this one, from which the first read.
    AfterWrite(u32),
    /// The first read what was there in the beginning, which the second wrote over.
    AfterBeginning,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) why: Why,
    next_out: u32,
    next_in: u32,
}

const NONE: u32 = u32::MAX;

/// Edges between operations, in the order in which they were found: each follows from earlier ones.
#[derive(Default)]
pub(super) struct Graph {
    pub(super) edges: Vec<Edge>,
    /// Per operation: the latest edge from it, and to it.
    out: Vec<u32>,
    into: Vec<u32>,
}

impl Graph {
    pub(super) fn new(operations: usize) -> Graph {
        Graph { edges: Vec::new(), out: vec![NONE; operations], into: vec![NONE; operations] }
    }

    pub(super) fn add(&mut self, from: usize, to: usize, why: Why) {
        let id = self.edges.len() as u32;
        let next_out = std::mem::replace(&mut self.out[from], id);
        let next_in = std::mem::replace(&mut self.into[to], id);
        self.edges.push(Edge { from: from as u32, to: to as u32, why, next_out, next_in });
    }

    /// The latest edge from an operation, by its number, and the one before an edge there.
    pub(super) fn first_out(&self, i: usize) -> Option<usize> {
        some(self.out[i])
    }

    pub(super) fn next_out(&self, edge: usize) -> Option<usize> {
        some(self.edges[edge].next_out)
    }

    /// The latest edge to an operation, and the one before an edge there.
    pub(super) fn first_into(&self, i: usize) -> Option<usize> {
        some(self.into[i])
    }

    pub(super) fn next_into(&self, edge: usize) -> Option<usize> {
        some(self.edges[edge].next_in)
    }

    /// The edges from an operation.
    pub(super) fn out(&self, i: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(self.first_out(i), |edge| self.next_out(*edge))
    }

    /// What comes after an operation, maybe repeatedly.
    pub(super) fn after(&self, i: usize) -> impl Iterator<Item = usize> + '_ {
        self.out(i).map(|edge| self.edges[edge].to as usize)
    }

    /// Per operation: how many edges lead to it.
    pub(super) fn waits(&self) -> Vec<u32> {
        let mut waits = vec![0; self.into.len()];
        self.edges.iter().for_each(|edge| waits[edge.to as usize] += 1);
        waits
    }

    pub(super) fn bytes(&self) -> usize {
        self.edges.capacity() * size_of::<Edge>() + self.out.len() * 8
    }
}

fn some(edge: u32) -> Option<usize> {
    (edge != NONE).then_some(edge as usize)
}
