//! Causal memory: each session orders what it has seen, so that all of its own reads fit.
//!
//! Ahamad et al., *Causal Memory: Definitions, Implementation, and Programming* (1995). By
//! Bouajjani, Enea, Guerraoui and Hamza (*On Verifying Causal Consistency*, POPL 2017, CM) a
//! session's *happened-before* is the least order that contains causality and in which, of two
//! writers of a key, the one that comes before a read of the session comes before the one that
//! it read from. Such an order exists unless this one is cyclic, or puts a write before a read
//! of the initial value.
//!
//! What causality alone puts before a read is known from the clocks; each further order may put
//! more before earlier reads, until nothing changes.

use std::collections::{HashMap, VecDeque};

use super::axioms::Forced;
use super::base::{Base, INIT};
use super::causal::Clocks;
use super::explain::{self, Cast};
use super::{Findings, findings, subject};
use crate::Anomaly;
use crate::txn::core::graph::{Edges, Graph, Rel};
use crate::txn::core::shortest::shortest;
use crate::txn::core::txns::NONE;

/// What one session forces on the order of what it has seen, in the order of derivation.
struct View<'a> {
    base: &'a Base<'a>,
    clocks: &'a Clocks,
    /// The nodes of the session.
    own: std::ops::Range<u32>,
    /// Per node: the first node of the session that it comes before, or [`NONE`].
    level: Vec<u32>,
    forced: Vec<Forced>,
    /// Per node: which of `forced` end in it.
    into: HashMap<u32, Vec<u32>>,
    /// The reads of each key by the session: (node, place in [`Base::reads`]), ascending.
    reads: HashMap<u32, Vec<(u32, u32)>>,
    /// A write that comes before a read of the initial value.
    initial: Option<Forced>,
}

/// Adds what contradicts causal memory; `forced` is what causality alone puts before reads.
/// Gives `None` where the budget of steps does not suffice.
pub(super) fn contradictions(
    base: &Base<'_>,
    clocks: &Clocks,
    forced: &[Forced],
    mut budget: u64,
    findings: &mut Findings,
) -> Option<()> {
    let mut of_session: Vec<Vec<Forced>> = vec![Vec::new(); base.sessions()];
    for f in forced.iter().filter(|f| f.to != INIT) {
        of_session[base.session[explain::reader(base, f.read) as usize] as usize].push(*f);
    }
    for (session, forced) in of_session.into_iter().enumerate().filter(|(_, f)| !f.is_empty()) {
        let mut view = View::new(base, clocks, session, forced);
        let first = view.forced.len();
        view.saturate(&mut budget)?;
        if let Some(f) = view.initial {
            findings.add("stale-initial-read", || view.initial_read(f));
        }
        let graph = view.graph();
        if graph.is_acyclic() {
            continue;
        }
        for cycle in shortest(&graph, findings::REPORTED_MAX, budget) {
            let kind = view.kind(&cycle, first);
            findings.add(kind, || view.cycle(kind, &cycle));
        }
    }
    Some(())
}

