//! Which of Adya's phenomena a graph of dependencies has, each with its shortest cycle.

use std::collections::BTreeMap;

use super::graph::{Graph, Rel};
use super::peel::{Part, peel};
use super::txns::{NONE, Transactions};

/// What a cycle is made of, strongest first: each one is a case of the next in the graph with
/// more kinds of edges.
///
/// G0, G1c, G-single and G2-item: Adya, *Weak Consistency* (1999), chapter 4. G-nonadjacent:
/// Cerone and Gotsman, *Analysing Snapshot Isolation* (2018), theorem 9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Base {
    /// Writes only.
    G0,
    /// Writes and reads of them.
    G1c,
    /// Exactly one anti-dependency.
    GSingle,
    /// Several, no two of them in a row.
    GNonadjacent,
    /// Any number.
    G2Item,
}

/// Which order besides that of the data a cycle needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Level {
    Data,
    Process,
    Realtime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Class {
    pub(crate) level: Level,
    pub(crate) base: Base,
}

impl Class {
    pub(crate) fn all() -> impl Iterator<Item = Class> {
        use Base::*;
        [Level::Data, Level::Process, Level::Realtime].into_iter().flat_map(|level| {
            [G0, G1c, GSingle, GNonadjacent, G2Item]
                .into_iter()
                .map(move |base| Class { level, base })
        })
    }

    pub(crate) const fn name(self) -> &'static str {
        use Base::*;
        match (self.base, self.level) {
            (G0, Level::Data) => "G0",
            (G0, Level::Process) => "G0-process",
            (G0, Level::Realtime) => "G0-realtime",
            (G1c, Level::Data) => "G1c",
            (G1c, Level::Process) => "G1c-process",
            (G1c, Level::Realtime) => "G1c-realtime",
            (GSingle, Level::Data) => "G-single",
            (GSingle, Level::Process) => "G-single-process",
            (GSingle, Level::Realtime) => "G-single-realtime",
            (GNonadjacent, Level::Data) => "G-nonadjacent",
            (GNonadjacent, Level::Process) => "G-nonadjacent-process",
            (GNonadjacent, Level::Realtime) => "G-nonadjacent-realtime",
            (G2Item, Level::Data) => "G2-item",
            (G2Item, Level::Process) => "G2-item-process",
            (G2Item, Level::Realtime) => "G2-item-realtime",
        }
    }

    /// The edges that cycles of this class may have.
    pub(crate) const fn mask(self) -> u8 {
        let base = match self.base {
            Base::G0 => Rel::Ww.bit(),
            Base::G1c => Rel::Ww.bit() | Rel::Wr.bit(),
            _ => Rel::Ww.bit() | Rel::Wr.bit() | Rel::Rw.bit(),
        };
        base | match self.level {
            Level::Data => 0,
            Level::Process => Rel::Process.bit(),
            Level::Realtime => Rel::Process.bit() | Rel::Realtime.bit(),
        }
    }

    /// The edge that such a cycle has at least one of.
    const fn needs(self) -> Rel {
        match self.base {
            Base::G0 => Rel::Ww,
            Base::G1c => Rel::Wr,
            _ => Rel::Rw,
        }
    }

    /// The class of a cycle, from its edges alone.
    pub(crate) fn of(steps: &[Step]) -> Class {
        let has = |rel| steps.iter().any(|s| s.rel == rel);
        let level = match (has(Rel::Realtime), has(Rel::Process)) {
            (true, _) => Level::Realtime,
            (_, true) => Level::Process,
            _ => Level::Data,
        };
        let anti = steps.iter().filter(|s| s.rel == Rel::Rw).count();
        let adjacent = (0..steps.len())
            .any(|i| steps[i].rel == Rel::Rw && steps[(i + 1) % steps.len()].rel == Rel::Rw);
        let base = match anti {
            0 if has(Rel::Wr) => Base::G1c,
            0 => Base::G0,
            1 => Base::GSingle,
            _ if adjacent => Base::G2Item,
            _ => Base::GNonadjacent,
        };
        Class { level, base }
    }
}

/// One edge of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) from: u32,
    pub(crate) rel: Rel,
    pub(crate) to: u32,
}

