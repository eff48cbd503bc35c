//! The operations that contradict each other where what must come before what is a cycle.

use std::collections::{HashMap, HashSet, VecDeque};

use super::graph::Why;
use super::known::{Contradiction, Known, Within};

impl Known<'_> {
    /// The operations that a way from one to itself is about, and those from which it follows.
    pub(super) fn contradiction(&self, of: usize, within: Within) -> Contradiction {
        let (mut ops, mut met, mut assumed) = (HashSet::new(), HashSet::new(), None);
        let mut left = self.path(of, of, self.graph.edges.len(), within);
        while let Some(i) = left.pop() {
            let edge = self.graph.edges[i];
            if !met.insert(i) || matches!(edge.why, Why::Session) {
                continue;
            }
            let (from, to) = (edge.from as usize, edge.to as usize);
            ops.extend([from, to]);
            match edge.why {
                Why::BeforeRead(read) => {
                    let read = read as usize;
                    ops.insert(read);
                    left.extend(self.path(from, read, i, Within::Before(read)));
                }
                Why::AfterWrite(write) => {
                    let write = write as usize;
                    ops.insert(write);
                    left.extend(self.path(write, to, i, Within::After(write)));
                }
                Why::Assumed => {
                    let gap = self.times[to].saturating_sub(self.times[from]);
                    assumed = assumed.max(Some(gap));
                }
                Why::Session | Why::ReadFrom | Why::AfterBeginning => {}
            }
        }
        Contradiction { needed: self.reads.with_observers(ops), assumed }
    }

    /// The edges of a way from one operation to another one, found before `edge`, of which as few as
    /// can be lead from one session to another one, and fewer still are assumed.
    fn path(&self, from: usize, to: usize, edge: usize, within: Within) -> Vec<usize> {
        let mut into: HashMap<usize, usize> = HashMap::new();
        let mut queue = VecDeque::from([(from, None)]);
        // What can only be reached by what is assumed.
        let mut far = VecDeque::new();
        while let Some((at, by)) = queue.pop_front().or_else(|| far.pop_front()) {
            if let Some(by) = by {
                if into.contains_key(&at) {
                    continue;
                }
                into.insert(at, by);
                if at == to {
                    break;
                }
            }
            for next in self.graph.out(at).filter(|next| *next < edge) {
                let edge = self.graph.edges[next];
                let to = edge.to as usize;
                match edge.why {
                    _ if !self.is_within(to, within) => {}
                    Why::Session => queue.push_front((to, Some(next))),
                    Why::Assumed => far.push_back((to, Some(next))),
                    _ => queue.push_back((to, Some(next))),
                }
            }
        }
        // Back from the end, once around if it is the beginning, too.
        let (mut at, mut path) = (to, Vec::new());
        while let Some(edge) = into.get(&at) {
            path.push(*edge);
            at = self.graph.edges[*edge].from as usize;
            if at == from {
                break;
            }
        }
        path
    }
}
