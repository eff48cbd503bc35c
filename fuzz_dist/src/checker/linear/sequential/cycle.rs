//! The operations that contradict each other where what must come before what is a cycle.

use std::collections::{HashMap, HashSet, VecDeque};

use super::order::{Known, Why};

impl Known<'_> {
    /// A cycle among operations that still wait: whoever waits, waits for one that waits.
    pub(super) fn cycle(&self, stuck: usize, waits: &[u32]) -> Vec<usize> {
        let mut into: Vec<Option<usize>> = vec![None; waits.len()];
        for (i, edge) in self.edges.iter().enumerate() {
            if waits[edge.from] > 0 && waits[edge.to] > 0 {
                into[edge.to] = Some(i);
            }
        }
        let back = |to: usize| into[to].expect("who waits, waits for one that waits");
        let (mut edge, mut edges, mut met) = (back(stuck), Vec::new(), HashSet::new());
        while met.insert(edge) {
            edges.push(edge);
            edge = back(self.edges[edge].from);
        }
        let first = edges.iter().position(|e| *e == edge).unwrap_or(0);
        edges.split_off(first)
    }

    /// The operations that a cycle is about, and those from which it follows.
    pub(super) fn needed(&self, cycle: Vec<usize>) -> Vec<usize> {
        let (mut ops, mut met, mut left) = (HashSet::new(), HashSet::new(), cycle);
        while let Some(i) = left.pop() {
            let edge = &self.edges[i];
            if !met.insert(i) || matches!(edge.why, Why::Session) {
                continue;
            }
            ops.extend([edge.from, edge.to]);
            match edge.why {
                Why::BeforeRead(read) => {
                    ops.insert(read);
                    left.extend(self.path(edge.from, read, edge.round));
                }
                Why::AfterWrite(Some(write)) => {
                    ops.insert(write);
                    left.extend(self.path(write, edge.to, edge.round));
                }
                Why::Session | Why::ReadFrom | Why::AfterWrite(None) => {}
            }
        }
        self.reads.with_observers(ops)
    }

    /// The edges of a way from one operation to another one, older than `round`, of which as few as
    /// can be lead from one session to another one.
    fn path(&self, from: usize, to: usize, round: u32) -> Vec<usize> {
        let mut into: HashMap<usize, usize> = HashMap::new();
        let mut done = HashSet::new();
        let mut queue = VecDeque::from([(from, None)]);
        while let Some((at, edge)) = queue.pop_front() {
            if !done.insert(at) {
                continue;
            }
            into.extend(edge.map(|edge| (at, edge)));
            if at == to {
                break;
            }
            for next in self.out[at].iter().map(|e| *e as usize) {
                let edge = &self.edges[next];
                match edge.why {
                    _ if edge.round >= round => {}
                    Why::Session => queue.push_front((edge.to, Some(next))),
                    _ => queue.push_back((edge.to, Some(next))),
                }
            }
        }
        let back = std::iter::successors(into.get(&to), |edge| into.get(&self.edges[**edge].from));
        back.copied().collect()
    }
}