/// What a search gave.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Shortest ones of their component, at most [`PER_CLASS_MAX`] of a class.
    pub(crate) cycles: Vec<(Class, Vec<Step>)>,
    /// How many searches for each class found a cycle, which is of this class or a case of it; after
    /// [`PER_CLASS_MAX`] there are no more. What excludes the class is known by then.
    pub(crate) met: BTreeMap<Class, usize>,
    /// Did the budget end before every class was either found or excluded?
    pub(crate) gave_up: bool,
    /// The first event whose transaction is on a cycle, whatever its class.
    pub(crate) clean_until: Option<u32>,
    /// Is there no cycle at all, whatever its edges, the order of real time among them if asked for?
    pub(crate) acyclic: bool,
}

impl Found {
    fn count(&self, class: Class) -> usize {
        self.cycles.iter().filter(|(c, _)| *c == class).count()
    }

    /// May there be more cycles of this class than those found?
    pub(crate) fn may_be_more(&self, class: Class) -> bool {
        let searches = self.met.get(&class).copied().unwrap_or(0);
        searches.max(self.count(class)) >= PER_CLASS_MAX
    }
}

pub(crate) const PER_CLASS_MAX: usize = 16;
/// After a first cycle, so many more steps may be spent on a shorter one.
const SHORTER_STEPS_MAX: u64 = 2_000_000;

/// Finds cycles of the classes in `wanted`, within a budget of steps along edges.
pub(crate) fn search(graph: &Graph, txns: &Transactions, wanted: &[Class], budget: u64) -> Found {
    let mut found = Found::default();
    let mask = wanted.iter().fold(0, |m, c| m | c.mask());
    let realtime = mask & Rel::Realtime.bit() != 0;
    let remaining = peel(graph, txns, realtime);
    if remaining.is_empty() {
        found.acyclic = true;
        return found;
    }
    let mut local = vec![NONE; graph.nodes()];
    let rest = Part::new(graph, txns, remaining, &mut local);
    let mut budget = budget;
    for nodes in groups(&rest.components(mask)) {
        let nodes: Vec<u32> = nodes.into_iter().map(|i| rest.nodes[i as usize]).collect();
        let first = txns.invoke[nodes[0] as usize];
        found.clean_until = Some(found.clean_until.map_or(first, |c| c.min(first)));
        let part = Part::new(graph, txns, nodes, &mut local);
        search_part(&part, wanted, &mut budget, &mut found);
    }
    found.cycles.sort_by_key(|(class, steps)| (*class, steps.len()));
    found
}

/// The members of each component, in order.
fn groups(component: &[u32]) -> Vec<Vec<u32>> {
    let count = component.iter().filter(|c| **c != NONE).max().map_or(0, |c| *c as usize + 1);
    let mut groups = vec![Vec::new(); count];
    for (i, c) in component.iter().enumerate().filter(|(_, c)| **c != NONE) {
        groups[*c as usize].push(i as u32);
    }
    groups
}

fn search_part(part: &Part, wanted: &[Class], budget: &mut u64, found: &mut Found) {
    let mut here: Vec<Class> = Vec::new();
    for class in wanted {
        if found.met.get(class).is_some_and(|n| *n >= PER_CLASS_MAX) {
            continue;
        }
        // What is found already says more, or is a case of this class.
        let implied = here.iter().any(|h| {
            let same_level =
                h.level == class.level && h.base >= Base::GSingle && class.base > Base::GSingle;
            h.base <= class.base && (h.level < class.level || same_level || h.base == class.base)
        });
        if implied {
            continue;
        }
        let mut walker = Walker::new(part, *class, budget);
        match walker.shortest() {
            Some(steps) => {
                *found.met.entry(*class).or_default() += 1;
                let class = Class::of(&steps);
                here.push(class);
                if found.count(class) < PER_CLASS_MAX {
                    found.cycles.push((class, steps));
                }
            }
            None => found.gave_up |= walker.gave_up,
        }
    }
}

/// Breadth-first search inside the components of one class.
struct Walker<'a> {
    part: &'a Part,
    class: Class,
    component: Vec<u32>,
    budget: &'a mut u64,
    gave_up: bool,
    /// Per state (node, came by an anti-dependency): in which search it was met, and from where.
    met: Vec<u32>,
    parent: Vec<(u32, Rel)>,
    search: u32,
    queue: Vec<u32>,
}

