//! The shortest cycles of a graph, whatever their edges are.

use super::graph::{Graph, Rel};
use super::txns::NONE;

/// A shortest cycle of each component (at most `count` of them): nodes, and the edge that leaves
/// each. Within a budget of steps; the first component gets at least one search.
pub(crate) fn shortest(graph: &Graph, count: usize, budget: u64) -> Vec<Vec<(u32, Rel)>> {
    let component = graph.components(u8::MAX);
    let components = component.iter().filter(|c| **c != NONE).max().map_or(0, |c| *c as usize + 1);
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); components];
    for (node, c) in component.iter().enumerate().filter(|(_, c)| **c != NONE) {
        members[*c as usize].push(node as u32);
    }
    members.sort_by_key(Vec::len);
    let mut search = Search {
        graph,
        component: &component,
        met: vec![NONE; graph.nodes()],
        parent: vec![(0, Rel::Ww); graph.nodes()],
        budget,
    };
    members.truncate(count);
    members.iter().filter_map(|m| search.component(m)).collect()
}

struct Search<'a> {
    graph: &'a Graph,
    component: &'a [u32],
    met: Vec<u32>,
    parent: Vec<(u32, Rel)>,
    budget: u64,
}

impl Search<'_> {
    fn component(&mut self, members: &[u32]) -> Option<Vec<(u32, Rel)>> {
        let mut best: Option<Vec<(u32, Rel)>> = None;
        for start in members {
            let limit = best.as_ref().map_or(usize::MAX, Vec::len);
            // The first search is always made: an answer is worth more than a budget kept.
            if self.budget == 0 && best.is_some() || limit == 2 {
                break;
            }
            if let Some(cycle) = self.from(*start, limit) {
                best = Some(cycle);
            }
        }
        best
    }

    /// The shortest cycle through `start` that has fewer than `limit` edges.
    fn from(&mut self, start: u32, limit: usize) -> Option<Vec<(u32, Rel)>> {
        let mut queue = vec![start];
        self.met[start as usize] = start;
        let (mut at, mut level_end, mut depth) = (0, 1, 0);
        while at < queue.len() {
            if at == level_end {
                level_end = queue.len();
                depth += 1;
            }
            if depth + 1 >= limit {
                return None;
            }
            let v = queue[at];
            at += 1;
            for (rel, w) in self.graph.successors(v) {
                self.budget = self.budget.saturating_sub(1);
                if w == start {
                    return Some(self.path(start, v, rel));
                }
                let same = self.component[w as usize] == self.component[v as usize];
                if same && self.met[w as usize] != start {
                    self.met[w as usize] = start;
                    self.parent[w as usize] = (v, rel);
                    queue.push(w);
                }
            }
        }
        None
    }

    fn path(&self, start: u32, last: u32, rel: Rel) -> Vec<(u32, Rel)> {
        let mut cycle = vec![(last, rel)];
        let mut node = last;
        while node != start {
            let (from, rel) = self.parent[node as usize];
            cycle.push((from, rel));
            node = from;
        }
        cycle.reverse();
        cycle
    }
}