impl<'a> View<'a> {
    fn new(
        base: &'a Base<'a>,
        clocks: &'a Clocks,
        session: usize,
        forced: Vec<Forced>,
    ) -> View<'a> {
        let own = base.first[session]..base.first[session + 1];
        let mut level = vec![NONE; base.len()];
        let mut known: Vec<u32> = base.first[..base.sessions()].to_vec();
        let mut reads: HashMap<u32, Vec<(u32, u32)>> = HashMap::new();
        for node in own.clone() {
            for (s, from) in known.iter_mut().enumerate() {
                let to = clocks.end(base, node, s);
                level[*from as usize..(to.max(*from)) as usize].fill(node);
                *from = to.max(*from);
            }
            for (i, read) in base.reads_of(node).iter().enumerate() {
                let at = base.read_start[node as usize] + i as u32;
                reads.entry(read.key).or_default().push((node, at));
            }
        }
        let mut view = View {
            base,
            clocks,
            own,
            level,
            forced: Vec::new(),
            into: HashMap::new(),
            reads,
            initial: None,
        };
        forced.into_iter().for_each(|f| view.force(f));
        view
    }

    fn force(&mut self, f: Forced) {
        self.into.entry(f.to).or_default().push(self.forced.len() as u32);
        self.forced.push(f);
    }

    /// Does causality alone put `a` before `b`?
    fn causally_before(&self, a: u32, b: u32) -> bool {
        a != b && self.clocks.precedes(self.base, a, b)
    }

    /// Draws conclusions until there are no more.
    fn saturate(&mut self, budget: &mut u64) -> Option<()> {
        let mut next = 0;
        let mut lowered: VecDeque<(u32, u32)> = VecDeque::new();
        while next < self.forced.len() || !lowered.is_empty() {
            if let Some((node, before)) = lowered.pop_front() {
                self.reads_after(node, before, budget)?;
                continue;
            }
            let f = self.forced[next];
            next += 1;
            let of_session = self.own.contains(&f.to);
            let level = if of_session { f.to } else { self.level[f.to as usize] };
            self.lower(f.from, level, &mut lowered, budget)?;
        }
        Some(())
    }

    /// A node comes before an earlier node of the session than known, and all before it as well.
    fn lower(
        &mut self,
        node: u32,
        to: u32,
        lowered: &mut VecDeque<(u32, u32)>,
        budget: &mut u64,
    ) -> Option<()> {
        let mut stack = vec![node];
        while let Some(node) = stack.pop() {
            let level = &mut self.level[node as usize];
            if *level <= to {
                continue;
            }
            lowered.push_back((node, *level));
            *level = to;
            *budget = budget.checked_sub(1)?;
            if !self.base.is_first(node) {
                stack.push(node - 1);
            }
            let from = self.base.reads_of(node).iter().map(|r| r.from).filter(|f| *f != INIT);
            stack.extend(from);
            let into = self.into.get(&node).into_iter().flatten();
            stack.extend(into.map(|f| self.forced[*f as usize].from));
        }
        Some(())
    }

    /// The reads that a node now comes before, up to those that were known: of what it wrote,
    /// they should have seen it, or something after it.
    fn reads_after(&mut self, writer: u32, before: u32, budget: &mut u64) -> Option<()> {
        let now = self.level[writer as usize];
        for key in self.base.writes_of(writer) {
            let Some(reads) = self.reads.get(key) else { continue };
            let from = reads.partition_point(|(node, _)| *node < now);
            let to = reads.partition_point(|(node, _)| *node < before);
            let some: Vec<(u32, u32)> = reads[from..to.max(from)].to_vec();
            *budget = budget.checked_sub(some.len() as u64)?;
            for (node, at) in some {
                let source = self.base.reads[at as usize].from;
                let f = Forced { from: writer, to: source, read: at };
                if source == INIT && node != writer {
                    self.initial = self.initial.or(Some(f));
                } else if source != writer
                    && node != writer
                    && !self.causally_before(writer, source)
                {
                    self.force(f);
                }
            }
        }
        Some(())
    }

    fn graph(&self) -> Graph {
        let base = self.base;
        let mut edges = Edges::with_capacity(base.len() + base.reads.len() + self.forced.len());
        explain::causality(base, &mut edges);
        self.forced.iter().for_each(|f| edges.push(Rel::Ww, f.from, f.to));
        Graph::new(base.len(), edges)
    }

    /// One order that causality alone forces, closed by causality, is a stale read for everybody.
    fn kind(&self, cycle: &[(u32, Rel)], first: usize) -> &'static str {
        let mut forced = (0..cycle.len()).filter(|i| cycle[*i].1 == Rel::Ww);
        let (Some(one), None) = (forced.next(), forced.next()) else { return "cyclic-view" };
        let next = cycle[(one + 1) % cycle.len()].0;
        let at = self.place(cycle[one].0, next);
        if at.is_some_and(|at| at < first) { "stale-read" } else { "cyclic-view" }
    }

    /// Which of `forced` it is.
    fn place(&self, from: u32, to: u32) -> Option<usize> {
        self.forced.iter().position(|f| (f.from, f.to) == (from, to))
    }

    /// Explains a write before a read of the initial value; `None` if that does not hold.
    fn initial_read(&self, f: Forced) -> Option<Anomaly> {
        let base = self.base;
        let key = base.reads[f.read as usize].key;
        let mut cast = Cast::default();
        let (w, r) = (base.txn[f.from as usize], base.txn[explain::reader(base, f.read) as usize]);
        let (x, z) = (cast.name(w), cast.name(r));
        let mut lines = self.derivation(&[], &[f], &mut cast)?;
        let (why, _) = self.way(f, self.forced.len(), &mut cast)?;
        if !explain::writes(base.txns, w, key) || !explain::reads_from(base.txns, r, key, NONE) {
            return None;
        }
        let k = base.txns.key(key);
        lines.push(format!(
            "{z} read the initial {k}, though {x}, which wrote {k}, comes before it: {why}"
        ));
        lines.push("pattern: WriteHBInitRead".into());
        Some(explain::finish(
            base,
            "stale-initial-read",
            subject(base, key),
            cast,
            &lines.join("\n"),
        ))
    }

    /// Explains a cycle; `None` if some edge does not hold.
    fn cycle(&self, kind: &'static str, cycle: &[(u32, Rel)]) -> Option<Anomaly> {
        let base = self.base;
        let mut cast = Cast::default();
        cycle.iter().for_each(|(node, _)| drop(cast.name(base.txn[*node as usize])));
        let ends = |i: usize| (cycle[i].0, cycle[(i + 1) % cycle.len()].0);
        let used: Option<Vec<usize>> = (0..cycle.len())
            .filter(|i| cycle[*i].1 == Rel::Ww)
            .map(|i| self.place(ends(i).0, ends(i).1))
            .collect();
        let used = used?;
        let mut lines = self.derivation(&used, &[], &mut cast)?;
        for i in (0..cycle.len()).filter(|i| cycle[*i].1 != Rel::Ww) {
            let (a, b) = (base.txn[ends(i).0 as usize], base.txn[ends(i).1 as usize]);
            lines.push(explain::causal_step(base, a, b, cycle[i].1, &mut cast)?);
        }
        lines.push("so each of them would have to come before itself".into());
        let pattern = if kind == "stale-read" { "WriteCORead" } else { "CyclicHB" };
        lines.push(format!("pattern: {pattern}"));
        let key = base.reads[self.forced[*used.first()?].read as usize].key;
        Some(explain::finish(base, kind, subject(base, key), cast, &lines.join("\n")))
    }

    /// Explains orders and those that they follow from, the latter first.
    fn derivation(
        &self,
        wanted: &[usize],
        reads: &[Forced],
        cast: &mut Cast,
    ) -> Option<Vec<String>> {
        let mut all: Vec<usize> = wanted.to_vec();
        for f in reads {
            all.extend(self.way(*f, self.forced.len(), &mut Cast::default())?.1);
        }
        let mut at = 0;
        while at < all.len() {
            let i = all[at];
            at += 1;
            for earlier in self.way(self.forced[i], i, &mut Cast::default())?.1 {
                if !all.contains(&earlier) {
                    all.push(earlier);
                }
            }
        }
        all.sort_unstable();
        all.dedup();
        let process = self.base.txns.session[self.base.txn[self.own.start as usize] as usize];
        let client = self.base.txns.processes[process as usize];
        all.into_iter().map(|i| self.forced_step(i, client, cast)).collect()
    }

    fn forced_step(
        &self,
        i: usize,
        client: fuzz_dist_history::op::Process,
        cast: &mut Cast,
    ) -> Option<String> {
        let (base, f) = (self.base, self.forced[i]);
        let key = base.reads[f.read as usize].key;
        let reader = explain::reader(base, f.read);
        let (a, b) = (base.txn[f.from as usize], base.txn[f.to as usize]);
        let r = base.txn[reader as usize];
        let holds = a != b
            && self.own.contains(&reader)
            && explain::writes(base.txns, a, key)
            && explain::reads_from(base.txns, r, key, b);
        let (x, y, z) = (cast.name(a), cast.name(b), cast.name(r));
        let (why, _) = holds.then(|| self.way(f, i, cast))??;
        let k = base.txns.key(key);
        Some(format!(
            "{x} before {y} for client {client}: {z} read {k} from {y}, though {x}, which wrote {k}, comes before it: {why}"
        ))
    }

    /// The shortest way from a writer to the read, along causality and the first `known` of the
    /// forced orders; in words, and which of these it takes.
    fn way(&self, f: Forced, known: usize, cast: &mut Cast) -> Option<(String, Vec<usize>)> {
        let base = self.base;
        let start = explain::reader(base, f.read);
        let mut next: HashMap<u32, (u32, Option<usize>)> = HashMap::from([(start, (start, None))]);
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            if node == f.from && node != start {
                break;
            }
            let mut all: Vec<(u32, Option<usize>)> =
                explain::causes(base, node).into_iter().map(|n| (n, None)).collect();
            let into = self.into.get(&node).into_iter().flatten().map(|i| *i as usize);
            all.extend(into.filter(|i| *i < known).map(|i| (self.forced[i].from, Some(i))));
            for (n, by) in all {
                next.entry(n).or_insert_with(|| {
                    queue.push_back(n);
                    (node, by)
                });
            }
        }
        let (mut node, mut words, mut used) = (f.from, Vec::new(), Vec::new());
        while node != start {
            let (to, by) = *next.get(&node)?;
            let (a, b) = (base.txn[node as usize], base.txn[to as usize]);
            match by {
                Some(i) => {
                    words.push(format!("{} before {}, as said", cast.name(a), cast.name(b)));
                    used.push(i);
                }
                None => words.push(explain::cause(base, a, b, cast)),
            }
            node = to;
        }
        (!words.is_empty()).then(|| (words.join(", "), used))
    }
}
