//! Is there an order of commits at all?

use super::axioms::Forced;
use super::base::{Base, INIT};

/// Can the order of sessions, that of reads after what they read, and the forced orders all hold? Nodes
/// are removed after all that follow them (Kahn 1962), since what comes before a node is what its
/// reads say: no graph of these has to be built. Gives the memory that it took, too.
pub(super) fn is_acyclic(base: &Base<'_>, forced: &[Forced]) -> (bool, usize) {
    let (start, earlier) = by_target(base.len(), forced);
    // Per node: how many edges to nodes that were not removed so far.
    let mut followers = vec![0u32; base.len()];
    for node in 0..base.len() as u32 {
        if !base.is_first(node) {
            followers[node as usize - 1] += 1;
        }
    }
    for from in base.reads.iter().map(|r| r.from).filter(|from| *from != INIT) {
        followers[from as usize] += 1;
    }
    forced.iter().for_each(|f| followers[f.from as usize] += 1);
    let nodes = 0..base.len() as u32;
    let mut stack: Vec<u32> = nodes.filter(|n| followers[*n as usize] == 0).collect();
    let mut left = base.len();
    while let Some(node) = stack.pop() {
        left -= 1;
        let mut remove = |from: u32| {
            followers[from as usize] -= 1;
            if followers[from as usize] == 0 {
                stack.push(from);
            }
        };
        if !base.is_first(node) {
            remove(node - 1);
        }
        base.reads_of(node).iter().map(|r| r.from).filter(|f| *f != INIT).for_each(&mut remove);
        let range = start[node as usize] as usize..start[node as usize + 1] as usize;
        earlier[range].iter().copied().for_each(remove);
    }
    (left == 0, (start.capacity() + earlier.capacity() + followers.capacity()) * 4)
}

/// Per node, and one more: where those begin that are forced to be before it; and these.
fn by_target(nodes: usize, forced: &[Forced]) -> (Vec<u32>, Vec<u32>) {
    let mut start = vec![0u32; nodes + 2];
    for f in forced {
        start[f.to as usize + 2] += 1;
    }
    for i in 2..start.len() {
        start[i] += start[i - 1];
    }
    let mut earlier = vec![0u32; forced.len()];
    for f in forced {
        let at = &mut start[f.to as usize + 1];
        earlier[*at as usize] = f.from;
        *at += 1;
    }
    start.pop();
    (start, earlier)
}