impl<'a> Walker<'a> {
    fn new(part: &'a Part, class: Class, budget: &'a mut u64) -> Walker<'a> {
        let n = part.nodes.len();
        Walker {
            part,
            class,
            component: part.components(class.mask()),
            budget,
            gave_up: false,
            met: vec![0; 2 * n],
            parent: vec![(0, Rel::Ww); 2 * n],
            search: 0,
            queue: Vec::new(),
        }
    }

    fn shortest(&mut self) -> Option<Vec<Step>> {
        let part = self.part;
        let mut best: Option<Vec<Step>> = None;
        let mut floor = 0;
        for a in 0..part.nodes.len() as u32 {
            for (rel, b) in part.graph.successors(a) {
                let together = self.component[a as usize] != NONE
                    && self.component[a as usize] == self.component[b as usize];
                if rel != self.class.needs() || !together {
                    continue;
                }
                if *self.budget <= floor {
                    self.gave_up = best.is_none();
                    return best;
                }
                let limit = best.as_ref().map_or(usize::MAX, |b| b.len() - 1);
                if let Some(steps) = self.close(a, b, limit) {
                    if best.is_none() {
                        floor = self.budget.saturating_sub(SHORTER_STEPS_MAX);
                    }
                    if steps.len() == 2 {
                        return Some(steps);
                    }
                    best = Some(steps);
                }
            }
        }
        best
    }

    /// The shortest cycle of at most `limit` edges that begins with the edge from `a` to `b`.
    fn close(&mut self, a: u32, b: u32, limit: usize) -> Option<Vec<Step>> {
        let apart = self.class.base == Base::GNonadjacent;
        let mask = match self.class.base {
            Base::GSingle => self.class.mask() & !Rel::Rw.bit(),
            _ => self.class.mask(),
        };
        self.search += 1;
        let first = b * 2 + u32::from(apart);
        self.met[first as usize] = self.search;
        self.queue.clear();
        self.queue.push(first);
        let (mut at, mut level_end, mut depth) = (0, 1, 1);
        let mut unseen = self.part.nodes.len();
        while at < self.queue.len() && *self.budget > 0 {
            if at == level_end {
                level_end = self.queue.len();
                depth += 1;
            }
            if depth >= limit {
                return None;
            }
            let state = self.queue[at];
            at += 1;
            let (v, by_rw) = (state / 2, state % 2 == 1);
            for (rel, w) in self.part.graph.successors(v) {
                *self.budget = self.budget.saturating_sub(1);
                let allowed = rel.bit() & mask != 0 && !(by_rw && rel == Rel::Rw);
                if allowed && self.meet(state, rel, w, apart && rel == Rel::Rw) && w == a {
                    // With the first edge an anti-dependency, the last one must be none.
                    if !(apart && rel == Rel::Rw) {
                        return self.path(a, b, a * 2, first);
                    }
                }
            }
            if mask & Rel::Realtime.bit() != 0 && self.part.complete[v as usize] != NONE {
                // Whatever began after v's end: a suffix of the nodes, of which those behind
                // `unseen` have been met already.
                let end = self.part.complete[v as usize];
                let from = self.part.invoke.partition_point(|i| *i <= end);
                for w in from..unseen {
                    *self.budget = self.budget.saturating_sub(1);
                    if self.meet(state, Rel::Realtime, w as u32, false) && w as u32 == a {
                        return self.path(a, b, a * 2, first);
                    }
                }
                unseen = unseen.min(from);
            }
        }
        None
    }

    fn meet(&mut self, from: u32, rel: Rel, node: u32, flag: bool) -> bool {
        let state = node * 2 + u32::from(flag);
        let same = self.component[node as usize] == self.component[(from / 2) as usize];
        if !same || self.met[state as usize] == self.search {
            return false;
        }
        self.met[state as usize] = self.search;
        self.parent[state as usize] = (from, rel);
        self.queue.push(state);
        true
    }

    /// The cycle, or nothing where it meets a transaction twice: then a stronger class has it.
    fn path(&self, a: u32, b: u32, last: u32, first: u32) -> Option<Vec<Step>> {
        let txn = |node: u32| self.part.nodes[node as usize];
        let mut steps = Vec::new();
        let mut state = last;
        while state != first {
            let (from, rel) = self.parent[state as usize];
            steps.push(Step { from: txn(from / 2), rel, to: txn(state / 2) });
            state = from;
        }
        steps.push(Step { from: txn(a), rel: self.class.needs(), to: txn(b) });
        steps.reverse();
        let mut nodes: Vec<u32> = steps.iter().map(|s| s.from).collect();
        nodes.sort_unstable();
        nodes.windows(2).all(|w| w[0] != w[1]).then_some(steps)
    }
}
