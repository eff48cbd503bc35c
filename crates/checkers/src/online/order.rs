//! A topological order of a graph that grows edge by edge (Pearce and Kelly, *A Dynamic Topological
//! Sort Algorithm for Directed Acyclic Graphs*, JEA 2007): an edge costs something only where it
//! points back, and then as much as lies between its ends.

/// No more links.
const END: u32 = u32::MAX;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Per node: its place in the order.
    place: Vec<u32>,
    /// Per node: the first link to its successors, and to its predecessors.
    first: [Vec<u32>; 2],
    links: Vec<Link>,
    /// Nodes that the current search has visited.
    visited: Vec<bool>,
    /// The nodes and links that searches have looked at.
    pub(super) steps: u64,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    node: u32,
    next: u32,
}

/// Which way a search goes.
#[derive(Clone, Copy)]
enum To {
    Successors,
    Predecessors,
}

impl Order {
    /// Adds a node behind all others.
    pub(super) fn node(&mut self) -> u32 {
        let node = self.place.len() as u32;
        self.place.push(node);
        self.first.iter_mut().for_each(|first| first.push(END));
        self.visited.push(false);
        node
    }

    /// Adds an edge. Is there still an order? If not, the edge is not in the graph.
    pub(super) fn add(&mut self, from: u32, to: u32) -> bool {
        self.steps += 1;
        let (low, high) = (self.place[to as usize], self.place[from as usize]);
        if low < high {
            let behind = self.reached(to, To::Successors, low..=high);
            if behind.contains(&from) {
                return false;
            }
            let before = self.reached(from, To::Predecessors, low..=high);
            self.rearrange(before, behind);
        }
        if from != to {
            self.link(To::Successors, from, to);
            self.link(To::Predecessors, to, from);
        }
        from != to
    }

    fn link(&mut self, to: To, node: u32, other: u32) {
        let first = &mut self.first[to as usize][node as usize];
        self.links.push(Link { node: other, next: *first });
        *first = self.links.len() as u32 - 1;
    }

    /// The nodes that can be reached within these places, in the order of their places.
    fn reached(&mut self, start: u32, to: To, places: std::ops::RangeInclusive<u32>) -> Vec<u32> {
        let mut found = vec![start];
        self.visited[start as usize] = true;
        let mut next = 0;
        while next < found.len() {
            let mut link = self.first[to as usize][found[next] as usize];
            next += 1;
            while link != END {
                self.steps += 1;
                let Link { node, next } = self.links[link as usize];
                link = next;
                let inside = places.contains(&self.place[node as usize]);
                if inside && !std::mem::replace(&mut self.visited[node as usize], true) {
                    found.push(node);
                }
            }
        }
        found.iter().for_each(|node| self.visited[*node as usize] = false);
        found.sort_unstable_by_key(|node| self.place[*node as usize]);
        found
    }

    /// Puts the first nodes before the others, in the places that they have together.
    fn rearrange(&mut self, before: Vec<u32>, behind: Vec<u32>) {
        let nodes = || before.iter().chain(&behind);
        let mut places: Vec<u32> = nodes().map(|node| self.place[*node as usize]).collect();
        places.sort_unstable();
        nodes().zip(places).for_each(|(node, place)| self.place[*node as usize] = place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fuzz_dist_random::Seed;

    /// Is `to` reachable from `from`?
    fn reachable(edges: &[(u32, u32)], from: u32, to: u32) -> bool {
        let mut found = vec![from];
        let mut next = 0;
        while next < found.len() {
            let node = found[next];
            next += 1;
            for (_, b) in edges.iter().filter(|(a, _)| *a == node) {
                if !found.contains(b) {
                    found.push(*b);
                }
            }
        }
        found.contains(&to)
    }

    #[test]
    fn an_order_is_kept_until_an_edge_closes_a_cycle() {
        let mut refused = 0;
        for seed in 0..300 {
            let mut s = Seed(seed).stream("order");
            let (mut order, mut edges) = (Order::default(), Vec::new());
            for _ in 0..60 {
                let nodes = order.place.len();
                if nodes < 2 || s.chance(0.2) {
                    order.node();
                    continue;
                }
                let (from, to) = (s.index(nodes) as u32, s.index(nodes) as u32);
                let cyclic = reachable(&edges, to, from);
                assert_eq!(order.add(from, to), !cyclic, "seed {seed}: {from} to {to}");
                match cyclic {
                    true => refused += 1,
                    false => edges.push((from, to)),
                }
                let place = |node: u32| order.place[node as usize];
                assert!(edges.iter().all(|(a, b)| place(*a) < place(*b)), "seed {seed}");
                let mut places = order.place.clone();
                places.sort_unstable();
                assert!(places.into_iter().eq(0..nodes as u32), "seed {seed}");
            }
        }
        assert!(refused > 500, "{refused}");
    }
}
